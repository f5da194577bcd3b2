"""Plans: the cells of a sweep, scenario x population x algorithm x hyper-parameters x training seed."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import os
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from lmaas_train.runs import CUSTOMERS
from lmaas_train.sweeps.cell import TRAINERS, Cell

from lmaas_env import Market
from lmaas_env.files import read_text
from lmaas_env.scenario import Scenario


class Planned(NamedTuple):
    """A cell and its place in the table.

    ``way`` is the algorithm with what varies, such as ``ppo,lanes=64``, ``varied`` the settings that vary by name, and
    ``trial`` the number of a search's trial, -1 in a grid.
    """

    scenario: str
    population_seed: int
    way: str
    varied: Mapping[str, Any]
    trial: int
    cell: Cell

    @property
    def name(self) -> str:
        """What messages call the cell."""
        seed = f"/seed{self.cell.seed}" if self.cell.train else ""
        return f"{self.place}/{self.way}{seed}"

    @property
    def place(self) -> str:
        """The scenario, with its population unless that is the one that ships."""
        return f"{self.scenario}-{self.population_seed}" if self.population_seed else self.scenario


class Space(NamedTuple):
    """A search for settings of an algorithm in a scenario: the values of each setting, in batches of trials."""

    scenario: str
    population_seed: int
    algorithm: Algorithm
    trials: int
    batch: int
    space: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Algorithm:
    """An algorithm of a sweep file."""

    name: str
    train: str
    scenarios: tuple[str, ...]
    seeds: tuple[int, ...]
    options: Mapping[str, Any]
    config: str
    settings: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class SweepPlan:
    """What a sweep file asks for.

    Attributes
    ----------
    text : the file
    grid : the cells that are known beforehand, IMP's first
    searches : the searches, whose cells follow from results
    """

    text: str
    markets: Mapping[tuple[str, int], Market]
    days: int
    tuning_days: int
    grid: list[Planned] = dataclasses.field(default_factory=list[Planned])
    searches: list[Space] = dataclasses.field(default_factory=list[Space])

    def of_seller(self, scenario: str, population_seed: int, seller: str) -> Planned:
        """Return the cell of a seller that is not trained."""
        return self._planned(scenario, population_seed, seller, {}, -1, seller=seller)

    def of_algorithm(
        self, algorithm: Algorithm, scenario: str, population_seed: int, varied: Mapping[str, Any], trial: int = -1
    ) -> list[Planned]:
        """Return the cells of an algorithm, one per training seed.

        Raises
        ------
        ValueError
            If the settings are refused; the message names them.
        """
        market = self.markets[scenario, population_seed]
        config = dataclasses.replace(start_config(algorithm, market.scenario), **algorithm.settings, **varied)
        if hasattr(config, "check"):
            cast("Any", config).check(market)
        settings = {
            name: list(cast("Any", value)) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(config).items()
        }
        parts = [f"trial={trial}"] if trial >= 0 else [f"{name}={_word(value)}" for name, value in varied.items()]
        way = ",".join([algorithm.name, *parts])
        common = {"train": algorithm.train, "options": dict(algorithm.options), "settings": settings}
        return [
            self._planned(scenario, population_seed, way, varied, trial, **common, seed=seed)
            for seed in algorithm.seeds
        ]

    def _planned(
        self, scenario: str, population_seed: int, way: str, varied: Mapping[str, Any], trial: int, **own: Any
    ) -> Planned:
        numbers, customers = _portable(self.markets[scenario, population_seed].scenario)
        rest = {"seller": "", "train": "", "options": {}, "settings": {}, "seed": 0, **own}
        cell = Cell(numbers, customers, population_seed, days=self.days, tuning_days=self.tuning_days, **rest)
        return Planned(scenario, population_seed, way, varied, trial, cell)


def start_config(algorithm: Algorithm, scenario: Scenario) -> Any:
    """Return the hyper-parameters of an algorithm's name, or else those that its command takes for a scenario."""
    trainer = TRAINERS[algorithm.train]
    kind = attribute(trainer.config_module, trainer.config)
    if algorithm.config:
        return kind.load(algorithm.config)
    return kind.for_scenario(scenario) if hasattr(kind, "for_scenario") else kind()


def attribute(module: str, name: str) -> Any:
    """Return what a module holds under a name; the module is imported only now."""
    return getattr(importlib.import_module(module), name)


@functools.lru_cache
def _portable(scenario: Scenario) -> tuple[dict[str, Any], str]:
    """Return every number of a scenario, and its customers as CSV where they come from a file."""
    if not scenario.customers_file:
        return scenario.to_dict(), ""
    moved = dataclasses.replace(scenario, customers_file=CUSTOMERS)
    return moved.to_dict(), read_text(scenario.customers_file, "customers", 2**30)


def _word(value: Any) -> str:
    """Return a value as a word of a folder's name."""
    return str(value).replace(os.sep, "-").replace(", ", "-")
