"""The largest sum of brackets over all prices of one hour: ascent over a grid, and branch and bound over price boxes.

Prices are cut into cells, the leaves of a binary tree: node 1 holds all of them, node i those of its children 2 i and
2 i + 1. A box of prices is a node per model.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from lmaas_agents.bounds.brackets import IMPOSSIBLE, Costs, Hour, fill_no_sale, fill_sales, new_room
from lmaas_agents.bounds.responses import Responses
from lmaas_agents.search.frontier import Frontier, drop_top, push
from numpy.typing import NDArray

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.math import where
from lmaas_env.engine.rsr import SELECTION_THRESHOLD
from lmaas_env.types import FloatArray, IntArray

SingleArray: TypeAlias = NDArray[np.float32]

OUTWARD = 2e-7  # relative, more than twice the rounding of a number to single precision
TOLERANCE = 1e-9  # $ and relative, of computed profits
STRIDE = 8  # leaves between the trials of a search along one price, before those around the best
NEAR = 2  # leaves, within which two boxes count as one


class Tables(NamedTuple):
    """What customers may do, by model, node of the price tree and cell of the charge; $, in single precision.

    Attributes
    ----------
    most, least : (M, 2 J, K * N)
        Bounds on the worst-case profit W in the cell, rounded up and down.
    bracket : (M, 2 J, K * N)
        Upper bound on the bracket of a customer that selects the model.
    none : (K * N,)
        Upper bound on the bracket of a customer that selects none.
    customers : int
    """

    most: SingleArray
    least: SingleArray
    bracket: SingleArray
    none: SingleArray
    customers: int


@kernel
def fill_tables(responses: Responses, hour: Hour, costs: Costs, cells: IntArray, parts: int) -> Tables:
    """Fill the tables for J price cells, a power of two, between points ``cells`` (2, J) of the grid."""
    (customers, points), models, leaves = hour.nodes.shape, costs.serving.shape[0], cells.shape[1]
    charges = points - 1
    shape = (models, 2 * leaves, charges, customers)
    most, least = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    bracket, none = np.empty(shape, dtype=np.float32), np.empty((charges, customers), dtype=np.float32)
    room = new_room(charges)
    for n in range(customers):
        fill_no_sale(hour, n, room)
        for k in range(charges):
            none[k, n] = _above(room.bracket[k])
        for m in range(models):
            for j in range(leaves):
                low, high = cells[0, j], cells[1, j]
                fill_sales(responses, hour, costs, n, m, low, high, parts, room)
                for k in range(charges):
                    bracket[m, leaves + j, k, n] = _above(room.bracket[k])
                    most[m, leaves + j, k, n] = _above(responses.worst[m, low, k + 1, n])
                    least[m, leaves + j, k, n] = _below(responses.worst[m, high, k, n])
    for m in range(models):
        for i in range(leaves - 1, 0, -1):
            for k in range(charges):
                for n in range(customers):
                    most[m, i, k, n] = most[m, 2 * i, k, n]
                    least[m, i, k, n] = least[m, 2 * i + 1, k, n]
                    bracket[m, i, k, n] = max(bracket[m, 2 * i, k, n], bracket[m, 2 * i + 1, k, n])
    flat = (models, 2 * leaves, charges * customers)
    return Tables(most.reshape(flat), least.reshape(flat), bracket.reshape(flat), none.reshape(flat[2]), customers)


@kernel
def _above(x: float) -> np.float32:
    """Return a number of single precision above x, and above what x may be without errors of computation."""
    return np.float32(x + (OUTWARD + TOLERANCE) * abs(x) + TOLERANCE)


@kernel
def _below(x: float) -> np.float32:
    """Return a number of single precision below x, and below what x may be without errors of computation."""
    return np.float32(x - (OUTWARD + TOLERANCE) * abs(x) - TOLERANCE)


@kernel
def total(tables: Tables, index: IntArray, scratch: SingleArray) -> float:
    """Return the sum over customers of the largest bracket in any cell of the charge, at the prices ``index`` (M,).

    A model may win where its largest W reaches the least W of every other; none may where no model's least W exceeds 0.
    ``scratch`` is (2, K * N).
    """
    models, customers = index.shape[0], tables.customers
    size = tables.none.shape[0]
    sure, best = scratch[0], scratch[1]
    least = tables.least[0, index[0]]
    for i in range(size):
        sure[i] = least[i]
    for m in range(1, models):
        least = tables.least[m, index[m]]
        for i in range(size):
            sure[i] = where(least[i] > sure[i], least[i], sure[i])
    none = tables.none
    for i in range(size):
        best[i] = where(sure[i] > SELECTION_THRESHOLD, np.float32(IMPOSSIBLE), none[i])
    for m in range(models):
        most, bracket = tables.most[m, index[m]], tables.bracket[m, index[m]]
        for i in range(size):
            may = (most[i] >= sure[i]) & (most[i] > SELECTION_THRESHOLD) & (bracket[i] > best[i])
            best[i] = where(may, bracket[i], best[i])
    found = 0.0
    for n in range(customers):
        largest = best[n]
        for i in range(n + customers, size, customers):
            largest = max(largest, best[i])
        found += largest
    return found


@kernel
def ascend(tables: Tables, nodes: IntArray, scratch: SingleArray) -> float:
    """Improve one leaf of ``nodes`` (M,) after another until none improves, and return the sum of brackets there."""
    models, leaves = nodes.shape[0], tables.most.shape[1] // 2
    value = total(tables, nodes, scratch)
    unchanged, m = 0, 0
    while unchanged < models:
        kept = best = nodes[m]
        for j in range(leaves, 2 * leaves, STRIDE):
            nodes[m] = j
            trial = total(tables, nodes, scratch)
            if trial > value:
                value, best = trial, j
        middle = best
        for j in range(max(middle - STRIDE + 1, leaves), min(middle + STRIDE, 2 * leaves)):
            nodes[m] = j
            trial = total(tables, nodes, scratch)
            if trial > value:
                value, best = trial, j
        nodes[m] = best
        unchanged = unchanged + 1 if best == kept else 1
        m = (m + 1) % models
    return value


@kernel
def renew_pool(tables: Tables, pool: IntArray, starts: IntArray) -> FloatArray:
    """Search from every start (S, M), put what is better into the pool (P, M), and return the sums (P,) of its boxes.

    Leaves are counted from 0 on.
    """
    boxes, models = pool.shape
    leaves, scratch = tables.most.shape[1] // 2, np.empty((2, tables.none.shape[0]), dtype=np.float32)
    sums, nodes = np.empty(boxes), np.empty(models, dtype=np.int64)
    for p in range(boxes):
        sums[p] = total(tables, pool[p] + leaves, scratch)
    for start in range(starts.shape[0]):
        nodes[:] = starts[start] + leaves
        found = ascend(tables, nodes, scratch)
        is_new = True
        for p in range(boxes):
            is_new &= (pool[p] != nodes - leaves).any()
        worst = sums.argmin()
        if is_new and found > sums[worst]:
            pool[worst], sums[worst] = nodes - leaves, found
    return sums


@kernel
def search_boxes(tables: Tables, target: float, boxes: int, found: IntArray) -> tuple[float, int, int]:
    """Bound the sum of brackets at any prices by best-first branch and bound.

    Stops when no open box exceeds ``target``, ``boxes`` are split or ``found`` is full; the bound holds in any case.

    Parameters
    ----------
    tables : Tables
    target : float
        $.
    boxes : int
    found : (Q, M) int
        Filled with the boxes of single leaves that were reached, best first, without near neighbours.

    Returns
    -------
    The bound in $, the number of boxes that were split, and of those in ``found``.
    """
    models, leaves = tables.most.shape[0], tables.most.shape[1] // 2
    frontier = Frontier(np.empty(boxes + 2), np.empty((boxes + 2, models), dtype=np.int64))
    scratch = np.empty((2, tables.none.shape[0]), dtype=tables.none.dtype)
    nodes = np.ones(models, dtype=np.int64)
    push(frontier, 0, total(tables, nodes, scratch), nodes)
    size, done, closed, count = 1, 0, -np.inf, 0
    trial = nodes.copy()
    while size > 0 and done < boxes and count < found.shape[0]:
        parent = frontier.bounds[0]
        if parent <= target:
            break
        nodes[:] = frontier.boxes[0]
        drop_top(frontier, size)
        size -= 1
        best, best_m, best_left, best_right = np.inf, -1, 0.0, 0.0
        for m in range(models):
            if nodes[m] >= leaves:
                continue
            trial[:] = nodes
            trial[m] = 2 * nodes[m]
            left = min(parent, total(tables, trial, scratch))
            trial[m] = 2 * nodes[m] + 1
            right = min(parent, total(tables, trial, scratch))
            score = max(left, right) + 0.1 * min(left, right)
            if score < best:
                best, best_m, best_left, best_right = score, m, left, right
        if best_m < 0:
            closed = max(closed, parent)
            is_new = True
            for q in range(count):
                is_new &= np.abs(found[q] - nodes).max() > NEAR
            if is_new:
                found[count] = nodes
                count += 1
            continue
        done += 1
        node = nodes[best_m]
        for half in range(2):
            bound = best_left if half == 0 else best_right
            nodes[best_m] = 2 * node + half
            if bound > target:
                push(frontier, size, bound, nodes)
                size += 1
            else:
                closed = max(closed, bound)
    if size > 0:
        closed = max(closed, frontier.bounds[0])
    return closed, done, count
