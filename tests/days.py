"""One selling day of one market, for tests that settle it hour by hour."""

from __future__ import annotations

import numpy as np

from lmaas_env import Market
from lmaas_env.state import Draws, State


def one_day(market: Market, seed: int | np.random.Generator) -> tuple[State, Draws]:
    """The first state of a day, and its draws with a leading axis of H."""
    state, draws = market.days([np.random.default_rng(seed)])
    return State(0, *(array[0] for array in state[1:])), draws.at((slice(None), 0))


def periods_of(draws: Draws) -> list[Draws]:
    """The draws of every period of a day, in order."""
    return [draws.at(hour) for hour in range(len(draws.faded))]
