"""What sellers anticipate of a market with rivals: their profits at given prices, and the best reply of one of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lmaas_env.checks import array_in, check_seller
from lmaas_env.engine.parallel import in_threads
from lmaas_env.engine.reply import profits_of_lanes, reply_lanes
from lmaas_env.fades import SCENARIOS, drawn_fades, worst_fades_of
from lmaas_env.market import Market
from lmaas_env.state import Draws, State
from lmaas_env.types import BoolArray, FloatArray

REPLY_SCENARIOS = 1  # over which the hours of a reply are expected
LEAST_LANES = 4  # per thread


def fade_scenarios(market: Market, count: int) -> BoolArray:
    """Return the fade patterns over which hours are expected, (P, L, N): the same for every price, state and lane.

    Where customers rent the hours of their plan, it is the one pattern that they plan for, (1, L, N or K * N).
    """
    scenario, population = market.scenario, market.population
    if scenario.settlement == "plan":
        patterns = worst_fades_of(population.fade_budget.ravel(), scenario.slots)[None]
    else:
        patterns = drawn_fades(population.size, scenario.slots, scenario.fade_probability, count)
    return np.ascontiguousarray(patterns.swapaxes(1, 2))


def expected_draws(market: Market, faded: BoolArray, lanes: int) -> Draws:
    """Return the draws of one expected period of K lanes: no innovations, mean harvests, one fade pattern (L, N)."""
    shape = lanes, market.population.size
    return Draws(
        faded=np.repeat(np.ascontiguousarray(faded.T)[None], lanes, axis=0),
        shadowing=np.zeros((lanes, market.scenario.sellers * shape[1])),
        demand=np.zeros(shape),
        harvest=np.ones(shape),
        choice_uniform=np.full(shape, 0.5),
    )


def best_reply(
    market: Market, state: State, seller: int, prices: ArrayLike, faded: BoolArray | None = None
) -> FloatArray:
    """Return a seller's best prices of one period against those of the others, (M,) or (K, M) $/h.

    Fast rather than exact: within 0.5 % of the profit of IMP's search in the median (docs/rivals.md). Customers are
    taken to follow RSR.

    Parameters
    ----------
    market : Market
    state : State
        Of one market or of K lanes.
    seller : int
    prices : (S * M,) or (K, S * M)
        Last posted by all sellers, $/h; where one of the searches starts are its own.
    faded : (P, L, N) bool, optional
        The fade patterns over which it expects hours; by default `fade_scenarios` of few.

    Raises
    ------
    ValueError
        If the seller does not exist, the state is not one of the market, or prices have another shape or leave the
        range from floor to cap.
    """
    check_seller(seller, market.scenario.sellers)
    batch, rows = _checked(market, state, prices)
    found = replies(market, batch, seller, rows, _patterns(market, faded, REPLY_SCENARIOS))
    return found if np.ndim(state.charge) > 1 else found[0]


def replies(market: Market, state: State, seller: int, prices: FloatArray, faded: BoolArray) -> FloatArray:
    """As `best_reply` for K lanes of an environment, (K, M); unchecked."""
    found = np.empty((len(prices), market.catalogue.size))

    def reply_some(first: int, last: int) -> None:
        reply_lanes(market.constants, state, prices, seller, faded, first, last, found)

    in_threads(reply_some, len(prices), LEAST_LANES)
    return found


def anticipated_profits(market: Market, state: State, prices: ArrayLike, faded: BoolArray | None = None) -> FloatArray:
    """Return what each seller expects to earn in one period at the prices of all, (S,) or (K, S) $.

    Parameters
    ----------
    market : Market
    state : State
        Of one market, for any number K of price vectors, or of K lanes.
    prices : (S * M,) or (K, S * M), $/h
    faded : (P, L, N) bool, optional
        Fade patterns, each as likely; by default 16 (`fade_scenarios`).

    Raises
    ------
    ValueError
        If the state is not one of the market, or prices have another shape or leave the range from floor to cap.
    """
    if np.ndim(prices) == 2 and np.ndim(state.charge) == 1:
        state = state.repeated(len(np.asarray(prices)))
    batch, rows = _checked(market, state, prices)
    patterns = _patterns(market, faded, SCENARIOS)
    found = np.empty((len(rows), market.scenario.sellers))

    def expect_some(first: int, last: int) -> None:
        profits_of_lanes(market.constants, batch, rows, patterns, first, last, found)

    in_threads(expect_some, len(rows), LEAST_LANES)
    return found if np.ndim(prices) > 1 else found[0]


def _patterns(market: Market, faded: BoolArray | None, count: int) -> BoolArray:
    """Return fade patterns (P, L, N or K * N), checked, or so many of `fade_scenarios`."""
    if faded is None:
        return fade_scenarios(market, count)
    given = np.asarray(faded)
    expected = fade_scenarios(market, 1).shape[1:]
    if given.ndim != 3 or given.dtype != np.bool_ or given.shape[1:] != expected or not len(given):
        raise ValueError(
            f"faded has shape {given.shape} of {given.dtype}, it must be {('P', *expected)} booleans, P >= 1"
        )
    return np.ascontiguousarray(given)


def _checked(market: Market, state: State, prices: ArrayLike) -> tuple[State, FloatArray]:
    """Return state and prices with a leading axis of lanes, checked."""
    batch = market.as_batch(state)
    limits = market.scenario.price_floor, market.scenario.price_cap
    rows = array_in("prices", prices, (*np.shape(state.charge)[:-1], market.offers), *limits, "$/h")
    return batch, rows.reshape(-1, market.offers)
