"""The market against a second writing of market.md: terms, books, batteries, draws and lanes."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from scipy import stats

from lmaas_env import Draws, Market, Scenario, Settlement, State
from lmaas_env.customers.strategies import RSR
from lmaas_env.engine.period import BLOCK, CUSTOMER_PROFIT, WORST_CASE_PROFIT
from lmaas_env.market import unstack
from lmaas_env.rsr import solve
from lmaas_env.seeds import draw_days
from tests.days import one_day, periods_of

SCENARIOS = ["day", "static", "scarce", "abundant", "public"]
TINY_SIZES = dataclasses.replace(Scenario(), customers=2, slots=1, fade_budgets=(0, 5))
RENTAL = ("quality", "airtime_cost", "power", "max_hours")
Arrays = TypeVar("Arrays", State, Draws)


def stacked(markets: Sequence[Arrays]) -> Arrays:
    """The states or the draws of K markets with a leading lane axis."""
    return type(markets[0])(*(np.stack(arrays) for arrays in zip(*markets, strict=True)))


def random_prices(rng: np.random.Generator, shape: tuple[int, ...] = (4,)) -> np.ndarray:
    """Prices between the floor and the middle of the range, where customers rent."""
    return np.exp(rng.uniform(0.0, np.log(12.0), shape))


def random_state(market: Market, seed: int, spread: float = 1.0) -> State:
    """A state at any hour, with empty, low and full batteries; a spread of 10 brings dead and perfect links."""
    rng, n = np.random.default_rng(seed), market.population.size
    charge = market.population.capacity * rng.choice([0.0, 0.01, 0.3, 1.0], n) * rng.random(n)
    demand = 0.25 * spread * rng.standard_normal(n)
    return State(int(rng.integers(0, 60)), 4.0 * spread * rng.standard_normal(n), demand, charge)


def settled_days(market: Market, seeds: range) -> list[tuple[State, Draws, Settlement, State]]:
    """(state, draws, settlement, next state) of every period of some days at random prices."""
    periods = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        state, draws = one_day(market, rng)
        for period in periods_of(draws):
            settlement, after = market.settle(random_prices(rng), state, period)
            periods.append((state, period, settlement, after))
            state = after
    return periods


def terms_by_hand(market: Market, state: State) -> dict[str, np.ndarray]:
    """market.md sections 2 and 6, in numpy, from the scenario's and the population's numbers alone."""
    numbers, people = market.scenario, market.population
    kilometres, bandwidth = people.distance / 1e3, people.bandwidth
    path_loss = 128.1 + 37.6 * np.log10(kilometres)
    noise = -174.0 + 9.0 + 10.0 * np.log10(bandwidth)
    gamma = 10.0 * np.log10(1e3 * numbers.transmit_power) - path_loss - noise + state.shadowing
    gamma = np.stack([gamma, gamma - people.fade_depth], axis=-1)  # (N, 2)
    rate = np.maximum(bandwidth[:, None] * np.log1p(10.0 ** (gamma / 10.0)) / np.log(2.0), 1.0)
    airtime = np.array(numbers.bit_rate)[None, :, None] / rate[:, None, :]  # (N, M, 2)
    a1, a2, c1, c2 = (
        np.array(getattr(numbers, name))[None, :, None]
        for name in ("quality_low", "quality_high", "quality_slope", "quality_offset")
    )
    bracket = max(0.05, 1.0 + numbers.demand_peak * np.sin(2.0 * np.pi * (state.hour - 9) / 24.0))
    return {
        "task_value": people.task_value * np.exp(state.demand)[:, None] * bracket,
        "fade_budget": people.fade_budget,
        "saturation": people.saturation,
        "energy": state.charge,
        "setup_cost": np.tile(numbers.setup_cost, (people.size, 1)),
        "quality": a1 + (a2 - a1) / (1.0 + np.exp(-(c1 * gamma[:, None, :] + c2))),
        "airtime_cost": numbers.airtime_price * airtime,
        "power": numbers.transmit_power * airtime + np.array(numbers.compute_power)[None, :, None],
        "max_hours": np.minimum(1.0, 1.0 / airtime) / numbers.slots,
    }


@pytest.mark.parametrize("spread", [1.0, 10.0])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scenario", [*SCENARIOS, TINY_SIZES, "city"], ids=[*SCENARIOS, "tiny", "city"])
def test_rental_terms_equal_market_md_written_a_second_time(scenario: Any, seed: int, spread: float) -> None:
    market = Market(scenario, seed=seed)
    state = random_state(market, seed, spread)
    terms, expected = market.terms(state), terms_by_hand(market, state)
    assert terms.size == market.population.size
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(terms, name), values, rtol=1e-12, atol=1e-15, err_msg=name)


def test_random_states_reach_dead_links_and_full_caps() -> None:
    market = Market("city")
    terms = market.terms(random_state(market, seed=0, spread=10.0))
    assert (terms.airtime_cost.max(axis=(0, 2)) == 0.8 * market.catalogue.bit_rate).all()  # 1 bit/s
    assert (terms.max_hours == 1.0 / 6.0).any()


def test_the_demand_wave_has_its_mean_at_9_peak_at_15_and_trough_at_3_whatever_the_day() -> None:
    market = Market("day")
    factors = [float(market.demand_factor(hour)) for hour in (9, 15, 3, 21, 33, 24 * 364 + 15)]
    assert factors == pytest.approx([1.0, 1.9, 0.1, 1.0, 1.0, 1.9])
    deep = Market(dataclasses.replace(Scenario(), demand_peak=3.0))
    assert float(deep.demand_factor(3)) == 0.05
    assert (Market("static").demand_factor(np.arange(24)) == 1.0).all()


@pytest.mark.parametrize("name", SCENARIOS)
def test_batteries_balance_and_stay_within_their_capacity(name: str) -> None:
    market = Market(name)
    capacity, spilled = market.population.capacity, 0.0
    harvest = {"scarce": 0.02, "abundant": 0.3}.get(name, 0.04) * capacity
    for state, draws, settlement, after in settled_days(market, range(3)):
        balance = state.charge - settlement.energy_used + harvest * draws.harvest - settlement.spilled
        np.testing.assert_allclose(after.charge, balance, rtol=0.0, atol=1e-12 * capacity.max())
        assert (after.charge >= 0.0).all()
        assert (after.charge <= capacity).all()
        assert (settlement.spilled >= 0.0).all()
        assert (after.charge[settlement.spilled > 0.0] == capacity[settlement.spilled > 0.0]).all()
        assert (settlement.energy_used <= state.charge * (1.0 + 1e-12)).all()
        spilled += settlement.spilled.sum()
    assert spilled > 0.0


def test_shadowing_and_demand_move_by_market_md_section_6() -> None:
    market = Market("day")
    for state, draws, _, after in settled_days(market, range(2)):
        moved = 0.9 * state.shadowing + np.sqrt(1.0 - 0.9**2) * 4.0 * draws.shadowing
        np.testing.assert_allclose(after.shadowing, moved, rtol=1e-12, atol=1e-12)
        moved = 0.8 * state.demand + np.sqrt(1.0 - 0.8**2) * 0.25 * draws.demand
        np.testing.assert_allclose(after.demand, moved, rtol=1e-12, atol=1e-12)
        assert after.hour == state.hour + 1


def test_two_sellers_on_one_seed_meet_the_same_day() -> None:
    market = Market("day")
    paths = []
    for price in (1.0, 40.0):
        state, draws = one_day(market, 5)
        path, sold = [], 0.0
        for period in periods_of(draws):
            settlement, state = market.settle(np.full(4, price), state, period)
            path.append((settlement.faded, state.shadowing, state.demand, period))
            sold += settlement.hours.sum()
        paths.append((path, sold))
    assert paths[0][1] > 2.0 * paths[1][1]
    assert data_equivalence(paths[0][0], paths[1][0], exact=True)


def z_scores(samples: np.ndarray, mean: float, sigma: float) -> list[float]:
    """How far mean and variance of independent normal samples are off, in standard errors."""
    n = samples.size
    off_mean = (samples.mean() - mean) / (sigma / np.sqrt(n))
    off_variance = (np.mean((samples - mean) ** 2) / sigma**2 - 1.0) / np.sqrt(2.0 / n)
    return [float(off_mean), float(off_variance)]


def test_shadowing_and_demand_are_stationary_with_their_hourly_correlation() -> None:
    market = Market("day")
    state, draws = draw_days(market, range(150))
    n = state.shadowing.size
    for period in periods_of(draws):
        _, after = market.settle(np.full((150, 4), 40.0), state, period)
        off = [*z_scores(after.shadowing, 0.0, 4.0), *z_scores(after.demand, 0.0, 0.25)]
        for now, then, sigma, rho in (
            (state.shadowing, after.shadowing, 4.0, 0.9),
            (state.demand, after.demand, 0.25, 0.8),
        ):
            off.append((np.mean(now * then) / sigma**2 - rho) / np.sqrt((1.0 + rho**2) / n))
        assert np.abs(off).max() < 4.5, after.hour
        state = after


def test_draws_and_the_first_state_follow_market_md_section_6() -> None:
    market, rng = Market("city"), np.random.default_rng(7)
    state = stacked([market.initial_state(rng) for _ in range(40)])
    draws = stacked([market.draws(rng) for _ in range(40)])
    slots = draws.faded
    assert slots.shape == (40, 1000, 6)
    assert abs(slots.mean() - 0.15) < 4.0 * np.sqrt(0.15 * 0.85 / slots.size)
    neighbours = slots[..., 1:] & slots[..., :-1]
    assert abs(neighbours.mean() - 0.15**2) < 5.0 * np.sqrt(0.15**2 / neighbours.size)
    assert (slots.sum(axis=-1) > market.population.fade_budget).any()
    laws = {
        "shadowing": (draws.shadowing, stats.norm()),
        "demand": (draws.demand, stats.norm()),
        "harvest": (draws.harvest, stats.uniform(0.5, 1.0)),
        "first shadowing": (state.shadowing, stats.norm(0.0, 4.0)),
        "first demand": (state.demand, stats.norm(0.0, 0.25)),
        "first charge": (state.charge / market.population.capacity, stats.uniform(0.3, 0.7)),
    }
    for name, (values, law) in laws.items():
        assert stats.kstest(values.reshape(-1), law.cdf).pvalue > 1e-3, name
    assert (state.hour == 0).all()


def test_a_days_draws_are_its_periods_in_order() -> None:
    market = Market("day")
    (state, draws), rng = one_day(market, 3), np.random.default_rng(3)
    by_hand = market.initial_state(rng), [market.draws(rng) for _ in range(24)]
    assert data_equivalence((state, periods_of(draws)), by_hand, exact=True)


@pytest.mark.parametrize("name", ["day", "static", "scarce"])
def test_lanes_settle_like_single_markets(name: str) -> None:
    market = Market(name)
    rng = np.random.default_rng(8)
    states = [random_state(market, seed) for seed in range(5)]
    draws = [market.draws(rng) for _ in states]
    prices = random_prices(rng, (5, 4))
    together, after = market.settle(prices, stacked(states), stacked(draws))
    singles = [market.settle(prices[k], states[k], draws[k]) for k in range(5)]
    assert together.profit.shape == (5,)
    assert np.unique(together.choice).size > 3
    for k, (single, single_after) in enumerate(singles):
        assert (together.choice[k] == single.choice).all()
        for field in Settlement._fields:
            lane, alone = getattr(together, field)[k], getattr(single, field)
            np.testing.assert_allclose(lane, alone, rtol=1e-12, atol=1e-12, err_msg=field)
        for lane, alone in zip(unstack(after)[k], single_after, strict=True):
            np.testing.assert_allclose(lane, alone, rtol=1e-12, atol=1e-12)


def test_lanes_have_the_terms_of_single_markets_one_after_another() -> None:
    market = Market("day")
    states = [random_state(market, seed) for seed in range(3)]
    together, singles = market.terms(stacked(states)), [market.terms(state) for state in states]
    for name in terms_by_hand(market, states[0]):
        joined = np.concatenate([getattr(single, name) for single in singles])
        np.testing.assert_allclose(getattr(together, name), joined, rtol=1e-12, err_msg=name)


def test_unstack_gives_the_states_that_were_stacked() -> None:
    market = Market("day")
    states = [random_state(market, seed) for seed in range(3)]
    for state, back in zip(states, unstack(stacked(states)), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(state, back, strict=True))


def test_one_more_fade_never_raises_a_customers_realised_profit() -> None:
    market = Market("day")
    lost = 0.0
    for state, draws, settlement, _ in settled_days(market, range(2))[::3]:
        for slot in range(6):
            faded = draws.faded.copy()
            faded[:, slot] = True
            worse, _ = market.settle(settlement.prices, state, draws._replace(faded=faded))
            assert (worse.choice == settlement.choice).all()
            assert (worse.customer_profit <= settlement.customer_profit + 1e-9).all()
            lost += float((settlement.customer_profit - worse.customer_profit).sum())
    assert lost > 1.0


@pytest.mark.parametrize("name", ["day", "scarce"])
def test_realised_profit_is_at_least_the_promise_while_no_more_slots_fade_than_budgeted(name: str) -> None:
    market = Market(name)
    broken, kept = 0, 0
    for _, draws, settlement, _ in settled_days(market, range(10)):
        gain = settlement.customer_profit - settlement.worst_case_profit
        within = draws.faded.sum(axis=1) <= market.population.fade_budget
        assert (gain[within] >= -1e-9).all()
        broken += int((gain[~within] < -1e-9).sum())
        kept += int((within & (settlement.choice >= 0)).sum())
    assert kept > 1000
    assert broken > 0  # so the promise is not kept whatever happens


def test_a_static_market_is_one_period_in_which_the_plan_is_what_is_rented() -> None:
    market = Market("static")
    state, draws = one_day(market, 4)
    assert len(draws.faded) == 1
    assert not draws.faded.any()
    assert (state.shadowing == 0.0).all()
    assert (state.demand == 0.0).all()
    assert (state.charge == market.population.capacity).all()
    prices = np.array([4.0, 5.0, 6.0, 8.0])
    settlement, _ = market.settle(prices, state, draws.at(0))
    plan = solve(market.terms(state), prices)
    buyers = np.flatnonzero(plan.choice >= 0)
    assert buyers.size > 10
    assert (settlement.choice == plan.choice).all()
    assert (settlement.hours[buyers] == plan.planned_hours[buyers, plan.choice[buyers]]).all()
    assert (np.delete(settlement.hours, buyers, axis=0) == 0.0).all()


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_books_are_what_choices_hours_and_prices_give_by_hand(name: str) -> None:
    market = Market(name, seed=1)
    numbers, people = market.scenario, market.population
    for state, draws, settlement, _ in settled_days(market, range(2)):
        terms = terms_by_hand(market, state)
        revenue, cost, counts, hours = 0.0, sum(numbers.training_cost), [0] * 4, [0.0] * 4
        for n in range(people.size):
            m, rented = int(settlement.choice[n]), settlement.hours[n]
            profit, energy, promise = 0.0, 0.0, 0.0
            if m >= 0:
                price, total = float(settlement.prices[m]), float(sum(rented))
                revenue += price * total
                cost += numbers.serving_cost[m] * total + numbers.adaptation_cost[m]
                counts[m] += 1
                hours[m] += total
                fade = draws.faded[n].astype(int)
                q, c, g, cap = (terms[field][n, m, fade] for field in RENTAL)
                gain = terms["task_value"][n] * np.log(1.0 + people.saturation[n] * q * rented)
                profit = float(np.sum(gain - (price + c) * rented)) - numbers.setup_cost[m]
                energy = float(np.sum(g * rented))
                promise = solve(market.terms(state), settlement.prices).worst_case_profit[n, m]
                assert (rented <= cap * (1.0 + 1e-12)).all()
            else:
                assert (rented == 0.0).all()
            assert settlement.customer_profit[n] == pytest.approx(profit, rel=1e-11, abs=1e-11)
            assert settlement.energy_used[n] == pytest.approx(energy, rel=1e-11, abs=1e-11)
            assert settlement.worst_case_profit[n] == promise
        assert settlement.revenue == pytest.approx(revenue, rel=1e-12)
        assert settlement.cost == pytest.approx(cost, rel=1e-12)
        assert settlement.profit == pytest.approx(revenue - cost, rel=1e-12, abs=1e-12)
        assert settlement.customers_per_model.tolist() == counts
        assert settlement.hours_per_model == pytest.approx(hours, rel=1e-12)
        assert settlement.faded is draws.faded or (settlement.faded == draws.faded).all()


def test_with_no_customers_renting_the_seller_loses_its_training_costs() -> None:
    market = Market(dataclasses.replace(Scenario(), price_cap=1e6))
    state, draws = one_day(market, 0)
    settlement, _ = market.settle(np.full(4, 1e6), state, draws.at(0))
    assert (settlement.choice == -1).all()
    assert settlement.revenue == 0.0
    assert settlement.profit == pytest.approx(-(0.2 + 0.5 + 1.2 + 3.0))


CALLS: dict[str, Callable[[Market, np.ndarray, State, Draws], Any]] = {
    "terms": lambda market, _, state, __: market.terms(state),
    "settle": lambda market, prices, state, draws: market.settle(prices, state, draws),
}


@pytest.mark.parametrize("lanes", [False, True])
@pytest.mark.parametrize("name", ["day", "static"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_market_changes_none_of_its_inputs_and_remembers_nothing(
    call: Callable[..., Any], name: str, lanes: bool
) -> None:
    market = Market(name)
    state, draws = random_state(market, 2), market.draws(np.random.default_rng(2))
    prices = random_prices(np.random.default_rng(3))
    inputs = (np.stack([prices] * 2), stacked([state] * 2), stacked([draws] * 2)) if lanes else (prices, state, draws)
    before = copy.deepcopy((inputs, vars(market)))
    first = call(market, *inputs)
    assert data_equivalence((inputs, vars(market)), before, exact=True)
    second = call(market, *inputs)
    if isinstance(first, tuple):
        assert data_equivalence(first, second, exact=True)
    else:
        assert data_equivalence(vars(first), vars(second), exact=True)


def test_a_settlement_is_not_changed_by_what_follows() -> None:
    market = Market("day")
    state, draws = one_day(market, 1)
    first = market.settle(np.full(4, 5.0), state, draws.at(0))
    kept = copy.deepcopy(first)
    market.settle(np.full(4, 7.0), first[1], draws.at(1))
    assert data_equivalence(first, kept, exact=True)


@pytest.mark.parametrize(
    "prices",
    [[1.0, 2.0, 3.0], np.ones((1, 4)), 5.0, [1, 2, 3, np.nan], [1, 2, 3, np.inf], [1, 2, 3, -5.0], ["a"] * 4, None],
)
def test_prices_that_cannot_be_posted_are_refused(prices: Any) -> None:
    market = Market("day")
    state, draws = one_day(market, 0)
    with pytest.raises(ValueError, match="prices"):
        market.settle(prices, state, draws.at(0))


@pytest.mark.parametrize("field", ["shadowing", "demand", "charge"])
def test_a_state_with_an_impossible_number_is_refused(field: str) -> None:
    market = Market("day")
    state, draws = one_day(market, 0)
    wrong = getattr(state, field).copy()
    wrong[3] = -1.0 if field == "charge" else np.nan
    with pytest.raises(ValueError, match=r"\[3"):
        market.settle(np.full(4, 5.0), state._replace(**{field: wrong}), draws.at(0))


class SettledByParts(RSR):
    """RSR's customers, settled by the code for customers of any strategy instead of one kernel."""


