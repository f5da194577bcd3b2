"""Sweep files: read and checked, every fault with its line."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from lmaas_agents.learned.policy_file import shipped_policies
from lmaas_train.evaluation.days import REFERENCE
from lmaas_train.evaluation.sellers import SELLERS, seller_of
from lmaas_train.extras import require
from lmaas_train.settings import MOST_STEPS
from lmaas_train.sweeps.cell import TRAINERS, Trainer
from lmaas_train.sweeps.plan import Algorithm, Space, SweepPlan, attribute

from lmaas_env import Market, lined_yaml
from lmaas_env.fields import close_match, in_range, shown
from lmaas_env.files import inside, read_text
from lmaas_env.scenario import Scenario
from lmaas_env.seeds import check_size, held_out_seeds, training_seeds, tuning_seeds

KEYS = ("scenarios", "population_seeds", "days", "tuning_days", "seeds", "sellers", "algorithms")
OPTIONS = ("steps", "eval_every")  # of training commands, that a result depends on
OF_ALGORITHM = ("train", "scenarios", "seeds", *OPTIONS, "config", "settings", "grid", "search")
OF_SEARCH = ("trials", "batch", "space")
OF_RANGE = ("low", "high", "log")
MOST_TRIALS = 100_000


class _FaultError(ValueError):
    """Something is wrong with a key of a sweep file."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def read_plan(path: Path) -> SweepPlan:
    """Read a sweep file and return its plan; every cell that is known beforehand is checked.

    Raises
    ------
    ValueError
        If the file cannot be read or anything in it is refused; the message names the file and the line.
    """
    content, lines = lined_yaml.load(path, "sweep")
    for key, fault in lined_yaml.repeated(lines):
        raise ValueError(lined_yaml.report("sweep", path, [(lines[key], fault)]))
    try:
        return _plan(path, content)
    except _FaultError as fault:
        raise ValueError(lined_yaml.report("sweep", path, [(lines.get(fault.key, 0), str(fault))])) from fault


def _plan(path: Path, content: Mapping[str, Any]) -> SweepPlan:
    _known("", content, KEYS)
    scenarios = _texts("scenarios", content.get("scenarios"))
    populations = _wholes("population_seeds", content.get("population_seeds", [0]), 0, 2**31 - 1)
    days, tuning_days = (_whole(it, content.get(it, 40), 2, 100_000) for it in ("days", "tuning_days"))
    held_out_seeds(days)
    tuning_seeds(tuning_days)
    names = {_stem(name): name for name in scenarios}
    if len(names) < len(scenarios):
        raise _FaultError("scenarios", f"scenarios = {shown(scenarios)} must have different names")
    markets = {
        (stem, seed): _market(path.absolute().parent, name, seed, days)
        for stem, name in names.items()
        for seed in populations
    }
    plan = SweepPlan(read_text(path, "sweep"), markets, days, tuning_days)
    sellers = _texts("sellers", content.get("sellers", []), may_be_empty=True)
    for name in sellers:
        _check_seller(name, markets)
    for name, (scenario, seed) in itertools.product(dict.fromkeys([REFERENCE, *sellers]), markets):
        plan.grid.append(plan.of_seller(scenario, seed, name))
    seeds = _training_seeds("seeds", content.get("seeds", 1))
    algorithms = content.get("algorithms", {})
    if not isinstance(algorithms, dict) or not (algorithms or sellers):
        raise _FaultError("algorithms", f"algorithms = {shown(algorithms)} must map names to algorithms, at least one")
    for name, said in cast("dict[str, Any]", algorithms).items():
        _add_algorithm(plan, f"algorithms.{name}", name, said, tuple(names), seeds, populations)
    names_by_key = dict[str, str]()
    for it in plan.grid:
        if it.cell.key in names_by_key:
            fault = f"{it.name} is the same cell as {names_by_key[it.cell.key]}"
            raise _FaultError(f"algorithms.{it.way.partition(',')[0]}", fault)
        names_by_key[it.cell.key] = it.name
    return plan


