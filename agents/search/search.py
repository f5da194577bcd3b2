"""Slow searches over the prices of one period, for the same objective as IMP: what IMP is measured against.

All maximise ``imp.profit(terms, prices)``. `branch_and_bound` also proves how much better any prices could be.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from lmaas_agents.imp.coordinate_ascent import anticipated_profit
from lmaas_agents.imp.imp import IMP
from lmaas_agents.imp.problem import least_unit
from lmaas_agents.search import price_boxes
from lmaas_agents.search.frontier import Frontier
from lmaas_agents.seller import SearchResult
from scipy import optimize

from lmaas_env.spaces import price_grid
from lmaas_env.terms import RentalTerms
from lmaas_env.types import FloatArray

LARGEST_GRID = 10**9  # combinations of prices
TABLE_BYTES = 1.5e9  # of the tables of branch and bound
HEAP_BOXES = 8_000_000
ROUND = 2000  # boxes between two looks at the clock and two runs of IMP from promising boxes


def exhaustive(imp: IMP, terms: RentalTerms, points: int = 40) -> SearchResult:
    """Try every combination of ``points`` prices per model, spaced evenly in their logarithm.

    Raises
    ------
    ValueError
        If that is more than 10^9 combinations.
    """
    began = time.perf_counter()
    models = terms.setup_cost.shape[1]
    if points < 2 or points**models > LARGEST_GRID:
        raise ValueError(f"points = {points} must be at least 2, and points^{models} at most {LARGEST_GRID:.0e}")
    grid = price_grid(imp.market, points - 1)
    total, point = price_boxes.best_of_grid(price_boxes.tabulate(imp.problem(terms), grid))
    profit = float(total) - imp.constants.training_cost
    seconds = time.perf_counter() - began
    history, times = np.array([profit]), np.array([seconds])
    return SearchResult(grid[point], profit, np.inf, "complete", points**models, seconds, history, times)


def differential_evolution(imp: IMP, terms: RentalTerms, seed: int = 0, generations: int = 1000) -> SearchResult:
    """Search by SciPy's differential evolution in the logarithm of the prices."""
    objective = _Objective(imp, terms)
    found = optimize.differential_evolution(
        objective, objective.bounds, rng=seed, maxiter=generations, popsize=15, tol=1e-8, polish=False
    )
    return objective.result("converged" if found.success else "generation limit")


def cma_es(imp: IMP, terms: RentalTerms, seed: int = 0, restarts: int = 4) -> SearchResult:
    """Search by CMA-ES with growing populations (IPOP) in the logarithm of the prices.

    Raises
    ------
    ModuleNotFoundError
        If the package `cma` is not installed (``pip install "lmaas[bench]"``).
    """
    import cma  # pyright: ignore (an extra)

    objective = _Objective(imp, terms)
    low, high = objective.bounds[0]
    options = {"bounds": [low, high], "seed": seed + 1, "verbose": -9, "tolfun": 1e-9}
    start = np.full(len(objective.bounds), 0.5 * (low + high))
    cma.fmin2(objective, start, 0.3 * (high - low), options, restarts=restarts, incpopsize=2)  # pyright: ignore
    return objective.result("converged")


def branch_and_bound(
    imp: IMP,
    terms: RentalTerms,
    gap: float = 1e-3,
    seconds: float = 20.0,
    cells: int = 8192,
    boxes: int | None = None,
) -> SearchResult:
    """Find prices whose profit no prices beat by more than a gap, and prove it.

    Boxes of prices are split best-first. A customer contributes to a box's bound the best sale over the models that it
    may select somewhere in the box: those whose W at the low end reaches every rival's W at the rival's high end, at
    prices up to where it no longer does. The bound holds for all prices between floor and cap, not only those of a
    grid.

    Parameters
    ----------
    imp : IMP
        Gives the objective, and the first incumbent.
    terms : RentalTerms
    gap : float
        Relative to the profit, at least to 1 $ or the value of all tasks where that is less.
    seconds : float
        Time limit; when it is reached, the bound still holds.
    cells : int
        Cells per price, a power of two: how far boxes are split at first. Four times as many are taken if that does not
        reach the gap, fewer where memory is short.
    boxes : int, optional
        Budget of boxes, the same on every machine; when it is spent, the bound still holds.

    Returns
    -------
    SearchResult
        ``status`` is "certified", "box limit", "time limit", "memory limit" or "resolution" (all boxes are single
        cells); the bound is proven in any case. ``evaluations`` counts boxes.

    Raises
    ------
    ValueError
        If ``gap``, ``seconds`` or ``boxes`` is not positive, or ``cells`` no power of two.
    """
    if boxes is not None and boxes < 1:
        raise ValueError(f"boxes = {boxes} must be at least 1")
    if not (gap > 0.0 and seconds > 0.0):
        raise ValueError(f"gap = {gap} and seconds = {seconds} must be > 0")
    if cells < 2 or cells & (cells - 1):
        raise ValueError(f"cells = {cells} must be a power of two")
    began = time.perf_counter()
    found = imp.solve_terms(terms)._replace(status="resolution", evaluations=0)
    most_cells = int(TABLE_BYTES / (8.0 * terms.setup_cost.size * 16.0))
    if most_cells < 2:
        most = int(TABLE_BYTES / (8.0 * 2.0 * 16.0))
        raise ValueError(
            f"terms have {terms.setup_cost.size:,} customers times models, they must have at most {most:,}"
        )
    cells = min(cells, 1 << (most_cells.bit_length() - 1))
    while found.status == "resolution" and cells <= most_cells:
        left = None if boxes is None else boxes - found.evaluations
        finer = _explore(imp, terms, found, gap, began, began + seconds, cells, left)
        found = finer._replace(
            bound=min(found.bound, finer.bound),  # a coarser grid's bound holds as well
            evaluations=found.evaluations + finer.evaluations,
            seconds=time.perf_counter() - began,
        )
        cells *= 4
    return found


