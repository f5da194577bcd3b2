"""Searches, bounds and policies in markets of three customers: small enough for kernels as plain Python.

`make coverage` runs them so, to see the lines of kernels; `make test` runs them compiled.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lmaas_agents import IMP
from lmaas_agents.bounds import Effort, dynamic_bound
from lmaas_agents.bounds.personalised import personalised_bound
from lmaas_agents.energy import SHARES
from lmaas_agents.learned.residual import Residual, customer_features, feature_sizes, potential, residual_prices
from lmaas_agents.planning import Plan
from lmaas_agents.search.search import branch_and_bound, exhaustive

from lmaas_env import Market, Scenario
from lmaas_env.customers.strategies import STRATEGIES, strategy
from tests.agents.mini_markets import models
from tests.days import one_day, periods_of

HARSH = {"capacity_max": 40.0, "harvest": 0.1, "fade_budgets": (1, 2)}


def small(seed: int = 1, **changes: object) -> Market:
    """A market of three customers, two models and two slots, for two hours."""
    size = {"customers": 3, "slots": 2, "periods": 2, "demand_rise": 21.0, **HARSH, **models(1, 3)}
    return Market(dataclasses.replace(Scenario(), **{**size, **changes}), seed=seed)


def test_branch_and_bound_proves_that_no_grid_holds_better_prices() -> None:
    market = small()
    state, _ = one_day(market, 1)
    imp, terms = IMP(market), market.terms(state)
    proven = branch_and_bound(imp, terms, gap=1e-2, seconds=60.0, cells=32, boxes=300)
    on_grid = exhaustive(imp, terms, points=6)
    assert proven.profit <= proven.bound + 1e-9
    assert on_grid.profit <= proven.bound + 1e-9
    assert imp.solve_terms(terms).profit <= proven.profit + 1e-9


@pytest.mark.parametrize("settlement", ["recourse", "plan"])
def test_bounds_on_a_day_lie_above_what_imp_earns(settlement: str) -> None:
    market = small(settlement=settlement)
    first, draws = one_day(market, 3)
    imp, state, earned = IMP(market), first, 0.0
    for hour in periods_of(draws):
        sold, state = market.settle(imp.prices(state), state, hour)
        earned += float(sold.profit)
    effort = Effort(charges=3, prices=8, proof_prices=8, steps=3, renewals=1, boxes=50)
    nothing = np.zeros((2, 3, SHARES.size))
    day = dynamic_bound(market, first, draws, effort, nothing)
    assert earned <= day.certified
    if settlement == "recourse":
        assert earned <= personalised_bound(market, first, draws, levels=8, cells=16)


@pytest.mark.parametrize(("radius", "searches"), [(0.0, 0), (0.2, 0), (0.0, 2)])
def test_a_residual_moves_prices_within_the_market_and_searches_earn_no_less(radius: float, searches: int) -> None:
    market = small()
    state, _ = one_day(market, 4)
    plan = Plan(np.full((2, 2), 6.0), np.zeros((3, 3, SHARES.size)))
    residual = Residual(plan, 0.5, radius, searches)
    lanes = state.repeated(2)
    prices = residual_prices(market, residual, lanes, np.array([[0.0, 0.0], [-9.0, 9.0]]))
    assert prices.shape == (2, 2)
    assert ((prices >= market.scenario.price_floor) & (prices <= market.scenario.price_cap)).all()
    if searches:
        imp, terms = IMP(market, anticipate="worst_case"), market.terms(state)
        assert imp.profit(terms, prices[0]) >= imp.profit(terms, plan.prices[0])
    features, clock = customer_features(market, residual, lanes)
    assert (features.shape[2], clock.shape[1]) == feature_sizes(market)
    assert np.isfinite(features).all()
    assert (potential(market, plan.energy_value, lanes) == 0.0).all()


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_strategy_promises_more_in_the_worst_case_than_rsr(name: str) -> None:
    market = small()
    state, _ = one_day(market, 5)
    terms = market.terms(state)
    price = np.repeat(np.array([3.0, 6.0])[:, None], 3, axis=1)
    uniform = np.array([0.1, 0.5, 0.9])
    own = strategy(name, market.scenario.fade_probability)
    selected = own.select(terms.arrays, price, uniform)
    best = strategy("rsr", market.scenario.fade_probability).select(terms.arrays, price, uniform)
    assert (selected.worst_case_profit <= best.worst_case_profit + 1e-9).all()
    faded = np.array([[True, False], [False, False], [True, True]]).T
    rented = own.rent(terms.arrays, price, selected, np.ascontiguousarray(faded))
    assert np.isfinite(rented.profit).all()
    assert (rented.energy <= state.charge + 1e-9).all()
