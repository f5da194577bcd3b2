"""Sweeps: the file, cells and their keys, the local engine, the folder, searches, tables and the commands."""

from __future__ import annotations

import csv
import dataclasses
import importlib
import json
import operator
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lmaas_train.__main__ import main
from lmaas_train.evaluation.certified_bounds import certified_bounds
from lmaas_train.evaluation.scores import load_runs
from lmaas_train.sweeps import cell as cells
from lmaas_train.sweeps.cell import Cell, Result, run_cell
from lmaas_train.sweeps.engines import LocalEngine, Outcome
from lmaas_train.sweeps.folder import CELLS, RESULT, SweepFolder
from lmaas_train.sweeps.normalised import LEVELS, normalised
from lmaas_train.sweeps.plan import SweepPlan
from lmaas_train.sweeps.run import run_plan
from lmaas_train.sweeps.sweep_file import read_plan
from lmaas_train.sweeps.table import cell_rows, ways

from lmaas_env import Market, Scenario
from lmaas_env.seeds import held_out_seeds

pytest.importorskip("pyarrow")

ROOT = Path(__file__).parents[2]
SMALL = """
scenarios: [static]
days: 3
tuning_days: 2
seeds: 2
sellers: [random]
algorithms:
  ppo:
    steps: 32
    settings: { lanes: 16, hidden: [8] }
    grid: { batches: [2, 4] }
"""


def plan_of(text: str, folder: Path) -> SweepPlan:
    (folder / "sweep.yaml").write_text(text, encoding="utf-8")
    return read_plan(folder / "sweep.yaml")


class Inline:
    """An engine that calls a function for each cell in this process, and counts."""

    slots = 1

    def __init__(self, found: Any, stop_after: int = 10**6) -> None:
        self.found, self.left, self.ran = found, stop_after, list[Cell]()

    def run(self, work: Any, tasks: Mapping[str, tuple[Any, ...]]) -> Generator[Outcome]:
        for key, (cell, _) in tasks.items():
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            self.ran.append(cell)
            value = self.found(cell)
            yield Outcome(key, error=value) if isinstance(value, str) else Outcome(key, value)


def earned(profit: float) -> Result:
    record = {
        "cell": {"settings": {}, "options": {}, "scenario": Scenario().to_dict(), "population_seed": 0},
        "versions": {"numpy": "1"},
        "started": "now",
        "training_seconds": 2.0,
        "selling_seconds": 1.0,
        "milliseconds_per_decision": 1.0,
        "profit": [profit, profit + 1.0],
        "customer_profit": [0.0, 0.0],
        "tuning_profit": [profit, profit],
    }
    return Result(record, {})


def profit_of(cell: Cell) -> Result:
    return earned(100.0 if cell.seller == "imp" else 50.0 + cell.seed + cell.settings.get("batches", 0))


def test_a_file_is_a_grid_with_imp_first(tmp_path: Path) -> None:
    plan = plan_of(SMALL.replace("[static]", "[static, mini]"), tmp_path)
    names = [it.name for it in plan.grid]
    assert names[:4] == ["static/imp", "mini/imp", "static/random", "mini/random"]
    places = [f"{scenario}/ppo,batches={n}/seed{k}" for scenario in ("static", "mini") for n in (2, 4) for k in (1, 2)]
    assert names[4:] == places
    assert len({it.cell.key for it in plan.grid}) == len(names)
    assert plan.grid[4].cell.settings["hidden"] == [8]
    assert plan.grid[4].cell.settings["copies"] == 8  # defaults are part of a cell


