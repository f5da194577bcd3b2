"""Checks of IMP, from its line search to the bounds of its prices."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lmaas_agents import IMP
from lmaas_agents.imp import multistart
from lmaas_agents.imp.coordinate_ascent import anticipated_profit
from lmaas_agents.imp.demand import anticipated_hours, demand_for, fill_model, find_concavity, nothing_known
from lmaas_agents.imp.line_search import EXACT, _bound, _gone, _interval, _look, new_points, search_price
from lmaas_agents.imp.price_table import price_table
from lmaas_agents.imp.problem import Problem
from lmaas_agents.learned.snap import snap_to_threshold
from lmaas_agents.search.price_boxes import BLOCKS, box_bound, tabulate

from lmaas_env import Market, Population, RentalTerms, Scenario
from lmaas_env.engine import rsr
from lmaas_env.rsr import rent, solve
from lmaas_env.state import State
from lmaas_env.types import FloatArray
from tests.certificates.checks.markets import TINY, days_of, market_of, some_prices


def problem_for(
    seed: int, anticipate: str = "worst_case", charge: float = 0.0, customers: int = 3, energy: float = 1.0
) -> Problem:
    """A pricing problem of few customers in the afternoon, with a charge on energy, and a factor on the batteries."""
    market = market_of(seed, customers=customers, demand_rise=9.0, task_value_median=5.0)
    state = market.initial_state(np.random.default_rng(seed))._replace(hour=14)
    problem = IMP(market, anticipate).problem(market.terms(state))
    problem = problem._replace(terms=problem.terms._replace(energy=energy * problem.terms.energy))
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
        return (
            float(rsr.chosen(sale, rsr.select(worst, rsr.selection_threshold(problem.terms))).sum())
            - problem.seller.training_cost
        )

    return at


def the_line_search_finds_the_best_price() -> None:
    """Against a scan of prices that includes both sides of every threshold."""
    for seed, charge in ((1, 0.0), (2, 0.0), (4, 0.3)):
        problem = problem_for(seed, charge=charge)
        prices, m, cap = np.array([6.0, 7.0, 9.0, 14.0]), seed % 4, problem.seller.price_cap
        demand = demand_for(problem, m, cap, *sales_at(problem, prices), nothing_known(3, 4))
        found, profit, _ = search_price(problem, cap, -np.inf, demand, new_points(3), EXACT, 1.0)
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
                _look(demand, points, row, price, first)
            bound = _bound(demand, points, 0, 1, first, last, 0).bound
            for price in np.linspace(left, right, 9):
                low, high = _interval(demand, _gone(demand, price))
                if low <= price <= high:
                    profit = _look(demand, points, 2, price, 0)
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
        ends = [anticipated_hours(terms, problem.anticipation, n, m, price) for price in (left, right)]
        (hours, slope, *counts), (hours_right, slope_right, *counts_right) = ends
        concave, above = find_concavity(terms, n, m, cost)
        if counts[below] != counts_right[below] or hours == 0.0 or not concave or (below and left < above):
            continue
        agreeing[below] += 1
        for price in np.linspace(left, right, 12):
            profit = (price - cost) * anticipated_hours(terms, problem.anticipation, n, m, price)[0]
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
            best = search_price(problem, 40.0, -np.inf, demand, new_points(5), EXACT, 1.0)[1]
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
        profit[row] = float(rsr.chosen(sale, rsr.select(worst, rsr.selection_threshold(problem.terms))).sum())
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


CHECKS: list[Callable[[], None]] = [
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
]
