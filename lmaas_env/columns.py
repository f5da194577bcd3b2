"""Rental terms with customers along the last axis, so that loops over them vectorise: what a period is computed in.

`TermArrays` has customers along the first axis, which is what reads best, and what a market of one's own comes in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmaas_env.channel import data_rate, similarity
from lmaas_env.compiled import kernel
from lmaas_env.elementary import pick
from lmaas_env.kernels import LARGEST, TermArrays
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