def test_steps_differ_by_scenario_and_settings_start_from_those_of_a_name(tmp_path: Path) -> None:
    text = """
scenarios: [day, static]
algorithms:
  guided: { train: sb3, steps: { day: 96, static: 48 } }
  wide: { train: sb3, steps: 64, config: ppo-wide, settings: { n_epochs: 3 } }
"""
    cells = {it.name: it.cell for it in plan_of(text, tmp_path).grid}
    steps = {name: cell.options["steps"] for name, cell in cells.items() if cell.train}
    assert steps == {
        "day/guided/seed1": 96,
        "static/guided/seed1": 48,
        "day/wide/seed1": 64,
        "static/wide/seed1": 64,
    }
    wide, guided = cells["day/wide/seed1"].settings, cells["day/guided/seed1"].settings
    assert (wide["n_envs"], wide["n_epochs"], wide["policy"]) == (256, 3, "flat")
    assert guided["policy"] == "set"
    for before, after, fault in (
        (
            "{ day: 96, static: 48 }",
            "{ day: 96 }",
            "line 4: algorithms.guided.steps = {'day': 96} must be a number, or",
        ),
        ("static: 48", "static: 0", "line 4: algorithms.guided.steps.static = 0 must be a whole number in [1, 1e+12]"),
        ("ppo-wide", "ppo-wild", "line 5: algorithms.wide.config = 'ppo-wild' is unknown, did you mean 'ppo-wide'?"),
        ("ppo-wide", "ppo-wide.yaml", "line 5: algorithms.wide.config = 'ppo-wide.yaml' must be the name of"),
        ("train: sb3, steps: 64", "steps: 64", "line 5: algorithms.wide.config is no option of lmaas train in sweeps"),
    ):
        with pytest.raises(ValueError, match="sweep file") as error:
            plan_of(text.replace(before, after), tmp_path)
        assert fault in str(error.value)


def test_a_key_changes_with_everything_that_a_result_depends_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = plan_of(SMALL, tmp_path).grid[-1].cell
    changes: dict[str, Any] = {
        "scenario": {**cell.scenario, "harvest": 0.5},
        "customers": "x",
        "population_seed": 1,
        "seller": "imp",
        "train": "sb3",
        "options": {"steps": 33},
        "settings": {**cell.settings, "lanes": 8},
        "seed": 3,
        "days": 4,
        "tuning_days": 3,
    }
    assert changes.keys() == {field.name for field in dataclasses.fields(Cell)}
    keys = {dataclasses.replace(cell, **{name: value}).key for name, value in changes.items()}
    assert len({cell.key, *keys}) == len(changes) + 1
    assert dataclasses.replace(cell).key == cell.key
    monkeypatch.setattr(cells, "versions", lambda: {"lmaas": "9"})
    assert dataclasses.replace(cell).key not in {cell.key, *keys}


def test_a_cell_carries_the_customers_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Market(Scenario.preset("static"), seed=5).population.to_csv(tmp_path / "people.csv")
    (tmp_path / "mine.yaml").write_text("base: static\ncustomers_file: people.csv\n")
    plan = plan_of("scenarios: [mine.yaml]\ndays: 2\ntuning_days: 2\nsellers: [random]\n", tmp_path)
    cell = plan.grid[-1].cell
    result = run_cell(cell, {})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").rename(tmp_path / "gone.csv")
    assert run_cell(cell, {}).record["profit"] == result.record["profit"]
    drawn = plan_of("scenarios: [static]\ndays: 2\ntuning_days: 2\nsellers: [random]\n", tmp_path).grid[-1].cell
    assert run_cell(drawn, {}).record["profit"] != result.record["profit"]


def test_a_worker_with_other_versions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"this worker has numpy .*, the command runs with 0\.1"):
        run_cell(plan_of(SMALL, tmp_path).grid[0].cell, {"numpy": "0.1"})


def test_a_trained_cell_equals_the_command_and_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cell = plan_of(SMALL, tmp_path).grid[2].cell
    result = run_cell(cell, {})
    assert sorted(result.files) == [
        "config.yaml",
        "evaluations.csv",
        "origin.json",
        "policy.json",
        "policy.safetensors",
    ]
    command = json.loads(result.files["origin.json"])["command"]
    assert command.startswith("lmaas train --steps 32 ")
    assert "--seed 1 --out run" in command
    Scenario.preset("static").to_yaml("scenario.yaml")
    (tmp_path / "settings.yaml").write_text("lanes: 16\nhidden: [8]\nbatches: 2\n")
    assert main([*command.split()[1:], "--no-progress"]) == 0
    assert (tmp_path / "run/policy.safetensors").read_bytes() == result.files["policy.safetensors"]
    assert [it.name for it in tmp_path.iterdir() if it.name.startswith("lmaas-cell-")] == []


def test_a_training_that_was_stopped_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lmaas_train.cli import train

    monkeypatch.setattr(train._Run, "train", lambda self: self.stop())
    with pytest.raises(ValueError, match="stopped before its end"):
        run_cell(plan_of(SMALL, tmp_path).grid[2].cell, {})


