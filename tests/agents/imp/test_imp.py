"""IMP's certificates: its objective, monotone sweeps, and no single price that gains."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lmaas_agents import IMP, PublicIMP
from lmaas_agents.imp.demand import fill_model
from lmaas_agents.imp.line_search import MARGIN
from scipy.optimize import minimize_scalar

from lmaas_env import Market, Scenario
from lmaas_env.rsr import solve
from lmaas_env.spaces import action_from_prices, observation_from_state, prices_from_action
from lmaas_env.state import State
from tests.certificates.checks.pricing import profit_by_hand
from tests.days import one_day

STATES = [(population, day) for population in range(3) for day in range(2)]


def some_state(market: Market, day: int) -> State:
    state, draws = one_day(market, day)
    prices = np.full(market.catalogue.size, 12.0)
    for hour in range(7 * (day + 1)):
        _, state = market.settle(prices, state, draws.at(hour))
    return state


@pytest.mark.parametrize("anticipate", ["expected", "worst_case"])
@pytest.mark.parametrize(("population", "day"), STATES)
def test_profit_rises_with_every_sweep_to_what_the_customers_choices_give(
    population: int, day: int, anticipate: str
) -> None:
    market = Market("day", seed=population)
    imp = IMP(market, anticipate)
    state = some_state(market, day)
    result = imp.solve(state)
    terms = market.terms(state)
    assert result.status == "converged"
    assert (np.diff(result.history) >= 0.0).all()
    assert result.profit == pytest.approx(profit_by_hand(imp, terms, result.prices), rel=1e-10)
    posted = prices_from_action(market, action_from_prices(market, result.prices))
    assert profit_by_hand(imp, terms, posted) == pytest.approx(result.profit, rel=3e-4)


@pytest.mark.parametrize("anticipate", ["expected", "worst_case"])
@pytest.mark.parametrize(
    ("population", "day"),
    [pytest.param(*state, marks=[pytest.mark.heavy] if state[1] else []) for state in STATES],
)
def test_no_single_price_gains_on_a_fine_scan(population: int, day: int, anticipate: str) -> None:
    market = Market("day", seed=population)
    imp = IMP(market, anticipate)
    state = some_state(market, day)
    terms = market.terms(state)
    result = imp.solve(state)
    scan = np.geomspace(market.scenario.price_floor, market.scenario.price_cap, 1500)
    # What one may lose to the tolerance, and by staying the margin away from a threshold.
    revenue_or_more = result.profit + 2.0 * market.catalogue.training_cost.sum()
    allowed = 3.0 * MARGIN * revenue_or_more
    for m in range(market.catalogue.size):
        near = result.prices[m] * (1.0 + np.linspace(-0.02, 0.02, 801))
        for price in np.concatenate([scan, near.clip(1.0, 40.0)]):
            prices = result.prices.copy()
            prices[m] = price
            assert imp.profit(terms, prices) <= result.profit + allowed


def one_customer(**changes: object) -> Market:
    scenario = dataclasses.replace(Scenario.preset("static"), customers=1, **changes)
    return Market(scenario, seed=5)


def first_state(market: Market) -> State:
    return market.initial_state(np.random.default_rng(0))


def test_one_customer_and_one_model_get_the_monopoly_price_of_a_scalar_solver() -> None:
    only_large = {name: getattr(Scenario(), name)[2:3] for name in Scenario().to_dict() if _per_model(name)}
    market = one_customer(**only_large)
    state = first_state(market)
    result = IMP(market).solve(state)
    terms = market.terms(state)

    def loss(price: float) -> float:
        chosen, _, planned = solve(terms, [price])
        return -(price - market.catalogue.serving_cost[0]) * planned[0, 0].sum() if chosen[0] == 0 else 0.0

    grid = np.linspace(1.0, 40.0, 4000)
    start = grid[np.argmin([loss(price) for price in grid])]
    best = minimize_scalar(loss, bounds=(start - 0.02, start + 0.02), method="bounded", options={"xatol": 1e-9})
    costs = market.catalogue.adaptation_cost[0] + market.catalogue.training_cost[0]
    assert result.profit == pytest.approx(-best.fun - costs, rel=2e-6)


def _per_model(name: str) -> bool:
    value = getattr(Scenario(), name)
    return isinstance(value, tuple) and len(value) == 4


def test_without_demand_every_price_stays_at_the_cap() -> None:
    market = one_customer(task_value_median=1e-6, task_value_sigma=0.0)
    result = IMP(market).solve(first_state(market))
    assert result.prices.tolist() == [40.0] * 4
    assert result.profit == pytest.approx(-market.catalogue.training_cost.sum())


def test_identical_models_are_no_worse_than_one_of_them() -> None:
    twins = {n: (getattr(Scenario(), n)[1],) * 2 for n in Scenario().to_dict() if _per_model(n)} | {
        "models": ("a", "b")
    }
    single = {n: getattr(Scenario(), n)[1:2] for n in Scenario().to_dict() if _per_model(n)}
    base = Scenario.preset("static")
    two = Market(dataclasses.replace(base, **twins), seed=3)
    one = Market(dataclasses.replace(base, **single), seed=3)
    extra = two.catalogue.training_cost[0]
    profit_of_two, profit_of_one = (IMP(market).solve(first_state(market)).profit for market in (two, one))
    assert profit_of_two + extra >= profit_of_one - 1e-4


def test_predict_prices_a_batch_as_it_prices_each_observation() -> None:
    market = Market("day")
    imp = IMP(market)
    observations = np.stack([observation_from_state(market, some_state(market, day)) for day in range(2)])
    actions, memory = imp.predict(observations)
    assert memory is None
    assert actions.dtype == np.float32
    assert actions.tolist() == [imp.predict(one)[0].tolist() for one in observations]


def test_public_imp_prices_the_hour_alone_as_imp_does_on_a_public_market() -> None:
    public = Market("public")
    observation = observation_from_state(public, some_state(public, 0))
    seen = Market("day")
    full = observation_from_state(seen, some_state(seen, 0))
    assert PublicIMP(seen).predict(full)[0].tolist() == IMP(public).predict(observation)[0].tolist()


def test_default_anticipation_follows_the_settlement() -> None:
    assert IMP(Market("day")).anticipate == "expected"
    assert IMP(Market("static")).anticipate == "worst_case"


def test_unknown_anticipation_is_refused() -> None:
    with pytest.raises(ValueError, match="anticipate = 'best' must be 'expected' or 'worst_case'"):
        IMP(Market("day"), anticipate="best")


@pytest.mark.parametrize(("scenario", "seed"), [("static", 1), ("static", 4), ("day", 1), ("day", 2)])
def test_personalised_bound_is_the_sum_of_the_best_sale_to_each_customer_alone(scenario: str, seed: int) -> None:
    market = Market(scenario, seed=seed)
    imp = IMP(market)
    state = market.initial_state(np.random.default_rng(seed))._replace(hour=0 if scenario == "static" else 14)
    terms, seller = market.terms(state), imp.constants
    problem, grid = imp.problem(terms), np.geomspace(seller.price_floor, seller.price_cap, 4000)
    best = np.zeros(market.population.size)
    sales, worst = np.empty((2, grid.size, market.population.size))
    for m in range(market.catalogue.size):
        promised, sale = np.empty((2, market.catalogue.size, market.population.size))
        for j, price in enumerate(grid):
            fill_model(problem, m, price, promised, sale)
            worst[j], sales[j] = promised[m], sale[m]
        best = np.maximum(best, np.where(worst > 0.0, sales, 0.0).max(axis=0))
    by_scan = best.sum() - seller.training_cost
    result = imp.solve(state)
    assert result.profit <= result.bound == imp.bound(terms)
    assert by_scan <= result.bound <= by_scan + 2e-3 * best.sum()


def test_starting_again_only_gains_and_its_prices_are_still_a_fixed_point() -> None:
    gained = 0
    for seed in range(1, 13):
        market = Market("static", seed=seed)
        terms = market.terms(first_state(market))
        one, shipped = IMP(market, restarts=0).solve_terms(terms), IMP(market).solve_terms(terms)
        more = IMP(market, restarts=10).solve_terms(terms)
        assert more.profit >= shipped.profit >= one.profit
        assert shipped.sweeps > one.sweeps == len(one.history) - 1
        assert (np.diff(shipped.history) >= 0.0).all()
        assert (np.diff(shipped.times) >= 0.0).all()
        again = IMP(market).solve_terms(terms, start=shipped.prices)
        assert again.profit == pytest.approx(shipped.profit, rel=1e-6)
        gained += shipped.profit > one.profit + 1e-4 * abs(one.profit)
    assert gained >= 3


@pytest.mark.parametrize("population", [1, 2, 605])  # of 605, two models together hold down the price of a third
def test_withdrawing_every_model_without_customers_gains_nothing(population: int) -> None:
    market = Market("static", seed=population)
    terms, imp = market.terms(first_state(market)), IMP(market)
    result = imp.solve_terms(terms)
    withdrawn = result.prices.copy()
    withdrawn[~np.isin(np.arange(market.catalogue.size), solve(terms, result.prices).choice)] = 40.0
    assert imp.profit(terms, withdrawn) == pytest.approx(result.profit, rel=1e-12)
    assert imp.solve_terms(terms, start=withdrawn).profit <= result.profit * (1.0 + 1e-6)


def test_models_without_customers_keep_their_prices_where_withdrawing_them_gains_nothing() -> None:
    market = Market("static", seed=4)
    terms, imp = market.terms(first_state(market)), IMP(market)
    result = imp.solve_terms(terms)
    for imp.max_sweeps in (100, 1):  # nor where the last sweep settles them
        again = imp.solve_terms(terms, start=result.prices)
        assert again.prices.tolist() == result.prices.tolist()
    unsold = ~np.isin(np.arange(market.catalogue.size), solve(terms, result.prices).choice)
    assert (result.prices[unsold] < 40.0).any()


def test_restarts_end_where_every_profit_is_a_loss() -> None:
    market = one_customer(task_value_median=1e-6, task_value_sigma=0.0)
    result = IMP(market).solve(first_state(market))
    assert result.profit < 0.0
    assert result.bound == pytest.approx(result.profit)


def test_many_customers_are_priced_by_one_start() -> None:
    scenario = dataclasses.replace(Scenario.preset("static"), customers=65)
    assert IMP(Market(scenario, seed=1)).restarts == 0
    assert IMP(Market(dataclasses.replace(scenario, customers=64), seed=1)).restarts == 2


def test_negative_restarts_are_refused() -> None:
    with pytest.raises(ValueError, match="restarts = -1 must be >= 0"):
        IMP(Market("static"), restarts=-1)
