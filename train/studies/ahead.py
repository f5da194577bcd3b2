"""`lmaas study ahead`: what looking ahead adds on held-out days.

IMP sells hour by hour, look-ahead IMP charges the batteries, its plan sees the clock only. What any seller could earn
is the subject of `lmaas bound`.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from lmaas_agents import IMP, LookaheadIMP, PublicIMP, PublicLookaheadIMP
from lmaas_agents.planning import plan_day
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.evaluation.statistics import Estimate, mean_estimate
from lmaas_train.markdown import markdown_table
from lmaas_train.runs import csv_text, market_settings, results_folder
from lmaas_train.sweeps.parts import EngineOptions, rows_of
from rich.console import Console

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.seeds import held_out_seeds


@dataclasses.dataclass
class StudyAhead(EngineOptions):
    """Sell held-out days with IMP and look-ahead IMP, on several populations.

    Writes days.csv and summary.md.

    Examples
    --------
      lmaas study ahead
      lmaas study ahead --scenarios scarce --populations 0 --days 40
    """

    scenarios: tuple[str, ...] = ("day", "scarce", "abundant", "public")
    """Presets."""
    populations: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    """Population seeds; 0 are the customers that ship."""
    days: int = 40
    """Held-out days of every population."""
    out: Path | None = None
    """New folder for the results; default runs/study-ahead-TIME."""

    def main(self) -> list[Row]:
        """Run the study and return its rows."""
        return study(self)


class Row(NamedTuple):
    """One seller on one day, $."""

    scenario: str
    population: int
    day_seed: int
    seller: str
    profit: float


def study(args: StudyAhead) -> list[Row]:
    """Run the study as `StudyAhead` says and return its rows."""
    if args.days < 2:
        raise ValueError(f"days = {args.days} must be >= 2")
    if not args.populations or not args.scenarios:
        raise ValueError("name at least one scenario and one population")
    cases = [(Market(name, seed=seed), seed, args.days) for name in args.scenarios for seed in args.populations]
    parts = {json.dumps(market_settings(case[0])): case for case in cases}
    engine = args.new_engine()
    with results_folder(args.out, "study-ahead", {"study": "ahead", "days": args.days}) as results:
        out = results.folder
        found = rows_of(results, engine, _sold, parts, Console(), "populations", "populations")
        rows = [Row(*row) for own in found for row in own]
        write_whole(out / "days.csv", csv_text(Row._fields, rows))
        text = summary(rows)
        write_whole(out / "summary.md", text)
    print(f"{text}\nfiles in {out}: days.csv, summary.md")
    return rows


def _sold(market: Market, population: int, days: int) -> list[Row]:
    """Return a row for every seller and day of a population."""
    plan, seeds, rows = plan_day(market), held_out_seeds(days), list[Row]()
    sellers = {
        "imp": PublicIMP(market) if market.scenario.observation == "public" else IMP(market),
        "public-lookahead": PublicLookaheadIMP(market, plan=plan),
    }
    if market.scenario.observation == "full":
        sellers["lookahead"] = LookaheadIMP(market, plan=plan)
    for name, seller in sellers.items():
        sold = rollout(market, seller, seeds).day_profit.tolist()
        rows += [Row(market.scenario.name, population, seed, name, it) for seed, it in zip(seeds, sold, strict=True)]
    return rows


def summary(rows: list[Row]) -> str:
    """Return the Markdown table: mean day profits, and differences to IMP paired by day."""
    lines = [
        "# Looking ahead: profit in $ per day on held-out days [95 % interval]",
        "",
        "`imp` sees what the scenario shows: on `public` it assumes the rest. minus IMP: paired by day.",
        "",
    ]
    cells: list[list[str]] = []
    for scenario, population in dict.fromkeys((row.scenario, row.population) for row in rows):
        own = [row for row in rows if (row.scenario, row.population) == (scenario, population)]
        names = dict.fromkeys(row.seller for row in own)
        profits = {name: {row.day_seed: row.profit for row in own if row.seller == name} for name in names}
        reference = profits["imp"]
        for name, profit in profits.items():
            difference = mean_estimate(np.array([profit[seed] - reference[seed] for seed in reference]))
            ratio = sum(profit.values()) / sum(reference.values())
            earned = _interval(mean_estimate(np.array(list(profit.values()))))
            more = "" if name == "imp" else _interval(difference, "+")
            cells.append([scenario, str(population), name, earned, more, f"{ratio:.3f}"])
    headings = ["scenario", "population", "seller", "profit", "minus IMP", "/ IMP"]
    return "\n".join([*lines, *markdown_table(headings, cells), ""])


def _interval(it: Estimate, sign: str = "") -> str:
    return f"{it.mean:{sign}.0f} [{it.low:{sign}.0f}, {it.high:{sign}.0f}]"
