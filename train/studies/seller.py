"""`lmaas study seller`: how near IMP comes to the best prices that exist, and how long other searches take.

Each instance is one leasing period: the paper's one-shot game (`static`), or an hour of `day` with batteries as they
stand at its start. Branch and bound proves a bound on the profit of any prices. Every search is scored as a share of
the best profit that any of them found, and of that bound: the least that its share of the optimum can be. Then the
market grows, in models and in customers, as far as branch and bound goes and beyond, where the personalised-price
bound is left. How IMP starts again was chosen on static populations up to 700, so the study takes others.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lmaas_agents import IMP, SearchResult
from lmaas_agents.search.search import branch_and_bound, cma_es, differential_evolution, exhaustive
from lmaas_train.extras import missing
from lmaas_train.markdown import markdown_table
from lmaas_train.runs import csv_text, machine, results_folder
from lmaas_train.studies.seller_figures import Curve, Landscape, ProfitMap, curves_figure, landscape_figure
from lmaas_train.sweeps.parts import EngineOptions, rows_of
from rich.console import Console

from lmaas_env import Market, Population, RentalTerms, Scenario
from lmaas_env.files import write_whole
from lmaas_env.scenario import MODEL_FIELDS
from lmaas_env.types import FloatArray

GAME = "static"
HOURS = (3, 9, 15, 21)
FIRST_POPULATION = 701
GROWTH = ((24, 1), (24, 2), (24, 4), (24, 5), (24, 6), (24, 8), (24, 16), (50, 4), (100, 4), (1000, 4), (10_000, 4))
MOST_PROVEN = 100  # customers up to which branch and bound is tried
Search = Callable[[IMP, RentalTerms], SearchResult]
SEARCHES: dict[str, Search] = {
    "imp": lambda imp, terms: imp.solve_terms(terms),
    "imp, one start": lambda imp, terms: IMP(imp.market, imp.anticipate, restarts=0).solve_terms(terms),
    "imp, 10 restarts": lambda imp, terms: IMP(imp.market, imp.anticipate, restarts=10).solve_terms(terms),
    "exhaustive": exhaustive,
    "differential evolution": differential_evolution,
    "cma-es": cma_es,
}


@dataclasses.dataclass
class StudySeller(EngineOptions):
    """Compare IMP and general searches with the certified optimum of one period.

    Writes instances.csv, growth.csv, summary.md, curves.png and landscape.png. Times count with one job alone.

    Examples
    --------
      lmaas study seller
      lmaas study seller --populations 10 --day-populations 2
    """

    populations: int = 100
    """Populations of the one-shot game (seeds 701, 702, ...)."""
    day_populations: int = 5
    """Populations of `day`, four hours each."""
    gap: float = 1e-3
    """Relative gap at which branch and bound stops."""
    seconds: float = 20.0
    """Time limit of branch and bound."""
    growth_populations: int = 3
    """Populations of every size of the growth table."""
    largest: int = 10_000
    """Customers of the growth table's largest markets."""
    out: Path | None = None
    """New folder for the results; default runs/study-seller-TIME."""

    def main(self) -> list[Row]:
        """Run the study and return its rows."""
        return study(self)


class Row(NamedTuple):
    """One search on one instance."""

    scenario: str
    population: int
    hour: int
    search: str
    profit: float
    bound: float
    seconds: float
    evaluations: int
    status: str


class GrowthRow(NamedTuple):
    """IMP on one `static` market of another size, $ and seconds; branch and bound where it was tried (else nan)."""

    customers: int
    models: int
    population: int
    one_start: float
    shipped: float
    personalised_bound: float
    proven_bound: float
    best_known: float
    status: str
    seconds_one_start: float
    seconds_shipped: float
    seconds_bound: float
    seconds_proof: float


