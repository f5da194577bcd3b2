"""Minimise the bound over the energy values: Adam on a smoothed bound over a pool of price boxes per hour.

The bound is a maximum over prices, in every hour, of a sum of maxima over charges; its subgradients jump between the
many prices that are nearly the best ones. So maxima over the pool and over the charge are replaced by soft ones, whose
temperature falls, and the pool is renewed by searches over all prices. Nothing here has to be exact: what is found is
certified afterwards (`lmaas_agents.bounds.dynamic`).
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from lmaas_agents.bounds.brackets import Costs, Hour, add_slopes, fill_no_sale, fill_sales, new_room
from lmaas_agents.bounds.price_tree import fill_tables, renew_pool, search_boxes
from lmaas_agents.bounds.responses import Responses

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.rsr import SELECTION_THRESHOLD
from lmaas_env.types import FloatArray, IntArray

POOL = 64  # price boxes of an hour
STARTS = 4  # of the pool, from which new ones are searched
RANDOM_STARTS = 4
PARTS = 2  # of a price cell
BOXES = 20_000  # split in search for new prices
FOUND, SLACK = 3, 1.0  # boxes that such a search returns at most, and $ by which they may fall short of the best
LEARNING_RATE = 0.05  # $ a cell, for the mean width of a cell
HOT, COLD = 0.6, 0.2  # $, temperature of the maximum over prices at the first and the last step
CHARGE_TEMPERATURE = 0.25  # of the maximum over charges, as a share of that over prices
ALL_EVERY = 4  # steps; in the others only boxes that are within ACTIVE temperatures of the best
ACTIVE = 4.0
LEAST_WEIGHT = 1e-4


class Step(NamedTuple):
    """The sum of the hours' maxima, as far as the search found them, after so many seconds of this process."""

    seconds: float
    value: float


