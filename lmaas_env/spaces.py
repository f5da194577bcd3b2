"""Price ↔ action and state ↔ observation, both directions in one place.

Every function takes one market's arrays or, with a leading axis, those of K lanes.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike

from lmaas_env.checks import array_in, check_seller
from lmaas_env.customers_file import LIMITS
from lmaas_env.engine.observation import (
    CLIP,
    Float32Array,
    actions_from_prices,
    fill_sale,
    observe,
    prices_from_actions,
)
from lmaas_env.engine.period import Record
from lmaas_env.market import Market
from lmaas_env.population import Population
from lmaas_env.scenario import Scenario
from lmaas_env.state import State
from lmaas_env.types import FloatArray, IntArray

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


def action_space(market: Market) -> spaces.Box:
    """Return the space of a seller's actions: one number in [-1, 1] per model, from price floor to price cap."""
    return spaces.Box(-1.0, 1.0, (market.catalogue.size,), np.float32)


def observation_space(market: Market) -> spaces.Box:
    """Return the space of observations of the market's scenario, full or public."""
    return spaces.Box(-CLIP, CLIP, (observation_size(market),), np.float32)


def observation_size(market: Market) -> int:
    """Return the length D of an observation."""
    scenario = market.scenario
    if scenario.observation == "public":
        return 3 + sale_size(scenario)
    shown = _constants_shown(scenario) if scenario.resample_population == "episode" else 0
    return (2 + scenario.sellers + shown) * scenario.customers + 3 + sale_size(scenario)


def sale_size(scenario: Scenario) -> int:
    """Return the size Q of what a seller remembers of a period (`first_sale`)."""
    is_public = scenario.observation == "public"
    if scenario.sellers == 1 and not is_public:
        return 0
    models = len(scenario.models)
    return scenario.sellers * models + (2 * models + 1 if is_public else 0)


def _constants_shown(scenario: Scenario) -> int:
    """Return how many constants of a customer are shown."""
    return len(CONSTANTS) + scenario.sellers - 1 + scenario.slots


def customer_columns(scenario: Scenario, size: int) -> tuple[IntArray, IntArray]:
    """Return where an observation of so many numbers shows each of its customers, (N, F), and all else, (G,).

    Raises
    ------
    ValueError
        If the scenario's observations show no customers, or no number of customers makes them so long.
    """
    if scenario.observation == "public":
        raise ValueError("observation = 'public' shows no customers")
    constants = _constants_shown(scenario) if scenario.resample_population == "episode" else 0
    state, common = 2 + scenario.sellers, 3 + sale_size(scenario)
    customers, rest = divmod(size - common, state + constants)
    if rest or customers < 1:
        raise ValueError(
            f"observation has {size} numbers, their number must be {common} + customers * {state + constants}"
        )
    first = state * customers
    of_state = np.arange(first).reshape(state, customers).T
    of_constants = first + common + np.arange(customers * constants).reshape(customers, constants)
    return np.concatenate([of_state, of_constants], axis=1), first + np.arange(common)


def shown_constants(market: Market, seller: int = 0) -> Float32Array:
    """Return the customers' constants that a seller's observation ends with, (1 or K, C); C = 0 for none.

    They are shown where the population is resampled and the state is seen, customer by customer: `CONSTANTS`, the
    distances to the others' sites in cyclic order, then the task values.
    """
    scenario, population = market.scenario, market.population
    if scenario.resample_population == "never" or scenario.observation == "public":
        return np.empty((1, 0), dtype=np.float32)
    sites = np.concatenate([population.distance[..., None], population.other_distance], axis=-1)
    own, *others = np.moveaxis(np.roll(sites, -seller, axis=-1), -1, 0)
    columns = [
        np.log(values / scale) if kind == "log" else values / scale
        for values, (kind, scale) in (
            *((own if name == "distance" else getattr(population, name), how) for name, how in CONSTANTS.items()),
            *((other, CONSTANTS["distance"]) for other in others),
        )
    ]
    value = np.log(np.maximum(population.task_value, LEAST_TASK_VALUE) / TASK_VALUE)
    shown = np.concatenate([np.stack(columns, axis=-1), value], axis=-1)
    return np.clip(shown, -CLIP, CLIP).astype(np.float32).reshape(-1, population.size * shown.shape[-1])


