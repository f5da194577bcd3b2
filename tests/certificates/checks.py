"""Checks on tiny markets, each fast enough to run without compiled kernels.

`test_checks` runs them on compiled kernels, `test_mutations` on plain Python: there each must pass, and fail once the
code is broken on purpose. Every check compares the code with a second writing, a certificate or a property.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from lmaas_agents import IMP
from lmaas_agents.imp import multistart
from lmaas_agents.imp.coordinate_ascent import anticipated_profit
from lmaas_agents.imp.line_search import (
    EXACT,
    Problem,
    _bound,
    _concave,
    _gone,
    _hours,
    _interval,
    _look,
    demand_for,
    fill_model,
    new_points,
    nothing_known,
    search_price,
)
from lmaas_agents.imp.price_table import price_table
from lmaas_agents.learned.snap import snap_to_threshold
from lmaas_agents.lookahead import SHARES, charged_costs, energy_value, shadow_prices
from lmaas_agents.search.price_boxes import BLOCKS, box_bound, tabulate

from lmaas_env import Market, Population, RentalTerms, Scenario
from lmaas_env.customers import static_robust
from lmaas_env.engine import recourse as scalar
from lmaas_env.engine import rsr
from lmaas_env.engine.terms import price_per_customer
from lmaas_env.env import LMaaSEnv
from lmaas_env.rsr import rent, solve
from lmaas_env.seeds import held_out_seeds, open_days, training_seeds, tuning_seeds
from lmaas_env.spaces import (
    action_from_prices,
    observation_from_state,
    prices_from_action,
    shown_constants,
    state_from_observation,
)
from lmaas_env.state import Draws, State
from lmaas_env.types import BoolArray, FloatArray
from lmaas_env.vector_env import LMaaSVectorEnv
from tests.certificates.oracle import best_profit, dual_bound, fade_patterns, random_prices, random_terms
from tests.certificates.oracle import recourse_problem as problem_of

TINY = dataclasses.replace(
    Scenario(), customers=4, slots=3, periods=3, demand_rise=0.0, fade_probability=0.4, task_value_median=12.0
)


def market_of(seed: int = 1, **changes: Any) -> Market:
    """A market of few customers, slots and hours, most of whom rent."""
    scenario = dataclasses.replace(TINY, **changes)
    return Market(scenario, population=Population.sample(scenario, np.random.default_rng(seed)))


def days_of(market: Market, lanes: int, seed: int = 0) -> tuple[State, Draws]:
    return market.days([np.random.default_rng([seed, lane]) for lane in range(lanes)])


def some_prices(rng: np.random.Generator, lanes: int, models: int = 4) -> FloatArray:
    """Prices (K, M) at which some customers rent each model and some none."""
    return np.array([3.0, 5.0, 8.0, 12.0])[:models] * np.exp(rng.uniform(-1.0, 0.7, (lanes, models)))


# RSR and its recourse


def worst_case_is_that_of_all_fade_patterns() -> None:
    """W against the least of certified optima over every pattern of the budget, and its hours against the dual."""
    rng = np.random.default_rng(3)
    for customers, slots in ((3, 3), (2, 4), (3, 2), (2, 3), (3, 3)):
        terms, prices = random_terms(rng, customers, 2, slots), random_prices(rng, 2)
        result = solve(terms, prices)
        for n, m in itertools.product(range(customers), range(2)):
            patterns = fade_patterns(slots, int(terms.fade_budget[n]))
            exact = min(best_profit(problem_of(terms, n, m, prices[m], faded)) for faded in patterns)
            assert result.worst_case_profit[n, m] == pytest.approx(exact, rel=1e-8, abs=1e-8)
            worst = np.arange(slots) < terms.fade_budget[n]
            planned = problem_of(terms, n, m, prices[m], worst).profit(result.planned_hours[n, m])
            assert planned == pytest.approx(result.worst_case_profit[n, m], rel=1e-9, abs=1e-9)


def rentals_are_feasible_and_optimal() -> None:
    """Rented hours, profit and energy of the selected models against the constraints and the dual bound."""
    rng = np.random.default_rng(5)
    for slots in (1, 4, 6):
        terms, prices = random_terms(rng, 12, 3, slots), random_prices(rng, 3)
        choice, faded = rng.integers(-1, 3, 12), rng.random((12, slots)) < 0.5
        rental = rent(terms, choice, prices, faded)
        for n, m in enumerate(choice):
            if m < 0:
                assert rental.profit[n] == rental.energy[n] == rental.hours[n].sum() == 0.0
                continue
            problem, hours = problem_of(terms, n, m, prices[m], faded[n]), rental.hours[n]
            assert ((hours >= 0.0) & (hours <= problem.cap)).all()
            used = float(problem.power @ hours)
            assert used <= problem.energy + 1e-12 * max(1.0, problem.energy)
            assert rental.energy[n] == pytest.approx(used, rel=1e-12, abs=1e-12)
            assert rental.profit[n] == pytest.approx(problem.profit(hours), rel=1e-12, abs=1e-12)
            assert rental.profit[n] == pytest.approx(dual_bound(problem), rel=1e-9, abs=1e-9)


def a_batch_equals_one_problem_at_a_time() -> None:
    """The SIMD recourse against the scalar one where no, few (deferred) or most problems lack energy."""
    rng = np.random.default_rng(7)
    for share in (0.0, 0.1, 0.9):
        terms, prices = random_terms(rng, 40, 2, 4).arrays, random_prices(rng, 2)
        terms = terms._replace(energy=np.where(rng.random(40) < share, 1e-2, 1e9))
        price, faded = price_per_customer(prices[None], 40), rng.random((4, 40)) < 0.4
        for choice in (np.zeros(40, dtype=np.int64), np.ones(40, dtype=np.int64)):
            hours, profit, energy = rsr.rent(terms, choice, price, faded)
            for n, m in enumerate(choice):
                alone = np.empty(4)
                pattern = np.ascontiguousarray(faded[:, n])
                expected, _, used = scalar.recourse(terms, n, int(m), float(prices[m]), pattern, alone)
                assert profit[n] == pytest.approx(expected, rel=1e-11, abs=1e-11)
                assert energy[n] == pytest.approx(used, rel=1e-9, abs=1e-9)
                np.testing.assert_allclose(hours[:, n], alone, rtol=1e-7, atol=1e-9)


def customers_select_the_first_best_model_or_none() -> None:
    rng = np.random.default_rng(1)
    different = random_terms(rng, 20, 3, 2)
    names = ("setup_cost", "quality", "airtime_cost", "power", "max_hours")
    fields = {name: np.repeat(getattr(different, name)[:, :2], [1, 2], axis=1) for name in names}
    tied = dataclasses.replace(different, **fields)  # the last two models are the same
    for terms, selected in ((different, {-1, 0, 1, 2}), (tied, {-1, 0, 1})):
        result = solve(terms, [2.0, 2.0, 2.0])
        worst = result.worst_case_profit
        assert (worst[:, 1] == worst[:, 2]).all() == (terms is tied)
        expected = np.where(worst.max(axis=1) > 1e-12, worst.argmax(axis=1), -1)
        assert result.choice.tolist() == expected.tolist()
        assert set(expected) == selected


# Settlement and transition


def terms_follow_the_market_model() -> None:
    """Rental terms against docs/market.md, sections 2 and 6, for lanes with customers of their own."""
    rng = np.random.default_rng(0)
    stacked = Population.stack([Population.sample(TINY, np.random.default_rng(seed)) for seed in (1, 2)])
    market = Market(TINY, population=stacked)
    shape, scenario = (2, TINY.customers), market.scenario
    state = State(
        np.array([2, 30]),
        4.0 * rng.standard_normal(shape),
        0.25 * rng.standard_normal(shape),
        stacked.capacity * rng.random(shape),
    )
    terms = market.terms(state)
    noise = -165.0 + 10.0 * np.log10(stacked.bandwidth)
    snr = 10.0 * np.log10(1e3 * scenario.transmit_power) - 128.1 - 37.6 * np.log10(stacked.distance / 1e3) - noise
    gamma = np.stack([snr + state.shadowing, snr + state.shadowing - stacked.fade_depth], axis=-1)[:, :, None]
    rate = np.maximum(stacked.bandwidth[..., None, None] * np.log2(1.0 + 10.0 ** (gamma / 10.0)), 1.0)
    airtime = np.array(scenario.bit_rate)[:, None] / rate
    low, high, slope, offset = (
        np.array(getattr(scenario, f"quality_{name}"))[:, None] for name in ("low", "high", "slope", "offset")
    )
    wave = 1.0 + scenario.demand_peak * np.sin(2.0 * np.pi * (state.hour - scenario.demand_rise) / 24.0)
    factor = np.exp(state.demand) * np.maximum(scenario.demand_trough, wave)[:, None]
    expected = {
        "task_value": stacked.task_value * factor[..., None],
        "fade_budget": stacked.fade_budget,
        "saturation": stacked.saturation,
        "energy": state.charge,
        "setup_cost": np.tile(scenario.setup_cost, (*shape, 1)),
        "quality": low + (high - low) / (1.0 + np.exp(-(slope * gamma + offset))),
        "airtime_cost": scenario.airtime_price * airtime,
        "power": scenario.transmit_power * airtime + np.array(scenario.compute_power)[:, None],
        "max_hours": np.minimum(1.0, 1.0 / airtime) / scenario.slots,
    }
    for name, values in expected.items():
        actual = getattr(terms, name).reshape(values.shape)
        np.testing.assert_allclose(actual, values, rtol=1e-11, err_msg=name)


def settlements_and_states_follow_the_market_model() -> None:
    """Every number of a settlement and of the next state, by the public `solve` and `rent` and docs/market.md."""
    rng, market = np.random.default_rng(2), market_of(harvest=0.3)
    scenario, models, people = market.scenario, market.catalogue, market.population
    state, draws = days_of(market, 3)
    rented = spilled = 0
    for hour in range(2):
        prices, period = some_prices(rng, 3), draws.at(hour)
        settled, after = market.settle(prices, state, period)
        for k in range(3):
            own = State(hour, *(array[k] for array in state[1:]))
            terms = market.terms(own)
            result = solve(terms, prices[k])
            choice = result.choice
            rental = rent(terms, choice, prices[k], period.faded[k])
            hours, chosen = rental.hours.sum(axis=1), choice >= 0
            guaranteed = np.where(chosen, result.worst_case_profit[np.arange(people.size), choice], 0.0)
            assert settled.choice[k].tolist() == choice.tolist()
            per_model = [[(choice == m).sum(), hours[choice == m].sum()] for m in range(models.size)]
            customers_per_model, hours_per_model = np.array(per_model).T
            costs = models.serving_cost @ hours_per_model + models.adaptation_cost @ customers_per_model
            revenue, cost = prices[k] @ hours_per_model, costs + models.training_cost.sum()
            charge = own.charge - rental.energy + scenario.harvest * people.capacity * period.harvest[k]
            shadowing = scenario.shadowing_sigma * np.sqrt(1.0 - scenario.shadowing_memory**2) * period.shadowing[k]
            demand = scenario.demand_sigma * np.sqrt(1.0 - scenario.demand_memory**2) * period.demand[k]
            expected = {
                "hours": rental.hours,
                "revenue": revenue,
                "cost": cost,
                "profit": revenue - cost,
                "customer_profit": rental.profit,
                "worst_case_profit": guaranteed,
                "energy_used": rental.energy,
                "spilled": np.maximum(charge - people.capacity, 0.0),
                "customers_per_model": customers_per_model,
                "hours_per_model": hours_per_model,
            }
            for name, values in expected.items():
                np.testing.assert_allclose(getattr(settled, name)[k], values, rtol=1e-9, atol=1e-9, err_msg=name)
            np.testing.assert_allclose(after.charge[k], charge.clip(0.0, people.capacity), rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(after.shadowing[k], scenario.shadowing_memory * own.shadowing + shadowing)
            np.testing.assert_allclose(after.demand[k], scenario.demand_memory * own.demand + demand)
            assert after.hour[k] == hour + 1
            rented += len(set(choice[chosen]))
            spilled += (charge > people.capacity).sum()
        state = after
    assert rented > 6  # several models are selected in one period
    assert spilled > 0


def draws_have_the_scenarios_probabilities() -> None:
    """Fades that are certain, impossible or drawn; harvests, charges and normal numbers in their ranges."""
    for probability in (0.0, 1.0):
        assert (days_of(market_of(fade_probability=probability), 3)[1].faded == bool(probability)).all()
    market = market_of(customers=40, slots=6, fade_probability=0.2)
    state, draws = days_of(market, 4)
    assert draws.faded.mean() == pytest.approx(0.2, abs=0.04)
    assert draws.harvest.min() == pytest.approx(0.5, abs=0.05)
    assert draws.harvest.max() == pytest.approx(1.5, abs=0.05)
    share = state.charge / market.population.capacity
    assert [share.min(), share.max()] == pytest.approx([0.3, 1.0], abs=0.05)
    for numbers in (draws.shadowing, draws.demand, state.shadowing / 4.0, state.demand / 0.25):
        assert numbers.std() == pytest.approx(1.0, abs=0.15)
    rng = np.random.default_rng([0, 2])  # lane 2: its first state, then its periods in order
    alone = market.initial_state(rng)
    for one, other in zip(alone[1:], state[1:], strict=True):
        assert np.array_equal(one, other[2])
    for hour in range(3):
        for one, other in zip(market.draws(rng), draws.at((hour, 2)), strict=True):
            assert np.array_equal(one, other)


# Spaces


def prices_are_log_linear_in_actions() -> None:
    market = market_of()
    floor, cap = market.scenario.price_floor, market.scenario.price_cap
    actions = np.array([[-1.0, -0.5, 0.0, 0.7], [1.0, 2.0, -3.0, 0.1]])
    prices = prices_from_action(market, actions)
    np.testing.assert_allclose(prices, floor * (cap / floor) ** (0.5 * (actions.clip(-1.0, 1.0) + 1.0)), rtol=1e-13)
    np.testing.assert_allclose(action_from_prices(market, prices), actions.clip(-1.0, 1.0), rtol=1e-6, atol=1e-7)


def observations_have_their_layout() -> None:
    """Full, public and with customers' constants; after a step too, and read back."""
    market = market_of()
    env = LMaaSVectorEnv(2, market=market)
    env.reset(seed=1)
    seen = env.step(np.array([[0.1, 0.2, 0.3, 0.4], [-0.3, 0.0, 0.3, 2.0]]))[0]
    state = env.state
    assert state is not None
    angle = 2.0 * np.pi * state.hour / 24.0
    clock = np.stack([np.sin(angle), np.cos(angle), 1.0 - state.hour / 3.0], axis=1)
    battery = 2.0 * state.charge / market.population.capacity - 1.0
    expected = np.concatenate([state.shadowing / 4.0, battery, state.demand / 0.25, clock], axis=1)
    np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(state_from_observation(market, seen), state, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)

    public = LMaaSVectorEnv(2, market=market_of(observation="public"))
    assert public.reset(seed=1)[0][:, 3:].any() == np.False_
    actions = np.array([[-0.9, -0.5, -0.3, -0.4], [-0.3, -0.8, 0.3, 2.0]])
    seen, reward, _, _, info = public.step(actions)
    np.testing.assert_allclose(info["revenue"] - info["cost"], info["profit"], rtol=1e-12)
    np.testing.assert_allclose(info["profit"], 4.0 * reward, rtol=1e-12)
    sale = [actions.clip(-1.0, 1.0), info["hours_per_model"] / 4.0, info["customers_per_model"] / 4.0, reward[:, None]]
    assert info["hours_per_model"].any()
    np.testing.assert_allclose(seen, np.concatenate([clock, *sale], axis=1), rtol=1e-5, atol=1e-5)

    resampled, state, _ = open_days(market_of(resample_population="episode"), [4, 5])
    seen = observation_from_state(resampled, state)
    people = resampled.population
    np.testing.assert_allclose(seen[:, 4:8], 2.0 * state.charge / people.capacity - 1.0, rtol=1e-5, atol=1e-6)
    assert np.array_equal(seen[:, 15:], shown_constants(resampled))
    first = seen[:, 15:].reshape(2, 4, 9)[..., 0]
    np.testing.assert_allclose(first, np.log(people.distance / 250.0), rtol=1e-5, atol=1e-6)


