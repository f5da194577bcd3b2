"""Water-filling for many problems at once: the recourse of market.md, section 3, one problem per SIMD lane.

A problem is a customer n, a model m, a price beta and a fade pattern z. Up to LANES of them share a chunk: every field
of `CHUNK` and `SLOT` holds one number per lane, and every inner loop runs over the lanes without a branch, so that LLVM
vectorises it. Symbols are those of the market's definition: V task value, kappa saturation, q quality, p = beta + c the
cost of an hour, g device power, tau hours, mu the shadow price of energy, E the charge. A leading axis of length 2 is
the fade state (0 nominal, 1 faded).

`kernels.recourse` solves one problem at a time, for searches that must look at one customer before the next; batches
take a quarter to a fifth of its time here (`lmaas bench kernel`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.math import logarithm, pick
from lmaas_env.engine.recourse import TermArrays, select
from lmaas_env.types import BoolArray, FloatArray, IntArray

LANES = 32  # problems per chunk: few enough for scratch in L1, many enough for full vectors
CROWD = 12  # problems short of energy from which on a chunk is searched where it is: moving them would cost more

_LANE, _STATES = (LANES,), (2, LANES)
CHUNK = np.dtype(
    [
        # The problem. A lane without one has energy inf: its numbers mean nothing and hold up nobody.
        ("energy", np.float64, _LANE),  # E
        ("setup_cost", np.float64, _LANE),  # f
        ("cost", np.float64, _STATES),  # p = beta + c
        ("power", np.float64, _STATES),  # g
        ("kappa_q", np.float64, _STATES),
        ("max_hours", np.float64, _STATES),  # cap
        ("problem", np.int64, _LANE),  # where the caller wants the answer
        # The answer.
        ("mu", np.float64, _LANE),
        ("profit", np.float64, _LANE),
        ("used", np.float64, _LANE),  # Wh
        # Scratch of `fill_hours`: 1 / (p + mu g) and 1 / (kappa q).
        ("per_cost", np.float64, _STATES),
        ("per_kappa_q", np.float64, _STATES),
        # Scratch of `find_shadow_prices`: r = p / g, the V at which a slot opens and is full per x = mu + r, inverted.
        ("r", np.float64, _STATES),
        ("opens", np.float64, _STATES),
        ("fills", np.float64, _STATES),
        ("whole", np.float64, _STATES),  # the fixed energy of a full slot, g cap
        ("open", np.float64, _STATES),  # that of an open one, -g / (kappa q)
        ("near", np.int64, _LANE),  # the fade state with the smaller r
        ("r_near", np.float64, _LANE),
        ("distance", np.float64, _LANE),  # |r_1 - r_0|
        ("low", np.float64, _LANE),  # low <= mu <= high
        ("high", np.float64, _LANE),
        ("left", np.float64, _LANE),  # the piece that holds mu
        ("right", np.float64, _LANE),
        ("fixed", np.float64, _LANE),  # on that piece the energy is fixed + s_near / x_near + (s_all - s_near) / x_far
        ("s_near", np.float64, _LANE),
        ("s_all", np.float64, _LANE),
    ]
)
SLOT = np.dtype(
    [
        ("value", np.float64, _LANE),  # V
        ("faded", np.int64, _LANE),  # its fade state
        ("hours", np.float64, _LANE),  # tau
        ("fills", np.float64, _LANE),  # the mu at which the slot stops being full
        ("closes", np.float64, _LANE),  # the mu at which it closes
        ("whole", np.float64, _LANE),  # its fixed energy while full
        ("open", np.float64, _LANE),  # its fixed energy while open
        ("value_near", np.float64, _LANE),  # V if its fade state is the one with the smaller r, else 0
    ]
)


@kernel
def new_slots(slots: int) -> Any:
    """Return scratch for a chunk's slots; an odd number gets one more, worth nothing, as they are scanned in pairs."""
    scratch = np.empty(slots + slots % 2, SLOT)
    for i in range(LANES):
        scratch[-1].value[i], scratch[-1].faded[i] = 0.0, 0
    return scratch


