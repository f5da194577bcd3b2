"""Fades that sellers anticipate: scenarios drawn once, and the worst case of each customer."""

from __future__ import annotations

import numpy as np

from lmaas_env.types import BoolArray, IntArray

SCENARIOS = 16  # over which profits are expected


def drawn_fades(customers: int, slots: int, fade_probability: float, count: int) -> BoolArray:
    """Return fade patterns (P, N, L) that are as likely as each other, and the same in every call."""
    rng, drawn = np.random.default_rng(0), np.empty((count, customers, slots), dtype=np.bool_)
    for scenario in drawn:  # one at a time, as the numbers take eight times the memory of the fades
        scenario[:] = rng.random((customers, slots)) < fade_probability
    return drawn


def worst_fades_of(fade_budget: IntArray, slots: int) -> BoolArray:
    """Return the worst fade pattern of each of some budgets (..., L): that of `engine.recourse.worst_fades`."""
    pattern: BoolArray = np.arange(slots) < fade_budget[..., None]
    return pattern
