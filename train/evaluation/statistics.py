"""Interval estimates of results: seeded bootstraps, so that a table can be made again to the digit.

Sellers that were trained from several seeds are judged as in Agarwal et al. (2021), "Deep reinforcement learning at the
edge of the statistical precipice": interquartile means, probabilities of improvement and performance profiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import bootstrap, trim_mean

RESAMPLES = 9999
# Entries that a block of replicates may hold: with their indices and a sorted copy about 50 MB.
BLOCK = 2**21
LEAST_ROOM = 0.02  # of the weaker reference's profit, by which the stronger one must exceed it for a score

Statistic = Callable[..., Any]
"""A reduction with the keyword `axis`, as `np.mean` and `iqm` are."""


class Estimate(NamedTuple):
    """A mean (or another statistic that is named beside it) with its 95 % interval."""

    mean: float
    low: float
    high: float


def mean_estimate(sample: np.ndarray) -> Estimate:
    """Return the mean of a sample (K,) and its 95 % percentile-bootstrap interval (NaN for a single value).

    For a paired comparison, pass the differences.
    """
    values = _checked("sample", sample, "(days,)")
    if values.size == 1:
        return Estimate(float(values[0]), np.nan, np.nan)
    rng = np.random.default_rng(0)
    options: Any = {"n_resamples": RESAMPLES, "method": "percentile", "rng": rng, "batch": _batch(values)}
    interval = bootstrap((values,), np.mean, **options).confidence_interval
    return Estimate(float(values.mean()), float(interval.low), float(interval.high))


def normalised_score(profit: np.ndarray, low: np.ndarray, high: np.ndarray) -> Estimate:
    """Return where a mean profit lies between two others of the same days (0 and 1), with its 95 % interval.

    Parameters
    ----------
    profit, low, high : (K,) arrays
        Profits by day: of the seller, of a weaker reference, and of a stronger one or an upper bound.

    Returns
    -------
    Estimate
        The ratio of the mean differences to ``low``, resampled by day; NaN unless ``high`` is clearly above ``low``,
        and by at least 2 %, for a small denominator makes any ratio.
    """
    ours, theirs = _checked("profit", profit - low, "(days,)"), _checked("high", high - low, "(days,)")
    gap = mean_estimate(theirs)
    if not (gap.mean if np.isnan(gap.low) else gap.low) > 0.0 or gap.mean < LEAST_ROOM * low.mean():
        return Estimate(np.nan, np.nan, np.nan)
    score = float(ours.mean() / theirs.mean())
    if ours.size == 1:
        return Estimate(score, np.nan, np.nan)

    def ratio(ours: np.ndarray, theirs: np.ndarray, axis: int) -> np.ndarray:
        return ours.mean(axis=axis) / theirs.mean(axis=axis)

    rng = np.random.default_rng(0)
    options: Any = {"n_resamples": RESAMPLES, "method": "percentile", "rng": rng, "batch": _batch(ours)}
    interval = bootstrap((ours, theirs), ratio, paired=True, vectorized=True, **options).confidence_interval
    return Estimate(score, float(interval.low), float(interval.high))


def iqm(scores: np.ndarray, axis: int | None = None) -> Any:
    """Return the interquartile mean of all entries, or along an axis: a quarter (rounded down) is cut at each end."""
    return trim_mean(_checked("scores", scores), 0.25, axis=axis)


def stratified(scores: np.ndarray, statistic: Statistic, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Return a statistic of all scores and its interval over runs, the tasks being fixed.

    Parameters
    ----------
    scores : (runs, tasks) array
        Every replicate draws the runs anew within each task, for runs of different tasks have nothing in common.
    statistic : np.mean or iqm
    resamples, seed : number of replicates and the seed that they are drawn from

    Returns
    -------
    Estimate
        The statistic and its 95 % percentile interval (NaN for a single run).
    """
    return Estimate(*map(float, _stratified(_checked("scores", scores, "(runs, tasks)"), statistic, resamples, seed)))