def study(args: StudySeller) -> list[Row]:
    """Run the study as `StudySeller` says and return its rows."""
    if args.populations < 1 or args.day_populations < 0 or args.growth_populations < 0:
        raise ValueError(
            f"populations = {args.populations} must be >= 1, day_populations = {args.day_populations} and "
            f"growth_populations = {args.growth_populations} >= 0"
        )
    console = Console()
    console.print(machine(), highlight=False)
    last = FIRST_POPULATION + args.populations
    instances = [(GAME, population, 0) for population in range(FIRST_POPULATION, last)]
    last = FIRST_POPULATION + args.day_populations
    instances += [("day", population, hour) for population in range(FIRST_POPULATION, last) for hour in HOURS]
    searches = tuple(SEARCHES)
    if importlib.util.find_spec("cma") is None:
        searches = tuple(name for name in searches if name != "cma-es")
        console.print(f"left out: cma-es, {missing('cma')}", highlight=False)
    engine = args.new_engine()
    sizes = [size for size in GROWTH if size[0] <= args.largest]
    cases = [(*size, FIRST_POPULATION + k) for size in sizes for k in range(args.growth_populations)]
    rows: list[Row] = []
    curves: list[dict[str, Curve]] = []
    limits = args.gap, args.seconds
    solved = {json.dumps(["instance", *it]): (it, searches, *limits) for it in instances}
    grown = {json.dumps(["growth", *case]): (*case, *limits) for case in cases}
    settings = {"study": "seller", "gap": args.gap, "seconds": args.seconds, "searches": [*searches]}
    with results_folder(args.out, "study-seller", settings) as results:
        out = results.folder
        found = rows_of(results, engine, _solved, solved, console, "instances", "instances")
        for instance, its in zip(instances, found, strict=True):
            own: dict[str, Curve] = {}
            for *row, times, history in its:
                rows.append(Row(*row))
                own[rows[-1].search] = Curve(rows[-1].profit, rows[-1].seconds, np.array(times), np.array(history))
            if instance[0] == GAME:
                curves.append(own)
        sizes_found = rows_of(results, engine, _growth_rows, grown, console, "growth", "instances")
        growth = [GrowthRow(*row) for own_rows in sizes_found for row in own_rows]
        write_whole(out / "instances.csv", csv_text(Row._fields, rows))
        write_whole(out / "growth.csv", csv_text(GrowthRow._fields, growth))
        text = summary(rows) + growth_table(growth)
        write_whole(out / "summary.md", text)
        from lmaas_env.render import drawing

        drawing.save(curves_figure(GAME, curves), out / "curves.png")
        drawing.save(landscape_figure(GAME, _landscape(FIRST_POPULATION)), out / "landscape.png")
    files = "instances.csv, growth.csv, summary.md, curves.png, landscape.png"
    print(f"{text}\nfiles in {out}: {files}")
    return rows


def _solved(
    instance: tuple[str, int, int], searches: tuple[str, ...], gap: float, seconds: float
) -> list[tuple[Any, ...]]:
    """Return a row for every search on an instance, each with its times and its best profits at them."""
    _compile(searches)
    imp, terms = _instance(*instance)
    proof = branch_and_bound(imp, terms, gap, seconds)
    found = {name: SEARCHES[name](imp, terms) for name in searches} | {"branch and bound": proof}
    return [
        (*Row(*instance, name, it.profit, proof.bound, it.seconds, it.evaluations, it.status), it.times, it.history)
        for name, it in found.items()
    ]


@functools.cache
def _compile(searches: tuple[str, ...]) -> None:
    """Compile what the searches need, once in a process, so that no time counts it."""
    for name in searches:
        SEARCHES[name](*_instance(GAME, 1, 0))


def summary(rows: list[Row]) -> str:
    """Return the Markdown table: profit as a share of the proven bound, of the best known profit, and times."""
    lines = ["# IMP beside the certified optimum of one period", ""]
    for scenario in dict.fromkeys(row.scenario for row in rows):
        own = [row for row in rows if row.scenario == scenario]
        keys = list(dict.fromkeys((row.population, row.hour) for row in own))
        best = {key: max(row.profit for row in own if (row.population, row.hour) == key) for key in keys}
        proofs = [row for row in own if row.search == "branch and bound"]
        gaps = np.array([row.bound / best[row.population, row.hour] - 1.0 for row in proofs])
        certified = sum(row.status == "certified" for row in proofs)
        lines += [
            f"## {scenario}: {len(keys)} instances",
            "",
            f"Branch and bound reached its gap in {certified} of {len(keys)}; the gap left to the best known profit is "
            f"{100 * np.median(gaps):.2f} % in the median, {100 * gaps.max():.2f} % at most.",
            "",
        ]
        headings = ["search", "% of best known: median", "least", "% of bound: median", "least", "time, ms", "/ IMP"]
        cells: list[list[str]] = []
        imp_time = float(np.median([row.seconds for row in own if row.search == "imp"]))
        for search in dict.fromkeys(row.search for row in own):
            its = [row for row in own if row.search == search]
            known = 100.0 * np.array([row.profit / best[row.population, row.hour] for row in its])
            proven = 100.0 * np.array([row.profit / row.bound for row in its])
            seconds = float(np.median([row.seconds for row in its]))
            shares = [f"{value:.2f}" for of in (known, proven) for value in (np.median(of), of.min())]
            cells.append([search, *shares, f"{1e3 * seconds:.4g}", _ratio(seconds / imp_time)])
        lines += [*markdown_table(headings, cells), ""]
    return "\n".join(lines)


def _ratio(value: float) -> str:
    return f"{value:.2g}" if value < 10.0 else f"{value:,.0f}"


