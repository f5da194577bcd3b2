"""`lmaas compare`: any sellers on the same held-out days, beside IMP."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from lmaas_agents import (
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
from lmaas_agents.learned.policy import LearnedSeller, shipped_policies
from lmaas_train.evaluation.days import Days
from lmaas_train.evaluation.results import REFERENCE, Row, summary, write_results
from lmaas_train.evaluation.rollout import rollout, rollout_each
from lmaas_train.progress import bars
from lmaas_train.runs import new_folder
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import TaskID
from rich.table import Table

from lmaas_env import Market
from lmaas_env.fields import close_match
from lmaas_env.seeds import held_out_seeds

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

    Prints a table with 95 % intervals (paired differences to IMP) and writes it, days and hours as CSV, a figure, and
    report.html.

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


def compare(args: Compare) -> dict[str, Days]:
    """Compare sellers as `Compare` says; return the days of each by name."""
    market = Market(args.scenario, seed=args.population_seed)
    seeds = held_out_seeds(args.days)
    sellers = sellers_of([REFERENCE, *args.sellers], market)
    out = new_folder(args.out, f"compare-{market.scenario.name}")
    console = Console()
    days = sell(market, sellers, seeds, console)
    rows = summary(days)
    console.print(_table(rows, market, args.days))
    write_results(out, market, days, rows)
    console.print(f"report {out / 'report.html'}\nfigure {out / 'figure.png'}\ntables {out}/*.csv", highlight=False)
    return days


def seller_of(name: str, market: Market) -> LearnedSeller | Callable[[Market], Seller]:
    """Return the policy of a name, loaded and checked, or what makes the seller of a name for a market."""
    if name in SELLERS:
        return SELLERS[name]
    if name not in shipped_policies() and not Path(name).is_dir() and close_match(name, SELLERS):
        raise ValueError(f"seller {name!r} is unknown{close_match(name, SELLERS)}; sellers: {', '.join(SELLERS)}")
    policy = load_policy(name)
    policy.check(market)
    return policy


def sellers_of(names: Iterable[str], market: Market) -> dict[str, LearnedSeller | Callable[[Market], Seller]]:
    """Return sellers as `seller_of` does by what tables call them: their name, or that of their folder."""
    sellers: dict[str, LearnedSeller | Callable[[Market], Seller]] = {}
    for name in dict.fromkeys(names):
        if Path(name).name in sellers:
            raise ValueError(f"seller {name!r} would be called {Path(name).name!r} as another: rename its folder")
        sellers[Path(name).name] = seller_of(name, market)
    return sellers


def sell(
    market: Market,
    sellers: Mapping[str, LearnedSeller | Callable[[Market], Seller]],
    seeds: Sequence[int],
    console: Console,
) -> dict[str, Days]:
    """Sell the same days with each seller; one that knows customers is made anew every day where they change."""
    days: dict[str, Days] = {}
    with bars(console) as progress:
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
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, title_justify="left")
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
