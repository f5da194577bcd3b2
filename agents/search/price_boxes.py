"""Kernels of the branch and bound over price boxes (see `lmaas_agents.search.search.branch_and_bound`).

Prices are cut into cells between the points of a logarithmic grid, but everything is valid for any price between them:
W falls in the price, and so do the hours (docs/theorem-1.md), so a cell's ends bound what happens inside it. A
box holds cells first[m] <= j < last[m] of every model m.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from lmaas_agents.imp.demand import fill_model
from lmaas_agents.imp.problem import Problem
from lmaas_agents.search.frontier import Frontier, drop_top, push

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.rsr import chosen, select, selection_threshold
from lmaas_env.types import FloatArray, IntArray

BLOCKS = 16  # into which a box's prices are cut for its bound, a power of two


class Tables(NamedTuple):
    """Every customer and model along the grid; the best sale of any range of cells is the larger of two entries.

    Attributes
    ----------
    worst : (N, M, J + 1), $, W at the grid's points
    sale : (N, M, J + 1), $, the seller's anticipated profit from a sale there
    best_sale : (levels, N, M, J), $, upper bound on a sale at any price of the cells j, ..., j + 2^level - 1
    threshold : (N,), $, the W that a customer selects a model above
    level_of : (J + 1,), the largest level that fits into a range of cells, by its width
    """

    worst: FloatArray
    sale: FloatArray
    best_sale: FloatArray
    threshold: FloatArray
    level_of: IntArray


@kernel
def tabulate(problem: Problem, grid: FloatArray) -> Tables:
    """Fill the tables for prices ``grid`` (J + 1,), ascending."""
    terms, seller = problem.terms, problem.seller
    models, customers = terms.setup_cost.shape
    slots, cells = terms.task_value.shape[0], grid.shape[0] - 1
    levels = 1
    while 2**levels <= cells:
        levels += 1
    worst, sale = np.empty((customers, models, cells + 1)), np.empty((customers, models, cells + 1))
    best_sale = np.empty((levels, customers, models, cells))
    worst_at, sale_at = np.empty((models, customers)), np.empty((models, customers))
    for j in range(cells + 1):
        for m in range(models):
            fill_model(problem, m, float(grid[j]), worst_at, sale_at)
        worst[:, :, j], sale[:, :, j] = worst_at.T, sale_at.T
    for n in range(customers):
        for m in range(models):
            serving, adaptation = seller.serving_cost[m, n], seller.adaptation_cost[m]
            for j in range(cells):
                # (beta - s) T(beta) - G, T at most that of the left end; a negative margin is at best 0.
                hours = 0.0
                if worst[n, m, j] > 0.0:
                    margin = grid[j] - serving
                    most = slots * terms.max_hours[0, m, n]  # where the sale does not tell the hours
                    hours = (sale[n, m, j] + adaptation) / margin if margin != 0.0 else most
                best_sale[0, n, m, j] = max(grid[j + 1] - serving, 0.0) * hours - adaptation
            for level in range(1, levels):
                half = 2 ** (level - 1)
                for j in range(cells):
                    other = best_sale[level - 1, n, m, min(j + half, cells - 1)]
                    best_sale[level, n, m, j] = max(best_sale[level - 1, n, m, j], other)
    level_of = np.zeros(cells + 1, dtype=np.int64)
    for width in range(2, cells + 1):
        level_of[width] = level_of[width // 2] + 1
    return Tables(worst, sale, best_sale, selection_threshold(terms), level_of)


@kernel
def box_bound(tables: Tables, first: IntArray, last: IntArray, gains: FloatArray) -> float:
    """Upper bound on the sum of sales at any prices of a box; ``gains`` (M, BLOCKS) is scratch.

    A customer may buy model m only at prices at which W_m reaches every rival's W at the rival's highest price. Of the
    models that it may buy let a be the one of the best possible sale, and c the best of the others (or 0, if it may buy
    none): whatever the prices, it brings at most c + max(0, its sale of a - c). So everything that depends on the
    price of one model can be added over the customers, block by block of that price, before the best block is taken:
    all customers of a model pay the same price.
    """
    customers, models = tables.worst.shape[:2]
    total = 0.0
    gains[:] = 0.0
    ends = np.empty(models, dtype=np.int64)
    for n in range(customers):
        worst = tables.worst[n]
        offer = 0.0  # the largest W that is sure; its own model reaches it at every price of the box
        for m in range(models):
            offer = max(offer, worst[m, last[m]])
        best, others, best_model = -np.inf, -np.inf if offer > tables.threshold[n] else 0.0, -1
        for m in range(models):
            start, end = first[m], last[m]
            if worst[m, start] < offer or worst[m, start] <= 0.0:
                continue
            if worst[m, end] < offer:  # the last cell in which W_m still reaches it: keep W(low) >= offer > W(high)
                low, high = start, end
                while high - low > 1:
                    middle = (low + high) // 2
                    if worst[m, middle] >= offer:
                        low = middle
                    else:
                        high = middle
                end = high
            ends[m] = end
            sale = _best_sale(tables, n, m, start, end)
            if sale > best:
                best, others, best_model = sale, max(others, best), m
            else:
                others = max(others, sale)
        if best_model < 0 or best <= others:
            total += max(others, best)
            continue
        m, base = best_model, others
        width = max((last[m] - first[m]) // BLOCKS, 1)
        if base == -np.inf:  # it surely buys m: the least of the blocks' sales will do
            base = best
            for start in range(first[m], ends[m], width):
                base = min(base, _best_sale(tables, n, m, start, min(start + width, ends[m])))
        total += base
        for start in range(first[m], ends[m], width):
            sale = _best_sale(tables, n, m, start, min(start + width, ends[m]))
            gains[m, (start - first[m]) // width] += max(0.0, sale - base)
    for m in range(models):
        total += gains[m].max()
    return total


@kernel
def _best_sale(tables: Tables, n: int, m: int, start: int, end: int) -> float:
    """Upper bound on a sale at any price of the cells start..end-1."""
    level = tables.level_of[end - start]
    best = tables.best_sale[level, n, m]
    return max(best[start], best[end - 2**level])


@kernel
def profit_at(tables: Tables, point: IntArray) -> float:
    """Sum of sales at a point of the grid (M,)."""
    customers, models = tables.worst.shape[:2]
    worst, sale = np.empty((models, customers)), np.empty((models, customers))
    for m in range(models):
        for n in range(customers):
            worst[m, n], sale[m, n] = tables.worst[n, m, point[m]], tables.sale[n, m, point[m]]
    return chosen(sale, select(worst, tables.threshold)).sum()


@kernel
def best_of_grid(tables: Tables) -> tuple[float, IntArray]:
    """Exhaustive search: the largest sum of sales over all combinations of the grid's points, and its point (M,)."""
    models, points = tables.worst.shape[1:]
    point = np.zeros(models, dtype=np.int64)
    best, best_point = -np.inf, point.copy()
    while True:
        total = profit_at(tables, point)
        if total > best:
            best = total
            best_point[:] = point
        m = 0
        while m < models and point[m] == points - 1:
            point[m] = 0
            m += 1
        if m == models:
            return best, best_point
        point[m] += 1


