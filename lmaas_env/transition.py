"""The seller's turn: actions become prices, the market settles them, the seller is told and sees what they brought.

`play` takes K lanes a period on, `play_one` one lane. Where customers follow RSR and the state is seen, what the seller
sees is laid out by the thread that settled it, while it is in its cache; and a step of one lane, which takes little
longer than the calls around it, is one compiled call.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lmaas_env.engine import period
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.parallel import in_threads
from lmaas_env.engine.period import Booked, LaneDraws, LaneState, Packed, new_booked, settle_rsr, state_in, unpack
from lmaas_env.market import LEAST_LANES, Draws, Market, settlement_of
from lmaas_env.spaces import (
    Float32Array,
    Sale,
    lay_out,
    observation_of_lanes,
    observation_size,
    posted,
    prices_of,
    sale_of,
)
from lmaas_env.types import BoolArray, FloatArray


class Turn(NamedTuple):
    """What was posted in K lanes, what that brought, and what the seller sees then.

    Attributes
    ----------
    prices : (K, M), $/h
    clipped_share : (K,), of each lane's actions
    faded : (K, N, L) bool
    booked : what the period brought, and the state after it
    sale : what a seller with public information remembers; None where it sees the state in full
    seen : (K, D), the observation
    """

    prices: FloatArray
    clipped_share: FloatArray
    faded: BoolArray
    booked: Booked
    sale: Sale | None
    seen: Float32Array


def play(market: Market, actions: FloatArray, state: LaneState, draws: Draws) -> Turn:
    """Post actions (K, M) for one period of K lanes; shapes are not looked at.

    Raises
    ------
    ValueError
        If the state holds an impossible number.
    """
    prices, clipped_share = posted(market, actions)
    if _is_settled_and_seen(market):
        periods, (lanes, customers, slots) = market.scenario.periods, draws.faded.shape
        drawn = LaneDraws(draws.faded, draws.shadowing, draws.demand, draws.harvest)
        booked = new_booked(lanes, prices.shape[1], customers, slots)
        seen = np.empty((lanes, observation_size(market)), dtype=np.float32)

        def play_some(first: int, last: int) -> bool:
            return _settled(market.packed, prices, state, drawn, periods, first, last, booked, seen)

        if all(in_threads(play_some, lanes, LEAST_LANES)):
            return Turn(prices, clipped_share, draws.faded, booked, None, seen)
    booked = market.settle_lanes(prices, state, draws)
    sale = sale_of(market, settlement_of(prices, draws.faded, booked))
    seen = observation_of_lanes(market, state_in(state.hour + 1, booked.per_customer), sale)
    return Turn(prices, clipped_share, draws.faded, booked, sale, seen)


def play_one(market: Market, actions: FloatArray, hour: int, before: FloatArray, day: Draws) -> Turn:
    """Post an action (1, M) for one period of one lane.

    ``before`` (7, 1, N) holds the state, as `period.state_in` reads it, ``day`` the draws with leading axes (H, 1).

    Raises
    ------
    ValueError
        If the state holds an impossible number.
    """
    if _is_settled_and_seen(market):
        limits = market.scenario.price_floor, market.scenario.price_cap, market.scenario.periods
        is_sound, prices, clipped_share, booked, seen = _played(market.packed, actions, *limits, hour, before, day)
        if is_sound:
            return Turn(prices, clipped_share, day.faded[hour], booked, None, seen)
    return play(market, actions, state_in(np.array([hour]), before), day.at(hour))


def _is_settled_and_seen(market: Market) -> bool:
    """Whether `_settled` plays the market's periods."""
    return market.is_compiled and market.scenario.observation == "full" and market.scenario.turnover == "none"


@kernel
def _settled(
    packed: Packed,
    prices: FloatArray,
    state: LaneState,
    draws: LaneDraws,
    periods: int,
    first: int,
    last: int,
    booked: Booked,
    seen: Float32Array,
) -> bool:
    """Settle a period of the lanes first, ..., last - 1 and lay out what is seen then; False if something is unsound.

    For customers that follow RSR and a state that is seen.
    """
    if not settle_rsr(packed, prices, state, draws, first, last, booked):
        return False
    known, after = unpack(packed, 0, state.charge.size), state_in(state.hour + 1, booked.per_customer)
    no_sale = np.empty((1, 0))
    lay_out(after, known.capacity, known.shadowing_sigma, known.demand_sigma, periods, no_sale, first, last, seen)
    return True


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
    """As `play_one`, where `_settled` does it; the first result is False if something is unsound."""
    prices, clipped_share = prices_of(actions, floor, cap)
    draws = LaneDraws(day.faded[hour], day.shadowing[hour], day.demand[hour], day.harvest[hour])
    _, customers, slots = draws.faded.shape
    booked, seen = new_booked(1, prices.shape[1], customers, slots), np.empty((1, 3 * customers + 3), np.float32)
    state = state_in(np.array([hour]), before)
    is_sound = _settled(packed, prices, state, draws, periods, 0, 1, booked, seen)
    return is_sound, prices, clipped_share, booked, seen


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
