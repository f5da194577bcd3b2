"""The static-robust customer: model and hours fixed before the fades are known, solved with a certificate.

A customer that rents without recourse books the hours tau of every slot in advance (market.md, section 4) and earns

    P(tau, z) = sum_l [ V_l log(1 + kappa q(z_l) u_l) - beta tau_l - c(z_l) u_l ] - f

when the fades z come true: booked hours are paid, the used hours u_l = min(tau_l, cap(z_l), charge left / g(z_l)) are
served in slot order until the battery is empty. It maximises min over z in Z of P, Z the patterns of at most Gamma
fades. RSR's W is an upper bound (recourse chooses both after z), attained where RSR's plan is a saddle point; that is
checked first. Write h_ls(u) = V_l log(1 + kappa q_s u) - c_s u and S_k(z) = sum_{l<k} g(z_l) min(tau_l, cap(z_l)).

**Where the problem bends the wrong way.** P is concave in tau on every piece on which (i) each slot stays on one side
of its faded cap and (ii) the slot k at which the battery runs dry is the same, as the last use is (E - S_k) / g. At a
border it need not be: after a cap, a harmful service stops growing; a battery that dies one slot earlier cuts a
service of another marginal value. So the optimum may book a slot that only some patterns reach, and may even burn
charge in a good slot to keep a faded one, whose service costs more than it earns, from being served.

**Theorem.** If h_l1 does not decrease on [0, min(cap_1, top_l)] for any l, where top_l maximises h_l0(u) - beta u on
[0, cap_0], then some optimal plan has tau <= top. *Proof.* Replace tau by min(tau, top). Cutting the hours and the use
u of tau at top gains in every slot, as h_l1' <= h_l0' <= beta beyond it. The use that min(tau, top) really brings is at
least the cut one: slots before the dry one are served as before and leave more charge. More use cannot hurt. QED.
*Corollary.* Then P(tau, z) = max_k f_k over the slots k with S_k <= E, f_k = sum_{l<k} h(min(tau_l, cap)) + min(
h_k(min(tau_k, cap)), h_k((E - S_k) / g)) - beta sum tau - f, and each f_k is concave once the sides of the caps are set.

**Method.** Branch and bound on sides and on the dry slot of the few patterns that matter, which are added one by one as
worst pattern of a node's plan; every leaf is a concave problem, so nothing is gridded. A node's relaxation keeps, of the
patterns not yet branched on, P <= mu E + sum_l max_{u <= min(tau_l, cap)} [h_l(u) - mu g u] - beta sum tau - f for any
mu >= 0 (the use is chosen freely; weak duality), and of a cap not yet branched on, a use anywhere below min(tau, cap).
An interior-point method solves it; at any iterate x and multipliers, concavity gives a bound that holds whether or not
it converged: the Lagrangian's tangent at x, maximised over the box.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from lmaas_env.kernels import TermArrays, recourse, slot_hours, worst_fades
from lmaas_env.types import BoolArray, FloatArray, IntArray

TOLERANCE = 1e-9  # a plan is certified when bound - value <= TOLERANCE max(1, |W|)
MAX_PATTERNS = 200_000  # more fade patterns than this are refused
MAX_NODES = 20_000  # relaxations per customer and model; on leaving, the bound still holds
_MAX_BRANCHED, _MAX_CUTS, _MAX_STEPS = 48, 40, 60

# Rows of a relaxation, one pattern z each. Profit: all slots before k served in full (FULL), then slot k with what is
# left (CUT), or any use at a shadow price (FREE). Constraints: S_k <= E (REACH), S_k >= E (SPENT), faded use <= tau (USE).
_FULL, _CUT, _FREE, _REACH, _SPENT, _USE = 0, 1, 2, 3, 4, 5
# Regimes of a pattern: the battery cannot run dry; does not; the last use is in slot k, all of it or what is left (f_k
# above); the battery runs dry in slot k.
_AMPLE, _LASTS, _LAST, _DRY = 0, 1, 2, 3


class RobustPlans(NamedTuple):
    """Static-robust plans of N customers for M models.

    Attributes
    ----------
    worst : (N, M), $, the least profit of the plan over the fade patterns, exactly `worst_of_plan`
    plan : (N, M, L), booked hours
    bound : (N, M), $, no plan does better
    """

    worst: FloatArray
    plan: FloatArray
    bound: FloatArray


class _Rental(NamedTuple):
    """One customer's problem with one model."""

    value: FloatArray  # (L,), V
    kappa_q: FloatArray  # (2,), by fade state as the next three
    cost: FloatArray  # c
    power: FloatArray  # g
    cap: FloatArray
    high: FloatArray  # (L,), hours that a best plan need not exceed
    price: float  # beta
    energy: float  # E
    unit: float  # $, scale of profits


