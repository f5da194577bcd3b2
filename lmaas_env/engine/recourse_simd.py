"""Water-filling for a batch of problems: the recourse of docs/market.md, one problem per SIMD lane.

A problem is a customer n, a model m, a price beta and a fade pattern z. Up to `WIDTH` of them share a chunk
(`lmaas_env.engine.recourse_chunk`, which names the symbols), and every inner loop runs over the SIMD lanes without a
branch, so that LLVM vectorises it.

`lmaas_env.engine.recourse` solves one problem at a time; per problem a batch takes a quarter to a fifth of its time
(`lmaas bench kernel`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.math import logarithm, where
from lmaas_env.engine.recourse import EXCESS
from lmaas_env.engine.recourse_chunk import (
    CHUNK,
    WIDTH,
    Answers,
    idle,
    load,
    load_problem,
    move,
    new_slots,
    write_back,
)
from lmaas_env.engine.terms import Terms
from lmaas_env.types import BoolArray, FloatArray, IntArray

DENSE_THRESHOLD = 12  # energy-constrained problems from which on a chunk is searched as a whole, not deferred


@kernel
def fill_slack(chunks: Any, slots: Any, count: int) -> int:
    """Fill hours as if energy were free, in the first ``count`` SIMD lanes; returns how many of them lack energy.

    The other SIMD lanes get a problem that rents nothing.
    """
    chunk = chunks[0]
    idle(chunks, slots, count)
    for i in range(WIDTH):
        chunk["per_kappa_q"][0, i] = 1.0 / chunk["kappa_q"][0, i]
        chunk["per_kappa_q"][1, i] = 1.0 / chunk["kappa_q"][1, i]
        chunk["mu"][i] = 0.0
    fill_hours(chunks, slots)
    lacking = 0
    for i in range(WIDTH):
        lacking += where(chunk["used"][i] > chunk["energy"][i], 1, 0)
    return lacking


@kernel
def fill_hours(chunks: Any, slots: Any) -> None:
    """Fill tau = clip(V / (p + mu g) - 1 / (kappa q), 0, cap) and the energy used."""
    chunk = chunks[0]
    for i in range(WIDTH):
        chunk["per_cost"][0, i] = 1.0 / (chunk["cost"][0, i] + chunk["mu"][i] * chunk["power"][0, i])
        chunk["per_cost"][1, i] = 1.0 / (chunk["cost"][1, i] + chunk["mu"][i] * chunk["power"][1, i])
        chunk["used"][i] = 0.0
    for k in range(slots.shape[0]):
        slot = slots[k]
        for i in range(WIDTH):
            faded = slot["faded"][i] != 0
            per_cost = where(faded, chunk["per_cost"][1, i], chunk["per_cost"][0, i])
            cap = where(faded, chunk["max_hours"][1, i], chunk["max_hours"][0, i])
            tau = slot["value"][i] * per_cost - where(faded, chunk["per_kappa_q"][1, i], chunk["per_kappa_q"][0, i])
            tau = where(tau > 0.0, tau, 0.0)
            tau = where(tau < cap, tau, cap)
            slot["hours"][i] = tau
            chunk["used"][i] += tau * where(faded, chunk["power"][1, i], chunk["power"][0, i])


@kernel
def fit_hours(chunks: Any, slots: Any) -> None:
    """Cut hours that use more than the charge, by one factor, where rounding is more than `EXCESS`.

    Where kappa q is small, tau is the difference of two large numbers.
    """
    chunk = chunks[0]
    excessive = 0
    for i in range(WIDTH):
        excessive += where(chunk["used"][i] > chunk["energy"][i] * (1.0 + EXCESS), 1, 0)
    if excessive == 0:
        return
    for i in range(WIDTH):
        is_excessive = chunk["used"][i] > chunk["energy"][i] * (1.0 + EXCESS)
        chunk["mu"][i] = where(is_excessive, chunk["energy"][i] / chunk["used"][i], 1.0)
        chunk["used"][i] *= chunk["mu"][i]
    for k in range(slots.shape[0]):
        slot = slots[k]
        for i in range(WIDTH):
            slot["hours"][i] *= chunk["mu"][i]


@kernel
def sum_profit(chunks: Any, slots: Any) -> None:
    """Sum the profit, sum_l V log(1 + kappa q tau) - p tau, less the setup cost."""
    chunk = chunks[0]
    for i in range(WIDTH):
        chunk["profit"][i] = -chunk["setup_cost"][i]
    for k in range(slots.shape[0]):
        slot = slots[k]
        for i in range(WIDTH):
            faded = slot["faded"][i] != 0
            kappa_q = where(faded, chunk["kappa_q"][1, i], chunk["kappa_q"][0, i])
            cost = where(faded, chunk["cost"][1, i], chunk["cost"][0, i])
            tau = slot["hours"][i]
            chunk["profit"][i] += slot["value"][i] * logarithm(1.0 + kappa_q * tau) - cost * tau


@kernel
def piece_root(rest: float, s_all: float, s_near: float, distance: float) -> float:
    """Return the x > 0 with s_near / x + (s_all - s_near) / (x + distance) = rest; inf or -inf if there is none."""
    b = s_all - rest * distance
    product = 2.0 * s_near * distance
    root = np.sqrt(b * b + 2.0 * rest * product)
    x = where(b >= 0.0, b + root, product) / where(b >= 0.0, 2.0 * rest, root - b)  # neither form cancels
    return where(rest > 0.0, x, where((rest < 0.0) | (s_all > 0.0), np.inf, -np.inf))


@kernel
def scan(slot: Any, i: int, mu: float, piece: tuple[float, float, float, float, float]) -> Any:
    """Add one slot to the piece that holds mu: (fixed, s_all, s_near, left, right)."""
    fixed, s_all, s_near, left, right = piece
    fills, closes = slot["fills"][i], slot["closes"][i]
    full, rents = fills > mu, closes > mu
    is_open = rents & (not full)
    fixed += where(full, slot["whole"][i], where(rents, slot["open"][i], 0.0))
    s_all += where(is_open, slot["value"][i], 0.0)
    s_near += where(is_open, slot["value_near"][i], 0.0)
    below = where(rents, where(full, left, fills), closes)
    above = where(full, fills, where(rents, closes, right))
    return fixed, s_all, s_near, where(below > left, below, left), where(above < right, above, right)


@kernel
def prepare_search(chunks: Any, slots: Any) -> None:
    """Find the breakpoints of every slot, the bracket of mu, and a first mu: the root if every slot were open.

    With x_s = mu + r_s and r_s = p_s / g_s, a slot of fade state s rents while V opens_s > x_s and is full while
    V fills_s > x_s, so these are breakpoints of the energy in mu.
    """
    chunk = chunks[0]
    for i in range(WIDTH):
        for s in range(2):
            per_power = 1.0 / chunk["power"][s, i]
            chunk["r"][s, i] = chunk["cost"][s, i] * per_power
            chunk["opens"][s, i] = chunk["kappa_q"][s, i] * per_power
            chunk["fills"][s, i] = chunk["opens"][s, i] / (1.0 + chunk["kappa_q"][s, i] * chunk["max_hours"][s, i])
            chunk["whole"][s, i] = chunk["power"][s, i] * chunk["max_hours"][s, i]
            chunk["open"][s, i] = -chunk["power"][s, i] * chunk["per_kappa_q"][s, i]
        nominal, faded = chunk["r"][0, i], chunk["r"][1, i]
        chunk["r_near"][i] = where(nominal <= faded, nominal, faded)
        chunk["distance"][i] = abs(nominal - faded)
        chunk["near"][i] = where(nominal <= faded, 0, 1)
        chunk["high"][i] = 0.0
        chunk["fixed"][i], chunk["s_all"][i], chunk["s_near"][i] = 0.0, 0.0, 0.0
    for k in range(slots.shape[0]):
        slot = slots[k]
        for i in range(WIDTH):
            faded = slot["faded"][i] != 0
            value, high = slot["value"][i], chunk["high"][i]
            r = where(faded, chunk["r"][1, i], chunk["r"][0, i])
            closes = value * where(faded, chunk["opens"][1, i], chunk["opens"][0, i]) - r
            is_open = where(faded, chunk["open"][1, i], chunk["open"][0, i])
            value_near = where(slot["faded"][i] == chunk["near"][i], value, 0.0)
            slot["fills"][i] = value * where(faded, chunk["fills"][1, i], chunk["fills"][0, i]) - r
            slot["closes"][i] = closes
            slot["whole"][i] = where(faded, chunk["whole"][1, i], chunk["whole"][0, i])
            slot["open"][i] = is_open
            slot["value_near"][i] = value_near
            chunk["high"][i] = where(closes > high, closes, high)
            chunk["fixed"][i] += is_open
            chunk["s_all"][i] += value
            chunk["s_near"][i] += value_near
    for i in range(WIDTH):
        high = where(chunk["used"][i] > chunk["energy"][i], chunk["high"][i], 0.0)  # mu = 0 where energy suffices
        rest = chunk["energy"][i] - chunk["fixed"][i]
        mu = piece_root(rest, chunk["s_all"][i], chunk["s_near"][i], chunk["distance"][i]) - chunk["r_near"][i]
        chunk["low"][i] = 0.0
        chunk["high"][i] = high
        chunk["mu"][i] = where((mu > 0.0) & (mu < high), mu, 0.5 * high)


@kernel
def find_energy_prices(chunks: Any, slots: Any) -> None:
    """Find mu >= 0, the multiplier of the energy constraint, of every SIMD lane whose energy is short; up to rounding.

    Between breakpoints the energy is fixed + s_near / x_near + s_far / x_far, so the root is that of a quadratic. Each
    pass solves the piece at mu: either the root lies inside, or one end of the bracket moves to the end of the piece,
    of which there are at most 2 L + 1. A SIMD lane whose bracket has closed keeps its mu.
    """
    chunk = chunks[0]
    prepare_search(chunks, slots)
    for _ in range(2 * slots.shape[0] + 2):
        for i in range(WIDTH):
            chunk["fixed"][i], chunk["s_all"][i], chunk["s_near"][i] = 0.0, 0.0, 0.0
            chunk["left"][i], chunk["right"][i] = chunk["low"][i], chunk["high"][i]
        for k in range(0, slots.shape[0], 2):  # in pairs: half the loads and stores of the sums
            one, two = slots[k], slots[k + 1]
            for i in range(WIDTH):
                mu = chunk["mu"][i]
                piece = (chunk["fixed"][i], chunk["s_all"][i], chunk["s_near"][i], chunk["left"][i], chunk["right"][i])
                piece = scan(two, i, mu, scan(one, i, mu, piece))
                chunk["fixed"][i], chunk["s_all"][i], chunk["s_near"][i], chunk["left"][i], chunk["right"][i] = piece
        searching = 0
        for i in range(WIDTH):
            low, high, mu = chunk["low"][i], chunk["high"][i], chunk["mu"][i]
            left, right = chunk["left"][i], chunk["right"][i]
            rest = chunk["energy"][i] - chunk["fixed"][i]
            root = piece_root(rest, chunk["s_all"][i], chunk["s_near"][i], chunk["distance"][i]) - chunk["r_near"][i]
            active = low < high
            new_low = where(root > right, right, where(root < left, low, root))
            new_high = where(root < left, left, where(root > right, high, root))
            middle = where(new_low < new_high, 0.5 * (new_low + new_high), new_low)
            chunk["low"][i] = where(active, new_low, low)
            chunk["high"][i] = where(active, new_high, high)
            chunk["mu"][i] = where(active, where((new_low <= root) & (root < new_high), root, middle), mu)
            searching += where(active & (new_low < new_high), 1, 0)
        if searching == 0:
            break


@kernel
def water_fill(chunks: Any, slots: Any, count: int) -> None:
    """Solve the problems of the first ``count`` lanes: hours, profit net of the setup cost, energy used."""
    if fill_slack(chunks, slots, count) > 0:
        find_energy_prices(chunks, slots)
        fill_hours(chunks, slots)
        fit_hours(chunks, slots)
    sum_profit(chunks, slots)


@kernel
def solve_or_defer(
    chunk: Any,
    slots: Any,
    count: int,
    deferred: Any,
    deferred_slots: Any,
    waiting: int,
    is_last: bool,
    answers: Answers,
) -> int:
    """Solve a chunk of ``count`` problems; defer those short of energy to a second chunk when there are few of them.

    The last chunk defers only to problems that wait already. Returns how many problems then wait in the second chunk.
    """
    lacking = fill_slack(chunk, slots, count)
    is_dense = lacking >= DENSE_THRESHOLD or (is_last and waiting == 0)
    if is_dense and lacking > 0:
        find_energy_prices(chunk, slots)
        fill_hours(chunk, slots)
        fit_hours(chunk, slots)
    if is_dense or lacking < count:
        sum_profit(chunk, slots)
        write_back(chunk, slots, count, answers)
    if lacking > 0 and not is_dense:
        for i in range(count):
            if chunk[0]["used"][i] > chunk[0]["energy"][i]:
                move(chunk, slots, i, deferred, deferred_slots, waiting)
                waiting += 1
                if waiting == WIDTH:
                    water_fill(deferred, deferred_slots, waiting)
                    write_back(deferred, deferred_slots, waiting, answers)
                    waiting = 0
    return waiting


@kernel
def solve_recourse(
    terms: Terms, models: IntArray, price: FloatArray, faded: BoolArray, hours: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Solve the recourse of every customer for several models and prices.

    Parameters
    ----------
    terms : Terms
        Of R customers.
    models : (B,) int
        The model of each row of prices.
    price : (B, R), $/h
    faded : (L, R) bool
        The fade pattern of every customer.
    hours : (L or 0, B, R)
        Filled with the rented hours, unless it has no slots.

    Returns
    -------
    profit (B, R) in $, net of the setup cost, and the energy used (B, R) in Wh.
    """
    size, (rows, customers) = terms.task_value.shape[0], price.shape
    profit, energy = np.empty((rows, customers)), np.empty((rows, customers))
    count = rows * customers
    answers = Answers(profit.reshape(count), energy.reshape(count), hours.reshape((hours.shape[0], count)))
    chunk, slots = np.empty(1, CHUNK), new_slots(size)
    deferred, deferred_slots = np.empty(1, CHUNK), new_slots(size)
    loaded, waiting = 0, 0
    for row in range(rows):
        first = 0
        while first < customers:
            before = loaded
            loaded = load(chunk, slots, before, terms, models[row], first, price[row], faded)
            for i in range(before, loaded):
                chunk[0]["problem"][i] = row * customers + first + i - before
            first += loaded - before
            is_last = row == rows - 1 and first == customers
            if loaded == WIDTH or is_last:
                waiting = solve_or_defer(chunk, slots, loaded, deferred, deferred_slots, waiting, is_last, answers)
                loaded = 0
    if waiting > 0:
        water_fill(deferred, deferred_slots, waiting)
        write_back(deferred, deferred_slots, waiting, answers)
    return profit, energy


@kernel
def solve_chosen(terms: Terms, choice: IntArray, price: FloatArray, faded: BoolArray, answers: Answers) -> None:
    """Solve the recourse of every customer with the model (R,) of its choice, at prices (M, R) and fades (L, R).

    The answers of customers without one, whose choice is -1, are not touched.
    """
    size, renting = terms.task_value.shape[0], np.flatnonzero(choice >= 0)
    chunk, slots = np.empty(1, CHUNK), new_slots(size)
    deferred, deferred_slots = np.empty(1, CHUNK), new_slots(size)
    waiting = 0
    for first in range(0, renting.shape[0], WIDTH):
        customers = renting[first : first + WIDTH]
        for i, n in enumerate(customers):
            load_problem(chunk, slots, i, terms, n, int(choice[n]), price, faded)
        count, is_last = customers.shape[0], first + WIDTH >= renting.shape[0]
        waiting = solve_or_defer(chunk, slots, count, deferred, deferred_slots, waiting, is_last, answers)
    if waiting > 0:
        water_fill(deferred, deferred_slots, waiting)
        write_back(deferred, deferred_slots, waiting, answers)
