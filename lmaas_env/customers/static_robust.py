"""The static-robust customer: model and hours fixed before the fades are known, solved with a certificate.

A customer without recourse books the hours tau of every slot in advance (docs/market.md). When the fades z come
true it earns

    P(tau, z) = sum_l [ V_l log(1 + kappa q(z_l) u_l) - beta tau_l - c(z_l) u_l ] - f :

booked hours are paid, the used hours u_l = min(tau_l, cap(z_l), charge left / g(z_l)) are served in slot order until
the battery is empty. It maximises min over z in Z of P, Z the patterns of at most Gamma fades. RSR's W is an upper
bound, as recourse is worth >= 0; where RSR's plan is a saddle point the bound is attained, which is checked first.

Notation: h_ls(u) = V_l log(1 + kappa q_s u) - c_s u, and S_k = sum_{l < k} g(z_l) min(tau_l, cap(z_l)).

**Where concavity fails.** P(., z) is concave on each set of tau on which every slot stays on one side of its faded cap
and the slot in which the battery runs dry is the same: there the last use is (E - S_k) / g_k, and S_k is affine. Across
such sets it need not be. An optimum may book a slot that only some patterns reach, and may even burn charge in an early
slot to keep a faded slot, whose service costs more than it earns, from being served.

**Theorem.** Let top_l maximise h_l0(u) - beta u over [0, cap_0], beta >= 0. If every h_l1 is non-decreasing on
[0, min(cap_1, top_l)], some optimal plan has tau <= top. *Proof.* Compare tau with tau' = min(tau, top). Cutting both
the hours and the use u of tau at top loses nothing, as h_l1' <= h_l0' <= beta beyond top. What tau' really uses is no
less than that: slots before the dry one are served as before, on less charge. More use does not hurt. QED.

**Corollary.** Then P(tau, z) = max over the slots k with S_k <= E of f_k, where f_k = sum_{l < k} h_l(min(tau_l, cap))
+ min(h_k(min(tau_k, cap)), h_k((E - S_k) / g_k)) - beta sum tau - f is concave once the sides of the caps are set. So
one regime covers all plans whose pattern z has its last use in slot k, whether that slot runs dry or not.

**Method.** Branch and bound on the sides of the caps and on the regimes of the few patterns that matter; a pattern
enters as the worst one of a node's plan. Leaves are concave, so nothing is gridded and the search is finite. In the
relaxation of a node, a cap without a side lets the faded use be anything up to min(tau, cap), and a pattern without a
regime may use its booked hours freely (weak duality, `_free_use`): for every mu >= 0

    P <= mu E + sum_l max_{u <= min(tau_l, cap)} [h_l(u) - mu g_l u] - beta sum tau - f.

An interior-point method solves it. Its bound holds whether it converged or
not: profits are concave, so at any x any weighting of the rows lies below its tangent, whose largest value is known.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmaas_env.checks import array_in
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.recourse import fade_patterns, recourse, serve, slot_hours, worst_fades
from lmaas_env.engine.terms import Terms
from lmaas_env.types import BoolArray, FloatArray, IntArray

TOLERANCE = 1e-9  # a plan is certified when bound - value <= TOLERANCE max(|W|, min(1 $, STAKES sum V))
STAKES = 100.0
MAX_NODES = 20_000  # relaxations per customer and model; on leaving, the bound still holds
_MAX_CUTS, _MAX_STEPS = 40, 60
_MAX_BISECTIONS = 2200  # more than it takes from the largest number to the least

# Rows of a relaxation: the profit of one pattern with given slots served in full (_FULL), the same and what is left for
# one more slot (_CUT), any use at a shadow price (_FREE); and what must not be negative (_LINEAR).
_FULL, _CUT, _FREE, _LINEAR = 0, 1, 2, 3


class RobustPlans(NamedTuple):
    """Static-robust plans of R customers for M models.

    Attributes
    ----------
    worst : (M, R), $, the least profit of the plan over the fade patterns, exactly
    hours : (L, M, R), booked hours
    bound : (M, R), $, no plan does better
    """

    worst: FloatArray
    hours: FloatArray
    bound: FloatArray


class _Rental(NamedTuple):
    """One customer's problem with one model; arrays (2 L,) hold the L slots' nominal state, then their faded state."""

    value: FloatArray  # V
    kappa_q: FloatArray
    cost: FloatArray  # c
    power: FloatArray  # g
    most: FloatArray  # the largest use; in the nominal state the hours that a best plan need not exceed
    rises: BoolArray  # h_ls does not decrease up to there
    faded_cap: float
    price: float  # beta
    energy: float  # E
    unit: float  # $, scale of profits


class _Relaxation(NamedTuple):
    """A concave max-min problem in x in [0, 1]^d, where hours (2 L,) = base + matrix x are tau, then the faded use."""

    kind: IntArray  # (R,)
    hours: FloatArray  # (R, 2 L), 1 for what a profit row serves, else coefficients
    extra: FloatArray  # (R,), mu of a _FREE row, constant of a _LINEAR row
    dry: IntArray  # (R,), slot or slots + slot of a _CUT row's last use
    base: FloatArray  # (2 L,)
    matrix: FloatArray  # (2 L, d)


@kernel
def _worst(
    terms: Terms, n: int, m: int, price: float, tau: FloatArray, patterns: BoolArray, profits: FloatArray
) -> int:
    """Fill ``profits`` (P,) of a plan and return the index of the smallest."""
    for p in range(patterns.shape[0]):
        profits[p] = serve(terms, n, m, price, tau, patterns[p])[0]
    return int(np.argmin(profits))


@kernel
def _gain(value: float, kappa_q: float, cost: float, u: float, high: float) -> tuple[float, float, float]:
    """Return h(u) = V log(1 + kappa q u) - c u, h' and h'', continued concavely below 0 and beyond ``high``."""
    v = min(max(u, 0.0), high)
    share = kappa_q / (1.0 + kappa_q * v)
    slope, bend = value * share - cost, -value * share * share
    h = value * math.log1p(kappa_q * v) - cost * v + slope * (u - v)
    if u < 0.0:
        return h + 0.5 * bend * u * u, slope + bend * u, bend
    return h, slope, bend if u <= high else 0.0