class _Relaxation(NamedTuple):
    """A concave max-min problem in x in [0, 1]^d: hours [l, s] = base + scale x[index] (use in state s, tau for s = 0)."""

    rows: IntArray  # (rows, 3): kind, pattern, k
    shadow: FloatArray  # (rows,), mu of _FREE rows
    index: IntArray  # (L, 2), -1 for constant hours
    base: FloatArray  # (L, 2)
    scale: FloatArray  # (L, 2)


@njit(cache=True)
def fade_patterns(budget: int, slots: int) -> BoolArray:
    """Return all patterns (P, L) of at most ``budget`` fades, fewest fades first."""
    count, choose = 1, 1
    for k in range(min(budget, slots)):
        choose = choose * (slots - k) // (k + 1)
        count += choose
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


@njit(cache=True, error_model="numpy")
def serve(
    terms: TermArrays, n: int, m: int, price: float, tau: FloatArray, faded: BoolArray, used: FloatArray
) -> tuple[float, float]:
    """Fill ``used`` (L,) with the hours served of the booked hours tau (L,); return the profit and the energy."""
    profit, left = -terms.setup_cost[n, m], terms.energy[n]
    for slot in range(tau.shape[0]):
        s = 1 if faded[slot] else 0
        power = terms.power[n, m, s]
        u = min(tau[slot], terms.max_hours[n, m, s], left / power)
        used[slot] = u
        left = max(left - power * u, 0.0)
        profit += terms.task_value[n, slot] * math.log1p(terms.saturation[n] * terms.quality[n, m, s] * u)
        profit -= price * tau[slot] + terms.airtime_cost[n, m, s] * u
    return profit, terms.energy[n] - left


@njit(cache=True, error_model="numpy")
def _worst(
    terms: TermArrays, n: int, m: int, price: float, tau: FloatArray, patterns: BoolArray, profits: FloatArray
) -> int:
    """Fill ``profits`` (P,) of a plan and return the index of the smallest."""
    used = np.empty(tau.shape[0])
    for p in range(patterns.shape[0]):
        profits[p] = serve(terms, n, m, price, tau, patterns[p], used)[0]
    return int(np.argmin(profits))


@njit(cache=True, error_model="numpy")
def worst_of_plan(terms: TermArrays, n: int, m: int, price: float, tau: FloatArray) -> tuple[float, BoolArray]:
    """Return the least profit of booked hours tau (L,) over the fade patterns, and the first pattern that attains it."""
    patterns = fade_patterns(terms.fade_budget[n], tau.shape[0])
    profits = np.empty(patterns.shape[0])
    p = _worst(terms, n, m, price, tau, patterns, profits)
    return float(profits[p]), patterns[p].copy()


@njit(cache=True, error_model="numpy")
def _gain(value: float, kappa_q: float, cost: float, u: float, high: float) -> tuple[float, float, float]:
    """Return h(u) = V log(1 + kappa q u) - c u, h' and h'', continued concavely below 0 and beyond ``high``."""
    v = min(max(u, 0.0), high)
    share = kappa_q / (1.0 + kappa_q * v)
    slope, bend = value * share - cost, -value * share * share
    h = value * math.log1p(kappa_q * v) - cost * v + slope * (u - v)
    if u < 0.0:
        return h + 0.5 * bend * u * u, slope + bend * u, bend
    return h, slope, bend if u <= high else 0.0