# Seeds


def seeds_do_not_overlap() -> None:
    assert held_out_seeds(2) == range(900_000_000, 900_000_002)
    assert training_seeds(1, 2) == range(1_000_000, 1_000_002)
    assert training_seeds(499, 3, skip=4) == range(499_000_004, 499_000_007)
    assert tuning_seeds(400_000_000) == range(500_000_000, 900_000_000)
    refused: list[Callable[[], range]] = [
        lambda: training_seeds(0, 1),
        lambda: training_seeds(500, 1),
        lambda: training_seeds(1, 1_000_001),
        lambda: training_seeds(1, 10, skip=999_995),
        lambda: tuning_seeds(400_000_001),
        lambda: held_out_seeds(0),
    ]
    for call in refused:
        with pytest.raises(ValueError, match="must be in"):
            call()


def an_opened_day_is_that_of_the_environment() -> None:
    for resample in ("never", "episode"):
        market = market_of(resample_population=resample)
        opened, state, draws = open_days(market, [7, 9])
        seen = observation_from_state(opened, state)
        settled, _ = opened.settle(np.full((2, 4), 5.0), state, draws.at(0))
        for lane, seed in enumerate((7, 9)):
            env = LMaaSEnv(market.scenario) if resample == "episode" else _scalar(market)
            np.testing.assert_allclose(env.reset(seed=seed)[0], seen[lane], rtol=1e-6, atol=1e-6)
            action = action_from_prices(market, np.full(4, 5.0))
            assert env.step(action)[1] == pytest.approx(settled.profit[lane] / 4.0, rel=1e-5)


