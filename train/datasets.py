"""Logged days: what a seller saw, posted and earned in every hour, and the Minari datasets that hold them."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from lmaas_agents import RandomPrice
from lmaas_train.evaluation.adapters import batched, constructed, takes_batches
from lmaas_train.evaluation.rollout import Hour, hours, made_once, on_day
from lmaas_train.evaluation.sellers import NamedSeller, is_ready, sellers_of
from lmaas_train.runs import SETTINGS, UNFINISHED, Results, command_line, versions
from numpy.typing import NDArray

from lmaas_env import ENVIRONMENTS, Market, Scenario
from lmaas_env.files import new_whole_folder
from lmaas_env.seeds import open_days
from lmaas_env.spaces import Float32Array, action_space, observation_space
from lmaas_env.types import FloatArray

SIZES = {"tiny": 10, "small": 100, "medium": 1000, "large": 10_000}
"""Number of days by name."""

MIXED = "mixed"
LARGEST_NOISE = 0.3  # standard deviation of a mixed day's noise, of an action in [-1, 1]
LOCKSTEP = 200  # days that are sold at once


class LoggedDay(NamedTuple):
    """One day of H periods as the environment gives it.

    Attributes
    ----------
    seed : int
        Of the day; ``reset(seed=seed)`` and the actions give the same observations and rewards again.
    seller : str
    noise : float
        Standard deviation of the noise on the seller's actions.
    observations : (H + 1, D) float32
    actions : (H, M) float32
        As posted, with noise.
    rewards : (H,) float64
    """

    seed: int
    seller: str
    noise: float
    observations: Float32Array
    actions: Float32Array
    rewards: FloatArray


class Behaviour(NamedTuple):
    """Who sells logged days: a seller drawn anew for each day, with noise on its actions.

    Attributes
    ----------
    sellers : mapping of str to seller
    largest_noise : float
        Each day's standard deviation is drawn from U(0, ``largest_noise``).
    """

    sellers: Mapping[str, NamedSeller]
    largest_noise: float


def behaviour_of(seller: str, market: Market, trusted: bool = False) -> Behaviour:
    """Return the behaviour of a name: ``mixed``, or any seller that `lmaas_train.evaluate` takes, without noise.

    On a ``mixed`` day IMP, look-ahead IMP, fixed or random prices sell, each with the same probability. Where the
    observation is public, IMP and look-ahead IMP are those for public information.

    Raises
    ------
    ValueError
        If there is no such seller, or it does not fit the market.
    """
    public = "public-" if market.scenario.observation == "public" else ""
    names = [f"{public}imp", f"{public}lookahead", "fixed", "random"] if seller == MIXED else [seller]
    sellers: dict[str, NamedSeller] = {}
    for name, made in sellers_of(names, market, trusted).items():
        if made is RandomPrice:  # made anew for every day's customers, it would post the same prices every day
            sellers[name] = RandomPrice(market)
        elif is_ready(made) or not made_once(market, made):
            sellers[name] = made
        else:
            sellers[name] = constructed(made, market)
    return Behaviour(sellers, LARGEST_NOISE if seller == MIXED else 0.0)


def log_days(
    market: Market, behaviour: Behaviour, seeds: Sequence[int], progress: Callable[[int], None] | None = None
) -> Iterator[LoggedDay]:
    """Sell one day per seed and yield them in the order of the seeds.

    Days are sold in lockstep, `LOCKSTEP` at a time, but one after the other where the seller takes no batches, or is
    made anew for the customers of every day. Who sells a day, and its noise, depend on its seed alone; random prices
    also on the seed of the first of the days in lockstep.

    Parameters
    ----------
    market : Market
    behaviour : Behaviour
    seeds : sequence of int
    progress : callable, optional
        Called with the number of hours that have been sold since its last call.

    Raises
    ------
    ValueError
        As `lmaas_train.evaluation.rollout.rollout`.
    """
    for first in range(0, len(seeds), LOCKSTEP):
        some = seeds[first : first + LOCKSTEP]
        drawn = {seed: _Drawn.of(seed, behaviour, market) for seed in some}
        days: dict[int, LoggedDay] = {}
        for name, given in behaviour.sellers.items():
            seller = RandomPrice(market, some[0]) if isinstance(given, RandomPrice) else given
            own = [seed for seed in some if drawn[seed].seller == name]
            at_once = len(own) if is_ready(seller) and takes_batches(seller) else 1
            for start in range(0, len(own), max(1, at_once)):
                sold = [drawn[seed] for seed in own[start : start + at_once]]
                days |= {day.seed: day for day in _sold(market, seller, sold, progress)}
        yield from (days[seed] for seed in some)


def kept_days(
    results: Results,
    market: Market,
    behaviour: Behaviour,
    seeds: Sequence[int],
    progress: Callable[[int], None] | None = None,
) -> Iterator[LoggedDay]:
    """As `log_days`; `LOCKSTEP` days are a part of a results folder, so that a command that is stopped can go on."""
    names = list(behaviour.sellers)

    def sold(some: Sequence[int]) -> dict[str, NDArray[Any]]:
        days = list(log_days(market, behaviour, some, progress))
        columns = {name: np.array([getattr(day, name) for day in days]) for name in LoggedDay._fields}
        return columns | {"seller": np.array([names.index(day.seller) for day in days])}

    for first in range(0, len(seeds), LOCKSTEP):
        arrays = results.arrays(f"days {first}", functools.partial(sold, seeds[first : first + LOCKSTEP]))
        for row in zip(*(arrays[name] for name in LoggedDay._fields), strict=True):
            day = LoggedDay(*row)
            yield day._replace(seed=int(day.seed), seller=names[int(day.seller)], noise=float(day.noise))


class _Drawn(NamedTuple):
    """Who sells a day, and the noise (H, M) on its actions."""

    seed: int
    seller: str
    std: float
    noise: FloatArray

    @classmethod
    def of(cls, seed: int, behaviour: Behaviour, market: Market) -> _Drawn:
        rng = np.random.default_rng([seed, 1])  # the day itself comes from default_rng(seed)
        seller = list(behaviour.sellers)[rng.integers(len(behaviour.sellers))]
        std = behaviour.largest_noise * rng.random()
        return cls(seed, seller, std, std * rng.standard_normal((market.scenario.periods, market.catalogue.size)))


def _sold(
    market: Market, seller: NamedSeller, drawn: Sequence[_Drawn], progress: Callable[[int], None] | None
) -> list[LoggedDay]:
    """Sell days of one seller in lockstep."""
    seeds, noise = [day.seed for day in drawn], np.stack([day.noise for day in drawn])
    opened = open_days(market, seeds)
    own, ready = on_day(seller, opened)

    def posted(hour: int, actions: FloatArray) -> FloatArray:
        """Return the actions as the dataset stores them."""
        return np.clip(actions + noise[:, hour], -1.0, 1.0).astype(np.float32).astype(np.float64)

    sold: list[Hour] = []
    for hour in hours(own, ready, seeds, drawn[0].seller, takes_batches(ready), posted):
        sold.append(hour)
        if progress is not None:
            progress(len(seeds))
    if own is not opened:  # the seller was made for these customers and did not see their constants
        again = iter([hour.actions for hour in sold])
        sold = list(hours(opened, batched(lambda _: next(again)), seeds, drawn[0].seller))
    observations = np.stack([*(hour.seen for hour in sold), sold[-1].observation], axis=1)
    actions = np.stack([hour.actions for hour in sold], axis=1).astype(np.float32)
    rewards = np.stack([hour.own("profit") for hour in sold], axis=1) / market.scenario.customers
    columns = drawn, observations, actions, rewards
    return [LoggedDay(day.seed, day.seller, day.std, *arrays) for day, *arrays in zip(*columns, strict=True)]


def default_id(scenario: Scenario, seller: str, size: str) -> str:
    """Return the id of a dataset without a name of its own, such as ``lmaas/day/imp-small-v0``."""
    return f"lmaas/{_word(scenario.name)}/{_word(seller)}-{size}-v0"


def _word(text: str) -> str:
    return re.sub(r"[^\w-]+", "-", text)


def dataset_folder(dataset_id: str, root: Path | None) -> Path:
    """Return the folder of a new dataset: below ``root``, or where Minari looks for its datasets.

    Raises
    ------
    ValueError
        If the id is malformed, or there is such a dataset; not if it is unfinished.
    """
    from minari.dataset.minari_dataset import parse_dataset_id

    try:
        parse_dataset_id(dataset_id)
    except (TypeError, ValueError) as error:  # the former where the version is missing
        raise ValueError(f"id = {dataset_id!r} must have the form namespace/name-v0") from error
    try:
        root = root or Path(os.environ.get("MINARI_DATASETS_PATH") or Path.home() / ".minari" / "datasets")
    except RuntimeError as error:  # no home
        raise ValueError(f"out must be given, as there is no home folder: {error}") from error
    folder = root / dataset_id
    if folder.exists() and not (folder / UNFINISHED / SETTINGS).exists():
        raise ValueError(f"dataset {str(folder)!r} exists already; name a new one with --id, nothing was changed")
    return folder


def write_dataset(
    folder: Path,
    dataset_id: str,
    market: Market,
    population_seed: int,
    days: Iterable[LoggedDay],
    about: Mapping[str, Any],
) -> None:
    """Write logged days as a Minari dataset (HDF5), whole or not at all.

    Parameters
    ----------
    folder : Path
        New; ``data`` in `dataset_folder` of the id.
    dataset_id : str
    market : Market
    population_seed : int
        Of the market.
    days : iterable of LoggedDay
        Written while they come.
    about : mapping
        Further metadata, beside the scenario, the versions and the command.

    Raises
    ------
    ValueError
        If the folder cannot be written to; or as the days do.
    """
    import minari
    from minari.dataset.minari_storage import MinariStorage

    with contextlib.ExitStack() as stack:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            new = stack.enter_context(new_whole_folder(folder))
        except OSError as error:
            raise ValueError(f"folder {str(folder.parent)!r} cannot be written to: {error.strerror}") from error
        spec = _spec(market, population_seed)
        storage = MinariStorage.new(new, observation_space(market), action_space(market), spec)
        storage.update_metadata(
            {
                "dataset_id": dataset_id,
                "minari_version": minari.__version__,
                "author": {"LMaaS"},
                "requirements": [f"lmaas=={versions()['lmaas']}"],
                "scenario": market.scenario.to_dict(),
                "population_seed": population_seed,
                "versions": versions(),
                "command": command_line(),
                **about,
            }
        )
        by_day: list[dict[str, Any]] = []
        storage.update_episodes(_episodes(days, by_day))
        storage.update_episode_metadata(by_day)


def _episodes(days: Iterable[LoggedDay], by_day: list[dict[str, Any]]) -> Iterator[Any]:
    """Yield the days as Minari stores them, and note who sold them."""
    from minari.data_collector import EpisodeBuffer

    episode: Any = EpisodeBuffer  # its types name lists; arrays are stored faster
    for day in days:
        by_day.append({"seller": day.seller, "noise": day.noise})
        last = np.arange(1, len(day.rewards) + 1) == len(day.rewards)
        yield episode(
            seed=day.seed,
            observations=day.observations,
            actions=day.actions,
            rewards=day.rewards,
            terminations=last,
            truncations=np.zeros_like(last),
            infos={},
        )


def _spec(market: Market, population_seed: int) -> Any:
    """Return the specification of the market's environment, with which Gymnasium makes it again."""
    scenario = market.scenario
    known = next((it for it, name in ENVIRONMENTS.items() if Scenario.preset(name) == scenario), None)
    own: dict[str, Any] = {} if known else {"scenario": scenario.to_dict()}
    env = gym.make(known or "LMaaS-v0", **own, population_seed=population_seed)
    env.close()
    return env.spec