@njit(cache=True, error_model="numpy")
def _free_hours(rental: _Rental, slot: int, s: int, mu: float) -> float:
    """Return the use that maximises h(u) - mu g u over u >= 0."""
    slope = rental.cost[s] + mu * rental.power[s]
    return slot_hours(rental.value[slot], rental.kappa_q[s], slope, math.inf) if slope > 0.0 else math.inf


@njit(cache=True, error_model="numpy")
def _free_use(rental: _Rental, faded: BoolArray, tau: FloatArray) -> tuple[float, float]:
    """Return the profit of booked hours when the customer may choose the use, setup cost not taken off, and its mu."""
    low, high, mu = 0.0, 0.0, 0.0
    for slot in range(tau.shape[0]):
        s = 1 if faded[slot] else 0
        high = max(high, (rental.value[slot] * rental.kappa_q[s] - rental.cost[s]) / rental.power[s])
    for _ in range(60):
        spent = 0.0
        for slot in range(tau.shape[0]):
            s = 1 if faded[slot] else 0
            spent += rental.power[s] * min(tau[slot], rental.cap[s], _free_hours(rental, slot, s, mu))
        if spent <= rental.energy:
            high = mu
        else:
            low = mu
        if high - low <= 1e-12 * high:
            break
        mu = 0.5 * (low + high)
    profit = high * rental.energy
    for slot in range(tau.shape[0]):
        s = 1 if faded[slot] else 0
        u = min(tau[slot], rental.cap[s], _free_hours(rental, slot, s, high))
        profit += rental.value[slot] * math.log1p(rental.kappa_q[s] * u) - rental.price * tau[slot]
        profit -= (rental.cost[s] + high * rental.power[s]) * u
    return profit, high


@njit(cache=True, error_model="numpy")
def _evaluate(
    rental: _Rental,
    patterns: BoolArray,
    problem: _Relaxation,
    x: FloatArray,
    value: FloatArray,
    slope: FloatArray,
    bend: FloatArray,
    drawn: FloatArray,
    cut_bend: FloatArray,
) -> None:
    """Fill each row's value, gradient and curvature (diagonal ``bend`` plus cut_bend drawn drawn') at x."""
    slots, size = rental.value.shape[0], x.shape[0]
    slope[: problem.rows.shape[0]] = 0.0
    bend[:] = 0.0
    drawn[:] = 0.0
    hours = problem.base.copy()
    gains = np.empty((slots, 2, 3))
    booked = 0.0
    for slot in range(slots):
        for s in range(2):
            if problem.index[slot, s] >= 0:
                hours[slot, s] += problem.scale[slot, s] * x[problem.index[slot, s]]
            gains[slot, s] = _gain(rental.value[slot], rental.kappa_q[s], rental.cost[s], hours[slot, s], math.inf)
        booked += hours[slot, 0]
    for i in range(problem.rows.shape[0]):
        kind, p, k = problem.rows[i]
        if kind == _USE:
            value[i] = (hours[k, 0] - hours[k, 1]) / problem.scale[k, 0]
            slope[i, problem.index[k, 0]] = 1.0
            slope[i, problem.index[k, 1]] = -problem.scale[k, 1] / problem.scale[k, 0]
            continue
        total, spent = 0.0, 0.0
        for slot in range(k):
            s = 1 if patterns[p, slot] else 0
            h, h1, h2 = gains[slot, s]
            u, j, scale = hours[slot, s], problem.index[slot, s], problem.scale[slot, s]
            spent += rental.power[s] * u
            if kind == _FREE:
                high = _free_hours(rental, slot, s, problem.shadow[i])
                cost = rental.cost[s] + problem.shadow[i] * rental.power[s]
                h, h1, h2 = _gain(rental.value[slot], rental.kappa_q[s], cost, min(u, high), high)
                if u >= high:
                    h1, h2 = 0.0, 0.0
            total += h
            if j >= 0:
                drawn[i, j] += rental.power[s] * scale
                if kind <= _FREE:
                    slope[i, j] += h1 * scale / rental.unit
                    bend[i, j] += h2 * scale * scale / rental.unit
        if kind > _FREE:
            sign = 1.0 if kind == _REACH else -1.0
            value[i] = sign * (1.0 - spent / rental.energy)
            for j in range(size):
                slope[i, j] = -sign * drawn[i, j] / rental.energy
            continue
        cut_bend[i] = 0.0
        if kind == _FREE:
            total += problem.shadow[i] * rental.energy
        elif kind == _CUT:
            s = 1 if patterns[p, k] else 0
            high = min(rental.high[k], rental.cap[s])
            left = (rental.energy - spent) / rental.power[s]
            h, h1, h2 = _gain(rental.value[k], rental.kappa_q[s], rental.cost[s], left, high)
            total += h
            cut_bend[i] = h2 / (rental.power[s] * rental.power[s] * rental.unit)
            for j in range(size):
                slope[i, j] -= h1 / rental.power[s] * drawn[i, j] / rental.unit
        value[i] = (total - rental.price * booked) / rental.unit
        for slot in range(slots):
            if problem.index[slot, 0] >= 0:
                slope[i, problem.index[slot, 0]] -= rental.price * problem.scale[slot, 0] / rental.unit


