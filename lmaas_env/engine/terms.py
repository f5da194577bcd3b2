"""Rental terms as kernels take them: customers along the last axis, so that loops over them vectorise.

Symbols are those of docs/market.md: V task value, Gamma fade budget, kappa saturation, E energy, f setup cost, q
quality, c airtime cost, g power, cap longest useful rental. The first axis of length 2 is the fade state (0 nominal,
1 faded).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmaas_env.engine.jit import kernel
from lmaas_env.types import FloatArray, IntArray

LARGEST = 1e45  # bound on every number of the terms, so that no product of them overflows
LEAST = 5e-324  # the least number above 0


class Terms(NamedTuple):
    """The arrays of `lmaas_env.RentalTerms` for R customers, who may be those of several markets, one after another."""

    task_value: FloatArray  # V, (L, R), descending along L
    fade_budget: IntArray  # Gamma, (R,)
    saturation: FloatArray  # kappa, (R,)
    energy: FloatArray  # E, (R,)
    setup_cost: FloatArray  # f, (M, R)
    quality: FloatArray  # q, (2, M, R), as the next three
    airtime_cost: FloatArray  # c
    power: FloatArray  # g
    max_hours: FloatArray  # cap


@kernel
def slice_terms(terms: Terms, first: int, end: int) -> Terms:
    """Return a copy of the terms of the customers first, ..., end - 1."""
    return Terms(
        terms.task_value[:, first:end].copy(),
        terms.fade_budget[first:end].copy(),
        terms.saturation[first:end].copy(),
        terms.energy[first:end].copy(),
        terms.setup_cost[:, first:end].copy(),
        terms.quality[:, :, first:end].copy(),
        terms.airtime_cost[:, :, first:end].copy(),
        terms.power[:, :, first:end].copy(),
        terms.max_hours[:, :, first:end].copy(),
    )


@kernel
def slice_offers(terms: Terms, first: int, end: int) -> Terms:
    """Return the terms of the offers first, ..., end - 1, with a copy of what is their own."""
    return Terms(
        terms.task_value,
        terms.fade_budget,
        terms.saturation,
        terms.energy,
        terms.setup_cost[first:end].copy(),
        terms.quality[:, first:end].copy(),
        terms.airtime_cost[:, first:end].copy(),
        terms.power[:, first:end].copy(),
        terms.max_hours[:, first:end].copy(),
    )


@kernel
def price_per_customer(prices: FloatArray, customers: int) -> FloatArray:
    """Return the prices (M, K * N) that each customer sees, from those of K markets (K, M) of N customers each."""
    markets, models = prices.shape
    spread = np.empty((models, markets * customers))
    for m in range(models):
        for k in range(markets):
            spread[m, k * customers : (k + 1) * customers] = prices[k, m]
    return spread


@kernel
def first_violation(terms: Terms) -> tuple[int, int, int]:
    """Return (field, slot or model, customer) of the first number that breaks a rule; field -1 if none does.

    Fields are numbered as in `Terms`. Every number must lie in its range, task values must not rise along the slots,
    and a fade must not help: it lowers q and cap and raises c and g.
    """
    n = -1
    for k in range(terms.fade_budget.shape[0]):
        if terms.fade_budget[k] < 0:
            return 1, 0, k
    for slot in range(terms.task_value.shape[0]):
        n = _first_unordered(0.0, terms.task_value[slot], terms.task_value[max(slot - 1, 0)], LARGEST)
        if n >= 0:
            return 0, slot, n
    n = _first_unordered(LEAST, terms.saturation, terms.saturation, LARGEST)
    if n >= 0:
        return 2, 0, n
    n = _first_unordered(0.0, terms.energy, terms.energy, LARGEST)
    if n >= 0:
        return 3, 0, n
    for m in range(terms.setup_cost.shape[0]):
        n = _first_unordered(0.0, terms.setup_cost[m], terms.setup_cost[m], LARGEST)
        if n >= 0:
            return 4, m, n
        n = _first_unordered(LEAST, terms.quality[1, m], terms.quality[0, m], LARGEST)
        if n >= 0:
            return 5, m, n
        n = _first_unordered(-LARGEST, terms.airtime_cost[0, m], terms.airtime_cost[1, m], LARGEST)
        if n >= 0:
            return 6, m, n
        n = _first_unordered(LEAST, terms.power[0, m], terms.power[1, m], LARGEST)
        if n >= 0:
            return 7, m, n
        n = _first_unordered(0.0, terms.max_hours[1, m], terms.max_hours[0, m], LARGEST)
        if n >= 0:
            return 8, m, n
    return -1, 0, 0


@kernel
def first_unpayable(terms: Terms, price: FloatArray) -> tuple[int, int]:
    """Return (model, customer) of the first price (M, R) that is not finite, or <= 0 with the airtime cost; else -1."""
    for m in range(price.shape[0]):
        own, cost = price[m], terms.airtime_cost[0, m]
        sound = True
        for n in range(own.shape[0]):
            sound &= (own[n] + cost[n] > 0.0) & (own[n] < np.inf)
        if not sound:
            for n in range(own.shape[0]):
                if not (own[n] + cost[n] > 0.0 and own[n] < np.inf):
                    return m, n
    return -1, -1


@kernel
def _first_unordered(low: float, values: FloatArray, others: FloatArray, high: float) -> int:
    """Return the first n without low <= values[n] <= others[n] <= high, -1 if there is none; NaN is never in order."""
    sound = True
    for n in range(values.shape[0]):  # without a branch, as this is the usual answer
        sound &= (low <= values[n]) & (values[n] <= others[n]) & (others[n] <= high)
    if sound:
        return -1
    for n in range(values.shape[0]):
        if not (low <= values[n] <= others[n] <= high):
            return n
    return -1
