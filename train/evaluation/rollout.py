"""Rollouts: sell the same days with any seller and record what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from lmaas_agents.seller import Seller
from lmaas_train.evaluation.days import Days

from lmaas_env.market import Draws, Market, MarketState
from lmaas_env.seeds import of_one_day, open_days
from lmaas_env.spaces import first_sale, observation_from_state, prices_from_action, sale_of


def rollout(market: Market, seller: Seller, seeds: Sequence[int], progress: Callable[[], None] | None = None) -> Days:
    """Sell one day per seed, all days in lockstep, and return the record.

    Parameters
    ----------
    market : Market
    seller : Seller
        Anything with SB3's ``predict``; it is asked for deterministic actions.
    seeds : sequence of int
        Day seeds, e.g. ``lmaas_env.seeds.held_out_seeds(40)``.
    progress : callable, optional
        Called after every hour.
    """
    return _sold(*open_days(market, seeds), seller, seeds, progress)


def rollout_each(
    market: Market,
    make: Callable[[Market], Seller],
    seeds: Sequence[int],
    progress: Callable[[], None] | None = None,
) -> Days:
    """As `rollout`, with a seller made for each day's own market: one that knows customers, where they change daily.

    ``progress`` is called after every day.
    """
    days: list[Days] = []
    for seed in seeds:
        opened, state, draws = open_days(market, [seed])
        own = of_one_day(opened)
        days.append(_sold(own, state, draws, make(own), [seed], None))
        if progress is not None:
            progress()
    *arrays, seconds = zip(*days, strict=True)
    return Days._make([*map(np.concatenate, arrays), float(np.median(seconds))])


def _sold(
    market: Market,
    state: MarketState,
    draws: list[Draws],
    seller: Seller,
    seeds: Sequence[int],
    progress: Callable[[], None] | None,
) -> Days:
    sale = first_sale(market, (len(seeds),))
    memory: Any = None
    settlements, charge = [], [_mean_charge(market, state.charge)]
    seconds: list[float] = []
    for hour, period in enumerate(draws):
        observation = observation_from_state(market, state, sale)
        began = time.perf_counter()
        action, memory = seller.predict(
            observation, state=memory, episode_start=np.full(len(seeds), hour == 0), deterministic=True
        )
        seconds.append(time.perf_counter() - began)
        settlement, state = market.settle(prices_from_action(market, action), state, period)
        sale = sale_of(market, settlement)
        settlements.append(settlement)
        charge.append(_mean_charge(market, state.charge))
        if progress is not None:
            progress()

    def hourly(name: str) -> np.ndarray:
        return np.stack([getattr(settlement, name) for settlement in settlements], axis=1)

    return Days(
        seeds=np.array(seeds),
        profit=hourly("profit"),
        revenue=hourly("revenue"),
        customer_profit=hourly("customer_profit").sum(axis=2),
        worst_case_profit=hourly("worst_case_profit").sum(axis=2),
        prices=hourly("prices"),
        customers_per_model=hourly("customers_per_model"),
        hours_per_model=hourly("hours_per_model"),
        charge=np.stack(charge, axis=1),
        seconds_per_decision=float(np.median(seconds)) / len(seeds),
    )


def _mean_charge(market: Market, charge: np.ndarray) -> np.ndarray:
    return (charge / market.population.capacity).mean(axis=-1)