@njit(cache=True, error_model="numpy")
def _factor(matrix: FloatArray) -> None:
    """Replace the lower triangle of a positive definite matrix by its Cholesky factor.

    A pivot lost to rounding becomes huge, which leaves its variable where it is.
    """
    size = matrix.shape[0]
    for j in range(size):
        scale = matrix[j, j]
        for k in range(j):
            if matrix[j, k] != 0.0:
                for i in range(j, size):
                    matrix[i, j] -= matrix[i, k] * matrix[j, k]
        matrix[j, j] = math.sqrt(matrix[j, j]) if matrix[j, j] > 1e-14 * scale else 1e100
        for i in range(j + 1, size):
            matrix[i, j] /= matrix[j, j]


@njit(cache=True, error_model="numpy")
def _solve_factored(factor: FloatArray, b: FloatArray) -> None:
    """Replace b by the solution of factor factor' x = b."""
    size = b.shape[0]
    for j in range(size):
        for k in range(j):
            b[j] -= factor[j, k] * b[k]
        b[j] /= factor[j, j]
    for j in range(size - 1, -1, -1):
        for k in range(j + 1, size):
            b[j] -= factor[k, j] * b[k]
        b[j] /= factor[j, j]


@njit(cache=True, error_model="numpy")
def _relax(
    rental: _Rental, patterns: BoolArray, problem: _Relaxation, target: float, tolerance: float, x: FloatArray
) -> float:
    """Maximise the smallest profit row over x subject to the other rows, by a primal-dual interior-point method.

    Fills x (d,) and returns an upper bound, in units; stops early once the bound is at most ``target``.
    """
    count, size = problem.rows.shape[0], x.shape[0]
    total = count + 2 * size  # rows count.. are x_j >= 0 and 1 - x_j >= 0
    value, slack, weight = np.empty(total), np.empty(total), np.empty(total)
    slope = np.zeros((total, size + 1))  # the last variable is the smallest profit t
    bend, drawn, cut_bend = np.empty((count, size)), np.empty((count, size)), np.zeros(count)
    change, push, aim = np.zeros(total), np.zeros(total), np.empty(total)  # of slack, of weight, of slack * weight
    hessian, rest, step = np.empty((size + 1, size + 1)), np.empty(size + 1), np.empty(size + 1)
    profits = 0
    for i in range(count):
        if problem.rows[i, 0] <= _FREE:
            slope[i, size] = -1.0
            profits += 1
    for j in range(size):
        slope[count + 2 * j, j], slope[count + 2 * j + 1, j] = 1.0, -1.0
    x[:] = 0.5
    t, bound = 0.0, math.inf
    for iteration in range(_MAX_STEPS):
        _evaluate(rental, patterns, problem, x, value, slope, bend, drawn, cut_bend)
        lowest, broken = math.inf, 0.0
        for j in range(size):
            value[count + 2 * j], value[count + 2 * j + 1] = x[j], 1.0 - x[j]
        for i in range(count):
            slope[i, size] = -1.0 if problem.rows[i, 0] <= _FREE else 0.0
            if problem.rows[i, 0] <= _FREE:
                lowest = min(lowest, value[i])
            else:
                broken = max(broken, -value[i])
        if iteration == 0:
            t = lowest - 0.1
            for i in range(total):
                profit = i < count and problem.rows[i, 0] <= _FREE
                slack[i] = max(value[i] - t, 0.02) if profit else max(value[i], 0.1)
                weight[i] = 1.0 / profits if profit else 0.02 / slack[i]
        # The certificate: concave rows lie below their tangents, whatever the weights >= 0.
        certificate, share = 0.0, 0.0
        for i in range(count):
            certificate += weight[i] * value[i]
            share -= weight[i] * slope[i, size]
        for j in range(size):
            gradient = 0.0
            for i in range(count):
                gradient += weight[i] * slope[i, j]
            certificate += gradient * (1.0 - x[j]) if gradient > 0.0 else -gradient * x[j]
        if not math.isfinite(certificate):
            break
        bound = min(bound, certificate / share)
        if bound <= target or (bound - lowest <= tolerance and broken <= 1e-9):
            break
        # Newton's matrix: curvature of the Lagrangian and slope' (weight / slack) slope.
        hessian[:] = 0.0
        mu = 0.0
        for i in range(total):
            if i < count and problem.rows[i, 0] <= _FREE:
                value[i] -= t
                for j in range(size):
                    hessian[j, j] -= weight[i] * bend[i, j]
                    if cut_bend[i] != 0.0:
                        for k in range(j + 1):
                            hessian[j, k] -= weight[i] * cut_bend[i] * drawn[i, j] * drawn[i, k]
            ratio = weight[i] / slack[i]
            mu += weight[i] * slack[i] / total
            for j in range(size + 1):
                if slope[i, j] != 0.0:
                    for k in range(j + 1):
                        hessian[j, k] += ratio * slope[i, j] * slope[i, k]
        _factor(hessian)
        rest[:] = 0.0
        rest[size] = 1.0
        for i in range(total):
            for j in range(size + 1):
                rest[j] += weight[i] * slope[i, j]
        centre = 0.0
        for phase in range(2):  # Mehrotra's predictor, then corrector
            step[:] = rest
            for i in range(total):
                aim[i] = centre - slack[i] * weight[i] - change[i] * push[i] * phase
                scaled = (aim[i] - weight[i] * (value[i] - slack[i])) / slack[i]
                for j in range(size + 1):
                    step[j] += slope[i, j] * scaled
            _solve_factored(hessian, step)
            primal, dual = 1.0, 1.0
            for i in range(total):
                change[i] = value[i] - slack[i]
                for j in range(size + 1):
                    change[i] += slope[i, j] * step[j]
                push[i] = (aim[i] - weight[i] * change[i]) / slack[i]
                if change[i] < 0.0:
                    primal = min(primal, -slack[i] / change[i])
                if push[i] < 0.0:
                    dual = min(dual, -weight[i] / push[i])
            if phase == 0:
                after = 0.0
                for i in range(total):
                    after += (slack[i] + primal * change[i]) * (weight[i] + dual * push[i]) / total
                centre = max(mu * max((after / mu) ** 3, 0.01), 1e-13)
        primal = 0.995 * primal if primal < 1.0 else 1.0
        dual = 0.995 * dual if dual < 1.0 else 1.0
        for i in range(total):
            slack[i] += primal * change[i]
            weight[i] += dual * push[i]
        for j in range(size):
            x[j] = min(max(x[j] + primal * step[j], 0.0), 1.0)
        t += primal * step[size]
    return bound


