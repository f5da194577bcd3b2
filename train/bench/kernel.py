"""`lmaas bench kernel`: the selection kernel beside plain bisection and the processor's limit, and its growth.

The kernel's rows time the customers of `day` at hours 3, 12 and 15 of days that IMP has priced, from few short of
energy to many. The limit counts only the divisions, square roots and logarithms that one water-filling cannot avoid:
four reciprocals, and a logarithm per slot; for a problem short of energy also its breakpoints and one piece of its
energy. Each counts as long as this processor's vector units take for it from the first-level cache.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from lmaas_agents import IMP
from lmaas_train.progress import track
from lmaas_train.runs import csv_text, machine, new_folder, write_origin
from numba import njit
from rich.console import Console
from rich.table import Table

from lmaas_env import Market, Population, RentalTerms, Scenario
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.math import logarithm
from lmaas_env.engine.recourse import recourse, worst_fades
from lmaas_env.engine.recourse_simd import solve_recourse
from lmaas_env.engine.rsr import worst_case
from lmaas_env.engine.terms import Terms, price_per_customer
from lmaas_env.files import write_whole
from lmaas_env.market import unstack
from lmaas_env.rsr import solve
from lmaas_env.seeds import draw_days, tuning_seeds
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOURS = (3, 12, 15)
PRICES = np.array([12.0, 14.0, 16.0, 18.0])  # of the growth table, $/h
REPEATS = 100  # of each loop that measures the throughput
SIZES = {
    "slots": (1, 2, 3, 6, 12, 24, 48, 96),
    "customers": (10, 100, 1000, 10**4, 10**5, 10**6),
    "models": (1, 2, 4, 8, 16, 32, 64),
}


@dataclasses.dataclass
class BenchKernel:
    """Time RSR's selection kernel beside plain bisection and the processor's limit, and as instances grow.

    Writes kernel.csv, growth.csv and growth.png.

    Examples
    --------
      lmaas bench kernel
      lmaas bench kernel --customers 10000
    """

    days: int = 16
    """Days whose customers are timed together."""
    customers: int = 10**6
    """Largest number of customers of the growth table; it takes 2 GB."""
    out: Path | None = None
    """New folder for the results; default runs/bench-kernel-TIME."""

    def main(self) -> tuple[list[KernelRow], list[GrowthRow]]:
        """Run the benchmark and return its rows."""
        return bench(self)


class KernelRow(NamedTuple):
    """Median nanoseconds per customer and model at one hour; ``lockstep`` is the SIMD kernel."""

    hour: int
    short_of_energy: float
    bisection: float
    scalar: float
    lockstep: float
    limit: float


class GrowthRow(NamedTuple):
    """Median seconds of one `rsr.solve`."""

    axis: str
    size: int
    seconds: float
    ns_per_slot: float


def bench(args: BenchKernel) -> tuple[list[KernelRow], list[GrowthRow]]:
    """Run the benchmark as `BenchKernel` says and return its rows."""
    out = new_folder(args.out, "bench-kernel")
    console = Console()
    console.print(machine(), highlight=False)
    rows = _kernel_rows(args.days)
    points = [(axis, size) for axis, sizes in SIZES.items() for size in sizes]
    points = [(axis, size) for axis, size in points if axis != "customers" or size <= args.customers]
    growth = [_growth_row(axis, size) for axis, size in track(points, "growth", "sizes", console)]
    write_whole(out / "kernel.csv", csv_text(KernelRow._fields, rows))
    write_whole(out / "growth.csv", csv_text(GrowthRow._fields, growth))
    from lmaas_env.render import drawing

    title = "RSR's selection of all customers (otherwise 1000 customers, 4 models, 6 slots)"
    drawing.save(growth_figure(growth, "ms", title), out / "growth.png")
    write_origin(out)
    table = Table(title="selection kernel, ns per customer and model (median)")
    for heading in ("hour", "short of energy", "bisection", "scalar", "lockstep", "ratio", "of limit"):
        table.add_column(heading, justify="right")
    for row in rows:
        ns = [f"{value:.0f}" for value in (row.bisection, row.scalar, row.lockstep)]
        ratio, share = f"{row.bisection / row.lockstep:.1f}", f"{row.limit / row.lockstep:.0%}"
        table.add_row(str(row.hour), f"{row.short_of_energy:.0%}", *ns, ratio, share)
    console.print(table)
    console.print("ratio: bisection / lockstep; of limit: least time of the arithmetic / lockstep")
    table = Table(title="growth of one solve; others 1000 customers, 4 models, 6 slots")
    for heading in ("axis", "from", "to", "ms from", "ms to", "exponent"):
        table.add_column(heading, justify="left" if heading == "axis" else "right")
    for axis in SIZES:
        own = [row for row in growth if row.axis == axis]
        first, last = own[0], own[-1]
        ms = [f"{1e3 * row.seconds:.4g}" for row in (first, last)]
        table.add_row(axis, f"{first.size:,}", f"{last.size:,}", *ms, f"{exponent(own):.2f}")
    console.print(table)
    console.print(f"files in {out}: kernel.csv, growth.csv, growth.png", highlight=False)
    return rows, growth


def exponent(rows: list[GrowthRow]) -> float:
    """Return the slope of log time over log size in the larger half of the sizes, where fixed costs have faded."""
    half = rows[len(rows) // 2 - 1 :]
    return float(np.polyfit(np.log([row.size for row in half]), np.log([row.seconds for row in half]), 1)[0])


def medians(calls: list[Callable[[], object]], seconds: float = 1.0) -> list[float]:
    """Return each call's median time."""
    return [float(np.median(taken)) for taken in in_turns(calls, seconds)]