@kernel
def load(
    chunks: Any, slots: Any, lane: int, terms: TermArrays, n: int, m: int, price: float, faded: BoolArray, problem: int
) -> None:
    """Put one problem into a lane. Unsigned indices spare numba's test for negative ones, here 25 ns per problem."""
    chunk, i, row, column = chunks[0], np.uint64(lane), np.uint64(n), np.uint64(m)
    chunk.problem[i] = problem
    chunk.energy[i] = terms.energy[row]
    chunk.setup_cost[i] = terms.setup_cost[row, column]
    for s in range(2):
        chunk.cost[s, i] = price + terms.airtime_cost[row, column, s]
        chunk.power[s, i] = terms.power[row, column, s]
        chunk.kappa_q[s, i] = terms.saturation[row] * terms.quality[row, column, s]
        chunk.max_hours[s, i] = terms.max_hours[row, column, s]
    for k in range(terms.task_value.shape[1]):
        slots[k].value[i] = terms.task_value[row, k]
        slots[k].faded[i] = faded[k]


@kernel
def move(chunks: Any, slots: Any, lane: int, targets: Any, target_slots: Any, target_lane: int) -> None:
    """Copy the problem of a lane into a lane of another chunk."""
    chunk, target, i, j = chunks[0], targets[0], np.uint64(lane), np.uint64(target_lane)
    target.problem[j] = chunk.problem[i]
    target.energy[j] = chunk.energy[i]
    target.setup_cost[j] = chunk.setup_cost[i]
    for s in range(2):
        target.cost[s, j] = chunk.cost[s, i]
        target.power[s, j] = chunk.power[s, i]
        target.kappa_q[s, j] = chunk.kappa_q[s, i]
        target.max_hours[s, j] = chunk.max_hours[s, i]
    for k in range(slots.shape[0]):
        target_slots[k].value[j] = slots[k].value[i]
        target_slots[k].faded[j] = slots[k].faded[i]


@kernel
def fill_slack(chunks: Any, slots: Any, size: int, count: int) -> int:
    """Fill hours as if energy were free, in the first ``count`` lanes; returns how many of them lack energy."""
    chunk = chunks[0]
    for i in range(LANES):
        chunk.energy[i] = pick(i < count, chunk.energy[i], np.inf)
        chunk.per_kappa_q[0, i] = 1.0 / chunk.kappa_q[0, i]
        chunk.per_kappa_q[1, i] = 1.0 / chunk.kappa_q[1, i]
        chunk.mu[i] = 0.0
    fill_hours(chunks, slots, size)
    lacking = 0
    for i in range(LANES):
        lacking += pick(chunk.used[i] > chunk.energy[i], 1, 0)
    return lacking


@kernel
def fill_hours(chunks: Any, slots: Any, size: int) -> None:
    """Fill tau = clip(V / (p + mu g) - 1 / (kappa q), 0, cap) and the energy used."""
    chunk = chunks[0]
    for i in range(LANES):
        chunk.per_cost[0, i] = 1.0 / (chunk.cost[0, i] + chunk.mu[i] * chunk.power[0, i])
        chunk.per_cost[1, i] = 1.0 / (chunk.cost[1, i] + chunk.mu[i] * chunk.power[1, i])
        chunk.used[i] = 0.0
    for k in range(size):
        slot = slots[k]
        for i in range(LANES):
            faded = slot.faded[i] != 0
            per_cost = pick(faded, chunk.per_cost[1, i], chunk.per_cost[0, i])
            cap = pick(faded, chunk.max_hours[1, i], chunk.max_hours[0, i])
            tau = slot.value[i] * per_cost - pick(faded, chunk.per_kappa_q[1, i], chunk.per_kappa_q[0, i])
            tau = pick(tau > 0.0, tau, 0.0)
            tau = pick(tau < cap, tau, cap)
            slot.hours[i] = tau
            chunk.used[i] += tau * pick(faded, chunk.power[1, i], chunk.power[0, i])