def descend(
    known: list[Responses], hours: list[Hour], costs: Costs, cells: IntArray, steps: int, renewals: int
) -> tuple[list[FloatArray], list[Step]]:
    """Return energy values of a low bound, (N, K + 1) for every hour, and how the estimate of the bound fell.

    Parameters
    ----------
    known : H Responses
    hours : H Hours
        With the values to start from.
    costs : Costs
    cells : (2, J)
        Points of the price grid at the ends of its cells.
    steps, renewals : int
        Of the descent, and searches for new prices during it.
    """
    began, rng = time.process_time(), np.random.default_rng(0)
    leaves, models = cells.shape[1], costs.serving.size
    optimisers = [Adam(np.diff(hour.values, axis=1), np.diff(hour.nodes, axis=1)) for hour in hours]
    pools = [rng.integers(0, leaves, (POOL, models)) for _ in hours]
    sums = [np.zeros(POOL) for _ in hours]
    path: list[Step] = []
    best, lowest = [hour.values for hour in hours], np.inf
    every = max(steps // renewals, 1)
    for step in range(steps + 1):
        values = [optimiser.values() for optimiser in optimisers]
        hours = [
            hour._replace(values=own, next_values=later)
            for hour, own, later in zip(hours, values, [*values[1:], hours[-1].next_values], strict=True)
        ]
        if step % every == 0 or step == steps:
            for t, hour in enumerate(hours):
                tables = fill_tables(known[t], hour, costs, cells, PARTS)
                starts = pools[t][np.argsort(-sums[t], kind="stable")[:STARTS]]
                starts = np.concatenate([starts, rng.integers(0, leaves, (RANDOM_STARTS, models))])
                lower = renew_pool(tables, pools[t], starts).max()
                found = np.zeros((FOUND, models), dtype=np.int64)
                count = search_boxes(tables, float(lower) - SLACK, BOXES, found)[2]
                sums[t] = renew_pool(tables, pools[t], found[:count] - leaves)
            value = float(sum(own.max() for own in sums))
            path.append(Step(time.process_time() - began, value))
            if value < lowest:
                best, lowest = values, value
        if step == steps:
            break
        progress = step / steps
        temperature = HOT * (COLD / HOT) ** progress
        slopes = [np.zeros(hour.nodes.shape) for hour in hours] + [np.zeros(hours[-1].next_nodes.shape)]
        for t, hour in enumerate(hours):
            is_active = np.full(POOL, True)
            if step % ALL_EVERY:
                is_active = sums[t] >= sums[t].max() - ACTIVE * temperature
            sums[t][is_active] = add_gradient(
                known[t], hour, costs, cells, PARTS, pools[t][is_active], temperature, slopes[t], slopes[t + 1]
            )
        rate = LEARNING_RATE * min(1.0, 3.0 * (1.0 - progress) + 0.02)
        for optimiser, slope in zip(optimisers[1:], slopes[1:-1], strict=True):
            optimiser.step(slope, rate)
    return best, path


@kernel
def add_gradient(
    responses: Responses,
    hour: Hour,
    costs: Costs,
    cells: IntArray,
    parts: int,
    pool: IntArray,
    temperature: float,
    own: FloatArray,
    later: FloatArray,
) -> FloatArray:
    """Add the derivatives of one hour's smoothed maximum by the values at its nodes and at the next hour's.

    Parameters
    ----------
    responses, hour, costs, cells, parts
        As in `fill_tables`.
    pool : (P, M) int
        Leaves of the price tree, from 0 on.
    temperature : float
        $.
    own, later : (N, K + 1), (N, K' + 1)
        What is added to.

    Returns
    -------
    (P,), $, the smoothed sum of brackets of every box.
    """
    (boxes, models), (customers, points) = pool.shape, hour.nodes.shape
    charges, cool = points - 1, CHARGE_TEMPERATURE * temperature
    leaf, place = _distinct(pool, cells.shape[1])
    count = leaf.shape[1]
    room, none = new_room(charges), new_room(charges)
    sales, at, uses = np.empty((3, models, count, charges))
    share, charge = np.empty((boxes, customers, charges)), np.empty((boxes, customers, charges))
    use, bracket, sums = np.empty((boxes, customers, charges)), np.empty(charges), np.zeros(boxes)
    for n in range(customers):
        fill_no_sale(hour, n, none)
        for m in range(models):
            for i in range(count):
                j = leaf[m, i]
                if j >= 0:
                    fill_sales(responses, hour, costs, n, m, cells[0, j], cells[1, j], parts, room)
                    sales[m, i], at[m, i], uses[m, i] = room.bracket, room.charge, room.use
        for p in range(boxes):
            for k in range(charges):
                sure = 0.0
                for m in range(models):
                    sure = max(sure, responses.worst[m, cells[1, pool[p, m]], k, n])
                best = none.bracket[k] if sure <= SELECTION_THRESHOLD else -np.inf
                charge[p, n, k], use[p, n, k] = none.charge[k], 0.0
                for m in range(models):
                    most, i = responses.worst[m, cells[0, pool[p, m]], k + 1, n], place[p, m]
                    if most >= sure and most > SELECTION_THRESHOLD and sales[m, i, k] > best:
                        best = sales[m, i, k]
                        charge[p, n, k], use[p, n, k] = at[m, i, k], uses[m, i, k]
                bracket[k] = best
            largest = bracket.max()
            weights = np.exp((bracket - largest) / cool)
            share[p, n] = weights / weights.sum()
            sums[p] += largest + cool * np.log(weights.mean())
    weights = np.exp((sums - sums.max()) / temperature)
    weights /= weights.sum()
    for p in range(boxes):
        if weights[p] > LEAST_WEIGHT:
            for n in range(customers):
                for k in range(charges):
                    weight = weights[p] * share[p, n, k]
                    if weight > LEAST_WEIGHT * weights[p]:
                        add_slopes(hour, n, charge[p, n, k], use[p, n, k], weight, own, later)
    return sums


@kernel
def _distinct(pool: IntArray, leaves: int) -> tuple[IntArray, IntArray]:
    """Return each model's distinct leaves in a pool (M, U), -1 beyond the last, and where those of the boxes stand."""
    boxes, models = pool.shape
    leaf, place = np.full((models, boxes), -1), np.empty(pool.shape, dtype=np.int64)
    for m in range(models):
        seen, count = np.full(leaves, -1), 0
        for p in range(boxes):
            j = pool[p, m]
            if seen[j] < 0:
                seen[j] = count
                leaf[m, count] = j
                count += 1
            place[p, m] = seen[j]
    return leaf, place


class Adam:
    """Adam for increments that must not become negative: those of one hour's energy value between nodes, (N, K) $.

    Steps grow with the root of a cell's width (N, K).
    """

    def __init__(self, increments: FloatArray, widths: FloatArray) -> None:
        self.increments = increments
        mean = np.maximum(widths.mean(axis=1, keepdims=True), 1e-300)
        self._scale = np.sqrt(widths / mean)
        self._mean, self._square = np.zeros_like(increments), np.zeros_like(increments)
        self._steps = 0

    def step(self, slopes: FloatArray, rate: float) -> None:
        """Descend along the derivatives by the values at the nodes, (N, K + 1)."""
        slope = np.cumsum(slopes[:, :0:-1], axis=1)[:, ::-1]
        self._steps += 1
        self._mean += 0.1 * (slope - self._mean)
        self._square += 0.01 * (slope**2 - self._square)
        mean = self._mean / (1.0 - 0.9**self._steps)
        square = self._square / (1.0 - 0.99**self._steps)
        self.increments = np.maximum(self.increments - rate * self._scale * mean / (np.sqrt(square) + 1e-3), 0.0)

    def values(self) -> FloatArray:
        """Return the energy value at the nodes, (N, K + 1) $, 0 at the first."""
        return np.concatenate([np.zeros((len(self.increments), 1)), np.cumsum(self.increments, axis=1)], axis=1)