def seeds_and_days(
    scores: np.ndarray, statistic: Statistic = np.mean, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Return a statistic of all scores and its interval over both training seeds and days.

    Parameters
    ----------
    scores : (seeds, days) array
        All seeds sell the same days, so every replicate draws whole rows and whole columns. In a mean's variance, noise
        of single entries counts about thrice (Owen 2007, "The pigeonhole bootstrap"); but five seeds that differ much
        give intervals that cover about 83 %, ten about 90 %, for a bootstrap of so few is narrow.
    statistic, resamples, seed : as in `stratified`

    Returns
    -------
    Estimate
        The statistic and its 95 % percentile interval: over days alone for one row, NaN for a single score.
    """
    values = _checked("scores", scores, "(seeds, days)")
    rows, columns = values.shape
    row_rng, column_rng = np.random.default_rng(seed).spawn(2)

    def replicates(count: int) -> np.ndarray:
        row = row_rng.integers(rows, size=(count, rows, 1))
        column = column_rng.integers(columns, size=(count, 1, columns))
        return statistic(values[row, column].reshape(count, -1), axis=-1)

    value = statistic(values.ravel(), axis=-1)
    return Estimate(*map(float, _with_interval(value, replicates, values.size, resamples, values.size == 1)))


def probability_of_improvement(
    ours: np.ndarray, theirs: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Return the probability that a run of ours beats one of theirs on the same task, a tie counting half.

    Parameters
    ----------
    ours, theirs : (runs, tasks) and (runs', tasks) arrays
        Every replicate draws both anew as `stratified` does. A side of one run (a seller without training) stays as is.
    resamples, seed : as in `stratified`

    Returns
    -------
    Estimate
        The mean over tasks and its 95 % percentile interval (NaN for a single run of each).
    """
    ours, theirs = _checked("ours", ours, "(runs, tasks)"), _checked("theirs", theirs, "(runs, tasks)")
    if ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"ours has shape {ours.shape} and theirs {theirs.shape}, they must have the same tasks")
    our_rng, their_rng = np.random.default_rng(seed).spawn(2)

    def improvement(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
        mine, other = ours[..., :, None, :], theirs[..., None, :, :]
        return 0.5 * ((mine > other).mean(axis=(-3, -2, -1)) + (mine >= other).mean(axis=(-3, -2, -1)))

    def replicates(count: int) -> np.ndarray:
        return improvement(_resampled(ours, count, our_rng), _resampled(theirs, count, their_rng))

    value, pairs, alone = improvement(ours, theirs), ours.size * len(theirs), len(ours) == len(theirs) == 1
    return Estimate(*map(float, _with_interval(value, replicates, pairs, resamples, alone)))


def performance_profile(
    scores: np.ndarray, thresholds: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Return the share of scores (runs, tasks) strictly above each threshold (T,), with its interval over runs.

    Returns
    -------
    (T, 3) array
        Share, low and high: a pointwise 95 % interval by the draws of `stratified` (NaN for a single run).
    """
    values, levels = _checked("scores", scores, "(runs, tasks)"), _checked("thresholds", thresholds, "(T,)")

    def shares(sample: np.ndarray, axis: int) -> np.ndarray:
        return np.stack([(sample > level).mean(axis=axis) for level in levels], axis=-1)

    return _stratified(values, shares, resamples, seed).T


def _batch(values: np.ndarray) -> int:
    """Return how many replicates of a sample are held at once."""
    return max(1, BLOCK // values.size)


def _checked(name: str, values: np.ndarray, layout: str = "") -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if (layout and array.ndim != len(layout.split(", "))) or not array.size or not np.isfinite(array).all():
        shape = f"{layout}, " if layout else ""
        raise ValueError(f"{name} has shape {array.shape}, it must be {shape}not empty and finite")
    return array


def _resampled(scores: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return replicates (count, runs, tasks) of scores (runs, tasks)."""
    return np.take_along_axis(scores[None], rng.integers(len(scores), size=(count, *scores.shape)), axis=1)


def _stratified(scores: np.ndarray, statistic: Statistic, resamples: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)

    def replicates(count: int) -> np.ndarray:
        return statistic(_resampled(scores, count, rng).reshape(count, -1), axis=-1)

    return _with_interval(statistic(scores.ravel(), axis=-1), replicates, scores.size, resamples, len(scores) == 1)


def _with_interval(
    value: Any, replicates: Callable[[int], np.ndarray], entries: int, resamples: int, alone: bool
) -> np.ndarray:
    """Return value, low and high (3, ...) from replicates of so many entries; NaN ends if there is nothing to draw."""
    if resamples < 1:
        raise ValueError(f"resamples = {resamples} must be >= 1")
    if alone:
        return np.stack([value, *np.full((2, *np.shape(value)), np.nan)])
    block = max(1, BLOCK // entries)
    drawn = [replicates(min(block, resamples - first)) for first in range(0, resamples, block)]
    return np.stack([value, *np.percentile(np.concatenate(drawn), [2.5, 97.5], axis=0)])
