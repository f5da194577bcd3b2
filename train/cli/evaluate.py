"""`lmaas evaluate`: learned sellers of several training seeds, IMP and other sellers on the same held-out days."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from lmaas_train.evaluation.days import REFERENCE
from lmaas_train.evaluation.results import kept_days
from lmaas_train.evaluation.rollout import sell
from lmaas_train.evaluation.scores import Score, load_runs, score, write_curves, write_runs, write_scores
from lmaas_train.evaluation.sellers import identities, identity, sellers_of
from lmaas_train.evaluation.tables import Column, days, dollars, table, with_interval
from lmaas_train.evaluation.time_to_score import time_table
from lmaas_train.report.page import page
from lmaas_train.runs import market_settings, results_folder, write_market
from rich.console import Console, Group

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.render.drawing import milliseconds
from lmaas_env.scenario import Scenario
from lmaas_env.seeds import check_size, held_out_seeds


@dataclasses.dataclass
class Evaluate:
    """Score learned sellers, each trained from several seeds, and IMP on the same held-out days.

    Writes report.html, table.csv, runs.csv, profiles.csv, curves.csv, time_to_score.csv, origin.json, and the figures
    learning.png (learning curves and performance profiles) and days.png, each also for dark pages.

    Examples
    --------
      lmaas evaluate --runs runs/my-runs
      lmaas evaluate scarce --days 400 --runs runs/a runs/b
    """

    scenario: str = "day"
    """Preset or YAML file."""
    runs: tuple[Path, ...] = ()
    """Folders, one per way to train: each a run of `lmaas train`, or full of such runs, one per training seed."""
    sellers: tuple[str, ...] = ("lookahead", "fixed")
    """Besides imp: the sellers that `lmaas compare` takes."""
    days: int = 200
    """Number of held-out days."""
    population_seed: int = 0
    """Seed of the customers; 0 selects those that ship with the package."""
    customers: int | None = None
    """Number of customers, where they change daily (scenario `population`); by default the scenario's."""
    searches: int | None = None
    """Local searches that refine the prices of residual policies; by default each policy's own number."""
    trust: bool = False
    """Load SB3 zips, which can run code that they hold."""
    out: Path | None = None
    """New folder for the results; by default runs/evaluate-SCENARIO-TIME."""

    def main(self) -> list[Score]:
        """Run the evaluation and return its rows."""
        return evaluate(self)


def evaluate(args: Evaluate) -> list[Score]:
    """Evaluate as `Evaluate` says; return a score for every way to sell, the best first."""
    market, seeds = _market(args), held_out_seeds(args.days)
    check_size(market, args.days)
    ways = {folder.name: load_runs(folder, market, args.searches) for folder in args.runs}
    if len(ways) < len(args.runs):
        raise ValueError(f"runs = {[str(it) for it in args.runs]} must end in different names")
    others = sellers_of(args.sellers, market, args.trust, beside=[REFERENCE])
    if ways.keys() & others.keys():
        raise ValueError(f"runs: {sorted(ways.keys() & others.keys())} are names of sellers")
    console = Console()
    learned = {f"{way} {run}": policy for way, runs in ways.items() for run, policy in runs.items()}
    first = {way: next(iter(runs.values())) for way, runs in ways.items()}
    keys = identities(args.sellers, others, [REFERENCE])
    keys |= {name: identity("", policy) for name, policy in learned.items()}
    keys |= {f"alone {name}": keys[name] for name in others}
    keys |= {f"alone {way}": identity("", policy) for way, policy in first.items()}
    settings = {"command": "evaluate", **market_settings(market), "days": args.days}
    with results_folder(args.out, f"evaluate-{market.scenario.name}", settings) as results:
        out, keep = results.folder, functools.partial(kept_days, results, keys)
        sold = sell(market, {**others, **learned}, seeds, console, keep)
        singles = {f"alone {name}": seller for name, seller in {**others, **first}.items()}
        alone = sell(market, singles, seeds[:1], console, keep)
        by_way = {name: [sold[name]] for name in others}
        by_way |= {way: [sold[f"{way} {run}"] for run in runs] for way, runs in ways.items()}
        scores = sorted(
            (score(name, days, sold[REFERENCE], alone[f"alone {name}"]) for name, days in by_way.items()),
            key=lambda it: -it.profit.mean,
        )
        write_scores(out, market, scores, by_way)
        write_runs(out, ways, by_way)
        times = write_curves(out, args.runs, by_way)
        write_market(out / "scenario.yaml", market)
        write_whole(out / "report.html", page(out))
    console.print(score_table(scores, market.scenario.name, args.days, console))
    if times:
        console.print(time_table(times, console))
    console.print(f"report {out / 'report.html'}\nresults {out}", highlight=False, soft_wrap=True)
    return scores


def _market(args: Evaluate) -> Market:
    scenario = Scenario.load(args.scenario)
    if args.customers is not None:
        if scenario.resample_population == "never":
            raise ValueError(f"customers = {args.customers} needs a scenario in which they change daily: population")
        scenario = dataclasses.replace(scenario, customers=args.customers)
    return Market(scenario, seed=args.population_seed)


def score_table(scores: list[Score], scenario: str, count: int, console: Console) -> Group:
    """Return scores as a table that fits the console."""
    shares = ["1" if it.seller == REFERENCE else with_interval(it.share_of_imp, ".3f") for it in scores]
    improved = ["" if it.seller == REFERENCE else f"{it.improvement.mean:.2f}" for it in scores]
    times = [milliseconds(it.milliseconds) for it in scores]
    singles = [milliseconds(it.milliseconds_single) for it in scores]
    return table(
        console,
        Column("seller", [it.seller for it in scores]),
        [
            Column("n", [str(it.seeds) for it in scores], drop=1, note="n: training seeds"),
            Column("profit", [dollars(it.profit.mean) for it in scores]),
            Column("IQM", [dollars(it.profit_iqm.mean) for it in scores], drop=2),
            Column("/ IMP", shares, note="/ IMP: over seeds and days, paired by day"),
            Column("P", improved, note="P: share of days with more than IMP"),
            Column("ms", times, drop=3, note="ms: per decision, in a batch and alone"),
            Column("alone", singles, drop=3),
        ],
        title=f"{scenario}: seller's profit in $ per day, {days(count)}",
    )