def in_turns(calls: list[Callable[[], object]], seconds: float = 1.0) -> list[list[float]]:
    """Time each call at least five times, one call after another, so that other load slows all of them alike."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()  # compiles what there is to compile
    ends = time.perf_counter() + seconds * len(calls)
    while len(times[0]) < 5 or time.perf_counter() < ends:
        for call, taken in zip(calls, times, strict=True):
            began = time.perf_counter()
            call()
            taken.append(time.perf_counter() - began)
    return times


def _kernel_rows(days: int) -> list[KernelRow]:
    market = Market("day")
    state, draws = draw_days(market, tuning_seeds(days))
    division, root, log = _throughput()
    rows: list[KernelRow] = []
    imp = IMP(market, "worst_case")
    for hour in range(max(HOURS) + 1):
        terms = market.terms(state).arrays
        prices = np.array([imp.prices(one) for one in unstack(state)])
        if hour in HOURS:
            price = price_per_customer(prices, market.population.size)
            solvers = (solve_by_bisection, solve_one_by_one, solve_in_lockstep)
            seconds = medians([lambda t=terms, p=price, f=solve: f(t, p) for solve in solvers])
            short = _short_of_energy(terms, price)
            least = (4.0 + short * 11.0) * division + short * 2.0 * root + len(terms.task_value) * log
            rows.append(KernelRow(hour, short, *(1e9 * s / price.size for s in seconds), limit=least))
        _, state = market.settle(prices, state, draws.at(hour))
    return rows


def _short_of_energy(terms: Terms, price: FloatArray) -> float:
    """Return the share of the problems whose energy constraint binds at prices (M, R)."""
    slots = len(terms.task_value)
    worst = np.arange(slots)[:, None] < terms.fade_budget
    free = terms._replace(energy=np.full_like(terms.energy, 1e9))
    _, used = solve_recourse(free, np.arange(len(price)), price, worst, np.empty((0, *price.shape)))
    return float((used > terms.energy * (1.0 + 1e-12)).mean())


def solve_in_lockstep(terms: Terms, price: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return worst-case profits (R, M) and planned hours (R, M, L) at prices (M, R), by the engine's SIMD kernel."""
    hours = np.empty((len(terms.task_value), *price.shape))
    return worst_case(terms, np.arange(len(price)), price, hours).T, hours.T


@kernel
def _slot(
    terms: Terms, n: int, m: int, slot: int, s: int, price: float, mu: float
) -> tuple[float, float, float, float, float]:
    """Return the hours of a slot in fade state s at a shadow price mu, and its V, kappa q, beta + c and g."""
    value, g = terms.task_value[slot, n], terms.power[s, m, n]
    kq, p = terms.saturation[n] * terms.quality[s, m, n], price + terms.airtime_cost[s, m, n]
    return min(max(value / (p + mu * g) - 1 / kq, 0.0), terms.max_hours[s, m, n]), value, kq, p, g


@kernel
def solve_by_bisection(terms: Terms, price: FloatArray) -> tuple[FloatArray, FloatArray]:
    """As `solve_in_lockstep` by a plain loop: one problem after another, mu by 80 bisections where energy is short."""
    slots, customers = terms.task_value.shape
    models = price.shape[0]
    worst, hours = np.empty((customers, models)), np.empty((customers, models, slots))
    for n in range(customers):
        fades = min(terms.fade_budget[n], slots)
        for m in range(models):
            high = used = 0.0
            for slot in range(slots):
                tau, value, kq, p, g = _slot(terms, n, m, slot, 1 if slot < fades else 0, price[m, n], 0.0)
                used += g * tau
                high = max(high, (value * kq - p) / g)
            mu = low = 0.0
            if used > terms.energy[n]:
                for _ in range(80):
                    mu = 0.5 * (low + high)
                    used = 0.0
                    for slot in range(slots):
                        tau, _, _, _, g = _slot(terms, n, m, slot, 1 if slot < fades else 0, price[m, n], mu)
                        used += g * tau
                    if used > terms.energy[n]:
                        low = mu
                    else:
                        high = mu
            worst[n, m] = -terms.setup_cost[m, n]
            for slot in range(slots):
                tau, value, kq, p, _ = _slot(terms, n, m, slot, 1 if slot < fades else 0, price[m, n], mu)
                hours[n, m, slot] = tau
                worst[n, m] += value * math.log1p(kq * tau) - p * tau
    return worst, hours


