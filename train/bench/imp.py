"""`lmaas bench imp`: how long IMP takes as customers and models grow, beside a line search over a grid.

Both maximise the same objective from one start on one core and move one price at a time. The grid's line search
compares 400 prices per model, spaced evenly in their logarithm, with the same compiled kernels.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from lmaas_agents import IMP
from lmaas_agents.search.price_boxes import profit_at, tabulate
from lmaas_train.progress import track
from lmaas_train.runs import csv_text, machine, new_folder, write_origin
from lmaas_train.studies.seller import game
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from lmaas_env import RentalTerms
from lmaas_env.files import write_whole
from lmaas_env.spaces import price_grid

GRID = 400  # prices per model of the line search that IMP is compared with
SIZES = ((24, 4), (100, 4), (1000, 4), (10**4, 4), (10**5, 4), (24, 1), (24, 8), (24, 16))
ANTICIPATIONS = ("worst_case", "expected")
GRID_CUSTOMERS = 1000  # beyond which the grid's tables grow too large


@dataclasses.dataclass
class BenchIMP:
    """Time IMP on `static` markets of growing size, beside a line search over a grid.

    Writes imp.csv.

    Examples
    --------
      lmaas bench imp
      lmaas bench imp --customers 1000 --repeats 9
    """

    customers: int = 10**5
    """Largest number of customers; 10^5 customers take minutes."""
    repeats: int = 5
    """Populations of every size up to 1000 customers; larger sizes take one."""
    out: Path | None = None
    """New folder for the results; default runs/bench-imp-TIME."""

    def main(self) -> list[Row]:
        """Run the benchmark and return its rows."""
        return bench(self)


class Row(NamedTuple):
    """Medians over populations: seconds, and the ratio of one start's profit to that of the grid's line search."""

    customers: int
    models: int
    anticipate: str
    one_start: float
    shipped: float
    bound: float
    grid: float
    grid_over_one_start: float
    profit_over_grid: float


def bench(args: BenchIMP) -> list[Row]:
    """Run the benchmark as `BenchIMP` says and return its rows."""
    if args.repeats < 1 or args.customers < 24:
        raise ValueError(f"repeats = {args.repeats} must be >= 1, customers = {args.customers} >= 24")
    out = new_folder(args.out, "bench-imp")
    console = Console()
    console.print(machine(), highlight=False)
    cases = [(*size, how) for size in SIZES if size[0] <= args.customers for how in ANTICIPATIONS]
    for how in ANTICIPATIONS:
        _times(24, 4, how, 1)  # compiles
    rows = [_row(*case, args.repeats) for case in track(cases, "sizes", "sizes", console)]
    write_whole(out / "imp.csv", csv_text(Row._fields, rows))
    write_origin(out)
    title = f"IMP on static markets, ms (medians); grid: {GRID} prices per model"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, title_justify="left")
    for heading in ("customers", "models", "hours", "one start", "shipped", "bound", "grid", "ratio", "profit"):
        table.add_column(heading, justify="right")
    for row in rows:
        times = [_milliseconds(seconds) for seconds in (row.one_start, row.shipped, row.bound)]
        grid = [_milliseconds(row.grid), f"{row.grid_over_one_start:.0f}", f"{row.profit_over_grid:.4f}"]
        grid = grid if np.isfinite(row.grid) else ["", "", ""]
        table.add_row(f"{row.customers:,}", str(row.models), row.anticipate.removesuffix("_case"), *times, *grid)
    console.print(table)
    console.print("ratio: grid / one start; profit: of one start / of the grid's line search")
    console.print(f"table {out / 'imp.csv'}", highlight=False)
    return rows


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:,.0f}" if seconds >= 1.0 else f"{1e3 * seconds:.3g}"


def _row(customers: int, models: int, anticipate: str, repeats: int) -> Row:
    populations = range(1, 1 + (repeats if customers <= 1000 else 1))
    times = [_times(customers, models, anticipate, population) for population in populations]
    medians: list[float] = np.median(np.array(times), axis=0).tolist()
    return Row(customers, models, anticipate, *medians)


def _times(customers: int, models: int, anticipate: str, population: int) -> tuple[float, ...]:
    """Return the seconds of one start, the default, bound and grid; the ratio of times; that of profits."""
    market, terms = game(customers, models, population)
    imp = IMP(market, anticipate)
    one = IMP(market, anticipate, restarts=0).solve_terms(terms)
    shipped = imp.solve_terms(terms) if imp.restarts else one
    began = time.perf_counter()
    imp.bound(terms)
    bound = time.perf_counter() - began
    if customers > GRID_CUSTOMERS:
        return one.seconds, shipped.seconds, bound, np.nan, np.nan, np.nan
    profit, seconds = grid_line_search(imp, terms)
    return one.seconds, shipped.seconds, bound, seconds, seconds / one.seconds, one.profit / profit


def grid_line_search(imp: IMP, terms: RentalTerms, points: int = GRID) -> tuple[float, float]:
    """Return profit and seconds of moving one price at a time to the best of a grid, from the cap, until none moves."""
    began = time.perf_counter()
    grid = price_grid(imp.market, points - 1)
    tables = tabulate(imp.problem(terms), grid)
    point = np.full(terms.setup_cost.shape[1], points - 1)
    best, moved = float(profit_at(tables, point)), True
    while moved:
        moved = False
        for m in range(len(point)):
            trials = np.tile(point, (points, 1))
            trials[:, m] = np.arange(points)
            profits = [float(profit_at(tables, trial)) for trial in trials]
            if max(profits) > best + 1e-9 * max(1.0, abs(best)):
                best, point, moved = max(profits), trials[int(np.argmax(profits))], True
    return best - imp.constants.training_cost, time.perf_counter() - began
