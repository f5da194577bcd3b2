"""Tiny markets for the checks, of which most customers rent."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lmaas_env import Market, Population, Scenario
from lmaas_env.state import Draws, State
from lmaas_env.types import FloatArray

TINY = dataclasses.replace(
    Scenario(), customers=4, slots=3, periods=3, demand_rise=0.0, fade_probability=0.4, task_value_median=12.0
)


def market_of(seed: int = 1, **changes: Any) -> Market:
    """A market of few customers, slots and hours, most of whom rent."""
    scenario = dataclasses.replace(TINY, **changes)
    return Market(scenario, population=Population.sample(scenario, np.random.default_rng(seed)))


def days_of(market: Market, lanes: int, seed: int = 0) -> tuple[State, Draws]:
    return market.days([np.random.default_rng([seed, lane]) for lane in range(lanes)])


def some_prices(rng: np.random.Generator, lanes: int, models: int = 4) -> FloatArray:
    """Prices (K, M) at which some customers rent each model and some none."""
    return np.array([3.0, 5.0, 8.0, 12.0])[:models] * np.exp(rng.uniform(-1.0, 0.7, (lanes, models)))