# Vector environment


def _scalar(market: Market) -> LMaaSEnv:
    """The scalar environment of a market."""
    env = LMaaSEnv(market.scenario)
    env.market = market
    return env


def lanes_equal_scalar_environments() -> None:
    """Both autoreset modes, across a day's end, against scalar environments that are stepped and reset by hand."""
    market, rng = market_of(), np.random.default_rng(0)
    for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
        native = LMaaSVectorEnv(2, market=market, autoreset_mode=mode)
        lanes = [_scalar(market) for _ in range(2)]
        seen = native.reset(seed=3)[0]
        for lane, env in enumerate(lanes):
            np.testing.assert_allclose(seen[lane], env.reset(seed=3 + lane)[0], rtol=1e-6, atol=1e-6)
        over = False
        for _ in range(5):
            actions = rng.uniform(-1.0, 0.0, (2, 4))
            seen, reward, terminated, _, info = native.step(actions)
            for lane, env in enumerate(lanes):
                if over:
                    expected, earned, ends = env.reset()[0], 0.0, False
                else:
                    expected, earned, ends, _, _ = env.step(actions[lane])
                    if ends and mode is AutoresetMode.SAME_STEP:
                        np.testing.assert_allclose(info["final_obs"][lane], expected, rtol=1e-6, atol=1e-6)
                        expected = env.reset()[0]
                np.testing.assert_allclose(seen[lane], expected, rtol=1e-6, atol=1e-6)
                assert reward[lane] == pytest.approx(earned, rel=1e-12)
                assert terminated[lane] == ends
            over = mode is AutoresetMode.NEXT_STEP and bool(terminated.all())


