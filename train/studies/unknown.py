"""`lmaas study unknown`: how fast sellers learn who their customers are, day by day of an episode.

All sellers meet the same held-out episodes, each with customers of its own that are hidden. The best plan for the mean
of regions, which adapts to nothing, scores 0; the plan of a seller that knows the customers scores 1.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_agents.learned.policy_file import load_policy
from lmaas_train.evaluation.days import Days
from lmaas_train.evaluation.results import kept_days, read_results
from lmaas_train.evaluation.rollout import rollout, sell
from lmaas_train.evaluation.sellers import identities, identity, sellers_of
from lmaas_train.evaluation.statistics import mean_estimate, normalised_score
from lmaas_train.evaluation.tables import Column, table
from lmaas_train.runs import csv_text, market_settings, results_folder, write_market
from rich.console import Console

from lmaas_env import Market, Scenario
from lmaas_env.files import write_whole
from lmaas_env.scenario import HOURS_A_DAY
from lmaas_env.seeds import check_size, held_out_seeds
from lmaas_env.types import FloatArray

ANCHORS = ("prior-plan", "own-plan")  # score 0 and 1
HEADINGS = (
    *("seller", "seeds", "profit", "profit_low", "profit_high", "share_of_own_plan", "score", "score_low"),
    *("score_high", "seed_lowest", "seed_highest", "milliseconds_per_decision"),
)
BY_DAY = ("seller", "day", "profit", "score", "score_low", "score_high")


@dataclasses.dataclass
class StudyUnknown:
    """Score sellers where customers are hidden: 0 is the best plan for all regions, 1 the plan for the customers.

    Writes table.csv, by_day.csv (the score on each day of the episodes), episodes.csv and by_day.png.

    Examples
    --------
      lmaas study unknown
      lmaas study unknown --runs runs/in-context runs/ppo
      lmaas study unknown drift --days 40 --sellers thompson
    """

    scenario: str = "unknown"
    """Preset or YAML file whose customers are hidden."""
    sellers: tuple[str, ...] = ("thompson", "gp-ucb", "cost-plus", "random")
    """Besides prior-plan and own-plan: the sellers that `lmaas compare` takes."""
    runs: tuple[Path, ...] = ()
    """Folders, one per way to train, full of policy folders, one per training seed."""
    beside: Path | None = None
    """Results of lmaas compare on the same episodes, whose sellers are not sold again."""
    days: int = 200
    """Number of held-out episodes."""
    out: Path | None = None
    """New folder for the results; default runs/study-SCENARIO-TIME."""

    def main(self) -> list[list[object]]:
        """Run the study and return the rows of its table."""
        return study(self)


def study(args: StudyUnknown) -> list[list[object]]:
    """Run the study as `StudyUnknown` says and return the rows of its table, best first."""
    market, seeds, console = Market(Scenario.load(args.scenario)), held_out_seeds(args.days), Console()
    check_size(market, args.days)
    if not market.scenario.hides_customers:
        raise ValueError(f"scenario {market.scenario.name!r} does not hide its customers; see lmaas compare")
    ways = {folder.name: _policies(folder, market) for folder in args.runs}
    known = {} if args.beside is None else _known(args.beside, market, list(seeds))
    sellers = {
        name: seller for name, seller in sellers_of(args.sellers, market, beside=ANCHORS).items() if name not in known
    }
    if ways.keys() & (sellers.keys() | known.keys()) or len(ways) < len(args.runs):
        raise ValueError(f"runs = {[str(it) for it in args.runs]} must end in names of their own, no sellers'")
    keys = identities(args.sellers, sellers, ANCHORS)
    settings = {"study": "unknown", **market_settings(market), "days": args.days}
    with results_folder(args.out, f"study-{market.scenario.name}", settings) as results:
        keep = functools.partial(kept_days, results, keys)
        sold = {name: [days] for name, days in (known | sell(market, sellers, seeds, console, keep)).items()}
        for way, policies in ways.items():
            keys |= {f"{way} {k}": identity("", policy) for k, policy in enumerate(policies)}
            sells = [functools.partial(rollout, market, policy, seeds, name=way) for policy in policies]
            sold[way] = [keep(f"{way} {k}", sell_it) for k, sell_it in enumerate(sells)]
        rows = _write(results.folder, market, sold, list(seeds))
    out = results.folder
    console.print(
        table(
            console,
            Column("seller", [str(row[0]) for row in rows]),
            [
                Column("n", [str(row[1]) for row in rows], drop=1, note="n: training seeds"),
                Column("profit", [f"{row[2]:,.0f}" for row in rows]),
                Column("score", [f"{row[6]:.2f}" for row in rows], note="score: 0 prior plan, 1 own plan"),
                Column("low", [f"{row[7]:.2f}" for row in rows], drop=2),
                Column("high", [f"{row[8]:.2f}" for row in rows], drop=2),
                Column("ms", [f"{row[11]:.2g}" for row in rows], drop=3, note="ms: per decision"),
            ],
            title=f"{market.scenario.name}: seller's profit in $ per episode, {args.days} held-out episodes",
        )
    )
    console.print(f"results {out}", highlight=False, soft_wrap=True)
    return rows


def _write(out: Path, market: Market, sold: Mapping[str, list[Days]], seeds: list[int]) -> list[list[object]]:
    """Write the files of the study and return the rows of its table."""
    rows, by_day = _rows(sold), _by_day(sold)
    write_whole(out / "table.csv", csv_text(HEADINGS, rows))
    write_whole(out / "by_day.csv", csv_text(BY_DAY, by_day))
    episodes = [
        [name, k + 1, seed, profit]
        for name, runs in sold.items()
        for k, days in enumerate(runs)
        for seed, profit in zip(seeds, days.day_profit.tolist(), strict=True)
    ]
    write_whole(out / "episodes.csv", csv_text(["seller", "seed", "episode_seed", "profit"], episodes))
    write_market(out / "scenario.yaml", market)
    draw(out, by_day, market.scenario.name)
    return rows


def draw(out: Path, by_day: list[list[object]], scenario: str) -> None:
    """Draw the score of each seller by day of the episode into by_day.png, and for dark pages."""
    from lmaas_train.evaluation import figures

    from lmaas_env.render import drawing

    drawing.save_both(figures.score_by_day(by_day, scenario), out / "by_day.png")


def _policies(folder: Path, market: Market) -> list[LearnedSeller]:
    """Return the policies of the folders in a folder, by name."""
    found = [load_policy(path.parent) for path in sorted(folder.glob("*/policy.json"))]
    if not found:
        raise ValueError(f"runs: {str(folder)!r} holds no folders with a policy")
    for policy in found:
        policy.check(market)
    return found


def _known(folder: Path, market: Market, seeds: list[int]) -> dict[str, Days]:
    """Return the record of every seller that a folder holds."""
    earlier, days = read_results(folder)
    if earlier.scenario != market.scenario or any(it.seeds.tolist() != seeds for it in days.values()):
        raise ValueError(f"beside = {str(folder)!r} must hold the same {len(seeds)} episodes of the same scenario")
    return days


def _rows(sold: Mapping[str, list[Days]]) -> list[list[object]]:
    low, high = (sold[name][0].day_profit for name in ANCHORS)
    rows: list[list[object]] = []
    for name, runs in sold.items():
        profit = np.mean([days.day_profit for days in runs], axis=0)
        by_seed = [float((days.day_profit - low).mean() / (high - low).mean()) for days in runs]
        share, milliseconds = profit.mean() / high.mean(), 1e3 * runs[0].seconds_per_decision
        score = normalised_score(profit, low, high)
        rows.append([name, len(runs), *mean_estimate(profit), share, *score, min(by_seed), max(by_seed), milliseconds])
    return sorted(rows, key=lambda row: -float(str(row[2])))


def _by_day(sold: Mapping[str, list[Days]]) -> list[list[object]]:
    days = {name: np.mean([_daily(it) for it in runs], axis=0) for name, runs in sold.items()}
    low, high = (days[name] for name in ANCHORS)
    return [
        [name, day + 1, float(profit[:, day].mean()), *normalised_score(profit[:, day], low[:, day], high[:, day])]
        for name, profit in days.items()
        for day in range(profit.shape[1])
    ]


def _daily(days: Days) -> FloatArray:
    """Return the profit of each day of each episode, (K, days) $."""
    starts = np.arange(0, days.profit.shape[1], HOURS_A_DAY)
    return np.add.reduceat(days.profit, starts, axis=1)
