"""Rollouts: sell days with any seller and record the results."""

from __future__ import annotations

import dataclasses
import functools
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import numpy as np
from lmaas_agents.seller import Seller
from lmaas_train.evaluation.adapters import constructed, takes_batches
from lmaas_train.evaluation.days import Days
from lmaas_train.evaluation.sellers import NamedSeller, is_informed, is_ready

from lmaas_env.episode import Episode
from lmaas_env.lanes import Lanes
from lmaas_env.market import Market
from lmaas_env.render.viewer import SoldDay
from lmaas_env.rivals import Rival
from lmaas_env.seeds import of_one_day, open_days
from lmaas_env.spaces import Float32Array
from lmaas_env.state import Settlement, State
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

AnyRival: TypeAlias = Rival | Sequence[Rival] | None
"""Who sells beside the first seller, as in `lmaas_env.rivals.Rivals`; None: "imp", where there are rivals."""

Keep: TypeAlias = Callable[[str, Callable[[], Days]], Days]
"""What a seller of a name has sold, or what a function that sells its days returns."""

PER_OFFER = ("prices", "customers_per_model", "hours_per_model")  # of a settlement
TOLERANCE = 1e-6  # of an action beyond [-1, 1], for rounding


class Hour(NamedTuple):
    """One period of K lanes: its settlement, the state and market after it and the seconds that the seller took.

    ``seen`` (K, D) is what the seller saw, ``actions`` (K, M) what it posted, ``observation`` (K, D) what comes next.
    With rivals the settlement is of all sellers.
    """

    settlement: Settlement
    state: State
    market: Market
    seconds: float
    seen: Float32Array
    actions: FloatArray
    observation: Float32Array

    def own(self, name: str) -> FloatArray:
        """Return what the settlement says of the seller, the first of all: a number, (K,), or one per model, (K, M)."""
        values: FloatArray = getattr(self.settlement, name)
        if self.market.scenario.sellers == 1:
            return values
        return values[:, : self.actions.shape[1]] if name in PER_OFFER else values[:, 0]


def rollout(
    market: Market,
    seller: Seller,
    seeds: Sequence[int],
    progress: Callable[[], None] | None = None,
    name: str | None = None,
    rival: AnyRival = None,
) -> Days:
    """Sell one day per seed, all days in lockstep, and return the record.

    Parameters
    ----------
    market : Market
    seller : Seller
        Anything with Stable-Baselines3's ``predict`` that takes a batch; actions are deterministic.
    seeds : sequence of int
        Day seeds, e.g. ``lmaas_env.seeds.held_out_seeds(40)``.
    progress : callable, optional
        Called after every hour.
    name : str, optional
        What errors call the seller; by default its class.
    rival : Rival or sequence of them, optional
        Who else sells, where the scenario has several sellers (`AnyRival`).

    Raises
    ------
    ValueError
        If the seller raises, or its action has a wrong shape or a number outside [-1, 1]; the message names the seller,
        the day and the hour.
    """
    episode = open_days(market, seeds)
    return _record(episode, seller, seeds, name or type(seller).__name__, True, progress, rival)


def rollout_each(
    market: Market,
    seller: NamedSeller,
    seeds: Sequence[int],
    progress: Callable[[], None] | None = None,
    name: str | None = None,
    rival: AnyRival = None,
) -> Days:
    """Sell one day after the other and return the record; a class makes a seller for the market of each day.

    A seller that takes no batches gets observations (D,) of one market. ``progress`` is called after every day;
    parameters and errors otherwise as in `rollout`.
    """
    days: list[Days] = []
    for seed in seeds:
        episode, ready = on_day(seller, open_days(market, [seed]))
        called = name or type(ready).__name__
        days.append(_record(episode, ready, [seed], called, takes_batches(ready), None, rival))
        if progress is not None:
            progress()
    return joined(days)


def joined(days: Sequence[Days]) -> Days:
    """Return several records of one seller as one; the time is the median."""
    columns = {name: [getattr(some, name) for some in days] for name in Days._fields}
    seconds = float(np.median(columns.pop("seconds_per_decision")))
    return Days(**{name: np.concatenate(parts) for name, parts in columns.items()}, seconds_per_decision=seconds)


