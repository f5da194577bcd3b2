"""`lmaas suite check`: what each environment tests, how much headroom it has, and which reference values it has.

A task in which a seller has to learn is admitted if the best seller that does not adapt, as it sees the clock only,
earns at most 85 % of one that knows the customers, and an adaptive seller closes at least half of that gap.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import tyro
from lmaas_agents.adaptive import PriorPlan
from lmaas_agents.adaptive.plan_library import prior_plan
from lmaas_train.evaluation.certified_bounds import certified_bounds
from lmaas_train.evaluation.days import Days
from lmaas_train.evaluation.rollout import sell
from lmaas_train.evaluation.sellers import NamedSeller, seller_of
from lmaas_train.evaluation.statistics import Estimate, normalised_score
from lmaas_train.evaluation.tables import Column, table
from lmaas_train.runs import csv_text, results_folder
from lmaas_train.sweeps.parts import EngineOptions, rows_of
from rich.console import Console

from lmaas_env import Market, Scenario
from lmaas_env.fields import close_match
from lmaas_env.files import write_whole
from lmaas_env.seeds import held_out_seeds

MOST_CLOCK_ONLY = 0.85  # of the informed seller's profit, that the best seller earns which sees the clock only
LEAST_CLOSED = 0.5  # of the gap between the two, that an adaptive seller closes
LEAST_PLANNING = 1.05  # profit of the best seller over that of the best one that optimises hour by hour

LEARNING, PLANNING, CONTROL = "learning", "planning", "control"


class Environment(NamedTuple):
    """What is measured in an environment.

    Attributes
    ----------
    question : what it tests
    clock_only : sellers that see the clock only, so that they cannot adapt
    adaptive : sellers that react to what they observe
    informed : the seller that knows the customers
    hourly : the seller that optimises hour by hour
    most_days : held-out days that it is measured on at most
    """

    question: str
    clock_only: tuple[str, ...] = ("public-lookahead", "fixed", "cost-plus")
    adaptive: tuple[str, ...] = ("imp", "lookahead")
    informed: str = "lookahead"
    hourly: str = "imp"
    most_days: int = 1000


_STRANGERS = {"clock_only": ("prior-plan", "cost-plus"), "adaptive": ("thompson", "gp-ucb"), "informed": "own-plan"}
SUITE = {
    "day": Environment("batteries couple the hours"),
    "scarce": Environment("half the harvest: look ahead"),
    "abundant": Environment("batteries never run out"),
    "public": Environment("the state is hidden", adaptive=("imp",), informed="informed-lookahead"),
    "static": Environment("the paper's one-shot game", clock_only=("fixed", "cost-plus")),
    "population": Environment("new customers daily, seen", clock_only=("prior-plan", "fixed", "cost-plus")),
    "city": Environment("1000 customers", most_days=4),
    "unknown-easy": Environment("strangers, half the variety", **_STRANGERS),
    "unknown": Environment("strangers: learn while selling", **_STRANGERS),
    "unknown-hard": Environment("strangers, 1.5 times the variety", **_STRANGERS),
    "drift": Environment("strangers who come and go", **_STRANGERS),
    "rivals": Environment(
        "a rival that undercuts",
        clock_only=("fixed", "cost-plus"),
        adaptive=("imp", "predictive-imp"),
        informed="planner",
    ),
    "mini": Environment("small enough to solve: debugging", adaptive=("imp", "lookahead"), informed="exact"),
}
"""What is measured, by preset."""

HEADINGS = (
    *("environment", "tests", "days", "clock_only_seller", "clock_only", "adaptive_seller", "adaptive"),
    *("informed_seller", "informed", "hourly", "share_clock_only", "share_low", "share_high"),
    *("gap_closed", "gap_closed_low", "gap_closed_high", "planning", "bound", "share_of_bound", "class"),
)


@dataclasses.dataclass
class SuiteCheck(EngineOptions):
    """Check what each environment leaves to learning and to planning, and print one table.

    `learning`: the best seller that sees the clock only earns at most 85 % of one that knows the customers, and an
    adaptive seller closes at least half of that gap. `planning`: otherwise, if the better of these two sellers earns at
    least 5 % more than IMP, which optimises hour by hour. `control`: neither. Writes table.csv.

    Examples
    --------
      lmaas suite check
      lmaas suite check unknown drift --days 40
    """

    environments: Annotated[tuple[str, ...], tyro.conf.Positional] = tuple(SUITE)
    """Presets to check; by default all."""
    days: int = 20
    """Number of held-out days (episodes) of each."""
    out: Path | None = None
    """New folder for the results; default runs/suite-TIME."""

    def main(self) -> list[list[object]]:
        """Run the checks and return the rows of the table."""
        return check(self)


def check(args: SuiteCheck) -> list[list[object]]:
    """Check environments as `SuiteCheck` says and return the rows of its table."""
    for name in args.environments:
        if name not in SUITE:
            raise ValueError(f"environment {name!r} is unknown{close_match(name, SUITE)}; known: {', '.join(SUITE)}")
    if args.days < 2:
        raise ValueError(f"days = {args.days} must be at least 2")
    held_out_seeds(args.days)
    console, engine = Console(), args.new_engine()
    parts = {name: (name, args.days) for name in args.environments}
    with results_folder(args.out, "suite", {"study": "suite", "days": args.days}) as results:
        out = results.folder
        found = rows_of(results, engine, _rows, parts, console, "environments", "environments")
        rows = [row for own in found for row in own]
        write_whole(out / "table.csv", csv_text(HEADINGS, rows))
    console.print(_table(rows, console))
    console.print(f"results {out}", highlight=False, soft_wrap=True)
    return rows


def _rows(name: str, days: int) -> list[list[object]]:
    return [measured(name, SUITE[name], days)]


def measured(name: str, environment: Environment, days: int) -> list[object]:
    """Return the row of one environment."""
    market, seeds = Market(Scenario.preset(name)), held_out_seeds(min(days, environment.most_days))
    names = dict.fromkeys((*environment.clock_only, *environment.adaptive, environment.hourly, environment.informed))
    sold = sell(market, {it: _seller(it, market) for it in names}, seeds, Console(file=io.StringIO()))
    without, adaptive = _best(sold, environment.clock_only), _best(sold, environment.adaptive)
    profit = {it: days.day_profit for it, days in sold.items()}
    informed, zero = profit[environment.informed], np.zeros(len(seeds))
    share = normalised_score(profit[without], zero, informed)
    closed = normalised_score(profit[adaptive], profit[without], informed)
    # Where the informed seller sees more than others may, the best of those who do not plans.
    best = max(profit[without].mean(), profit[adaptive].mean())
    planning = float(best / profit[environment.hourly].mean())
    bounds = informed if environment.informed == "exact" else certified_bounds(market, seeds)
    bound = math.nan if bounds is None else float(bounds.mean())
    return [
        *(name, environment.question, len(seeds), without, float(profit[without].mean())),
        *(adaptive, float(profit[adaptive].mean()), environment.informed, float(informed.mean())),
        *(float(profit[environment.hourly].mean()), *share, *closed, planning, bound, float(informed.mean()) / bound),
        classify(share, closed, planning),
    ]


def classify(share: Estimate, closed: Estimate, planning: float) -> str:
    """Return whether an environment needs learning or planning, or is a control."""
    if share.mean <= MOST_CLOCK_ONLY and closed.mean >= LEAST_CLOSED:
        return LEARNING
    return PLANNING if planning >= LEAST_PLANNING else CONTROL


def _seller(name: str, market: Market) -> NamedSeller:
    """Return a seller; where customers are seen, the prior plan is made once although other sellers know them."""
    if name == "prior-plan" and not market.scenario.hides_customers:
        return functools.partial(PriorPlan, plan=prior_plan(market))
    return seller_of(name, market)


def _best(sold: Mapping[str, Days], names: tuple[str, ...]) -> str:
    return max(names, key=lambda name: float(sold[name].day_profit.mean()))


def _table(rows: list[list[object]], console: Console) -> object:
    cells = [dict(zip(HEADINGS, row, strict=True)) for row in rows]

    def column(name: str, form: str) -> list[str]:
        return ["–" if math.isnan(float(str(it[name]))) else format(it[name], form) for it in cells]

    return table(
        console,
        Column("environment", [str(it["environment"]) for it in cells]),
        [
            Column("tests", [str(it["tests"]) for it in cells], drop=3),
            Column(
                "clock",
                column("share_clock_only", ".3f"),
                note="clock: profit of the best seller that sees the clock only, over that of the informed one",
            ),
            Column(
                "closed", column("gap_closed", ".2f"), note="closed: share of that gap which an adaptive seller closes"
            ),
            Column("plan", column("planning", ".3f"), drop=1, note="plan: profit of the best seller over IMP's"),
            Column("informed", column("informed", ",.0f"), drop=2, note="informed: its profit, $ an episode"),
            Column("/ bound", column("share_of_bound", ".3f"), drop=2, note="/ bound: that over the certified bound"),
            Column("class", [str(it["class"]) for it in cells]),
        ],
        title="What each environment tests, on held-out days",
    )
