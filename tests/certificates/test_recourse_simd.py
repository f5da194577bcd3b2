"""The SIMD recourse against the scalar one: two writings of one formula must agree, problem by problem."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lmaas_env.engine import recourse as scalar
from lmaas_env.engine import rsr
from lmaas_env.engine.math import logarithm
from lmaas_env.engine.terms import Terms, price_per_customer
from lmaas_env.types import FloatArray
from tests.certificates.oracle import random_prices, random_terms


def worst_case(terms: Terms, price: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The worst-case profit (M, R) and the hours planned for it (L, M, R)."""
    hours = np.empty((len(terms.task_value), *price.shape))
    return rsr.worst_case(terms, np.arange(len(price)), price, hours), hours


@pytest.mark.parametrize("slots", [1, 2, 3, 6, 7, 12])
def test_a_batch_equals_one_problem_at_a_time(slots: int) -> None:
    rng = np.random.default_rng(slots)
    for customers in (1, 7, 8, 33, 100):  # chunks partly empty, just full, and one more
        terms, prices = random_terms(rng, customers, 4, slots).arrays, random_prices(rng, 4)
        price = price_per_customer(prices[None], customers)
        worst, planned = worst_case(terms, price)
        choice = rsr.select(worst, rsr.selection_threshold(terms))
        faded = np.ascontiguousarray((rng.random((customers, slots)) < 0.5).T)
        hours, profit, energy = rsr.rent(terms, choice, price, faded)
        scratch = np.empty(slots)
        for n in range(customers):
            pattern = scalar.worst_fades(terms.fade_budget[n], slots)
            scale = max(1.0, float(np.abs(worst[:, n]).max()))
            for m, beta in enumerate(prices):
                expected, _, _ = scalar.recourse(terms, n, m, float(beta), pattern, scratch)
                assert worst[m, n] == pytest.approx(expected, rel=1e-11, abs=1e-11 * scale)
                assert_allclose(planned[:, m, n], scratch, rtol=1e-7, atol=1e-9)
            m = int(choice[n])
            if m < 0:
                assert profit[n] == 0.0
                assert not hours[:, n].any()
                continue
            own = np.ascontiguousarray(faded[:, n])
            expected, _, used = scalar.recourse(terms, n, m, float(prices[m]), own, scratch)
            assert profit[n] == pytest.approx(expected, rel=1e-11, abs=1e-11 * scale)
            assert energy[n] == pytest.approx(used, rel=1e-9, abs=1e-9)
            assert_allclose(hours[:, n], scratch, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.95])
def test_few_or_many_short_of_energy(share: float) -> None:
    """A few are deferred to a chunk of their own; where there are many, the whole chunk is searched."""
    rng = np.random.default_rng(0)
    terms, prices = random_terms(rng, 60, 4, 6).arrays, random_prices(rng, 4)
    is_short = rng.random(60) < share
    terms = terms._replace(energy=np.where(is_short, 1e-3, 1e9))
    worst, planned = worst_case(terms, price_per_customer(prices[None], 60))
    scratch, used = np.empty(6), np.zeros((4, 60))
    for n in range(60):
        pattern = scalar.worst_fades(terms.fade_budget[n], 6)
        for m, beta in enumerate(prices):
            expected, _, used[m, n] = scalar.recourse(terms, n, m, float(beta), pattern, scratch)
            assert worst[m, n] == pytest.approx(expected, rel=1e-11, abs=1e-11)
            assert_allclose(planned[:, m, n], scratch, rtol=1e-7, atol=1e-9)
    assert (used[:, is_short] > 0.999e-3).mean() > 0.7  # most of them drain the battery


def test_a_grid_of_prices_is_solved_as_its_prices_one_by_one() -> None:
    rng = np.random.default_rng(0)
    terms = random_terms(rng, 21, 3, 5).arrays  # three markets of seven customers
    prices = np.stack([[random_prices(rng, 3) for _ in range(9)] for _ in range(3)])
    rows = np.concatenate([price_per_customer(np.ascontiguousarray(prices[:, j]), 7) for j in range(9)])
    hours = np.empty((5, *rows.shape))
    profit = rsr.worst_case(terms, np.tile(np.arange(3), 9), rows, hours)
    for j in range(9):
        worst, planned = worst_case(terms, rows[3 * j : 3 * (j + 1)])
        assert np.array_equal(profit[3 * j : 3 * (j + 1)], worst)
        assert np.array_equal(hours[:, 3 * j : 3 * (j + 1)], planned)


def test_the_logarithm_is_correct_to_the_last_place() -> None:
    x = 1.0 + 10.0 ** np.random.default_rng(0).uniform(-12.0, 15.0, 20_000)
    exact = np.log(x.astype(np.longdouble))
    error = [abs(logarithm(float(a)) - b) for a, b in zip(x, exact, strict=True)]
    assert (np.array(error, float) <= np.spacing(exact.astype(float))).all()
