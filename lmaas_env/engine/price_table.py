"""Local search over a table of sales: a good joint choice of all prices of a seller, by adding up numbers of the table.

The prices of every model are cut into cells, and every customer's worst-case profit and what the seller earns from it
are known there. The search moves one price at a time to the best of its cells. IMP starts again from the best ends of
such searches (`lmaas_agents.imp.multistart`), a residual policy refines its prices by it
(`lmaas_agents.learned.residual`), and rivals reply by it (`lmaas_env.engine.reply`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.math import where
from lmaas_env.types import FloatArray, IntArray

MOST_SWEEPS = 1000  # of one search, which takes a few


class PriceTable(NamedTuple):
    """Every customer and model of one seller at J prices.

    Attributes
    ----------
    prices : (J, M), $/h
    worst : (M, N, J), $, the customer's worst-case profit
    sale : (M, N, J), $, the seller's profit from the hours that it anticipates
    """

    prices: FloatArray
    worst: FloatArray
    sale: FloatArray


@kernel
def search_cells(table: PriceTable, outside: FloatArray, order: IntArray, cells: IntArray) -> FloatArray:
    """Move every row of ``cells`` (C, M) to where no price gains alone; return the profit there, (C,) $.

    Customers need a promise of more than ``outside`` (N,), $, which others offer. Models move in ``order`` (M,);
    training costs are not counted.
    """
    worst, sale = table.worst, table.sale
    models, customers, size = worst.shape
    reached, profit = np.empty(cells.shape[0]), np.empty(size)
    for c in range(cells.shape[0]):
        row = cells[c]
        best, settled, turn = -np.inf, 0, 0
        for _ in range(MOST_SWEEPS * models):
            if settled >= models:
                break
            m = int(order[turn])
            profit[:] = 0.0
            for n in range(customers):
                offer, elsewhere = outside[n], 0.0
                for other in range(models):
                    if other != m and worst[other, n, row[other]] > offer:
                        offer, elsewhere = worst[other, n, row[other]], sale[other, n, row[other]]
                for j in range(size):
                    profit[j] += where(worst[m, n, j] > offer, sale[m, n, j], elsewhere)
            settled += 1
            for j in range(size):  # the first of equals, up to rounding
                if profit[j] > best + 1e-9 * max(1.0, abs(best)) or best == -np.inf:
                    settled = settled if row[m] == j else 1
                    row[m], best = j, profit[j]
            turn = (turn + 1) % models
        reached[c] = best
    return reached
