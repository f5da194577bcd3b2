"""The random numbers of days, drawn beforehand (docs/market.md): the order of draws is part of the definition."""

from __future__ import annotations

import numpy as np

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.period import Constants, numbers_of
from lmaas_env.state import Draws
from lmaas_env.types import FloatArray


@kernel
def fill_day(rng: np.random.Generator, lane: int, constants: Constants, start: FloatArray, draws: Draws) -> None:
    """Draw a day of one of K lanes.

    ``start`` (3 + S - 1, K, N) is filled with standard normal shadowing and demand and the share of charge of the first
    state; with (..., K, 0) none is drawn. ``draws`` (H, K, ...) is filled next, period by period. The shadowing of the
    sites of sellers after the first comes last, so that the first seller's day does not depend on how many there are.
    """
    numbers = numbers_of(constants)
    low, high, spread = numbers.charge_start_min, numbers.charge_start_max, numbers.harvest_spread
    periods, _, customers, slots = draws.faded.shape
    for n in range(start.shape[2]):
        start[0, lane, n] = rng.standard_normal()
    for n in range(start.shape[2]):
        start[1, lane, n] = rng.standard_normal()
    for n in range(start.shape[2]):
        start[2, lane, n] = rng.uniform(low, high)
    for hour in range(periods):
        for n in range(customers):
            for slot in range(slots):
                draws.faded[hour, lane, n, slot] = rng.random() < numbers.fade_probability
        for n in range(customers):
            draws.shadowing[hour, lane, n] = rng.standard_normal()
        for n in range(customers):
            draws.demand[hour, lane, n] = rng.standard_normal()
        for n in range(customers):
            draws.harvest[hour, lane, n] = rng.uniform(1.0 - spread, 1.0 + spread)
        for n in range(customers):
            draws.choice_uniform[hour, lane, n] = rng.random()
    for row in range(3, start.shape[0]):
        for n in range(start.shape[2]):
            start[row, lane, n] = rng.standard_normal()
    for hour in range(periods):
        for n in range(customers, draws.shadowing.shape[2]):
            draws.shadowing[hour, lane, n] = rng.standard_normal()


@kernel
def fill_days(
    rngs: tuple[np.random.Generator, ...], first: int, constants: Constants, start: FloatArray, draws: Draws
) -> None:
    """Draw a day of each of the lanes from ``first`` on, a generator a lane, as `fill_day`."""
    for i, rng in enumerate(rngs):
        fill_day(rng, first + i, constants, start, draws)
