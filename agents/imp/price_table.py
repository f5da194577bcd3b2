"""Tables of sales for local search: a good joint choice of all prices from a few thousand problems of one customer.

The prices of every model are cut into cells, and every customer's worst-case profit and planned hours are tabulated
there, all models at once (`lmaas_env.engine.price_table` searches them).
"""

from __future__ import annotations

import numpy as np
from lmaas_agents.imp.problem import SellerConstants

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.price_table import PriceTable, search_cells
from lmaas_env.engine.rsr import worst_case
from lmaas_env.engine.terms import Terms, slice_terms
from lmaas_env.types import FloatArray, IntArray

BLOCK = 1024  # customers whose planned hours are alive at once: 5 KB each with 4 models at 25 prices


@kernel
def price_table(terms: Terms, seller: SellerConstants, prices: FloatArray) -> PriceTable:
    """Return the table of one market's customers at prices (J, M), $/h."""
    (cells, models), (slots, customers) = prices.shape, terms.task_value.shape
    rows = cells * models
    model = np.empty(rows, dtype=np.int64)
    for row in range(rows):
        model[row] = row % models
    worst, sale = np.empty((models, customers, cells)), np.empty((models, customers, cells))
    for first in range(0, customers, BLOCK):
        end = min(first + BLOCK, customers)
        price, hours = np.empty((rows, end - first)), np.empty((slots, rows, end - first))
        for row in range(rows):
            price[row] = prices[row // models, row % models]
        promised = worst_case(slice_terms(terms, first, end), model, price, hours)
        for row in range(rows):
            j, m = row // models, row % models
            for n in range(first, end):
                rented = 0.0
                for slot in range(slots):
                    rented += hours[slot, row, n - first]
                worst[m, n, j] = promised[row, n - first]
                sale[m, n, j] = (prices[j, m] - seller.serving_cost[m, n]) * rented - seller.adaptation_cost[m]
    return PriceTable(prices, worst, sale)


@kernel
def local_search(table: PriceTable, order: IntArray, cells: IntArray) -> FloatArray:
    """Move every row of ``cells`` (C, M) to where no price gains alone, as `search_cells`, without rivals."""
    return search_cells(table, np.zeros(len(table.worst[0])), order, cells)


@kernel
def refined_prices(
    terms: Terms, seller: SellerConstants, prices: FloatArray, factors: FloatArray, starts: IntArray, order: IntArray
) -> FloatArray:
    """Return the best prices (K, M), $/h, at which local searches around ``prices`` (K, M) of K markets end.

    Cells are the prices times ``factors`` (J,), clipped to floor and cap; the searches start from ``starts`` (C, M).
    ``terms`` and ``seller.serving_cost`` are those of the K * N customers. One market after another, so that its table
    stays in the cache.
    """
    lanes, models = prices.shape
    customers = terms.energy.shape[0] // lanes
    found = np.empty(prices.shape)
    for k in range(lanes):
        first, end = k * customers, (k + 1) * customers
        grid = np.empty((factors.shape[0], models))
        for j in range(factors.shape[0]):
            for m in range(models):
                grid[j, m] = min(max(prices[k, m] * factors[j], seller.price_floor), seller.price_cap)
        own = SellerConstants(
            seller.serving_cost[:, first:end].copy(),
            seller.adaptation_cost,
            seller.training_cost,
            seller.price_floor,
            seller.price_cap,
        )
        ends = starts.copy()
        best = local_search(price_table(slice_terms(terms, first, end), own, grid), order, ends).argmax()
        for m in range(models):
            found[k, m] = grid[ends[best, m], m]
    return found
