"""Population: the N customers' constants, drawn from a scenario or read from a CSV file."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lmaas_env.files import write_whole
from lmaas_env.scenario import Scenario
from lmaas_env.types import FloatArray, IntArray

SHIPPED = ("day", "city")  # presets whose customers of population seed 0 are frozen in data/
_COLUMNS = ("distance_m", "bandwidth_hz", "capacity_wh", "saturation_per_h", "fade_depth_db", "fade_budget_slots")
_VALUE_COLUMN = "task_value_{}_usd"


class Population(NamedTuple):
    """The customers' constants; arrays of shape ``(N,)`` unless said, or with a leading axis of K populations.

    Attributes
    ----------
    distance : to the base station, m
    bandwidth : Hz
    capacity : of the battery, Wh
    saturation : kappa, 1/h
    fade_depth : delta, dB
    fade_budget : Gamma, slots (integer)
    task_value : shape ``(N, L)``, $ per slot before the demand factor, sorted descending along L
    """

    distance: FloatArray
    bandwidth: FloatArray
    capacity: FloatArray
    saturation: FloatArray
    fade_depth: FloatArray
    fade_budget: IntArray
    task_value: FloatArray

    @property
    def size(self) -> int:
        """Number of customers N."""
        return self.distance.shape[-1]

    @classmethod
    def for_scenario(cls, scenario: Scenario, seed: int = 0) -> Population:
        """Return the population of a scenario and seed.

        A scenario may name a file of customers. Else seed 0 reads the frozen customers that ship with the package where
        the scenario draws customers as ``day`` or ``city`` do; every other seed, and every other scenario, draws them.
        """
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:  # pyright: ignore
            raise ValueError(f"population_seed = {seed!r} must be a whole number >= 0")
        if scenario.customers_file:
            if seed != 0:
                raise ValueError(f"population_seed = {seed} must be 0, customers come from {scenario.customers_file!r}")
            return cls.from_csv(scenario.customers_file)
        if seed == 0:
            for name in SHIPPED:
                if _customer_numbers(scenario) == _customer_numbers(Scenario.preset(name)):
                    file = resources.files("lmaas_env") / "data" / f"customers_{name}.csv"
                    return cls._parse(file.read_text(encoding="utf-8"), file.name)
        return cls.sample(scenario, np.random.default_rng(seed))

    @classmethod
    def sample(cls, scenario: Scenario, rng: np.random.Generator) -> Population:
        """Draw the customers of a scenario (market.md, section 7)."""
        n, slots = scenario.customers, scenario.slots
        distance = np.exp(rng.uniform(np.log(scenario.distance_min), np.log(scenario.distance_max), n))
        bandwidth = rng.uniform(scenario.bandwidth_min, scenario.bandwidth_max, n)
        capacity = rng.uniform(scenario.capacity_min, scenario.capacity_max, n)
        total_value = scenario.task_value_median * np.exp(scenario.task_value_sigma * rng.standard_normal(n))
        split = rng.dirichlet(np.full(slots, scenario.slot_concentration), n)
        saturation = rng.uniform(scenario.saturation_min, scenario.saturation_max, n)
        fade_depth = rng.uniform(scenario.fade_depth_min, scenario.fade_depth_max, n)
        fade_budget = rng.choice(np.array(scenario.fade_budgets, dtype=np.int64), n)
        task_value = -np.sort(-total_value[:, None] * split, axis=1)
        return cls(distance, bandwidth, capacity, saturation, fade_depth, fade_budget, task_value)

    @classmethod
    def stack(cls, populations: Sequence[Population]) -> Population:
        """Stack K populations of one size along a new leading axis."""
        return cls(*(np.stack(column) for column in zip(*populations, strict=True)))

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> Population:
        """Read customers from a CSV file with the columns that `to_csv` writes (units in the header).

        Raises
        ------
        ValueError
            If a column is missing or a value is not a number in its range; the message names file, line and column.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"customers file {os.fspath(path)!r} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"customers file {os.fspath(path)!r} is not UTF-8 text: {error.reason}") from error
        return cls._parse(text, os.fspath(path))

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the customers to a CSV file, whole or not at all; reading it back gives the same numbers."""
        slots = self.task_value.shape[1]
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*_COLUMNS, *(_VALUE_COLUMN.format(i + 1) for i in range(slots))])
        for row in zip(*self[:-1], self.task_value, strict=True):
            writer.writerow([*(entry.item() for entry in row[:-1]), *row[-1].tolist()])
        write_whole(path, out.getvalue())

    @classmethod
    def _parse(cls, text: str, source: str) -> Population:
        rows = list(csv.reader(io.StringIO(text)))
        header = rows[0] if rows else []
        slots = len(header) - len(_COLUMNS)
        expected = [*_COLUMNS, *(_VALUE_COLUMN.format(i + 1) for i in range(max(slots, 1)))]
        if header != expected:
            raise ValueError(f"customers file {source!r}, line 1: the columns must be {','.join(expected)}")
        if len(rows) < 2:
            raise ValueError(f"customers file {source!r} has no customers")
        numbers = np.empty((len(rows) - 1, len(expected)))
        for i, row in enumerate(rows[1:]):
            if len(row) != len(expected):
                raise ValueError(f"customers file {source!r}, line {i + 2}: {len(row)} values, {len(expected)} columns")
            for j, entry in enumerate(row):
                numbers[i, j] = _parsed(entry, expected[j], f"customers file {source!r}, line {i + 2}")
        values = -np.sort(-numbers[:, len(_COLUMNS) :], axis=1)
        distance, bandwidth, capacity, saturation, fade_depth, budget = numbers[:, : len(_COLUMNS)].T.copy()
        return cls(distance, bandwidth, capacity, saturation, fade_depth, budget.astype(np.int64), values)


def _parsed(entry: str, column: str, where: str) -> float:
    whole = column == "fade_budget_slots"
    zero_allowed = whole or column == "fade_depth_db" or column.startswith("task_value")
    try:
        number = float(entry)
    except ValueError:
        number = np.nan
    valid = np.isfinite(number) and (number >= 0 if zero_allowed else number > 0)
    valid = valid and (not whole or (number <= 1e6 and number == int(number)))
    if not valid:
        allowed = f"a {'whole number' if whole else 'number'} {'>= 0' if zero_allowed else '> 0'}"
        raise ValueError(f"{where}: {column} = {entry!r} must be {allowed}")
    return number


def _customer_numbers(scenario: Scenario) -> list[object]:
    return [getattr(scenario, f.name) for f in dataclasses.fields(scenario) if f.metadata["customers"]]
