"""Checks of static-robust customers' plans."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from lmaas_env import RentalTerms
from lmaas_env.customers import static_robust
from lmaas_env.engine.terms import price_per_customer
from lmaas_env.types import BoolArray, FloatArray
from tests.certificates.oracle import fade_patterns, random_terms


def worst_of_plan(terms: RentalTerms, n: int, m: int, price: float, booked: FloatArray) -> float:
    """The least profit of booked hours over the patterns of the budget, written a second time."""
    return min(
        _served(terms, n, m, price, booked, faded) for faded in fade_patterns(booked.size, int(terms.fade_budget[n]))
    )


def _served(terms: RentalTerms, n: int, m: int, price: float, booked: FloatArray, faded: BoolArray) -> float:
    charge, profit = float(terms.energy[n]), -float(terms.setup_cost[n, m]) - price * float(booked.sum())
    for slot, s in enumerate(faded.astype(int)):
        used = min(float(booked[slot]), float(terms.max_hours[n, m, s]), charge / float(terms.power[n, m, s]))
        charge = max(charge - float(terms.power[n, m, s]) * used, 0.0)
        gain = np.log1p(terms.saturation[n] * terms.quality[n, m, s] * used)
        profit += float(terms.task_value[n, slot] * gain - terms.airtime_cost[n, m, s] * used)
    return profit


def robust_plans_are_certified() -> None:
    """Plans earn what they promise and reach their bound; no perturbed plan beats it."""
    rng = np.random.default_rng(2)
    for slots in (1, 2, 2, 3, 3):
        terms, prices = random_terms(rng, 2, 2, slots), 10.0 ** rng.uniform(-0.5, 1.0, 2)
        plans = static_robust.robust_plans(terms.arrays, price_per_customer(prices[None], 2), every_model=True)
        for n, m in itertools.product(range(2), range(2)):
            worst, booked, scale = plans.worst[m, n], plans.hours[:, m, n], max(1.0, abs(plans.worst[m, n]))
            assert worst == pytest.approx(worst_of_plan(terms, n, m, prices[m], booked), rel=1e-11, abs=1e-11)
            assert worst <= plans.bound[m, n] <= worst + 1e-8 * scale
            for _ in range(60):
                other = booked * rng.uniform(0.8, 1.2, slots) if rng.random() < 0.5 else rng.random(slots)
                other = np.minimum(other, terms.max_hours[n, m, 0])
                assert worst_of_plan(terms, n, m, prices[m], other) <= plans.bound[m, n] + 1e-9 * scale


CHECKS: list[Callable[[], None]] = [
    robust_plans_are_certified,
]
