"""The seller's problem in one period: what its customers may rent, how it anticipates them, and what they cost it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.rsr import selection_threshold
from lmaas_env.engine.terms import Terms
from lmaas_env.types import BoolArray, FloatArray


class Anticipation(NamedTuple):
    """The fade patterns under which the seller anticipates each customer's hours: (P, N, L), weights (P, N)."""

    patterns: BoolArray
    weights: FloatArray


class SellerConstants(NamedTuple):
    """The seller's constants, as kernels take them.

    ``serving_cost`` (M, N) is what an hour costs, by customer since a seller that looks ahead also charges the battery;
    ``adaptation_cost`` is (M,).
    """

    serving_cost: FloatArray
    adaptation_cost: FloatArray
    training_cost: float
    price_floor: float
    price_cap: float


NO_OFFERS: FloatArray = np.empty(0)


class Problem(NamedTuple):
    """The seller's problem in one period: prices of M models for N customers.

    ``outside`` (N,) is the worst-case profit that the best offer of other sellers promises each customer, $; (0,) where
    there are none.
    """

    terms: Terms
    anticipation: Anticipation
    seller: SellerConstants
    outside: FloatArray = NO_OFFERS


@kernel
def offered_elsewhere(problem: Problem, n: int) -> float:
    """Return what other sellers promise a customer, 0 if that is nothing, $."""
    return max(problem.outside[n], 0.0) if problem.outside.shape[0] > 0 else 0.0


@kernel
def least_promise(problem: Problem) -> FloatArray:
    """Return what each customer (N,) must be promised more than to select a model of the seller, $."""
    least = selection_threshold(problem.terms)
    for n in range(problem.outside.shape[0]):
        least[n] = max(least[n], problem.outside[n])
    return least


@kernel
def least_unit(terms: Terms) -> float:
    """Return what gaps and gains are relative to at least, $: 1 $, or the value of all tasks where that is less."""
    return min(1.0, terms.task_value.sum())
