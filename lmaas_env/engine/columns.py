"""Rental terms with customers along the last axis, so that loops over them vectorise: how a period begins.

Terms are filled and checked, and customers select by RSR (`waterfilling` solves the problems). `TermArrays` has
customers along the first axis, which is what reads best, and what a market of one's own comes in.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lmaas_env.engine.channel import data_rate, similarity
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.math import pick
from lmaas_env.engine.recourse import LARGEST, SELECTION_THRESHOLD, TermArrays
from lmaas_env.engine.recourse_simd import CHUNK, LANES, new_slots, sort_out, water_fill, write_back
from lmaas_env.types import FloatArray, IntArray

LEAST = 5e-324  # the least number above 0


class TermColumns(NamedTuple):
    """The arrays of `RentalTerms` for R customers, who may be those of several lanes."""

    task_value: FloatArray  # (L, R)
    fade_budget: IntArray  # (R,)
    saturation: FloatArray  # (R,)
    energy: FloatArray  # (R,)
    setup_cost: FloatArray  # (M, R)
    quality: FloatArray  # (2, M, R), as the next three
    airtime_cost: FloatArray
    power: FloatArray
    max_hours: FloatArray


@kernel
def as_rows(columns: TermColumns) -> TermArrays:
    """Return the same numbers with customers along the first axis, as views."""
    return TermArrays(
        columns.task_value.T,
        columns.fade_budget,
        columns.saturation,
        columns.energy,
        columns.setup_cost.T,
        columns.quality.T,
        columns.airtime_cost.T,
        columns.power.T,
        columns.max_hours.T,
    )


@kernel
def in_rows(columns: TermColumns) -> TermArrays:
    """As `as_rows`, in arrays of their own."""
    return TermArrays(
        np.ascontiguousarray(columns.task_value.T),
        columns.fade_budget,
        columns.saturation,
        columns.energy,
        np.ascontiguousarray(columns.setup_cost.T),
        np.ascontiguousarray(columns.quality.T),
        np.ascontiguousarray(columns.airtime_cost.T),
        np.ascontiguousarray(columns.power.T),
        np.ascontiguousarray(columns.max_hours.T),
    )


@kernel
def fill_links(
    snr: FloatArray,
    bandwidth: FloatArray,
    fade_depth: FloatArray,
    transmit_power: float,
    airtime_price: float,
    quality_low: FloatArray,
    quality_high: FloatArray,
    quality_slope: FloatArray,
    quality_offset: FloatArray,
    bit_rate: FloatArray,
    compute_power: FloatArray,
    slots: int,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return q, c ($/h), g (W) and cap (h), each (2, M, R), from each customer's nominal SNR (R,) in dB."""
    models, customers = bit_rate.shape[0], snr.shape[0]
    shape = (2, models, customers)
    quality, airtime_cost, power, max_hours = np.empty(shape), np.empty(shape), np.empty(shape), np.empty(shape)
    gamma, rate, airtime = np.empty(customers), np.empty(customers), np.empty(customers)
    for s in range(2):  # one loop per array: loops that write several do not vectorise
        for n in range(customers):
            gamma[n] = snr[n] - s * fade_depth[n]
        for n in range(customers):
            rate[n] = data_rate(gamma[n], bandwidth[n])
        for m in range(models):
            low, high, slope, offset = quality_low[m], quality_high[m], quality_slope[m], quality_offset[m]
            q, c, g, cap = quality[s, m], airtime_cost[s, m], power[s, m], max_hours[s, m]
            for n in range(customers):
                q[n] = similarity(gamma[n], low, high, slope, offset)
            for n in range(customers):
                airtime[n] = bit_rate[m] / rate[n]  # a, hours per rented hour
            for n in range(customers):
                c[n] = airtime_price * airtime[n]
            for n in range(customers):
                g[n] = transmit_power * airtime[n] + compute_power[m]
            for n in range(customers):
                longest = 1.0 / airtime[n]
                cap[n] = pick(longest < 1.0, longest, 1.0) / slots
    return quality, airtime_cost, power, max_hours


@kernel
def _ascend(low: float, values: FloatArray, others: FloatArray, high: float) -> bool:
    """Whether low <= value <= other <= high for all of them, so that none is NaN."""
    sound = True
    for n in range(values.shape[0]):
        sound &= (low <= values[n]) & (values[n] <= others[n]) & (others[n] <= high)
    return sound


