"""Scenario: every number of a market, with its unit, default and valid range.

The defaults are the scenario ``day``; the other presets change only what they name.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from lmaas_env import customers_file, lined_yaml
from lmaas_env.customers_file import LIMITS, SLOTS
from lmaas_env.fields import checked, close_match, in_range, number, option, shown, text
from lmaas_env.files import inside, write_whole
from lmaas_env.scenario_text import commented_yaml, model_fields

DISTANCE, BANDWIDTH, CAPACITY, SATURATION, FADE_DEPTH, FADE_BUDGET, _ = LIMITS.values()
TINY = 1e-9  # the smallest value of a number that has to be positive
HOURS_A_DAY = 24


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One market's numbers, checked on construction (so ``dataclasses.replace`` checks too).

    ``dataclasses.fields(Scenario)`` carries each number's ``unit``, ``low``, ``high`` and ``meaning`` in its metadata.

    Raises
    ------
    ValueError
        If a number leaves its range, is not finite, or two numbers contradict each other; the message names the
        field, the value and the allowed range.
    """

    name: str = text("day", "a label")
    # Sizes
    customers_file: str = text("", "CSV file with the customers; empty: they are drawn", customers=True, longest=4096)
    customers: int = number(24, "customers", 1, 1_000_000, "number of customers N", customers=True)
    slots: int = number(6, "slots", 1, SLOTS, "slots L in one period", customers=True)
    periods: int = number(24, "h", 1, 8760, "periods H of one hour in a selling day")
    sellers: int = number(1, "sellers", 1, 16, "number of sellers S, each at a site of its own")
    # Prices
    price_floor: float = number(1.0, "$/h", 1e-6, 1e6, "lowest price that may be posted")
    price_cap: float = number(40.0, "$/h", 1e-6, 1e6, "highest price that may be posted")
    price_menu: int = number(0, "prices", 0, 1_000, "log-spaced prices, ends included, to choose from; 0: any price")
    # Customers, drawn once per population
    distance_min: float = number(60.0, *DISTANCE, "distance to the base station, log-uniform", customers=True)
    distance_max: float = number(1000.0, *DISTANCE, "distance to the base station, log-uniform", customers=True)
    bandwidth_min: float = number(0.1e6, *BANDWIDTH, "bandwidth, uniform", customers=True)
    bandwidth_max: float = number(0.4e6, *BANDWIDTH, "bandwidth, uniform", customers=True)
    capacity_min: float = number(20.0, *CAPACITY, "battery capacity, uniform", customers=True)
    capacity_max: float = number(120.0, *CAPACITY, "battery capacity, uniform", customers=True)
    task_value_median: float = number(5.0, "$", 1e-6, 1e6, "task value per period, lognormal", customers=True)
    task_value_sigma: float = number(0.6, "1", 0.0, 5.0, "spread of the log task value", customers=True)
    slot_concentration: float = number(4.0, "1", 0.01, 1e6, "Dirichlet split of the value over slots", customers=True)
    saturation_min: float = number(15.0, *SATURATION, "kappa, how soon an hour saturates, uniform", customers=True)
    saturation_max: float = number(40.0, *SATURATION, "kappa, how soon an hour saturates, uniform", customers=True)
    fade_depth_min: float = number(6.0, *FADE_DEPTH, "depth delta of a deep fade, uniform", customers=True)
    fade_depth_max: float = number(15.0, *FADE_DEPTH, "depth delta of a deep fade, uniform", customers=True)
    fade_budgets: tuple[int, ...] = number((1, 2, 3), *FADE_BUDGET, "budgets Gamma, each as likely", customers=True)
    # Regions: hidden factors exp(sigma z), z standard normal, on what customers are drawn from
    region_value_sigma: float = number(
        0.0, "1", 0.0, 5.0, "sigma of the factor on the median task value", customers=True
    )
    region_distance_sigma: float = number(
        0.0, "1", 0.0, 5.0, "sigma of the factor on both ends of the distance", customers=True
    )
    region_capacity_sigma: float = number(
        0.0, "1", 0.0, 5.0, "sigma of the factor on both ends of the capacity", customers=True
    )
    region_saturation_sigma: float = number(
        0.0, "1", 0.0, 5.0, "sigma of the factor on both ends of the saturation", customers=True
    )
    region_memory: float = number(1.0, "1", 0.0, 1.0, "daily correlation of the region; 1: it stays", customers=True)
    churn: float = number(0.0, "1", 0.0, 1.0, "probability that a customer is replaced overnight", customers=True)
    # Radio, battery and demand, common to all customers
    transmit_power: float = number(0.2, "W", 1e-6, 1e3, "transmit power P")
    airtime_price: float = number(0.8, "$/h", 0.0, 1e6, "price of an hour of airtime")
    fade_probability: float = number(0.15, "1", 0.0, 1.0, "probability pi that a slot fades")
    shadowing_memory: float = number(0.9, "1", 0.0, 1.0, "hourly correlation rho of the shadowing")
    shadowing_sigma: float = number(4.0, "dB", 0.0, 20.0, "standard deviation of the shadowing")
    demand_memory: float = number(0.8, "1", 0.0, 1.0, "hourly correlation rho_d of the log demand")
    demand_sigma: float = number(0.25, "1", 0.0, 3.0, "standard deviation of the log demand")
    demand_peak: float = number(0.9, "1", 0.0, 10.0, "height of the daily demand wave")
    demand_rise: float = number(9.0, "h", 0.0, 24.0, "hour at which the demand wave rises through its mean")
    demand_trough: float = number(0.05, "1", 1e-6, 1.0, "lowest hourly demand factor")
    charge_start_min: float = number(0.3, "of capacity", 0.0, 1.0, "charge at the start of a day, uniform")
    charge_start_max: float = number(1.0, "of capacity", 0.0, 1.0, "charge at the start of a day, uniform")
    harvest: float = number(0.04, "of capacity per h", 0.0, 10.0, "mean harvested energy")
    harvest_spread: float = number(0.5, "1", 0.0, 1.0, "harvest varies by the factor U(1 - spread, 1 + spread)")
    # Large models, one entry each
    models: tuple[str, ...] = dataclasses.field(
        default=("small", "base", "large", "xlarge"), metadata={"meaning": "names of the models", "customers": False}
    )
    quality_low: tuple[float, ...] = number((0.15, 0.22, 0.30, 0.37), "1", TINY, 1.0, "A1, similarity at very low SNR")
    quality_high: tuple[float, ...] = number(
        (0.80, 0.88, 0.94, 0.98), "1", TINY, 1.0, "A2, similarity at very high SNR"
    )
    quality_slope: tuple[float, ...] = number((0.30, 0.28, 0.26, 0.2525), "1/dB", 0.0, 10.0, "C1 of the logistic fit")
    quality_offset: tuple[float, ...] = number(
        (-2.4, -1.8, -1.2, -0.7895), "1", -100.0, 100.0, "C2 of the logistic fit"
    )
    bit_rate: tuple[float, ...] = number((400e3, 250e3, 160e3, 100e3), "bit/s", 1.0, 1e12, "semantic bit rate D")
    compute_power: tuple[float, ...] = number((4.0, 9.0, 20.0, 45.0), "W", 0.0, 1e6, "device power e while renting")
    serving_cost: tuple[float, ...] = number((0.05, 0.15, 0.45, 1.2), "$/h", 0.0, 1e6, "s, serving one rented hour")
    adaptation_cost: tuple[float, ...] = number((0.02, 0.04, 0.08, 0.15), "$", 0.0, 1e6, "G, fine-tuning per customer")
    training_cost: tuple[float, ...] = number((0.2, 0.5, 1.2, 3.0), "$", 0.0, 1e6, "F, pre-training per period")
    setup_cost: tuple[float, ...] = number((0.02, 0.04, 0.06, 0.10), "$", 0.0, 1e6, "f, customer's cost to commit")
    # Rules
    settlement: str = option("recourse", ("recourse", "plan"), "rent with recourse, or the hours of the robust plan")
    observation: str = option("full", ("full", "public"), "what sellers see")
    resample_population: str = option(
        "never", ("never", "episode"), "draw a new population every episode; the seller sees its constants"
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, checked(field, getattr(self, field.name)))
        for low, high in _ORDERED:
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} = {getattr(self, low)} must not exceed {high} = {getattr(self, high)}")
        if self.customers_file and self.resample_population == "episode":
            raise ValueError(
                f"resample_population = 'episode' draws customers, but customers_file = {self.customers_file!r}"
            )
        if self.customers_file and self.has_regions:
            raise ValueError(f"customers_file = {self.customers_file!r}: customers of a file have no region")
        for name, still in (("churn", 0.0), ("region_memory", 1.0)):
            if getattr(self, name) != still and self.resample_population == "never":
                raise ValueError(f"{name} = {getattr(self, name)} needs resample_population = 'episode', not 'never'")
        if self.drifts and self.days < 2:
            raise ValueError(f"periods = {self.periods} must exceed {HOURS_A_DAY}, as customers change overnight")
        if self.price_floor == self.price_cap:
            raise ValueError(f"price_floor = {self.price_floor} must be lower than price_cap = {self.price_cap}")
        if self.price_menu == 1:
            raise ValueError("price_menu = 1 must be 0 (any price) or at least 2, as it holds both ends")
        if not self.models or len(set(self.models)) != len(self.models):
            raise ValueError(f"models = {shown(self.models)} must name at least one model, each once")
        for name in MODEL_FIELDS:
            if len(getattr(self, name)) != len(self.models):
                given = shown(getattr(self, name))
                raise ValueError(f"{name} = {given} must have one entry for each of the {len(self.models)} models")
        for name, low, high in zip(self.models, self.quality_low, self.quality_high, strict=True):
            if low > high:
                raise ValueError(f"quality_low = {low} of model {name!r} must not exceed its quality_high = {high}")

    @property
    def has_regions(self) -> bool:
        """Whether customers are drawn in a region."""
        return any(getattr(self, name) > 0.0 for name in REGION_SIGMAS)

    @property
    def drifts(self) -> bool:
        """Whether customers or their region change from day to day."""
        return self.churn > 0.0 or self.region_memory < 1.0

    @property
    def hides_customers(self) -> bool:
        """Whether customers differ between episodes and the seller does not see who they are."""
        return self.resample_population == "episode" and self.observation == "public"

    @property
    def days(self) -> int:
        """Number of days of an episode, the last of which may be short."""
        return -(-self.periods // HOURS_A_DAY)

    @classmethod
    def preset(cls, name: str) -> Scenario:
        """Return a preset by name: ``day``, ``static``, ``scarce`` and so on (`PRESETS`)."""
        if name not in PRESETS:
            raise ValueError(
                f"scenario = {shown(name)} is unknown{close_match(name[:100], PRESETS)}; presets: {', '.join(PRESETS)}"
            )
        return cls(name=name, **PRESETS[name])

    @classmethod
    def load(cls, scenario: Scenario | Mapping[str, Any] | str | os.PathLike[str]) -> Scenario:
        """Return the scenario itself, that of a mapping, a preset by name, or a YAML file's (a name with a suffix)."""
        if isinstance(scenario, Scenario):
            return scenario
        if isinstance(scenario, Mapping):
            return cls.from_dict(scenario)
        if isinstance(scenario, str) and not scenario.endswith((".yaml", ".yml")):
            return cls.preset(scenario)
        return cls.from_yaml(scenario)

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any]) -> Scenario:
        """Build a scenario from a mapping; what is left out is as in ``base``, a preset (default day).

        ``models`` may map each model's name to its numbers, instead of a list for each number (`MODEL_FIELDS`).
        """
        numbers = _with_new_names(numbers)
        for _, fault in faults(numbers):
            raise ValueError(fault)
        base, changes = _split(numbers)
        return dataclasses.replace(base, **changes)

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Scenario:
        """Read a scenario from a YAML file that holds what differs from its ``base``, a preset (default day).

        Models are given by name, each with its numbers, or in a file of their own. Customers are drawn, or come from a
        CSV file. Both files lie in the file's folder, or below it.

        Raises
        ------
        ValueError
            If the file cannot be read or anything is wrong with its numbers: every fault with its line.
        """
        numbers, lines = lined_yaml.load(path, "scenario")
        if "turnover" in numbers:
            lines.setdefault("resample_population", lines["turnover"])
        numbers = _with_new_names(numbers)
        folder = Path(path).absolute().parent
        found = [(lines.get(key, 0), fault) for key, fault in lined_yaml.repeated(lines)]
        file = numbers.get("models")
        try:
            if isinstance(file, str) and file.endswith((".yaml", ".yml")):
                numbers["models"] = read_models(inside(folder, file, "models"))
        except ValueError as error:
            if str(error).startswith("models file"):
                raise
            raise ValueError(lined_yaml.report("scenario", path, [(lines["models"], str(error))])) from error
        found += [(lines.get(key, 0), fault) for key, fault in faults(numbers)]
        if found:
            raise ValueError(lined_yaml.report("scenario", path, found))
        try:
            return cls.in_folder(folder, numbers)
        except ValueError as error:
            if str(error).startswith("customers file"):
                raise
            fault = lines.get("customers_file", 0), str(error)
            raise ValueError(lined_yaml.report("scenario", path, [fault])) from error

    @classmethod
    def in_folder(cls, folder: str | os.PathLike[str], numbers: Mapping[str, Any]) -> Scenario:
        """Build a scenario from the numbers that a file of a folder holds, with the sizes of its customers' file.

        Raises
        ------
        ValueError
            As `from_dict`, or if ``customers_file`` leads out of the folder, cannot be read or has other sizes.
        """
        scenario = cls.from_dict(numbers)
        if not scenario.customers_file:
            return scenario
        file = inside(folder, scenario.customers_file, "customers_file")
        return with_customers(dataclasses.replace(scenario, customers_file=os.fspath(file)), numbers)

    def with_same_customers(self) -> Scenario:
        """Return the scenario in which customers stay the same, in all episodes and from day to day."""
        return dataclasses.replace(self, resample_population="never", churn=0.0, region_memory=1.0)

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers as plain Python values (tuples become lists)."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: [*value] if isinstance(value, tuple) else value for name, value in values.items()}

    def to_yaml(self, path: str | os.PathLike[str]) -> None:
        """Write all numbers to a YAML file with units, ranges and meanings, whole or not at all.

        A file of customers in the same folder is named relative to it, so that the folder can be moved.
        """
        folder, file, written = Path(path).absolute().parent, Path(self.customers_file), self
        if file.is_absolute() and file.is_relative_to(folder):
            written = dataclasses.replace(self, customers_file=file.relative_to(folder).as_posix())
        write_whole(path, commented_yaml(written))