def test_finished_cells_are_kept_found_and_pair_with_imp(tmp_path: Path) -> None:
    plan, folder = plan_of(SMALL, tmp_path), SweepFolder(tmp_path)
    first = Inline(profit_of, stop_after=3)
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, first, folder, lambda *_: None)
    assert (tmp_path / "table.parquet").exists()
    damaged = tmp_path / CELLS / plan.grid[0].cell.key / RESULT
    damaged.write_bytes(damaged.read_bytes()[:-2])
    second, folder = Inline(profit_of), SweepFolder(tmp_path)
    state = run_plan(plan, second, folder, lambda *_: None)
    assert [it.key for it in second.ran] == [plan.grid[i].cell.key for i in (0, 3, 4, 5)]
    assert run_plan(plan, nothing := Inline(profit_of), folder, lambda *_: None).planned == state.planned
    assert nothing.ran == []

    rows = cell_rows(folder, state)
    assert [row["key"] for row in rows] == [it.cell.key for it in plan.grid]
    assert [row["minus_imp"] for row in rows] == [0.0, -50.0, -47.0, -46.0, -45.0, -44.0]
    best, *others = (it for it in ways(folder, state) if it.way != "imp")
    assert (best.way, best.cells, best.minus_imp.mean) == ("ppo,batches=4", 2, -44.5)
    assert best.profit.mean == 56.0
    assert [it.way for it in others] == ["ppo,batches=2", "random"]


def test_scores_lie_between_imp_and_the_bound_and_between_random_and_lookahead(tmp_path: Path) -> None:
    text = (
        SMALL.replace("[static]", "[day, static]")
        .replace("days: 3", "days: 2")
        .replace("[random]", "[random, lookahead]")
    )
    plan, folder = plan_of(text, tmp_path), SweepFolder(tmp_path)
    market = Market("day")
    bounds = certified_bounds(market, held_out_seeds(2))
    assert bounds is not None

    def found(cell: Cell) -> Result:
        """IMP earns half of the bound, random nothing, look-ahead IMP 200 $ and seed s 100 s $ a day."""
        known = {"imp": 0.5 * bounds.mean(), "random": 0.0, "lookahead": 200.0}
        return earned(known.get(cell.seller, 100.0 * cell.seed) - 0.5)

    state = run_plan(plan, Inline(found), folder, lambda *_: None)
    by_way = {(it.scenario, it.way): it for it in ways(folder, state)}
    middle = by_way["day", "random"].profit.mean
    assert middle == pytest.approx(0.0)
    # The helper's records say that every cell is of the preset `day`.
    assert by_way["day", "random"].score.mean == pytest.approx(-1.0)
    assert by_way["day", "ppo,batches=2"].profit_iqm == pytest.approx(150.0, abs=1.0)
    both = {it.way: it for it in normalised(folder, state)}
    means = [both[name].mean.mean for name in ("random", "lookahead", "ppo,batches=2")]
    assert means == pytest.approx([0.0, 1.0, 0.75])
    assert (both["ppo,batches=2"].seeds, both["ppo,batches=2"].iqm.low, both["ppo,batches=2"].iqm.high) == (2, 0.5, 1.0)
    profile = {
        level: above
        for level, (above, _, _) in zip(LEVELS.round(3).tolist(), both["ppo,batches=2"].profile, strict=True)
    }
    assert (profile[0.4], profile[0.6], profile[1.02]) == (1.0, 0.5, 0.0)
    assert {path.name for path in tmp_path.iterdir()} >= {
        "normalised.csv",
        "profiles.csv",
        "normalised.png",
        "normalised-dark.png",
    }


def test_the_parquet_table_holds_every_cell_once(tmp_path: Path) -> None:
    parquet = importlib.import_module("pyarrow.parquet")
    plan = plan_of(SMALL, tmp_path)
    run_plan(plan, Inline(lambda cell: "no luck" if cell.seed == 2 else profit_of(cell)), SweepFolder(tmp_path), print)
    rows = parquet.read_table(tmp_path / "table.parquet").to_pylist()
    assert [row["key"] for row in rows] == [it.cell.key for it in plan.grid]
    assert [row["status"] for row in rows] == ["done", "done", "done", "failed", "done", "failed"]
    assert {row["error"] for row in rows} == {"", "no luck"}
    assert rows[0]["day_profit"] == [100.0, 101.0]
    assert rows[0]["version_numpy"] == "1"


