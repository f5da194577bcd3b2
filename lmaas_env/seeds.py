"""Selling days: which seeds may be used for what, whole days drawn at once, and the record of days that were sold.

Training, tuning and held-out days come from disjoint ranges of seeds, so that no result is measured on a day that a
seller was fitted to.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmaas_env.episode import Episode, open_episodes
from lmaas_env.market import Market
from lmaas_env.state import Draws, State

TRAINING_STRIDE = 1_000_000  # training seed k owns the day seeds k * stride .. (k + 1) * stride - 1
TUNING_START = 500_000_000
HELD_OUT_START = 900_000_000
MOST_DRAWS = 2**32  # of days that are drawn together, some gigabytes
_LARGEST_TRAINING_SEED = TUNING_START // TRAINING_STRIDE - 1


def training_seeds(training_seed: int, count: int, skip: int = 0) -> range:
    """Return day seeds of a training seed (1 to 499), from the first that is not skipped on."""
    if not 1 <= training_seed <= _LARGEST_TRAINING_SEED:
        raise ValueError(f"training seed = {training_seed} must be in 1..{_LARGEST_TRAINING_SEED}")
    return _seeds(training_seed * TRAINING_STRIDE + skip, count, TRAINING_STRIDE - skip)


def tuning_seeds(count: int) -> range:
    """Return day seeds for tuning reference sellers and hyper-parameters."""
    return _seeds(TUNING_START, count, HELD_OUT_START - TUNING_START)


def held_out_seeds(count: int) -> range:
    """Return day seeds for evaluation, the same for every seller."""
    return _seeds(HELD_OUT_START, count, 2**31 - HELD_OUT_START)


def _seeds(start: int, count: int, limit: int) -> range:
    if not 1 <= count <= limit:
        raise ValueError(f"number of days = {count} must be in 1..{limit}")
    return range(start, start + count)


def draw_days(market: Market, seeds: Sequence[int]) -> tuple[State, Draws]:
    """Draw one day per seed for the market's customers: the first states of K lanes, and draws with axes (H, K).

    Raises
    ------
    ValueError
        If these are more draws than `MOST_DRAWS`.
    """
    check_size(market, len(seeds))
    return market.days([np.random.default_rng(seed) for seed in seeds])


def open_days(market: Market, seeds: Sequence[int]) -> Episode:
    """Draw one episode per seed as the environment does; lane i is that of ``reset(seed=seeds[i])``.

    Raises
    ------
    ValueError
        As `draw_days`.
    """
    check_size(market, len(seeds))
    return open_episodes(market, [np.random.default_rng(seed) for seed in seeds])


def check_size(market: Market, days: int) -> None:
    """Raise a ValueError if so many days of a market are more draws than `MOST_DRAWS`."""
    it = market.scenario
    draws = days * it.periods * it.customers * it.slots
    if draws > MOST_DRAWS:
        most = max(1, MOST_DRAWS * days // draws)
        raise ValueError(
            f"days = {days:,} of {it.periods:,} periods, {it.customers:,} customers and {it.slots} slots must be at "
            f"most {most:,}, as they are drawn together"
        )


def of_one_day(market: Market) -> Market:
    """Return the market of a single lane's customers, as `open_days` opens it, in which they stay the same."""
    if market.scenario.resample_population == "never":
        return market
    return market.with_scenario(market.scenario.with_same_customers(), market.population.lane(0))
