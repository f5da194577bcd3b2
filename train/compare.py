"""`lmaas compare`: any sellers on the same held-out days, beside IMP."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from agents import (
    IMP,
    CostPlus,
    FixedPrice,
    LookaheadIMP,
    PublicIMP,
    PublicLookaheadIMP,
    RandomPrice,
    Seller,
    load_policy,
)
from agents.learned import LearnedSeller, shipped_policies
from lmaas_env import Market
from lmaas_env.days import Days, held_out_seeds
from lmaas_env.files import write_whole
from lmaas_env.scenario import close_match
from train.rollout import rollout, rollout_each
from train.runs import csv_text, new_folder, write_origin
from train.statistics import Estimate, mean_estimate

REFERENCE = "imp"
SELLERS: dict[str, Callable[[Market], Seller]] = {
    "imp": IMP,
    "lookahead": LookaheadIMP,
    "public-imp": PublicIMP,
    "public-lookahead": PublicLookaheadIMP,
    "fixed": FixedPrice,
    "cost-plus": CostPlus,
    "random": RandomPrice,
}


@dataclasses.dataclass
class Compare:
    """Sell the same held-out days with several sellers, beside IMP.

    Prints a table with 95 % intervals (paired differences to IMP) and writes table.csv, days.csv and figure.png.

    Examples
    --------
      lmaas compare
      lmaas compare --scenario scarce --days 100 --sellers fixed random
      lmaas compare --sellers fixed runs/my-run
    """

    scenario: str = "day"
    """Preset (day, static, scarce, abundant, public, city, population) or YAML file."""
    sellers: tuple[str, ...] = ("fixed", "public-imp", "cost-plus", "random")
    """Beside imp: lookahead, public-lookahead, public-imp, fixed, cost-plus, random, shipped policies, run folders."""
    days: int = 40
    """Number of held-out days."""
    population_seed: int = 0
    """Which customers; 0 reads those that ship with the package."""
    out: Path | None = None
    """New folder for the results; default runs/compare-SCENARIO-TIME."""

    def main(self) -> list[Row]:
        """Run the comparison and return its rows."""
        return summary(compare(self))


class Row(NamedTuple):
    """One seller's line of the table; $ per day but the share and the milliseconds."""

    seller: str
    profit: Estimate
    difference: Estimate
    share_of_imp: float
    customer_profit: float
    milliseconds_per_decision: float


def compare(args: Compare) -> dict[str, Days]:
    """Compare sellers as `Compare` says; return the days of each by name."""
    market = Market(args.scenario, seed=args.population_seed)
    seeds = held_out_seeds(args.days)
    sellers = {_label(name): seller_of(name, market) for name in dict.fromkeys([REFERENCE, *args.sellers])}
    out = new_folder(args.out, f"compare-{market.scenario.name}")
    console = Console()
    days = sell(market, sellers, seeds, console)
    rows = summary(days)
    console.print(_table(rows, market, args.days))
    _write(out, rows, days, market)
    console.print(
        f"figure {out / 'figure.png'}\ntable  {out / 'table.csv'}\ndays   {out / 'days.csv'}", highlight=False
    )
    return days


def summary(days: Mapping[str, Days]) -> list[Row]:
    """Return one row per seller, best first, with differences paired by day."""
    reference = days[REFERENCE].day_profit
    rows = [
        Row(
            seller=name,
            profit=mean_estimate(sold.day_profit),
            difference=mean_estimate(sold.day_profit - reference),
            share_of_imp=float(sold.day_profit.mean() / reference.mean()),
            customer_profit=float(sold.customer_profit.sum(axis=1).mean()),
            milliseconds_per_decision=1e3 * sold.seconds_per_decision,
        )
        for name, sold in days.items()
    ]
    return sorted(rows, key=lambda row: -row.profit.mean)


def seller_of(name: str, market: Market) -> LearnedSeller | Callable[[Market], Seller]:
    """Return the policy of a name, loaded and checked, or what makes the seller of a name for a market."""
    if name in SELLERS:
        return SELLERS[name]
    if name not in shipped_policies() and not Path(name).is_dir() and close_match(name, SELLERS):
        raise ValueError(f"seller {name!r} is unknown{close_match(name, SELLERS)}; sellers: {', '.join(SELLERS)}")
    policy = load_policy(name)
    policy.check(market)
    return policy


def _label(name: str) -> str:
    return name if name in SELLERS else Path(name).name


def sell(
    market: Market,
    sellers: Mapping[str, LearnedSeller | Callable[[Market], Seller]],
    seeds: Sequence[int],
    console: Console,
) -> dict[str, Days]:
    """Sell the same days with each seller; one that knows customers is made anew every day where they change."""
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeRemainingColumn(),
    )
    days: dict[str, Days] = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for name, seller in sellers.items():
            task = progress.add_task(f"{name}: getting ready", total=None, unit="hours")

            def advance(task: TaskID = task) -> None:
                progress.advance(task)

            if not isinstance(seller, LearnedSeller) and market.scenario.turnover == "daily":
                progress.update(task, description=name, total=len(seeds), unit="days")
                days[name] = rollout_each(market, seller, seeds, advance)
                continue
            asked = seller if isinstance(seller, LearnedSeller) else seller(market)
            progress.update(task, description=name, total=market.scenario.periods)
            days[name] = rollout(market, asked, seeds, advance)
    return days


def _table(rows: list[Row], market: Market, days: int) -> Table:
    title = f"{market.scenario.name}: seller's profit in $ per day, {days} held-out days [95 % interval]"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("seller", "profit", "minus IMP", "/ IMP", "cust.", "ms"):
        table.add_column(heading, justify="left" if heading == "seller" else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.seller,
            f"{row.profit.mean:.0f} [{row.profit.low:.0f}, {row.profit.high:.0f}]",
            ""
            if row.seller == REFERENCE
            else f"{row.difference.mean:+.0f} [{row.difference.low:+.0f}, {row.difference.high:+.0f}]",
            f"{row.share_of_imp:.3f}",
            f"{row.customer_profit:.0f}",
            milliseconds(row.milliseconds_per_decision),
        )
    table.caption = "minus IMP: paired by day; cust.: customers' profit in $ per day; ms per decision"
    return table


def milliseconds(value: float) -> str:
    """Return a time in ms as text of at most five characters."""
    return "<0.01" if value < 0.01 else f"{value:.2f}" if value < 10.0 else f"{value:.1f}"


def _write(out: Path, rows: list[Row], days: Mapping[str, Days], market: Market) -> None:
    from lmaas_env import viewer

    headings = ["seller", "profit", "profit_low", "profit_high", "minus_imp", "minus_imp_low", "minus_imp_high"]
    headings += ["share_of_imp", "customer_profit", "milliseconds_per_decision"]
    write_whole(out / "table.csv", csv_text(headings, [[r[0], *r[1], *r[2], *r[3:]] for r in rows]))
    per_day = [
        [name, seed, profit, customers]
        for name, sold in days.items()
        for seed, profit, customers in zip(
            sold.seeds.tolist(), sold.day_profit.tolist(), sold.customer_profit.sum(axis=1).tolist(), strict=True
        )
    ]
    write_whole(out / "days.csv", csv_text(["seller", "day_seed", "profit", "customer_profit"], per_day))
    intervals = {row.seller: (row.profit.low, row.profit.high) for row in rows}
    viewer.save(viewer.comparison(days, market.catalogue.names, intervals), out / "figure.png")
    write_origin(out)