def _add_algorithm(
    plan: SweepPlan,
    key: str,
    name: str,
    said: Any,
    scenarios: tuple[str, ...],
    seeds: tuple[int, ...],
    populations: Sequence[int],
) -> None:
    """Add the cells and searches of an algorithm to a plan."""
    if not isinstance(said, dict):
        raise _FaultError(key, f"{key} = {shown(said)} must map names to values")
    if not name.isprintable() or set(name) & set("/\\,") or name in (*SELLERS, *shipped_policies(), ".", ".."):
        raise _FaultError(key, f"algorithm {shown(name)} must be a name without / and comma that no seller has")
    given = cast("dict[str, Any]", said)
    _known(f"{key}.", given, OF_ALGORITHM)
    train = given.get("train", "ppo")
    if train not in tuple(TRAINERS):
        raise _FaultError(f"{key}.train", f"{key}.train = {shown(train)} must be one of {', '.join(TRAINERS)}")
    trainer = TRAINERS[train]
    require("torch", *(("stable_baselines3",) if train in ("sb3", "baseline") else ()))
    fields = {it.name: it for it in dataclasses.fields(attribute(trainer.module, trainer.options))}
    options = {it: fields[it].default for it in OPTIONS if it in fields}
    for it in OPTIONS:
        if it in given and it not in options:
            raise _FaultError(f"{key}.{it}", f"{key}.{it} is no option of lmaas {trainer.command}")
    own = [_stem(it) for it in _texts(f"{key}.scenarios", given.get("scenarios", list(scenarios)))]
    for it in own:
        if it not in scenarios:
            raise _FaultError(
                f"{key}.scenarios", f"{key}.scenarios: {it!r} is not among scenarios {', '.join(scenarios)}"
            )
    seeds = _training_seeds(f"{key}.seeds", given["seeds"]) if "seeds" in given else seeds
    settings = _mapping(f"{key}.settings", given.get("settings", {}))
    algorithm = Algorithm(name, train, tuple(own), seeds, options, _config(key, trainer, given), settings)
    numbers = {it: _by_scenario(f"{key}.{it}", given[it], own) for it in OPTIONS if it in given}
    known = [it.name for it in dataclasses.fields(attribute(trainer.config_module, trainer.config))]
    grid = _mapping(f"{key}.grid", given.get("grid", {}))
    space = _space(f"{key}.search", given.get("search"))
    for part, names in (("settings", settings), ("grid", grid), ("search.space", space[2])):
        for it in names:
            if it not in known:
                at = f"{key}.{part}.{it}"
                raise _FaultError(at, f"{at} is unknown{close_match(it, known)}; settings: {', '.join(known)}")
            if part != "settings" and it in settings:
                raise _FaultError(f"{key}.{part}.{it}", f"{key}.{part}.{it} is given among the settings as well")
    if grid and space[0]:
        raise _FaultError(f"{key}.search", f"{key} must not have both grid and search")
    for it, values in grid.items():
        if not isinstance(values, list) or not values:
            raise _FaultError(f"{key}.grid.{it}", f"{key}.grid.{it} = {shown(values)} must be a list of values")
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    for scenario, seed in itertools.product(own, populations):
        here = dataclasses.replace(algorithm, options=options | {it: of[scenario] for it, of in numbers.items()})
        try:
            if space[0]:
                plan.of_algorithm(here, scenario, seed, {})  # refuses settings that are wrong in any trial
                plan.searches.append(Space(scenario, seed, here, *space))
                continue
            for varied in points:
                plan.grid.extend(plan.of_algorithm(here, scenario, seed, varied))
        except (TypeError, ValueError) as error:
            raise _FaultError(key, f"{key}, scenario {scenario}: {error}") from error


def _by_scenario(key: str, said: Any, scenarios: Sequence[str]) -> dict[str, int]:
    """Return a number of steps by scenario, given once for all or for each."""
    if not isinstance(said, dict):
        return dict.fromkeys(scenarios, _whole(key, said, 1, MOST_STEPS))
    given = cast("dict[str, Any]", said)
    if set(given) != set(scenarios):
        raise _FaultError(
            key, f"{key} = {shown(given)} must be a number, or have one for each of {', '.join(scenarios)}"
        )
    return {it: _whole(f"{key}.{it}", value, 1, MOST_STEPS) for it, value in given.items()}


def _config(key: str, trainer: Trainer, given: Mapping[str, Any]) -> str:
    """Return the name of the shipped hyper-parameters that settings start from, empty for those of the scenario."""
    config, at = given.get("config", ""), f"{key}.config"
    kind = attribute(trainer.config_module, trainer.config)
    if config == "":
        return ""
    if not hasattr(kind, "load"):
        raise _FaultError(at, f"{at} is no option of lmaas {trainer.command} in sweeps; give its settings")
    if not isinstance(config, str) or config.endswith((".yaml", ".yml")):
        raise _FaultError(at, f"{at} = {shown(config)} must be the name of hyper-parameters that ship")
    try:
        kind.load(config)
    except ValueError as error:
        raise _FaultError(at, f"{key}.{error}") from error
    return config


