"""The best reply of one of several sellers to the prices of the others, fast enough for an environment.

IMP's coordinate ascent on a table: every customer's worst-case profit W and expected profit U are solved at a few
prices of every own model, from its serving cost to the cap. Both are convex in the price, and their slopes are known,
minus the hours. So a cubic through values and slopes gives W, and the hours, between those prices: the price may then
move over many cells without a problem being solved. The search starts from the seller's last prices, from the cap and
from between (`STARTS`), moves one price at a time to its best cell, and withdraws models without customers as IMP does.
A second table, around the prices found, is exact to 1e-6 and gives the price to 0.2 %.
"""

from __future__ import annotations

import math

import numpy as np

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.period import (
    BLOCK,
    Constants,
    models_of,
    numbers_of,
    sellers_of,
    terms_of_lanes,
)
from lmaas_env.engine.price_table import PriceTable, search_cells
from lmaas_env.engine.recourse_simd import solve_recourse
from lmaas_env.engine.rsr import rent, select, selection_threshold, worst_case, worst_case_of_all
from lmaas_env.engine.terms import Terms, price_per_customer
from lmaas_env.state import State
from lmaas_env.types import BoolArray, FloatArray, IntArray

NODES = 6  # prices per model of the first table, by which its time grows
CELLS = 11  # between two of them
NEAR_NODES = 2  # of the second table, one cell of the first below the prices found and one above
NEAR_CELLS = 64
STARTS = (0.75, 0.5)  # of the way from the lowest price to the cap, in the logarithm


@kernel
def reply_lanes(
    constants: Constants,
    state: State,
    prices: FloatArray,
    seller: int,
    faded: BoolArray,
    first: int,
    last: int,
    replies: FloatArray,
) -> None:
    """Fill a seller's replies (K, M) to the prices (K, S * M) of all sellers in the lanes first, ..., last - 1, $/h.

    ``faded`` (P, L, N or K * N) are the equally likely fade patterns over which it expects hours. Its own prices are
    only where a search starts.
    """
    models, numbers, customers = models_of(constants), numbers_of(constants), state.charge.shape[1]
    count = prices.shape[1] // sellers_of(constants)
    own, cap = seller * count, numbers.price_cap
    serving_cost = models.serving_cost[own : own + count]
    order = np.argsort(serving_cost, kind="mergesort")
    low = np.empty(count)
    for m in range(count):  # a price below the serving cost earns less than none
        low[m] = serving_cost[m] if numbers.price_floor < serving_cost[m] < 0.5 * cap else numbers.price_floor
    grid, near = np.empty((NODES, count)), np.empty((NEAR_NODES, count))
    for j in range(NODES):
        for m in range(count):
            grid[j, m] = low[m] * (cap / low[m]) ** (j / (NODES - 1))
    top = (NODES - 1) * CELLS
    starts = np.empty((2 + len(STARTS), count), dtype=np.int64)
    for lane in range(first, last):
        terms, at = terms_of_lanes(constants, state, lane, lane + 1), lane * customers % faded.shape[2]
        patterns = faded[:, :, at : at + customers]
        outside = promised_by_others(terms, prices[lane], own, count)
        for m in range(count):
            share = math.log(max(prices[lane, own + m], low[m]) / low[m]) / math.log(cap / low[m])
            starts[0, m], starts[1, m] = round(top * min(share, 1.0)), top
            for i in range(len(STARTS)):
                starts[2 + i, m] = round(top * STARTS[i])
        table = _table(terms, constants, own, grid, CELLS, patterns)
        found = _searched(table, outside, order, starts)
        for m in range(count):
            ratio = (cap / low[m]) ** (1.0 / top)
            middle = min(max(table.prices[found[m], m], low[m] * ratio), cap / ratio)
            for j in range(NEAR_NODES):
                near[j, m] = min(max(middle * ratio ** (2.0 * j / (NEAR_NODES - 1) - 1.0), numbers.price_floor), cap)
        table = _table(terms, constants, own, near, NEAR_CELLS, patterns)
        starts[0] = (NEAR_NODES - 1) * NEAR_CELLS // 2
        starts[1] = (NEAR_NODES - 1) * NEAR_CELLS
        found = _searched(table, outside, order, starts[:2])
        for m in range(count):
            replies[lane, m] = table.prices[found[m], m]


