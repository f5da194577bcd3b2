"""`lmaas bound`: what any seller could earn on held-out days, and how near the sellers come."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
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
from lmaas_train.runs import SETTINGS, csv_text, default_folder, in_use, new_folder, write_origin
from lmaas_train.sweeps.engines import Engine
from lmaas_train.sweeps.parts import EngineOptions, values_of
from rich.console import Console

from lmaas_env import Market
from lmaas_env.files import read_text, write_whole
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
    seeds = held_out_seeds(args.days)
    if args.start_days < 0:
        raise ValueError(f"start_days = {args.start_days} must be >= 0")
    out = args.out or default_folder(f"bound-{market.scenario.name}")
    settings = {
        "scenario": market.scenario.to_dict(),
        "population_seed": args.population_seed,
        "days": args.days,
        "effort": effort._asdict(),
        "start_days": args.start_days,
    }
    sellers = sellers_of(args.sellers, market, args.trust)  # refused before the folder is made
    engine = args.new_engine()
    if not (out / SETTINGS).exists():
        new_folder(out, "")
    with in_use(out):
        return _bounded(args, engine, market, sellers, seeds, effort, out, settings)


def _bounded(
    args: Bound,
    engine: Engine,
    market: Market,
    sellers: Mapping[str, NamedSeller],
    seeds: range,
    effort: Effort,
    out: Path,
    settings: dict[str, object],
) -> list[SellerRow]:
    """Bound the days in a folder that is this process's alone."""
    console, bounded = Console(), _resumed(out, settings)
    sold = evaluate(sellers, market, days=args.days, sell_anchors=False).days
    profits = {name: days.day_profit for name, days in sold.items()}
    best = max(profits, key=lambda name: profits[name].mean())

    missing = [seed for seed in seeds if seed not in bounded]
    if missing:
        start = _start(out, market, args.start_days, effort, console)
        tasks = {f"day {seed}": (market, seed, effort, start) for seed in missing}
        for _, (row, path) in values_of(engine, _bound_day, tasks, console, "bounding", "days"):
            bounded[row.day_seed] = row, path
            _write(out, bounded)
    days_sold = zip(seeds, sold[best].prices, strict=True)
    tasks = {f"day {seed}": (market, seed, prices) for seed, prices in days_sold}
    foreseen = dict(values_of(engine, _clairvoyant_day, tasks, console, "foreseeing", "days"))

    rows, paths = zip(*(bounded[seed] for seed in seeds), strict=True)
    clairvoyant = np.array([foreseen[f"day {seed}"] for seed in seeds])
    found = [seller_row(name, profit, profits[REFERENCE], rows) for name, profit in profits.items()]
    found.sort(key=lambda row: -row.profit)
    _write(out, bounded, {"clairvoyant": clairvoyant, **profits})
    write_whole(out / "sellers.csv", csv_text(SellerRow._fields, found))
    write_whole(out / "summary.md", summary(market.scenario.name, rows, found, profits[best], clairvoyant))
    drawing.save_both(bound_figure(market.scenario.name, profits, rows, paths), out / "figure.png")
    write_origin(out)
    _print(market.scenario.name, rows, found, console)
    files = "days.csv, sellers.csv, descent.csv, summary.md, figure.png"
    console.print(f"files in {out}: {files}", highlight=False, soft_wrap=True)
    return found


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


def _resumed(out: Path, settings: dict[str, object]) -> dict[int, tuple[DayRow, FloatArray]]:
    """Return the days that a run with these settings has bounded already; start a new folder if there is none."""
    text, known = json.dumps(settings, indent=2) + "\n", out / SETTINGS
    if not known.exists():
        write_origin(out, complete=False)
        write_whole(known, text)
        return {}
    if read_text(known) != text:
        raise ValueError(f"folder {str(out)!r} holds a run with other settings; name a new one, nothing was changed")
    steps: dict[int, list[tuple[float, float]]] = {}
    for it in _table(out / "descent.csv"):
        steps.setdefault(int(it["day_seed"]), []).append((float(it["seconds"]), float(it["estimate"])))
    rows = [
        DayRow(int(it["day_seed"]), *(float(it[name] or "nan") for name in DayRow._fields[1:]))
        for it in _table(out / "days.csv")
    ]
    return {row.day_seed: (row, np.array(steps[row.day_seed])) for row in rows}


def _table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file, none if it is not there yet."""
    return list(csv.DictReader(read_text(path).splitlines())) if path.exists() else []


def _write(
    out: Path, bounded: dict[int, tuple[DayRow, FloatArray]], columns: Mapping[str, FloatArray] | None = None
) -> None:
    """Write the descents, then the days, with further columns once every day is there."""
    paths = [(seed, *step) for seed, (_, path) in sorted(bounded.items()) for step in path.tolist()]
    write_whole(out / "descent.csv", csv_text(("day_seed", "seconds", "estimate"), paths))
    more = columns or {}
    rows = [(*row, *(own[i] for own in more.values())) for i, (_, (row, _)) in enumerate(sorted(bounded.items()))]
    write_whole(out / "days.csv", csv_text((*DayRow._fields, *more), rows))


def _start(out: Path, market: Market, days: int, effort: Effort, console: Console) -> FloatArray | None:
    """Return the energy values that every descent starts from, kept in the folder."""
    if not days:
        return None
    path = out / "start.npy"
    if not path.exists():
        with console.status(f"energy values of {days} tuning days"):
            values = mean_energy_value(market, days, effort)
        file = io.BytesIO()
        np.save(file, values, allow_pickle=False)
        write_whole(path, file.getvalue())
    return np.load(path, allow_pickle=False)


def _bound_day(market: Market, seed: int, effort: Effort, start: FloatArray | None) -> tuple[DayRow, FloatArray]:
    """Return a day's bounds, and how the estimate fell: seconds and $, (steps, 2)."""
    state, draws = _day(market, seed)
    found = dynamic_bound(market, state, draws, effort, start)
    is_recourse = market.scenario.settlement == "recourse"
    personalised = personalised_bound(market, state, draws) if is_recourse else np.nan
    row = DayRow(seed, personalised, found.certified, found.estimate, *found.seconds)
    return row, np.array(found.descent)


def _clairvoyant_day(market: Market, seed: int, prices: FloatArray) -> float:
    """Return what prices near those of a seller earn if they are chosen with the day's draws known."""
    return clairvoyant_profit(market, *_day(market, seed), prices)


def _day(market: Market, seed: int) -> tuple[State, Draws]:
    states, draws = draw_days(market, [seed])
    return states.lane(0), draws.at((slice(None), 0))