def on_day(seller: NamedSeller, episode: Episode) -> tuple[Episode, Seller]:
    """Return one opened episode as a seller sees it, and the seller; a class makes one for that episode's market.

    An informed class (`is_informed`) gets the episode itself, and its seller sees the state in full.
    """
    if is_ready(seller):
        return episode, seller
    own = of_one_day(episode.market)
    if not is_informed(seller):
        return episode._replace(market=own), constructed(seller, own)
    scenario = dataclasses.replace(own.scenario, observation="full")
    seen = episode._replace(market=own.with_scenario(scenario))
    return seen, cast("Callable[[Episode], Seller]", seller)(seen)


def made_once(market: Market, seller: NamedSeller) -> bool:
    """Return whether one seller sells every episode: it is ready, or all that it may know is the same in each.

    Where customers differ between episodes and are hidden, only an informed class is made for every one of them.
    """
    scenario = market.scenario
    return is_ready(seller) or (
        not is_informed(seller) and (scenario.resample_population == "never" or scenario.hides_customers)
    )


def sell(
    market: Market,
    sellers: Mapping[str, NamedSeller],
    seeds: Sequence[int],
    console: Console,
    keep: Keep | None = None,
    rival: AnyRival = None,
) -> dict[str, Days]:
    """Sell the same days with each seller, with a progress bar, and return the records by name.

    Days are sold in lockstep, but one after the other where the seller takes no batches, or is made anew for the
    customers of every day; where there are several sellers, beside a ``rival`` (`AnyRival`). ``keep`` gets a seller's
    name and a function that sells its days, and returns them; it need not call the function if it knows the days.
    """
    from lmaas_train.progress import bars  # needs rich, which the rollouts above do not

    days: dict[str, Days] = {}
    with bars(console) as progress:
        for name, seller in sellers.items():
            task = progress.add_task(f"{name}: preparing", total=None, unit="hours")

            def sold(name: str = name, seller: NamedSeller = seller, task: TaskID = task) -> Days:
                if made_once(market, seller) and not is_ready(seller):
                    seller = constructed(seller, market)
                if is_ready(seller) and takes_batches(seller):
                    progress.update(task, description=name, total=market.scenario.periods)
                    return rollout(market, seller, seeds, functools.partial(progress.advance, task), name, rival)
                progress.update(task, description=name, total=len(seeds), unit="days")
                return rollout_each(market, seller, seeds, functools.partial(progress.advance, task), name, rival)

            days[name] = sold() if keep is None else keep(name, sold)
            progress.update(task, description=name)
    return days


def sell_day(
    market: Market, sellers: Mapping[str, NamedSeller], seed: int, console: Console
) -> tuple[Market, dict[str, SoldDay]]:
    """Sell the day of a seed with each seller; return the market of that day and the days by name.

    The profits equal those of `sell` on the same seed.

    Raises
    ------
    ValueError
        If the market has several sellers.
    """
    from lmaas_train.progress import bars

    if market.scenario.sellers > 1:
        raise ValueError(
            f"scenario {market.scenario.name!r} has sellers = {market.scenario.sellers}: only days of one seller are "
            "drawn hour by hour; render_mode of lmaas_env.parallel_env draws those of several"
        )
    opened = open_days(market, [seed])
    days: dict[str, SoldDay] = {}
    with bars(console) as progress:
        for name, made in sellers.items():
            task = progress.add_task(f"{name}: preparing", total=None, unit="hours")
            once = made_once(market, made) and not is_ready(made)
            episode, seller = on_day(constructed(made, market) if once else made, opened)
            progress.update(task, description=name, total=market.scenario.periods)
            states, settlements = [opened.state.lane(0)], list[Settlement]()
            for hour in hours(episode, seller, [seed], name, takes_batches(seller)):
                states.append(hour.state.lane(0))
                settlements.append(hour.settlement.lane(0))
                progress.advance(task)
            days[name] = SoldDay(states, settlements)
    return of_one_day(opened.market), days


def hours(
    episode: Episode,
    seller: Seller,
    seeds: Sequence[int],
    name: str,
    batch: bool = True,
    change: Callable[[int, FloatArray], FloatArray] | None = None,
    rival: AnyRival = None,
) -> Iterator[Hour]:
    """Sell the periods of K lanes one after the other.

    Without ``batch`` there is one lane, and the seller gets its observation without a leading axis. ``change`` turns
    the number of an hour and the seller's actions (K, M) into those that are posted. Where there are several sellers,
    it is the first, and ``rival`` posts at the same time.
    """
    count, models = len(episode.state.charge), episode.market.catalogue.names
    lanes = Lanes(episode.market, count, rival)
    lanes.start(episode)
    observation = lanes.observe()
    shape = (count, len(models)) if batch else (len(models),)
    memory: Any = None
    for period in range(episode.market.scenario.periods):
        seen, start = observation if batch else observation[0], np.full(count, period == 0)
        began = time.perf_counter()
        try:
            action, memory = _predicted(seller, seen, memory, start)
            seconds = time.perf_counter() - began
            actions = _checked(action, shape, models)
        except _FaultError as fault:
            all_lanes = fault.lane is None and count > 1
            day = f"s {seeds[0]} to {seeds[-1]}" if all_lanes else f" {seeds[fault.lane or 0]}"
            raise ValueError(f"seller {name!r}, day{day}, hour {period}: {fault}") from fault.__cause__
        if change is not None:
            actions = change(period, actions)
        result = lanes.step(actions)
        yield Hour(result.settlement, result.state, lanes.market, seconds, observation, actions, result.observation)
        observation = result.observation