def a_reset_mask_touches_its_lanes_only() -> None:
    """Lanes at different hours: what a mask resets and seeds, and the reward 0 of the step that starts a day."""
    market, action = market_of(), np.full((2, 4), -0.5)
    native, lanes = LMaaSVectorEnv(2, market=market), [_scalar(market) for _ in range(2)]
    native.reset(seed=5)
    native.step(action)
    native.reset(seed=[20, 9], options={"reset_mask": np.array([False, True])})
    for env, seed in zip(lanes, (5, 9), strict=True):
        env.reset(seed=seed)
    lanes[0].step(action[0])
    over = [False, False]
    for _ in range(5):
        seen, reward, terminated, _, info = native.step(action)
        for lane, env in enumerate(lanes):
            if over[lane]:
                expected, earned, ends = env.reset()[0], 0.0, False
            else:
                expected, earned, ends, _, _ = env.step(action[lane])
            np.testing.assert_allclose(seen[lane], expected, rtol=1e-6, atol=1e-6)
            assert reward[lane] == pytest.approx(earned, rel=1e-12)
            assert terminated[lane] == ends
            assert info["_profit"][lane] == (not over[lane])
            over[lane] = ends


# IMP


def problem_for(
    seed: int, anticipate: str = "worst_case", charge: float = 0.0, customers: int = 3, energy: float = 1.0
) -> Problem:
    """A pricing problem of few customers in the afternoon, with a charge on energy, and a factor on the batteries."""
    market = market_of(seed, customers=customers, demand_rise=9.0, task_value_median=5.0)
    state = market.initial_state(np.random.default_rng(seed))._replace(hour=14)
    problem = IMP(market, anticipate).problem(market.terms(state._replace(charge=energy * state.charge)))
    charged = problem.seller.serving_cost + charge * problem.terms.power[0]
    return problem._replace(seller=problem.seller._replace(serving_cost=charged))


