"""`lmaas bound`: what any seller could earn on held-out days, and how near the sellers come."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from lmaas_agents.bounds import (
    Effort,
    check_effort,
    clairvoyant_profit,
    day_bound,
    dynamic_bound,
    mean_energy_value,
)
from lmaas_train.cli.tables import Column, dollars, table
from lmaas_train.evaluation.bound_figure import bound_figure
from lmaas_train.evaluation.evaluate import evaluate
from lmaas_train.evaluation.statistics import Estimate, mean_estimate, normalised_score
from lmaas_train.progress import bars
from lmaas_train.runs import csv_text, default_folder, write_origin
from rich.console import Console

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.render import drawing
from lmaas_env.scenario import Scenario
from lmaas_env.seeds import draw_days, held_out_seeds
from lmaas_env.state import Draws, State
from lmaas_env.types import FloatArray

Result = TypeVar("Result")

REFERENCE = "imp"
SMALLEST_ROOM = 0.02  # of IMP's profit that the bound must leave above it for a normalised score


@dataclasses.dataclass
class Bound:
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
    jobs: int = 1
    """Processes that share out the days."""
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


class DayRow(NamedTuple):
    """One day's bounds, $, and their time in seconds of a core."""

    day_seed: int
    personalised: float
    bound: float
    estimate: float
    descent_seconds: float
    certificate_seconds: float


class SellerRow(NamedTuple):
    """How near a seller comes to the bound, over all days, with 95 % intervals."""

    seller: str
    profit: float
    share: float
    share_low: float
    share_high: float
    score: float
    score_low: float
    score_high: float


def bound(args: Bound) -> list[SellerRow]:
    """Bound days as `Bound` says and return a row per seller."""
    market = Market(Scenario.load(args.scenario), seed=args.population_seed)
    effort = Effort(args.charges, args.prices, args.proof_prices, args.steps)
    check_effort(market, effort)
    seeds = held_out_seeds(args.days)
    if args.jobs < 1 or args.start_days < 0:
        raise ValueError(f"jobs = {args.jobs} must be >= 1, start_days = {args.start_days} must be >= 0")
    out = args.out or default_folder(f"bound-{market.scenario.name}")
    console = Console()
    rows = _resumed(
        out,
        {
            "scenario": market.scenario.to_dict(),
            "population_seed": args.population_seed,
            "effort": effort._asdict(),
            "start_days": args.start_days,
        },
    )
    sold = evaluate(args.sellers, market, days=args.days, sell_anchors=False, trusted=args.trust).days
    profits = {name: days.day_profit for name, days in sold.items()}
    best = max(profits, key=lambda name: profits[name].mean())

    missing = [seed for seed in seeds if seed not in {row.day_seed for row in rows}]
    if missing:
        start = _start(out, market, args.start_days, effort, console)
        tasks = [(market, seed, effort, start) for seed in missing]
        for row, path in _each(_bound_day, tasks, args.jobs, "bounding", console):
            rows.append(row)
            _append(out / "descent.csv", ("day_seed", "seconds", "estimate"), path)
            write_whole(out / "days.csv", csv_text(DayRow._fields, sorted(rows)))
    tasks = [(market, seed, prices) for seed, prices in zip(seeds, sold[best].prices, strict=True)]
    foreseen = dict(_each(_clairvoyant_day, tasks, args.jobs, "foreseeing", console))
    by_seed = {row.day_seed: row for row in rows}
    rows = [by_seed[seed] for seed in seeds]
    found = [_seller_row(name, profit, profits[REFERENCE], rows) for name, profit in profits.items()]
    found.sort(key=lambda row: -row.profit)
    clairvoyant = np.array([foreseen[seed] for seed in seeds])
    cells = [(*row, clairvoyant[i], *(profits[name][i] for name in profits)) for i, row in enumerate(rows)]
    write_whole(out / "days.csv", csv_text((*DayRow._fields, "clairvoyant", *profits), cells))
    write_whole(out / "sellers.csv", csv_text(SellerRow._fields, found))
    drawing.save_both(
        bound_figure(
            market.scenario.name,
            profits,
            np.array([row.bound for row in rows]),
            np.array([row.personalised for row in rows]),
            _paths(out / "descent.csv", seeds),
        ),
        out / "figure.png",
    )
    text = summary(market.scenario.name, rows, found, profits[best], clairvoyant)
    write_whole(out / "summary.md", text)
    write_origin(out)
    console.print(
        table(
            console,
            Column("seller", [row.seller for row in found]),
            [
                Column("$ a day", [dollars(row.profit) for row in found]),
                Column("% of the bound", [f"{100 * row.share:.1f}" for row in found]),
                Column("95 % interval", [f"{100 * row.share_low:.1f} to {100 * row.share_high:.1f}" for row in found]),
                Column("score", ["" if np.isnan(row.score) else f"{row.score:.2f}" for row in found], drop=1),
            ],
            title=f"{market.scenario.name}, {args.days} held-out days: no seller earns more than "
            f"{dollars(float(np.mean([row.bound for row in rows])))} a day",
            note="score: IMP earns 0, the bound 1",
        )
    )
    console.print(
        f"files in {out}: days.csv, sellers.csv, descent.csv, summary.md, figure.png", highlight=False, soft_wrap=True
    )
    return found


