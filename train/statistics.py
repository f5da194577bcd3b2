"""Interval estimates of results: seeded bootstraps, so that a table can be made again to the digit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap

RESAMPLES = 9999


class Estimate(NamedTuple):
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def mean_estimate(sample: np.ndarray) -> Estimate:
    """Return the mean of a sample (K,) and its 95 % percentile-bootstrap interval (NaN for a single value).

    For a paired comparison, pass the differences.
    """
    values = np.asarray(sample, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"sample has shape {values.shape}, it must be (days,), not empty and finite")
    if values.size == 1:
        return Estimate(float(values[0]), np.nan, np.nan)
    rng = np.random.default_rng(0)
    interval = bootstrap((values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=rng).confidence_interval
    return Estimate(float(values.mean()), float(interval.low), float(interval.high))