def prices_from_action(market: Market, action: ArrayLike) -> FloatArray:
    """Return the prices that an action (M,) or (K, M) posts, $/h: log-linear in it, clipped to [-1, 1].

    Where the scenario has a menu of prices (`price_menu`), each is the nearest on the menu.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    given, rows = _rows("action", action)
    scenario, prices = market.scenario, np.empty(rows.shape)
    prices_from_actions(rows, scenario.price_floor, scenario.price_cap, float(scenario.price_menu), prices)
    return prices.reshape(given.shape)


def price_grid(market: Market, cells: int) -> FloatArray:
    """Return prices that cut the range from floor to cap into cells of equal width in the logarithm, (cells + 1,) $/h.

    The ends are floor and cap exactly.
    """
    floor, cap = market.scenario.price_floor, market.scenario.price_cap
    grid = np.geomspace(floor, cap, cells + 1)
    grid[0], grid[-1] = floor, cap
    return grid


def menu_prices(market: Market) -> FloatArray:
    """Return the prices that may be posted for a model, $/h, from floor to cap.

    Raises
    ------
    ValueError
        If the scenario has no menu: any price may be posted.
    """
    count = market.scenario.price_menu
    if count == 0:
        raise ValueError("price_menu = 0: any price may be posted")
    return prices_from_action(market, np.linspace(-1.0, 1.0, count))


def posted_prices(market: Market, prices: ArrayLike) -> FloatArray:
    """Return what the environment posts for the prices (M,) or (K, M), $/h, of a seller.

    Prices are clipped to floor and cap, rounded as a float32 action rounds them, and moved to the menu if there is one.
    """
    return prices_from_action(market, action_from_prices(market, prices))


def action_from_prices(market: Market, prices: ArrayLike) -> Float32Array:
    """Return the action, (M,) or (K, M), that posts these prices (clipped to floor and cap), up to float32.

    Raises
    ------
    ValueError
        If a price is not finite.
    """
    given, rows = _rows("prices", prices)
    limits = market.scenario.price_floor, market.scenario.price_cap
    actions = np.empty(rows.shape)
    actions_from_prices(rows, *limits, actions)
    return actions.astype(np.float32).reshape(given.shape)


def _rows(name: str, values: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return finite numbers (M,) or (K, M) as an array, and as one with an axis of lanes."""
    given = array_in(name, values, (None,) * max(np.ndim(values), 1))
    return given, given.reshape(-1, given.shape[-1])


def first_sale(market: Market, lanes: int) -> FloatArray:
    """Return what sellers remember before their first sale, (K, Q).

    The last posted prices of all sellers as actions, one's own first, where the seller has rivals or sees no more than
    its own sales; and in that case hours and customers of its models and its profit, over N. All are 0 before the first
    sale, but the actions of rivals' markets are 1, the cap.
    """
    sale = np.zeros((lanes, sale_size(market.scenario)))
    if market.scenario.sellers > 1:
        sale[:, : market.offers] = 1.0
    return sale


def sale_of(market: Market, prices: FloatArray, record: Record, seller: int = 0) -> FloatArray:
    """Return what a seller remembers (K, Q) of a period of K lanes at prices (K, S * M), $/h."""
    check_seller(seller, market.scenario.sellers)
    sale = first_sale(market, len(prices))
    if sale.size:
        fill_sale(market.constants, prices, record, seller, 0, len(prices), sale)
    return sale


def population_from_constants(shown: ArrayLike, slots: int, sellers: int = 1) -> Population:
    """Return the population whose constants an observation shows, up to float32: the inverse of `shown_constants`.

    Constants that no customer may have are moved to the nearest that one may have. Sites are those of the seller that
    sees them, then of the others as shown.
    """
    rows, known = np.asarray(shown, dtype=np.float64), len(CONSTANTS) + sellers - 1
    rows = rows.reshape(*rows.shape[:-1], -1, known + slots)
    values = {
        name: scale * (np.exp(rows[..., i]) if kind == "log" else rows[..., i])
        for i, (name, (kind, scale)) in enumerate(CONSTANTS.items())
    }
    values = {name: np.clip(array, *LIMITS[name][1:]) for name, array in values.items()}
    budget = np.rint(values.pop("fade_budget")).astype(np.int64)
    task_value = -np.sort(-TASK_VALUE * np.exp(rows[..., known:]), axis=-1)
    elsewhere = CONSTANTS["distance"][1] * np.exp(rows[..., len(CONSTANTS) : known])
    other_distance = np.clip(elsewhere, *LIMITS["distance"][1:])
    return Population(**values, fade_budget=budget, task_value=task_value, other_distance=other_distance)


def observed_market(market: Market, observation: ArrayLike) -> Market:
    """Return the market that an observation shows: other customers, any number of them, where they change daily.

    Raises
    ------
    ValueError
        If the observation's length fits no number of customers, or it is not finite.
    """
    return observed(market, observation)[0]


def observed(market: Market, observation: ArrayLike) -> tuple[Market, State]:
    """Return the market that an observation shows, as `observed_market`, and the state that it shows of it."""
    if market.scenario.resample_population == "never" or market.scenario.observation == "public":
        return market, state_from_observation(market, observation)
    seen, sellers = clipped_observation(observation), market.scenario.sellers
    customers, rest = customer_columns(market.scenario, seen.shape[-1])
    scenario = dataclasses.replace(market.scenario, customers=len(customers))
    population = population_from_constants(seen[..., rest[-1] + 1 :], scenario.slots, sellers)
    found = market.with_scenario(scenario, population)
    return found, _shown_state(found, seen)


