"""`lmaas bound`: what any seller could earn on held-out days, and how near the sellers come."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from lmaas_agents.bounds import (
    Effort,
    check_effort,
    clairvoyant_profit,
    dynamic_bound,
    mean_energy_value,
    personalised_bound,
)
from lmaas_train.evaluation.bound_figure import bound_figure
from lmaas_train.evaluation.days import REFERENCE
from lmaas_train.evaluation.evaluate import evaluate
from lmaas_train.evaluation.sellers import NamedSeller, sellers_of
from lmaas_train.evaluation.shares import DayRow, SellerRow, seller_row, summary
from lmaas_train.evaluation.tables import Column, days, dollars, table
from lmaas_train.runs import Results, csv_text, market_settings, results_folder
from lmaas_train.sweeps.engines import Engine
from lmaas_train.sweeps.parts import EngineOptions, rows_of, values_of
from rich.console import Console

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.render import drawing
from lmaas_env.scenario import Scenario
from lmaas_env.seeds import draw_days, held_out_seeds
from lmaas_env.state import Draws, State
from lmaas_env.types import FloatArray


@dataclasses.dataclass
class Bound(EngineOptions):
    """Bound what any seller can earn on held-out days, and compare sellers with the bound.

    The bound is certified: it allows knowledge of the whole day, but one price per model and hour, as in the market.
    Writes days.csv, sellers.csv, descent.csv, summary.md and figure.png. A run that was stopped goes on where it
    stopped if the same command names its folder.

    Examples
    --------
      lmaas bound
      lmaas bound scarce --days 10 --jobs 2 --out runs/scarce-bound
    """

    scenario: str = "day"
    """Preset or YAML file."""
    sellers: tuple[str, ...] = ("lookahead", "fixed", "public-imp")
    """Besides imp, as in lmaas compare."""
    days: int = 40
    """Number of held-out days; about a minute each."""
    population_seed: int = 0
    """Seed of the customers; 0 selects those that ship with the package."""
    charges: int = Effort().charges
    """Cells of every battery."""
    prices: int = Effort().prices
    """Cells of every price in the descent, a power of two."""
    proof_prices: int = Effort().proof_prices
    """Cells of every price in the certificate, a power of two."""
    steps: int = Effort().steps
    """Steps of the descent."""
    start_days: int = 3
    """Tuning days whose mean energy values every descent starts from; 0: look-ahead IMP's plan."""
    trust: bool = False
    """Load SB3 zips, which can run code that they hold."""
    out: Path | None = None
    """Folder for the results, new or of a run that was stopped; by default runs/bound-SCENARIO-TIME."""

    def main(self) -> list[SellerRow]:
        """Bound the days and return a row per seller."""
        return bound(self)


def bound(args: Bound) -> list[SellerRow]:
    """Bound days as `Bound` says and return a row per seller."""
    market = Market(Scenario.load(args.scenario), seed=args.population_seed)
    effort = Effort(args.charges, args.prices, args.proof_prices, args.steps)
    check_effort(market, effort)
    held_out_seeds(args.days)  # refuses other numbers before the folder is made
    if args.start_days < 0:
        raise ValueError(f"start_days = {args.start_days} must be >= 0")
    settings = {
        **market_settings(market),
        "days": args.days,
        "effort": effort._asdict(),
        "start_days": args.start_days,
    }
    sellers = sellers_of(args.sellers, market, args.trust)  # refused before the folder is made
    engine = args.new_engine()
    with results_folder(args.out, f"bound-{market.scenario.name}", settings) as results:
        return _bounded(args, engine, market, sellers, effort, results)


