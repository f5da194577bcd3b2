"""Code that is broken on purpose: what each mutant changes, and the check of `tests.certificates.checks` that fails.

One table, so that it may be longer than other files. Renew an entry when its text is no longer found exactly once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Mutant(NamedTuple):
    """One change of one module, and the check that must fail for it."""

    name: str
    module: str
    text: str  # occurs exactly once
    replacement: str
    check: str


def _of(module: str, check: str, *changes: tuple[str, str, str]) -> Iterator[Mutant]:
    """The mutants of one module that one check must notice, by name, text and replacement."""
    return (Mutant(name, module, text, replacement, check) for name, text, replacement in changes)


ASCENT = "lmaas_agents.imp.coordinate_ascent"
IMP = "lmaas_agents.imp.imp"
DEMAND = "lmaas_agents.imp.demand"
LINE = "lmaas_agents.imp.line_search"
STARTS = "lmaas_agents.imp.multistart"
TABLE = "lmaas_env.engine.price_table"
SNAP = "lmaas_agents.learned.snap"
ENERGY = "lmaas_agents.energy"
BRACKETS = "lmaas_agents.bounds.brackets"
DYNAMIC = "lmaas_agents.bounds.dynamic"
RESPONSES = "lmaas_agents.bounds.responses"
KNOWN_DAY = "lmaas_agents.bounds.known_day"
TREE = "lmaas_agents.bounds.price_tree"
BOXES = "lmaas_agents.search.price_boxes"
STATIC = "lmaas_env.customers.static_robust"
DAYS = "lmaas_env.engine.draws"
OBSERVATION = "lmaas_env.engine.observation"
PERIOD = "lmaas_env.engine.period"
REPLY = "lmaas_env.engine.reply"
SCALAR = "lmaas_env.engine.recourse"
CHUNK = "lmaas_env.engine.recourse_chunk"
SIMD = "lmaas_env.engine.recourse_simd"
RSR = "lmaas_env.engine.rsr"
ENV = "lmaas_env.env"
EPISODES = "lmaas_env.lanes"
MARKET = "lmaas_env.market"
EPISODE = "lmaas_env.episode"
SEEDS = "lmaas_env.seeds"
SPACES = "lmaas_env.spaces"
TRANSITION = "lmaas_env.transition"
VECTOR = "lmaas_env.vector_env"

BATCH = "a_batch_equals_one_problem_at_a_time"
MASK = "a_reset_mask_touches_its_lanes_only"
ADAPTS = "adaptation_is_paid_for_every_customer_who_selects"
DAY = "an_opened_day_is_that_of_the_environment"
ANTICIPATED = "anticipated_profits_are_the_mean_of_settlements"
BLOCKS = "blocks_are_bounded"
BOXED = "boxes_of_prices_are_bounded"
SUMMED = "bracket_sums_bound_every_hour_of_every_seller"
BRACKETED = "brackets_bound_what_customers_bring"
LARGEST = "brackets_are_the_largest_of_their_cells"
BUDGETS = "budgets_of_many_fades_are_kept"
SELECTS = "customers_select_the_first_best_model_or_none"
DRAWS = "draws_have_the_scenarios_probabilities"
CHARGE = "energy_is_charged_at_the_slope_of_its_value"
EARNED = "every_seller_earns_what_its_customers_pay_less_its_costs"
FALLS = "hours_and_energy_fall_no_faster_than_their_slopes"
FITS = "hours_use_no_more_than_the_charge"
ENDS = "imp_ends_where_no_price_gains"
ORDER = "imp_ignores_the_order_of_models"
WITHDRAWS = "imp_withdraws_models_without_customers"
LANES = "lanes_equal_scalar_environments"
LOCAL = "local_searches_end_at_the_best_cells"
REPLIES = "no_price_alone_earns_much_more_than_a_reply"
LAYOUT = "observations_have_their_layout"
BEST_LEAF = "price_boxes_are_searched_to_the_best_leaf"
PRICES = "prices_are_log_linear_in_actions"
RENTALS = "rentals_are_feasible_and_optimal"
OUTWARD = "numbers_are_rounded_outward"
PLANS = "robust_plans_are_certified"
TANGENTS = "sales_lie_below_their_tangents"
SUMS = "sums_take_every_customers_largest_bracket"
SEEDED = "seeds_do_not_overlap"
SETTLED = "settlements_and_states_follow_the_market_model"
SNAPS = "snapped_prices_lie_just_below_a_threshold"
MODEL = "terms_follow_the_market_model"
DAY_BOUND = "the_day_bound_is_the_sum_of_each_hours_largest_brackets"
VALUE = "the_energy_value_is_that_of_a_certain_market"
SEARCHED = "the_line_search_finds_the_best_price"
PERSONAL = "the_personalised_bound_is_the_sum_of_each_customers_best_sale"
SITES = "the_terms_of_every_seller_are_those_of_its_site"
WORST = "worst_case_is_that_of_all_fade_patterns"

GROUPS: dict[str, list[Mutant]] = {
    "selection and recourse": [
        *_of(
            RSR,
            WORST,
            ("the least valuable slots fade", "slot < terms.fade_budget[n]", "slot >= slots - terms.fade_budget[n]"),
            ("a slot too few fades", "slot < terms.fade_budget[n]", "slot < terms.fade_budget[n] - 1"),
        ),
        *_of(
            RSR,
            BUDGETS,
            ("at most five slots fade", "slot < terms.fade_budget[n]", "slot < min(terms.fade_budget[n], 5)"),
        ),
        *_of(
            RSR,
            SELECTS,
            (
                "ties go to the last model",
                "where(promised[n] > best[n], m, choice[n])",
                "where(promised[n] >= best[n], m, choice[n])",
            ),
            ("customers select at a loss", "least.copy()", "np.full(customers, -1.0)"),
            (
                "the last model is not offered",
                "for m in range(models):  # a loop per array",
                "for m in range(models - 1):  # a loop per array",
            ),
        ),
        *_of(
            RSR,
            SETTLED,
            ("the guarantee is that of the first model", "found[n] = values[choice[n], n]", "found[n] = values[0, n]"),
        ),
        *_of(
            SIMD,
            FITS,
            (
                "hours may use more than the charge by rounding",
                'where(is_excessive, chunk["energy"][i] / chunk["used"][i], 1.0)',
                "1.0",
            ),
        ),
        *_of(
            SCALAR,
            FITS,
            ("the scalar recourse may use more than the charge", "hours *= energy / used", "hours *= 1.0"),
        ),
        *_of(
            SIMD,
            BATCH,
            (
                "the energy price is searched for one pass only",
                "for _ in range(2 * slots.shape[0] + 2):",
                "for _ in range(1):",
            ),
            (
                "deferred problems ignore the battery",
                "if fill_slack(chunks, slots, count) > 0:",
                "if fill_slack(chunks, slots, count) < 0:",
            ),
            ("dense chunks ignore the battery", "if is_dense and lacking > 0:", "if is_dense and lacking < 0:"),
        ),
        *_of(
            CHUNK,
            RENTALS,
            ("all pay the first model's price", "price[m, n] + terms", "price[0, n] + terms"),
            ("customers get the fades of others", "where(faded[k, n], 1, 0)", "where(faded[k, i], 1, 0)"),
            ("all are capped as with the first model", "terms.max_hours[s, m, n]", "terms.max_hours[s, 0, n]"),
        ),
        *_of(
            SIMD,
            RENTALS,
            (
                "faded slots keep their nominal cap",
                'cap = where(faded, chunk["max_hours"][1, i]',
                'cap = where(faded, chunk["max_hours"][0, i]',
            ),
        ),
        *_of(
            SIMD,
            WORST,
            ("the setup cost is not paid", '= -chunk["setup_cost"][i]', "= 0.0"),
        ),
        *_of(
            SCALAR,
            BATCH,
            ("the scalar recourse misses a breakpoint", "right = min(right, closes)", "right = max(right, closes)"),
        ),
    ],
    "settlement and transition": [
        *_of(
            PERIOD,
            SETTLED,
            (
                "rentals do not drain the battery",
                "state.charge[lane, n] - rentals.energy[row] + harvested",
                "state.charge[lane, n] + harvested",
            ),
            ("batteries overflow", "stored = min(max(charge, 0.0), capacity)", "stored = max(charge, 0.0)"),
            ("every hour harvests the mean", "capacity * draws.harvest[now, lane, n]", "capacity"),
            (
                "adaptation is free",
                "models.serving_cost[m] * rented + models.adaptation_cost[m]",
                "models.serving_cost[m] * rented",
            ),
            (
                "adaptation is paid once per period",
                "models.serving_cost[m] * rented + models.adaptation_cost[m]",
                "models.serving_cost[m] * rented + models.adaptation_cost[m] / customers",
            ),
            ("training is free", "of_lane[:, lane] = 0.0, training, 0.0", "of_lane[:, lane] = 0.0, 0.0, 0.0"),
            (
                "revenue is that of the first lane's prices",
                "+= prices[lane, m] * rented",
                "+= prices[0, m] * rented",
            ),
            ("the state's innovations have the wrong variance", "math.sqrt(1.0 - memory**2)", "(1.0 - memory)"),
            ("time stands still", "record.hour[lane] = state.hour[lane] + 1", "record.hour[lane] = state.hour[lane]"),
            ("shadowing and demand are swapped", "record.shadowing, rows[DEMAND]", "rows[DEMAND], record.shadowing"),
        ),
        *_of(
            PERIOD,
            ADAPTS,
            (
                "adaptation is paid where hours are rented",
                "+ models.adaptation_cost[m]",
                "+ (models.adaptation_cost[m] if rented > 0.0 else 0.0)",
            ),
        ),
        *_of(
            PERIOD,
            MODEL,
            (
                "the terms' batteries are full",
                "energy[start:end] = state.charge[lane, begin:stop]",
                "energy[start:end] = known.capacity[own : own + customers]",
            ),
            ("demand does not move task values", "by_hour * exponential(state.demand[lane, begin + n])", "by_hour"),
            (
                "every lane has the first lane's customers",
                "end, own = start + customers, lane * everyone % known.capacity.shape[0] + begin",
                "end, own = start + customers, begin",
            ),
        ),
        *_of(
            DAYS,
            DRAWS,
            (
                "fades are as likely as no fades",
                "rng.random() < numbers.fade_probability",
                "rng.random() > numbers.fade_probability",
            ),
            ("harvests do not vary", "rng.uniform(1.0 - spread, 1.0 + spread)", "rng.uniform(1.0, 1.0)"),
        ),
        *_of(
            MARKET,
            DRAWS,
            ("first batteries are full", "share * capacity\n", "capacity + 0.0 * share\n"),
        ),
        *_of(
            MARKET,
            MODEL,
            (
                "demand peaks at another hour",
                "np.arange(24) - scenario.demand_rise",
                "np.arange(24) + 3.0 - scenario.demand_rise",
            ),
        ),
    ],
    "spaces": [
        *_of(
            TRANSITION, LAYOUT, ("revenue is reported as cost", "of_seller[period.COST]", "of_seller[period.REVENUE]")
        ),
        *_of(
            OBSERVATION,
            PRICES,
            ("prices are linear in actions", "floor * (cap / floor) ** share", "floor + (cap - floor) * share"),
            (
                "actions are not clipped",
                "0.5 * (min(max(actions[k, m], -1.0), 1.0) + 1.0)",
                "0.5 * (max(actions[k, m], -1.0) + 1.0) % 1.5",
            ),
            (
                "the inverse of prices is shifted",
                "2.0 * math.log(price / floor) / spread - 1.0",
                "math.log(price / floor) / spread",
            ),
        ),
        *_of(
            OBSERVATION,
            LAYOUT,
            ("sine and cosine are swapped", "= math.sin(angle), math.cos(angle)", "= math.cos(angle), math.sin(angle)"),
            ("batteries are relative to the first customers'", "capacity[own + n] - 1.0", "capacity[n] - 1.0"),
            (
                "shadowing is shown as demand",
                "_standardised(demand[k, n], numbers.demand_sigma)",
                "_standardised(shadowing[k, n], numbers.demand_sigma)",
            ),
            (
                "the share of the day that is over is shown",
                "1.0 - hour[k] / numbers.periods",
                "hour[k] / numbers.periods",
            ),
            (
                "customers are shown as hours",
                "= record.hours_per_model[k, own:end] / customers",
                "= record.customers_per_model[k, own:end] / customers",
            ),
            ("every lane shows the first lane's customers", "shown[k % shown.shape[0], j]", "shown[0, j]"),
            (
                "a step shows the state before it",
                "observe(market, shown, state_after(record), sale,",
                "observe(market, shown, State(*state), sale,",
            ),
        ),
        *_of(
            SPACES,
            LAYOUT,
            (
                "the hour is read from the wrong end",
                "np.rint(scenario.periods * (1.0 - share_left))",
                "np.rint(scenario.periods * share_left)",
            ),
            ("distances are shown in another unit", '"distance": ("log", 250.0)', '"distance": ("log", 1000.0)'),
        ),
    ],
    "seeds and environments": [
        *_of(
            SEEDS,
            SEEDED,
            ("a held-out day is a tuning day", "HELD_OUT_START = 900_000_000", "HELD_OUT_START = 899_999_999"),
            ("a training seed reaches into the next", "count, TRAINING_STRIDE - skip)", "count, TRAINING_STRIDE)"),
            (
                "seeds that are skipped are used",
                "training_seed * TRAINING_STRIDE + skip",
                "training_seed * TRAINING_STRIDE",
            ),
            ("ranges start one late", "return range(start, start + count)", "return range(start + 1, start + count)"),
        ),
        *_of(
            EPISODE,
            DAY,
            (
                "all days have the first day's customers",
                "_draw_lane(market.scenario, rng) for rng in rngs]",
                "_draw_lane(market.scenario, rng) for rng in rngs[:1] * len(rngs)]",
            ),
        ),
        *_of(
            VECTOR,
            LANES,
            (
                "all lanes have one seed",
                "seeds = [seed + i for i in range(self.num_envs)]",
                "seeds = [seed for i in range(self.num_envs)]",
            ),
            (
                "days end an hour late",
                "terminated = self.state.hour >= periods",
                "terminated = self.state.hour > periods",
            ),
            (
                "the new day's observation is the final one",
                "_per_lane(seen, terminated)",
                "_per_lane(0.0 * seen, terminated)",
            ),
            (
                "rewards are not per customer",
                'entries["profit"] / self.market.population.size',
                'entries["profit"]',
            ),
        ),
        *_of(
            VECTOR,
            MASK,
            (
                "a step that starts a day earns a reward",
                "reward = np.where(over, 0.0, reward)",
                "reward = np.where(over, reward, reward)",
            ),
            ("a reset mask reseeds all lanes", "if own is not None and lanes[lane]:", "if own is not None:"),
            (
                "ignored actions have info",
                "info = _with_masks(entries, ~over)",
                "info = _with_masks(entries, ~terminated)",
            ),
        ),
        *_of(
            EPISODES,
            MASK,
            ("a reset mask leaves the draws", "values[:, lanes] = new", "values[:, lanes] = values[:, lanes]"),
            ("a reset mask resets all states", "    copy[lanes] = new", "    copy[:] = new"),
        ),
        *_of(
            PERIOD,
            MASK,
            ("lanes share the first lane's hour", "return min(state.hour[lane], ", "return min(state.hour[0], "),
        ),
        *_of(
            ENV,
            LANES,
            (
                "the scalar environment ends early",
                "result.state.hour[0] >= scenario.periods",
                "result.state.hour[0] + 1 >= scenario.periods",
            ),
        ),
    ],
    "rivals": [
        *_of(
            PERIOD,
            SITES,
            ("all sellers are at the second site", "known.other_snr[s - 1, own + n]", "known.other_snr[0, own + n]"),
            (
                "other sites have the first one's shadowing",
                "site = s * everyone + begin",
                "site = begin",
            ),
            ("all links are to the first site", "gamma[n] = snr[s, n]", "gamma[n] = snr[0, n]"),
        ),
        *_of(
            PERIOD,
            EARNED,
            ("all revenue is the first seller's", "revenue[m // per_seller] +=", "revenue[0] +="),
            ("all costs are the first seller's", "cost[m // per_seller] +=", "cost[0] +="),
            (
                "every seller trains the models of all",
                "models.training_cost[:per_seller].sum()",
                "models.training_cost.sum()",
            ),
            (
                "the shadowing of other sites stands still",
                "for n in range(state.shadowing.shape[1]):",
                "record.shadowing[lane] = state.shadowing[lane]\n        for n in range(customers):",
            ),
            ("profits are those of the last seller", "= revenue[s] - cost[s]", "= revenue[-1] - cost[-1]"),
        ),
        *_of(
            REPLY,
            ANTICIPATED,
            ("anticipated training is free", "profits[low:high] = -training", "profits[low:high] = 0.0"),
            ("all sellers anticipate what the first earns", "profits[lane, m // count]", "profits[lane, 0]"),
            (
                "anticipated adaptation is free",
                "margin * hours[row] - models.adaptation_cost[m]",
                "margin * hours[row]",
            ),
            ("the first fade pattern is expected", "faded[p, :, (low", "faded[0, :, (low"),
            ("hours of all patterns add up", "[0].sum(axis=0) / faded.shape[0]", "[0].sum(axis=0)"),
            ("lanes share their rows' customers", "low + row // customers", "low + row % (high - low)"),
        ),
        *_of(
            REPLY,
            REPLIES,
            ("offers of others are ignored", "max(outside[n], promised[i, n])", "max(outside[n], 0.0)"),
            ("a seller competes with itself", "i if i < own else i + count", "i"),
            ("the seller's costs are ignored", "margin[c] = 1.0 - cost / prices[c, m]", "margin[c] = 1.0"),
            ("models of the first seller are priced", "model[row] = own + row // nodes", "model[row] = row // nodes"),
            ("expected hours have the wrong sign", "slope -= price * hours[slot]", "slope += price * hours[slot]"),
            (
                "the second table is not searched",
                "found = _searched(table, outside, order, starts[:2])",
                "found[:] = 0",
            ),
            (
                "promises between prices are linear in the wrong prices",
                "w0, w1 = worst[row, n], worst[row + 1, n]",
                "w0, w1 = worst[row + 1, n], worst[row, n]",
            ),
        ),
        *_of(
            TABLE,
            REPLIES,
            (
                "customers with a better offer elsewhere are counted",
                "offer, elsewhere = outside[n], 0.0",
                "offer, elsewhere = 0.0, 0.0",
            ),
        ),
    ],
    "search of IMP": [
        *_of(
            LINE,
            SEARCHED,
            (
                "the line search prunes too early",
                "if not block.bound > best + exact * max(unit, abs(best))",
                "if not 0.98 * block.bound > best + exact * max(unit, abs(best))",
            ),
            ("the line search stops at the first split", "or block.depth == DEPTH", "or block.depth == 1"),
        ),
        *_of(
            DEMAND,
            SEARCHED,
            (
                "lost customers are worth nothing elsewhere",
                "elsewhere[n] = sale[other, n] if other >= 0 else 0.0",
                "elsewhere[n] = 0.0",
            ),
            (
                "customers leave without a better offer",
                "offer = others[other, n] if other >= 0 else offered_elsewhere(problem, n)",
                "offer = 0.0",
            ),
        ),
        *_of(
            DEMAND,
            TANGENTS,
            ("hours bend where they are taken for smooth", "kinks += count + others", "kinks += count"),
            ("a closed slot does not bend", "bends += count", "bends += 0"),
        ),
        *_of(
            LINE,
            BLOCKS,
            (
                "blocks below cost are taken for concave",
                "concave = concave and points.kinks[a, k] == points.kinks[b, k] and left >= demand.concave_above[k]",
                "concave = demand.concave[k]",
            ),
            (
                "the bound of a block forgets the right tangent's slope",
                "slope_right += (right - cost) * points.slope[b, k]",
                "slope_right += 0.0",
            ),
        ),
        *_of(
            DEMAND,
            ENDS,
            ("sales do not pay for adaptation", "* hours - seller.adaptation_cost[m]", "* hours"),
        ),
        *_of(
            LINE,
            PERSONAL,
            (
                "the personalised bound forgets the best price",
                "most = max(most, best + missed)",
                "most = max(most, 0.9 * best + missed)",
            ),
        ),
        *_of(
            ASCENT,
            ENDS,
            (
                "coordinate ascent stops after one sweep",
                "prices[m], profit, settled = price, trial, 1",
                "prices[m], profit = price, trial",
            ),
            ("a rejected move is kept in the table", "worst[m], sale[m] = before", "prices[m] = price"),
        ),
        *_of(
            ASCENT,
            WITHDRAWS,
            ("no model is withdrawn", "raised = prices < cap", "raised = prices > cap"),
        ),
        *_of(
            IMP,
            ORDER,
            (
                "prices move in the order in which models are listed",
                'np.argsort(catalogue.serving_cost, kind="stable")',
                "np.arange(catalogue.size)",
            ),
        ),
        *_of(
            TABLE,
            LOCAL,
            (
                "local search forgets what customers choose instead",
                "where(worst[m, n, j] > offer, sale[m, n, j], elsewhere)",
                "where(worst[m, n, j] > offer, sale[m, n, j], 0.0)",
            ),
            ("local search moves every price once", "settled = settled if row[m] == j else 1", "settled = settled"),
        ),
        *_of(
            STARTS,
            LOCAL,
            ("the worst ends come first", "np.unique(np.round(-profit, 9)", "np.unique(np.round(profit, 9)"),
        ),
        *_of(
            BOXES,
            BOXED,
            (
                "a cell of prices is bounded by its low end",
                "max(grid[j + 1] - serving, 0.0) * hours",
                "max(grid[j] - serving, 0.0) * hours",
            ),
            (
                "a box forgets a model that may still be selected",
                "offer = max(offer, worst[m, last[m]])",
                "offer = max(offer, worst[m, first[m]])",
            ),
        ),
        *_of(
            SNAP,
            SNAPS,
            ("snapped prices lie above the threshold", "found * (1.0 - MARGIN)", "found * (1.0 + MARGIN)"),
        ),
    ],
    "look-ahead and static-robust": [
        *_of(
            ENERGY,
            VALUE,
            ("the energy value ignores later hours", "interpolated(values[hour + 1]", "interpolated(values[-1]"),
            (
                "the energy value ignores what a rental drains",
                "after.charge / capacity",
                "state.charge / capacity",
            ),
            (
                "the energy value ignores adaptation",
                "earned - market.catalogue.adaptation_cost[model]",
                "earned",
            ),
            ("the value is interpolated in the wrong cell", "SHARES[k + 1] <= share", "SHARES[k] <= share"),
        ),
        *_of(
            ENERGY,
            CHARGE,
            ("harvested energy is charged", "before = charge + numbers.harvest * capacity", "before = charge"),
            (
                "energy is valued an hour early",
                "after = min(state.hour[k] + 1, values.shape[0] - 1)",
                "after = min(state.hour[k], values.shape[0] - 1)",
            ),
            (
                "the charge ignores the device's power",
                "serving_cost=constants.serving_cost + shadow_price * power",
                "serving_cost=constants.serving_cost + shadow_price",
            ),
        ),
        *_of(
            STATIC,
            PLANS,
            ("static-robust stops at RSR's plan", "if upper <= max(best, floor) + within:", "if upper >= best:"),
            (
                "static-robust's bound is cut short",
                "bound = min(bound, limit * rental.unit - setup)",
                "bound = max(best, floor)",
            ),
        ),
        *_of(
            SCALAR,
            PLANS,
            ("served hours do not drain the battery", "rest = max(rest - power * used, 0.0)", "rest = max(rest, 0.0)"),
            ("unused hours are not paid", "profit -= price * booked[slot]", "profit -= price * used"),
            (
                "one fade pattern is forgotten",
                "for slot in range(slots - 1, -1, -1):",
                "for slot in range(slots - 1, 0, -1):",
            ),
        ),
    ],
    "the bound on the dynamic game": [
        *_of(
            RESPONSES,
            BRACKETED,
            (
                "customers rent as if no slot faded",
                "    fades = faded if",
                "    fades = np.zeros_like(faded) if",
            ),
        ),
        *_of(
            BRACKETS,
            BRACKETED,
            ("energy used is rounded up", "least_use = max(use[high, n],", "least_use = max(use[low, n],"),
            ("revenue is rounded down", "margin = max(right - costs", "margin = max(left - costs"),
            (
                "hours are those of the higher price",
                "room.hours[k] = min(hours[low, n, k],",
                "room.hours[k] = min(hours[high, n, k],",
            ),
            ("hours are those of the lower charge", "margin * (hours[k + 1]", "margin * (hours[k]"),
            (
                "a charge is worth what it is before the hour",
                "found = sale + later - values[k]",
                "found = sale + values[k] - values[k]",
            ),
            ("the next hour's charge has no harvest", "i, max(b - use, 0.0) + harvest)", "i, max(b - use, 0.0))"),
        ),
        *_of(
            TREE,
            BRACKETED,
            (
                "W is rounded down where a model may win",
                "most[m, leaves + j, k, n] = _above(responses.worst[m, low, k + 1, n])",
                "most[m, leaves + j, k, n] = _above(responses.worst[m, low, k, n])",
            ),
            (
                "W is rounded up where a model is sure to win",
                "_below(responses.worst[m, high, k, n])",
                "_below(responses.worst[m, low, k + 1, n])",
            ),
        ),
        *_of(
            TREE,
            SUMMED,
            (
                "a node holds its left cells only",
                "max(bracket[m, 2 * i, k, n], bracket[m, 2 * i + 1, k, n])",
                "bracket[m, 2 * i, k, n]",
            ),
        ),
        *_of(
            TREE,
            BEST_LEAF,
            (
                "a box that is left open is forgotten",
                "closed = max(closed, frontier.bounds[0])",
                "closed = max(closed, -1e30)",
            ),
            ("right halves are lost", "nodes[best_m] = 2 * node + half", "nodes[best_m] = 2 * node"),
        ),
        *_of(
            KNOWN_DAY,
            SUMMED,
            (
                "rentals are thought to leave some charge",
                "low, high = np.minimum(day.harvest[t], capacity),",
                "low, high = np.minimum(day.harvest[t] + 0.5 * low, capacity),",
            ),
            (
                "the battery of a customer that rents nothing stays as it is",
                "np.minimum(high + day.harvest[t], capacity)",
                "np.minimum(high, capacity)",
            ),
        ),
    ],
    "cells, sums and rounding of the bound": [
        *_of(
            BRACKETS,
            LARGEST,
            ("the upper end of a cell is not tried", "                b = high\n", "                b = low\n"),
            ("the charge that just suffices is not tried", "elif tried == 2 and low < use < high:", "elif tried == 9:"),
            ("a bend of the next hour's value is skipped", "        inner = i + 1\n", "        inner = i + 2\n"),
            (
                "energy that no charge of the cell holds is missed",
                "max(needed - b, 0.0)",
                "max(use - b, 0.0)",
            ),
            (
                "the value of this hour is that of the cell's lower end",
                "found = sale + later - values[k] - slope * (b - low)",
                "found = sale + later - values[k]",
            ),
            (
                "a charge above the last node is worth more than all",
                "min(max((charge - nodes[i]) / width, 0.0), 1.0)",
                "max((charge - nodes[i]) / width, 0.0)",
            ),
        ),
        *_of(
            RESPONSES,
            BRACKETED,
            (
                "hours fall as fast as at the higher price",
                "value / (low + cost) ** 2, 0.0)",
                "value / (high + cost) ** 2, 0.0)",
            ),
            (
                "a slot that is full at the lower price counts as full",
                "is_full = value / (high + cost)",
                "is_full = value / (low + cost)",
            ),
            (
                "the smallest power says how hours rise with the charge",
                "1.0 / terms.power.max(axis=0)",
                "1.0 / (0.1 * terms.power.min(axis=0))",
            ),
        ),
        *_of(
            BRACKETS,
            FALLS,
            (
                "hours fall as slowly with little charge as with ample",
                "is_short = 0 if hour.nodes[n, k] >= use[low, n] else 1",
                "is_short = 0",
            ),
        ),
        *_of(
            RESPONSES,
            FALLS,
            (
                "hours bend as if all slots faded",
                "s, n = np.where(faded[slot], 1, 0), np.arange",
                "s, n = np.ones(customers, dtype=np.int64), np.arange",
            ),
            (
                "plans expect another slot to fade",
                "worst_fades_of(terms.fade_budget,",
                "worst_fades_of(terms.fade_budget + 1,",
            ),
            ("closed slots open again at lower prices", "> least, value / (low", "> 2.0 * least, value / (low"),
            (
                "energy falls in the price as if all slots used one unit of power",
                "use_slope[row, m] += power * part",
                "use_slope[row, m] += part",
            ),
        ),
        *_of(
            TREE,
            OUTWARD,
            (
                "numbers below zero are rounded down where they bound from above",
                "x + (OUTWARD + TOLERANCE) * abs(x) + TOLERANCE",
                "x + (OUTWARD + TOLERANCE) * x + TOLERANCE",
            ),
            ("lower bounds are rounded up", "x - (OUTWARD + TOLERANCE) * abs(x)", "x + (OUTWARD + TOLERANCE) * abs(x)"),
            ("rounding to single precision is not allowed for", "OUTWARD = 2e-7", "OUTWARD = 2e-8"),
        ),
        *_of(
            TREE,
            SUMS,
            (
                "a node's largest W is that of its higher prices",
                "most[m, i, k, n] = most[m, 2 * i, k, n]",
                "most[m, i, k, n] = most[m, 2 * i + 1, k, n]",
            ),
            (
                "a node's least W is that of its lower prices",
                "least[m, i, k, n] = least[m, 2 * i + 1, k, n]",
                "least[m, i, k, n] = least[m, 2 * i, k, n]",
            ),
            ("models win that promise a loss", "& (most[i] > SELECTION_THRESHOLD) &", "&"),
            (
                "none is chosen beside a sure profit",
                "where(sure[i] > SELECTION_THRESHOLD, np.float32(IMPOSSIBLE), none[i])",
                "none[i]",
            ),
            (
                "the fullest batteries are forgotten",
                "range(n + customers, size, customers)",
                "range(n + customers, size - customers, customers)",
            ),
        ),
        *_of(
            TREE,
            BEST_LEAF,
            ("boxes below the target are forgotten", "closed = max(closed, bound)", "closed = max(closed, -1e30)"),
            ("a leaf that was reached is forgotten", "closed = max(closed, parent)", "closed = max(closed, -1e30)"),
        ),
        *_of(
            DYNAMIC,
            DAY_BOUND,
            (
                "energy is worth in the next hour what it is in this one",
                "ends[t], day.nodes[t + 1], ends[t + 1], day.harvest[t])",
                "ends[t], day.nodes[t], ends[t], day.harvest[t])",
            ),
            (
                "the harvest is that of the hour before",
                "ends[t + 1], day.harvest[t])",
                "ends[t + 1], day.harvest[t - 1])",
            ),
            ("energy left after the last hour has a value", "ends = [*values, np.zeros(", "ends = [*values, np.ones("),
            (
                "energy values fall in the charge",
                "np.maximum.accumulate(found - found[:, :1], axis=1)",
                "found - found[:, :1]",
            ),
            (
                "price cells are their lower ends",
                "np.stack([points[:-1], points[1:]])",
                "np.stack([points[:-1], points[:-1]])",
            ),
            ("the last price on the menu is left out", "np.int64), menu.size - 1)", "np.int64), menu.size - 2)"),
            (
                "training is paid for in one hour",
                "float(market.scenario.periods * market.catalogue",
                "float(market.catalogue",
            ),
            (
                "the sum over the hours is rounded down",
                "float(by_hour.sum() + ROUNDING *",
                "float(by_hour.sum() - ROUNDING *",
            ),
        ),
        *_of(
            KNOWN_DAY,
            SUMMED,
            ("every hour is known to harvest the mean", "capacity * period.harvest)", "capacity)"),
            ("the draws of the first hour are known of every hour", "period = draws.at(t)", "period = draws.at(0)"),
        ),
    ],
}
