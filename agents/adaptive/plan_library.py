"""A library of plans for the regions that a seller may find itself in, made once from the scenario alone.

Hypotheses are customers of many regions, drawn as an episode draws them, with the seeds of training seed 499, which are
reserved for this. Some of them have a plan of their own. The payoff says what each plan earns from each hypothesis.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from lmaas_agents.planning import plan_day, sold_days
from safetensors import SafetensorError
from safetensors.numpy import load, save

from lmaas_env.episode import Episode
from lmaas_env.files import write_whole
from lmaas_env.market import Market
from lmaas_env.population import Population
from lmaas_env.scenario import HOURS_A_DAY, Scenario
from lmaas_env.seeds import open_days, training_seeds, tuning_seeds
from lmaas_env.types import FloatArray

SEED = 499  # training seed of hypotheses
HYPOTHESES = 1024
PLANS = 128  # of the first hypotheses
PRIOR_EPISODES = 96  # tuning episodes, over whose mean the prior plan is the best
PAYOFF_EPISODES = 2  # of each plan with each hypothesis
SHIPPED = Path(__file__).with_name("libraries")
VERSION = 1  # of the computation: a library of another version is made again

Each: TypeAlias = Callable[[Callable[[Population], FloatArray], Sequence[Population]], Iterable[FloatArray]]


class Library(NamedTuple):
    """Plans for an unknown region, and what they earn.

    Attributes
    ----------
    plans : (Q, P, M), $/h
        The first is the prior plan, the best for the mean of regions; then one for each of the first hypotheses.
    payoff : (J, Q), $ an episode
        Of each plan with each hypothesis.
    """

    plans: FloatArray
    payoff: FloatArray


def hypotheses(market: Market, count: int | None = None) -> Episode:
    """Draw the customers that may be, with their region and first state: an episode of `HYPOTHESES` or fewer lanes."""
    return open_days(still(market), training_seeds(SEED, count or HYPOTHESES))


def still(market: Market) -> Market:
    """Return the market without drift and with at most three days, in which plans are made."""
    scenario = _still(market.scenario)
    return market.with_scenario(scenario) if scenario != market.scenario else market


def _still(scenario: Scenario) -> Scenario:
    periods = min(scenario.periods, 3 * HOURS_A_DAY)
    return dataclasses.replace(scenario, churn=0.0, region_memory=1.0, periods=periods)


@functools.lru_cache(maxsize=8)
def load_library(scenario: Scenario) -> Library:
    """Return the library of a scenario: the one that ships, the one in the cache, or one that is made now (minutes).

    Raises
    ------
    ValueError
        If customers do not differ between episodes.
    """
    _check(scenario)
    found = found_library(scenario)
    known = None if found is None else read_library(found, scenario)
    if known is not None:
        return known
    library = make_library(scenario)
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        write_library(cache_folder() / f"{key(scenario)}.safetensors", scenario, library)
    except OSError:  # a library that cannot be kept is made again
        pass
    return library


def found_library(scenario: Scenario) -> Path | None:
    """Return the file of a scenario's library, of those that ship or of the cache, or None where there is none."""
    folders = [SHIPPED]
    with contextlib.suppress(OSError):
        folders.append(cache_folder())
    files = [folder / f"{key(scenario)}.safetensors" for folder in folders]
    return next((file for file in files if read_library(file, scenario) is not None), None)


def _check(scenario: Scenario) -> None:
    if scenario.resample_population == "never":
        raise ValueError(
            f"scenario {scenario.name!r} has resample_population = 'never': its customers are known, none are unknown"
        )
    if scenario.sellers > 1:
        raise ValueError(f"scenario {scenario.name!r} has sellers = {scenario.sellers}: plans are for one, sellers = 1")


