"""Price ↔ action and state ↔ observation, both directions in one place.

Every function takes one market's arrays or, with a leading axis, those of K lanes.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.math import pick
from lmaas_env.engine.period import LaneState
from lmaas_env.market import Market, MarketState, Settlement
from lmaas_env.population import Population
from lmaas_env.types import FloatArray, IntArray

CLIP = 10.0  # observations are clipped to [-CLIP, CLIP]
ASSUMED_CHARGE = 0.4  # of capacity, where the charge cannot be observed

# Where customers change, an observation shows their constants: the logarithm of value / scale, or value / scale.
CONSTANTS = {
    "distance": ("log", 250.0),  # m
    "bandwidth": ("log", 250e3),  # Hz
    "capacity": ("log", 60.0),  # Wh
    "saturation": ("log", 25.0),  # 1/h
    "fade_depth": ("linear", 10.0),  # dB
    "fade_budget": ("linear", 10.0),  # slots
}
TASK_VALUE = 1.0  # $, of the logarithm of every slot's value
LEAST_TASK_VALUE = 1e-4  # $, shown for less

Float32Array = NDArray[np.float32]


class Sale(NamedTuple):
    """What a seller with public information remembers of the last period (zeros before the first sale).

    Attributes
    ----------
    action : (M,), the prices it posted, as an action
    hours, customers : (M,), rented hours and customers per model, divided by N
    profit : seller's profit divided by N, $
    """

    action: FloatArray
    hours: FloatArray
    customers: FloatArray
    profit: FloatArray


def action_space(market: Market) -> spaces.Box:
    """Return the space of actions: one number in [-1, 1] per model, from price floor to price cap."""
    return spaces.Box(-1.0, 1.0, (market.catalogue.size,), np.float32)


def observation_space(market: Market) -> spaces.Box:
    """Return the space of observations of the market's scenario, full or public."""
    return spaces.Box(-CLIP, CLIP, (observation_size(market),), np.float32)


def observation_size(market: Market) -> int:
    """Return the length D of an observation."""
    if market.scenario.observation == "public":
        return 3 * market.catalogue.size + 4
    shown = len(CONSTANTS) + market.scenario.slots if market.scenario.turnover == "daily" else 0
    return (3 + shown) * market.population.size + 3


@kernel
def prices_of(actions: FloatArray, floor: float, cap: float) -> tuple[FloatArray, FloatArray]:
    """Return prices (K, M), log-linear from floor (-1) to cap (1), both exactly, and the share of actions beyond."""
    prices, clipped = np.empty(actions.shape), np.zeros(actions.shape[0])
    for k in range(actions.shape[0]):
        for m in range(actions.shape[1]):
            share = 0.5 * (min(max(actions[k, m], -1.0), 1.0) + 1.0)
            price = floor * (cap / floor) ** share
            prices[k, m] = cap if share == 1.0 else min(max(price, floor), cap)
            clipped[k] += abs(actions[k, m]) > 1.0
        clipped[k] /= actions.shape[1]
    return prices, clipped