@kernel
def _free_hours(rental: _Rental, a: int, mu: float) -> float:
    """Return the use that maximises h(u) - mu g u over u >= 0."""
    slope = rental.cost[a] + mu * rental.power[a]
    return slot_hours(rental.value[a], rental.kappa_q[a], slope, math.inf) if slope > 0.0 else math.inf


@kernel
def _free_use(rental: _Rental, served: FloatArray, tau: FloatArray) -> tuple[float, float]:
    """Return the profit of booked hours whose use may be chosen, setup cost not taken off, and its mu, by bisection."""
    slots = tau.shape[0]
    low, high, mu, profit = 0.0, 0.0, 0.0, 0.0
    for a in range(2 * slots):
        high = max(high, served[a] * (rental.value[a] * rental.kappa_q[a] - rental.cost[a]) / rental.power[a])
    for _ in range(_MAX_BISECTIONS):
        spent, profit = 0.0, mu * rental.energy
        for a in range(2 * slots):
            if served[a] != 0.0:
                u = min(tau[a % slots], rental.most[a], _free_hours(rental, a, mu))
                spent += rental.power[a] * u
                profit += rental.value[a] * math.log1p(rental.kappa_q[a] * u) - rental.price * tau[a % slots]
                profit -= (rental.cost[a] + mu * rental.power[a]) * u
        if spent <= rental.energy:
            high = mu
        else:
            low = mu
        if high - low <= 1e-10 * high:
            break
        mu = 0.5 * (low + high)
    return profit, mu


