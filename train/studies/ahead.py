"""`lmaas study ahead`: what looking ahead adds on held-out days, and how much more any seller could earn.

IMP sells hour by hour, look-ahead IMP charges the batteries, its plan sees the clock only. The bound above them is that
of a seller that knows the day's draws and prices every customer apart (`lmaas_agents.bounds`), so no seller reaches it.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
from lmaas_agents import IMP, LookaheadIMP, PublicIMP, PublicLookaheadIMP
from lmaas_agents.bounds.personalised import CELLS, LEVELS, day_bound
from lmaas_agents.lookahead import plan_day
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.evaluation.statistics import Estimate, mean_estimate
from lmaas_train.progress import track
from lmaas_train.runs import csv_text, new_folder, write_origin
from rich.console import Console

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.seeds import draw_days, held_out_seeds
from lmaas_env.state import State


@dataclasses.dataclass
class StudyAhead:
    """Sell held-out days with IMP and look-ahead IMP, on several populations, and bound what any seller earns.

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
    bounded_days: int = 4
    """The first of them, whose profit is bounded, of population 0; about 5 s each."""
    levels: int = LEVELS
    """Cells of a battery in the bound."""
    cells: int = CELLS
    """Cells of the prices in the bound."""
    out: Path | None = None
    """New folder for the results; default runs/study-ahead-TIME."""

    def main(self) -> list[Row]:
        """Run the study and return its rows."""
        return study(self)


class Row(NamedTuple):
    """One seller on one day, $; the bound's rows have the seller "bound"."""

    scenario: str
    population: int
    day_seed: int
    seller: str
    profit: float


def study(args: StudyAhead) -> list[Row]:
    """Run the study as `StudyAhead` says and return its rows."""
    if args.days < 2 or not 0 <= args.bounded_days <= args.days:
        raise ValueError(f"days = {args.days} must be >= 2, bounded_days = {args.bounded_days} in 0..{args.days}")
    if not args.populations or not args.scenarios:
        raise ValueError("name at least one scenario and one population")
    out = new_folder(args.out, "study-ahead")
    console = Console()
    cases = [(Market(name, seed=seed), seed) for name in args.scenarios for seed in args.populations]
    rows: list[Row] = []
    for market, population in track(cases, "populations", "populations", console):
        plan = plan_day(market)
        sellers = {
            "imp": PublicIMP(market) if market.scenario.observation == "public" else IMP(market),
            "public-lookahead": PublicLookaheadIMP(market, plan=plan),
        }
        if market.scenario.observation == "full":
            sellers["lookahead"] = LookaheadIMP(market, plan=plan)
        seeds = held_out_seeds(args.days)
        for name, seller in sellers.items():
            sold = rollout(market, seller, seeds).day_profit.tolist()
            rows += [
                Row(market.scenario.name, population, seed, name, it) for seed, it in zip(seeds, sold, strict=True)
            ]
        if population == args.populations[0] and args.bounded_days:
            states, draws = draw_days(market, seeds[: args.bounded_days])
            for lane, seed in enumerate(seeds[: args.bounded_days]):
                state = State(0, *(array[lane] for array in states[1:]))
                own = draws.at((slice(None), lane))
                bound = day_bound(market, state, own, args.levels, args.cells)
                rows.append(Row(market.scenario.name, population, seed, "bound", bound))
    write_whole(out / "days.csv", csv_text(Row._fields, rows))
    text = summary(rows)
    write_whole(out / "summary.md", text)
    write_origin(out)
    print(f"{text}\nfiles in {out}: days.csv, summary.md")
    return rows


def summary(rows: list[Row]) -> str:
    """Return the Markdown table: mean day profits, differences to IMP paired by day, shares of the bound."""
    lines = [
        "# Looking ahead: profit in $ per day on held-out days [95 % interval]",
        "",
        "`imp` sees what the scenario shows: on `public` it assumes the rest. minus IMP: paired by day. / bound: over "
        "the bounded days, the seller's profit over the bound that no seller reaches.",
        "",
        "| scenario | population | seller | profit | minus IMP | / IMP | / bound |",
        "|---|---|---|---|---|---|---|",
    ]
    for scenario, population in dict.fromkeys((row.scenario, row.population) for row in rows):
        own = [row for row in rows if (row.scenario, row.population) == (scenario, population)]
        profits = {name: {row.day_seed: row.profit for row in own if row.seller == name} for name in _sellers(own)}
        bounds = {row.day_seed: row.profit for row in own if row.seller == "bound"}
        reference = profits["imp"]
        for name, profit in profits.items():
            difference = mean_estimate(np.array([profit[seed] - reference[seed] for seed in reference]))
            ratio = sum(profit.values()) / sum(reference.values())
            share = f"{sum(profit[seed] for seed in bounds) / sum(bounds.values()):.3f}" if bounds else ""
            cells = [scenario, str(population), name, _interval(mean_estimate(np.array(list(profit.values()))))]
            cells += ["" if name == "imp" else _interval(difference, "+"), f"{ratio:.3f}", share]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _sellers(rows: list[Row]) -> list[str]:
    return [name for name in dict.fromkeys(row.seller for row in rows) if name != "bound"]


def _interval(it: Estimate, sign: str = "") -> str:
    return f"{it.mean:{sign}.0f} [{it.low:{sign}.0f}, {it.high:{sign}.0f}]"