def _explore(
    imp: IMP,
    terms: RentalTerms,
    start: SearchResult,
    gap: float,
    began: float,
    ends: float,
    cells: int,
    budget: int | None,
) -> SearchResult:
    """Branch and bound on one grid, from an incumbent, with at most ``budget`` boxes."""
    models = terms.setup_cost.shape[1]
    grid = price_grid(imp.market, cells)
    tables = price_boxes.tabulate(imp.problem(terms), grid)
    training, unit = imp.constants.training_cost, float(least_unit(terms.arrays))
    prices, incumbent, history, times = start.prices, start.profit + training, list(start.history), list(start.times)
    point = np.full(models, -1, dtype=np.int64)
    frontier = Frontier(np.empty(HEAP_BOXES), np.empty((HEAP_BOXES, 2, models), np.int64))
    first, last = frontier.boxes[0]
    first[:], last[:] = 0, cells
    frontier.bounds[0] = price_boxes.box_bound(tables, first, last, np.empty((models, price_boxes.BLOCKS)))
    size, closed, done, status, top, allowed = 1, -np.inf, 0, "", np.inf, np.inf
    while not status:
        allowed = gap * max(unit, abs(incumbent - training))
        before = incumbent
        steps = ROUND if budget is None else min(ROUND, budget - done)
        size, incumbent, closed, looked = price_boxes.explore(
            tables, frontier, size, incumbent, point, allowed, closed, steps
        )
        done += looked
        if incumbent > before:
            prices = grid[point]
        top = float(frontier.bounds[0]) if size > 0 else -np.inf
        middle = frontier.boxes[0].sum(axis=0) // 2
        for first_prices in (prices, grid[middle]):  # from where boxes are promising to the best prices nearby
            better = imp.solve_terms(terms, first_prices)
            if better.profit + training > incumbent:
                prices, incumbent = better.prices, better.profit + training
        if incumbent > before:
            history.append(incumbent - training)
            times.append(time.perf_counter() - began)
        if max(top, closed) <= incumbent + allowed:
            status = "certified"
        elif closed >= top:
            status = "resolution"
        elif size + 2 > HEAP_BOXES:
            status = "memory limit"
        elif budget is not None and done >= budget:
            status = "box limit"
        elif time.perf_counter() > ends:
            status = "time limit"
    # Boxes were dropped below the incumbent of their time plus the gap, so the bound is never less than that.
    bound = max(top, closed, incumbent + allowed)
    profit, bound = incumbent - training, bound - training
    return SearchResult(prices, profit, bound, status, done, 0.0, np.array(history), np.array(times))


class _Objective:
    """The loss that general optimisers minimise, in log prices; remembers the best and how it was reached."""

    def __init__(self, imp: IMP, terms: RentalTerms) -> None:
        self._began = time.perf_counter()
        problem = imp.problem(terms)
        self._profit: Callable[[FloatArray], float] = lambda prices: float(anticipated_profit(problem, prices))
        floor, cap = imp.constants.price_floor, imp.constants.price_cap
        self._limits = floor, cap
        self.bounds = [(float(np.log(floor)), float(np.log(cap)))] * terms.setup_cost.shape[1]
        self._best, self._prices = -np.inf, np.empty(0)
        self._evaluations, self._history, self._times = 0, list[float](), list[float]()

    def __call__(self, log_prices: FloatArray) -> float:
        prices = np.clip(np.exp(log_prices), *self._limits)
        profit = self._profit(prices)
        self._evaluations += 1
        if profit > self._best:
            self._best, self._prices = profit, prices
            self._history.append(profit)
            self._times.append(time.perf_counter() - self._began)
        return -profit

    def result(self, status: str) -> SearchResult:
        """Return the best prices seen."""
        return SearchResult(
            self._prices,
            self._best,
            np.inf,
            status,
            self._evaluations,
            time.perf_counter() - self._began,
            np.array(self._history),
            np.array(self._times),
        )
