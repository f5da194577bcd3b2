"""Rollouts: sell days with any seller and record the results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_agents.seller import Seller
from lmaas_train.evaluation.days import Days
from lmaas_train.evaluation.sellers import NamedSeller

from lmaas_env.market import Market
from lmaas_env.render.viewer import SoldDay
from lmaas_env.seeds import of_one_day, open_days
from lmaas_env.spaces import checked_action, first_sale, observation_of_batch, shown_constants
from lmaas_env.state import Draws, Settlement, State
from lmaas_env.transition import transition

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID


class Hour(NamedTuple):
    """One period of K lanes: its settlement, the state after it and the seconds that the seller took."""

    settlement: Settlement
    state: State
    seconds: float


def rollout(market: Market, seller: Seller, seeds: Sequence[int], progress: Callable[[], None] | None = None) -> Days:
    """Sell one day per seed, all days in lockstep, and return the record.

    Parameters
    ----------
    market : Market
    seller : Seller
        Anything with Stable-Baselines3's ``predict``; actions are deterministic.
    seeds : sequence of int
        Day seeds, e.g. ``lmaas_env.seeds.held_out_seeds(40)``.
    progress : callable, optional
        Called after every hour.
    """
    return _record(*open_days(market, seeds), seller, seeds, progress)


def rollout_each(
    market: Market,
    make: Callable[[Market], Seller],
    seeds: Sequence[int],
    progress: Callable[[], None] | None = None,
) -> Days:
    """Sell one day per seed with a seller that is made for the market of each day, and return the record.

    Sellers that observe the customers need this where the population is resampled. ``progress`` is called after every
    day.
    """
    days: list[Days] = []
    for seed in seeds:
        opened, state, draws = open_days(market, [seed])
        own = of_one_day(opened)
        days.append(_record(own, state, draws, make(own), [seed], None))
        if progress is not None:
            progress()
    *arrays, seconds = zip(*days, strict=True)
    return Days._make([*map(np.concatenate, arrays), float(np.median(seconds))])


def sell(market: Market, sellers: Mapping[str, NamedSeller], seeds: Sequence[int], console: Console) -> dict[str, Days]:
    """Sell the same days with each seller, with a progress bar, and return the records by name.

    Where the population is resampled, a seller that is no policy is made anew for every day.
    """
    from lmaas_train.progress import bars  # needs rich, which the rollouts above do not

    days: dict[str, Days] = {}
    with bars(console) as progress:
        for name, seller in sellers.items():
            task = progress.add_task(f"{name}: preparing", total=None, unit="hours")

            def advance(task: TaskID = task) -> None:
                progress.advance(task)

            if not isinstance(seller, LearnedSeller) and market.scenario.resample_population == "episode":
                progress.update(task, description=name, total=len(seeds), unit="days")
                days[name] = rollout_each(market, seller, seeds, advance)
                continue
            ready = seller if isinstance(seller, LearnedSeller) else seller(market)
            progress.update(task, description=name, total=market.scenario.periods)
            days[name] = rollout(market, ready, seeds, advance)
    return days


def sell_day(
    market: Market, sellers: Mapping[str, NamedSeller], seed: int, console: Console
) -> tuple[Market, dict[str, SoldDay]]:
    """Sell the day of a seed with each seller; return the market of that day and the days by name.

    The profits equal those of `sell` on the same seed.
    """
    from lmaas_train.progress import bars

    opened, first, draws = open_days(market, [seed])
    own = of_one_day(opened)
    days: dict[str, SoldDay] = {}
    with bars(console) as progress:
        for name, made in sellers.items():
            task = progress.add_task(f"{name}: preparing", total=None, unit="hours")
            seen, seller = (opened, made) if isinstance(made, LearnedSeller) else (own, made(own))
            progress.update(task, description=name, total=market.scenario.periods)
            states, settlements = [_first_lane(first)], list[Settlement]()
            for hour in hours(seen, first, draws, seller):
                states.append(_first_lane(hour.state))
                settlements.append(_first_lane(hour.settlement))
                progress.advance(task)
            days[name] = SoldDay(states, settlements)
    return own, days


def hours(market: Market, state: State, draws: Draws, seller: Seller) -> Iterator[Hour]:
    """Sell the periods of K lanes one after the other; draws have the axes (H, K)."""
    lanes, models, shown = len(state.charge), market.catalogue.size, shown_constants(market)
    observation = observation_of_batch(market, shown, state, first_sale(market, lanes))
    memory: Any = None
    for period in range(market.scenario.periods):
        began = time.perf_counter()
        action, memory = seller.predict(
            observation, state=memory, episode_start=np.full(lanes, period == 0), deterministic=True
        )
        seconds = time.perf_counter() - began
        actions = checked_action(action, (lanes, models))
        result = transition(market, shown, actions, state, draws.at(period))
        state, observation = result.state, result.observation
        yield Hour(result.settlement, state, seconds)


def _record(
    market: Market,
    state: State,
    draws: Draws,
    seller: Seller,
    seeds: Sequence[int],
    progress: Callable[[], None] | None,
) -> Days:
    settlements, charge, seconds = list[Settlement](), [_mean_charge(market, state)], list[float]()
    for hour in hours(market, state, draws, seller):
        settlements.append(hour.settlement)
        charge.append(_mean_charge(market, hour.state))
        seconds.append(hour.seconds)
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


def _mean_charge(market: Market, state: State) -> np.ndarray:
    return (state.charge / market.population.capacity).mean(axis=-1)


def _first_lane(lanes: Any) -> Any:
    """Return the first lane of a state or settlement with a leading lane axis."""
    return type(lanes)(*(values[0] if np.ndim(values) else values for values in lanes))
