"""Actions to prices, states to observations, and a whole step: the layout of `lmaas_env.env.LMaaSEnv`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.math import where
from lmaas_env.engine.period import (
    CLIPPED_SHARE,
    PROFIT,
    Constants,
    Record,
    customers_of,
    numbers_of,
    sellers_of,
    settle_lanes,
    state_after,
)
from lmaas_env.state import Draws, State
from lmaas_env.types import FloatArray

Float32Array = NDArray[np.float32]
CLIP = 10.0  # observations are clipped to [-CLIP, CLIP]


@kernel
def prices_from_actions(actions: FloatArray, floor: float, cap: float, menu: float, prices: FloatArray) -> None:
    """Fill prices (K, M), log-linear in the actions (K, M): the floor at -1 and below, the cap at 1 and above.

    With a menu of 2 or more log-spaced prices, the one nearest in the logarithm (the higher of two that are as near).
    """
    for k in range(actions.shape[0]):
        for m in range(actions.shape[1]):
            share = 0.5 * (min(max(actions[k, m], -1.0), 1.0) + 1.0)
            if menu > 0.0:
                share = math.floor(share * (menu - 1.0) + 0.5) / (menu - 1.0)
            price = floor * (cap / floor) ** share
            prices[k, m] = cap if share == 1.0 else min(max(price, floor), cap)


@kernel
def post_actions(
    constants: Constants, actions: FloatArray, first: int, last: int, prices: FloatArray, record: Record
) -> None:
    """Fill the prices and the clipped shares of the actions (K, S * M) of the lanes first, ..., last - 1."""
    numbers, models = numbers_of(constants), actions.shape[1] // sellers_of(constants)
    floor, cap, menu = numbers.price_floor, numbers.price_cap, numbers.price_menu
    prices_from_actions(actions[first:last], floor, cap, menu, prices[first:last])
    for k in range(first, last):
        for s in range(sellers_of(constants)):
            own = actions[k, s * models : (s + 1) * models]
            record.per_seller[CLIPPED_SHARE, k, s] = (np.abs(own) > 1.0).sum() / models


@kernel
def actions_from_prices(prices: FloatArray, floor: float, cap: float, actions: FloatArray) -> None:
    """Fill the actions (K, M) that post prices (K, M), clipped to floor and cap; rounded to float32."""
    spread = math.log(cap / floor)
    for k in range(prices.shape[0]):
        for m in range(prices.shape[1]):
            price = min(max(prices[k, m], floor), cap)
            actions[k, m] = np.float32(2.0 * math.log(price / floor) / spread - 1.0)


@kernel
def fill_sale(
    constants: Constants, prices: FloatArray, record: Record, seller: int, first: int, last: int, sale: FloatArray
) -> None:
    """Fill what a seller remembers of a period, (K, Q), for the lanes first, ..., last - 1.

    The posted prices of all sellers as actions, its own first and the others' in cyclic order; then, where it sees no
    more than its own sales (Q = S M + 2 M + 1), hours and customers of its models and its profit, over N.
    """
    offers, customers, numbers = prices.shape[1], record.choice.shape[1], numbers_of(constants)
    models = offers // sellers_of(constants)
    own, end = seller * models, (seller + 1) * models
    floor, cap = numbers.price_floor, numbers.price_cap
    actions_from_prices(prices[first:last, own:], floor, cap, sale[first:last, : offers - own])
    actions_from_prices(prices[first:last, :own], floor, cap, sale[first:last, offers - own : offers])
    if sale.shape[1] == offers:
        return
    for k in range(first, last):
        sale[k, offers : offers + models] = record.hours_per_model[k, own:end] / customers
        sale[k, offers + models : offers + 2 * models] = record.customers_per_model[k, own:end] / customers
        sale[k, offers + 2 * models] = record.per_seller[PROFIT, k, seller] / customers


@kernel
def observe(
    constants: Constants,
    shown: Float32Array,
    state: State,
    sale: FloatArray,
    seller: int,
    first: int,
    last: int,
    observation: Float32Array,
) -> None:
    """Fill a seller's observations (K, D) of the lanes first, ..., last - 1.

    Where ``sale`` (K, Q) holds its own sales (`fill_sale`), the clock and the sale are all that is seen. Else the state
    is seen, the shadowing at its own site first, and the constants ``shown`` (1 or K, C), of which there may be none.
    """
    hour, shadowing, demand, charge = state
    numbers, capacity, sellers = numbers_of(constants), customers_of(constants).capacity, sellers_of(constants)
    customers, is_public = charge.shape[1], sale.shape[1] > constants.models.shape[1]
    clock = 0 if is_public else (sellers + 2) * customers
    for k in range(first, last):
        own, seen = k * customers % capacity.shape[0], observation[k]
        if not is_public:
            state_part = seen[:clock].reshape(sellers + 2, customers)
            for s in range(sellers):
                site = (seller + s) % sellers * customers
                for n in range(customers):  # a loop per row, as those that fill several do not vectorise
                    state_part[s, n] = _standardised(shadowing[k, site + n], numbers.shadowing_sigma)
            for n in range(customers):
                state_part[sellers, n] = _clipped(2.0 * charge[k, n] / capacity[own + n] - 1.0)
            for n in range(customers):
                state_part[sellers + 1, n] = _standardised(demand[k, n], numbers.demand_sigma)
        angle = 2.0 * math.pi * hour[k] / 24.0
        seen[clock], seen[clock + 1] = math.sin(angle), math.cos(angle)
        seen[clock + 2] = 1.0 - hour[k] / numbers.periods
        for j in range(sale.shape[1]):
            seen[clock + 3 + j] = _clipped(sale[k, j])
        for j in range(shown.shape[1]):
            seen[clock + 3 + sale.shape[1] + j] = shown[k % shown.shape[0], j]


@kernel
def step_lanes(
    constants: tuple[Any, ...],
    shown: Float32Array,
    actions: FloatArray,
    state: tuple[Any, ...],
    draws: tuple[Any, ...],
    first: int,
    last: int,
    result: tuple[FloatArray, tuple[Any, ...], FloatArray, Float32Array],
) -> bool:
    """Take the lanes first, ..., last - 1 one step on; fills ``result``: prices, record, sale, observation.

    Sale and observation are the first seller's.

    For customers that follow RSR and rent with recourse; one call, as every call unboxes its arrays anew. It takes
    plain tuples instead of `Constants`, `State`, `Draws` and `Record`, as numba needs 0.5 us to tell which NamedTuple
    it is given. Returns False if terms or prices break a rule.
    """
    market, drawn = Constants(*constants), Draws(*draws)
    prices, filled, sale, observation = result
    record = Record(*filled)
    post_actions(market, actions, first, last, prices, record)
    if not settle_lanes(market, prices, State(*state), drawn, first, last, record):
        return False
    if sale.shape[1] > 0:
        fill_sale(market, prices, record, 0, first, last, sale)
    observe(market, shown, state_after(record), sale, 0, first, last, observation)
    return True


@kernel
def _standardised(value: float, sigma: float) -> float:
    """Return a value in standard deviations, clipped; 0 where the deviation is 0."""
    return _clipped(value / sigma) if sigma > 0.0 else 0.0


@kernel
def _clipped(value: float) -> float:
    """Return a value clipped to the observation's range; NaN stays NaN."""
    value = where(value < -CLIP, -CLIP, value)
    return where(value > CLIP, CLIP, value)