@kernel
def settle(chunks: Any, slots: Any, size: int) -> None:
    """Sum the profit, sum_l V log(1 + kappa q tau) - p tau, less the setup cost."""
    chunk = chunks[0]
    for i in range(LANES):
        chunk.profit[i] = -chunk.setup_cost[i]
    for k in range(size):
        slot = slots[k]
        for i in range(LANES):
            faded = slot.faded[i] != 0
            kappa_q = pick(faded, chunk.kappa_q[1, i], chunk.kappa_q[0, i])
            cost = pick(faded, chunk.cost[1, i], chunk.cost[0, i])
            tau = slot.hours[i]
            chunk.profit[i] += slot.value[i] * logarithm(1.0 + kappa_q * tau) - cost * tau


@kernel
def piece_root(rest: float, s_all: float, s_near: float, distance: float) -> float:
    """Return the x > 0 with s_near / x + (s_all - s_near) / (x + distance) = rest; inf or -inf if there is none."""
    b = s_all - rest * distance
    product = 2.0 * s_near * distance
    root = math.sqrt(b * b + 2.0 * rest * product)
    x = pick(b >= 0.0, b + root, product) / pick(b >= 0.0, 2.0 * rest, root - b)  # neither form cancels
    return pick(rest > 0.0, x, pick((rest < 0.0) | (s_all > 0.0), np.inf, -np.inf))


@kernel
def scan(slot: Any, i: int, mu: float, piece: tuple[float, float, float, float, float]) -> Any:
    """Add one slot to the piece that holds mu: (fixed, s_all, s_near, left, right)."""
    fixed, s_all, s_near, left, right = piece
    fills, closes = slot.fills[i], slot.closes[i]
    full, rents = fills > mu, closes > mu
    is_open = rents & (not full)
    fixed += pick(full, slot.whole[i], pick(rents, slot.open[i], 0.0))
    s_all += pick(is_open, slot.value[i], 0.0)
    s_near += pick(is_open, slot.value_near[i], 0.0)
    below = pick(rents, pick(full, left, fills), closes)
    above = pick(full, fills, pick(rents, closes, right))
    return fixed, s_all, s_near, pick(below > left, below, left), pick(above < right, above, right)


@kernel
def prepare_search(chunks: Any, slots: Any) -> None:
    """Find the breakpoints of every slot, the bracket of mu, and a first mu: the root if every slot were open.

    With x_s = mu + r_s and r_s = p_s / g_s, a slot of fade state s rents while V opens_s > x_s and is full while
    V fills_s > x_s, so these are breakpoints of the energy in mu.
    """
    chunk = chunks[0]
    for i in range(LANES):
        for s in range(2):
            per_power = 1.0 / chunk.power[s, i]
            chunk.r[s, i] = chunk.cost[s, i] * per_power
            chunk.opens[s, i] = chunk.kappa_q[s, i] * per_power
            chunk.fills[s, i] = chunk.opens[s, i] / (1.0 + chunk.kappa_q[s, i] * chunk.max_hours[s, i])
            chunk.whole[s, i] = chunk.power[s, i] * chunk.max_hours[s, i]
            chunk.open[s, i] = -chunk.power[s, i] * chunk.per_kappa_q[s, i]
        nominal, faded = chunk.r[0, i], chunk.r[1, i]
        chunk.r_near[i] = pick(nominal <= faded, nominal, faded)
        chunk.distance[i] = abs(nominal - faded)
        chunk.near[i] = pick(nominal <= faded, 0, 1)
        chunk.high[i] = 0.0
        chunk.fixed[i], chunk.s_all[i], chunk.s_near[i] = 0.0, 0.0, 0.0
    for k in range(slots.shape[0]):
        slot = slots[k]
        for i in range(LANES):
            faded = slot.faded[i] != 0
            value, high = slot.value[i], chunk.high[i]
            r = pick(faded, chunk.r[1, i], chunk.r[0, i])
            closes = value * pick(faded, chunk.opens[1, i], chunk.opens[0, i]) - r
            is_open = pick(faded, chunk.open[1, i], chunk.open[0, i])
            value_near = pick(slot.faded[i] == chunk.near[i], value, 0.0)
            slot.fills[i] = value * pick(faded, chunk.fills[1, i], chunk.fills[0, i]) - r
            slot.closes[i] = closes
            slot.whole[i] = pick(faded, chunk.whole[1, i], chunk.whole[0, i])
            slot.open[i] = is_open
            slot.value_near[i] = value_near
            chunk.high[i] = pick(closes > high, closes, high)
            chunk.fixed[i] += is_open
            chunk.s_all[i] += value
            chunk.s_near[i] += value_near
    for i in range(LANES):
        high = pick(chunk.used[i] > chunk.energy[i], chunk.high[i], 0.0)  # mu = 0 where energy suffices
        rest = chunk.energy[i] - chunk.fixed[i]
        mu = piece_root(rest, chunk.s_all[i], chunk.s_near[i], chunk.distance[i]) - chunk.r_near[i]
        chunk.low[i] = 0.0
        chunk.high[i] = high
        chunk.mu[i] = pick((mu > 0.0) & (mu < high), mu, 0.5 * high)


