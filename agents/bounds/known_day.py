"""A day whose draws are known: its terms, fades, harvests and the charges that can be reached, hour by hour."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmaas_env.engine.terms import Terms
from lmaas_env.market import Market
from lmaas_env.state import Draws, State
from lmaas_env.types import BoolArray, FloatArray

SPACING = 3.0  # cells of the charge grow with this power: customers of little charge choose differently


class KnownDay(NamedTuple):
    """A day whose draws are known.

    Attributes
    ----------
    terms : list of H Terms
        Their energy is that of customers who face the cap all day; responses are computed at the nodes instead.
    faded : list of H arrays (N, L) bool
    harvest : list of H arrays (N,), Wh
    nodes : list of H + 1 arrays (N, K + 1), Wh
        Ends of the cells of the charges that can be reached; one cell at the first hour and after the last.
    """

    terms: list[Terms]
    faded: list[BoolArray]
    harvest: list[FloatArray]
    nodes: list[FloatArray]


def known_day(market: Market, state: State, draws: Draws, charges: int = 1) -> KnownDay:
    """Return what is known of a day before it starts: prices move nothing but the charge.

    The least charge of an hour is the harvest of the hour before, as rentals may have emptied the battery. The largest
    is that of a customer that has rented nothing.

    Parameters
    ----------
    market : Market
    state : State
        At the start of the day (one lane).
    draws : Draws
        Of its H periods, with a leading axis of H.
    charges : int
        Cells between the least and the largest charge, K.

    Raises
    ------
    ValueError
        If state and draws are not those of one lane, or do not fit the market (`Market.settle`).
    """
    if np.ndim(state.charge) != 1 or len(draws.faded) != market.scenario.periods:
        raise ValueError(
            f"state: charge has shape {np.shape(state.charge)} and draws have {len(draws.faded)} periods, they must be "
            f"({market.population.size},) and {market.scenario.periods}: those of one day"
        )
    scenario, capacity = market.scenario, market.population.capacity
    day, low, high = KnownDay([], [], [], []), state.charge, state.charge
    for t in range(scenario.periods):
        period = draws.at(t)
        spacing = np.linspace(0.0, 1.0, charges + 1) ** SPACING if t else np.array([0.0, 1.0])
        day.nodes.append(low[:, None] + (high - low)[:, None] * spacing)
        day.terms.append(market.terms(state).arrays)
        day.faded.append(period.faded)
        day.harvest.append(scenario.harvest * capacity * period.harvest)
        low, high = np.minimum(day.harvest[t], capacity), np.minimum(high + day.harvest[t], capacity)
        state = market.settle(np.full(market.catalogue.size, scenario.price_cap), state, period)[1]
    day.nodes.append(np.stack([low, high], axis=1))
    return day