REGION_SIGMAS = ("region_value_sigma", "region_distance_sigma", "region_capacity_sigma", "region_saturation_sigma")
MODEL_FIELDS = model_fields(Scenario)  # the numbers of a model

_ORDERED = [("price_floor", "price_cap"), ("charge_start_min", "charge_start_max")] + [
    (f"{name}_min", f"{name}_max") for name in ("distance", "bandwidth", "capacity", "saturation", "fade_depth")
]


def _some_models(*names: str) -> dict[str, tuple[Any, ...]]:
    """Return the numbers of some of the default models."""
    defaults = Scenario()
    kept = [defaults.models.index(name) for name in names]
    return {field: tuple(getattr(defaults, field)[m] for m in kept) for field in ("models", *MODEL_FIELDS)}


def _regions(scale: float) -> dict[str, Any]:
    """Return what three days in an unknown region change, with all sigmas of the region times a scale."""
    sigmas = zip(REGION_SIGMAS, (1.0, 0.5, 0.6, 0.5), strict=True)
    return {
        "periods": 3 * HOURS_A_DAY,
        "observation": "public",
        "resample_population": "episode",
        **{name: scale * sigma for name, sigma in sigmas},
    }


PRESETS: dict[str, dict[str, Any]] = {
    "day": {},
    # The paper's one-shot game: one period, everything at its nominal value, the robust plan is what is rented.
    "static": {
        "periods": 1,
        "shadowing_sigma": 0.0,
        "demand_sigma": 0.0,
        "demand_peak": 0.0,
        "charge_start_min": 1.0,
        "fade_probability": 0.0,
        "settlement": "plan",
    },
    "scarce": {"harvest": 0.02},
    "abundant": {"harvest": 0.3},
    "public": {"observation": "public"},
    "city": {"customers": 1000},
    "population": {"resample_population": "episode"},
    # A second seller with the same models at another site.
    "rivals": {"sellers": 2},
    # Three days with strangers, in a region that the seller learns about from its own sales only.
    "unknown": _regions(1.0),
    "unknown-easy": _regions(0.5),
    "unknown-hard": _regions(1.5),
    # Ten days in a region that drifts, with customers who come and go.
    "drift": {**_regions(1.0), "periods": 10 * HOURS_A_DAY, "churn": 0.1, "region_memory": 0.8},
    # Solved exactly by dynamic programming: few customers, models, hours and prices, and only fades are random.
    "mini": {
        "customers": 2,
        "slots": 1,
        "periods": 4,
        "price_floor": 2.0,
        "price_cap": 20.0,
        "price_menu": 5,
        "distance_min": 500.0,
        "capacity_max": 60.0,
        "fade_budgets": (1,),
        "fade_probability": 0.3,
        "shadowing_sigma": 0.0,
        "demand_sigma": 0.0,
        "demand_rise": 0.0,
        "charge_start_min": 0.8,
        "charge_start_max": 0.8,
        "harvest_spread": 0.0,
        **_some_models("base", "large"),
    },
}