def sales_at(problem: Problem, prices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """W (M, N) and the seller's anticipated profit from each sale (M, N)."""
    worst, sale = np.empty((2, *problem.terms.setup_cost.shape))
    for m, price in enumerate(prices):
        fill_model(problem, m, price, worst, sale)
    return worst, sale


def profit_along(problem: Problem, prices: FloatArray, m: int) -> Callable[[float], float]:
    """The anticipated profit by the price of model m."""
    worst, sale = sales_at(problem, prices)

    def at(price: float) -> float:
        fill_model(problem, m, price, worst, sale)
        return float(rsr.chosen(sale, rsr.select(worst)).sum()) - problem.seller.training_cost

    return at


def the_line_search_finds_the_best_price() -> None:
    """Against a scan of prices that includes both sides of every threshold."""
    for seed, charge in ((1, 0.0), (2, 0.0), (4, 0.3)):
        problem = problem_for(seed, charge=charge)
        prices, m, cap = np.array([6.0, 7.0, 9.0, 14.0]), seed % 4, problem.seller.price_cap
        demand = demand_for(problem, m, cap, *sales_at(problem, prices), nothing_known(3, 4))
        found, profit, _ = search_price(problem, m, cap, -np.inf, demand, new_points(3), EXACT)
        at = profit_along(problem, prices, m)
        inside = demand.threshold[(demand.threshold > 1.0) & (demand.threshold < cap)]
        scan = np.concatenate([np.geomspace(1.0, cap, 60), *(inside * factor for factor in (1 - 1e-6, 1 + 1e-6))])
        assert at(found) == pytest.approx(profit - problem.seller.training_cost, rel=1e-9)
        best = max(at(price) for price in scan.clip(1.0, cap))
        assert at(found) >= best - 1e-9 * max(1.0, abs(best))


def blocks_are_bounded() -> None:
    """The bound of a block of prices against profits inside it: below and above charged costs, energy short or not."""
    for seed, charge, energy in ((2, 0.1, 1.0), (3, 0.6, 1.0), (5, 0.3, 1.0), (9, 0.0, 10.0), (12, 0.0, 10.0)):
        anticipate, rng = "expected" if seed == 2 else "worst_case", np.random.default_rng(seed)
        problem = problem_for(seed, anticipate, charge, energy=energy)
        m, cap = seed % 4, problem.seller.price_cap
        prices = np.full(4, cap) if energy > 1.0 else np.array([6.0, 7.0, 9.0, 14.0])
        demand = demand_for(problem, m, cap, *sales_at(problem, prices), nothing_known(3, 4))
        points = new_points(3)
        for left, width in itertools.product(rng.uniform(1.0, 26.0, 20), (0.5, 0.1)):
            right = left * (1.0 + width)
            first, last = _gone(demand, left), _gone(demand, right)
            for row, price in enumerate((left, right)):
                _look(problem, m, demand, points, row, price, first)
            bound = _bound(demand, points, 0, 1, first, last, 0).bound
            for price in np.linspace(left, right, 9):
                low, high = _interval(demand, _gone(demand, price))
                if low <= price <= high:
                    profit = _look(problem, m, demand, points, 2, price, 0)
                    assert bound >= profit - 1e-9 * max(1.0, abs(profit))


def sales_lie_below_their_tangents() -> None:
    """Where nothing bends, at prices above and below cost."""
    problem = problem_for(1, customers=12)
    rng, agreeing = np.random.default_rng(0), [0, 0]
    for trial in range(800):
        n, m, below = int(rng.integers(12)), int(rng.integers(4)), trial % 2
        energy = problem.terms.energy * rng.choice([1.0, 0.3, 0.1, 0.03])
        power = problem.terms.power * np.array([1.0, rng.uniform(1.0, 8.0)])[:, None, None]
        terms = problem.terms._replace(energy=energy, power=power)
        left, right = np.sort(rng.uniform(1.0, 40.0, 2))
        right = left + (right - left) * rng.choice([1.0, 0.1])
        cost = left + rng.exponential(10.0) if below else rng.uniform(0.0, 1.0)
        ends = [_hours(terms, problem.anticipation, n, m, price) for price in (left, right)]
        (hours, slope, *counts), (hours_right, slope_right, *counts_right) = ends
        concave, above = _concave(terms, n, m, cost)
        if counts[below] != counts_right[below] or hours == 0.0 or not concave or (below and left < above):
            continue
        agreeing[below] += 1
        for price in np.linspace(left, right, 12):
            profit = (price - cost) * _hours(terms, problem.anticipation, n, m, price)[0]
            for at, rented, change in ((left, hours, slope), (right, hours_right, slope_right)):
                tangent = (at - cost) * rented + (rented + (at - cost) * change) * (price - at)
                assert profit <= tangent + 1e-10
    assert min(agreeing) > 20


def imp_ends_where_no_price_gains() -> None:
    """Its profit by the public `solve` and `rent`, a rising history, and no gain of a single price on a scan."""
    for seed, anticipate in ((1, "worst_case"), (2, "worst_case"), (22, "worst_case"), (1, "expected")):
        market = market_of(seed, customers=5, demand_rise=9.0, task_value_median=5.0)
        terms = market.terms(market.initial_state(np.random.default_rng(seed))._replace(hour=14))
        imp = IMP(market, anticipate, restarts=0)
        result = imp.solve_terms(terms)
        assert result.status == "converged"
        assert (np.diff(result.history) >= 0.0).all()
        assert result.profit == pytest.approx(profit_by_hand(imp, terms, result.prices), rel=1e-9)
        allowed = 3e-6 * (abs(result.profit) + 2.0 * imp.constants.training_cost)
        for m in range(4):
            problem, at = imp.problem(terms), profit_along(imp.problem(terms), result.prices, m)
            demand = demand_for(problem, m, 40.0, *sales_at(problem, result.prices), nothing_known(5, 4))
            best = search_price(problem, m, 40.0, -np.inf, demand, new_points(5), EXACT)[1]
            assert best - imp.constants.training_cost <= result.profit + allowed
            near = result.prices[m] * np.array([0.98, 0.999, 1.001, 1.02])
            for price in np.concatenate([np.geomspace(1.0, 40.0, 12), near]).clip(1.0, 40.0):
                assert at(price) <= result.profit + allowed


def profit_by_hand(imp: IMP, terms: RentalTerms, prices: FloatArray) -> float:
    """The anticipated profit from the public `solve` and `rent` alone."""
    models, (choice, _, planned) = imp.market.catalogue, solve(terms, prices)
    buyers = np.flatnonzero(choice >= 0)
    if imp.anticipate == "worst_case":
        hours = planned[buyers, choice[buyers]].sum(axis=1)
    else:
        drawn = np.random.default_rng(0).random((16, *terms.task_value.shape)) < imp.market.scenario.fade_probability
        hours = np.mean([rent(terms, choice, prices, faded).hours.sum(axis=1) for faded in drawn], axis=0)[buyers]
    margin = (prices - models.serving_cost)[choice[buyers]]
    return float((margin * hours - models.adaptation_cost[choice[buyers]]).sum() - models.training_cost.sum())


def imp_withdraws_models_without_customers() -> None:
    """IMP ends above or at the profit that withdrawing idle models and searching again brings, and keeps buyers."""
    for seed in (8, 48):  # where withdrawing gains much
        market = market_of(seed, customers=5, demand_rise=9.0, task_value_median=5.0)
        terms = market.terms(market.initial_state(np.random.default_rng(seed))._replace(hour=14))
        imp = IMP(market, "worst_case", restarts=0)
        result = imp.solve_terms(terms, start=np.array([2.0, 3.0, 4.0, 5.0]))
        withdrawn = np.where(np.isin(np.arange(4), solve(terms, result.prices).choice), result.prices, 40.0)
        assert imp.profit(terms, withdrawn) == pytest.approx(result.profit, rel=1e-9)
        again = imp.solve_terms(terms, start=withdrawn)
        assert again.profit <= result.profit + 1e-5 * abs(result.profit)
        assert result.profit == pytest.approx(imp.profit(terms, result.prices), rel=1e-9)


def imp_ignores_the_order_of_models() -> None:
    """The same prices for models listed in another order."""
    for seed in (1, 2, 3):
        scenario = dataclasses.replace(TINY, customers=5, demand_rise=9.0, task_value_median=5.0)
        order = np.array([2, 0, 3, 1])
        names = [field.name for field in dataclasses.fields(scenario) if len(_entries(scenario, field.name)) == 4]
        turned = dataclasses.replace(
            scenario, **{name: tuple(_entries(scenario, name)[m] for m in order) for name in names}
        )
        found = []
        for own in (scenario, turned):
            market = Market(own, population=Population.sample(scenario, np.random.default_rng(seed)))
            terms = market.terms(market.initial_state(np.random.default_rng(seed))._replace(hour=14))
            found.append(IMP(market, "worst_case", restarts=0).solve_terms(terms).prices)
        np.testing.assert_allclose(found[1], found[0][order], rtol=1e-9)


def _entries(scenario: Scenario, name: str) -> tuple[Any, ...]:
    value = getattr(scenario, name)
    return value if isinstance(value, tuple) else ()


def local_searches_end_at_the_best_cells() -> None:
    """Few cells: ends that no single cell beats, the best first, and the best of all among them."""
    market = market_of(2, customers=5, demand_rise=9.0, task_value_median=1.0)
    terms = market.terms(market.initial_state(np.random.default_rng(2))._replace(hour=14))
    problem, prices, cells = IMP(market, "worst_case").problem(terms), np.array([4.0, 5.0, 7.0, 10.0]), 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multistart, "CELLS", cells)
        patch.setattr(multistart, "SEARCHES", 12)
        tables = []
        patch.setattr(multistart, "price_table", lambda *args: tables.append(price_table(*args)) or tables[-1])
        ends = multistart.starting_prices(problem, prices, np.arange(4), 3)
    table, models = tables[0], np.arange(4)
    profit: dict[tuple[int, ...], float] = {}
    for row in itertools.product(range(cells), repeat=4):
        worst, sale = (np.ascontiguousarray(array[models, :, list(row)]) for array in (table.worst, table.sale))
        profit[row] = float(rsr.chosen(sale, rsr.select(worst)).sum())
    for row in [(0, 1, 2, 3), (3, 3, 2, 1), (0, 0, 0, 0)]:
        expected = anticipated_profit(problem, table.prices[list(row), models]) + problem.seller.training_cost
        assert profit[row] == pytest.approx(expected, rel=1e-9)
    found = [tuple(int(np.flatnonzero(table.prices[:, m] == end[m])[0]) for m in range(4)) for end in ends]
    assert len(found) > 1
    assert [profit[row] for row in found] == sorted((profit[row] for row in found), reverse=True)
    assert profit[found[0]] == pytest.approx(max(profit.values()), rel=1e-9)
    for row, m, cell in itertools.product(found, range(4), range(cells)):
        assert profit[(*row[:m], cell, *row[m + 1 :])] <= profit[row] + 1e-9 * max(1.0, abs(profit[row]))


