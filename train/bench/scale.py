"""`lmaas bench scale`: processor time and memory of markets of a thousand to a million customers.

Every point has a process of its own, which first does the same with 24 customers, so that compiled kernels are loaded.
Times are of the processor, on one core, as they depend less on other load than those of the clock; memory is the peak
of the whole process, and per customer what it is above that of 24 customers.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from lmaas_agents import IMP, LookaheadIMP
from lmaas_agents.planning import plan_day, sampled_plan
from lmaas_train.bench.kernel import PRICES, GrowthRow, exponent
from lmaas_train.markdown import markdown_table
from lmaas_train.progress import track
from lmaas_train.runs import csv_text, machine, results_folder
from rich.console import Console
from rich.table import Table

from lmaas_env import Market, Population, Scenario
from lmaas_env.files import write_whole
from lmaas_env.market import unstack
from lmaas_env.rsr import solve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = (10**3, 10**4, 10**5, 10**6)
FEW = 24  # customers, of what is done before a point is measured
SAMPLE = 384  # customers of a sampled plan
SECONDS, MOST = 0.5, 5  # a point is measured again while it has taken less, so often at most
GIB = 2**30


class Task(NamedTuple):
    """What is measured: a name, what it does, and the largest market that it is measured in."""

    name: str
    meaning: str
    most: int


TASKS = (
    Task("build", "draw the customers and build the market", 10**6),
    Task("solve", "RSR of all customers at one price vector", 10**6),
    Task("day", "24 hours at one price vector, with their draws", 10**6),
    Task("imp", "IMP's prices of one hour", 10**6),
    Task("lookahead", "look-ahead IMP's prices of one hour, with a sampled plan", 10**6),
    Task("sampled plan", f"look-ahead IMP's plan of a day, on {SAMPLE} customers; the energy value of all", 10**6),
    Task("plan", "look-ahead IMP's plan of a day", 10**3),
)


@dataclasses.dataclass
class BenchScale:
    """Measure processor time and memory of markets up to a million customers.

    Writes scale.csv, summary.md, scale.png and scale-dark.png. Stopped, it goes on if it is given
    the same folder.

    Examples
    --------
      lmaas bench scale
      lmaas bench scale --customers 10000 --tasks solve day
    """

    customers: int = 10**6
    """Largest number of customers; a whole plan is measured in smaller markets (`TASKS`). A million takes 30 min."""
    tasks: tuple[str, ...] = ()
    """What is measured; default all."""
    out: Path | None = None
    """New folder for the results; default runs/bench-scale-TIME."""

    def main(self) -> list[Row]:
        """Run the benchmark and return its rows."""
        return bench(self)


class Row(NamedTuple):
    """One task in a market of so many customers: median processor seconds, and the peak of the memory in bytes."""

    task: str
    customers: int
    seconds: float
    peak: float
    before: float

    @property
    def per_customer(self) -> float:
        """The memory that the customers take, bytes each."""
        return (self.peak - self.before) / self.customers


def bench(args: BenchScale) -> list[Row]:
    """Run the benchmark as `BenchScale` says and return its rows."""
    names = [task.name for task in TASKS]
    if args.customers < SIZES[0]:
        raise ValueError(f"customers = {args.customers} must be >= {SIZES[0]}")
    for name in args.tasks:
        if name not in names:
            raise ValueError(f"tasks = {name!r} must be one of {', '.join(names)}")
    console = Console()
    where = machine()
    console.print(where, highlight=False)
    points = [(task, size) for size in SIZES for task in TASKS if size <= min(args.customers, task.most)]
    points = [(task.name, size) for task, size in points if not args.tasks or task.name in args.tasks]
    with results_folder(args.out, "bench-scale", {"bench": "scale"}) as results:
        rows = [
            Row(*results.rows(json.dumps(point), functools.partial(_measured, *point))[0])
            for point in track(points, "sizes", "sizes", console)
        ]
        out = results.folder
        write_whole(out / "scale.csv", csv_text(Row._fields, rows))
        write_whole(out / "summary.md", summary(where, rows))
        from lmaas_env.render import drawing

        drawing.save_both(figure(rows), out / "scale.png")
    table = Table(title="markets of up to a million customers")
    for heading in ("task", "customers", "s", "exponent", "bytes each", "peak, GiB"):
        table.add_column(heading, justify="left" if heading == "task" else "right")
    for cells in _cells(rows):
        table.add_row(cells[0], *cells[-5:])
    console.print(table)
    console.print(f"files in {out}: scale.csv, summary.md, scale.png, scale-dark.png", highlight=False)
    return rows


def _measured(task: str, customers: int) -> list[Row]:
    """Return the row of a point, measured in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return [pool.submit(_measure, task, customers).result()]


def _measure(task: str, customers: int) -> Row:
    """Measure a point in this process."""
    os.environ["LMAAS_THREADS"] = "1"
    _prepared(task, FEW)()
    before, taken = _peak(), list[float]()
    call = _prepared(task, customers)
    while not taken or (sum(taken) < SECONDS and len(taken) < MOST):
        began = time.process_time()
        call()
        taken.append(time.process_time() - began)
    return Row(task, customers, float(np.median(taken)), _peak(), before)