@kernel
def _evaluate(
    rental: _Rental, problem: _Relaxation, x: FloatArray, value: FloatArray, slope: FloatArray, bend: FloatArray
) -> None:
    """Fill each row's value, its gradient and diagonal curvature by hours, and the curvature of its last use (last)."""
    atoms = problem.base.shape[0]
    slots = atoms // 2
    hours = problem.base + problem.matrix @ x
    curves = np.empty((atoms, 3))
    for a in range(atoms):
        curves[a] = _gain(rental.value[a], rental.kappa_q[a], rental.cost[a], float(hours[a]), math.inf)
    booked = rental.price * hours[:slots].sum()
    bend[:] = 0.0
    for i in range(problem.kind.shape[0]):
        served, kind, mu = problem.hours[i], problem.kind[i], problem.extra[i]
        if kind == _LINEAR:
            value[i] = mu + (served * hours).sum()
            slope[i] = served
            continue
        profit, left = mu * rental.energy - booked, rental.energy
        slope[i, :slots], slope[i, slots:] = -rental.price, 0.0
        for a in range(atoms):
            if served[a] != 0.0:
                h, h1, h2 = curves[a]
                left -= rental.power[a] * hours[a]
                if kind == _FREE:
                    most, cost = _free_hours(rental, a, mu), rental.cost[a] + mu * rental.power[a]
                    h, h1, h2 = _gain(rental.value[a], rental.kappa_q[a], cost, min(hours[a], most), most)
                    if hours[a] >= most:
                        h1, h2 = 0.0, 0.0
                profit += h
                slope[i, a] += h1
                bend[i, a] = h2
        if kind == _CUT:
            a = int(problem.dry[i])
            power = rental.power[a]
            h, h1, h2 = _gain(rental.value[a], rental.kappa_q[a], rental.cost[a], left / power, rental.most[a])
            profit += h
            slope[i] -= h1 / power * rental.power * served
            bend[i, atoms] = h2 / (power * power)
        value[i] = profit / rental.unit
        slope[i] /= rental.unit
        bend[i] /= rental.unit


@kernel
def _factor(matrix: FloatArray) -> None:
    """Replace the lower triangle of a positive definite matrix by its Cholesky factor.

    A pivot lost to rounding becomes huge, which leaves its variable where it is.
    """
    for j in range(matrix.shape[0]):
        smallest = 1e-14 * matrix[j, j]
        for k in range(j):
            for i in range(j, matrix.shape[0]):
                matrix[i, j] -= matrix[i, k] * matrix[j, k]
        matrix[j, j] = math.sqrt(matrix[j, j]) if matrix[j, j] > smallest else 1e100
        for i in range(j + 1, matrix.shape[0]):
            matrix[i, j] /= matrix[j, j]


@kernel
def _solve_factored(factor: FloatArray, x: FloatArray) -> FloatArray:
    """Replace x by the solution y of factor factor' y = x, and return it."""
    for j in range(x.shape[0]):
        for k in range(j):
            x[j] -= factor[j, k] * x[k]
        x[j] /= factor[j, j]
    for j in range(x.shape[0] - 1, -1, -1):
        for k in range(j + 1, x.shape[0]):
            x[j] -= factor[k, j] * x[k]
        x[j] /= factor[j, j]
    return x