def the_personalised_bound_is_the_sum_of_each_customers_best_sale() -> None:
    for seed in (1, 2):
        market = market_of(seed, customers=3, demand_rise=9.0, task_value_median=5.0)
        terms = market.terms(market.initial_state(np.random.default_rng(seed))._replace(hour=14))
        imp = IMP(market, "worst_case", restarts=0)
        problem, best = imp.problem(terms), np.zeros(3)
        for price in np.geomspace(1.0, 40.0, 60):
            worst, sale = sales_at(problem, np.full(4, price))
            best = np.maximum(best, np.where(worst > 0.0, sale, 0.0).max(axis=0))
        by_scan, bound = best.sum() - imp.constants.training_cost, imp.bound(terms)
        assert by_scan <= bound <= by_scan + 5e-2 * best.sum()
        assert imp.solve_terms(terms).profit <= bound


def boxes_of_prices_are_bounded() -> None:
    problem, rng, cells = problem_for(2), np.random.default_rng(0), 16
    grid = np.geomspace(1.0, 40.0, cells + 1)
    tables = tabulate(problem, grid)
    for width, _ in itertools.product((1, 4), range(10)):
        first = rng.integers(0, cells - width + 1, 4)
        bound = box_bound(tables, first, first + width, np.empty((4, BLOCKS)))
        for _ in range(5):
            share = rng.random(4).round(int(rng.integers(0, 3)))
            prices = grid[first] ** (1.0 - share) * grid[first + width] ** share
            profit = float(anticipated_profit(problem, prices)) + problem.seller.training_cost
            assert profit <= bound + 1e-9 * max(1.0, abs(profit))


