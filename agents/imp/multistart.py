"""Multistart: where IMP starts again, the best ends of local searches over a table of prices around those it found.

So many searches from random cells are affordable, and the few that end highest are worth an exact one.
"""

from __future__ import annotations

import numpy as np
from lmaas_agents.imp.price_table import price_table
from lmaas_agents.imp.problem import Problem, least_promise

from lmaas_env.engine.price_table import search_cells
from lmaas_env.engine.rsr import select, worst_case_of_all
from lmaas_env.types import FloatArray, IntArray

CELLS = 96  # prices per model
DOWN, UP = 2.0, 6.0  # they reach from the price / DOWN to the price * UP, or to floor and cap
SEARCHES = 70


def starting_prices(problem: Problem, prices: FloatArray, order: IntArray, count: int) -> FloatArray:
    """Return up to ``count`` prices at which local searches end, the best first, (count, M) $/h.

    Models are moved and drawn for in ``order`` (M,); the draws are the same for every call. The price of a model
    without customers may be far too high, so its cells begin as low as those of the dearest price that is paid.
    """
    seller, customers = problem.seller, problem.terms.energy.size
    price = np.repeat(prices[:, None], customers, axis=1)
    least = least_promise(problem)
    choice = select(worst_case_of_all(problem.terms, price), least)
    sold = np.isin(np.arange(len(prices)), choice)
    dearest = prices[sold].max(initial=seller.price_floor)
    low, high = (
        np.clip(end, seller.price_floor, seller.price_cap) for end in (np.minimum(prices, dearest) / DOWN, prices * UP)
    )
    grid = np.geomspace(low, high, CELLS).clip(seller.price_floor, seller.price_cap)  # rounding may leave the range
    cells = np.empty((SEARCHES, len(prices)), dtype=np.int64)
    cells[:, order] = np.random.default_rng(0).integers(CELLS, size=cells.shape)
    profit = search_cells(price_table(problem.terms, seller, grid), least, order, cells)
    # Of equal profits, which differ in the price of a model without customers, only the first.
    _, ends = np.unique(np.round(-profit, 9), return_index=True)
    return grid[cells[ends[:count]], np.arange(len(prices))]