@kernel
def _relax(rental: _Rental, problem: _Relaxation, target: float, tolerance: float) -> tuple[float, FloatArray]:
    """Maximise the smallest profit row over x subject to the linear rows, by a primal-dual interior-point method.

    Returns an upper bound in units and hours (2 L,); stops early once the bound is at most ``target``.
    """
    count, (atoms, size) = problem.kind.shape[0], problem.matrix.shape
    total = count + 2 * size  # rows count.. are x >= 0 and 1 - x >= 0
    earns = np.zeros(total)
    earns[:count] = problem.kind != _LINEAR
    value, by_hours, bend = np.empty(total), np.empty((count, atoms)), np.empty((count, atoms + 1))
    slope = np.zeros((total, size + 1))  # the last variable is the smallest profit t
    slope[:, size] = -earns
    for j in range(size):
        slope[count + j, j], slope[count + size + j, j] = 1.0, -1.0
    drawn = (problem.hours * rental.power) @ problem.matrix
    x, t, bound = np.full(size, 0.5), 0.0, math.inf
    new_x, new_t, new_slack, actual = x, t, np.empty(0), value
    slack, weight, hessian = np.empty(0), np.empty(0), np.empty((size + 1, size + 1))
    _evaluate(rental, problem, x, value, by_hours, bend)
    for iteration in range(_MAX_STEPS):
        gradients = by_hours @ problem.matrix
        slope[:count, :size] = gradients
        value[count : count + size], value[count + size :] = x, 1.0 - x
        lowest, broken = math.inf, 0.0
        for i in range(count):
            if earns[i] != 0.0:
                lowest = min(lowest, value[i])
            else:
                broken = max(broken, -value[i])
        if iteration == 0:
            t = lowest - 0.1
            slack = np.maximum(value - t * earns, 0.1)
            weight = np.where(earns != 0.0, 1.0 / earns.sum(), 0.02 / slack)
        # The certificate: rows are concave, they lie below their tangents at x whatever the weights >= 0.
        gradient = weight[:count] @ gradients
        certificate = weight[:count] @ value[:count] + (np.maximum(gradient, 0.0) - gradient * x).sum()
        if not math.isfinite(certificate):
            break
        bound = min(bound, certificate / (weight @ earns))
        if bound <= target or (bound - lowest <= tolerance and broken <= 1e-9):
            break
        curvature = (weight[:count] @ bend)[:atoms]
        hessian[:] = slope.T @ (slope * (weight / slack).reshape(-1, 1))
        bent = problem.matrix * curvature.reshape(-1, 1)
        hessian[:size, :size] -= bent.T @ problem.matrix + drawn.T @ (
            drawn * (weight[:count] * bend[:, atoms]).reshape(-1, 1)
        )
        _factor(hessian)
        rest = weight @ slope
        rest[size] += 1.0
        residual = value - t * earns - slack
        mu = weight @ slack / total
        step, change, push, centre = rest, residual, np.zeros(total), 0.0
        primal, dual = 1.0, 1.0
        for phase in range(2):  # Mehrotra's predictor, then corrector
            aim = centre - slack * weight - phase * change * push
            step = _solve_factored(hessian, rest + ((aim - weight * residual) / slack) @ slope)
            change = residual + slope @ step
            push = (aim - weight * change) / slack
            primal, dual = 1.0 / max(1.0, (-change / slack).max()), 1.0 / max(1.0, (-push / weight).max())
            after = (slack + primal * change) @ (weight + dual * push) / total
            centre = max(mu * max((after / mu) ** 3, 0.01), 1e-13)
        primal, dual = primal if primal == 1.0 else 0.995 * primal, dual if dual == 1.0 else 0.995 * dual
        for _ in range(10):
            new_x = np.minimum(np.maximum(x + primal * step[:size], 0.0), 1.0)
            new_t, new_slack = t + primal * step[size], slack + primal * change
            _evaluate(rental, problem, new_x, value, by_hours, bend)
            actual = value - new_t * earns
            worse = (actual < 0.1 * new_slack) & (new_slack - actual > np.maximum(-residual, 100.0 * mu))
            if not worse[:count].any():
                break
            primal *= 0.5  # a full step along a flat direction leaves the rows' tangents far behind
        new_slack[:count] = np.where(actual >= 0.1 * new_slack, actual, new_slack)[:count]
        x, t, slack, weight = new_x, new_t, new_slack, weight + dual * push
    return bound, problem.base + problem.matrix @ x


@kernel
def _range(rental: _Rental, side: int, slot: int) -> tuple[float, float]:
    """Return the booked hours that a side allows: 0 both, 1 up to the faded cap, 2 from it on."""
    most = rental.most[slot]
    return rental.faded_cap if side == 2 else 0.0, min(most, rental.faded_cap) if side == 1 else most