def read_models(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read models from a YAML file that maps each name to its numbers (`MODEL_FIELDS`).

    Raises
    ------
    ValueError
        As in `Scenario.from_yaml`.
    """
    models, lines = lined_yaml.load(path, "models")
    found = [(lines.get(key, 0), fault) for key, fault in lined_yaml.repeated(lines)]
    found += [(lines.get(key.removeprefix("models."), 0), fault) for key, fault in faults({"models": models})]
    if found:
        raise ValueError(lined_yaml.report("models", path, found))
    return models


def with_models(scenario: Scenario, path: str | os.PathLike[str]) -> Scenario:
    """Return the scenario with the models of a file (`read_models`) instead of its own."""
    kept = {name: value for name, value in scenario.to_dict().items() if name not in MODEL_FIELDS}
    return Scenario.from_dict(kept | {"models": read_models(path)})


def with_customers(scenario: Scenario, given: Any = ()) -> Scenario:
    """Return the scenario with the sizes of its customers' file, unless they are ``given`` and differ.

    Raises
    ------
    ValueError
        If the file is refused, or has other customers or slots than are given.
    """
    sizes = customers_file.sizes(scenario.customers_file)
    for name, size in sizes.items():
        if name in given and getattr(scenario, name) != size:
            raise ValueError(f"{name} = {getattr(scenario, name)}, but {scenario.customers_file!r} has {size}")
    return dataclasses.replace(scenario, **sizes)


def faults(numbers: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """Return everything that is wrong with the numbers of a scenario, as (key, message); see `Scenario.from_dict`.

    Keys of a model's numbers read ``models.NAME.NUMBER``.
    """
    known = {field.name: field for field in dataclasses.fields(Scenario)}
    found: list[tuple[str, str]] = []

    def check(key: str, check: Callable[[], object]) -> None:
        try:
            check()
        except ValueError as error:
            found.append((key, str(error)))

    check("base", lambda: Scenario.preset(str(numbers.get("base", "day"))))
    for key, value in numbers.items():
        if key == "models" and isinstance(value, Mapping):
            found += _model_faults(cast("Mapping[Any, Any]", value), numbers)
        elif key in known:
            check(key, functools.partial(checked, known[key], value))
        elif key != "base":
            found.append(
                (str(key), f"scenario key {shown(key)} is unknown{close_match(str(key)[:100], ['base', *known])}")
            )
    if not found:
        base, changes = _split(numbers)
        check("", lambda: dataclasses.replace(base, **changes))
    return found


def _with_new_names(numbers: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return numbers whose former key ``turnover`` is replaced by ``resample_population``, with a warning."""
    renamed = dict(numbers)
    if "turnover" in renamed and "resample_population" not in renamed:
        old = renamed.pop("turnover")
        new = {"none": "never", "daily": "episode"}.get(old, old) if isinstance(old, str) else old
        warnings.warn(
            f"scenario key 'turnover' is now 'resample_population': {old!r} reads {new!r}", FutureWarning, stacklevel=3
        )
        renamed["resample_population"] = new
    return renamed


def _split(numbers: Mapping[str, Any]) -> tuple[Scenario, dict[str, Any]]:
    """Return the base of a scenario's numbers and what they change, with one entry per model in each list."""
    changes = dict(numbers)
    base = Scenario.preset(str(changes.pop("base", "day")))
    models: Any = changes.get("models")
    if isinstance(models, Mapping):
        named = cast("Mapping[Any, Mapping[str, Any]]", models)
        rows = {str(name): _model_numbers(base, str(name)) | dict(row) for name, row in named.items()}
        changes["models"] = tuple(rows)
        changes |= {field: tuple(row[field] for row in rows.values()) for field in MODEL_FIELDS}
    return base, changes


def _model_numbers(scenario: Scenario, model: str) -> dict[str, Any]:
    """Return the numbers of a scenario's model by their names, or none if it has no such model."""
    if model not in scenario.models:
        return {}
    return {field: getattr(scenario, field)[scenario.models.index(model)] for field in MODEL_FIELDS}


def _model_faults(models: Mapping[Any, Any], numbers: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """Return what is wrong with models given by name, each with its numbers."""
    try:
        base = Scenario.preset(str(numbers.get("base", "day")))
    except ValueError:
        base = Scenario()
    fields = {field.name: field for field in dataclasses.fields(Scenario) if field.name in MODEL_FIELDS}
    found = [(key, f"{key} is given, but models already holds its numbers") for key in fields if key in numbers]
    for name, row in models.items():
        here = f"models.{name}"
        if not isinstance(row, Mapping):
            found.append((here, f"{here} = {shown(row)} must map names to numbers: {', '.join(MODEL_FIELDS)}"))
            continue
        given = cast("Mapping[Any, Any]", row)
        missing = [field for field in MODEL_FIELDS if field not in given and not _model_numbers(base, str(name))]
        if missing:
            found.append((here, f"{here} lacks {', '.join(missing)}"))
        for key, value in given.items():
            if key not in fields:
                found.append((f"{here}.{key}", f"{here}.{key} is unknown{close_match(str(key)[:100], MODEL_FIELDS)}"))
                continue
            about = fields[key].metadata
            try:
                in_range(f"{here}.{key}", value, float, about["low"], about["high"], about["unit"])
            except ValueError as error:
                found.append((f"{here}.{key}", str(error)))
    return found
