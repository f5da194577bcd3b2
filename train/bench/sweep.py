"""`lmaas bench sweep`: what a cell of a sweep costs, and how long sweeps take on more workers.

A sweep of C cells that train PPO for n steps each, on W workers of one core, is taken to last

    start + ceil(C / W) * (transfer + cell + n * (step + learner)).

Each cost is measured apart, with all workers busy, as they share caches and memory: the start of a worker until it has
the package and its compiled kernels; the transfer of a cell and its result; what a cell takes beyond training (its
market, IMP on the same days, two evaluations, the sale of all days); a step of the environment; and what PPO adds to a
step. Then a real sweep runs on the same engine, and the prediction is compared with the time that it takes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lmaas_train.bench.kernel import medians
from lmaas_train.markdown import markdown_table
from lmaas_train.progress import track
from lmaas_train.runs import csv_text, machine, new_folder, versions, write_origin
from lmaas_train.sweeps.cell import run_cell
from lmaas_train.sweeps.engines import THREADS, Engine, LocalEngine
from lmaas_train.sweeps.parts import EngineOptions, values_of
from lmaas_train.sweeps.plan import Algorithm, SweepPlan
from rich.console import Console
from rich.table import Table

from lmaas_env import LMaaSVectorEnv, Market, Scenario
from lmaas_env.files import write_whole

LANES = (16, 64, 256, 1024)
COPIES = 8  # of a day among the lanes, as in PPO's default settings
BATCHES = 8
DAYS = 4  # held-out and tuning days that a cell sells
CLUSTERS = (1, 8, 64, 512)  # workers that a longer sweep is predicted on
LONGER = 512, 2_000_000  # its cells, and their steps


@dataclasses.dataclass
class BenchSweep(EngineOptions):
    """Measure what a cell of a sweep costs, predict how long a sweep takes, and compare with one.

    Writes throughput.csv, learner.csv, costs.csv and summary.md.

    Examples
    --------
      lmaas bench sweep
      lmaas bench sweep --engine ray --address 127.0.0.1:6379
    """

    scenario: str = "day"
    """Preset or YAML file."""
    cells: int = 4
    """Cells of the sweep that is predicted and run."""
    steps: int = 400_000
    """Training steps of each of them."""
    seconds: float = 2.0
    """Time spent on every number."""
    jobs: int = 2
    """Processes of the engine `local`, beside which one process is measured."""
    out: Path | None = None
    """New folder for the results; default runs/bench-sweep-TIME."""

    def main(self) -> list[Costs]:
        """Run the benchmark and return its rows."""
        return bench(self)


class Throughput(NamedTuple):
    """Steps per second of the vector environment, of all processes together."""

    processes: int
    threads: int
    lanes: int
    steps_per_second: float


class Learning(NamedTuple):
    """Seconds of a step with so many lanes: of the environment, and what PPO adds to it."""

    lanes: int
    step: float
    learner: float


class Costs(NamedTuple):
    """Seconds that sweeps on so many workers are predicted from, and those of the sweep that was predicted."""

    engine: str
    workers: int
    start: float
    transfer: float
    cell: float
    step: float
    learner: float
    predicted: float
    measured: float

    def of_sweep(self, cells: int, steps: int, workers: int, started: bool = False) -> float:
        """Return the seconds of a sweep on workers of this kind, which may have ``started`` before, as Ray's have."""
        each = self.transfer + self.cell + steps * (self.step + self.learner)
        return (0.0 if started else self.start) + math.ceil(cells / workers) * each