@kernel
def explore(
    tables: Tables,
    frontier: Frontier,
    size: int,
    incumbent: float,
    point: IntArray,
    gap: float,
    closed: float,
    boxes: int,
) -> tuple[int, float, float, int]:
    """Split boxes best-first until the bound is within ``gap`` of the incumbent, ``boxes`` are done or the heap full.

    Sums of sales, training costs not taken off. Improves ``point`` (M,) with the incumbent; ``closed`` is the largest
    bound of single cells, which are not split. The frontier's boxes are (2, M): first and last cells. Returns the
    heap's size, the incumbent, closed, and the boxes done.
    """
    models = tables.worst.shape[1]
    first, last = np.empty(models, dtype=np.int64), np.empty(models, dtype=np.int64)
    trial_first, trial_last = first.copy(), last.copy()
    halves = np.empty((2, 2, models), dtype=np.int64)  # of the box that is split: their first and last cells
    bounds, best_bounds = np.empty(2), np.empty(2)
    gains = np.empty((models, BLOCKS))
    done = 0
    while size > 0 and done < boxes and size + 2 <= frontier.bounds.shape[0]:
        parent = frontier.bounds[0]
        if parent <= incumbent + gap:
            break
        first[:], last[:] = frontier.boxes[0, 0], frontier.boxes[0, 1]
        drop_top(frontier, size)
        size -= 1
        done += 1
        best = np.inf
        for m in range(models):  # split the price whose halves promise least
            if last[m] - first[m] < 2:
                continue
            middle = (first[m] + last[m]) // 2
            for half in range(2):
                trial_first[:], trial_last[:] = first, last
                if half == 0:
                    trial_last[m] = middle
                else:
                    trial_first[m] = middle
                bounds[half] = min(parent, box_bound(tables, trial_first, trial_last, gains))
            score = max(bounds[0], bounds[1]) + 1e-3 * min(bounds[0], bounds[1])
            if score < best:
                best = score
                best_bounds[:] = bounds
                for half in range(2):
                    halves[half, 0], halves[half, 1] = first, last
                halves[0, 1, m] = middle
                halves[1, 0, m] = middle
        if best == np.inf:
            closed = max(closed, parent)
            continue
        for half in range(2):
            for corner in halves[half]:
                total = profit_at(tables, corner)
                if total > incumbent:
                    incumbent = total
                    point[:] = corner
            if best_bounds[half] > incumbent + gap:
                push(frontier, size, float(best_bounds[half]), halves[half])
                size += 1
    return size, incumbent, closed, done
