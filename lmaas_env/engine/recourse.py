"""Compiled inner loops: free functions on arrays, nothing else.

Symbols are those of the market's definition: V task value, kappa saturation, q quality, c airtime cost, g device
power, beta price, tau hours, mu the shadow price of energy, E the charge, W the worst-case profit. The last axis of q,
c, g and cap is the fade state (0 nominal, 1 faded). Rows are customers; a batch of K markets is a market of K * N
customers whose prices have K rows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmaas_env.engine.jit import kernel
from lmaas_env.types import BoolArray, FloatArray, IntArray

LARGEST = 1e15  # bound on every number of the terms, so that no product of them overflows
LARGEST_ENUMERATION = 200_000  # fade patterns, for customers that keep a plan
SELECTION_THRESHOLD = 1e-12  # $; a customer selects a model only if it promises more


class TermArrays(NamedTuple):
    """The arrays of `RentalTerms`, in the form that kernels take."""

    task_value: FloatArray
    fade_budget: IntArray
    saturation: FloatArray
    energy: FloatArray
    setup_cost: FloatArray
    quality: FloatArray
    airtime_cost: FloatArray
    power: FloatArray
    max_hours: FloatArray


@kernel
def some(terms: TermArrays, first: int, end: int) -> TermArrays:
    """Return the terms of the customers first, ..., end - 1."""
    return TermArrays(
        terms.task_value[first:end],
        terms.fade_budget[first:end],
        terms.saturation[first:end],
        terms.energy[first:end],
        terms.setup_cost[first:end],
        terms.quality[first:end],
        terms.airtime_cost[first:end],
        terms.power[first:end],
        terms.max_hours[first:end],
    )


@kernel
def energy_price(terms: TermArrays, n: int, m: int, price: float, faded: BoolArray) -> float:
    """Return mu >= 0 ($/Wh), the multiplier of customer n's energy constraint when renting model m, up to rounding.

    With x_s = mu + r_s and r_s = (beta + c_s) / g_s, a slot of fade state s rents

        tau = clip(V / (g_s x_s) - 1 / (kappa q_s), 0, cap_s),

    so it is full while V full_s >= x_s and open while V open_s > x_s (the two ratios below). Between such breakpoints
    the energy is  fixed + S_0 / x_0 + S_1 / x_1  with S_s the value of the slots that are neither full nor closed:
    the root is that of a quadratic. Each pass solves the piece at mu, and either the root lies inside or one end of
    the bracket moves to the end of the piece; there are at most 2 L pieces.
    """
    value, energy = terms.task_value[n], terms.energy[n]
    power, max_hours = terms.power[n, m], terms.max_hours[n, m]
    kappa_q = (terms.saturation[n] * terms.quality[n, m, 0], terms.saturation[n] * terms.quality[n, m, 1])
    r = ((price + terms.airtime_cost[n, m, 0]) / power[0], (price + terms.airtime_cost[n, m, 1]) / power[1])
    ratio_open = (kappa_q[0] / power[0], kappa_q[1] / power[1])
    ratio_full = (ratio_open[0] / (1.0 + kappa_q[0] * max_hours[0]), ratio_open[1] / (1.0 + kappa_q[1] * max_hours[1]))
    near = 0 if r[0] <= r[1] else 1  # the fade state of the smaller x_s
    distance = abs(r[0] - r[1])

    low, high = 0.0, 0.0
    for slot in range(value.shape[0]):
        s = 1 if faded[slot] else 0
        high = max(high, value[slot] * ratio_open[s] - r[s])
    mu = 0.0
    for _ in range(4 * value.shape[0] + 16):  # twice the pieces; what is left then is rounding
        left, right = low, high
        fixed = 0.0
        s_near, s_far = 0.0, 0.0
        for slot in range(value.shape[0]):
            s = 1 if faded[slot] else 0
            fills = value[slot] * ratio_full[s] - r[s]
            closes = value[slot] * ratio_open[s] - r[s]
            if fills > mu:
                fixed += power[s] * max_hours[s]
                right = min(right, fills)
            elif closes > mu:
                fixed -= 1.0 / ratio_open[s]
                if s == near:
                    s_near += value[slot]
                else:
                    s_far += value[slot]
                left = max(left, fills)
                right = min(right, closes)
            else:
                left = max(left, closes)
        rest = energy - fixed  # solve S_near / x + S_far / (x + distance) = rest for x > 0
        total = s_near + s_far
        if low == 0.0 and mu == 0.0:  # the first pass also tells whether the constraint binds at all
            used = fixed
            if s_near > 0.0:
                used += s_near / r[near]
            if s_far > 0.0:
                used += s_far / r[1 - near]
            if used <= energy:
                return 0.0
        if total == 0.0:
            root = -1.0 if rest >= 0.0 else math.inf
        elif rest <= 0.0:
            root = math.inf
        else:
            b = total - rest * distance
            square = math.sqrt(b * b + 4.0 * rest * s_near * distance)
            x = (b + square) / (2.0 * rest) if b >= 0.0 else 2.0 * s_near * distance / (square - b)
            root = x - r[near]
        if root < left:
            high = left
        elif root > right:
            low = right
        else:
            return root
        mu = root if low <= root < high else 0.5 * (low + high)
        if not low <= mu < high:  # the bracket is one rounding wide
            break
    return high


@kernel
def slot_hours(value: float, kappa_q: float, slope: float, max_hours: float) -> float:
    """Return tau, the hours at which a slot's marginal profit falls to the marginal cost beta + c + mu g (slope)."""
    return min(max(value / slope - 1.0 / kappa_q, 0.0), max_hours)