def snapped_prices_lie_just_below_a_threshold() -> None:
    market = market_of(customers=5, demand_rise=9.0, task_value_median=5.0)
    state, _ = days_of(market, 6)
    state = state._replace(hour=np.full(6, 14))
    prices = some_prices(np.random.default_rng(4), 6)
    found = snap_to_threshold(market, market.terms(state).arrays, prices, 0.2)
    assert (np.abs(np.log(found / prices)) <= 0.25).all()
    last, moved = int(np.argmin(market.catalogue.serving_cost)), 0  # moves last, so the others are final
    for lane in range(6):
        if found[lane, last] == prices[lane, last]:
            continue
        terms, above = market.terms(State(14, *(array[lane] for array in state[1:]))), found[lane].copy()
        above[last] *= 1.0 + 3e-6
        assert (solve(terms, found[lane]).choice == last).sum() == (solve(terms, above).choice == last).sum() + 1
        moved += 1
    assert moved > 1


# Look-ahead


def the_energy_value_is_that_of_a_certain_market() -> None:
    """Where nothing is random, backward induction by hand: what is sold now, and the value of what is left."""
    certain = {"fade_probability": 0.0, "harvest_spread": 0.0, "shadowing_sigma": 0.0, "demand_sigma": 0.0}
    market = market_of(3, periods=2, **certain)
    people, models, n = market.population, market.catalogue, market.population.size
    prices, zeros = some_prices(np.random.default_rng(1), 2), np.zeros(n)
    values = energy_value(market, prices, draws=1)
    draws = Draws(np.zeros((n, 3), dtype=np.bool_), zeros, zeros, np.ones(n), zeros)
    drained = 0.0
    for hour, level in itertools.product((0, 1), range(SHARES.size)):
        state = State(hour, zeros, zeros, SHARES[level] * people.capacity)
        sale, after = market.settle(prices[hour], state, draws)
        buys, model = sale.choice >= 0, np.maximum(sale.choice, 0)
        margin = prices[hour][model] - models.serving_cost[model]
        profit = np.where(buys, margin * sale.hours.sum(axis=1) - models.adaptation_cost[model], 0.0)
        later = [np.interp(after.charge[i] / people.capacity[i], SHARES, values[hour + 1, i]) for i in range(n)]
        np.testing.assert_allclose(values[hour, :, level], profit + later, rtol=1e-9, atol=1e-9)
        drained += sale.energy_used.sum()
    assert drained > 0.0
    assert (values[2] == 0.0).all()
    assert (values[0, :, -1] > values[1, :, -1]).any()