@njit(cache=True, error_model="numpy")
def _tau_range(rental: _Rental, side: int, slot: int) -> tuple[float, float]:
    """Return the booked hours that a side allows: 0 both, 1 up to the faded cap, 2 from it on."""
    low = rental.cap[1] if side == 2 else 0.0
    return low, min(rental.high[slot], rental.cap[1]) if side == 1 else rental.high[slot]


@njit(cache=True, error_model="numpy")
def _extra(rental: _Rental, side: int, slot: int) -> tuple[float, float]:
    """Return the range of the energy that a fade of this slot adds."""
    low, high = _tau_range(rental, side, slot)
    power, cap = rental.power, rental.cap[1]
    peak = max(min(high, cap), low)
    ends = min(power[1] * min(low, cap) - power[0] * low, power[1] * min(high, cap) - power[0] * high)
    return ends, power[1] * min(peak, cap) - power[0] * peak


@njit(cache=True, error_model="numpy")
def _regimes(rental: _Rental, patterns: BoolArray, node: IntArray, p: int, regimes: IntArray) -> int:
    """List the regimes (kind, k) that pattern p can have in a node, the most promising last; return how many."""
    slots = rental.value.shape[0]
    monotone = True  # no service of p costs more than it earns, so that _LAST may stand for all of f_k
    most, last = 0.0, 0
    for slot in range(slots):
        s = 1 if patterns[p, slot] else 0
        high = min(_tau_range(rental, node[1 + slot], slot)[1], rental.cap[s])
        most += rental.power[s] * high
        if high > 0.0:
            last = slot
        if rental.high[slot] > 0.0:
            high = min(rental.high[slot], rental.cap[s])
            margin = rental.value[slot] * rental.kappa_q[s] - rental.cost[s] * (1.0 + rental.kappa_q[s] * high)
            monotone = monotone and margin >= 0.0
    if most <= rental.energy:
        regimes[0] = _AMPLE, slots
        return 1
    first, final = 0, slots  # k is in first..final, as far as the patterns branched on tell by comparison
    for c in range(node[0]):
        other, kind, k = node[1 + slots + 3 * c : 4 + slots + 3 * c]
        up, down = 0.0, 0.0  # range of S_k(p) - S_k(other)
        for slot in range(slots):
            if patterns[p, slot] != patterns[other, slot]:
                low, high = _extra(rental, node[1 + slot], slot)
                up += high if patterns[p, slot] else -low
                down += low if patterns[p, slot] else -high
            if slot < k and up <= 0.0:
                first = max(first, slot + 1)
            if slot == k and kind == _DRY and down >= 0.0:
                final = min(final, k)
    count = 0
    least, most = 0.0, 0.0
    for k in range(slots):
        s = 1 if patterns[p, k] else 0
        low, high = _tau_range(rental, node[1 + k], k)
        before = least
        least += rental.power[s] * min(low, rental.cap[s])
        most += rental.power[s] * min(high, rental.cap[s])
        possible = before <= rental.energy < most and k <= final
        if high > 0.0 and possible and (k >= first or (monotone and k == last)):
            regimes[count] = _LAST if monotone else _DRY, k
            count += 1
    if not monotone and final == slots:
        regimes[count] = _LASTS, slots
        count += 1
    return count


