"""Parts of a command on an engine: with a progress bar, and kept in a results folder as they end."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

from lmaas_train.extras import require
from lmaas_train.progress import bars
from lmaas_train.runs import Results, check_versions, versions
from lmaas_train.sweeps.engines import Engine, InProcess, LocalEngine, RayEngine
from rich.console import Console

Value = TypeVar("Value")
Rows = Sequence[Sequence[Any]]


@dataclasses.dataclass(kw_only=True)
class EngineOptions:
    """The options of a command that runs many cells."""

    engine: Literal["local", "ray"] = "local"
    """Where cells run: in processes of this machine, or on a Ray cluster (needs the extra `ray`)."""
    jobs: int = 1
    """Processes of the engine `local`."""
    address: str = ""
    """Address of the Ray cluster, or auto; by default a cluster of this machine alone."""

    def check_engine(self) -> None:
        """Raise a ValueError if the options contradict each other, or Ray is missing."""
        require(*(("ray",) if self.engine == "ray" else ()))
        if self.address and self.engine != "ray":
            raise ValueError(f"address = {self.address!r} needs engine = 'ray'")

    def new_engine(self, in_process: bool = True) -> Engine:
        """Return the engine; ``in_process`` says whether one job runs in this process, not in a worker.

        Raises
        ------
        ValueError
            If `check_engine` refuses, the number of jobs is less than 1, or the cluster cannot be reached.
        """
        self.check_engine()
        if self.engine == "ray":
            return RayEngine(self.address)
        return InProcess() if in_process and self.jobs == 1 else LocalEngine(self.jobs)


def values_of(
    engine: Engine,
    work: Callable[..., Value],
    tasks: Mapping[str, tuple[Any, ...]],
    console: Console,
    about: str,
    unit: str = "parts",
) -> Iterator[tuple[str, Value]]:
    """Run a function of a module for every task, with a progress bar, and yield keys and values as they come.

    Raises
    ------
    ValueError
        If a task fails or its worker is lost again and again; the message names the task.
    """
    with bars(console) as progress:
        bar = progress.add_task(about, total=len(tasks), unit=unit)
        for key, value in _values(engine, work, tasks):
            yield key, value
            progress.advance(bar)


def in_order(engine: Engine, work: Callable[[Any], Value], items: Sequence[Any]) -> Iterator[Value]:
    """Yield the value of a function of a module for every item in order, as `map` does; errors as `values_of`."""
    found, passed = dict[str, Value](), 0
    for key, value in _values(engine, work, {str(i): (item,) for i, item in enumerate(items)}):
        found[key] = value
        while str(passed) in found:
            yield found.pop(str(passed))
            passed += 1


def _values(
    engine: Engine, work: Callable[..., Value], tasks: Mapping[str, tuple[Any, ...]]
) -> Iterator[tuple[str, Value]]:
    wanted = versions()
    checked = {key: (work, wanted, task) for key, task in tasks.items()}
    with contextlib.closing(engine.run(_checked, checked)) as outcomes:
        for outcome in outcomes:
            if outcome.error:
                raise ValueError(f"{outcome.key}: {outcome.error}")
            yield outcome.key, outcome.value


def rows_of(
    results: Results,
    engine: Engine,
    work: Callable[..., Rows],
    tasks: Mapping[str, tuple[Any, ...]],
    console: Console,
    about: str,
    unit: str = "parts",
) -> list[list[list[Any]]]:
    """Return the rows of every task in their order, as `Results.rows` keeps them; those of a stopped command are read.

    Parameters
    ----------
    results : Results
    engine : Engine
    work : function of a module
        Returns the rows of a task.
    tasks : mapping of str to tuple
        Arguments by the name of the part, which says all that a part depends on beyond the settings of the results.
    console, about, unit
        Of the progress bar.

    Raises
    ------
    ValueError
        As `values_of`; parts that have ended are kept.
    """
    found = {key: rows for key in tasks if (rows := results.kept_rows(key)) is not None}
    missing = {key: task for key, task in tasks.items() if key not in found}
    for key, rows in values_of(engine, work, missing, console, about, unit):
        found[key] = results.rows(key, lambda rows=rows: rows)
    return [found[key] for key in tasks]


def _checked(work: Callable[..., Value], wanted: Mapping[str, str], task: tuple[Any, ...]) -> Value:
    check_versions(wanted)
    return work(*task)