@kernel
def _extra(rental: _Rental, side: int, slot: int) -> tuple[float, float]:
    """Return the range of the energy that a fade adds to a slot which is served in full."""
    low, high = _range(rental, side, slot)
    nominal, faded, cap = rental.power[slot], rental.power[slot + rental.rises.shape[0] // 2], rental.faded_cap
    peak = max(min(high, cap), low)  # faded min(tau, cap) - nominal tau is concave in tau, with its peak here
    least = min(faded * min(low, cap) - nominal * low, faded * min(high, cap) - nominal * high)
    return least, faded * min(peak, cap) - nominal * peak


@kernel
def _steady(rental: _Rental, served: FloatArray) -> bool:
    """Return whether no service of a pattern costs more than it earns, so that the corollary holds for it."""
    return not ((served != 0.0) & ~rental.rises).any()


@kernel
def _regimes(rental: _Rental, served: FloatArray, node: IntArray, p: int) -> IntArray:
    """Return the slots in which pattern p may have its last use in a node, L where the battery lasts."""
    slots, steady = served.shape[1] // 2, _steady(rental, served[p])
    first, final = 0, slots  # what comparing S_k with the patterns branched on leaves of 0..L
    for c in range(slots, node.shape[0], 2):
        up, down, dry = 0.0, 0.0, node[c + 1] < slots and not _steady(rental, served[node[c]])
        for slot in range(slots):
            low, high = _extra(rental, node[slot], slot)
            fade = served[node[c], slot] - served[p, slot]  # 1: faded in p only, -1: in the other only
            up += max(fade * low, fade * high)
            down += min(fade * low, fade * high)
            if slot < node[c + 1] and up <= 0.0:  # S of p is no larger, so p has charge left after this slot too
                first = max(first, slot + 1)
            if slot == node[c + 1] and dry and down >= 0.0:
                final = min(final, slot)
    least, most, last = 0.0, 0.0, -1
    possible = np.zeros(slots + 1, dtype=np.bool_)
    for slot in range(slots):
        a = slot if served[p, slot] != 0.0 else slot + slots
        low, high = _range(rental, node[slot], slot)
        if high > 0.0 and least <= rental.energy:
            most += rental.power[a] * min(high, rental.most[a])
            possible[slot] = most > rental.energy and first <= slot <= final
            last = slot
        least += rental.power[a] * min(low, rental.most[a])
    if steady and 0 <= last <= final and most > rental.energy:
        possible[last] = True
    possible[slots] = most <= rental.energy or (final == slots and not steady)
    return np.flatnonzero(possible)


@kernel
def _assemble(rental: _Rental, served: FloatArray, node: IntArray, cuts: IntArray, shadow: FloatArray) -> _Relaxation:
    """Return a node's relaxation; served (P, 2 L) marks what each pattern serves if the battery lasts."""
    atoms = served.shape[1]
    slots, branched = atoms // 2, (node.shape[0] - atoms // 2) // 2
    rows = slots + 3 * branched + cuts.shape[0]
    kind, dry = np.full(rows, _LINEAR), np.zeros(rows, dtype=np.int64)
    hours, extra = np.zeros((rows, atoms)), np.zeros(rows)
    base, matrix = np.zeros(atoms), np.zeros((atoms, atoms))
    count, size = 0, 0
    seen = np.zeros(atoms)  # a faded use that no pattern of the relaxation has needs no variable
    for c in range(branched):
        seen += served[node[slots + 2 * c]]
    for p in cuts:
        seen += served[p]
    for slot in range(slots):
        low, high = _range(rental, node[slot], slot)
        if high > 0.0:
            base[slot], matrix[slot, size] = low, high - low
            size += 1
            if node[slot] == 2:
                base[slots + slot] = low
            elif high <= rental.faded_cap or seen[slots + slot] == 0.0:
                matrix[slots + slot, size - 1] = high
            elif rental.faded_cap > 0.0:
                matrix[slots + slot, size] = rental.faded_cap
                hours[count, slot], hours[count, slots + slot] = 1.0 / high, -1.0 / high  # faded use <= tau
                count += 1
                size += 1
    for c in range(branched):
        p, k = node[slots + 2 * c], node[slots + 2 * c + 1]
        steady = _steady(rental, served[p])
        before, through = np.zeros(atoms), np.zeros(atoms)
        for a in range(atoms):
            before[a] = served[p, a] if a % slots < k else 0.0
            through[a] = served[p, a] if a % slots <= k else 0.0
        if k == slots or steady:
            kind[count], hours[count] = _FULL, through
            count += 1
        if k < slots:
            kind[count], hours[count], dry[count] = _CUT, before, k if served[p, k] != 0.0 else slots + k
            count += 1
        hours[count], extra[count] = -before * rental.power / rental.energy, 1.0  # the battery lasts up to slot k
        count += 1
        if k < slots and not steady:  # and not beyond
            hours[count], extra[count] = through * rental.power / rental.energy, -1.0
            count += 1
    for c in range(cuts.shape[0]):
        kind[count], hours[count], extra[count] = _FREE, served[cuts[c]], shadow[c]
        count += 1
    return _Relaxation(kind[:count], hours[:count], extra[:count], dry[:count], base, matrix[:, :size].copy())


@kernel
def _rental(terms: Terms, n: int, m: int, price: float, unit: float) -> _Rental:
    """Return one problem by slot and state, the hours bounded by top where the theorem applies, else by the cap."""
    slots = terms.task_value.shape[0]
    task_value = terms.task_value[:, n].copy()
    value = np.concatenate((task_value, task_value))
    kappa_q, cost, power = np.empty(2 * slots), np.empty(2 * slots), np.empty(2 * slots)
    for s in range(2):
        kappa_q[s * slots : (s + 1) * slots] = terms.saturation[n] * terms.quality[s, m, n]
        cost[s * slots : (s + 1) * slots] = terms.airtime_cost[s, m, n]
        power[s * slots : (s + 1) * slots] = terms.power[s, m, n]
    nominal, faded = terms.max_hours[0, m, n], terms.max_hours[1, m, n]
    top = np.minimum(np.maximum(value / (price + cost[0]) - 1.0 / kappa_q[0], 0.0), nominal)
    most, rises = top, np.zeros(2 * slots, dtype=np.bool_)
    for wide in range(2):
        most = np.full(2 * slots, nominal) if wide else top
        most[slots:] = np.minimum(most[slots:], faded)
        rises = (value * kappa_q >= cost * (1.0 + kappa_q * most)) | (most == 0.0)
        if rises.all():
            break
    return _Rental(value, kappa_q, cost, power, most, rises, faded, price, terms.energy[n], unit)


@kernel
def _solve(
    terms: Terms, n: int, m: int, price: float, patterns: BoolArray, floor: float, plan: FloatArray
) -> tuple[float, float, int]:
    """Fill ``plan`` (L,) and return its least profit, the upper bound and the number of relaxations solved.

    Plans that promise at most ``floor`` need not be told apart.
    """
    slots, setup = plan.shape[0], terms.setup_cost[m, n]
    profits = np.empty(patterns.shape[0])
    upper = recourse(terms, n, m, price, worst_fades(terms.fade_budget[n], slots), plan)[0]
    pending = _worst(terms, n, m, price, plan, patterns, profits)
    best = profits[pending]
    if best <= -setup:
        plan[:] = 0.0
        best = -setup
    within = TOLERANCE * max(min(1.0, STAKES * terms.task_value[:, n].sum()), abs(upper))
    if upper <= max(best, floor) + within:
        return best, max(best, upper), 0
    rental = _rental(terms, n, m, price, upper + setup)
    served = np.concatenate((~patterns, patterns), axis=1).astype(np.float64)
    cuts, shadow, found = np.empty(_MAX_CUTS, dtype=np.int64), np.empty(_MAX_CUTS), 0
    # A node: the side of every slot, then the patterns branched on, each with the slot of its last use. Depth first.
    nodes, bounds, hours = [np.zeros(slots, dtype=np.int64)], [upper], served[0]
    closed, solved = -math.inf, 0
    while len(bounds) > 0:
        node, bound = nodes.pop(), bounds.pop()
        search = node.shape[0] > slots  # the root has no pattern yet: branch on the one that hurts RSR's plan most
        while search and bound > max(best, floor) + within and solved < MAX_NODES:
            search = False
            problem = _assemble(rental, served, node, cuts[:found], shadow)
            goal = (max(best, floor) + within + setup) / rental.unit
            limit, hours = _relax(rental, problem, goal, 0.2 * within / rental.unit)
            bound = min(bound, limit * rental.unit - setup)
            solved += 1
            if bound > max(best, floor) + within:
                pending = _worst(terms, n, m, price, hours[:slots], patterns, profits)
                if profits[pending] > best:
                    best = profits[pending]
                    plan[:] = hours[:slots]
                lowest = bound - max(within, 0.1 * (bound - max(best, floor)))
                for p in range(patterns.shape[0]):  # a pattern that falls short even with free use: cut, solve again
                    if profits[p] < lowest and found < _MAX_CUTS:
                        free, mu = _free_use(rental, served[p], hours[:slots])
                        if free - setup < lowest:
                            lowest, search = free - setup, True
                            cuts[found], shadow[found] = p, mu
                found += 1 if search else 0
        if not bound > max(best, floor) + within or solved >= MAX_NODES:  # NaN promises nothing
            closed = max(closed, bound)
            continue
        # Branch on the cap whose side the relaxation ignores most, else on the regime of the worst pattern.
        known = (node[slots::2] == pending).any()
        side, ignored = -1, -math.inf if known else 1e-6
        for slot in range(slots if node.shape[0] > slots else 0):
            gap = min(hours[slot] / rental.faded_cap, 1.0) - hours[slots + slot] / rental.faded_cap
            if node[slot] == 0 and rental.most[slot] > rental.faded_cap and gap > ignored:
                side, ignored = slot, gap
        if side >= 0:
            for choice in range(1, 3):
                nodes.append(node.copy())
                nodes[-1][side] = choice
                bounds.append(bound)
        elif not known:
            for k in _regimes(rental, served, node, pending):
                nodes.append(np.append(node, np.array([pending, k])))
                bounds.append(bound)
        else:  # rounding
            closed = max(closed, bound)
    return best, max(best, closed), solved


@kernel
def solve_plans(
    terms: Terms, price: FloatArray, every_model: bool
) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
    """Return worst, hours and bound as `robust_plans`, and the number of relaxations (M, R) that it took."""
    (models, customers), slots = price.shape, terms.task_value.shape[0]
    worst, bound = np.empty((models, customers)), np.empty((models, customers))
    hours = np.empty((slots, models, customers))
    solved = np.empty((models, customers), dtype=np.int64)
    plan = np.empty(slots)
    for n in range(customers):
        patterns = fade_patterns(terms.fade_budget[n], slots)
        faded = worst_fades(terms.fade_budget[n], slots)
        for m in range(models):
            bound[m, n] = recourse(terms, n, m, price[m, n], faded, plan)[0]
        floor = -math.inf if every_model else 0.0
        for m in np.argsort(-bound[:, n]):
            worst[m, n], bound[m, n], solved[m, n] = _solve(terms, n, m, price[m, n], patterns, floor, plan)
            hours[:, m, n] = plan
            if not every_model:
                floor = max(floor, worst[m, n])
    return worst, hours, bound, solved


def robust_plans(terms: Terms, price: FloatArray, every_model: bool = False) -> RobustPlans:
    """Solve the static-robust customer's problem for every customer and model.

    Parameters
    ----------
    terms : Terms
        Of R customers.
    price : (M, R), $ per rented hour, >= 0
        What each customer pays.
    every_model : bool
        Solve every model to `TOLERANCE`. Otherwise a model is dropped once its bound shows that it earns nothing or
        no more than the customer's best model: its ``worst`` and ``hours`` are those of some plan, and
        worst <= the optimum <= bound still holds. The best model, if it earns anything, is solved all the same, so
        that `lmaas_env.engine.rsr.select` on ``worst`` selects it.

    Raises
    ------
    ValueError
        If prices have another shape, a price is negative (hours would be booked for their own sake) or not finite, or
        there are too many fade patterns.
    """
    price = array_in("prices", price, terms.setup_cost.shape, 0.0, unit="$/h")
    worst, hours, bound, _ = solve_plans(terms, price, every_model)
    return RobustPlans(worst, hours, bound)