def bench(args: BenchSweep) -> list[Costs]:
    """Run the benchmark as `BenchSweep` says and return its rows."""
    for name in ("cells", "steps"):
        if getattr(args, name) < 1:
            raise ValueError(f"{name} = {getattr(args, name)} must be >= 1")
    if not 0.0 < args.seconds < math.inf:
        raise ValueError(f"seconds = {args.seconds} must be above 0, and finite")
    market = Market(Scenario.load(args.scenario))
    with _threads(1):
        engines = [args.new_engine(in_process=False)]
    if args.engine == "local" and args.jobs > 1:
        engines.insert(0, LocalEngine(1))
    out, console = new_folder(args.out, "bench-sweep"), Console()
    where = machine()
    console.print(where, highlight=False)
    throughput, learning = list[Throughput](), list[Learning]()
    if args.engine == "local":
        throughput = _throughput(market.scenario, args.jobs, args.seconds, console)
        lanes = track(LANES, "PPO", "sizes", console)
        learning = [Learning(it, *_learning(market.scenario, it, args.seconds)) for it in lanes]
        write_whole(out / "throughput.csv", csv_text(Throughput._fields, throughput))
        write_whole(out / "learner.csv", csv_text(Learning._fields, learning))
    with _threads(1):
        rows = [_costs(engine, market, args, console) for engine in engines]
    write_whole(out / "costs.csv", csv_text(Costs._fields, rows))
    write_whole(out / "summary.md", summary(where, throughput, learning, rows, args))
    write_origin(out)
    for headings, cells in _tables(throughput, learning, rows):
        table = Table(*headings, title="steps/s by processes × threads" if "1 × 1" in headings else None)
        for line in cells:
            table.add_row(*line)
        console.print(table)
    console.print(f"files in {out}: {', '.join(sorted(it.name for it in out.iterdir()))}", highlight=False)
    return rows


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let workers that start meanwhile use so many threads each."""
    before = os.environ.get(THREADS)
    os.environ[THREADS] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ[THREADS]
        else:
            os.environ[THREADS] = before


def _throughput(scenario: Scenario, most: int, seconds: float, console: Console) -> list[Throughput]:
    """Return the speed of the environment with one process or as many as threads, and threads in one process."""
    rows: list[Throughput] = []
    for processes, threads in dict.fromkeys([(1, 1), (1, most), (most, 1)]):
        with _threads(threads):
            tasks = {str(process): (scenario, seconds) for process in range(processes)}
            about = f"{processes} × {threads}"
            found = [value for _, value in values_of(LocalEngine(processes), _speeds, tasks, console, about)]
        rows += [
            Throughput(processes, threads, lanes, sum(1.0 / own[place] for own in found))
            for place, lanes in enumerate(LANES)
        ]
    return rows


def _speeds(scenario: Scenario, seconds: float) -> list[float]:
    """Return the seconds of a step of the environment, for every number of lanes."""
    return [_step_seconds(Market(scenario), lanes, seconds) for lanes in LANES]


def _step_seconds(market: Market, lanes: int, seconds: float) -> float:
    """Return the seconds that a step of one of so many lanes takes, at the first prices of PPO."""
    env = LMaaSVectorEnv(lanes, market=market)
    action = np.zeros((lanes, market.catalogue.size), dtype=np.float32)
    periods = market.scenario.periods

    def day() -> None:
        env.reset()
        for _ in range(periods):
            env.step(action)

    env.reset(seed=0)
    return medians([day], seconds)[0] / (lanes * periods)


def _learning(scenario: Scenario, lanes: int, seconds: float) -> tuple[float, float]:
    """Return the seconds of a step of the environment, and those that PPO adds to it."""
    import torch
    from lmaas_train.ppo import PPO
    from lmaas_train.ppo_config import PPOConfig

    torch.set_num_threads(1)
    market = Market(scenario)
    step = _step_seconds(market, lanes, seconds)
    learner = PPO(market, PPOConfig(lanes=lanes, copies=COPIES, batches=BATCHES), 1)
    (update,) = medians([lambda: learner.update(0.0)], seconds)
    return step, max(0.0, update / learner.steps_per_update - step)


def _nothing(cell: Any, result: Any) -> Any:
    """Return a result that is given: what remains is the transfer."""
    return result


def _costs(engine: Engine, market: Market, args: BenchSweep, console: Console) -> Costs:
    """Measure the costs of a sweep on an engine, predict how long it takes, and run it."""
    from lmaas_train.ppo_config import PPOConfig

    workers, lanes = engine.slots, PPOConfig().lanes
    plan = SweepPlan("", {(args.scenario, 0): market}, days=DAYS, tuning_days=DAYS)

    def cells(steps: int, count: int) -> dict[str, tuple[Any, ...]]:
        options = {"steps": steps, "eval_every": steps}
        algorithm = Algorithm("ppo", "ppo", (args.scenario,), tuple(range(1, count + 1)), options, "", {})
        return {it.name: (it.cell, versions()) for it in plan.of_algorithm(algorithm, args.scenario, 0, {})}

    def timed(work: Callable[..., Any], tasks: dict[str, tuple[Any, ...]], about: str) -> list[tuple[float, Any]]:
        """Return the values of tasks as they end, and the seconds until then."""
        began = time.perf_counter()
        ends = values_of(engine, work, tasks, console, f"{about}, {workers} workers", "cells")
        return [(time.perf_counter() - began, value) for _, value in ends]

    # Two rounds of cells of one update, twice: Ray keeps its workers, in which cells of the second run are faster.
    first, runs = cells(lanes * market.scenario.periods, 2 * workers), list[list[tuple[float, Any]]]()
    for _ in range(2):
        runs.append(timed(run_cell, first, "cells of one update"))
    result = runs[0][0][1]
    before, cell = (ended[-1][0] - ended[workers - 1][0] for ended in runs)
    start = max(0.0, runs[0][workers - 1][0] - before)

    moved = {str(task): (first[next(iter(first))][0], result) for task in range(64 * workers)}
    times = [seconds for seconds, _ in timed(_nothing, moved, "transfer")]
    transfer = (times[-1] - times[workers]) / (len(times) - workers) * workers

    own = {str(worker): (market.scenario, lanes, args.seconds) for worker in range(workers)}
    step, learner = np.mean([value for _, value in timed(_learning, own, "PPO")], axis=0)
    costs = Costs(args.engine, workers, start, transfer, cell, float(step), float(learner), 0.0, 0.0)
    predicted = costs.of_sweep(args.cells, args.steps, workers, started=args.engine == "ray")
    measured = timed(run_cell, cells(args.steps, args.cells), "sweep")[-1][0]
    return costs._replace(predicted=predicted, measured=measured)


def _tables(
    throughput: list[Throughput], learning: list[Learning], rows: list[Costs]
) -> list[tuple[list[str], list[list[str]]]]:
    tables: list[tuple[list[str], list[list[str]]]] = []
    if throughput:
        ways = list(dict.fromkeys((row.processes, row.threads) for row in throughput))
        headings = ["lanes", *(f"{processes} × {threads}" for processes, threads in ways)]
        speed = {(row.processes, row.threads, row.lanes): row.steps_per_second for row in throughput}
        tables.append((headings, [[f"{it:,}", *(f"{speed[*way, it]:,.0f}" for way in ways)] for it in LANES]))
    if learning:
        cells = [
            [
                f"{row.lanes:,}",
                f"{1e6 * row.step:.1f}",
                f"{1e6 * row.learner:.1f}",
                f"{1.0 / (row.step + row.learner):,.0f}",
                f"{row.learner / (row.step + row.learner):.0%}",
            ]
            for row in learning
        ]
        tables.append((["lanes", "step, µs", "PPO, µs", "training steps/s", "of which PPO"], cells))
    return [*tables, costs_table(rows)]


def costs_table(rows: Sequence[Costs]) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the lines of a table of costs, with a column per engine and number of workers."""
    headings = ["", *(f"{row.engine}, {row.workers} worker{'s'[: row.workers > 1]}" for row in rows)]
    lines = {
        "start of a worker, s": [f"{row.start:.1f}" for row in rows],
        "transfer of a cell, s": [f"{row.transfer:.4f}" for row in rows],
        "cell beyond training, s": [f"{row.cell:.2f}" for row in rows],
        "step, µs": [f"{1e6 * row.step:.1f}" for row in rows],
        "PPO on a step, µs": [f"{1e6 * row.learner:.1f}" for row in rows],
        "sweep as predicted, s": [f"{row.predicted:.1f}" for row in rows],
        "sweep as measured, s": [f"{row.measured:.1f}" for row in rows],
        "measured / predicted": [f"{row.measured / row.predicted:.2f}" for row in rows],
    }
    return headings, [[name, *values] for name, values in lines.items()]


def summary(
    where: str, throughput: list[Throughput], learning: list[Learning], rows: list[Costs], args: BenchSweep
) -> str:
    """Return the Markdown page of a run."""
    lines = ["# What a sweep costs", "", where, ""]
    *before, (headings, cells) = _tables(throughput, learning, rows)
    titles = [
        "Steps per second of the vector environment, of all processes together, by processes × threads of each.",
        "A step of PPO, on one core.",
    ]
    for title, (own, own_cells) in zip(titles, before, strict=False):
        lines += [title, "", *markdown_table(own, own_cells), ""]
    lines += [f"A sweep of {args.cells} cells of {args.steps:,} steps.", "", *markdown_table(headings, cells), ""]
    count, steps = LONGER
    lines += [f"Predicted: {count} cells of {steps:,} steps, on workers with the costs of the last row.", ""]
    alone = rows[-1].of_sweep(count, steps, 1)
    longer = [
        [f"{workers:,}", f"{seconds / 3600.0:.2f}", f"{alone / seconds:.1f}"]
        for workers in CLUSTERS
        for seconds in (rows[-1].of_sweep(count, steps, workers),)
    ]
    return "\n".join([*lines, *markdown_table(["workers", "hours", "speed-up"], longer), ""])
