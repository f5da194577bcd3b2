"""The seller's turn: actions become prices, the market settles them, what they brought becomes an info.

`play` takes K lanes a period on. `play_one` does that for one lane, and lays out what the seller sees then: a step of
one lane takes little longer than the calls around it, so that where it can be, it is one compiled call.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lmaas_env import period
from lmaas_env.compiled import kernel
from lmaas_env.market import Draws, Market, settlement_of
from lmaas_env.period import Booked, LaneDraws, LaneState, Packed, new_booked, settle_rsr, state_in, unpack
from lmaas_env.spaces import Float32Array, Sale, observation_of_lanes, observations_of, posted, prices_of, sale_of
from lmaas_env.types import BoolArray, FloatArray


class Turn(NamedTuple):
    """What was posted in K lanes, and what that brought.

    Attributes
    ----------
    prices : (K, M), $/h
    clipped_share : (K,), of each lane's actions
    faded : (K, N, L) bool
    booked : what the period brought, and the state after it
    """

    prices: FloatArray
    clipped_share: FloatArray
    faded: BoolArray
    booked: Booked


def play(market: Market, actions: FloatArray, state: LaneState, draws: Draws) -> Turn:
    """Post actions (K, M) for one period of K lanes; shapes are not looked at.

    Raises
    ------
    ValueError
        If the state holds an impossible number.
    """
    prices, clipped_share = posted(market, actions)
    return Turn(prices, clipped_share, draws.faded, market.settle_lanes(prices, state, draws))


def play_one(
    market: Market, actions: FloatArray, hour: int, before: FloatArray, day: Draws
) -> tuple[Turn, Float32Array]:
    """Post an action (1, M) for one period of one lane; return its turn and what the seller sees then, (1, D).

    ``before`` (7, 1, N) holds the state, as `period.state_in` reads it, ``day`` the draws with leading axes (H, 1).

    Raises
    ------
    ValueError
        If the state holds an impossible number.
    """
    scenario = market.scenario
    if market.is_compiled and scenario.observation == "full" and scenario.turnover == "none":
        limits = scenario.price_floor, scenario.price_cap, scenario.periods
        is_sound, prices, clipped_share, booked, seen = _played(market.packed, actions, *limits, hour, before, day)
        if is_sound:
            return Turn(prices, clipped_share, day.faded[hour], booked), seen
    turn = play(market, actions, state_in(np.array([hour]), before), day.at(hour))
    after = state_in(np.array([hour + 1]), turn.booked.per_customer)
    return turn, observation_of_lanes(market, after, remembered(market, turn))


@kernel
def _played(
    packed: Packed,
    actions: FloatArray,
    floor: float,
    cap: float,
    periods: int,
    hour: int,
    before: FloatArray,
    day: Draws,
) -> tuple[bool, FloatArray, FloatArray, Booked, Float32Array]:
    """As `play_one`, for customers that follow RSR and a state that is seen; the first result is False if unsound."""
    prices, clipped_share = prices_of(actions, floor, cap)
    draws = LaneDraws(day.faded[hour], day.shadowing[hour], day.demand[hour], day.harvest[hour])
    _, customers, slots = draws.faded.shape
    booked = new_booked(1, prices.shape[1], customers, slots)
    is_sound = settle_rsr(packed, prices, state_in(np.array([hour]), before), draws, 0, 1, booked)
    known, after = unpack(packed, 0, customers), state_in(np.array([hour + 1]), booked.per_customer)
    no_sale = np.empty((1, 0))
    seen = observations_of(after, known.capacity, known.shadowing_sigma, known.demand_sigma, periods, no_sale)
    return is_sound, prices, clipped_share, booked, seen


def remembered(market: Market, turn: Turn) -> Sale | None:
    """Return what a seller with public information remembers of K lanes; None where it sees the state in full."""
    if market.scenario.observation == "full":
        return None
    return sale_of(market, settlement_of(turn.prices, turn.faded, turn.booked))


def info_of(turn: Turn, lanes: int | slice = slice(None)) -> dict[str, Any]:
    """Return the infos of a period of all lanes, with a leading axis of lanes, or without it those of one lane."""
    of_lanes = turn.booked.per_lane[:, lanes]
    return {
        "profit": of_lanes[period.PROFIT],
        "revenue": of_lanes[period.REVENUE],
        "cost": of_lanes[period.COST],
        "prices": turn.prices[lanes],
        "customers_per_model": turn.booked.customers_per_model[lanes],
        "hours_per_model": turn.booked.hours_per_model[lanes],
        "customer_profit": of_lanes[period.CUSTOMER_PROFITS],
        "worst_case_profit": of_lanes[period.WORST_CASE_PROFITS],
        "faded_share": of_lanes[period.FADED_SHARE],
        "clipped_share": turn.clipped_share[lanes],
    }