@kernel
def find_shadow_prices(chunks: Any, slots: Any) -> None:
    """Find mu >= 0, the multiplier of the energy constraint, of every lane whose energy is short; up to rounding.

    Between breakpoints the energy is fixed + s_near / x_near + s_far / x_far, so the root is that of a quadratic. Each
    pass solves the piece at mu: either the root lies inside, or one end of the bracket moves to the end of the piece,
    of which there are at most 2 L + 1. A lane whose bracket has closed keeps its mu.
    """
    chunk = chunks[0]
    prepare_search(chunks, slots)
    for _ in range(2 * slots.shape[0] + 2):
        for i in range(LANES):
            chunk.fixed[i], chunk.s_all[i], chunk.s_near[i] = 0.0, 0.0, 0.0
            chunk.left[i], chunk.right[i] = chunk.low[i], chunk.high[i]
        for k in range(0, slots.shape[0], 2):  # in pairs: half the loads and stores of the sums
            one, two = slots[k], slots[k + 1]
            for i in range(LANES):
                mu = chunk.mu[i]
                piece = (chunk.fixed[i], chunk.s_all[i], chunk.s_near[i], chunk.left[i], chunk.right[i])
                piece = scan(two, i, mu, scan(one, i, mu, piece))
                chunk.fixed[i], chunk.s_all[i], chunk.s_near[i], chunk.left[i], chunk.right[i] = piece
        searching = 0
        for i in range(LANES):
            low, high, left, right, mu = chunk.low[i], chunk.high[i], chunk.left[i], chunk.right[i], chunk.mu[i]
            rest = chunk.energy[i] - chunk.fixed[i]
            root = piece_root(rest, chunk.s_all[i], chunk.s_near[i], chunk.distance[i]) - chunk.r_near[i]
            active = low < high
            new_low = pick(root > right, right, pick(root < left, low, root))
            new_high = pick(root < left, left, pick(root > right, high, root))
            middle = pick(new_low < new_high, 0.5 * (new_low + new_high), new_low)
            chunk.low[i] = pick(active, new_low, low)
            chunk.high[i] = pick(active, new_high, high)
            chunk.mu[i] = pick(active, pick((new_low <= root) & (root < new_high), root, middle), mu)
            searching += pick(active & (new_low < new_high), 1, 0)
        if searching == 0:
            break


@kernel
def water_fill(chunks: Any, slots: Any, size: int, count: int) -> None:
    """Solve the problems of the first ``count`` lanes: hours, profit net of the setup cost, energy used."""
    if fill_slack(chunks, slots, size, count) > 0:
        find_shadow_prices(chunks, slots)
        fill_hours(chunks, slots, size)
    settle(chunks, slots, size)


@kernel
def write_back(chunks: Any, slots: Any, count: int, profit: FloatArray, hours: FloatArray) -> None:
    """Copy profit (B,) and hours (B, L) of the first ``count`` lanes to the problems' places; no hours if (B, 0)."""
    chunk = chunks[0]
    for i in range(count):
        problem = np.uint64(chunk.problem[i])
        profit[problem] = chunk.profit[i]
        for k in range(hours.shape[1]):
            hours[problem, k] = slots[k].hours[i]