def test_progress_counts_estimates_and_names_the_best(tmp_path: Path) -> None:
    plan, folder, seen = plan_of(SMALL, tmp_path), SweepFolder(tmp_path), list[Any]()
    run_plan(
        plan,
        Inline(lambda cell: "no" if cell.seller == "random" else profit_of(cell)),
        folder,
        lambda _, now: seen.append(now),
    )
    assert [(it.total, it.done, it.running, len(it.failed)) for it in seen[:4]] == [
        *((6, 0, 1, 0), (6, 1, 1, 0)),
        *((6, 1, 1, 1), (6, 2, 1, 1)),
    ]
    assert np.isnan(seen[0].seconds_left)
    assert seen[1].seconds_left == 15.0  # 5 cells of 3 s each
    assert seen[1].best == {}
    assert seen[-1].best["static"] == ("static/ppo,batches=4/seed2", 56.0, 0.56)
    assert str(seen[2]) == "1 of 6 done, 1 running, 1 failed, about 12 s left"


def test_the_local_engine_yields_values_and_errors() -> None:
    tasks = {"half": (1, 2), "none": (1, 0), "third": (1, 3)}
    found = {it.key: it for it in LocalEngine(2).run(operator.truediv, tasks)}
    assert found.keys() == tasks.keys()
    assert found["half"].value == 0.5
    assert found["none"].error == "ZeroDivisionError: division by zero"
    assert list(LocalEngine(1).run(operator.truediv, {})) == []


@pytest.mark.heavy
def test_a_lost_worker_costs_its_own_task_only(tmp_path: Path) -> None:
    """A shell that kills its parent, the worker: once, where a file says that it has done so, or always."""
    once = f"test -e {tmp_path / 'killed'} || (touch {tmp_path / 'killed'}; kill -9 $PPID)"
    tasks = {"always": ("kill -9 $PPID; sleep 5",), "once": (once,), "never": ("exit 0",)}
    found = {it.key: it for it in LocalEngine(2).run(os.system, tasks)}
    assert (found["once"].value, found["never"].value) == (0, 0)
    assert found["always"].error == "its worker was lost 3 times, as for lack of memory"


@pytest.mark.heavy
def test_workers_end_when_the_engine_is_closed_or_its_process_is_killed(tmp_path: Path) -> None:
    running = LocalEngine(2).run(os.system, {"short": ("exit 0",), "long": (f"echo $PPID > {tmp_path}/a; sleep 20",)})
    assert next(running).key == "short"
    worker = _pid(tmp_path / "a")
    running.close()
    assert not _lives(worker)

    code = (
        "import os; from lmaas_train.sweeps.engines import LocalEngine\n"
        f"list(LocalEngine(1).run(os.system, {{'long': ('echo $PPID > {tmp_path}/b; sleep 20',)}}))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as driver:
        worker = _pid(tmp_path / "b")
        driver.send_signal(signal.SIGKILL)
    threading.Event().wait(0.1)
    deadline = time.monotonic() + 10.0  # before its task would end
    while _lives(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _lives(worker)


def _pid(path: Path) -> int:
    deadline = time.monotonic() + 60.0
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(path.read_text())


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


SEARCH = """
scenarios: [static]
days: 2
tuning_days: 2
seeds: 2
algorithms:
  ppo:
    steps: 32
    search:
      trials: 7
      batch: 3
      space: { learning_rate: { low: 0.0001, high: 0.1, log: true }, batches: [2, 8, 16], copies: [3, 8] }
"""


def near(cell: Cell) -> Result:
    return earned(-abs(np.log10(cell.settings.get("learning_rate", 1.0)) + 2.0))


def test_a_search_proposes_the_same_cells_wherever_it_stops(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    plan, whole = plan_of(SEARCH, tmp_path), Inline(near)
    state = run_plan(plan, whole, SweepFolder(_made(tmp_path / "whole")), lambda *_: None)
    assert state.later == 0
    assert 3 <= len({it.trial for it in state.planned if it.trial >= 0}) <= 7  # copies = 3 are refused
    assert state.planned[1].varied == {"learning_rate": 0.002, "batches": 8, "copies": 8}  # the defaults
    folder = _made(tmp_path / "stopped")
    stopped = Inline(near, stop_after=4)
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, stopped, SweepFolder(folder), lambda *_: None)
    rest = Inline(near)
    again = run_plan(plan, rest, SweepFolder(folder), lambda *_: None)
    assert again.planned == state.planned
    assert [it.key for it in stopped.ran + rest.ran] == [it.key for it in whole.ran]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("scenarios: [static]", "scenario: [static]", "line 2: key 'scenario' is unknown, did you mean 'scenarios'?"),
        ("[static]", "[statik]", "line 2: scenarios: scenario = 'statik' is unknown, did you mean 'static'?"),
        ("[static]", "[../static.yaml]", "line 2: scenarios: scenarios = '../static.yaml' must lie in the folder"),
        ("days: 3", "days: 1", r"line 3: days = 1 must be a whole number in [2, 100000]"),
        ("seeds: 2", "seeds: 500", "line 5: seeds: training seed = 500 must be in 1..499"),
        ("[random]", "[rondom]", "line 6: sellers: 'rondom' is unknown, did you mean 'random'?"),
        ("steps: 32", "steps: 0", r"line 9: algorithms.ppo.steps = 0 must be a whole number in [1, 1e+12]"),
        ("steps: 32", "train: pppo", "line 9: algorithms.ppo.train = 'pppo' must be one of ppo, sb3, in-context"),
        ("lanes: 16", "lanez: 16", "line 10: algorithms.ppo.settings.lanez is unknown, did you mean 'lanes'?"),
        ("lanes: 16", "lanes: 12", "line 8: algorithms.ppo, scenario static: copies = 8 must divide lanes = 12"),
        ("[2, 4]", "[2, 3]", "line 8: algorithms.ppo, scenario static: batches = 3 must divide the 16 steps"),
        ("[2, 4]", "[2, 2]", "line 8: static/ppo,batches=2/seed1 is the same cell as static/ppo,batches=2/seed1"),
        ("[2, 4]", "2", "line 11: algorithms.ppo.grid.batches = 2 must be a list of values"),
        ("  ppo:", "  imp:", "line 8: algorithm 'imp' must be a name without / and comma that no seller has"),
    ],
)
def test_a_bad_file_is_refused_by_line(before: str, after: str, fault: str, tmp_path: Path) -> None:
    assert before in SMALL
    with pytest.raises(ValueError, match="sweep file") as error:
        plan_of(SMALL.replace(before, after, 1), tmp_path)
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