@kernel
def recourse(
    terms: TermArrays, n: int, m: int, price: float, faded: BoolArray, hours: FloatArray
) -> tuple[float, float, float]:
    """Fill ``hours`` (L,) with customer n's best rental of model m for one fade pattern (water-filling).

    Returns the profit in $ net of the setup cost, the hours and the energy in Wh.
    """
    mu = energy_price(terms, n, m, price, faded)
    profit, rented, used = -terms.setup_cost[n, m], 0.0, 0.0
    for slot in range(hours.shape[0]):
        s = 1 if faded[slot] else 0
        value, power = terms.task_value[n, slot], terms.power[n, m, s]
        kappa_q = terms.saturation[n] * terms.quality[n, m, s]
        cost = price + terms.airtime_cost[n, m, s]
        tau = slot_hours(value, kappa_q, cost + mu * power, terms.max_hours[n, m, s])
        hours[slot] = tau
        profit += value * math.log1p(kappa_q * tau) - cost * tau
        rented += tau
        used += power * tau
    return profit, rented, min(used, terms.energy[n])


@kernel
def worst_fades(fade_budget: int, slots: int) -> BoolArray:
    """Return the fade pattern (L,) that hurts most: the budget on the most valuable slots (Theorem 1)."""
    faded = np.zeros(slots, dtype=np.bool_)
    faded[: min(fade_budget, slots)] = True
    return faded


@kernel
def select(worst_case_profit: FloatArray) -> int:
    """Return the model (M,) of largest worst-case profit, the first of equals, or -1 if none promises a profit."""
    best = 0
    for m in range(1, worst_case_profit.shape[0]):
        if worst_case_profit[m] > worst_case_profit[best]:
            best = m
    return best if worst_case_profit[best] > SELECTION_THRESHOLD else -1


