"""Where IMP starts again: climbs over a table of sales, each of which costs microseconds (see `agents.imp`).

All prices around those that IMP found are cut into cells, and every customer's worst-case profit and planned hours are
tabulated there. A climb moves one price at a time to the best of its cells, as IMP does, but only adds up numbers of
the table. So many climbs from random cells are affordable, and the few that end highest are worth an exact search.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.line_search import SellerConstants
from lmaas_env.compiled import kernel
from lmaas_env.kernels import TermArrays
from lmaas_env.types import FloatArray, IntArray
from lmaas_env.waterfilling import solve_rows

CELLS = 64  # prices per model; 128 find 0.01 % more in twice the time
SPAN = 2.0  # they reach from the price / SPAN to the price * SPAN, or to floor and cap
CLIMBS = 100


class Table(NamedTuple):
    """Every customer and model at every price of a grid.

    Attributes
    ----------
    prices : (M, J), $/h
    worst : (M, N, J), $, the customer's worst-case profit
    sale : (M, N, J), $, the seller's profit from the hours planned for the worst case
    """

    prices: FloatArray
    worst: FloatArray
    sale: FloatArray


def starting_prices(
    terms: TermArrays, seller: SellerConstants, prices: FloatArray, order: IntArray, count: int
) -> FloatArray:
    """Return up to ``count`` prices at which climbs end, the best first, (count, M) $/h.

    Models are moved and drawn for in ``order`` (M,); the draws are the same for every call. The price of a model that
    nobody rents may be far too high, so its cells begin as low as those of the dearest price that somebody pays.
    """
    sold = np.isin(np.arange(len(prices)), solve_rows(terms, prices[None])[0])
    dearest = prices[sold].max(initial=seller.price_floor)
    table = tabulate(terms, seller, np.minimum(prices, dearest) / SPAN, prices * SPAN)
    cells = np.empty((CLIMBS, len(prices)), dtype=np.int64)
    cells[:, order] = np.random.default_rng(0).integers(CELLS, size=cells.shape)
    profit = _climb(table, order, cells)
    # Of equal profits, which differ in the price of a model that nobody rents, only the first.
    _, ends = np.unique(np.round(-profit, 9), return_index=True)
    return table.prices[np.arange(len(prices)), cells[ends[:count]]]


def tabulate(terms: TermArrays, seller: SellerConstants, low: FloatArray, high: FloatArray) -> Table:
    """Return the table of prices from ``low`` to ``high`` (M,), $/h, clipped to floor and cap."""
    low, high = (np.clip(end, seller.price_floor, seller.price_cap) for end in (low, high))
    grid = np.geomspace(low, high, CELLS).clip(seller.price_floor, seller.price_cap)  # rounding may leave the range
    customers = len(terms.energy)
    batch = TermArrays(*(np.concatenate([array] * CELLS) for array in terms))  # pyright: ignore  # a market per cell
    _, worst, planned = solve_rows(batch, grid)
    worst, hours = worst.reshape(CELLS, customers, -1), planned.sum(axis=2).reshape(CELLS, customers, -1)
    sale = (grid[:, None] - seller.serving_cost) * hours - seller.adaptation_cost
    return Table(*(np.ascontiguousarray(array.T) for array in (grid, worst, sale)))


@kernel
def _climb(table: Table, order: IntArray, cells: IntArray) -> FloatArray:
    """Move every row of ``cells`` (K, M) to where no price gains alone; return the profit there but for training."""
    models, customers, size = table.worst.shape
    reached, profit = np.empty(cells.shape[0]), np.empty(size)
    for k in range(cells.shape[0]):
        row = cells[k]
        best, settled, turn = -np.inf, 0, 0
        while settled < models:
            m = int(order[turn])
            profit[:] = 0.0
            for n in range(customers):
                offer, elsewhere = 0.0, 0.0
                for other in range(models):
                    if other != m and table.worst[other, n, row[other]] > offer:
                        offer, elsewhere = table.worst[other, n, row[other]], table.sale[other, n, row[other]]
                for j in range(size):
                    profit[j] += table.sale[m, n, j] if table.worst[m, n, j] > offer else elsewhere
            settled += 1
            for j in range(size):  # the first of equals, up to rounding
                if profit[j] > best + 1e-9 * max(1.0, abs(best)) or best == -np.inf:
                    settled = settled if row[m] == j else 1
                    row[m], best = j, profit[j]
            turn = (turn + 1) % models
        reached[k] = best
    return reached