def test_committed_sweep_files_are_valid() -> None:
    files = sorted((ROOT / "benchmarks/sweeps").glob("*.yaml"))
    assert files
    for file in files:
        plan = read_plan(file)
        assert plan.grid[0].cell.seller == "imp"
        assert len(plan.grid) + len(plan.searches) > 1


def test_the_status_of_a_sweep_loads_nothing_that_cells_need(tmp_path: Path) -> None:
    plan = plan_of(SMALL, tmp_path)
    run_plan(plan, Inline(profit_of), SweepFolder(tmp_path), lambda *_: None)
    heavy = "('torch', 'stable_baselines3', 'scipy.stats', 'pyarrow', 'optuna', 'ray', 'matplotlib', 'plotly')"
    code = (
        f"import sys; from lmaas_train.__main__ import main; main(['sweep', 'status', {str(tmp_path)!r}])\n"
        f"print([it for it in {heavy} if it in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, *_, last = done.stdout.splitlines()
    assert first.startswith("6 of 6 done, 0 running, 0 failed")
    assert last == "[]"


@pytest.mark.heavy
def test_the_commands_run_go_on_and_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parquet = importlib.import_module("pyarrow.parquet")
    (tmp_path / "small.yaml").write_text(SMALL)
    out = tmp_path / "out"
    arguments = ["sweep", str(tmp_path / "small.yaml"), "--jobs", "2", "--out", str(out)]
    assert main(arguments) == 0
    assert "6 of 6 done, 0 running, 0 failed" in capsys.readouterr().out
    first = parquet.read_table(out / "table.parquet").to_pylist()
    assert json.loads((out / "origin.json").read_text())["complete"] is True
    runs = load_runs(out / "runs/static/ppo,batches=4", Market("static"))
    assert list(runs) == ["seed1", "seed2"]

    assert main(arguments) == 0  # nothing is run again
    assert parquet.read_table(out / "table.parquet").to_pylist() == first
    capsys.readouterr()
    assert main(["sweep", "status", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == 6
    (out / "summary.csv").unlink()
    assert main(["sweep", "report", str(out)]) == 0
    with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
        assert {row["way"] for row in csv.DictReader(file)} == {"imp", "random", "ppo,batches=2", "ppo,batches=4"}

    for bad, fault in (
        (["sweep", "status", str(tmp_path)], "holds no sweep"),
        ([*arguments, "--address", "auto"], "address = 'auto' needs engine = 'ray'"),
        ([*arguments[:-3], "0", *arguments[-2:]], "jobs = 0 must be at least 1"),
    ):
        assert main(bad) == 2
        assert fault in capsys.readouterr().err