def energy_is_charged_at_the_slope_of_its_value() -> None:
    """Shadow prices and charged costs of lanes at several hours, written a second time."""
    market, rng = market_of(harvest=0.1), np.random.default_rng(3)
    state, _ = days_of(market, 3)
    state = state._replace(hour=np.array([0, 1, 2]), charge=state.charge * np.array([[0.05], [0.5], [1.0]]))
    values = np.cumsum(rng.random((4, 4, SHARES.size)), axis=2)
    terms, capacity = market.terms(state).arrays, market.population.capacity
    found = shadow_prices(market.constants, state, values, terms.power[0])
    for m, k, n in itertools.product(range(4), range(3), range(4)):
        power, charge = terms.power[0, m, 4 * k + n], state.charge[k, n]
        use = min(0.5 * power, max(charge, 1e-3))
        before = charge + 0.1 * capacity[n]
        left, kept = (
            np.interp(energy / capacity[n], SHARES, values[state.hour[k] + 1, n]) for energy in (before - use, before)
        )
        assert found[m, 4 * k + n] == pytest.approx((kept - left) / use, rel=1e-9, abs=1e-9)
    seller = IMP(market).constants
    seller = seller._replace(serving_cost=np.tile(seller.serving_cost, (1, 3)))
    charged = charged_costs(seller, terms, market, values, state).serving_cost
    np.testing.assert_allclose(charged, seller.serving_cost + found * terms.power[0], rtol=1e-12)


# The static-robust customer


def worst_of_plan(terms: RentalTerms, n: int, m: int, price: float, booked: FloatArray) -> float:
    """The least profit of booked hours over the patterns of the budget, written a second time."""
    return min(
        _served(terms, n, m, price, booked, faded) for faded in fade_patterns(booked.size, int(terms.fade_budget[n]))
    )


def _served(terms: RentalTerms, n: int, m: int, price: float, booked: FloatArray, faded: BoolArray) -> float:
    charge, profit = float(terms.energy[n]), -float(terms.setup_cost[n, m]) - price * float(booked.sum())
    for slot, s in enumerate(faded.astype(int)):
        used = min(float(booked[slot]), float(terms.max_hours[n, m, s]), charge / float(terms.power[n, m, s]))
        charge = max(charge - float(terms.power[n, m, s]) * used, 0.0)
        gain = np.log1p(terms.saturation[n] * terms.quality[n, m, s] * used)
        profit += float(terms.task_value[n, slot] * gain - terms.airtime_cost[n, m, s] * used)
    return profit


def robust_plans_are_certified() -> None:
    """Plans earn what they promise and reach their bound; no perturbed plan beats it."""
    rng = np.random.default_rng(2)
    for slots in (1, 2, 2, 3, 3):
        terms, prices = random_terms(rng, 2, 2, slots), 10.0 ** rng.uniform(-0.5, 1.0, 2)
        plans = static_robust.robust_plans(terms.arrays, price_per_customer(prices[None], 2), every_model=True)
        for n, m in itertools.product(range(2), range(2)):
            worst, booked, scale = plans.worst[m, n], plans.hours[:, m, n], max(1.0, abs(plans.worst[m, n]))
            assert worst == pytest.approx(worst_of_plan(terms, n, m, prices[m], booked), rel=1e-11, abs=1e-11)
            assert worst <= plans.bound[m, n] <= worst + 1e-8 * scale
            for _ in range(60):
                other = booked * rng.uniform(0.8, 1.2, slots) if rng.random() < 0.5 else rng.random(slots)
                other = np.minimum(other, terms.max_hours[n, m, 0])
                assert worst_of_plan(terms, n, m, prices[m], other) <= plans.bound[m, n] + 1e-9 * scale


CHECKS: list[Callable[[], None]] = [
    worst_case_is_that_of_all_fade_patterns,
    rentals_are_feasible_and_optimal,
    a_batch_equals_one_problem_at_a_time,
    customers_select_the_first_best_model_or_none,
    terms_follow_the_market_model,
    settlements_and_states_follow_the_market_model,
    draws_have_the_scenarios_probabilities,
    prices_are_log_linear_in_actions,
    observations_have_their_layout,
    seeds_do_not_overlap,
    an_opened_day_is_that_of_the_environment,
    lanes_equal_scalar_environments,
    a_reset_mask_touches_its_lanes_only,
    the_line_search_finds_the_best_price,
    blocks_are_bounded,
    sales_lie_below_their_tangents,
    imp_ends_where_no_price_gains,
    imp_withdraws_models_without_customers,
    imp_ignores_the_order_of_models,
    local_searches_end_at_the_best_cells,
    the_personalised_bound_is_the_sum_of_each_customers_best_sale,
    boxes_of_prices_are_bounded,
    snapped_prices_lie_just_below_a_threshold,
    the_energy_value_is_that_of_a_certain_market,
    energy_is_charged_at_the_slope_of_its_value,
    robust_plans_are_certified,
]