@njit(cache=True, error_model="numpy")
def _assemble(
    rental: _Rental, patterns: BoolArray, node: IntArray, cuts: IntArray, shadow: FloatArray
) -> tuple[_Relaxation, int]:
    """Return a node's relaxation and the number of its variables."""
    slots = rental.value.shape[0]
    index = np.full((slots, 2), -1)
    base, scale = np.zeros((slots, 2)), np.zeros((slots, 2))
    rows = np.empty((slots + 3 * node[0] + cuts.shape[0], 3), dtype=np.int64)
    faded = np.zeros(slots, dtype=np.bool_)  # in some pattern of the relaxation; the others' faded use matters to none
    for c in range(node[0]):
        faded |= patterns[node[1 + slots + 3 * c]]
    for p in cuts:
        faded |= patterns[p]
    count, size = 0, 0
    for slot in range(slots):
        low, high = _tau_range(rental, node[1 + slot], slot)
        if high <= 0.0:
            continue
        index[slot, 0], base[slot, 0], scale[slot, 0] = size, low, high - low
        size += 1
        if node[1 + slot] == 2:
            base[slot, 1] = low
        elif high <= rental.cap[1]:
            index[slot, 1], scale[slot, 1] = index[slot, 0], high
        elif rental.cap[1] > 0.0 and faded[slot]:
            index[slot, 1], scale[slot, 1] = size, rental.cap[1]
            rows[count] = _USE, 0, slot
            size += 1
            count += 1
    for c in range(node[0]):
        p, kind, k = node[1 + slots + 3 * c : 4 + slots + 3 * c]
        if kind != _DRY:
            rows[count] = _FULL, p, min(k + 1, slots)
            count += 1
        if kind == _DRY or kind == _LAST:
            rows[count] = _CUT, p, k
            count += 1
        if kind != _AMPLE and k > 0:
            rows[count] = _REACH, p, k
            count += 1
        if kind == _DRY:
            rows[count] = _SPENT, p, k + 1
            count += 1
    mu = np.zeros(rows.shape[0])
    for c in range(cuts.shape[0]):
        rows[count] = _FREE, cuts[c], slots
        mu[count] = shadow[c]
        count += 1
    return _Relaxation(rows[:count], mu[:count], index, base, scale), size