def _resumed(out: Path, settings: dict[str, object]) -> list[DayRow]:
    """Return the days that a run with these settings has bounded already; start a new folder if there is none."""
    known = out / "settings.json"
    text = json.dumps(settings, indent=2) + "\n"
    if known.exists():
        if known.read_text() != text:
            raise ValueError(
                f"folder {str(out)!r} holds a run with other settings; name a new one, nothing was changed"
            )
        if not (out / "days.csv").exists():
            return []
        with (out / "days.csv").open() as file:
            return [
                DayRow(int(row["day_seed"]), *(float(row[name]) for name in DayRow._fields[1:]))
                for row in csv.DictReader(file)
            ]
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"folder {str(out)!r} exists already; name a new one, nothing was changed")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(known, text)
    return []


def _start(out: Path, market: Market, days: int, effort: Effort, console: Console) -> FloatArray | None:
    """Return the energy values that every descent starts from, kept in the folder."""
    if not days:
        return None
    path = out / "start.npy"
    if not path.exists():
        with console.status(f"energy values of {days} tuning days"):
            values = mean_energy_value(market, days, effort._replace(proof_prices=2))
        file = io.BytesIO()
        np.save(file, values, allow_pickle=False)
        write_whole(path, file.getvalue())
    return np.load(path, allow_pickle=False)


def _each(
    work: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], jobs: int, about: str, console: Console
) -> Iterator[Result]:
    """Do the tasks in any order, in processes of their own if there are several jobs, with a progress bar."""
    with bars(console) as progress, contextlib.ExitStack() as stack:
        task = progress.add_task(about, total=len(tasks), unit="days")
        results: Iterator[Result] = (work(*one) for one in tasks)
        if jobs > 1:
            context = multiprocessing.get_context("spawn")
            pool = stack.enter_context(ProcessPoolExecutor(jobs, mp_context=context))
            results = (done.result() for done in as_completed([pool.submit(work, *one) for one in tasks]))
        for result in results:
            yield result
            progress.advance(task)


def _bound_day(
    market: Market, seed: int, effort: Effort, start: FloatArray | None
) -> tuple[DayRow, list[tuple[int, float, float]]]:
    """Return a day's bounds, and how the estimate fell."""
    state, draws = _day(market, seed)
    found = dynamic_bound(market, state, draws, effort, start)
    is_recourse = market.scenario.settlement == "recourse"
    personalised = day_bound(market, state, draws) if is_recourse else np.nan
    row = DayRow(seed, personalised, found.certified, found.estimate, *found.seconds)
    return row, [(seed, step.seconds, step.value) for step in found.descent]