@kernel
def promised_by_others(terms: Terms, prices: FloatArray, own: int, count: int) -> FloatArray:
    """Return what each customer (N,) must be promised more than: what others offer it, or nothing, $."""
    others = np.empty(prices.shape[0] - count, dtype=np.int64)
    for i in range(others.shape[0]):
        others[i] = i if i < own else i + count
    outside = selection_threshold(terms)
    price = np.empty((others.shape[0], outside.shape[0]))
    for i in range(others.shape[0]):
        price[i] = prices[others[i]]
    promised = worst_case(terms, others, price, np.empty((0, *price.shape)))
    for i in range(others.shape[0]):
        for n in range(outside.shape[0]):
            outside[n] = max(outside[n], promised[i, n])
    return outside


@kernel
def _table(
    terms: Terms, constants: Constants, own: int, grid: FloatArray, cells: int, patterns: BoolArray
) -> PriceTable:
    """Return the table of the models from offer ``own`` on, with so many cells between the prices (J, M) of a grid."""
    (nodes, count), (slots, customers) = grid.shape, terms.task_value.shape
    rows = nodes * count
    model, price = np.empty(rows, dtype=np.int64), np.empty((rows, customers))
    for row in range(rows):
        model[row] = own + row // nodes
        price[row] = grid[row % nodes, row // nodes]
    hours = np.empty((slots, rows, customers))
    worst = worst_case(terms, model, price, hours)
    worst_slope, expected, slope = _slope(price, hours), np.zeros((rows, customers)), np.zeros((rows, customers))
    for p in range(patterns.shape[0]):
        profit = solve_recourse(terms, model, price, patterns[p], hours)[0]
        expected += profit / patterns.shape[0]
        slope += _slope(price, hours) / patterns.shape[0]
    return _between(constants, own, grid, cells, (worst, worst_slope, expected, slope))


@kernel
def _slope(price: FloatArray, hours: FloatArray) -> FloatArray:
    """Return the slope (B, R) of a customer's profit in the logarithm of the price (B, R): minus what it pays."""
    slope = np.zeros(price.shape)
    for slot in range(hours.shape[0]):
        slope -= price * hours[slot]
    return slope


@kernel
def _between(
    constants: Constants,
    own: int,
    grid: FloatArray,
    cells: int,
    nodes: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
) -> PriceTable:
    """Return the table between the prices (J, M) of a grid, from W, its slope, U and its slope there, (M * J, N).

    With u the logarithm of the price beta, U' = -beta T: the seller earns (beta - s) T - G = -(1 - s / beta) U' - G.
    """
    worst, worst_slope, expected, slope = nodes
    (size, count), customers, models = grid.shape, worst.shape[1], models_of(constants)
    basis = np.empty((8, cells))
    for f in range(cells):
        x = f / cells
        basis[0, f], basis[1, f] = (1.0 + 2.0 * x) * (1.0 - x) ** 2, x * (1.0 - x) ** 2
        basis[2, f], basis[3, f] = x * x * (3.0 - 2.0 * x), x * x * (x - 1.0)
        basis[4, f], basis[5, f] = 6.0 * x * (x - 1.0), (1.0 - x) * (1.0 - 3.0 * x)
        basis[6, f], basis[7, f] = 6.0 * x * (1.0 - x), x * (3.0 * x - 2.0)
    last = (size - 1) * cells
    prices = np.empty((last + 1, count))
    promised, sale = np.empty((count, customers, last + 1)), np.empty((count, customers, last + 1))
    margin = np.empty(last + 1)
    for m in range(count):
        cost, adaptation = models.serving_cost[own + m], models.adaptation_cost[own + m]
        for j in range(size - 1):
            for f in range(cells):
                prices[j * cells + f, m] = grid[j, m] * (grid[j + 1, m] / grid[j, m]) ** (f / cells)
        prices[last, m] = grid[size - 1, m]
        for c in range(last + 1):
            margin[c] = 1.0 - cost / prices[c, m]
        for j in range(size - 1):
            width, row, start = math.log(grid[j + 1, m] / grid[j, m]), m * size + j, j * cells
            for n in range(customers):
                w0, w1 = worst[row, n], worst[row + 1, n]
                g0, g1 = width * worst_slope[row, n], width * worst_slope[row + 1, n]
                into = promised[m, n, start : start + cells]
                for f in range(cells):
                    into[f] = basis[0, f] * w0 + basis[1, f] * g0 + basis[2, f] * w1 + basis[3, f] * g1
                u0, u1 = expected[row, n] / width, expected[row + 1, n] / width
                g0, g1 = slope[row, n], slope[row + 1, n]
                into = sale[m, n, start : start + cells]
                for f in range(cells):
                    change = basis[4, f] * u0 + basis[5, f] * g0 + basis[6, f] * u1 + basis[7, f] * g1
                    into[f] = -margin[start + f] * min(change, 0.0) - adaptation
        for n in range(customers):
            row = m * size + size - 1
            promised[m, n, last] = worst[row, n]
            sale[m, n, last] = -margin[last] * slope[row, n] - adaptation
    return PriceTable(prices, promised, sale)


@kernel
def _searched(table: PriceTable, outside: FloatArray, order: IntArray, starts: IntArray) -> IntArray:
    """Return the best cells (M,) that searches from ``starts`` (C, M) find, which are moved there.

    Once no price moves alone, models without customers are withdrawn at the last cell, and the search goes on.
    """
    models, customers, size = table.worst.shape
    reached = search_cells(table, outside, order, starts)
    for c in range(starts.shape[0]):
        row = starts[c]
        sold = np.zeros(models, dtype=np.bool_)
        for n in range(customers):
            best, choice = outside[n], -1
            for m in range(models):
                if table.worst[m, n, row[m]] > best:
                    best, choice = table.worst[m, n, row[m]], m
            if choice >= 0:
                sold[choice] = True
        for m in range(models):
            if not sold[m]:
                row[m] = size - 1
    reached = np.maximum(reached, search_cells(table, outside, order, starts))
    return starts[reached.argmax()].copy()


@kernel
def profits_of_lanes(
    constants: Constants,
    state: State,
    prices: FloatArray,
    faded: BoolArray,
    first: int,
    last: int,
    profits: FloatArray,
) -> None:
    """Fill the expected profits (K, S) of all sellers at prices (K, S * M) in the lanes first, ..., last - 1, $.

    ``faded`` (P, L, N or K * N) are equally likely fade patterns.
    """
    models, sellers, customers = models_of(constants), sellers_of(constants), state.charge.shape[1]
    count = prices.shape[1] // sellers
    training, at_once = models.training_cost[:count].sum(), max(1, BLOCK // customers)
    for low in range(first, last, at_once):
        high = min(low + at_once, last)
        terms = terms_of_lanes(constants, state, low, high)
        price = price_per_customer(prices[low:high], customers)
        choice = select(worst_case_of_all(terms, price), selection_threshold(terms))
        profits[low:high] = -training
        pattern = np.empty((terms.task_value.shape[0], choice.shape[0]), dtype=np.bool_)
        hours = np.zeros(choice.shape[0])
        for p in range(faded.shape[0]):
            for row in range(choice.shape[0]):
                pattern[:, row] = faded[p, :, (low * customers + row) % faded.shape[2]]
            hours += rent(terms, choice, price, pattern)[0].sum(axis=0) / faded.shape[0]
        for row in range(choice.shape[0]):
            m, lane = choice[row], low + row // customers
            if m >= 0:
                margin = prices[lane, m] - models.serving_cost[m]
                profits[lane, m // count] += margin * hours[row] - models.adaptation_cost[m]