def observation_from_state(
    market: Market, state: State, sale: FloatArray | None = None, seller: int = 0
) -> Float32Array:
    """Return what a seller sees: the state in full, or the clock and its own last sale (scenario ``observation``).

    Parameters
    ----------
    market : Market
    state : State
        Of one market or of K lanes.
    sale : (K, Q), optional
        What the seller remembers of the last period; by default nothing (`first_sale`).
    seller : int
        Who sees it.

    Raises
    ------
    ValueError
        If the state does not fit the market, the seller does not exist, or the sale has another shape or is not finite.
    """
    check_seller(seller, market.scenario.sellers)
    batch = market.as_batch(state)
    nothing = first_sale(market, len(batch.hour))
    known = nothing if sale is None else array_in("sale", sale, nothing.shape)
    seen = observation_of_batch(market, shown_constants(market, seller), batch, known, seller)
    return seen if np.ndim(state.charge) > 1 else seen[0]


def observation_of_batch(
    market: Market, shown: Float32Array, state: State, sale: FloatArray, seller: int = 0
) -> Float32Array:
    """As `observation_from_state` for K lanes of an environment, with the market's `shown_constants`; unchecked."""
    lanes = len(state.hour)
    seen = np.empty((lanes, observation_size(market)), dtype=np.float32)
    observe(market.constants, shown, state, sale, seller, 0, lanes, seen)
    return seen


def state_from_observation(market: Market, observation: ArrayLike, seller: int = 0) -> State:
    """Return the state that a seller's observation shows, up to float32 and clipping.

    A public observation shows only the hour; the rest is then assumed (`assumed_state`). What no market can show is
    moved to the nearest that one can: numbers into [-10, 10], the hour into 0..H, charges into [0, capacity].

    Raises
    ------
    ValueError
        If the observation has another shape, is not finite or shows other customers than the market's, or the seller
        does not exist.
    """
    check_seller(seller, market.scenario.sellers)
    seen = clipped_observation(observation, observation_size(market))
    known = shown_constants(market, seller)
    if known.shape[-1] and not np.allclose(seen[..., -known.shape[-1] :], known, rtol=0.0, atol=1e-4):
        raise ValueError("observation shows other customers than the market's; see observed_market")
    state = _shown_state(market, seen)
    return state._replace(shadowing=np.roll(state.shadowing, seller * market.population.size, axis=-1))


def posted_from_observation(market: Market, observation: ArrayLike, seller: int = 0) -> FloatArray:
    """Return the last posted prices of all sellers that a seller's observation shows, (S * M,) or (K, S * M) $/h.

    Raises
    ------
    ValueError
        If the observation has another shape or is not finite, or shows no prices: those of a market of one seller that
        sees the state; or if the seller does not exist.
    """
    check_seller(seller, market.scenario.sellers)
    if not sale_size(market.scenario):
        raise ValueError(f"sellers = {market.scenario.sellers}: the observation shows no posted prices")
    seen = clipped_observation(observation, observation_size(market))
    is_public = market.scenario.observation == "public"
    first = 3 if is_public else (2 + market.scenario.sellers) * market.population.size + 3
    posted = prices_from_action(market, seen[..., first : first + market.offers])
    return np.roll(posted, seller * market.catalogue.size, axis=-1)


def _shown_state(market: Market, seen: FloatArray) -> State:
    """Return the state that a clipped observation shows, with the seller's own site first."""
    scenario, n = market.scenario, market.population.size
    sites = scenario.sellers * n
    share_left = seen[..., sites + 2 * n + 2] if scenario.observation == "full" else seen[..., 2]
    hour = np.rint(scenario.periods * (1.0 - share_left)).clip(0, scenario.periods).astype(np.int64)[()]
    if scenario.observation == "public":
        return assumed_state(market, hour)
    charge = 0.5 * (seen[..., sites : sites + n] + 1.0) * market.population.capacity
    return State(
        hour=hour,
        shadowing=seen[..., :sites] * scenario.shadowing_sigma,
        demand=seen[..., sites + n : sites + 2 * n] * scenario.demand_sigma,
        charge=np.clip(charge, 0.0, market.population.capacity),
    )


def assumed_state(market: Market, hour: int | IntArray) -> State:
    """Return the state to assume when only the hour is known: mean shadowing and demand, batteries at 40 %."""
    zeros = np.zeros((*np.shape(hour), market.population.size))
    return State(
        hour, np.tile(zeros, market.scenario.sellers), zeros, zeros + ASSUMED_CHARGE * market.population.capacity
    )


def clipped_observation(observation: ArrayLike, size: int | None = None) -> FloatArray:
    """Return one observation (D,) or a batch (K, D) as float64, clipped as environments clip it.

    Raises
    ------
    ValueError
        If it does not hold ``size`` numbers (None: any), or one is not finite.
    """
    try:
        seen = np.asarray(observation, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"observation cannot be read as an array of numbers: {error}") from error
    if seen.ndim not in (1, 2) or size not in (None, seen.shape[-1]) or not seen.size:
        wanted = "any" if size is None else size
        raise ValueError(f"observation has shape {seen.shape}, it must be ({wanted},) or (lanes, {wanted})")
    if not (np.abs(seen) <= CLIP).all():
        if not np.isfinite(seen).all():
            raise ValueError(f"observation[{int(np.argwhere(~np.isfinite(seen))[0][-1])}] must be finite")
        return np.clip(seen, -CLIP, CLIP)
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
