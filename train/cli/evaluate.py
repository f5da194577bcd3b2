"""`lmaas evaluate`: learned sellers of several training seeds on the same held-out days as IMP and other sellers."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from lmaas_agents.learned.policy import ABOUT, LearnedSeller, load_policy
from lmaas_train.cli.compare import REFERENCE, milliseconds, sell, seller_of
from lmaas_train.evaluation import figures
from lmaas_train.evaluation.days import Days
from lmaas_train.evaluation.statistics import (
    Estimate,
    iqm,
    mean_estimate,
    performance_profile,
    probability_of_improvement,
    seeds_and_days,
)
from lmaas_train.runs import csv_text, new_folder, write_origin
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.render import drawing
from lmaas_env.scenario import Scenario
from lmaas_env.seeds import held_out_seeds

SHARES = np.linspace(0.5, 1.5, 201)  # of IMP's profit on the same day, at which a performance profile is looked at


@dataclasses.dataclass
class Evaluate:
    """Score learned sellers, each trained from several seeds, beside IMP on the same held-out days.

    Writes table.csv, runs.csv, profiles.csv, curves.csv, learning.png (learning curves, performance profiles), days.png
    and origin.json.

    Examples
    --------
      lmaas evaluate --runs runs/my-runs
      lmaas evaluate --scenario scarce --runs runs/flat runs/set --days 400
    """

    scenario: str = "day"
    """Preset (day, static, scarce, abundant, public, population) or YAML file."""
    runs: tuple[Path, ...] = ()
    """Folders, one per way to train: each a run of `lmaas train`, or full of such runs, one per training seed."""
    sellers: tuple[str, ...] = ("lookahead", "fixed")
    """Beside imp: the sellers that `lmaas compare` takes."""
    days: int = 200
    """Number of held-out days."""
    population_seed: int = 0
    """Which customers; 0 reads those that ship with the package."""
    customers: int | None = None
    """How many, where they change daily (scenario `population`); default as many as in the scenario."""
    climbs: int | None = None
    """How often climbs refine the prices of guided policies; default as each was trained to."""
    out: Path | None = None
    """New folder for the results; default runs/evaluate-SCENARIO-TIME."""

    def main(self) -> list[Score]:
        """Run the evaluation and return its rows."""
        return evaluate(self)


class Score(NamedTuple):
    """A way to sell, over all its training seeds and all days; money in $ a day.

    Intervals are over training seeds and days, over days alone where nothing was trained. ``profit_iqm`` is the
    interquartile mean over seeds and days, ``improvement`` the probability that a run earns more than IMP on a day.
    Times are medians, in ms per decision: in a batch of all days, and one at a time.
    """

    seller: str
    seeds: int
    profit: Estimate
    profit_iqm: Estimate
    minus_imp: Estimate
    share_of_imp: Estimate
    improvement: Estimate
    customer_profit: float
    worst_case_profit: float
    milliseconds: float
    milliseconds_single: float


def evaluate(args: Evaluate) -> list[Score]:
    """Evaluate as `Evaluate` says; return a score for every way to sell, the best first."""
    if args.days < 2:  # of a single one there is no interval
        raise ValueError(f"days = {args.days} must be at least 2")
    market, seeds = _market(args), held_out_seeds(args.days)
    ways = {folder.name: _runs(folder, market, args.climbs) for folder in args.runs}
    if len(ways) < len(args.runs):
        raise ValueError(f"runs = {[str(it) for it in args.runs]} must end in different names")
    others = {name: seller_of(name, market) for name in dict.fromkeys([REFERENCE, *args.sellers])}
    if ways.keys() & others.keys():
        raise ValueError(f"runs: {sorted(ways.keys() & others.keys())} are names of sellers")
    out = new_folder(args.out, f"evaluate-{market.scenario.name}")
    console = Console()

    learned = {f"{way} {run}": policy for way, runs in ways.items() for run, policy in runs.items()}
    sold = sell(market, {**others, **learned}, seeds, console)
    first = {way: f"{way} {next(iter(runs))}" for way, runs in ways.items()}
    alone = sell(market, {**others, **{way: learned[name] for way, name in first.items()}}, seeds[:1], console)
    by_way = {name: [sold[name]] for name in others}
    by_way |= {way: [sold[f"{way} {run}"] for run in runs] for way, runs in ways.items()}
    scores = sorted(
        (_score(name, days, sold[REFERENCE], alone[name]) for name, days in by_way.items()),
        key=lambda score: -score.profit.mean,
    )
    console.print(_table(scores, market, args.days))
    _write(
        out,
        scores,
        by_way,
        {**{it: sold[it] for it in others}, **{it: sold[at] for it, at in first.items()}},
        market.catalogue.names,
    )
    _write_runs(out, ways, sold)
    _draw(out, args.runs, by_way)
    write_origin(out)
    console.print(f"results {out}", highlight=False)
    return scores


def _market(args: Evaluate) -> Market:
    scenario = Scenario.load(args.scenario)
    if args.customers is not None:
        if scenario.turnover != "daily":
            raise ValueError(f"customers = {args.customers} needs a scenario in which they change daily: population")
        scenario = dataclasses.replace(scenario, customers=args.customers)
    return Market(scenario, seed=args.population_seed)


def _folders(folder: Path) -> list[Path]:
    """Return the folders of the runs in a folder, by training seed, or the folder itself if it is one."""
    if (folder / ABOUT).exists():
        return [folder]
    found = sorted({path.parent for path in folder.glob(f"*/{ABOUT}")}, key=lambda it: (len(it.name), it.name))
    if not found:
        raise ValueError(f"runs: folder {str(folder)!r} holds no run of lmaas train")
    return found


def _runs(folder: Path, market: Market, climbs: int | None) -> dict[str, LearnedSeller]:
    """Load the policies of a folder, each of another training seed."""
    policies = {path.name: load_policy(path) for path in _folders(folder)}
    for name, policy in policies.items():
        policy.check(market)
        if climbs is not None and policy.guide is not None:
            policies[name] = LearnedSeller(policy.weights, dataclasses.replace(policy.about, climbs=climbs))
    seeds = [policy.about.training_seed for policy in policies.values()]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"runs: folder {str(folder)!r} has training seeds {seeds}, each must be there once")
    return policies


def _score(name: str, days: list[Days], imp: Days, alone: Days) -> Score:
    profit = np.stack([it.day_profit for it in days])
    share = profit.mean() / imp.day_profit.mean()
    # A ratio of means: its interval is that of the difference, on the same days.
    minus = seeds_and_days(profit - imp.day_profit)
    return Score(
        seller=name,
        seeds=len(days),
        profit=seeds_and_days(profit),
        profit_iqm=seeds_and_days(profit, iqm),
        minus_imp=minus,
        share_of_imp=Estimate(float(share), *(1.0 + end / imp.day_profit.mean() for end in (minus.low, minus.high))),
        improvement=probability_of_improvement(profit, imp.day_profit[None]),
        customer_profit=float(np.mean([it.customer_profit.sum(axis=1) for it in days])),
        worst_case_profit=float(np.mean([it.worst_case_profit.sum(axis=1) for it in days])),
        milliseconds=1e3 * float(np.median([it.seconds_per_decision for it in days])),
        milliseconds_single=1e3 * alone.seconds_per_decision,
    )


def _table(scores: list[Score], market: Market, days: int) -> Table:
    title = f"{market.scenario.name}: seller's profit in $ per day, {days} held-out days [95 % interval]"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, title_justify="left")
    for heading in ("seller", "n", "profit", "IQM", "/ IMP", "P", "ms", "alone"):
        table.add_column(heading, justify="left" if heading == "seller" else "right", no_wrap=True)
    for score in scores:
        share = score.share_of_imp
        table.add_row(
            score.seller,
            str(score.seeds),
            f"{score.profit.mean:.1f}",
            f"{score.profit_iqm.mean:.1f}",
            "1" if score.seller == REFERENCE else f"{share.mean:.3f} [{share.low:.3f}, {share.high:.3f}]",
            "" if score.seller == REFERENCE else f"{score.improvement.mean:.2f}",
            milliseconds(score.milliseconds),
            milliseconds(score.milliseconds_single),
        )
    table.caption = (
        "n: training seeds; intervals over seeds and days, paired with IMP by day\n"
        "P: share of days with more than IMP; ms per decision, batched and alone"
    )
    return table


def _write(
    out: Path, scores: list[Score], by_way: Mapping[str, list[Days]], drawn: Mapping[str, Days], models: Sequence[str]
) -> None:
    headings = ["seller", "seeds"]
    for name in ("profit", "profit_iqm", "minus_imp", "share_of_imp", "probability_of_improvement"):
        headings += [name, f"{name}_low", f"{name}_high"]
    headings += ["customer_profit", "worst_case_profit", "milliseconds", "milliseconds_single"]
    rows = [[*it[:2], *(number for estimate in it[2:7] for number in estimate), *it[7:]] for it in scores]
    write_whole(out / "table.csv", csv_text(headings, rows))
    profiles = _profiles(by_way)
    rows = [
        [name, share, *level] for name, levels in profiles.items() for share, level in zip(SHARES, levels, strict=True)
    ]
    write_whole(out / "profiles.csv", csv_text(["seller", "share_of_imp", "above", "above_low", "above_high"], rows))
    means = {name: mean_estimate(days.day_profit) for name, days in drawn.items()}
    intervals = {name: (mean.low, mean.high) for name, mean in means.items()}
    drawing.save(figures.comparison(drawn, models, intervals), out / "days.png")


def _profiles(by_way: Mapping[str, list[Days]]) -> dict[str, np.ndarray]:
    """Return, of every seller but IMP, the share of seeds and days that earn more than each of `SHARES`, (S, 3)."""
    imp = by_way[REFERENCE][0].day_profit
    return {
        name: performance_profile(np.stack([it.day_profit / imp for it in days]), SHARES)
        for name, days in by_way.items()
        if name != REFERENCE
    }


def _write_runs(out: Path, ways: Mapping[str, Mapping[str, LearnedSeller]], sold: Mapping[str, Days]) -> None:
    rows = [
        [way, run, policy.about.training_seed, policy.about.steps, sold[f"{way} {run}"].day_profit.mean()]
        for way, runs in ways.items()
        for run, policy in runs.items()
    ]
    write_whole(out / "runs.csv", csv_text(["way", "run", "training_seed", "steps", "profit"], rows))


def _draw(out: Path, folders: tuple[Path, ...], by_way: Mapping[str, list[Days]]) -> None:
    """Write the learning curves and draw them beside the performance profiles."""
    rows: list[list[object]] = []
    curves: dict[str, list[np.ndarray]] = {}
    for folder in folders:
        for path in _folders(folder):
            file = path / "evaluations.csv"
            if not file.exists():  # a policy that ships has none
                continue
            with file.open(encoding="utf-8", newline="") as stream:
                points = [
                    [float(it[key]) for key in ("step", "seconds", "mean_day_profit")] for it in csv.DictReader(stream)
                ]
            curves.setdefault(folder.name, []).append(np.array(points).T)
            rows += [[folder.name, path.name, *point] for point in points]
    write_whole(out / "curves.csv", csv_text(["way", "run", "step", "seconds", "tuning_profit"], rows))
    drawing.save(figures.learning(curves, SHARES, _profiles(by_way)), out / "learning.png")