def growth_table(rows: list[GrowthRow]) -> str:
    """Return the Markdown table of other market sizes, medians over populations."""
    if not rows:
        return ""
    found = ["one start: %", "ms", "imp: %", "ms", "proven bound: %", "certified", "personalised bound: %", "ms"]
    lines: list[list[str]] = []
    for size in dict.fromkeys((row.customers, row.models) for row in rows):
        own = [row for row in rows if (row.customers, row.models) == size]
        tried = [row for row in own if row.status]
        shares = [
            100.0 * float(np.median([getattr(row, name) / row.best_known for row in own]))
            for name in ("one_start", "shipped", "proven_bound", "personalised_bound")
        ]
        milliseconds = [
            f"{1e3 * float(np.median([getattr(row, name) for row in own])):.3g}"
            for name in ("seconds_one_start", "seconds_shipped", "seconds_bound")
        ]
        proven = f"{shares[2]:.2f}" if tried else ""
        certified = f"{sum(row.status == 'certified' for row in tried)} of {len(tried)}" if tried else ""
        cells = [f"{size[0]:,}", str(size[1]), f"{shares[0]:.2f}", milliseconds[0], f"{shares[1]:.2f}", milliseconds[1]]
        cells += [proven, certified, f"{shares[3]:.1f}", milliseconds[2]]
        lines.append(cells)
    title = "## static, other sizes: medians over populations, $ as % of the best known profit"
    return "\n".join([title, "", *markdown_table(["customers", "models", *found], lines), ""])


def _growth_rows(customers: int, models: int, population: int, gap: float, seconds: float) -> list[GrowthRow]:
    """Return the row of one market."""
    _compile(("imp",))
    market, terms = game(customers, models, population)
    imp = IMP(market)
    one, shipped = IMP(market, restarts=0).solve_terms(terms), imp.solve_terms(terms)
    began = time.perf_counter()
    bound = imp.bound(terms)
    took = time.perf_counter() - began
    best, proven, status, proof_time = max(one.profit, shipped.profit), np.nan, "", np.nan
    if customers <= MOST_PROVEN:
        proof = branch_and_bound(imp, terms, gap, seconds)
        best, proven, status, proof_time = max(best, proof.profit), proof.bound, proof.status, proof.seconds
    sizes = customers, models, population
    times = one.seconds, shipped.seconds, took, proof_time
    return [GrowthRow(*sizes, one.profit, shipped.profit, bound, proven, best, status, *times)]


def game(customers: int, models: int, population: int) -> tuple[Market, RentalTerms]:
    """Return the one-shot game of another size, and its terms."""
    scenario = dataclasses.replace(with_model_count(Scenario.preset(GAME), models), customers=customers)
    market = Market(scenario, population=Population.for_scenario(scenario, population))
    return market, market.terms(market.initial_state(np.random.default_rng(population)))


def with_model_count(scenario: Scenario, models: int) -> Scenario:
    """Return the scenario with its first models, or with more of them whose fields lie between those of its own."""
    if models <= len(scenario.models):
        at = np.arange(models, dtype=float)
    else:
        at = np.linspace(0.0, len(scenario.models) - 1.0, models)
    fields = {
        name: tuple(np.interp(at, np.arange(len(scenario.models)), getattr(scenario, name)).tolist())
        for name in MODEL_FIELDS
    }
    return dataclasses.replace(scenario, models=tuple(f"model-{k}" for k in range(models)), **fields)


def _landscape(population: int) -> Landscape:
    """Return the profit over two prices of a small market, IMP's way from the cap, and the certified optimum."""
    market, terms = game(8, 2, population)
    imp, cap = IMP(market), market.scenario.price_cap
    sweep = IMP(market)
    sweep.max_sweeps = 1
    path = [np.full(2, cap)]
    while len(path) < 3 or (path[-1] != path[-3]).any():  # two prices moved in a sweep, one after the other
        prices = sweep.solve_terms(terms, start=path[-1]).prices
        path += [np.array([prices[0], path[-1][1]]), prices]

    def around(horizontal: FloatArray, vertical: FloatArray) -> ProfitMap:
        profit = np.array([[imp.profit(terms, np.array([x, y])) for x in horizontal] for y in vertical])
        return ProfitMap(horizontal, vertical, profit)

    wide, near = [np.geomspace(5.0, cap, 400)] * 2, [np.geomspace(0.9 * it, 1.1 * it, 400) for it in path[-1]]
    optimum = branch_and_bound(imp, terms, 1e-4, 20.0)
    return Landscape((around(*wide), around(*near)), np.array(path), imp.solve_terms(terms).prices, optimum)


def _instance(scenario: str, population: int, hour: int) -> tuple[IMP, RentalTerms]:
    market = Market(scenario, seed=population)
    state = market.initial_state(np.random.default_rng(population))._replace(hour=hour)
    return IMP(market), market.terms(state)