@kernel
def sort_out(
    chunk: Any,
    slots: Any,
    size: int,
    loaded: int,
    short: Any,
    short_slots: Any,
    waiting: int,
    profit: FloatArray,
    hours: FloatArray,
) -> int:
    """Solve the ``loaded`` problems of a chunk, but for a few that lack energy: they join the ``waiting`` of another.

    Where most customers have energy enough, those that lack it are searched for mu in chunks of their own. Returns how
    many wait then.
    """
    lacking = fill_slack(chunk, slots, size, loaded)
    is_crowd = lacking >= CROWD
    if is_crowd:
        find_shadow_prices(chunk, slots)
        fill_hours(chunk, slots, size)
    if is_crowd or lacking < loaded:
        settle(chunk, slots, size)
        write_back(chunk, slots, loaded, profit, hours)
    if lacking > 0 and not is_crowd:
        for i in range(loaded):
            if chunk[0].used[i] > chunk[0].energy[i]:
                move(chunk, slots, i, short, short_slots, waiting)
                waiting += 1
                if waiting == LANES:
                    water_fill(short, short_slots, size, waiting)
                    write_back(short, short_slots, waiting, profit, hours)
                    waiting = 0
    return waiting


@kernel
def solve_grid(terms: TermArrays, prices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Worst-case profit (K * N, J, M) and planned hours (K * N, J, M, L) at J prices of every model, (K, J, M)."""
    rows, size = terms.task_value.shape
    models, cells = terms.setup_cost.shape[1], prices.shape[1]
    rows_per_market = rows // prices.shape[0]
    worst_case_profit = np.empty((rows, cells, models))
    planned_hours = np.empty((rows, cells, models, size))
    profit, hours = worst_case_profit.reshape(-1), planned_hours.reshape(-1, size)
    chunk, slots = np.empty(1, CHUNK), new_slots(size)
    short, short_slots = np.empty(1, CHUNK), new_slots(size)
    worst = np.empty(size, dtype=np.bool_)
    loaded, waiting, problem = 0, 0, 0
    for n in range(rows):
        for k in range(size):
            worst[k] = k < terms.fade_budget[n]  # the most valuable slots fade (Theorem 1)
        market = n // rows_per_market
        for j in range(cells):
            for m in range(models):
                load(chunk, slots, loaded, terms, n, m, float(prices[market, j, m]), worst, problem)
                loaded += 1
                problem += 1
                if loaded == LANES or problem == profit.shape[0]:
                    waiting = sort_out(chunk, slots, size, loaded, short, short_slots, waiting, profit, hours)
                    loaded = 0
    if waiting > 0:
        water_fill(short, short_slots, size, waiting)
        write_back(short, short_slots, waiting, profit, hours)
    return worst_case_profit, planned_hours


@kernel
def solve_rows(terms: TermArrays, prices: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """RSR's first stage for every customer: choice (N,), worst-case profit (N, M) and planned hours (N, M, L)."""
    rows, models = terms.setup_cost.shape
    profit, hours = solve_grid(terms, prices.reshape(prices.shape[0], 1, models))
    worst_case_profit, planned_hours = profit.reshape(rows, models), hours.reshape(rows, models, hours.shape[3])
    choice = np.empty(rows, dtype=np.int64)
    for n in range(rows):
        choice[n] = select(worst_case_profit[n])
    return choice, worst_case_profit, planned_hours


@kernel
def rent_rows(
    terms: TermArrays, choice: IntArray, prices: FloatArray, faded: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """RSR's second stage: hours (N, L), profit (N,) and energy (N,) once the fades are known."""
    rows, size = terms.task_value.shape
    rows_per_market = rows // prices.shape[0]
    hours = np.zeros((rows, size))
    profit = np.zeros(rows)
    used = np.zeros(rows)
    chunk, slots = np.empty(1, CHUNK), new_slots(size)
    waiting = 0
    for n in range(rows):
        m = choice[n]
        if m >= 0:
            price = float(prices[n // rows_per_market, m])
            load(chunk, slots, waiting, terms, n, m, price, faded[n], n)
            waiting += 1
        if waiting == LANES or (waiting > 0 and n == rows - 1):
            water_fill(chunk, slots, size, waiting)
            write_back(chunk, slots, waiting, profit, hours)
            for i in range(waiting):
                used[chunk[0].problem[i]] = min(chunk[0].used[i], chunk[0].energy[i])
            waiting = 0
    return hours, profit, used