def _prepared(task: str, customers: int) -> Callable[[], object]:
    """Return what is to be measured, ready to be called."""
    scenario = dataclasses.replace(Scenario(), customers=customers)

    def build() -> Market:
        return Market(scenario, population=Population.sample(scenario, np.random.default_rng(1)))

    if task == "build":
        return build
    market = build()
    if task == "day":
        return functools.partial(_day, market)
    if task == "plan":
        return functools.partial(plan_day, market)
    if task == "sampled plan":
        return functools.partial(sampled_plan, market, SAMPLE)
    state = market.initial_state(np.random.default_rng(1))._replace(hour=12)
    if task == "solve":
        return functools.partial(solve, market.terms(state), PRICES)
    seller = IMP(market) if task == "imp" else LookaheadIMP(market, plan=sampled_plan(market, SAMPLE))
    return functools.partial(seller.prices, state)


def _day(market: Market) -> None:
    """Sell a day at one price vector."""
    state, draws = market.days([np.random.default_rng(1)])
    (now,) = unstack(state)
    for hour in range(market.scenario.periods):
        now = market.settle(PRICES, now, draws.at((hour, 0)))[1]


def _peak() -> float:
    """Return the most bytes that this process has had in memory; nan where the system does not tell.

    Not by getrusage: Linux counts there what the process that started this one had.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return math.nan
    return next((1024.0 * float(line.split()[1]) for line in lines if line.startswith("VmHWM")), math.nan)


def growth(rows: list[Row], task: str) -> float:
    """Return the exponent of a task's time in the number of customers, nan of a single size."""
    own = [GrowthRow(row.task, row.customers, row.seconds, math.nan) for row in rows if row.task == task]
    return exponent(own) if len(own) > 1 else math.nan


def _cells(rows: list[Row]) -> list[list[str]]:
    """Return a line per task: seconds by size; of the largest: size, seconds, exponent and memory."""
    lines: list[list[str]] = []
    for task in dict.fromkeys(row.task for row in rows):
        own = {row.customers: row for row in rows if row.task == task}
        last = own[max(own)]
        seconds = [f"{own[size].seconds:.3g}" if size in own else "" for size in SIZES]
        memory = [f"{last.per_customer:,.0f}", f"{last.peak / GIB:.2f}"]
        exponent_cell = "" if len(own) < 2 else f"{growth(rows, task):.2f}"
        largest = [f"{last.customers:,}", f"{last.seconds:.3g}", exponent_cell]
        lines.append([task, *seconds, *largest, *memory])
    return lines


def summary(where: str, rows: list[Row]) -> str:
    """Return the Markdown page of a run."""
    headings = ["task", *(f"s, {size:,}" for size in SIZES), "exponent", "bytes a customer", "peak, GiB"]
    cells = [[*line[: 1 + len(SIZES)], *line[-3:]] for line in _cells(rows)]
    return "\n".join(
        [
            "# Large markets",
            "",
            f"{where} (seconds are of the processor, one core)",
            "",
            *markdown_table(headings, cells),
            "",
            "Memory is that of the largest market of each task; bytes a customer are what it has above 24 customers, "
            "of which most does not grow where markets are small. 4 models, 6 slots.",
            "",
            *[f"- {task.name}: {task.meaning}." for task in TASKS],
            "",
        ]
    )


def figure(rows: list[Row]) -> Figure:
    """Return the figure of time and memory against the number of customers."""
    from matplotlib.figure import Figure

    from lmaas_env.render.drawing import COLOURS, GREY, GRID

    names = list(dict.fromkeys(row.task for row in rows))
    drawn = Figure((12.5, 4.2), dpi=130, layout="constrained")
    left, right = drawn.subplots(1, 2)
    for colour, name in zip(COLOURS, names, strict=False):
        own = [row for row in rows if row.task == name]
        sizes = [row.customers for row in own]
        label = name if len(own) < 2 else f"{name}, exponent {growth(rows, name):.2f}"
        left.loglog(sizes, [row.seconds for row in own], marker="o", ms=4, color=colour, label=label)
        right.loglog(sizes, [row.peak / GIB for row in own], marker="o", ms=4, color=colour)
    ends = np.array([min(row.customers for row in rows), max(row.customers for row in rows)])
    top = max(row.seconds for row in rows)
    left.loglog(ends, top * ends / ends[-1], color=GREY, ls="--", label="proportional")
    left.set_ylabel("processor time, s")
    right.set_ylabel("peak memory of the process, GiB")
    for axes in (left, right):
        axes.set_xlabel("customers")
        axes.grid(color=GRID)
        axes.spines[["top", "right"]].set_visible(False)
    drawn.legend(frameon=False, loc="outside right center")
    exponents = {name: growth(rows, name) for name in names}
    largest = max(rows, key=lambda row: (row.customers, row.seconds))
    took = f"{largest.seconds:.3g} s and {largest.peak / GIB:.1f} GiB"
    title = f"With {largest.customers:,} customers the task '{largest.task}' takes {took}"
    if not all(map(math.isnan, exponents.values())):
        steepest = max(names, key=lambda name: np.nan_to_num(exponents[name]))
        title += f"; the time of '{steepest}' grows fastest (exponent {exponents[steepest]:.2f})"
    drawn.suptitle(title)
    return drawn