def test_compiled_lanes_in_threads_are_the_settlement_of_any_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market("day")
    state, draws = draw_days(market, range(100))
    prices = np.random.default_rng(0).uniform(4.0, 30.0, (100, 4))
    compiled = market.settle(prices, state, draws.at(0))
    monkeypatch.setattr("lmaas_env.market.in_threads", lambda work, size, least: [work(0, size)])
    assert data_equivalence(market.settle(prices, state, draws.at(0)), compiled, exact=True)
    monkeypatch.setattr(market, "customers", SettledByParts())
    assert data_equivalence(market.settle(prices, state, draws.at(0)), compiled, exact=False)


def test_draws_and_states_of_other_shapes_are_refused() -> None:
    market = Market("day")
    state, draws = one_day(market, 0)
    prices = np.full(4, 9.0)
    for field in ("faded", "shadowing", "demand", "harvest", "choice_uniform"):
        with pytest.raises(ValueError, match=f"draws: {field} has shape"):
            market.settle(prices, state, draws.at(0)._replace(**{field: getattr(draws.at(0), field)[:-1]}))
    for field in ("shadowing", "demand", "charge"):
        with pytest.raises(ValueError, match=f"state: {field} has shape"):
            market.settle(prices, state._replace(**{field: np.zeros(23)}), draws.at(0))
    with pytest.raises(ValueError, match="state: hour has shape"):
        market.settle(prices, state._replace(hour=np.zeros(3, np.int64)), draws.at(0))


