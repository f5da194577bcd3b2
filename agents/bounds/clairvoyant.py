"""What a seller that knows the day's draws earns at least: a lower bound on what foresight is worth."""

from __future__ import annotations

import numpy as np

from lmaas_env.checks import array_in
from lmaas_env.market import Market
from lmaas_env.spaces import posted_prices
from lmaas_env.state import Draws, State
from lmaas_env.types import FloatArray

NEARBY = np.geomspace(1e-4, 0.7, 24)  # changes of a price's logarithm that are tried, up and down


def clairvoyant_profit(market: Market, state: State, draws: Draws, prices: FloatArray, rounds: int = 3) -> float:
    """Return the profit of good prices for a day whose draws are known, $.

    One price after the other is replaced by the best of many near it, while the rest of the day is sold at the other
    prices as they stand.

    Parameters
    ----------
    market : Market
    state : State
        At the start of the day (one lane).
    draws : Draws
        Of its H periods, with a leading axis of H.
    prices : (H, M), $/h
        To start from, as a seller posted them on that day.
    rounds : int
        Passes over all prices of the day, at least 1.

    Raises
    ------
    ValueError
        If ``rounds`` is less than 1, prices have another shape or are not positive, or `Market.settle` refuses the
        rest.
    """
    if rounds < 1:
        raise ValueError(f"rounds = {rounds} must be >= 1")
    periods, models = market.scenario.periods, market.catalogue.size
    changes = np.concatenate([np.zeros(1), -NEARBY, NEARBY])
    lanes, posted, earned = len(changes), array_in("prices", prices, (periods, models), 1e-6, unit="$/h").copy(), 0.0
    of_lanes = draws.at(np.repeat(np.arange(periods)[:, None], lanes, axis=1))
    for _ in range(rounds):
        now, earned = state, 0.0
        for t in range(periods):
            first = now.repeated(lanes)
            for m in range(models):
                trials = np.repeat(posted[None], lanes, axis=0)
                trials[1:, t, m] *= np.exp(changes[1:])
                trials[1:, t] = posted_prices(market, trials[1:, t])
                profit, lane = np.zeros(lanes), first
                for hour in range(t, periods):
                    settlement, lane = market.settle(trials[:, hour], lane, of_lanes.at(hour))
                    profit += settlement.profit
                posted[t] = trials[np.argmax(profit), t]
            settlement, now = market.settle(posted[t], now, draws.at(t))
            earned += float(settlement.profit)
    return earned
