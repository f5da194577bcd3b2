"""Branch and bound against searches that do not use its bounds, and its bounds against every profit found."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lmaas_agents import IMP
from lmaas_agents.search.price_boxes import BLOCKS, box_bound, tabulate
from lmaas_agents.search.search import branch_and_bound, differential_evolution, exhaustive

from lmaas_env import Market, Population, RentalTerms
from lmaas_env.scenario import MODEL_FIELDS


def _instance(scenario: str, seed: int, customers: int, models: int) -> tuple[IMP, RentalTerms]:
    full = Market(scenario).scenario
    fewer = {name: getattr(full, name)[:models] for name in ("models", *MODEL_FIELDS)}
    base = dataclasses.replace(full, customers=customers, **fewer)
    market = Market(base, population=Population.for_scenario(base, seed))
    state = market.initial_state(np.random.default_rng(seed))._replace(hour=14 if scenario == "day" else 0)
    return IMP(market), market.terms(state)


@pytest.mark.parametrize(("scenario", "seed"), [("static", 1), ("static", 2), ("day", 1), ("day", 2)])
def test_no_search_beats_the_bound_and_no_search_gains_more_than_the_gap(scenario: str, seed: int) -> None:
    imp, terms = _instance(scenario, seed, 8, 2)
    found = branch_and_bound(imp, terms, gap=1e-3, seconds=60.0)
    assert found.status == "certified"
    assert found.profit == pytest.approx(imp.profit(terms, found.prices), rel=1e-12)
    assert found.profit <= found.bound <= found.profit + 1e-3 * max(1.0, found.profit) + 1e-9
    rng = np.random.default_rng(seed)
    prices = np.exp(rng.uniform(np.log(1.0), np.log(40.0), (20_000, 2)))
    near = np.clip(found.prices * (1.0 + 10.0 ** rng.uniform(-7, -1, (5_000, 1)) * rng.normal(size=(5_000, 2))), 1, 40)
    best = max(imp.profit(terms, row) for row in np.concatenate((prices, near)))
    assert best <= found.bound
    assert best >= 0.98 * found.profit  # the scan is a fair comparison
    for other in (exhaustive(imp, terms, 200), differential_evolution(imp, terms), imp.solve_terms(terms)):
        assert other.profit <= found.bound
        assert other.profit == pytest.approx(imp.profit(terms, other.prices), rel=1e-12)


@pytest.mark.parametrize(("scenario", "seed"), [("static", 1), ("static", 2), ("day", 3)])
@pytest.mark.parametrize("cells", [32, 512])
def test_no_prices_inside_a_box_exceed_its_bound_and_the_bound_tightens_as_boxes_shrink(
    scenario: str, seed: int, cells: int
) -> None:
    imp, terms = _instance(scenario, seed, 8, 3)
    grid = np.geomspace(imp.constants.price_floor, imp.constants.price_cap, cells + 1)
    tables = tabulate(imp.problem(terms), grid)
    rng = np.random.default_rng(seed)
    slack: dict[int, list[float]] = {1: [], cells // 4: []}
    for width, found in slack.items():
        for _ in range(80):
            first = rng.integers(0, (cells // 2) // width, 3) * width  # the lower half of the prices, at which many buy
            bound = box_bound(tables, first, first + width, np.empty((3, BLOCKS)))
            shares = rng.random((60, 3)).round(rng.integers(0, 3))  # corners, edges and inner points
            prices = grid[first] ** (1.0 - shares) * grid[first + width] ** shares
            best = max(imp.profit(terms, row) for row in prices) + imp.constants.training_cost
            assert best <= bound + 1e-9 * max(1.0, abs(best))
            found.append(bound - best)
    assert np.median(slack[1]) < 0.5 * np.median(slack[cells // 4])


@pytest.mark.parametrize("cells", [2, 16, 128])
def test_the_bound_holds_for_prices_between_the_grids_points_however_coarse(cells: int) -> None:
    imp, terms = _instance("static", 3, 6, 2)
    fine = branch_and_bound(imp, terms, gap=1e-3, seconds=60.0)
    coarse = branch_and_bound(imp, terms, gap=1e-3, seconds=0.01, cells=cells)
    assert coarse.bound >= fine.profit - 1e-9


def test_a_serving_cost_at_a_price_of_the_grid_leaves_the_bound_finite() -> None:
    imp, terms = _instance("static", 1, 6, 2)
    imp.constants = imp.constants._replace(serving_cost=np.full_like(imp.constants.serving_cost, 1.0))  # the floor
    found = branch_and_bound(imp, terms, gap=1e-3, seconds=60.0)
    assert found.status == "certified"
    assert np.isfinite(found.bound)


def test_a_time_limit_is_reported_and_the_bound_still_holds() -> None:
    imp, terms = _instance("static", 4, 24, 4)
    found = branch_and_bound(imp, terms, gap=1e-6, seconds=0.5)
    assert found.status == "time limit"
    assert found.bound >= found.profit >= imp.solve_terms(terms).profit


def test_bad_arguments_are_refused() -> None:
    imp, terms = _instance("static", 1, 4, 2)
    with pytest.raises(ValueError, match=r"gap = 0\.0 and seconds"):
        branch_and_bound(imp, terms, gap=0.0)
    with pytest.raises(ValueError, match="cells = 100 must be a power"):
        branch_and_bound(imp, terms, cells=100)
    with pytest.raises(ValueError, match="points = 1 must be"):
        exhaustive(imp, terms, points=1)
    with pytest.raises(ValueError, match="points = 100000 must be"):
        exhaustive(imp, terms, points=100_000)