def _space(key: str, said: Any) -> tuple[int, int, dict[str, Any]]:
    """Return the number of trials, of trials in a batch, and the values of each setting; no trials without a search."""
    if said is None:
        return 0, 0, {}
    given = _mapping(key, said)
    _known(f"{key}.", given, OF_SEARCH)
    trials = _whole(f"{key}.trials", given.get("trials"), 1, MOST_TRIALS)
    batch = _whole(f"{key}.batch", given.get("batch", 4), 1, MOST_TRIALS)
    space = _mapping(f"{key}.space", given.get("space"))
    for name, values in space.items():
        at = f"{key}.space.{name}"
        if isinstance(values, list) and values:
            continue
        if not isinstance(values, dict):
            raise _FaultError(at, f"{at} = {shown(values)} must be a list of values, or have low and high")
        ends = cast("dict[str, Any]", values)
        _known(f"{at}.", ends, OF_RANGE)
        low, high = (_number(f"{at}.{it}", ends.get(it)) for it in ("low", "high"))
        if not low < high or (ends.get("log") and low <= 0):
            raise _FaultError(at, f"{at}: low = {low:g} must be below high = {high:g}, and above 0 with log")
        if not isinstance(ends.get("log", False), bool):
            raise _FaultError(f"{at}.log", f"{at}.log = {shown(ends['log'])} must be true or false")
    require("optuna")
    return trials, batch, space


def _market(folder: Path, name: str, seed: int, days: int) -> Market:
    """Return the market of a preset or of a file in the sweep file's folder."""
    try:
        file = inside(folder, name, "scenarios") if name.endswith((".yaml", ".yml")) else None
        market = Market(Scenario.load(name if file is None else file), seed=seed)
        check_size(market, days)
        return market
    except ValueError as error:
        raise _FaultError("scenarios", f"scenarios: {error}") from error


def _check_seller(name: str, markets: Mapping[tuple[str, int], Market]) -> None:
    """Raise a fault if there is no such seller, or it does not fit a market; those of files are not on every node."""
    known = [*SELLERS, *shipped_policies()]
    if name not in known:
        raise _FaultError(
            "sellers", f"sellers: {name!r} is unknown{close_match(name, known)}; sellers: {', '.join(known)}"
        )
    for (scenario, _), market in markets.items():
        try:
            seller_of(name, market)
        except ValueError as error:
            raise _FaultError("sellers", f"sellers: {name}, scenario {scenario}: {error}") from error


def _stem(name: str) -> str:
    return Path(name).stem if name.endswith((".yaml", ".yml")) else name


def _known(prefix: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            fault = f"key {shown(key)} is unknown{close_match(key[:100], known)}; keys: {', '.join(known)}"
            raise _FaultError(f"{prefix}{key}", fault)


def _mapping(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _FaultError(key, f"{key} = {shown(value)} must map names to values")
    return cast("dict[str, Any]", value)


def _texts(key: str, values: Any, may_be_empty: bool = False) -> list[str]:
    found = cast("list[Any]", values)
    if not isinstance(values, list) or not all(isinstance(it, str) and it for it in found):
        raise _FaultError(key, f"{key} = {shown(values)} must be a list of names")
    if not (found or may_be_empty) or len(set(found)) < len(found):
        raise _FaultError(key, f"{key} = {shown(found)} must hold at least one name, and each once")
    return found


def _whole(key: str, value: Any, low: int, high: int) -> int:
    try:
        return int(in_range(key, value, int, low, high, ""))
    except ValueError as error:
        raise _FaultError(key, str(error)) from error


def _number(key: str, value: Any) -> float:
    try:
        return in_range(key, value, float, -1e12, 1e12, "")
    except ValueError as error:
        raise _FaultError(key, str(error)) from error


def _wholes(key: str, values: Any, low: int, high: int) -> tuple[int, ...]:
    if not isinstance(values, list) or not values:
        raise _FaultError(key, f"{key} = {shown(values)} must be a list of whole numbers")
    found = tuple(_whole(key, it, low, high) for it in cast("list[Any]", values))
    if len(set(found)) < len(found):
        raise _FaultError(key, f"{key} = {shown(found)} must hold each number once")
    return found


def _training_seeds(key: str, value: Any) -> tuple[int, ...]:
    """Return the training seeds 1, 2, ... of their number, or those of a list."""
    given = value if isinstance(value, list) else [value]
    found = _wholes(key, given, 1, 10**6)
    found = found if isinstance(value, list) else tuple(range(1, 1 + found[0]))
    try:
        training_seeds(max(found), 1)
    except ValueError as error:
        raise _FaultError(key, f"{key}: {error}") from error
    return found