class _FaultError(Exception):
    """What is wrong with a seller's answer, and in which lane if not in all."""

    def __init__(self, text: str, lane: int | None = None) -> None:
        super().__init__(text)
        self.lane = lane


def _predicted(seller: Seller, observation: np.ndarray, memory: Any, start: np.ndarray) -> tuple[Any, Any]:
    try:
        answer: Any = seller.predict(observation, state=memory, episode_start=start, deterministic=True)
    except SystemError:  # Ctrl-C inside a kernel
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename}, line {frame.lineno}"
        raise _FaultError(f"predict raised {type(error).__name__}: {error} ({place})") from error
    if not isinstance(answer, tuple) or len(cast("tuple[Any, ...]", answer)) != 2:
        kind = type(cast(object, answer)).__name__
        raise _FaultError(f"predict returned {kind}, it must return a tuple (action, state)")
    return cast("tuple[Any, Any]", answer)


def _checked(action: Any, shape: tuple[int, ...], models: Sequence[str]) -> FloatArray:
    """Return actions (K, M) as float64 if each is a number in [-1, 1]."""
    try:
        # A copy, since kernels would be compiled again for arrays that are read-only or not in order.
        given = np.array(action, dtype=np.float64, order="C")
    except (RuntimeError, TypeError, ValueError) as error:  # the first of tensors that need their gradient
        raise _FaultError(f"action of type {type(action).__name__} must be an array of numbers: {error}") from error
    if given.shape != shape:
        raise _FaultError(f"action has shape {given.shape}, it must be {shape}, one number in [-1, 1] per model")
    given = given.reshape(-1, len(models))
    outside = np.argwhere(~(np.abs(given) <= 1.0 + TOLERANCE))
    if outside.size:
        lane, model = outside[0].tolist()
        value = f"action[{model}] = {given[lane, model]:g}"
        raise _FaultError(f"{value} (model {models[model]!r}) must be a finite number in [-1, 1]", lane)
    return given


def _record(
    episode: Episode,
    seller: Seller,
    seeds: Sequence[int],
    name: str,
    batch: bool,
    progress: Callable[[], None] | None,
    rival: AnyRival,
) -> Days:
    sold, charge, seconds = list[Hour](), [_mean_charge(episode.market, episode.state)], list[float]()
    for hour in hours(episode, seller, seeds, name, batch, rival=rival):
        sold.append(hour._replace(seen=_NOTHING, observation=_NOTHING))  # which are large, and not needed
        charge.append(_mean_charge(hour.market, hour.state))
        seconds.append(hour.seconds)
        if progress is not None:
            progress()

    def hourly(name: str) -> np.ndarray:
        return np.stack([hour.own(name) for hour in sold], axis=1)

    def of_customers(name: str) -> np.ndarray:
        return np.stack([getattr(hour.settlement, name) for hour in sold], axis=1).sum(axis=2)

    everyone = np.stack([hour.settlement.profit.reshape(len(seeds), -1) for hour in sold], axis=1)
    return Days(
        seeds=np.array(seeds),
        profit=hourly("profit"),
        revenue=hourly("revenue"),
        customer_profit=of_customers("customer_profit"),
        worst_case_profit=of_customers("worst_case_profit"),
        prices=hourly("prices"),
        customers_per_model=hourly("customers_per_model"),
        hours_per_model=hourly("hours_per_model"),
        charge=np.stack(charge, axis=1),
        seconds_per_decision=float(np.median(seconds)) / len(seeds),
        other_profit=everyone[:, :, 1:],
    )


_NOTHING = np.empty((0, 0), dtype=np.float32)


def _mean_charge(market: Market, state: State) -> np.ndarray:
    return (state.charge / market.population.capacity).mean(axis=-1)
