"""Where IMP starts again: climbs over a table of the prices around those that it found (see `lmaas_agents.imp.price_table`).

So many climbs from random cells are affordable, and the few that end highest are worth an exact search.
"""

from __future__ import annotations

import numpy as np
from lmaas_agents.imp.line_search import SellerConstants
from lmaas_agents.imp.price_table import Table, climb, tabulate

from lmaas_env.engine.recourse import TermArrays
from lmaas_env.engine.recourse_simd import solve_rows
from lmaas_env.types import FloatArray, IntArray

CELLS = 96  # prices per model
DOWN, UP = 2.0, 6.0  # they reach from the price / DOWN to the price * UP, or to floor and cap
CLIMBS = 70


def starting_prices(
    terms: TermArrays, seller: SellerConstants, prices: FloatArray, order: IntArray, count: int
) -> FloatArray:
    """Return up to ``count`` prices at which climbs end, the best first, (count, M) $/h.

    Models are moved and drawn for in ``order`` (M,); the draws are the same for every call. The price of a model that
    nobody rents may be far too high, so its cells begin as low as those of the dearest price that somebody pays.
    """
    sold = np.isin(np.arange(len(prices)), solve_rows(terms, prices[None])[0])
    dearest = prices[sold].max(initial=seller.price_floor)
    table = around(terms, seller, np.minimum(prices, dearest) / DOWN, prices * UP)
    cells = np.empty((1, CLIMBS, len(prices)), dtype=np.int64)
    cells[..., order] = np.random.default_rng(0).integers(CELLS, size=cells.shape)
    profit: FloatArray = climb(table.worst, table.sale, order, cells)[0]
    # Of equal profits, which differ in the price of a model that nobody rents, only the first.
    _, ends = np.unique(np.round(-profit, 9), return_index=True)
    return table.prices[0, np.arange(len(prices)), cells[0, ends[:count]]]


def around(terms: TermArrays, seller: SellerConstants, low: FloatArray, high: FloatArray) -> Table:
    """Return the table of prices from ``low`` to ``high`` (M,), $/h, clipped to floor and cap."""
    low, high = (np.clip(end, seller.price_floor, seller.price_cap) for end in (low, high))
    grid = np.geomspace(low, high, CELLS).clip(seller.price_floor, seller.price_cap)  # rounding may leave the range
    return tabulate(terms, seller.serving_cost, seller.adaptation_cost, grid[None])
