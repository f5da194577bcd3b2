"""`lmaas compare`: any sellers and IMP on the same held-out days."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lmaas_train.cli.tables import Column, days, dollars, table, with_interval
from lmaas_train.evaluation.days import Days
from lmaas_train.evaluation.results import REFERENCE, Row, summary, write_results
from lmaas_train.evaluation.rollout import sell
from lmaas_train.evaluation.sellers import sellers_of
from lmaas_train.runs import new_folder
from rich.console import Console, Group

from lmaas_env import Market
from lmaas_env.render.drawing import milliseconds
from lmaas_env.seeds import held_out_seeds


@dataclasses.dataclass
class Compare:
    """Sell the same held-out days with several sellers and with IMP.

    Prints mean profits and paired differences to IMP with 95 % intervals. Writes them, days and hours as CSV, a
    figure, and report.html.

    Examples
    --------
      lmaas compare
      lmaas compare scarce --days 100 --sellers fixed random
      lmaas compare --sellers fixed runs/my-run
    """

    scenario: str = "day"
    """Preset or YAML file."""
    sellers: tuple[str, ...] = ("fixed", "public-imp", "cost-plus", "random")
    """Besides imp: lookahead, public-lookahead, public-imp, fixed, cost-plus, random, shipped policies, run folders."""
    days: int = 40
    """Number of held-out days."""
    population_seed: int = 0
    """Seed of the customers; 0 selects those that ship with the package."""
    out: Path | None = None
    """New folder for the results; by default runs/compare-SCENARIO-TIME."""

    def main(self) -> list[Row]:
        """Run the comparison and return its rows."""
        return summary(compare(self))


def compare(args: Compare) -> dict[str, Days]:
    """Compare sellers as `Compare` says; return the days of each by name."""
    market = Market(args.scenario, seed=args.population_seed)
    seeds = held_out_seeds(args.days)
    sellers = sellers_of([REFERENCE, *args.sellers], market)
    out = new_folder(args.out, f"compare-{market.scenario.name}")
    console = Console()
    sold = sell(market, sellers, seeds, console)
    rows = summary(sold)
    write_results(out, market, sold, rows)
    console.print(comparison_table(rows, market.scenario.name, args.days, console))
    files = f"report {out / 'report.html'}\nfigure {out / 'figure.png'}\ntables {out}/*.csv"
    console.print(files, highlight=False, soft_wrap=True)
    return sold


def comparison_table(rows: list[Row], scenario: str, count: int, console: Console) -> Group:
    """Return the rows of a comparison as a table that fits the console."""
    minus = ["" if row.seller == REFERENCE else with_interval(row.difference, "+,.0f") for row in rows]
    return table(
        console,
        Column("seller", [row.seller for row in rows]),
        [
            Column("profit", [with_interval(row.profit, "z,.0f") for row in rows]),
            Column("minus IMP", minus, note="minus IMP: paired by day"),
            Column("/ IMP", [f"{row.share_of_imp:.3f}" for row in rows], drop=1),
            Column(
                "cust.",
                [dollars(row.customer_profit) for row in rows],
                drop=2,
                note="cust.: customers' profit, $ per day",
            ),
            Column(
                "ms", [milliseconds(row.milliseconds_per_decision) for row in rows], drop=3, note="ms: per decision"
            ),
        ],
        title=f"{scenario}: seller's profit in $ per day, {days(count)}",
    )
