"""Chunks of recourse problems, one problem per SIMD lane: their layout, and how problems and answers enter and leave.

Up to `WIDTH` problems share a chunk: every field of `CHUNK` and `SLOT` holds one number per SIMD lane. Symbols are
those of docs/market.md: V task value, kappa saturation, q quality, p = beta + c the cost of an hour, g device power,
tau hours, mu the multiplier of the energy constraint, E the charge. A leading axis of length 2 is the fade state
(0 nominal, 1 faded).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.math import where
from lmaas_env.engine.terms import Terms
from lmaas_env.types import BoolArray, FloatArray

WIDTH = 32  # problems per chunk: few enough for scratch in L1, many enough for full vectors

_ONE, _STATES = (WIDTH,), (2, WIDTH)
CHUNK = np.dtype(
    [
        # The problem.
        ("energy", np.float64, _ONE),  # E
        ("setup_cost", np.float64, _ONE),  # f
        ("cost", np.float64, _STATES),  # p = beta + c
        ("power", np.float64, _STATES),  # g
        ("kappa_q", np.float64, _STATES),
        ("max_hours", np.float64, _STATES),  # cap; 0 if the battery is empty, so that rounding rents nothing
        ("problem", np.int64, _ONE),  # the place of the answer
        # The answer.
        ("mu", np.float64, _ONE),
        ("profit", np.float64, _ONE),
        ("used", np.float64, _ONE),  # Wh
        # Scratch of `fill_hours`: 1 / (p + mu g) and 1 / (kappa q).
        ("per_cost", np.float64, _STATES),
        ("per_kappa_q", np.float64, _STATES),
        # Scratch of `find_energy_prices`: r = p / g, the V at which a slot opens and is full per x = mu + r, inverted.
        ("r", np.float64, _STATES),
        ("opens", np.float64, _STATES),
        ("fills", np.float64, _STATES),
        ("whole", np.float64, _STATES),  # the fixed energy of a full slot, g cap
        ("open", np.float64, _STATES),  # that of an open one, -g / (kappa q)
        ("near", np.int64, _ONE),  # the fade state with the smaller r
        ("r_near", np.float64, _ONE),
        ("distance", np.float64, _ONE),  # |r_1 - r_0|
        ("low", np.float64, _ONE),  # low <= mu <= high
        ("high", np.float64, _ONE),
        ("left", np.float64, _ONE),  # the piece that holds mu
        ("right", np.float64, _ONE),
        ("fixed", np.float64, _ONE),  # on that piece the energy is fixed + s_near / x_near + (s_all - s_near) / x_far
        ("s_near", np.float64, _ONE),
        ("s_all", np.float64, _ONE),
    ]
)
SLOT = np.dtype(
    [
        ("value", np.float64, _ONE),  # V
        ("faded", np.int64, _ONE),  # its fade state
        ("hours", np.float64, _ONE),  # tau
        ("fills", np.float64, _ONE),  # the mu at which the slot stops being full
        ("closes", np.float64, _ONE),  # the mu at which it closes
        ("whole", np.float64, _ONE),  # its fixed energy while full
        ("open", np.float64, _ONE),  # its fixed energy while open
        ("value_near", np.float64, _ONE),  # V if its fade state is the one with the smaller r, else 0
    ]
)


@kernel
def new_slots(slots: int) -> Any:
    """Return scratch for a chunk's slots; an odd number gets one more, worth nothing, as they are scanned in pairs."""
    scratch = np.empty(slots + slots % 2, SLOT)
    for i in range(WIDTH):
        scratch[-1]["value"][i], scratch[-1]["faded"][i] = 0.0, 0
    return scratch


@kernel
def load(
    chunks: Any, slots: Any, at: int, terms: Terms, m: int, first: int, price: FloatArray, faded: BoolArray
) -> int:
    """Put the problems of customers from ``first`` on, all with model m, into the SIMD lanes from ``at`` on.

    Prices (R,) and fades (L, R) are those of all customers. Returns how many problems the chunk then holds. Unsigned
    indices spare numba's test for negative ones, and every loop fills one array, so that it vectorises.
    """
    chunk, to, row, model = chunks[0], np.uint64(at), np.uint64(first), np.uint64(m)
    count = np.uint64(min(WIDTH - at, price.shape[0] - first))
    for i in range(count):
        chunk["energy"][to + np.uint64(i)] = terms.energy[row + np.uint64(i)]
    for i in range(count):
        chunk["setup_cost"][to + np.uint64(i)] = terms.setup_cost[model, row + np.uint64(i)]
    for s in range(2):
        for i in range(count):
            chunk["cost"][s, to + np.uint64(i)] = (
                price[row + np.uint64(i)] + terms.airtime_cost[s, model, row + np.uint64(i)]
            )
        for i in range(count):
            chunk["power"][s, to + np.uint64(i)] = terms.power[s, model, row + np.uint64(i)]
        for i in range(count):
            chunk["kappa_q"][s, to + np.uint64(i)] = (
                terms.saturation[row + np.uint64(i)] * terms.quality[s, model, row + np.uint64(i)]
            )
        for i in range(count):
            chunk["max_hours"][s, to + np.uint64(i)] = where(
                terms.energy[row + np.uint64(i)] > 0.0, terms.max_hours[s, model, row + np.uint64(i)], 0.0
            )
    for k in range(terms.task_value.shape[0]):
        for i in range(count):
            slots[k]["value"][to + np.uint64(i)] = terms.task_value[k, row + np.uint64(i)]
        for i in range(count):
            slots[k]["faded"][to + np.uint64(i)] = where(faded[k, row + np.uint64(i)], 1, 0)
    return at + int(count)


