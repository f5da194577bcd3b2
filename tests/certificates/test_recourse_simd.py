"""The lockstep recourse against the scalar one: two writings of one formula must agree, problem by problem."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lmaas_env.engine import recourse as kernels
from lmaas_env.engine import recourse_simd as waterfilling
from tests.certificates.oracle import random_prices, random_terms


@pytest.mark.parametrize("slots", [1, 2, 3, 6, 7, 12])
def test_lockstep_equals_one_problem_at_a_time(slots: int) -> None:
    rng = np.random.default_rng(slots)
    for customers in (1, 7, 8, 33, 100):  # lanes empty, just full, and left over
        terms, prices = random_terms(rng, customers, 4, slots).arrays, random_prices(rng, 4)
        choice, worst, planned = waterfilling.solve_rows(terms, prices[None])
        faded = rng.random((customers, slots)) < 0.5
        hours, profit, energy = waterfilling.rent_rows(terms, choice, prices[None], faded)
        scratch = np.empty(slots)
        for n in range(customers):
            pattern = kernels.worst_fades(terms.fade_budget[n], slots)
            scale = max(1.0, float(np.abs(worst[n]).max()))
            for m, price in enumerate(prices):
                expected, _, _ = kernels.recourse(terms, n, m, float(price), pattern, scratch)
                assert worst[n, m] == pytest.approx(expected, rel=1e-11, abs=1e-11 * scale)
                assert_allclose(planned[n, m], scratch, rtol=1e-7, atol=1e-9)
            m = int(choice[n])
            if m < 0:
                assert profit[n] == 0.0
                assert not hours[n].any()
                continue
            expected, _, used = kernels.recourse(terms, n, m, float(prices[m]), faded[n], scratch)
            assert profit[n] == pytest.approx(expected, rel=1e-11, abs=1e-11 * scale)
            assert energy[n] == pytest.approx(used, rel=1e-9, abs=1e-9)
            assert_allclose(hours[n], scratch, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.95])
def test_few_or_many_short_of_energy(share: float) -> None:
    """A few are moved to a chunk of their own, a crowd is searched where it is."""
    rng = np.random.default_rng(0)
    terms, prices = random_terms(rng, 60, 4, 6).arrays, random_prices(rng, 4)
    is_short = rng.random(60) < share
    terms = terms._replace(energy=np.where(is_short, 1e-3, 1e9))
    _, worst, planned = waterfilling.solve_rows(terms, prices[None])
    scratch, used = np.empty(6), np.zeros((60, 4))
    for n in range(60):
        pattern = kernels.worst_fades(terms.fade_budget[n], 6)
        for m, price in enumerate(prices):
            expected, _, used[n, m] = kernels.recourse(terms, n, m, float(price), pattern, scratch)
            assert worst[n, m] == pytest.approx(expected, rel=1e-11, abs=1e-11)
            assert_allclose(planned[n, m], scratch, rtol=1e-7, atol=1e-9)
    assert (used[is_short] > 0.999e-3).mean() > 0.7  # they are short indeed


def test_a_grid_of_prices_is_solved_as_its_prices_one_by_one() -> None:
    rng = np.random.default_rng(0)
    terms = random_terms(rng, 21, 3, 5).arrays  # three markets of seven customers
    prices = np.stack([[random_prices(rng, 3) for _ in range(9)] for _ in range(3)])
    profit, hours = waterfilling.solve_grid(terms, prices)
    for j in range(9):
        _, worst, planned = waterfilling.solve_rows(terms, np.ascontiguousarray(prices[:, j]))
        assert np.array_equal(profit[:, j], worst)
        assert np.array_equal(hours[:, j], planned)


def test_the_logarithm_is_correct_to_the_last_place() -> None:
    x = 1.0 + 10.0 ** np.random.default_rng(0).uniform(-12.0, 15.0, 20_000)
    exact = np.log(x.astype(np.longdouble))
    error = [abs(waterfilling.logarithm(float(a)) - b) for a, b in zip(x, exact, strict=True)]
    assert (np.array(error, float) <= np.spacing(exact.astype(float))).all()