def cache_folder() -> Path:
    """Return the folder of libraries that do not ship: ``lmaas`` in the user's cache.

    Raises
    ------
    OSError
        If the user has no home folder, and the environment variable XDG_CACHE_HOME names no absolute path.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    if not os.path.isabs(base):  # `expanduser` leaves ~ as it is where there is no home
        raise OSError(f"cache folder {base!r} is no absolute path: set XDG_CACHE_HOME to one")
    return Path(base) / "lmaas" / "libraries"


def key(scenario: Scenario) -> str:
    """Return the key of a scenario's library: a digest of every number that it depends on, not of names."""
    numbers = dataclasses.asdict(_still(scenario))
    ignored = {name: numbers.pop(name) for name in ("name", "models", "observation", "customers_file", "sellers")}
    numbers["models"] = len(ignored["models"])
    said = json.dumps([VERSION, HYPOTHESES, PLANS, PRIOR_EPISODES, PAYOFF_EPISODES, numbers], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def make_library(scenario: Scenario, each: Each = map, progress: Callable[[], None] = lambda: None) -> Library:
    """Make the library of a scenario in some minutes.

    ``each`` computes the plans, as `map` does, perhaps in other processes; ``progress`` is called after each part of
    the library (`parts`).
    """
    _check(scenario)
    market = still(Market(scenario))
    drawn = hypotheses(market)
    alone = functools.partial(_plan_of, market)
    prior = prior_plan(market)
    progress()
    plans = [prior]
    populations = [drawn.market.population.lane(j) for j in range(PLANS)]
    for plan in each(alone, populations):
        plans.append(plan)
        progress()
    payoff = np.empty((HYPOTHESES, len(plans)))
    for q, plan in enumerate(plans):
        payoff[:, q] = sum(_payoff(drawn, plan, turn) for turn in range(PAYOFF_EPISODES)) / PAYOFF_EPISODES
        progress()
    return Library(np.stack(plans).astype(np.float32).astype(np.float64), payoff.astype(np.float32).astype(np.float64))


def parts() -> int:
    """Return how many parts `make_library` has."""
    return 2 * (1 + PLANS)


def prior_plan(market: Market) -> FloatArray:
    """Return the best plan for the mean of tuning episodes, (P, M) $/h.

    Raises
    ------
    ValueError
        If customers do not differ between episodes.
    """
    _check(market.scenario)
    episode = open_days(still(market), tuning_seeds(PRIOR_EPISODES))
    return plan_day(episode.market, sample=(episode.state, episode.draws)).prices[:HOURS_A_DAY]


def own_plan(market: Market, start: FloatArray | None = None, rounds: int | None = None) -> FloatArray:
    """Return the best plan for one market's customers, on tuning draws, (P, M) $/h."""
    more: dict[str, Any] = {} if rounds is None else {"rounds": rounds}
    return plan_day(still(market), start=start, **more).prices[:HOURS_A_DAY]


def _plan_of(market: Market, population: Population) -> FloatArray:
    scenario = dataclasses.replace(market.scenario, resample_population="never")
    return own_plan(market.with_scenario(scenario, population))


def _payoff(drawn: Episode, plan: FloatArray, turn: int) -> FloatArray:
    """Return what a plan earns from each hypothesis in one episode; every plan meets the same episodes."""
    if turn:
        rngs = [np.random.default_rng(seed) for seed in training_seeds(SEED, HYPOTHESES, skip=turn * HYPOTHESES)]
        state, draws = drawn.market.days(rngs)
    else:
        state, draws = drawn.state, drawn.draws
    return sold_days(drawn.market, plan, state, draws)[0].sum(axis=0)


def write_library(path: str | os.PathLike[str], scenario: Scenario, library: Library) -> None:
    """Write a library to a file, whole or not at all."""
    arrays = {name: array.astype(np.float32) for name, array in library._asdict().items()}
    write_whole(path, save(arrays, {"key": key(scenario), "scenario": scenario.name}))


def read_library(path: Path, scenario: Scenario) -> Library | None:
    """Return the library in a file, or None where there is no such file or it does not fit."""
    try:
        arrays = load(path.read_bytes())
        library = Library(*(arrays[name].astype(np.float64) for name in Library._fields))
    except (OSError, KeyError, SafetensorError):
        return None
    period, models = min(scenario.periods, HOURS_A_DAY), len(scenario.models)
    shapes = (1 + PLANS, period, models), (HYPOTHESES, 1 + PLANS)
    fits = (library.plans.shape, library.payoff.shape) == shapes and all(np.isfinite(it).all() for it in library)
    return library if fits else None
