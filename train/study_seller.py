"""`lmaas study seller`: how near IMP comes to the best prices that exist, and how long other searches take.

Each instance is one leasing period: the paper's one-shot game (`static`), or an hour of `day` with batteries as they
stand at its start. Branch and bound proves a bound on the profit of any prices. Every search is scored as a share of
the best profit that any of them found, and of that bound: the least that its share of the optimum can be.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from agents import IMP, SearchResult
from agents.search import branch_and_bound, cma_es, differential_evolution, exhaustive
from lmaas_env import Market, RentalTerms
from lmaas_env.files import write_whole
from train.runs import csv_text, machine, new_folder, write_origin

GAME = "static"
HOURS = (3, 9, 15, 21)
Search = Callable[[IMP, RentalTerms], SearchResult]
SEARCHES: dict[str, Search] = {
    "imp": lambda imp, terms: imp.solve_terms(terms),
    "exhaustive": exhaustive,
    "differential evolution": differential_evolution,
    "cma-es": cma_es,
}


@dataclasses.dataclass
class StudySeller:
    """Compare IMP and general searches with the certified optimum of one period.

    Writes instances.csv and summary.md.

    Examples
    --------
      lmaas study seller
      lmaas study seller --populations 10 --day-populations 2
    """

    populations: int = 100
    """Populations of the one-shot game (seeds 1, 2, ...)."""
    day_populations: int = 5
    """Populations of `day`, four hours each."""
    gap: float = 1e-3
    """Relative gap at which branch and bound stops."""
    seconds: float = 20.0
    """Time limit of branch and bound."""
    out: Path | None = None
    """New folder for the results; default runs/study-seller-TIME."""

    def main(self) -> None:
        """Run the study."""
        study(self)


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


def study(args: StudySeller) -> list[Row]:
    """Run the study as `StudySeller` says and return its rows."""
    if args.populations < 1 or args.day_populations < 0:
        raise ValueError(
            f"populations = {args.populations} must be >= 1, day_populations = {args.day_populations} >= 0"
        )
    out = new_folder(args.out, "study-seller")
    console = Console()
    console.print(machine(), highlight=False)
    instances = [(GAME, population, 0) for population in range(1, args.populations + 1)]
    instances += [("day", population, hour) for population in range(1, args.day_populations + 1) for hour in HOURS]
    searches = dict(SEARCHES)
    if importlib.util.find_spec("cma") is None:
        del searches["cma-es"]
        console.print('left out: cma-es, cma is not installed (pip install "lmaas[bench]")', highlight=False)
    for search in searches.values():  # compiles what there is to compile
        search(*_instance(GAME, 1, 0))
    rows: list[Row] = []
    for instance in track(instances, "instances", console=console, transient=True, disable=not console.is_terminal):
        imp, terms = _instance(*instance)
        proof = branch_and_bound(imp, terms, args.gap, args.seconds)
        found = {name: search(imp, terms) for name, search in searches.items()} | {"branch and bound": proof}
        for name, it in found.items():
            rows.append(Row(*instance, name, it.profit, proof.bound, it.seconds, it.evaluations, it.status))
    write_whole(out / "instances.csv", csv_text(Row._fields, rows))
    text = summary(rows)
    write_whole(out / "summary.md", text)
    write_origin(out)
    print(f"{text}\nfiles in {out}: instances.csv, summary.md")
    return rows


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
            "| search | % of best known: median | least | % of bound: median | least | time, ms | / IMP |",
            "|---|---|---|---|---|---|---|",
        ]
        imp_time = float(np.median([row.seconds for row in own if row.search == "imp"]))
        for search in dict.fromkeys(row.search for row in own):
            its = [row for row in own if row.search == search]
            known = 100.0 * np.array([row.profit / best[row.population, row.hour] for row in its])
            proven = 100.0 * np.array([row.profit / row.bound for row in its])
            seconds = float(np.median([row.seconds for row in its]))
            shares = [f"{value:.2f}" for of in (known, proven) for value in (np.median(of), of.min())]
            lines.append(f"| {search} | {' | '.join(shares)} | {1e3 * seconds:.4g} | {seconds / imp_time:,.0f} |")
        lines.append("")
    return "\n".join(lines)


def _instance(scenario: str, population: int, hour: int) -> tuple[IMP, RentalTerms]:
    market = Market(scenario, seed=population)
    state = market.initial_state(np.random.default_rng(population))._replace(hour=hour)
    return IMP(market), market.terms(state)
