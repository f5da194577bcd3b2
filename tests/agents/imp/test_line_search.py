"""The line search of IMP against a scan that looks at every threshold, and its bound against prices inside blocks."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
from lmaas_agents import IMP
from lmaas_agents.imp.coordinate_ascent import anticipated_profit
from lmaas_agents.imp.demand import (
    Demand,
    Known,
    anticipated_hours,
    demand_for,
    fill_model,
    find_concavity,
    nothing_known,
)
from lmaas_agents.imp.line_search import EXACT, MARGIN, _bound, _gone, _interval, _look, new_points, search_price
from lmaas_agents.imp.problem import Problem, SellerConstants
from scipy.optimize import brentq

from lmaas_env import Market, Scenario
from lmaas_env.population import Population
from lmaas_env.rsr import solve
from lmaas_env.terms import RentalTerms

ANTICIPATIONS = ["worst_case", "expected"]


class Search(NamedTuple):
    """One line search: the price of model m while the others stay at ``prices``."""

    terms: RentalTerms
    problem: Problem
    prices: np.ndarray
    m: int
    worst: np.ndarray  # (M, N)
    sale: np.ndarray

    @property
    def seller(self) -> SellerConstants:
        return self.problem.seller

    def profit(self, price: float) -> float:
        prices = self.prices.copy()
        prices[self.m] = price
        return anticipated_profit(self.problem, prices)

    def demand(self, price: float, known: Known) -> Demand:
        return demand_for(self.problem, self.m, price, self.worst, self.sale, known)

    def best(self) -> float:
        """The price found when the search starts from the cap."""
        return self.search()[0]

    def search(self) -> tuple[float, float, int]:
        """The price found, the profit there before training costs, and the number of points evaluated."""
        cap = self.seller.price_cap
        models, customers = self.worst.shape
        demand = self.demand(cap, nothing_known(customers, models))
        return search_price(self.problem, cap, -np.inf, demand, new_points(customers), EXACT, 1.0)


def some_search(customers: int, anticipate: str, seed: int, charge: float = 0.0) -> Search:
    """A line search among prices as IMP meets them: undercut by rivals, batteries anywhere from empty to full."""
    scenario = dataclasses.replace(Scenario(), customers=customers)
    market = Market(scenario, population=Population.for_scenario(scenario, seed))
    rng = np.random.default_rng(seed)
    state = market.initial_state(rng)._replace(hour=14 if seed % 2 else 4)
    imp = IMP(market, anticipate)
    terms = market.terms(state)
    serving_cost = imp.constants.serving_cost + charge * terms.arrays.power[0]
    problem = Problem(terms.arrays, imp.anticipation, imp.constants._replace(serving_cost=serving_cost))
    prices = imp.solve(state).prices * rng.uniform(0.6, 1.5, market.catalogue.size)
    prices = prices.clip(scenario.price_floor, scenario.price_cap)
    worst, sale = np.empty((2, market.catalogue.size, customers))
    for m, price in enumerate(prices):
        fill_model(problem, m, price, worst, sale)
    return Search(terms, problem, prices, seed % 4, worst, sale)


def thresholds(search: Search) -> np.ndarray:
    """The prices between floor and cap at which customers leave model m, by bisection on the public solve."""
    floor, cap, m = search.seller.price_floor, search.seller.price_cap, search.m

    def worst_case_profit(price: float) -> np.ndarray:
        prices = search.prices.copy()
        prices[m] = price
        return solve(search.terms, prices).worst_case_profit

    offer = np.maximum(np.delete(worst_case_profit(cap), m, axis=1).max(axis=1), 0.0)
    low, high = np.full(offer.shape, floor), np.full(offer.shape, cap)
    inside = (worst_case_profit(floor)[:, m] > offer) & (worst_case_profit(cap)[:, m] <= offer)
    for n in np.flatnonzero(inside):
        low[n] = high[n] = brentq(lambda price, n=n: worst_case_profit(price)[n, m] - offer[n], floor, cap, xtol=1e-13)
    return np.sort(low[inside])


def scanned(search: Search, inside: int) -> float:
    """The best profit over the threshold on both sides, and ``inside`` prices between each two."""
    floor, cap = search.seller.price_floor, search.seller.price_cap
    leave = thresholds(search)
    ends = np.concatenate([[floor], leave, [cap]])
    prices = [np.array([floor, cap]), leave * (1.0 - MARGIN), leave * (1.0 + MARGIN)]
    prices += [ends[:-1] + share * np.diff(ends) for share in (np.arange(inside) + 0.5) / inside]
    gaps = np.concatenate(prices).clip(floor, cap)
    beside = np.abs(gaps[:, None] / leave - 1.0).min(axis=1) if leave.size else np.ones(gaps.size)
    return max(search.profit(price) for price in gaps[beside > 0.5 * MARGIN])


@pytest.mark.parametrize("anticipate", ANTICIPATIONS)
@pytest.mark.parametrize(
    ("customers", "inside", "seed"),
    [
        *((customers, inside, seed) for customers, inside in ((1, 400), (3, 200), (24, 40)) for seed in range(4)),
        *(pytest.param(300, 4, seed, marks=[pytest.mark.heavy] if seed else []) for seed in range(4)),
    ],
)
def test_the_price_found_is_worth_what_a_scan_of_all_thresholds_finds(
    customers: int, inside: int, anticipate: str, seed: int
) -> None:
    search = some_search(customers, anticipate, seed)
    best = scanned(search, inside)
    assert search.profit(search.best()) >= best - 1e-9 * max(1.0, abs(best))


@pytest.mark.parametrize("seed", range(4))
def test_the_search_is_as_good_where_energy_is_charged(seed: int) -> None:
    search = some_search(24, "expected", seed, charge=0.3)  # serving costs up to 15 $/h, above many prices
    assert (search.seller.serving_cost > search.seller.price_floor).mean() > 0.5
    best = scanned(search, 40)
    assert search.profit(search.best()) >= best - 1e-9 * max(1.0, abs(best))


@pytest.mark.parametrize("anticipate", ANTICIPATIONS)
@pytest.mark.parametrize("seed", range(8))
def test_bounds_hold_at_every_price_of_a_block_and_tighten_with_its_square(anticipate: str, seed: int) -> None:
    search = some_search(24, anticipate, seed, charge=(0.0, 0.1, 0.3, 0.6)[seed % 4])
    cap = search.seller.price_cap
    demand = search.demand(cap, nothing_known(24, 4))
    points = new_points(24)
    rng = np.random.default_rng(seed)
    gaps = []
    for width in (0.5, 0.1, 0.01, 0.001):
        for left in rng.uniform(1.0, 25.0, 40):
            right = left * (1.0 + width)
            first, last = _gone(demand, left), _gone(demand, right)
            for row, price in enumerate((left, right)):
                _look(demand, points, row, price, first)
            block = _bound(demand, points, 0, 1, first, last, 0)
            profits = []
            for price in np.linspace(left, right, 41):
                low, high = _interval(demand, _gone(demand, price))
                if low <= price <= high:
                    profits.append(search.profit(price) + search.seller.training_cost)
            assert block.bound >= max(profits) - 1e-9 * max(1.0, abs(max(profits)))
            gaps.append(block.bound - max(profits))
    gaps = np.median(np.reshape(gaps, (4, 40)), axis=1)
    assert gaps[3] <= 1e-2 * gaps[1] + 1e-9


def test_many_customers_take_few_evaluations() -> None:
    search = some_search(3000, "worst_case", 1)
    assert search.search()[2] < 120


def test_demand_holds_the_buyers_at_any_price() -> None:
    search = some_search(300, "expected", 2)
    demand = search.demand(7.0, nothing_known(300, 4))
    assert (np.diff(demand.threshold) >= 0.0).all()
    inside = demand.threshold[(demand.threshold > 0.0) & np.isfinite(demand.threshold)]
    assert inside == pytest.approx(thresholds(search), rel=1e-10)
    for price in np.geomspace(1.0, 40.0, 30):
        prices = search.prices.copy()
        prices[search.m] = price
        buyers = np.flatnonzero(solve(search.terms, prices).choice == search.m)
        assert sorted(demand.customer[_gone(demand, price) :]) == buyers.tolist()


def test_remembered_thresholds_equal_those_found_anew() -> None:
    search = some_search(300, "expected", 2)
    known, moved = nothing_known(300, 4), 0
    for other in set(range(len(search.prices))) - {search.m}:
        for price in (1.0, search.prices[other]):
            before = np.sort(known.threshold[search.m])
            fill_model(search.problem, other, price, search.worst, search.sale)
            remembered, anew = search.demand(7.0, known), search.demand(7.0, nothing_known(300, 4))
            np.testing.assert_allclose(remembered.threshold, anew.threshold, rtol=1e-12)
            np.testing.assert_allclose(remembered.elsewhere, anew.elsewhere, rtol=1e-12, atol=1e-9)
            moved += (remembered.threshold != before).any()
    assert moved >= 4


def _tangent(price: float, cost: float, at: float, hours: float, slope: float) -> float:
    """The tangent of (beta - s) T(beta) at a price, read at another."""
    return (at - cost) * hours + (hours + (at - cost) * slope) * (price - at)


@pytest.mark.parametrize("anticipate", ANTICIPATIONS)
def test_profit_of_a_sale_lies_below_its_tangents_where_nothing_bends_up(anticipate: str) -> None:
    search = some_search(100, anticipate, 1)
    anticipation = search.problem.anticipation
    rng = np.random.default_rng(0)
    agreeing = short = 0
    for _ in range(4000):
        n, m = int(rng.integers(100)), int(rng.integers(4))
        arrays = search.problem.terms
        energy = arrays.energy * rng.choice([1.0, 0.3, 0.1, 0.03])
        # Fades that cost much power, so that hours move between the states as the price rises.
        power = arrays.power * np.array([1.0, rng.uniform(1.0, 8.0)])[:, None, None]
        arrays = arrays._replace(energy=energy, power=power)
        cost = rng.uniform(0.0, 1.0)
        left, right = np.sort(rng.uniform(1.0, 40.0, 2))
        (hours_left, slope_left, bends_left), (hours_right, slope_right, bends_right) = (
            anticipated_hours(arrays, anticipation, n, m, price)[:3] for price in (left, right)
        )
        assert bends_left <= bends_right
        assert hours_left >= hours_right - 1e-12
        if bends_left != bends_right or hours_left == 0.0:
            continue
        agreeing += 1
        short += abs(slope_right) < 0.5 * hours_right / right
        tangents = [(left, hours_left, slope_left), (right, hours_right, slope_right)]
        for price in np.linspace(left, right, 30):
            profit = (price - cost) * anticipated_hours(arrays, anticipation, n, m, price)[0]
            assert profit <= min(_tangent(price, cost, *tangent) for tangent in tangents) + 1e-10
    assert min(agreeing, short) > 100


@pytest.mark.parametrize("anticipate", ANTICIPATIONS)
def test_loss_of_a_sale_below_cost_lies_below_its_tangents_where_hours_do_not_bend(anticipate: str) -> None:
    search = some_search(100, anticipate, 1)
    anticipation = search.problem.anticipation
    rng = np.random.default_rng(0)
    agreeing = short = 0
    for _ in range(6000):
        n, m = int(rng.integers(100)), int(rng.integers(4))
        arrays = search.problem.terms
        energy = arrays.energy * rng.choice([1.0, 0.3, 0.1, 0.03])
        power = arrays.power * np.array([1.0, rng.uniform(1.0, 8.0)])[:, None, None]
        arrays = arrays._replace(energy=energy, power=power)
        left, right = np.sort(rng.uniform(1.0, 40.0, 2))
        right = left + (right - left) * rng.choice([1.0, 0.1])
        cost = left + rng.exponential(10.0)  # between the two, or above both
        (hours_left, slope_left, _, kinks_left), (hours_right, slope_right, _, kinks_right) = (
            anticipated_hours(arrays, anticipation, n, m, price) for price in (left, right)
        )
        assert kinks_left <= kinks_right
        concave, above = find_concavity(arrays, n, m, cost)
        if kinks_left != kinks_right or hours_left == 0.0 or not concave or left < above:
            continue
        agreeing += 1
        short += abs(slope_right) < 0.5 * hours_right / right
        tangents = [(left, hours_left, slope_left), (right, hours_right, slope_right)]
        for price in np.linspace(left, right, 30):
            profit = (price - cost) * anticipated_hours(arrays, anticipation, n, m, price)[0]
            assert profit <= min(_tangent(price, cost, *tangent) for tangent in tangents) + 1e-10
    assert min(agreeing, short) > 100
