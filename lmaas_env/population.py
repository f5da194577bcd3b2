"""Population: the N customers' constants, drawn from a scenario or read from a CSV file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

import numpy as np

from lmaas_env import customers_file
from lmaas_env.checks import check_range
from lmaas_env.customers_file import LIMITS
from lmaas_env.files import write_whole
from lmaas_env.scenario import REGION_SIGMAS, Scenario
from lmaas_env.types import BoolArray, FloatArray, IntArray

ROUNDING = 1e-9  # relative, by which drawn numbers may leave their range
SHIPPED = ("day", "city")  # presets whose customers of population seed 0 are frozen in data/
REGION_DISTANCES = (10.0, 5000.0)  # m, within which a region's distances are kept


class _Columns(NamedTuple):
    """The columns of a `Population`."""

    distance: FloatArray
    bandwidth: FloatArray
    capacity: FloatArray
    saturation: FloatArray
    fade_depth: FloatArray
    fade_budget: IntArray
    task_value: FloatArray
    other_distance: FloatArray


class Population(_Columns):
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
    other_distance : shape ``(N, S - 1)``, to the sites of sellers after the first, m; none by default
    """

    __slots__ = ()

    def __new__(
        cls,
        distance: FloatArray,
        bandwidth: FloatArray,
        capacity: FloatArray,
        saturation: FloatArray,
        fade_depth: FloatArray,
        fade_budget: IntArray,
        task_value: FloatArray,
        other_distance: FloatArray | None = None,
    ) -> Population:
        """Return a population whose customers reach one site if no other distances are given."""
        elsewhere = np.empty((*np.shape(distance), 0)) if other_distance is None else other_distance
        return super().__new__(
            cls, distance, bandwidth, capacity, saturation, fade_depth, fade_budget, task_value, elsewhere
        )

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
            return cls.from_csv(scenario.customers_file).with_sites(scenario)
        if seed == 0:
            for name in SHIPPED:
                if _customer_numbers(scenario) == _customer_numbers(Scenario.preset(name)):
                    file = resources.files("lmaas_env") / "data" / f"customers_{name}.csv"
                    found = customers_file.parse(file.read_text(encoding="utf-8"), file.name)
                    return cls._from_columns(*found).with_sites(scenario)
        one_site = dataclasses.replace(scenario, sellers=1)
        return cls.sample(one_site, np.random.default_rng(seed)).with_sites(scenario, seed)

    @classmethod
    def sample(cls, scenario: Scenario, rng: np.random.Generator) -> Population:
        """Draw the customers of a scenario (docs/scenarios.md), and before them their region if it has any."""
        region = draw_region(scenario, rng)
        population = sample_in_region(scenario, region, rng)
        return population._replace(task_value=value_factor(scenario, region) * population.task_value)

    def with_sites(self, scenario: Scenario, seed: int = 0) -> Population:
        """Return the customers with distances to the sites of the scenario's sellers, drawn if they have none.

        Those to the site of seller s, s >= 1, are log-uniform in the scenario's range, by ``default_rng([seed, s])``.
        """
        others, known = scenario.sellers - 1, self.other_distance.shape[-1]
        if others <= known:
            return self if others == known else self._replace(other_distance=self.other_distance[..., :others].copy())
        if known:
            raise ValueError(f"population: other_distance is known of {known} sites, sellers = {scenario.sellers}")
        rngs = [np.random.default_rng([seed, s]) for s in range(1, scenario.sellers)]
        drawn = [draw_distance(scenario, np.empty(0), rng, self.size) for rng in rngs]
        sites = np.stack(drawn, axis=-1)
        return self._replace(other_distance=np.broadcast_to(sites, (*self.distance.shape, others)).copy())

    @classmethod
    def stack(cls, populations: Sequence[Population]) -> Population:
        """Stack K populations of one size along a new leading axis."""
        return cls(*(np.stack(column) for column in zip(*populations, strict=True)))

    def lane(self, k: int) -> Population:
        """Return population k of a stack."""
        return Population(*(column[k] for column in self))

    def with_rows(self, new: Population, rows: IntArray | BoolArray) -> Population:
        """Return a copy with other rows, of the leading axis: a row of ``new`` for each index, or where a mask is true.

        With a mask, ``new`` has as many rows as this population, of which those of the mask are taken.
        """
        copy = Population._make(column.copy() for column in self)
        for column, other in zip(copy, new, strict=True):
            column[rows] = other[rows] if rows.dtype == np.bool_ else other
        return copy

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> Population:
        """Read customers from a CSV file with the columns that `to_csv` writes (units in the header).

        Raises
        ------
        ValueError
            If a column is missing or a value is not a number in its range; the message names file, line and column.
        """
        return cls._from_columns(*customers_file.read(path))

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the customers to a CSV file, whole or not at all; reading it back gives the same numbers."""
        rows = zip(*self[:6], self.other_distance, self.task_value, strict=True)
        text = customers_file.text_of(
            self.task_value.shape[1],
            ([*(entry.item() for entry in row[:6]), *row[6].tolist(), *row[7].tolist()] for row in rows),
            self.other_distance.shape[1],
        )
        write_whole(path, text)

    @classmethod
    def _from_columns(cls, numbers: FloatArray, others: int) -> Population:
        known = len(customers_file.COLUMNS)
        values = -np.sort(-numbers[:, known + others :], axis=1)
        distance, bandwidth, capacity, saturation, fade_depth, budget = numbers[:, :known].T.copy()
        elsewhere = numbers[:, known : known + others].copy()
        return cls(distance, bandwidth, capacity, saturation, fade_depth, budget.astype(np.int64), values, elsewhere)


def draw_region(scenario: Scenario, rng: np.random.Generator) -> FloatArray:
    """Draw a region z (4,), standard normal in the order of `REGION_SIGMAS`; (0,) where the scenario has none."""
    return rng.standard_normal(len(REGION_SIGMAS)) if scenario.has_regions else np.empty(0)


def value_factor(scenario: Scenario, region: FloatArray) -> float:
    """Return the factor of a region (4 or 0,) on every task value."""
    return _scaled(scenario, region, 0, scenario.task_value_median, (1e-6, 1e6)) / scenario.task_value_median


def draw_distance(scenario: Scenario, region: FloatArray, rng: np.random.Generator, customers: int) -> FloatArray:
    """Draw the distances of so many customers to a site in a region (4 or 0,), log-uniform, (N,) m."""
    ends = scenario.distance_min, scenario.distance_max
    nearest, farthest = (_scaled(scenario, region, 1, end, REGION_DISTANCES) for end in ends)
    return np.exp(rng.uniform(np.log(nearest), np.log(farthest), customers))


def sample_in_region(scenario: Scenario, region: FloatArray, rng: np.random.Generator) -> Population:
    """Draw the customers of a region (4 or 0,), with task values before the region's `value_factor`.

    Distances to the sites of sellers after the first are drawn last.
    """

    def limits(name: str, number: int) -> tuple[float, float]:
        low, high = LIMITS[name][1:]
        ends = getattr(scenario, f"{name}_min"), getattr(scenario, f"{name}_max")
        return tuple(_scaled(scenario, region, number, end, (low, high)) for end in ends)  # pyright: ignore

    n, slots = scenario.customers, scenario.slots
    distance = draw_distance(scenario, region, rng, n)
    bandwidth = rng.uniform(scenario.bandwidth_min, scenario.bandwidth_max, n)
    capacity = rng.uniform(*limits("capacity", 2), n)
    total_value = scenario.task_value_median * np.exp(scenario.task_value_sigma * rng.standard_normal(n))
    split = rng.dirichlet(np.full(slots, scenario.slot_concentration), n)
    saturation = rng.uniform(*limits("saturation", 3), n)
    fade_depth = rng.uniform(scenario.fade_depth_min, scenario.fade_depth_max, n)
    fade_budget = rng.choice(np.array(scenario.fade_budgets, dtype=np.int64), n)
    task_value = -np.sort(-total_value[:, None] * split, axis=1)
    found = Population(distance, bandwidth, capacity, saturation, fade_depth, fade_budget, task_value)
    elsewhere = [draw_distance(scenario, region, rng, n) for _ in range(1, scenario.sellers)]
    return found._replace(other_distance=np.stack(elsewhere, axis=-1)) if elsewhere else found


def _scaled(scenario: Scenario, region: FloatArray, number: int, value: float, limits: tuple[float, float]) -> float:
    """Return a value in a region, scaled and kept within limits; the value itself where there is no region."""
    if not region.size:
        return value
    return float(np.clip(value * np.exp(getattr(scenario, REGION_SIGMAS[number]) * region[number]), *limits))


def check_population(population: Population, customers: int, slots: int) -> None:
    """Raise ValueError unless a population, or K of them, has these sizes and numbers that a scenario may draw."""
    expected = (customers, slots)
    if np.shape(population.task_value)[-2:] != expected:
        raise ValueError(
            f"population has (customers, slots) = {np.shape(population.task_value)}, the scenario says {expected}"
        )
    shape = population.task_value.shape
    for name, (unit, low, high) in LIMITS.items():
        array, own = np.asarray(getattr(population, name)), shape if name == "task_value" else shape[:-1]
        wanted = "int64" if name == "fade_budget" else "float64"
        if array.shape != own or array.dtype != wanted:
            raise ValueError(f"population: {name} is {array.shape} {array.dtype}, it must be {own} {wanted}")
        check_range(f"population: {name}", array, low * (1.0 - ROUNDING), high * (1.0 + ROUNDING), unit)
        if name == "distance":
            elsewhere = np.asarray(population.other_distance)
            if elsewhere.shape[:-1] != array.shape or elsewhere.dtype != wanted:
                own = *array.shape, "S - 1"
                raise ValueError(
                    f"population: other_distance is {elsewhere.shape} {elsewhere.dtype}, not {own} {wanted}"
                )
            check_range("population: other_distance", elsewhere, low * (1.0 - ROUNDING), high * (1.0 + ROUNDING), unit)
    if (np.diff(population.task_value, axis=-1) > 0.0).any():
        raise ValueError("population: task_value must be sorted descending along the slots")


def _customer_numbers(scenario: Scenario) -> list[object]:
    return [getattr(scenario, f.name) for f in dataclasses.fields(scenario) if f.metadata["customers"]]