@njit(cache=True, error_model="numpy")
def _hours_needed(terms: TermArrays, n: int, m: int, price: float) -> FloatArray:
    """Return hours (L,) that a best plan need not exceed: top where the theorem applies, else the nominal cap."""
    high = np.empty(terms.task_value.shape[1])
    cap = terms.max_hours[n, m]
    kappa_q = terms.saturation[n] * terms.quality[n, m]
    cost = terms.airtime_cost[n, m]
    for slot in range(high.shape[0]):
        value = terms.task_value[n, slot]
        high[slot] = slot_hours(value, kappa_q[0], price + cost[0], cap[0])
        if high[slot] > 0.0 and value * kappa_q[1] < cost[1] * (1.0 + kappa_q[1] * min(cap[1], high[slot])):
            high[:] = cap[0]
            break
    return high


@njit(cache=True, error_model="numpy")
def _solve(
    terms: TermArrays, n: int, m: int, price: float, patterns: BoolArray, floor: float, plan: FloatArray
) -> tuple[float, float, int]:
    """Fill ``plan`` (L,) and return its least profit, the upper bound and the number of relaxations solved.

    Plans that promise at most ``floor`` need not be told apart.
    """
    slots, setup = plan.shape[0], terms.setup_cost[n, m]
    profits = np.empty(patterns.shape[0])
    upper = recourse(terms, n, m, price, worst_fades(terms.fade_budget[n], slots), plan)[0]
    pending = _worst(terms, n, m, price, plan, patterns, profits)
    best = profits[pending]
    if best <= -setup:
        plan[:] = 0.0
        best = -setup
    within = TOLERANCE * max(1.0, abs(upper))
    if upper <= max(best, floor) + within:
        return best, max(best, upper), 0
    rental = _Rental(
        terms.task_value[n],
        terms.saturation[n] * terms.quality[n, m],
        terms.airtime_cost[n, m],
        terms.power[n, m],
        terms.max_hours[n, m],
        _hours_needed(terms, n, m, price),
        price,
        terms.energy[n],
        upper + setup,
    )
    # Open nodes, depth first: how many patterns are branched on, the side of every slot, (pattern, regime) of each.
    size = (_MAX_BRANCHED + slots + 1) * (slots + 2)
    nodes = np.zeros((size, 1 + slots + 3 * _MAX_BRANCHED), dtype=np.int64)
    bounds = np.empty(size)
    cuts, shadow, found = np.empty(_MAX_CUTS, dtype=np.int64), np.empty(_MAX_CUTS), 0
    regimes = np.empty((slots + 1, 2), dtype=np.int64)
    node, bound = np.zeros(nodes.shape[1], dtype=np.int64), upper
    variables, tau = np.empty(2 * slots), np.empty(slots)
    closed, solved, top, pick = -math.inf, 0, 0, -1
    while True:
        if pending >= 0:
            place = 1 + slots + 3 * node[0]
            for c in range(_regimes(rental, patterns, node, pending, regimes)):
                nodes[top] = node
                nodes[top, 0] += 1
                nodes[top, place], nodes[top, place + 1], nodes[top, place + 2] = pending, regimes[c, 0], regimes[c, 1]
                bounds[top] = bound
                top += 1
        elif pick >= 0:
            for side in range(1, 3):
                nodes[top] = node
                nodes[top, 1 + pick] = side
                bounds[top] = bound
                top += 1
        while top > 0 and (bounds[top - 1] <= max(best, floor) + within or solved >= MAX_NODES):
            top -= 1
            closed = max(closed, bounds[top])
        if top == 0:
            return best, max(best, closed), solved
        top -= 1
        node[:] = nodes[top]
        bound = bounds[top]
        pending, pick, search = -1, -1, True
        problem, size = _assemble(rental, patterns, node, cuts[:found], shadow)
        while search:
            x = variables[:size]
            goal = (max(best, floor) + within + setup) / rental.unit
            bound = min(bound, _relax(rental, patterns, problem, goal, 0.2 * within / rental.unit, x) * rental.unit - setup)
            solved += 1
            if bound <= max(best, floor) + within:
                break
            for slot in range(slots):
                j = problem.index[slot, 0]
                tau[slot] = problem.base[slot, 0] + (problem.scale[slot, 0] * x[j] if j >= 0 else 0.0)
            pending = _worst(terms, n, m, price, tau, patterns, profits)
            if profits[pending] > best:
                best = profits[pending]
                plan[:] = tau
            lowest = bound - max(within, 0.1 * (bound - max(best, floor)))
            search = False
            for p in range(patterns.shape[0]):
                if profits[p] < lowest and found < _MAX_CUTS:
                    free, mu = _free_use(rental, patterns[p], tau)
                    if free - setup < lowest:
                        lowest, search = free - setup, True
                        cuts[found], shadow[found] = p, mu
            if search:
                found += 1
                problem, size = _assemble(rental, patterns, node, cuts[:found], shadow)
        if bound <= max(best, floor) + within:
            closed = max(closed, bound)
            pending = -1
            continue
        # Branch on the side of the cap that the relaxation ignores most, else on the regime of the worst pattern.
        known = node[0] == _MAX_BRANCHED
        for c in range(node[0]):
            known = known or node[1 + slots + 3 * c] == pending
        ignored = -1.0 if known else 1e-6
        for slot in range(slots):
            j = problem.index[slot, 1]
            if j >= 0 and j != problem.index[slot, 0]:
                gap = min(tau[slot] / rental.cap[1], 1.0) - variables[j]
                if gap > ignored:
                    ignored, pick = gap, slot
        if pick >= 0 or known:
            pending = -1
        if pick < 0 and known:
            closed = max(closed, bound)