@kernel
def are_sound(columns: TermColumns) -> bool:
    """Whether no rule of `kernels.first_offence` is broken: without a branch, as that is the usual answer."""
    value, saturation, energy = columns.task_value, columns.saturation, columns.energy
    slots, models = value.shape[0], columns.setup_cost.shape[0]
    sound = _ascend(LEAST, saturation, saturation, LARGEST) & _ascend(0.0, energy, energy, LARGEST)
    for n in range(columns.fade_budget.shape[0]):
        sound &= columns.fade_budget[n] >= 0
    for slot in range(slots):
        sound &= _ascend(0.0, value[slot], value[max(slot - 1, 0)], LARGEST)
    for m in range(models):
        sound &= _ascend(0.0, columns.setup_cost[m], columns.setup_cost[m], LARGEST)
        sound &= _ascend(LEAST, columns.quality[1, m], columns.quality[0, m], LARGEST)
        sound &= _ascend(-LARGEST, columns.airtime_cost[0, m], columns.airtime_cost[1, m], LARGEST)
        sound &= _ascend(LEAST, columns.power[0, m], columns.power[1, m], LARGEST)
        sound &= _ascend(0.0, columns.max_hours[1, m], columns.max_hours[0, m], LARGEST)
    return sound


@kernel
def are_payable(columns: TermColumns, price: FloatArray) -> bool:
    """Whether prices (M, R) are finite and each plus its airtime cost is positive, as `rsr.price_rows` demands."""
    sound = True
    for m in range(price.shape[0]):
        own, cost = price[m], columns.airtime_cost[0, m]
        for n in range(own.shape[0]):
            sound &= (own[n] + cost[n] > 0.0) & (own[n] < np.inf)
    return sound


@kernel
def load_columns(
    chunks: Any, slots: Any, lane: int, columns: TermColumns, price: FloatArray, m: int, first: int, count: int
) -> None:
    """Put the problems of ``count`` customers from ``first`` on, all with model m, into the lanes from ``lane`` on.

    In every slot the worst fades come true, those of the most valuable slots (Theorem 1). Prices are (M, R). Indices
    are unsigned as in `load`, and every loop fills one array, so that it vectorises.
    """
    chunk, to, row, model = chunks[0], np.uint64(lane), np.uint64(first), np.uint64(m)
    for i in range(np.uint64(count)):
        chunk.problem[to + i] = m * price.shape[1] + first + i
    for i in range(np.uint64(count)):
        chunk.energy[to + i] = columns.energy[row + i]
    for i in range(np.uint64(count)):
        chunk.setup_cost[to + i] = columns.setup_cost[model, row + i]
    for s in range(2):
        for i in range(np.uint64(count)):
            chunk.cost[s, to + i] = price[model, row + i] + columns.airtime_cost[s, model, row + i]
        for i in range(np.uint64(count)):
            chunk.power[s, to + i] = columns.power[s, model, row + i]
        for i in range(np.uint64(count)):
            chunk.kappa_q[s, to + i] = columns.saturation[row + i] * columns.quality[s, model, row + i]
        for i in range(np.uint64(count)):
            chunk.max_hours[s, to + i] = columns.max_hours[s, model, row + i]
    for k in range(columns.task_value.shape[0]):
        for i in range(np.uint64(count)):
            slots[k].value[to + i] = columns.task_value[k, row + i]
        for i in range(np.uint64(count)):
            slots[k].faded[to + i] = pick(k < columns.fade_budget[row + i], 1, 0)


@kernel
def select_columns(columns: TermColumns, price: FloatArray) -> tuple[IntArray, FloatArray]:
    """RSR's first stage at prices (M, R): choice (R,) and what it guarantees (R,), 0 for none, as in `solve_rows`."""
    size, (models, customers) = columns.task_value.shape[0], price.shape
    worst_case_profit, no_hours = np.empty((models, customers)), np.empty((models * customers, 0))
    profit = worst_case_profit.reshape(-1)
    chunk, slots = np.empty(1, CHUNK), new_slots(size)
    short, short_slots = np.empty(1, CHUNK), new_slots(size)
    loaded, waiting = 0, 0
    for m in range(models):
        first = 0
        while first < customers:
            count = min(LANES - loaded, customers - first)
            load_columns(chunk, slots, loaded, columns, price, m, first, count)
            loaded += count
            first += count
            if loaded == LANES or (m == models - 1 and first == customers):
                waiting = sort_out(chunk, slots, size, loaded, short, short_slots, waiting, profit, no_hours)
                loaded = 0
    if waiting > 0:
        water_fill(short, short_slots, size, waiting)
        write_back(short, short_slots, waiting, profit, no_hours)
    choice, guaranteed = np.full(customers, -1), np.full(customers, SELECTION_THRESHOLD)
    for m in range(models):  # `kernels.select` for all customers at once
        promised = worst_case_profit[m]
        for n in range(customers):
            choice[n] = pick(promised[n] > guaranteed[n], m, choice[n])
        for n in range(customers):
            guaranteed[n] = pick(promised[n] > guaranteed[n], promised[n], guaranteed[n])
    for n in range(customers):
        guaranteed[n] = pick(choice[n] >= 0, guaranteed[n], 0.0)
    return choice, guaranteed
