"""The recourse of one customer, model and fade pattern (water-filling), and the service of hours booked in advance.

For searches that must look at one problem before the next; `lmaas_env.engine.recourse_simd` solves batches. Symbols are
those of docs/market.md: V task value, kappa saturation, q quality, c airtime cost, g device power, beta price, tau
hours, mu the multiplier of the energy constraint, E the charge, W the worst-case profit.
"""

from __future__ import annotations

import math

import numpy as np

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.terms import Terms
from lmaas_env.types import BoolArray, FloatArray

EXCESS = 1e-12  # relative, by which planned hours may use more than the charge
LARGEST_ENUMERATION = 200_000  # fade patterns, for customers that keep a plan


@kernel
def energy_price(terms: Terms, n: int, m: int, price: float, faded: BoolArray) -> float:
    """Return mu >= 0 ($/Wh), the multiplier of customer n's energy constraint when renting model m, up to rounding.

    With x_s = mu + r_s and r_s = (beta + c_s) / g_s, a slot of fade state s rents

        tau = clip(V / (g_s x_s) - 1 / (kappa q_s), 0, cap_s),

    so it is full while V full_s >= x_s and open while V open_s > x_s (the two ratios below). Between such breakpoints
    the energy is  fixed + S_0 / x_0 + S_1 / x_1  with S_s the value of the slots that are neither full nor closed:
    the root is that of a quadratic. Each pass solves the piece at mu, and either the root lies inside or one end of
    the bracket moves to the end of the piece; there are at most 2 L pieces.
    """
    slots, energy = terms.task_value.shape[0], terms.energy[n]
    power = (terms.power[0, m, n], terms.power[1, m, n])
    max_hours = (terms.max_hours[0, m, n], terms.max_hours[1, m, n])
    kappa_q = (terms.saturation[n] * terms.quality[0, m, n], terms.saturation[n] * terms.quality[1, m, n])
    r = ((price + terms.airtime_cost[0, m, n]) / power[0], (price + terms.airtime_cost[1, m, n]) / power[1])
    ratio_open = (kappa_q[0] / power[0], kappa_q[1] / power[1])
    ratio_full = (ratio_open[0] / (1.0 + kappa_q[0] * max_hours[0]), ratio_open[1] / (1.0 + kappa_q[1] * max_hours[1]))
    near = 0 if r[0] <= r[1] else 1  # the fade state of the smaller x_s
    distance = abs(r[0] - r[1])

    low, high = 0.0, 0.0
    for slot in range(slots):
        s = 1 if faded[slot] else 0
        high = max(high, terms.task_value[slot, n] * ratio_open[s] - r[s])
    mu = 0.0
    for _ in range(4 * slots + 16):  # twice the pieces; what is left then is rounding
        left, right = low, high
        fixed = 0.0
        s_near, s_far = 0.0, 0.0
        for slot in range(slots):
            s = 1 if faded[slot] else 0
            value = terms.task_value[slot, n]
            fills = value * ratio_full[s] - r[s]
            closes = value * ratio_open[s] - r[s]
            if fills > mu:
                fixed += power[s] * max_hours[s]
                right = min(right, fills)
            elif closes > mu:
                fixed -= 1.0 / ratio_open[s]
                if s == near:
                    s_near += value
                else:
                    s_far += value
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
    terms: Terms, n: int, m: int, price: float, faded: BoolArray, hours: FloatArray
) -> tuple[float, float, float]:
    """Fill ``hours`` (L,) with customer n's best rental of model m for one fade pattern (L,).

    Returns the profit in $ net of the setup cost, the hours and the energy in Wh.
    """
    profit, rented, used, energy = -terms.setup_cost[m, n], 0.0, 0.0, terms.energy[n]
    if energy <= 0.0:  # rounding rents nothing
        hours[:] = 0.0
        return profit, 0.0, 0.0
    mu = energy_price(terms, n, m, price, faded)
    for slot in range(hours.shape[0]):
        s = 1 if faded[slot] else 0
        value, power = terms.task_value[slot, n], terms.power[s, m, n]
        kappa_q = terms.saturation[n] * terms.quality[s, m, n]
        cost = price + terms.airtime_cost[s, m, n]
        tau = slot_hours(value, kappa_q, cost + mu * power, terms.max_hours[s, m, n])
        hours[slot] = tau
        used += power * tau
    if used > energy * (1.0 + EXCESS):  # where kappa q is small, tau is the difference of two large numbers
        hours *= energy / used
    for slot in range(hours.shape[0]):
        s, tau = 1 if faded[slot] else 0, hours[slot]
        kappa_q = terms.saturation[n] * terms.quality[s, m, n]
        cost = price + terms.airtime_cost[s, m, n]
        profit += terms.task_value[slot, n] * math.log1p(kappa_q * tau) - cost * tau
        rented += tau
    return profit, rented, min(used, energy)


@kernel
def worst_fades(fade_budget: int, slots: int) -> BoolArray:
    """Return the worst fade pattern (L,): the budget on the most valuable slots (Theorem 1)."""
    faded = np.zeros(slots, dtype=np.bool_)
    faded[: min(fade_budget, slots)] = True
    return faded


@kernel
def serve(terms: Terms, n: int, m: int, price: float, booked: FloatArray, faded: BoolArray) -> tuple[float, float]:
    """Return the profit net of the setup cost and the energy of hours booked in advance (L,).

    All booked hours are paid; min(booked, cap) of them are used, in slot order until the battery is empty.
    """
    rest = terms.energy[n]
    profit = -terms.setup_cost[m, n]
    for slot in range(booked.shape[0]):
        s = 1 if faded[slot] else 0
        power = terms.power[s, m, n]
        used = min(booked[slot], terms.max_hours[s, m, n], rest / power)
        rest = max(rest - power * used, 0.0)
        kappa_q = terms.saturation[n] * terms.quality[s, m, n]
        profit += terms.task_value[slot, n] * math.log1p(kappa_q * used) - terms.airtime_cost[s, m, n] * used
        profit -= price * booked[slot]
    return profit, terms.energy[n] - rest


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