@kernel
def load_problem(
    chunks: Any, slots: Any, at: int, terms: Terms, customer: int, model: int, price: FloatArray, faded: BoolArray
) -> None:
    """Put the problem of one customer and model into the SIMD lane ``at``; prices are (M, R), fades (L, R)."""
    chunk, i, n, m = chunks[0], np.uint64(at), np.uint64(customer), np.uint64(model)
    chunk["problem"][i] = customer
    chunk["energy"][i] = terms.energy[n]
    chunk["setup_cost"][i] = terms.setup_cost[m, n]
    for s in range(2):
        chunk["cost"][s, i] = price[m, n] + terms.airtime_cost[s, m, n]
        chunk["power"][s, i] = terms.power[s, m, n]
        chunk["kappa_q"][s, i] = terms.saturation[n] * terms.quality[s, m, n]
        chunk["max_hours"][s, i] = where(terms.energy[n] > 0.0, terms.max_hours[s, m, n], 0.0)
    for k in range(terms.task_value.shape[0]):
        slots[k]["value"][i] = terms.task_value[k, n]
        slots[k]["faded"][i] = where(faded[k, n], 1, 0)


@kernel
def move(chunks: Any, slots: Any, source: int, targets: Any, target_slots: Any, destination: int) -> None:
    """Copy the problem of a SIMD lane into one of another chunk."""
    chunk, target, i, j = chunks[0], targets[0], np.uint64(source), np.uint64(destination)
    target["problem"][j] = chunk["problem"][i]
    target["energy"][j] = chunk["energy"][i]
    target["setup_cost"][j] = chunk["setup_cost"][i]
    for s in range(2):
        target["cost"][s, j] = chunk["cost"][s, i]
        target["power"][s, j] = chunk["power"][s, i]
        target["kappa_q"][s, j] = chunk["kappa_q"][s, i]
        target["max_hours"][s, j] = chunk["max_hours"][s, i]
    for k in range(slots.shape[0]):
        target_slots[k]["value"][j] = slots[k]["value"][i]
        target_slots[k]["faded"][j] = slots[k]["faded"][i]


@kernel
def idle(chunks: Any, slots: Any, count: int) -> None:
    """Give the SIMD lanes after the first ``count`` a problem that rents nothing.

    What is left in their memory may be denormal numbers, which cost a hundred cycles an operation.
    """
    chunk = chunks[0]
    for i in range(count, WIDTH):
        chunk["energy"][i], chunk["setup_cost"][i] = 1.0, 0.0
        for s in range(2):
            chunk["cost"][s, i], chunk["power"][s, i] = 1.0, 1.0
            chunk["kappa_q"][s, i], chunk["max_hours"][s, i] = 1.0, 1.0
        for k in range(slots.shape[0]):
            slots[k]["value"][i], slots[k]["faded"][i] = 0.0, 0


class Answers(NamedTuple):
    """Where the answers of B problems go; no hours are written if ``hours`` has no slots."""

    profit: FloatArray  # (B,), $, net of the setup cost
    energy: FloatArray  # (B,), Wh used
    hours: FloatArray  # (L or 0, B)


@kernel
def write_back(chunks: Any, slots: Any, count: int, answers: Answers) -> None:
    """Copy the answers of the first ``count`` SIMD lanes to their places."""
    chunk = chunks[0]
    for i in range(count):
        problem = np.uint64(chunk["problem"][i])
        answers.profit[problem] = chunk["profit"][i]
        answers.energy[problem] = min(chunk["used"][i], chunk["energy"][i])
        for k in range(answers.hours.shape[0]):
            answers.hours[k, problem] = slots[k]["hours"][i]