def _clairvoyant_day(market: Market, seed: int, prices: FloatArray) -> tuple[int, float]:
    """Return the seed and what prices near those of a seller earn if they are chosen with the day's draws known."""
    return seed, clairvoyant_profit(market, *_day(market, seed), prices)


def _day(market: Market, seed: int) -> tuple[State, Draws]:
    states, draws = draw_days(market, [seed])
    return State(0, *(array[0] for array in states[1:])), draws.at((slice(None), 0))


def _append(path: Path, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Add rows to a CSV file, which is written whole."""
    text = csv_text(headings, rows)
    write_whole(path, path.read_text() + text.partition("\n")[2] if path.exists() else text)


def _paths(path: Path, seeds: Sequence[int]) -> list[FloatArray]:
    """Return seconds and estimate (steps, 2) of each day's descent."""
    with path.open() as file:
        steps = list(csv.DictReader(file))
    return [
        np.array([(float(it["seconds"]), float(it["estimate"])) for it in steps if int(it["day_seed"]) == seed])
        for seed in seeds
    ]


def _seller_row(name: str, profit: FloatArray, imp: FloatArray, rows: Sequence[DayRow]) -> SellerRow:
    above = np.array([row.bound for row in rows])
    share = normalised_score(profit, np.zeros(len(rows)), above)
    score = Estimate(np.nan, np.nan, np.nan)
    if name != REFERENCE and above.mean() - imp.mean() >= SMALLEST_ROOM * imp.mean():
        score = normalised_score(profit, imp, above)
    return SellerRow(name, float(profit.mean()), *share, *score)


def summary(
    scenario: str, rows: Sequence[DayRow], sellers: Sequence[SellerRow], best: FloatArray, clairvoyant: FloatArray
) -> str:
    """Return the Markdown tables: sellers against the bound, and what the gap of the best of them consists of."""
    personalised, certified = (np.array([getattr(row, name) for row in rows]) for name in ("personalised", "bound"))
    seconds = np.mean([(row.descent_seconds, row.certificate_seconds) for row in rows], axis=0)
    estimate = np.mean([row.estimate for row in rows])
    lines = [
        f"# How near sellers come to the certified bound: `{scenario}`, {len(rows)} held-out days",
        "",
        f"No seller earns more than {certified.mean():,.1f} $ a day in the mean (certified; the descent's estimate is "
        f"{estimate:,.1f} $). A day took {seconds[0]:.0f} s of a core, its certificate {seconds[1]:.0f} s.",
        "",
        "| seller | $ a day | share of the bound | score |",
        "|---|--:|--:|--:|",
    ]
    for row in sellers:
        score = "" if np.isnan(row.score) else f"{row.score:.2f} [{row.score_low:.2f}, {row.score_high:.2f}]"
        share = f"{row.share:.3f} [{row.share_low:.3f}, {row.share_high:.3f}]"
        lines.append(f"| `{row.seller}` | {row.profit:,.1f} | {share} | {score} |")
    lines += ["", "Score: IMP earns 0, the bound 1.", ""]
    gaps = {
        "a price of its own for every customer: personalised bound minus bound": personalised - certified,
        "remainder: bound minus the clairvoyant seller": certified - clairvoyant,
        f"foresight: the clairvoyant seller minus `{sellers[0].seller}`": clairvoyant - best,
    }
    lines += [f"Between `{sellers[0].seller}` and the bound with personalised prices lie, $ a day [95 % interval]:", ""]
    lines += ["| part | $ a day |", "|---|--:|"]
    lines += [f"| {name} | {_interval(gap)} |" for name, gap in gaps.items() if np.isfinite(gap).all()]
    return "\n".join([*lines, ""])


def _interval(values: FloatArray) -> str:
    found = mean_estimate(values)
    return f"{found.mean:,.1f}" if np.isnan(found.low) else f"{found.mean:,.1f} [{found.low:,.1f}, {found.high:,.1f}]"