@njit(cache=True, error_model="numpy")
def _plan_rows(terms: TermArrays, prices: FloatArray, every_model: bool) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
    """Return worst, plan and bound as `plan_rows`, and the number of relaxations (N, M) that it took."""
    rows, slots = terms.task_value.shape
    models = terms.setup_cost.shape[1]
    rows_per_market = rows // prices.shape[0]
    worst, bound = np.empty((rows, models)), np.empty((rows, models))
    plan = np.empty((rows, models, slots))
    solved = np.empty((rows, models), dtype=np.int64)
    for n in range(rows):
        patterns = fade_patterns(terms.fade_budget[n], slots)
        faded = worst_fades(terms.fade_budget[n], slots)
        for m in range(models):
            price = prices[n // rows_per_market, m]
            bound[n, m] = recourse(terms, n, m, price, faded, plan[n, m])[0]
        floor = -math.inf if every_model else 0.0
        for m in np.argsort(-bound[n]):
            price = prices[n // rows_per_market, m]
            worst[n, m], bound[n, m], solved[n, m] = _solve(terms, n, m, price, patterns, floor, plan[n, m])
            if not every_model:
                floor = max(floor, worst[n, m])
    return worst, plan, bound, solved


def plan_rows(terms: TermArrays, prices: FloatArray, every_model: bool = False) -> RobustPlans:
    """todo"""
    return RobustPlans(*_plan_rows(terms, prices, every_model)[:3])
