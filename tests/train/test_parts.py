"""Parts of commands on engines: kept, in order, named where they fail; a study gives the same rows on any engine."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import operator
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lmaas_train.runs import UNFINISHED, results_folder
from lmaas_train.studies import ahead
from lmaas_train.studies.ahead import StudyAhead
from lmaas_train.sweeps import parts
from lmaas_train.sweeps.engines import InProcess, LocalEngine, Outcome
from lmaas_train.sweeps.parts import EngineOptions, in_order, rows_of, values_of
from rich.console import Console


class Backwards:
    """An engine that runs the last task first, and counts."""

    slots = 1

    def __init__(self) -> None:
        self.ran = list[str]()

    def run(self, work: Any, tasks: Mapping[str, tuple[Any, ...]]) -> Generator[Outcome]:
        for key, task in reversed([*tasks.items()]):
            self.ran.append(key)
            yield Outcome(key, work(*task))


def shared(one: float, other: float) -> list[list[float]]:
    if not other:
        raise ValueError(f"other = {other} must not be 0")
    return [[one / other]]


def test_rows_are_in_order_and_parts_that_are_kept_are_not_run_again(tmp_path: Path) -> None:
    tasks, console = {"half": (1.0, 2.0), "none": (1.0, 0.0), "third": (1.0, 4.0)}, Console()
    settings = {"study": "shares"}
    run = functools.partial(rows_of, work=shared, tasks=tasks, console=console, about="shares")
    stopped = pytest.raises(ValueError, match=r"^other = 0\.0 must not be 0$")
    with stopped, results_folder(tmp_path / "out", "", settings) as results:
        run(results, InProcess())
    tasks["none"] = (1.0, 5.0)
    damaged = sorted((tmp_path / "out" / UNFINISHED).glob("*.part"))
    assert len(damaged) == 1
    for engine, rows, ran in (
        (Backwards(), [[[0.5]], [[0.2]], [[0.25]]], ["third", "none"]),
        (Backwards(), [[[0.5]], [[0.2]], [[0.25]]], ["half"]),
    ):
        found = list[Any]()
        with contextlib.suppress(KeyboardInterrupt), results_folder(tmp_path / "out", "", settings) as results:
            found = run(results, engine)
            raise KeyboardInterrupt  # so that the parts stay
        assert (found, engine.ran) == (rows, ran)
        damaged[0].write_bytes(b"damaged")


def test_a_part_that_fails_is_named_and_a_worker_with_other_versions_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tasks = {"day 1": (1, 0)}
    with pytest.raises(ValueError, match=r"^day 1: ZeroDivisionError: division by zero$"):
        list(values_of(LocalEngine(1), operator.truediv, tasks, Console(), "days"))
    monkeypatch.setattr(parts, "versions", lambda: {"numpy": "0.1"})
    with pytest.raises(ValueError, match=r"^this worker has numpy .*, the command runs with 0\.1$"):
        list(values_of(InProcess(), operator.truediv, tasks, Console(), "days"))


def test_values_come_in_the_order_of_the_items() -> None:
    assert list(in_order(Backwards(), operator.neg, [1, 2, 3])) == [-1, -2, -3]
    assert list(in_order(InProcess(), operator.neg, [])) == []


def test_one_job_runs_in_this_process_and_bad_options_are_refused() -> None:
    assert isinstance(EngineOptions().new_engine(), InProcess)
    assert isinstance(EngineOptions().new_engine(in_process=False), LocalEngine)
    assert EngineOptions(jobs=2).new_engine().slots == 2
    with pytest.raises(ValueError, match=r"^jobs = 0 must be at least 1$"):
        EngineOptions(jobs=0).new_engine()
    with pytest.raises(ValueError, match=r"^address = 'auto' needs engine = 'ray'$"):
        EngineOptions(address="auto").new_engine()


def test_a_study_gives_the_same_rows_in_processes_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: dict[str, Any] = {"scenarios": ("mini",), "populations": (0, 1), "days": 2}
    rows = StudyAhead(**sizes, out=tmp_path / "here").main()
    monkeypatch.setattr(ahead, "plan_day", None)  # nothing is planned in this process
    assert StudyAhead(**sizes, out=tmp_path / "apart", jobs=2).main() == rows
    assert (tmp_path / "here/days.csv").read_bytes() == (tmp_path / "apart/days.csv").read_bytes()


def test_a_worker_that_dies_while_it_waits_is_replaced() -> None:
    outcomes = LocalEngine(1).run(operator.neg, {"a": (1,), "b": (2,), "c": (3,)})
    found = [next(outcomes)]
    for child in multiprocessing.active_children():
        child.kill()
        child.join()
    assert [it.value for it in [*found, *outcomes]] == [-1, -2, -3]
