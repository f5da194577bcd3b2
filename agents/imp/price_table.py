"""Climbs over tables of sales: a good joint choice of all prices from a few thousand problems of one customer each.

The prices of every model are cut into cells, and every customer's worst-case profit and planned hours are tabulated
there, all models at once. A climb moves one price at a time to the best of its cells, as IMP does, but only adds up
numbers of the table. IMP starts again where climbs end highest (`lmaas_agents.imp.multistart`); a policy lets them refine its
prices (`lmaas_agents.learned.residual`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.recourse import TermArrays, some
from lmaas_env.engine.recourse_simd import solve_grid
from lmaas_env.types import FloatArray, IntArray


class Table(NamedTuple):
    """Every customer and model at J prices, in K markets.

    Attributes
    ----------
    prices : (K, M, J), $/h
    worst : (K, M, N, J), $, the customer's worst-case profit
    sale : (K, M, N, J), $, the seller's profit from the hours planned for the worst case
    """

    prices: FloatArray
    worst: FloatArray
    sale: FloatArray


def tabulate(terms: TermArrays, cost: FloatArray, adaptation_cost: FloatArray, prices: FloatArray) -> Table:
    """Return the table of J prices of every model in K markets.

    Parameters
    ----------
    terms : TermArrays
        Of the K * N customers.
    cost : (K * N, M), $/h
        Of the seller.
    adaptation_cost : (M,), $
    prices : (K, J, M), $/h
    """
    lanes, cells, models = prices.shape
    shape = lanes, models, len(terms.energy) // lanes, cells
    table = Table(prices.transpose(0, 2, 1), np.empty(shape), np.empty(shape))
    _fill(terms, cost, adaptation_cost, prices, table.worst, table.sale)
    return table


@kernel
def _fill(
    terms: TermArrays,
    cost: FloatArray,
    adaptation_cost: FloatArray,
    prices: FloatArray,
    worst: FloatArray,
    sale: FloatArray,
) -> None:
    models, customers = worst.shape[1:3]
    for k in range(prices.shape[0]):
        first = k * customers
        profit, hours = solve_grid(some(terms, first, first + customers), prices[k : k + 1])
        for m in range(models):
            for n in range(customers):
                for j in range(prices.shape[1]):
                    rented = 0.0
                    for slot in range(hours.shape[3]):
                        rented += hours[n, j, m, slot]
                    worst[k, m, n, j] = profit[n, j, m]
                    sale[k, m, n, j] = (prices[k, j, m] - cost[first + n, m]) * rented - adaptation_cost[m]


@kernel
def climb(worst: FloatArray, sale: FloatArray, order: IntArray, cells: IntArray) -> FloatArray:
    """Move every row of ``cells`` (K, C, M) to where no price gains alone; return the profit there, (K, C) $.

    ``worst`` and ``sale`` are those of a `Table`; models move in ``order`` (M,), and training is not counted.
    """
    models, customers, size = worst.shape[1:]
    reached, profit = np.empty(cells.shape[:2]), np.empty(size)
    for k in range(cells.shape[0]):
        for c in range(cells.shape[1]):
            row = cells[k, c]
            best, settled, turn = -np.inf, 0, 0
            while settled < models:
                m = int(order[turn])
                profit[:] = 0.0
                for n in range(customers):
                    offer, elsewhere = 0.0, 0.0
                    for other in range(models):
                        if other != m and worst[k, other, n, row[other]] > offer:
                            offer, elsewhere = worst[k, other, n, row[other]], sale[k, other, n, row[other]]
                    for j in range(size):
                        profit[j] += sale[k, m, n, j] if worst[k, m, n, j] > offer else elsewhere
                settled += 1
                for j in range(size):  # the first of equals, up to rounding
                    if profit[j] > best + 1e-9 * max(1.0, abs(best)) or best == -np.inf:
                        settled = settled if row[m] == j else 1
                        row[m], best = j, profit[j]
                turn = (turn + 1) % models
            reached[k, c] = best
    return reached


@kernel
def refine(
    terms: TermArrays,
    cost: FloatArray,
    adaptation_cost: FloatArray,
    prices: FloatArray,
    factors: FloatArray,
    starts: IntArray,
    order: IntArray,
    floor: float,
    cap: float,
) -> FloatArray:
    """Return, of K markets, the best prices (K, M), $/h, at which climbs around ``prices`` (K, M) end.

    Cells are the prices times ``factors`` (J,), clipped to floor and cap; climbs start from ``starts`` (C, M). One
    market after another, so that its table stays in the cache.
    """
    lanes, models = prices.shape
    customers = terms.energy.shape[0] // lanes
    grid = np.empty((1, factors.shape[0], models))
    worst = np.empty((1, models, customers, factors.shape[0]))
    sale = np.empty(worst.shape)
    ends = np.empty((1, *starts.shape), dtype=np.int64)
    found = np.empty(prices.shape)
    for k in range(lanes):
        first, end = k * customers, (k + 1) * customers
        for j in range(factors.shape[0]):
            for m in range(models):
                grid[0, j, m] = min(max(prices[k, m] * factors[j], floor), cap)
        _fill(some(terms, first, end), cost[first:end], adaptation_cost, grid, worst, sale)
        ends[0] = starts
        best = climb(worst, sale, order, ends)[0].argmax()
        for m in range(models):
            found[k, m] = grid[0, ends[0, best, m], m]
    return found
