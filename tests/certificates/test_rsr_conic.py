"""RSR against an independent statement: each recourse as a conic program, compiled by cvxpy, solved by Clarabel."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from lmaas_train.bench.rsr import ConicRecourse

from lmaas_env.rsr import rent, solve
from tests.certificates.oracle import random_prices, random_terms

CLARABEL = 1e-6  # what its answers are worth, relative to max(1, |value|)
SLOTS = 4


@pytest.mark.parametrize("seed", range(6))
def test_worst_case_and_every_rental_equal_the_conic_program(seed: int) -> None:
    rng = np.random.default_rng(seed)
    recourse = ConicRecourse(SLOTS)
    compared = 0
    for _ in range(3):
        terms, prices = random_terms(rng, 1, 2, SLOTS), random_prices(rng, 2)
        if terms.max_hours.min() < 1e-3 or prices.max() > 1e3:
            continue  # dead links and extreme prices are beyond Clarabel's accuracy; the enumeration tests have them
        ours = solve(terms, prices).worst_case_profit[0]
        theirs = np.full(2, np.inf)
        for pattern in itertools.product([False, True], repeat=SLOTS):
            faded = np.array(pattern)
            for m in range(2):
                profit = recourse(terms, 0, m, float(prices[m]), faded)
                assert rent(terms, [m], prices, faded[None]).profit[0] == pytest.approx(
                    profit, rel=CLARABEL, abs=CLARABEL
                )
                if faded.sum() <= terms.fade_budget[0]:
                    theirs[m] = min(theirs[m], profit)
                compared += 1
        assert ours == pytest.approx(theirs, rel=CLARABEL, abs=CLARABEL)
    assert compared > 0