@kernel
def mean_profit_rows(terms: TermArrays, prices: FloatArray, patterns: BoolArray) -> FloatArray:
    """Mean profit (N, M) of renting each model with recourse, over fade patterns (P, N, L)."""
    rows, slots = terms.task_value.shape
    models = terms.setup_cost.shape[1]
    rows_per_market = rows // prices.shape[0]
    mean = np.zeros((rows, models))
    scratch = np.empty(slots)
    for n in range(rows):
        for m in range(models):
            price = prices[n // rows_per_market, m]
            for p in range(patterns.shape[0]):
                mean[n, m] += recourse(terms, n, m, price, patterns[p, n], scratch)[0]
    return mean / patterns.shape[0]


@kernel
def serve(terms: TermArrays, n: int, m: int, price: float, booked: FloatArray, faded: BoolArray) -> tuple[float, float]:
    """Profit net of the setup cost and energy of hours booked in advance (L,).

    All booked hours are paid; min(booked, cap) of them are used, in slot order until the battery is empty.
    """
    rest = terms.energy[n]
    profit = -terms.setup_cost[n, m]
    for slot in range(booked.shape[0]):
        s = 1 if faded[slot] else 0
        power = terms.power[n, m, s]
        used = min(booked[slot], terms.max_hours[n, m, s], rest / power)
        rest = max(rest - power * used, 0.0)
        kappa_q = terms.saturation[n] * terms.quality[n, m, s]
        profit += terms.task_value[n, slot] * math.log1p(kappa_q * used) - terms.airtime_cost[n, m, s] * used
        profit -= price * booked[slot]
    return profit, terms.energy[n] - rest


@kernel
def serve_rows(
    terms: TermArrays, choice: IntArray, prices: FloatArray, booked: FloatArray, faded: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Profit (N,) and energy (N,) of booked hours (N, L) once the fades are known."""
    rows = choice.shape[0]
    rows_per_market = rows // prices.shape[0]
    profit = np.zeros(rows)
    energy = np.zeros(rows)
    for n in range(rows):
        m = choice[n]
        if m >= 0:
            price = float(prices[n // rows_per_market, m])
            profit[n], energy[n] = serve(terms, n, m, price, booked[n], faded[n])
    return profit, energy


@kernel
def fade_patterns(budget: int, slots: int) -> BoolArray:
    """Return all patterns (P, L) of at most ``budget`` fades, fewest fades first."""
    count, choose = 1, 1
    for k in range(min(budget, slots)):
        choose = choose * (slots - k) // (k + 1)
        count += choose
        if count > LARGEST_ENUMERATION:
            raise ValueError("more than 200000 fade patterns (fade_budget of slots) cannot be enumerated")
    patterns = np.zeros((count, slots), dtype=np.bool_)
    first, last = 0, 1
    for _ in range(min(budget, slots)):
        row = last
        for parent in range(first, last):
            for slot in range(slots - 1, -1, -1):
                if patterns[parent, slot]:
                    break
                patterns[row] = patterns[parent]
                patterns[row, slot] = True
                row += 1
        first, last = last, row
    return patterns


@kernel
def worst_of_plan_rows(terms: TermArrays, choice: IntArray, prices: FloatArray, booked: FloatArray) -> FloatArray:
    """Least profit (N,) of booked hours (N, L) over the fade patterns that the budget allows."""
    rows = choice.shape[0]
    rows_per_market = rows // prices.shape[0]
    worst = np.zeros(rows)
    for n in range(rows):
        m = choice[n]
        if m >= 0:
            price = float(prices[n // rows_per_market, m])
            worst[n] = np.inf
            patterns = fade_patterns(terms.fade_budget[n], booked.shape[1])
            for p in range(patterns.shape[0]):
                worst[n] = min(worst[n], serve(terms, n, m, price, booked[n], patterns[p])[0])
    return worst


@kernel
def first_offence(terms: TermArrays) -> tuple[int, int, int]:
    """Return (code, customer, slot or model) of the first broken rule of rental terms, code 0 if none is broken."""
    rows, slots = terms.task_value.shape
    models = terms.quality.shape[1]
    for n in range(rows):
        if terms.fade_budget[n] < 0:
            return 1, n, 0
        if not (0.0 < terms.saturation[n] <= LARGEST):
            return 2, n, 0
        if not (0.0 <= terms.energy[n] <= LARGEST):
            return 3, n, 0
        for slot in range(slots):
            if not (0.0 <= terms.task_value[n, slot] <= LARGEST):
                return 4, n, slot
            if slot > 0 and terms.task_value[n, slot] > terms.task_value[n, slot - 1]:
                return 5, n, slot
        for m in range(models):
            if not (0.0 <= terms.setup_cost[n, m] <= LARGEST):
                return 6, n, m
            for s in range(2):
                if not (0.0 < terms.quality[n, m, s] <= LARGEST):
                    return 7, n, m
                if not (-LARGEST <= terms.airtime_cost[n, m, s] <= LARGEST):
                    return 8, n, m
                if not (0.0 < terms.power[n, m, s] <= LARGEST):
                    return 9, n, m
                if not (0.0 <= terms.max_hours[n, m, s] <= LARGEST):
                    return 10, n, m
            if terms.quality[n, m, 1] > terms.quality[n, m, 0]:
                return 11, n, m
            if terms.airtime_cost[n, m, 1] < terms.airtime_cost[n, m, 0]:
                return 12, n, m
            if terms.power[n, m, 1] < terms.power[n, m, 0]:
                return 13, n, m
            if terms.max_hours[n, m, 1] > terms.max_hours[n, m, 0]:
                return 14, n, m
    return 0, 0, 0
