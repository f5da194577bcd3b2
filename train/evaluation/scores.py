"""Scores of sellers that were trained from several seeds, on the same days as IMP."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_agents.learned.policy_file import SPEC, load_policy
from lmaas_train.evaluation import figures
from lmaas_train.evaluation.days import REFERENCE, Days
from lmaas_train.evaluation.statistics import (
    Estimate,
    iqm,
    mean_estimate,
    performance_profile,
    probability_of_improvement,
    seeds_and_days,
)
from lmaas_train.evaluation.time_to_score import Reached, read_curve, times_to_score, write_times
from lmaas_train.runs import EVALUATIONS, csv_text

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.render import drawing

SHARES = np.linspace(0.5, 1.5, 201)  # of IMP's profit on the same day, the thresholds of performance profiles


class Score(NamedTuple):
    """One way to sell, over all its training seeds and all days; money in $ a day.

    Intervals are over training seeds and days, over days alone for sellers without training, NaN where there is nothing
    to resample. ``profit_iqm`` is the interquartile mean over seeds and days, ``improvement`` the probability that a
    run earns more than IMP on a day. Times are medians, in ms per decision: in a batch of all days, and one at a time.
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


def score(name: str, days: Sequence[Days], imp: Days, alone: Days) -> Score:
    """Return the score of a way to sell.

    Parameters
    ----------
    name : str
    days : sequence of Days
        One record per training seed.
    imp : Days
        IMP's record of the same days.
    alone : Days
        A record of one day, for the time of a single decision.
    """
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


def run_folders(folder: Path) -> list[Path]:
    """Return the run folders inside a folder, by training seed, or the folder itself if it is a run."""
    if (folder / SPEC).exists():
        return [folder]
    found = sorted({path.parent for path in folder.glob(f"*/{SPEC}")}, key=lambda it: (len(it.name), it.name))
    if not found:
        raise ValueError(f"runs: folder {str(folder)!r} holds no run of lmaas train")
    return found


def load_runs(folder: Path, market: Market, searches: int | None = None) -> dict[str, LearnedSeller]:
    """Return the policies of a folder by run; ``searches`` replaces the residual policies' own setting.

    Raises
    ------
    ValueError
        If a policy does not fit the market, or two runs have the same training seed.
    """
    policies = {path.name: load_policy(path) for path in run_folders(folder)}
    for name, policy in policies.items():
        policy.check(market)
        if searches is not None and policy.residual is not None:
            policies[name] = LearnedSeller(policy.weights, dataclasses.replace(policy.spec, searches=searches))
    seeds = [policy.spec.training_seed for policy in policies.values()]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"runs: folder {str(folder)!r} has training seeds {seeds}, each must be there once")
    return policies


def write_scores(out: Path, market: Market, scores: Sequence[Score], by_way: Mapping[str, Sequence[Days]]) -> None:
    """Write table.csv, profiles.csv and days.png, which shows the first run of each way to sell."""
    headings = ["seller", "seeds"]
    for name in ("profit", "profit_iqm", "minus_imp", "share_of_imp", "probability_of_improvement"):
        headings += [name, f"{name}_low", f"{name}_high"]
    headings += ["customer_profit", "worst_case_profit", "milliseconds", "milliseconds_single"]
    rows = [[*it[:2], *(number for estimate in it[2:7] for number in estimate), *it[7:]] for it in scores]
    write_whole(out / "table.csv", csv_text(headings, rows))
    levels = [
        [name, share, *level]
        for name, profile in profiles(by_way).items()
        for share, level in zip(SHARES, profile, strict=True)
    ]
    write_whole(out / "profiles.csv", csv_text(["seller", "share_of_imp", "above", "above_low", "above_high"], levels))
    first = {name: days[0] for name, days in by_way.items()}
    means = {name: mean_estimate(days.day_profit) for name, days in first.items()}
    intervals = {name: (mean.low, mean.high) for name, mean in means.items()}
    shown = figures.comparison(first, market.catalogue.names, intervals, market.scenario.name)
    drawing.save_both(shown, out / "days.png")


def write_runs(
    out: Path, ways: Mapping[str, Mapping[str, LearnedSeller]], by_way: Mapping[str, Sequence[Days]]
) -> None:
    """Write runs.csv: the profit of every run."""
    rows = [
        [way, run, policy.spec.training_seed, policy.spec.steps, days.day_profit.mean()]
        for way, runs in ways.items()
        for (run, policy), days in zip(runs.items(), by_way[way], strict=True)
    ]
    write_whole(out / "runs.csv", csv_text(["way", "run", "training_seed", "steps", "profit"], rows))


def write_curves(out: Path, folders: Sequence[Path], by_way: Mapping[str, Sequence[Days]]) -> list[Reached]:
    """Write curves.csv, time_to_score.csv and learning.png: learning curves beside the performance profiles."""
    rows: list[list[object]] = []
    curves: dict[str, list[np.ndarray]] = {}
    for folder in folders:
        for path in run_folders(folder):
            if not (path / EVALUATIONS).exists():  # a shipped policy has none
                continue
            curve = read_curve(path / EVALUATIONS)
            curves.setdefault(folder.name, []).append(curve)
            rows += [[folder.name, path.name, *point] for point in curve.T.tolist()]
    write_whole(out / "curves.csv", csv_text(["way", "run", "step", "seconds", "tuning_profit", "share_of_imp"], rows))
    times = times_to_score({way: [curve[[0, 1, 3]] for curve in runs] for way, runs in curves.items()})
    write_times(out, times)
    profits = {way: [curve[:3] for curve in runs] for way, runs in curves.items()}
    drawing.save_both(figures.learning(profits, SHARES, profiles(by_way)), out / "learning.png")
    return times


def profiles(by_way: Mapping[str, Sequence[Days]]) -> dict[str, np.ndarray]:
    """Return, for every seller but IMP, the share of seeds and days that earn more than each of `SHARES`, (S, 3)."""
    imp = by_way[REFERENCE][0].day_profit
    return {
        name: performance_profile(np.stack([it.day_profit / imp for it in days]), SHARES)
        for name, days in by_way.items()
        if name != REFERENCE
    }