@pytest.mark.parametrize("sellers", [1, 2])
def test_a_lane_of_several_blocks_is_settled_as_its_customers_by_themselves(sellers: int) -> None:
    """1000 customers take three blocks; prices and days are those of all of them."""
    market = Market(dataclasses.replace(Scenario.preset("city"), sellers=sellers))
    assert market.population.size > 2 * BLOCK
    state, day = one_day(market, 5)
    prices, parts = random_prices(np.random.default_rng(5), (market.offers,)), [slice(0, 300), slice(300, 1000)]
    lone = [market.of_some(part) for part in parts]

    def sites(values: np.ndarray, part: slice) -> np.ndarray:
        return values.reshape(sellers, -1)[:, part].ravel()

    states = [State(0, sites(state.shadowing, it), state.demand[it], state.charge[it]) for it in parts]
    for draws in list(periods_of(day))[:6]:
        settlement, state = market.settle(prices, state, draws)
        drawn = [Draws(draws.faded[it], sites(draws.shadowing, it), *(a[it] for a in draws[2:])) for it in parts]
        settled = [one.settle(prices, *both) for one, both in zip(lone, zip(states, drawn, strict=True), strict=True)]
        found, states = [it for it, _ in settled], [after for _, after in settled]
        for name in ("choice", "hours", "customer_profit", "worst_case_profit", "energy_used", "spilled"):
            assert np.array_equal(getattr(settlement, name), np.concatenate([getattr(it, name) for it in found])), name
        for name in ("revenue", "customers_per_model", "hours_per_model"):
            assert getattr(settlement, name) == pytest.approx(sum(getattr(it, name) for it in found), rel=1e-12), name
        training = market.catalogue.training_cost.sum()
        assert settlement.profit == pytest.approx(sum(it.profit for it in found) + training, rel=1e-12)
        for it, part in zip(states, parts, strict=True):
            assert it.hour == state.hour
            assert np.array_equal(it.shadowing, sites(state.shadowing, part))
            assert np.array_equal(it.charge, state.charge[part])
            assert np.array_equal(it.demand, state.demand[part])


def test_sums_over_the_customers_of_several_blocks_are_over_all_of_them() -> None:
    market = Market("city")
    state, day = one_day(market, 5)
    record = market.new_record(1)
    one = State(np.array([12]), *(array[None] for array in state[1:]))
    market.settle_batch(np.full((1, 4), 9.0), one, Draws(*(array[:1, None] for array in day)), record)
    mine = record.per_customer[:, 0]
    profit, worst, faded = record.per_lane[:, 0]
    assert profit == pytest.approx(mine[CUSTOMER_PROFIT].sum(), rel=1e-12)
    assert worst == pytest.approx(mine[WORST_CASE_PROFIT].sum(), rel=1e-12)
    assert faded == pytest.approx(day.faded[0].mean(), rel=1e-12)
    assert record.customers_per_model[0].sum() == (record.choice[0] >= 0).sum()