def _bounded(
    args: Bound,
    engine: Engine,
    market: Market,
    sellers: Mapping[str, NamedSeller],
    effort: Effort,
    results: Results,
) -> list[SellerRow]:
    """Bound the days, sell them, and write all results."""
    console, out, seeds = Console(), results.folder, held_out_seeds(args.days)
    sold = evaluate(sellers, market, days=args.days, sell_anchors=False).days
    profits = {name: days.day_profit for name, days in sold.items()}
    best = max(profits, key=lambda name: profits[name].mean())

    start = _start(results, market, args.start_days, effort, console)
    tasks = {f"day {seed}": (market, seed, effort, start) for seed in seeds}
    found = rows_of(results, engine, _bound_day, tasks, console, "bounding", "days")
    rows, paths = [DayRow(*day) for day, *_ in found], [np.array(path) for _, *path in found]
    days_sold = zip(seeds, sold[best].prices, strict=True)
    tasks = {f"day {seed}": (market, seed, prices) for seed, prices in days_sold}
    foreseen = dict(values_of(engine, _clairvoyant_day, tasks, console, "foreseeing", "days"))
    clairvoyant = np.array([foreseen[f"day {seed}"] for seed in seeds])

    against = [seller_row(name, profit, profits[REFERENCE], rows) for name, profit in profits.items()]
    against.sort(key=lambda row: -row.profit)
    columns = {"clairvoyant": clairvoyant, **profits}
    by_day = [(*row, *(own[i] for own in columns.values())) for i, row in enumerate(rows)]
    write_whole(out / "days.csv", csv_text((*DayRow._fields, *columns), by_day))
    descents = [(row.day_seed, *step) for row, path in zip(rows, paths, strict=True) for step in path.tolist()]
    write_whole(out / "descent.csv", csv_text(("day_seed", "seconds", "estimate"), descents))
    write_whole(out / "sellers.csv", csv_text(SellerRow._fields, against))
    write_whole(out / "summary.md", summary(market.scenario.name, rows, against, profits[best], clairvoyant))
    drawing.save_both(bound_figure(market.scenario.name, profits, rows, paths), out / "figure.png")
    _print(market.scenario.name, rows, against, console)
    files = "days.csv, sellers.csv, descent.csv, summary.md, figure.png"
    console.print(f"files in {out}: {files}", highlight=False, soft_wrap=True)
    return against


def _print(scenario: str, rows: Sequence[DayRow], found: Sequence[SellerRow], console: Console) -> None:
    """Print sellers and their shares of the bound."""
    highest = dollars(float(np.mean([row.bound for row in rows])))
    columns = [
        Column("$ a day", [dollars(row.profit) for row in found]),
        Column("% of the bound", [f"{100 * row.share:.1f}" for row in found]),
        Column("95 % interval", [f"{100 * row.share_low:.1f} to {100 * row.share_high:.1f}" for row in found]),
        Column("score", ["" if np.isnan(row.score) else f"{row.score:.2f}" for row in found], drop=1),
    ]
    title = f"{scenario}, {days(len(rows))}: no seller earns more than {highest} a day"
    names = Column("seller", [row.seller for row in found])
    console.print(table(console, names, columns, title, "score: IMP earns 0, the bound 1"))


def _start(results: Results, market: Market, days: int, effort: Effort, console: Console) -> FloatArray | None:
    """Return the energy values that every descent starts from, kept in the folder."""

    def values() -> dict[str, FloatArray]:
        with console.status(f"energy values of {days} tuning days"):
            return {"values": mean_energy_value(market, days, effort)}

    return results.arrays("start", values)["values"] if days else None


def _bound_day(market: Market, seed: int, effort: Effort, start: FloatArray | None) -> list[Sequence[float]]:
    """Return a `DayRow`, then how the estimate fell: seconds and $."""
    state, draws = _day(market, seed)
    found = dynamic_bound(market, state, draws, effort, start)
    is_recourse = market.scenario.settlement == "recourse"
    personalised = personalised_bound(market, state, draws) if is_recourse else np.nan
    return [DayRow(seed, personalised, found.certified, found.estimate, *found.seconds), *found.descent]


def _clairvoyant_day(market: Market, seed: int, prices: FloatArray) -> float:
    """Return what prices near those of a seller earn if they are chosen with the day's draws known."""
    return clairvoyant_profit(market, *_day(market, seed), prices)


def _day(market: Market, seed: int) -> tuple[State, Draws]:
    states, draws = draw_days(market, [seed])
    return states.lane(0), draws.at((slice(None), 0))