def posted(market: Market, actions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the prices of actions (K, M), as `prices_from_action` does, and the share of each row that was clipped."""
    return prices_of(actions, market.scenario.price_floor, market.scenario.price_cap)


def prices_from_action(market: Market, action: ArrayLike) -> FloatArray:
    """Return prices in $/h: log-linear in the action, which is clipped to [-1, 1]."""
    given = np.ascontiguousarray(action, dtype=np.float64)
    return posted(market, given.reshape(1, -1))[0].reshape(given.shape)


def action_from_prices(market: Market, prices: ArrayLike) -> Float32Array:
    """Return the action that posts these prices (clipped to floor and cap), up to float32."""
    floor, cap = market.scenario.price_floor, market.scenario.price_cap
    share = np.log(np.clip(np.asarray(prices, dtype=np.float64), floor, cap) / floor) / np.log(cap / floor)
    return (2.0 * share - 1.0).astype(np.float32)


def first_sale(market: Market, lanes: tuple[int, ...] = ()) -> Sale | None:
    """Return what a seller remembers before its first sale: zeros, or None where it sees the state in full."""
    if market.scenario.observation == "full":
        return None
    per_model = np.zeros((*lanes, market.catalogue.size))
    return Sale(per_model, per_model, per_model, np.zeros(lanes))


def sale_of(market: Market, settlement: Settlement) -> Sale | None:
    """Return what a seller with public information remembers of a settlement; None where it sees the state in full."""
    if market.scenario.observation == "full":
        return None
    n = market.population.size
    return Sale(
        action=action_from_prices(market, settlement.prices).astype(np.float64),
        hours=settlement.hours_per_model / n,
        customers=settlement.customers_per_model / n,
        profit=settlement.profit / n,
    )


@kernel
def _clipped(value: float) -> float:
    value = pick(value < -CLIP, -CLIP, value)  # NaN stays
    return pick(value > CLIP, CLIP, value)


@kernel
def lay_out(
    state: LaneState,
    capacity: FloatArray,
    shadowing_sigma: float,
    demand_sigma: float,
    periods: int,
    sale: FloatArray,
    first: int,
    last: int,
    seen: Float32Array,
) -> None:
    """Fill ``seen`` (K, D) for the lanes first, ..., last - 1.

    With the state in full and the clock, or with the clock and the last ``sale`` (K, 3 M + 1) if that is not empty.
    """
    hour, shadowing, demand, charge = state
    customers, public = charge.shape[1], sale.shape[1]
    for k in range(first, last):
        clock = 0 if public else 3 * customers
        angle = 2.0 * math.pi * hour[k] / 24.0
        seen[k, clock], seen[k, clock + 1] = math.sin(angle), math.cos(angle)
        seen[k, clock + 2] = 1.0 - hour[k] / periods
        for j in range(public):
            seen[k, 3 + j] = _clipped(sale[k, j])
        if public:
            continue
        own = k * customers % capacity.shape[0]
        mine = seen[k, : 3 * customers].reshape(3, customers)
        for n in range(customers):  # a loop per row, as those that fill several do not vectorise
            mine[0, n] = _clipped(shadowing[k, n] / shadowing_sigma) if shadowing_sigma > 0.0 else 0.0
        for n in range(customers):
            mine[1, n] = _clipped(2.0 * charge[k, n] / capacity[own + n] - 1.0)
        for n in range(customers):
            mine[2, n] = _clipped(demand[k, n] / demand_sigma) if demand_sigma > 0.0 else 0.0


def shown_constants(population: Population) -> Float32Array:
    """Return the constants that an observation shows, customer after customer in the columns, (N * (6 + L),)."""
    columns = [
        np.log(values / scale) if kind == "log" else values / scale
        for values, (kind, scale) in ((getattr(population, name), how) for name, how in CONSTANTS.items())
    ]
    value = np.log(np.maximum(population.task_value, LEAST_TASK_VALUE) / TASK_VALUE)
    shown = np.concatenate([np.stack(columns, axis=-1), value], axis=-1)
    return np.clip(shown, -CLIP, CLIP).astype(np.float32).reshape(*shown.shape[:-2], -1)


def population_from_constants(shown: ArrayLike, slots: int) -> Population:
    """Return the population whose constants an observation shows, up to float32: the inverse of `shown_constants`."""
    rows = np.asarray(shown, dtype=np.float64)
    rows = rows.reshape(*rows.shape[:-1], -1, len(CONSTANTS) + slots)
    values = {
        name: scale * (np.exp(rows[..., i]) if kind == "log" else rows[..., i])
        for i, (name, (kind, scale)) in enumerate(CONSTANTS.items())
    }
    budget = np.rint(values.pop("fade_budget")).astype(np.int64)
    task_value = -np.sort(-TASK_VALUE * np.exp(rows[..., len(CONSTANTS) :]), axis=-1)
    return Population(**values, fade_budget=budget, task_value=task_value)


def observed_market(market: Market, observation: ArrayLike) -> Market:
    """Return the market that an observation shows: other customers, any number of them, where they change daily.

    Raises
    ------
    ValueError
        If the observation's length fits no number of customers.
    """
    if market.scenario.turnover == "none" or market.scenario.observation == "public":
        return market
    seen = np.asarray(observation, dtype=np.float64)
    shown = len(CONSTANTS) + market.scenario.slots
    customers, rest = divmod(seen.shape[-1] - 3 if seen.ndim else 0, 3 + shown)
    if rest or customers < 1:
        raise ValueError(f"observation has shape {seen.shape}, its length must be 3 + customers * {3 + shown}")
    scenario = dataclasses.replace(market.scenario, customers=customers)
    population = population_from_constants(seen[..., 3 * customers + 3 :], scenario.slots)
    return Market(scenario, population=population)


def observation_from_state(market: Market, state: MarketState, sale: Sale | None) -> Float32Array:
    """Return what a seller sees: the state in full, or the clock and its own last sale (scenario ``observation``)."""
    seen = observation_of_lanes(market, market.lanes(state), sale)
    return seen if np.ndim(state.charge) > 1 else seen[0]


def observation_of_lanes(market: Market, lanes: LaneState, sale: Sale | None) -> Float32Array:
    """As `observation_from_state`, for states in the form of kernels: (K, D)."""
    scenario = market.scenario
    if sale is None:
        remembered = np.empty((len(lanes.hour), 0))
    else:
        parts = [np.reshape(part, (len(lanes.hour), -1)) for part in sale]
        remembered = np.concatenate(parts, axis=1, dtype=np.float64)
    known = np.ravel(market.population.capacity), scenario.shadowing_sigma, scenario.demand_sigma, scenario.periods
    size = 3 + remembered.shape[1] if remembered.size else 3 * market.population.size + 3
    seen = np.empty((len(lanes.hour), size), dtype=np.float32)
    lay_out(lanes, *known, remembered, 0, len(seen), seen)
    if scenario.turnover == "none" or scenario.observation == "public":
        return seen
    constants = shown_constants(market.population)
    return np.concatenate([seen, np.broadcast_to(constants, (len(seen), constants.shape[-1]))], axis=1)


def state_from_observation(market: Market, observation: ArrayLike) -> MarketState:
    """Return the state that an observation shows, up to float32 and clipping.

    A public observation shows only the hour; the rest is then assumed (`assumed_state`).

    Raises
    ------
    ValueError
        If the observation has another shape, is not finite or shows other customers than the market's.
    """
    scenario, n = market.scenario, market.population.size
    seen = checked_observation(market, observation)
    if observation_size(market) > 3 * n + 3 and scenario.observation == "full":
        known = shown_constants(market.population)
        if not np.allclose(seen[..., 3 * n + 3 :], known, rtol=0.0, atol=1e-4):
            raise ValueError("observation shows other customers than the market's; see observed_market")
    share_left = seen[..., 3 * n + 2] if scenario.observation == "full" else seen[..., 2]
    hour = np.rint(scenario.periods * (1.0 - share_left)).astype(np.int64)[()]
    if scenario.observation == "public":
        return assumed_state(market, hour)
    charge = 0.5 * (seen[..., n : 2 * n] + 1.0) * market.population.capacity
    return MarketState(
        hour=hour,
        shadowing=seen[..., :n] * scenario.shadowing_sigma,
        demand=seen[..., 2 * n : 3 * n] * scenario.demand_sigma,
        charge=np.clip(charge, 0.0, market.population.capacity),
    )


def assumed_state(market: Market, hour: int | IntArray) -> MarketState:
    """Return the state to assume when only the hour is known: mean shadowing and demand, batteries at 40 %."""
    zeros = np.zeros((*np.shape(hour), market.population.size))
    return MarketState(hour, zeros, zeros, zeros + ASSUMED_CHARGE * market.population.capacity)


def checked_observation(market: Market, observation: ArrayLike) -> FloatArray:
    """Return one observation (D,) or a batch (K, D) as float64, or say what is wrong with it."""
    seen = np.asarray(observation, dtype=np.float64)
    size = observation_size(market)
    if seen.ndim not in (1, 2) or seen.shape[-1] != size:
        raise ValueError(f"observation has shape {seen.shape}, it must be ({size},) or (lanes, {size})")
    if not np.isfinite(seen).all():
        raise ValueError(f"observation[{int(np.argwhere(~np.isfinite(seen))[0][-1])}] must be finite")
    return seen


def checked_action(action: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return the action as float64, or say what is wrong with it (its range is not: it is clipped)."""
    try:
        # A copy, since kernels would be compiled again for arrays that are read-only or not in order.
        checked = np.array(action, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise ValueError(f"action = {action!r} must be an array of numbers") from error
    if checked.shape != shape:
        raise ValueError(f"action has shape {checked.shape}, it must be {shape}")
    # The square is quick, and finite for all but huge numbers.
    if not math.isfinite(np.vdot(checked, checked)) and not np.isfinite(checked).all():
        raise ValueError(f"action = {checked.tolist()} must be finite, in [-1, 1]")
    return checked
