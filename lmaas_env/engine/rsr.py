"""RSR, robust selecting and renting, for a batch of customers: the two stages of docs/market.md.

`lmaas_env.rsr`, the environments, IMP and the price tables all select by `select` and rent by `rent`.
"""

from __future__ import annotations

import numpy as np

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.math import where
from lmaas_env.engine.recourse_chunk import Answers
from lmaas_env.engine.recourse_simd import solve_chosen, solve_recourse
from lmaas_env.engine.terms import Terms
from lmaas_env.types import BoolArray, FloatArray, IntArray

SELECTION_THRESHOLD = 1e-12  # of the value at stake; a customer selects a model only if it promises more


@kernel
def worst_case(terms: Terms, models: IntArray, price: FloatArray, hours: FloatArray) -> FloatArray:
    """Return W, the worst-case profit (B, R) of rows of prices (B, R), each of one model (B,).

    The most valuable slots fade, as many as the budget allows (Theorem 1). ``hours`` (L or 0, B, R) is filled with the
    hours planned for that pattern, unless it has no slots.
    """
    slots, customers = terms.task_value.shape
    faded = np.empty((slots, customers), dtype=np.bool_)
    for slot in range(slots):
        for n in range(customers):
            faded[slot, n] = slot < terms.fade_budget[n]
    return solve_recourse(terms, models, price, faded, hours)[0]


@kernel
def worst_case_of_all(terms: Terms, price: FloatArray) -> FloatArray:
    """Return W (M, R) at one price per model and customer (M, R)."""
    return worst_case(terms, np.arange(price.shape[0], dtype=np.int64), price, np.empty((0, *price.shape)))


@kernel
def selection_threshold(terms: Terms) -> FloatArray:
    """Return the profit (R,) in $ that a model has to promise more than, a share of the value of all tasks.

    It is above the rounding of a worst-case profit, which grows with that value, so that no rounding is a promise.
    """
    slots, customers = terms.task_value.shape
    least = np.zeros(customers)
    for slot in range(slots):
        for n in range(customers):
            least[n] += SELECTION_THRESHOLD * terms.task_value[slot, n]
    return least


@kernel
def select(worst_case_profit: FloatArray, least: FloatArray) -> IntArray:
    """Return the model (R,) of largest worst-case profit (M, R), the first of equals, -1 if none promises a profit.

    A promise is more than ``least`` (R,), in $ (`selection_threshold`).
    """
    models, customers = worst_case_profit.shape
    choice, best = np.full(customers, -1), least.copy()
    for m in range(models):  # a loop per array, without a branch, so that it vectorises
        promised = worst_case_profit[m]
        for n in range(customers):
            choice[n] = where(promised[n] > best[n], m, choice[n])
        for n in range(customers):
            best[n] = where(promised[n] > best[n], promised[n], best[n])
    return choice


@kernel
def chosen(values: FloatArray, choice: IntArray) -> FloatArray:
    """Return each customer's entry (R,) of its choice in values (M, R), 0 for none."""
    found = np.zeros(choice.shape[0])
    for n in range(choice.shape[0]):
        if choice[n] >= 0:
            found[n] = values[choice[n], n]
    return found


@kernel
def rent(
    terms: Terms, choice: IntArray, price: FloatArray, faded: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return hours (L, R), profit (R,) in $ and energy (R,) in Wh of the selected models once the fades are known.

    Parameters
    ----------
    terms : Terms
        Of R customers.
    choice : (R,) int
        The selected model, -1 for none.
    price : (M, R), $/h
    faded : (L, R) bool
    """
    slots, customers = terms.task_value.shape
    hours, profit, energy = np.zeros((slots, customers)), np.zeros(customers), np.zeros(customers)
    solve_chosen(terms, choice, price, faded, Answers(profit, energy, hours))
    return hours, profit, energy
