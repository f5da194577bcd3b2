"""Cells: one seller, trained or not, and what it earns on tuning and held-out days; a pure function of a description.

A cell may run anywhere: its description holds every number of the scenario and every setting, also those that are
left at their default, and its customers where they come from a file. The versions of packages are part of its key, and
a worker that has others refuses it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from lmaas_agents.learned.policy_file import SPEC, WEIGHTS, load_policy
from lmaas_train.evaluation.adapters import load_zip
from lmaas_train.evaluation.rollout import sell
from lmaas_train.evaluation.sellers import NamedSeller, seller_of
from lmaas_train.runs import CONFIG, CUSTOMERS, EVALUATIONS, MODEL, ORIGIN, check_versions, versions
from rich.console import Console

from lmaas_env import Market, lined_yaml
from lmaas_env.files import read_bytes, read_text, write_whole
from lmaas_env.scenario import Scenario
from lmaas_env.seeds import held_out_seeds, tuning_seeds

SCENARIO, HYPER_PARAMETERS = "scenario.yaml", "settings.yaml"
KEPT = (SPEC, WEIGHTS, MODEL, CONFIG, EVALUATIONS, ORIGIN)  # of a training run's folder


class Trainer(NamedTuple):
    """A training command: its module, its options, the class of its hyper-parameters and their module."""

    command: str
    module: str
    options: str
    config_module: str
    config: str


TRAINERS = {
    "ppo": Trainer("train", "lmaas_train.cli.train", "Train", "lmaas_train.ppo_config", "PPOConfig"),
    "sb3": Trainer("train sb3", "lmaas_train.sb3.training", "TrainSB3", "lmaas_train.sb3.config", "SB3Config"),
    "in-context": Trainer(
        "train in-context", "lmaas_train.cli.in_context", "TrainInContext", "lmaas_train.in_context", "InContextConfig"
    ),
    "baseline": Trainer(
        *("train baseline", "lmaas_train.cli.baseline", "TrainBaseline"),
        *("lmaas_train.baselines.config", "BaselineConfig"),
    ),
}
"""The training commands by the name that sweep files give them."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """A seller on a market, complete: nothing that a result depends on is left out, and nothing else is held.

    Attributes
    ----------
    scenario : every number of the scenario
    customers : the CSV file of its customers, empty where they are drawn
    population_seed : seed of the customers
    seller : name of a seller that is not trained, or empty
    train : name of one of `TRAINERS`, or empty
    options : options of the training command that differ between cells, such as ``steps``
    settings : all hyper-parameters
    seed : training seed, 0 without training
    days, tuning_days : number of held-out and of tuning days that are sold
    """

    scenario: Mapping[str, Any]
    customers: str
    population_seed: int
    seller: str
    train: str
    options: Mapping[str, Any]
    settings: Mapping[str, Any]
    seed: int
    days: int
    tuning_days: int

    @functools.cached_property
    def key(self) -> str:
        """A digest of the description and the versions."""
        text = json.dumps({**dataclasses.asdict(self), "versions": versions()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class Result(NamedTuple):
    """What a cell has found: a record of plain values, and the files of a training run by name.

    The record holds the profit of every day, $, on held-out days (``profit``, ``customer_profit``) and on tuning days
    (``tuning_profit``), seconds, the time of the start, the versions, and the description with the customers' digest.
    """

    record: dict[str, Any]
    files: dict[str, bytes]


def run_cell(cell: Cell, wanted: Mapping[str, str]) -> Result:
    """Run a cell and return its result; nothing outside a temporary folder is written.

    Parameters
    ----------
    cell : Cell
    wanted : mapping of str to str
        The versions that the sweep runs with.

    Raises
    ------
    ValueError
        If this worker has other versions, or the cell is refused.
    """
    check_versions(wanted)
    started, began = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="lmaas-cell-") as temporary, contextlib.chdir(temporary):
        scenario = write_scenario(cell)
        market = Market(scenario, seed=cell.population_seed)
        files = _train(cell) if cell.train else {}
        trained = time.perf_counter()
        seller = _trained() if cell.train else seller_of(cell.seller, market)
        tuning = _sold(market, seller, tuning_seeds(cell.tuning_days))
        held_out = _sold(market, seller, held_out_seeds(cell.days))
    record = {
        "cell": {**dataclasses.asdict(cell), "customers": hashlib.sha256(cell.customers.encode()).hexdigest()},
        "versions": versions(),
        "started": started,
        "training_seconds": trained - began if cell.train else 0.0,
        "selling_seconds": time.perf_counter() - trained,
        "milliseconds_per_decision": 1e3 * held_out.seconds_per_decision,
        "profit": held_out.day_profit.tolist(),
        "customer_profit": held_out.customer_profit.sum(axis=1).tolist(),
        "tuning_profit": tuning.day_profit.tolist(),
    }
    return Result(record, files)


def write_scenario(cell: Cell) -> Scenario:
    """Write a cell's scenario, and its customers if they come from a file, into the working folder; return it."""
    if cell.customers:
        write_whole(CUSTOMERS, cell.customers)
    scenario = Scenario.in_folder(Path.cwd(), cell.scenario)
    scenario.to_yaml(SCENARIO)
    return scenario


def _sold(market: Market, seller: NamedSeller, seeds: range) -> Any:
    return sell(market, {"seller": seller}, seeds, Console(file=io.StringIO()))["seller"]


def _trained() -> NamedSeller:
    """Return the seller that the folder ``run`` holds: a policy, or a model of SB3, which this process has written."""
    return load_policy("run") if Path("run", SPEC).exists() else load_zip(Path("run", MODEL))


def _train(cell: Cell) -> dict[str, bytes]:
    """Train in the folder ``run`` as the command does, and return the files that are kept.

    Raises
    ------
    ValueError
        If the training was stopped before its end, which keeps a policy as well.
    """
    write_whole(HYPER_PARAMETERS, lined_yaml.dump(dict(cell.settings)))
    trainer = TRAINERS[cell.train]
    options = getattr(importlib.import_module(trainer.module), trainer.options)
    known = {field.name for field in dataclasses.fields(options)}
    given = {**cell.options, "scenario": SCENARIO, "config": HYPER_PARAMETERS, "seed": cell.seed, "out": "run"}
    given |= {"population_seed": cell.population_seed, "tuning_days": cell.tuning_days}
    given["eval_days"] = 2  # the fewest that a command takes; the held-out days of the result are sold afterwards
    given = {name: value for name, value in given.items() if name in known}
    words = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    paths = {name: Path(given[name]) for name in ("config", "out")}
    with _as_command(["lmaas", *trainer.command.split(), *words]), contextlib.redirect_stdout(io.StringIO()):
        options(**{**given, **paths}, progress=False).main()
    run = Path("run")
    if not json.loads(read_text(run / ORIGIN))["complete"]:
        raise ValueError("the training was stopped before its end")
    kept = [name for name in KEPT if (run / name).exists()]
    if SPEC in kept and MODEL in kept:  # the policy is the model's
        kept.remove(MODEL)
    return {name: read_bytes(run / name) for name in kept}


@contextlib.contextmanager
def _as_command(words: list[str]) -> Any:
    """Let a command find its own words in `sys.argv`, which it writes into its results; a worker's are of no use."""
    before, sys.argv = sys.argv, words
    try:
        yield
    finally:
        sys.argv = before
