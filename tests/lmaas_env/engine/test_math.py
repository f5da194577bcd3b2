"""Vectorised logarithm and exponential against NumPy in extended precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import njit

from lmaas_env.engine.math import exponential, logarithm, logarithm_of_one_plus
from lmaas_env.types import FloatArray


def in_a_loop(function: Callable[[float], float], x: FloatArray) -> FloatArray:
    """Evaluate as kernels do: compiled, in a loop that vectorises."""

    @njit(error_model="numpy")
    def loop(x: Any, out: Any) -> None:
        for i in range(x.size):
            out[i] = function(x[i])

    out = np.empty_like(x)
    loop(x, out)
    return out


CASES = [
    (logarithm, np.log, 10.0 ** np.random.default_rng(0).uniform(-300, 300, 100_000), 0.85),
    (logarithm, np.log, 1.0 + np.random.default_rng(1).uniform(-0.3, 0.5, 100_000), 0.85),
    (logarithm_of_one_plus, np.log1p, 10.0 ** np.random.default_rng(2).uniform(-20, 15, 100_000), 2.5),
    (exponential, np.exp, np.random.default_rng(3).uniform(-708, 709, 100_000), 0.95),
    (exponential, np.exp, np.random.default_rng(4).uniform(-1, 1, 100_000), 0.95),
]


@pytest.mark.parametrize(("ours", "exact", "x", "units"), CASES)
def test_errors_are_within_the_units_in_the_last_place_that_are_promised(
    ours: Callable[[float], float], exact: Callable[[Any], Any], x: FloatArray, units: float
) -> None:
    if np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps:
        pytest.skip("this platform has no number more precise than float64")
    expected = exact(x.astype(np.longdouble))
    assert (
        float(np.max(np.abs(in_a_loop(ours, x) - expected) / np.spacing(np.abs(expected.astype(np.float64))))) < units
    )


def test_ends_are_kept_and_nan_is_not_lost() -> None:
    x = np.array([-np.inf, -1e5, 0.0, 1e5, np.inf, np.nan])
    found = in_a_loop(exponential, x)
    assert found[:5] == pytest.approx(np.exp([-708.0, -708.0, 0.0, 709.0, 709.0]), rel=1e-15)
    assert np.isnan(found[5])
    assert in_a_loop(logarithm_of_one_plus, np.array([0.0, 1e-300])).tolist() == [0.0, 1e-300]
    assert np.isnan(in_a_loop(logarithm_of_one_plus, np.array([np.nan])))[0]
