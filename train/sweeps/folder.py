"""The folder of a sweep: finished cells by key, what is planned, and what has failed.

``cells/KEY`` holds a finished cell: result.json, behind its digest, and the files of its training run. It is renamed
into place as a whole, so a cell is there or it is not. ``state.json`` says what is planned. `Progress` follows from
both.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from lmaas_train.evaluation.days import REFERENCE

from lmaas_env.files import locked, new_whole_folder, read_bytes, read_text, sealed, unsealed, write_whole

if TYPE_CHECKING:  # `lmaas sweep status` starts without what cells need
    from lmaas_train.sweeps.cell import Result
    from lmaas_train.sweeps.plan import Planned

CELLS, RESULT, STATE, RUNS = "cells", "result.json", "state.json", "runs"


class Entry(NamedTuple):
    """A planned cell as state.json holds it; names as in `lmaas_train.sweeps.plan.Planned`."""

    key: str
    name: str
    scenario: str
    population_seed: int
    way: str
    trial: int
    varied: dict[str, Any]
    seller: str
    train: str
    seed: int

    @classmethod
    def of(cls, planned: Planned) -> Entry:
        """Return the entry of a planned cell."""
        cell = planned.cell
        where = planned.scenario, planned.population_seed, planned.way, planned.trial, dict(planned.varied)
        return cls(cell.key, planned.name, *where, cell.seller, cell.train, cell.seed)


class Best(NamedTuple):
    """The cell that earns most on tuning days of a scenario, $ a day, and its ratio to IMP (NaN if not known yet)."""

    name: str
    tuning_profit: float
    share_of_imp: float

    def __str__(self) -> str:
        return f"{self.name}, {self.earned}"

    @property
    def earned(self) -> str:
        """What it earns, in words."""
        share = "" if np.isnan(self.share_of_imp) else f", {self.share_of_imp:.3f} of IMP"
        return f"${self.tuning_profit:,.0f} a tuning day{share}"


class Progress(NamedTuple):
    """How far a sweep is. ``seconds_left`` is NaN before the first cell has ended, ``best`` by scenario."""

    total: int
    done: int
    running: int
    failed: dict[str, str]
    seconds_left: float
    best: dict[str, Best]

    def __str__(self) -> str:
        left = "" if np.isnan(self.seconds_left) or self.done == self.total else f", {duration(self.seconds_left)} left"
        return f"{self.done} of {self.total} done, {self.running} running, {len(self.failed)} failed{left}"


def duration(seconds: float) -> str:
    """Return a duration in the unit that suits it."""
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


@dataclasses.dataclass
class SweepState:
    """What a sweep does: its cells in order, the number of cells that searches will add, failures by key."""

    planned: list[Entry]
    later: int = 0
    slots: int = 0
    failed: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    since: str = dataclasses.field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


class SweepFolder:
    """The folder of a sweep.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records: dict[str, dict[str, Any]] = {}

    def record(self, key: str) -> dict[str, Any] | None:
        """Return the record of a finished cell, None if it is not finished; one that is damaged is not."""
        if key not in self._records:
            path = self.path / CELLS / key / RESULT
            if not path.exists():
                return None
            try:
                self._records[key] = json.loads(unsealed(read_bytes(path)))
            except ValueError:
                return None
        return self._records[key]

    def keep(self, key: str, result: Result) -> None:
        """Write a finished cell, whole or not at all."""
        target = self.path / CELLS / key
        target.parent.mkdir(exist_ok=True)
        if target.exists():  # damaged: finished cells are not run again
            shutil.rmtree(target)
        with new_whole_folder(target) as folder:
            for name, content in result.files.items():
                write_whole(folder / name, content)
            write_whole(folder / RESULT, sealed(json.dumps(result.record).encode()))
        self._records[key] = result.record

    def write(self, state: SweepState) -> None:
        """Write state.json."""
        write_whole(self.path / STATE, json.dumps({**vars(state), "planned": [it._asdict() for it in state.planned]}))

    def read(self) -> SweepState:
        """Return what state.json holds.

        Raises
        ------
        ValueError
            If the folder holds no sweep.
        """
        try:
            said = json.loads(read_text(self.path / STATE))
            return SweepState(**{**said, "planned": [Entry(**it) for it in said["planned"]]})
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"folder {str(self.path)!r} holds no sweep: {error}") from error

    @property
    def is_running(self) -> bool:
        """Whether a process works on it."""
        try:
            with locked(self.path):
                return False
        except BlockingIOError:
            return True

    def progress(self, state: SweepState, is_running: bool) -> Progress:
        """Return how far the sweep is, from its state and the finished cells."""
        records = {it.key: self.record(it.key) for it in state.planned}
        done = {key: record for key, record in records.items() if record is not None}
        failed = {it.name: state.failed[it.key] for it in state.planned if it.key in state.failed}
        waiting = [it for it in state.planned if it.key not in done and it.key not in state.failed]
        running = min(state.slots, len(waiting)) if is_running else 0
        return Progress(
            total=len(records) + state.later,
            done=len(done),
            running=running,
            failed=failed,
            seconds_left=_seconds_left(state, done, waiting),
            best=_best(state.planned, done),
        )

    def link_runs(self, planned: Sequence[Entry]) -> None:
        """Name the training runs anew: runs/SCENARIO/WAY/seedK leads to its cell, as `lmaas evaluate` takes them."""
        runs = self.path / RUNS
        shutil.rmtree(runs, ignore_errors=True)
        for it in planned:
            if it.train and self.record(it.key) is not None:
                link = runs / it.name
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(Path("..", "..", "..", CELLS, it.key), target_is_directory=True)


def _seconds(record: Mapping[str, Any]) -> float:
    return record["training_seconds"] + record["selling_seconds"]


def _seconds_left(state: SweepState, done: Mapping[str, Mapping[str, Any]], waiting: Sequence[Entry]) -> float:
    """Return the time that the other cells need if they take as long as those of their way, or else as all."""
    if not done:
        return np.nan
    ways: dict[str, list[float]] = {}
    for it in state.planned:
        if it.key in done:
            ways.setdefault(it.way.partition(",")[0], []).append(_seconds(done[it.key]))
    overall = float(np.mean([_seconds(record) for record in done.values()]))
    each = [float(np.mean(ways.get(it.way.partition(",")[0], [overall]))) for it in waiting]
    return (sum(each) + overall * state.later) / max(1, state.slots)


def _best(planned: Sequence[Entry], done: Mapping[str, Mapping[str, Any]]) -> dict[str, Best]:
    means = {key: float(np.mean(record["tuning_profit"])) for key, record in done.items()}
    best: dict[str, Best] = {}
    for it in planned:
        place = it.name.partition("/")[0]
        if it.key not in means or it.seller == REFERENCE:
            continue
        if place not in best or means[it.key] > best[place].tuning_profit:
            imp = next((means.get(other.key) for other in planned if other.name == f"{place}/{REFERENCE}"), None)
            best[place] = Best(it.name, means[it.key], np.nan if imp is None else means[it.key] / imp)
    return best
