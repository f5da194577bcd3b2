"""Actions to prices, and states to observations: the layout of `lmaas_env.env.LMaaSEnv`."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.math import where
from lmaas_env.engine.period import PROFIT, Record
from lmaas_env.state import State
from lmaas_env.types import FloatArray

CLIP = 10.0  # observations are clipped to [-CLIP, CLIP]


class View(NamedTuple):
    """What a seller sees of a market, beside its state."""

    is_public: bool  # only the clock and the last sale
    periods: int
    price_floor: float
    price_cap: float
    shadowing_sigma: float
    demand_sigma: float
    capacity: FloatArray  # (C,), C = N or K * N lane after lane
    constants: NDArray[np.float32]  # (1 or K, S), the customers' constants that are shown; S = 0 for none


@kernel
def prices_from_actions(actions: FloatArray, floor: float, cap: float) -> tuple[FloatArray, FloatArray]:
    """Return prices (K, M), log-linear from floor (-1) to cap (1), both exactly, and the clipped shares (K,)."""
    prices, clipped = np.empty(actions.shape), np.zeros(actions.shape[0])
    for k in range(actions.shape[0]):
        for m in range(actions.shape[1]):
            share = 0.5 * (min(max(actions[k, m], -1.0), 1.0) + 1.0)
            price = floor * (cap / floor) ** share
            prices[k, m] = cap if share == 1.0 else min(max(price, floor), cap)
            clipped[k] += abs(actions[k, m]) > 1.0
        clipped[k] /= actions.shape[1]
    return prices, clipped


@kernel
def actions_from_prices(prices: FloatArray, floor: float, cap: float) -> FloatArray:
    """Return the actions (K, M) that post prices (K, M), clipped to floor and cap; rounded to float32."""
    spread = math.log(cap / floor)
    actions = np.empty(prices.shape)
    for k in range(prices.shape[0]):
        for m in range(prices.shape[1]):
            price = min(max(prices[k, m], floor), cap)
            actions[k, m] = np.float32(2.0 * math.log(price / floor) / spread - 1.0)
    return actions


@kernel
def last_sale_of(view: View, prices: FloatArray, record: Record) -> FloatArray:
    """Return what a seller with public information remembers of a period, (K, 3 M + 1).

    The posted prices as an action, then hours and customers per model and the profit, over N.
    """
    models, customers = prices.shape[1], record.choice.shape[1]
    sale = np.empty((prices.shape[0], 3 * models + 1))
    sale[:, :models] = actions_from_prices(prices, view.price_floor, view.price_cap)
    sale[:, models : 2 * models] = record.hours_per_model / customers
    sale[:, 2 * models : 3 * models] = record.customers_per_model / customers
    sale[:, 3 * models] = record.per_lane[PROFIT] / customers
    return sale


@kernel
def observe(view: View, state: State, sale: FloatArray) -> NDArray[np.float32]:
    """Return the observations (K, D) of states, with the last sale (K, 3 M + 1) where that is all that is seen."""
    hour, shadowing, demand, charge = state
    lanes, customers = charge.shape
    shown = 0 if view.is_public else 3 * customers
    constants = view.constants.shape[1]
    seen = np.empty((lanes, shown + 3 + sale.shape[1] + constants), dtype=np.float32)
    for k in range(lanes):
        own = k * customers % view.capacity.shape[0]
        if not view.is_public:
            state_part = seen[k, :shown].reshape(3, customers)
            for n in range(customers):  # a loop per row, as those that fill several do not vectorise
                state_part[0, n] = _standardised(shadowing[k, n], view.shadowing_sigma)
            for n in range(customers):
                state_part[1, n] = _clipped(2.0 * charge[k, n] / view.capacity[own + n] - 1.0)
            for n in range(customers):
                state_part[2, n] = _standardised(demand[k, n], view.demand_sigma)
        angle = 2.0 * math.pi * hour[k] / 24.0
        seen[k, shown], seen[k, shown + 1] = math.sin(angle), math.cos(angle)
        seen[k, shown + 2] = 1.0 - hour[k] / view.periods
        for j in range(sale.shape[1]):
            seen[k, shown + 3 + j] = _clipped(sale[k, j])
        for j in range(constants):
            seen[k, shown + 3 + j] = view.constants[k % view.constants.shape[0], j]
    return seen


@kernel
def _standardised(value: float, sigma: float) -> float:
    return _clipped(value / sigma) if sigma > 0.0 else 0.0


@kernel
def _clipped(value: float) -> float:
    value = where(value < -CLIP, -CLIP, value)  # NaN stays
    return where(value > CLIP, CLIP, value)