@kernel
def solve_one_by_one(terms: Terms, price: FloatArray) -> tuple[FloatArray, FloatArray]:
    """As `solve_in_lockstep` by the scalar kernel, which searches pieces instead of bisecting."""
    slots, customers = terms.task_value.shape
    models = price.shape[0]
    worst, hours = np.empty((customers, models)), np.empty((customers, models, slots))
    for n in range(customers):
        faded = worst_fades(terms.fade_budget[n], slots)
        for m in range(models):
            worst[n, m] = recourse(terms, n, m, price[m, n], faded, hours[n, m])[0]
    return worst, hours


@kernel
def _divide(x: FloatArray, out: FloatArray) -> None:
    """Fill ``out`` with 3 / x."""
    for i in range(x.size):
        out[i] = 3.0 / x[i]


@kernel
def _take_roots(x: FloatArray, out: FloatArray) -> None:
    """Fill ``out`` with the square roots of x."""
    for i in range(x.size):
        out[i] = math.sqrt(x[i])


@kernel
def _take_logarithms(x: FloatArray, out: FloatArray) -> None:
    """Fill ``out`` with the logarithms of x."""
    for i in range(x.size):
        out[i] = logarithm(x[i])


@njit  # not `kernel`: numba cannot find compiled code again by an argument that is a function
def _repeat(function: Any, x: FloatArray, out: FloatArray) -> None:
    """Call a kernel many times, so that the cost of entering compiled code does not count."""
    for _ in range(REPEATS):
        function(x, out)


def _throughput() -> list[float]:
    """Return nanoseconds per division, square root and logarithm, each in a vector loop over 8 KB."""
    x = 1.0 + 10.0 ** np.random.default_rng(0).uniform(-9.0, 6.0, 1024)
    out = np.empty_like(x)
    calls: list[Callable[[], object]] = [
        lambda f=f: _repeat(f, x, out) for f in (_divide, _take_roots, _take_logarithms)
    ]
    return [1e9 * seconds / (REPEATS * x.size) for seconds in medians(calls, 0.3)]


def _growth_row(axis: str, size: int) -> GrowthRow:
    sizes = {"slots": 6, "customers": 1000, "models": 4} | {axis: size}
    scenario = dataclasses.replace(Scenario(), customers=sizes["customers"], slots=sizes["slots"])
    market = Market(scenario, population=Population.for_scenario(scenario, 1))
    state = market.initial_state(np.random.default_rng(1))._replace(hour=12)
    terms = market.terms(state)
    models = np.arange(sizes["models"]) % terms.setup_cost.shape[1]  # the catalogue, repeated
    names = ("setup_cost", "quality", "airtime_cost", "power", "max_hours")
    terms = RentalTerms(
        terms.task_value,
        terms.fade_budget,
        terms.saturation,
        terms.energy,
        *(getattr(terms, name)[:, models] for name in names),
    )
    prices = PRICES[models] * np.linspace(0.9, 1.1, len(models))
    seconds = medians([lambda: solve(terms, prices)], 0.5)[0]
    return GrowthRow(axis, size, seconds, 1e9 * seconds / math.prod(sizes.values()))


def growth_figure(rows: list[GrowthRow], unit: str, title: str) -> Figure:
    """Return a figure of time, in "ms" or "us", against every axis of the rows, log-log, beside a line of slope 1."""
    from matplotlib.figure import Figure

    from lmaas_env.render.drawing import COLOURS

    names = list(dict.fromkeys(row.axis for row in rows))
    figure = Figure((4.0 * len(names), 4.0), dpi=130, layout="constrained")
    for axes, axis in zip(figure.subplots(1, len(names)), names, strict=True):
        own = [row for row in rows if row.axis == axis]
        size = np.array([row.size for row in own])
        taken = {"ms": 1e3, "us": 1e6}[unit] * np.array([row.seconds for row in own])
        axes.loglog(size, taken, marker="o", color=COLOURS[0], label=f"measured, exponent {exponent(own):.2f}")
        axes.loglog(size, taken[-1] * size / size[-1], color="#8A8A8A", ls="--", label="proportional")
        axes.set_xlabel(axis)
        axes.set_ylabel(f"time, {unit}")
        axes.grid(color="#E0E0E0")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="upper left")
    figure.suptitle(title)
    return figure
