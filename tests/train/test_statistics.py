"""Intervals of learned sellers' scores: against rliable's numbers, and against all resamples of small cases."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from lmaas_train.evaluation import statistics
from lmaas_train.evaluation.statistics import (
    Estimate,
    Statistic,
    iqm,
    mean_estimate,
    performance_profile,
    probability_of_improvement,
    seeds_and_days,
    stratified,
)
from lmaas_train.evaluation.tables import with_interval
from lmaas_train.runs import csv_text

# (runs, tasks); the two share values within tasks, so that ties are counted.
OURS = np.array(
    [
        [0.91, 1.32, 0.47, 1.08],
        [0.84, 1.05, 0.66, 1.21],
        [1.13, 0.38, 0.52, 0.97],
        [0.29, 1.27, 0.71, 1.64],
        [0.98, 1.11, 0.58, 0.83],
    ]
)
THEIRS = np.array(
    [
        [0.84, 1.32, 0.44, 0.97],
        [0.62, 1.05, 0.55, 1.12],
        [1.02, 0.73, 0.61, 0.69],
        [0.77, 1.19, 0.39, 1.08],
    ]
)
THRESHOLDS = np.array([0.5, 0.98, 1.2])

# rliable 1.2.0 (arch 7.2.0) on these matrices: intervals of mean and IQM from 400,000 replicates, of the probability
# and profile from 100,000. (The matrices are such that no end is near a step of the replicates' distribution.)
RLIABLE = {
    "mean": Estimate(0.8975, 0.777, 1.0085),
    "iqm": Estimate(0.914, 0.768, 1.028),
    "improvement": Estimate(0.63125, 0.4375, 0.8125),
}
RLIABLE_PROFILE = np.array([[0.85, 0.7, 1.0], [0.4, 0.25, 0.55], [0.2, 0.05, 0.35]])

ESTIMATES: dict[str, Callable[..., Estimate]] = {
    "mean": lambda **given: stratified(OURS, np.mean, **given),
    "iqm": lambda **given: stratified(OURS, iqm, **given),
    "improvement": lambda **given: probability_of_improvement(OURS, THEIRS, **given),
    "seeds and days": lambda **given: seeds_and_days(OURS, **given),
    "profile": lambda **given: performance_profile(OURS, THRESHOLDS, **given),
}


RESAMPLES = 100_000


def width(estimate: Estimate) -> float:
    return estimate.high - estimate.low


def exact(replicates: list[float]) -> tuple[float, float]:
    """The percentile interval of equally likely replicates, none of whose steps may be so near that chance decides."""
    near = 4.0 * np.sqrt(0.025 * 0.975 / RESAMPLES)
    low, high = (np.quantile(replicates, [q - near, q, q + near], method="inverted_cdf") for q in (0.025, 0.975))
    assert np.ptp(low) < 1e-12
    assert np.ptp(high) < 1e-12
    return float(low[1]), float(high[1])


@pytest.mark.parametrize("name", RLIABLE)
def test_estimates_are_those_of_rliable(name: str) -> None:
    reference = RLIABLE[name]
    estimate = ESTIMATES[name](resamples=RESAMPLES)
    assert estimate.mean == pytest.approx(reference.mean, abs=1e-12)
    assert estimate[1:] == pytest.approx(reference[1:], abs=0.01 * width(reference))


def test_profile_is_that_of_rliable() -> None:
    profile = performance_profile(OURS, THRESHOLDS, resamples=RESAMPLES)
    assert profile.shape == (3, 3)
    # Shares come in steps of 1/20, so the ends agree to rounding; 0.98 is a score, which is not above itself.
    assert profile == pytest.approx(RLIABLE_PROFILE, abs=1e-12)


def test_interquartile_mean_leaves_a_quarter_out_at_each_end() -> None:
    scores = np.array([[9.0, 1.0, 3.0, -50.0], [2.0, 100.0, 4.0, 8.0]])
    assert iqm(scores) == pytest.approx((2.0 + 3.0 + 4.0 + 8.0) / 4, abs=1e-12)
    assert iqm(scores, axis=1) == pytest.approx([2.0, 6.0], abs=1e-12)


@pytest.mark.parametrize("statistic", [np.mean, iqm])
@pytest.mark.parametrize("shape", [(2, 1), (4, 1), (2, 3), (2, 4)])
def test_stratified_interval_is_that_of_all_resamples(shape: tuple[int, int], statistic: Statistic) -> None:
    # Squares and a spread between runs of one task: drawing whole rows or whole columns would give other ends.
    scores = np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape) ** 2
    columns = [list(itertools.product(column, repeat=shape[0])) for column in scores.T]
    replicates = [float(statistic(np.array(drawn))) for drawn in itertools.product(*columns)]
    estimate = stratified(scores, statistic, resamples=RESAMPLES)
    assert estimate.mean == statistic(scores)
    assert estimate[1:] == pytest.approx(exact(replicates), abs=1e-12)


@pytest.mark.parametrize("statistic", [np.mean, iqm])
@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (1, 4), (4, 1)])
def test_interval_over_seeds_and_days_is_that_of_all_resamples(shape: tuple[int, int], statistic: Statistic) -> None:
    scores = np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape) ** 2
    rows, columns = (itertools.product(range(size), repeat=size) for size in shape)
    replicates = [float(statistic(scores[np.ix_(r, c)])) for r, c in itertools.product(list(rows), list(columns))]
    estimate = seeds_and_days(scores, statistic, resamples=RESAMPLES)
    assert estimate.mean == statistic(scores)
    assert estimate[1:] == pytest.approx(exact(replicates), abs=1e-12)


def test_seeds_that_differ_widen_the_interval_and_one_seed_leaves_the_days() -> None:
    rng = np.random.default_rng(1)
    days = rng.normal(size=40)
    seeds = rng.normal(scale=3.0, size=(6, 1))
    both = seeds_and_days(seeds + days)
    days_only = mean_estimate(np.mean(seeds + days, axis=0))
    assert width(both) > 2.0 * width(days_only)
    assert width(seeds_and_days(days[None])) == pytest.approx(width(days_only), rel=0.05)
    # Days that differ must count as well, where seeds do not.
    assert width(seeds_and_days(0.0 * seeds + days)) == pytest.approx(width(days_only), rel=0.05)


@pytest.mark.parametrize("name", ESTIMATES)
def test_the_same_seed_gives_the_same_interval_whatever_the_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    estimate = ESTIMATES[name]
    first = estimate(resamples=199, seed=3)
    assert np.array_equal(first, estimate(resamples=199, seed=3))
    if name != "profile":  # Its shares are too coarse to tell two seeds apart.
        assert not np.array_equal(first, estimate(resamples=199, seed=4))
    for block in (1, 1000):
        monkeypatch.setattr(statistics, "BLOCK", block)
        assert np.array_equal(first, estimate(resamples=199, seed=3))


@pytest.mark.parametrize(
    "interval",
    [
        lambda scores: stratified(scores, np.mean),
        lambda scores: stratified(scores, iqm),
        lambda scores: seeds_and_days(scores + np.arange(5.0) / 10),
        lambda scores: probability_of_improvement(scores, scores[::-1] - 0.3, resamples=1999),
        lambda scores: Estimate(*performance_profile(scores, np.array([0.0]))[0]),
    ],
)
def test_intervals_shrink_as_the_root_of_the_runs(interval: Callable[[np.ndarray], Estimate]) -> None:
    scores = np.random.default_rng(2).normal(size=(64, 5))
    few, many = np.mean([width(interval(part)) for part in np.split(scores, 8)]), width(interval(scores))
    assert 0.25 < many / few < 0.5


def test_ties_count_half() -> None:
    assert probability_of_improvement(np.array([[1.0], [1.0]]), np.array([[1.0], [1.0]])) == (0.5, 0.5, 0.5)
    # Pairs of the two tasks: above, equal; above, below.
    assert probability_of_improvement(np.array([[2.0, 5.0]]), np.array([[1.0, 5.0], [0.0, 6.0]])).mean == 2.5 / 4


def test_both_sides_of_an_improvement_are_drawn_anew() -> None:
    one = np.array([[0.7, 1.0]])
    many = np.array([[0.5, 0.0], [0.9, 2.0], [1.4, 0.9]])
    forth, back = probability_of_improvement(one, many), probability_of_improvement(many, one)
    assert forth == pytest.approx((0.5, 0.5 - 1 / 3, 0.5 + 1 / 3), abs=1e-12)
    assert back == pytest.approx((0.5, 0.5 - 1 / 3, 0.5 + 1 / 3), abs=1e-12)


def test_profile_counts_scores_strictly_above() -> None:
    profile = performance_profile(np.array([[1.0, 2.0], [2.0, 3.0]]), np.array([0.0, 2.0, 1.0, 3.0]))
    assert profile[:, 0].tolist() == [1.0, 0.25, 0.75, 0.0]
    # All four scores of a replicate are above 0 and none is above 3; one column can be above 2, the other above 1.
    assert profile[:, 1].tolist() == [1.0, 0.0, 0.5, 0.0]
    assert profile[:, 2].tolist() == [1.0, 0.5, 1.0, 0.0]


def test_a_single_run_has_no_interval() -> None:
    one = OURS[:1]
    assert np.isnan(stratified(one, iqm)[1:]).all()
    assert np.isnan(seeds_and_days(one[:, :1])[1:]).all()
    assert np.isnan(probability_of_improvement(one, THEIRS[:1])[1:]).all()
    profile = performance_profile(one, THRESHOLDS)
    assert profile[:, 0].tolist() == [0.75, 0.5, 0.25]
    assert np.isnan(profile[:, 1:]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: iqm(np.array([])), r"scores has shape \(0,\), it must be not empty"),
        (lambda: iqm(np.array([1.0, np.inf])), r"scores has shape \(2,\).*finite"),
        (lambda: stratified(OURS[0], iqm), r"scores has shape \(4,\), it must be \(runs, tasks\)"),
        (lambda: stratified(np.full((2, 2), np.nan), np.mean), r"scores has shape \(2, 2\).*finite"),
        (lambda: stratified(OURS, iqm, resamples=0), "resamples = 0 must be >= 1"),
        (lambda: seeds_and_days(OURS[0]), r"scores has shape \(4,\), it must be \(seeds, days\)"),
        (lambda: seeds_and_days(OURS[:0]), r"scores has shape \(0, 4\).*not empty"),
        (lambda: probability_of_improvement(OURS[0], THEIRS), r"ours has shape \(4,\), it must be \(runs, tasks\)"),
        (lambda: probability_of_improvement(OURS, THEIRS[0]), r"theirs has shape \(4,\), it must be \(runs, tasks\)"),
        (lambda: probability_of_improvement(OURS, THEIRS[:, :1]), r"\(5, 4\) and theirs \(4, 1\).*same tasks"),
        (lambda: performance_profile(OURS[0], THRESHOLDS), r"scores has shape \(4,\), it must be \(runs, tasks\)"),
        (lambda: performance_profile(OURS, OURS), r"thresholds has shape \(5, 4\), it must be \(T,\)"),
        (lambda: performance_profile(OURS, np.array([np.nan])), r"thresholds has shape \(1,\).*finite"),
        (lambda: mean_estimate(OURS), r"sample has shape \(5, 4\), it must be \(days,\), not empty and finite"),
    ],
)
def test_bad_input_is_refused_by_name(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_a_table_leaves_cells_without_an_interval_empty() -> None:
    one = mean_estimate(np.array([3.0]))
    assert csv_text(["seller", "mean", "low", "high"], [["imp", *one]]) == "seller,mean,low,high\nimp,3.0,,\n"
    assert with_interval(one, ".0f") == "3"
    assert with_interval(Estimate(3.0, 1.0, 5.0), "+.1f") == "+3.0 [+1.0, +5.0]"
