"""Static-robust plans: certified by their bound, and by searches that do not use the method."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import differential_evolution

from lmaas_env import Market
from lmaas_env.customers import static_robust
from lmaas_env.customers.strategies import strategy
from lmaas_env.engine import rsr
from lmaas_env.engine.terms import price_per_customer
from lmaas_env.rsr import solve
from lmaas_env.terms import RentalTerms
from lmaas_env.types import FloatArray
from tests.certificates.checks.static_robust import worst_of_plan
from tests.certificates.oracle import random_prices, random_terms
from tests.days import one_day

SLOTS = (1, 2, 2, 3, 3, 4, 5, 6)


def _plans(terms: RentalTerms, prices: FloatArray, every_model: bool = True) -> static_robust.RobustPlans:
    """The plans of customers that see the same prices (M,)."""
    return static_robust.robust_plans(terms.arrays, price_per_customer(prices[None], terms.size), every_model)


def _scale(value: FloatArray) -> FloatArray:
    return np.maximum(1.0, np.abs(value))


@pytest.mark.parametrize("seed", range(4))
def test_plans_are_certified_and_worth_what_they_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for slots in SLOTS * 4:
        terms = random_terms(rng, 3, 2, slots)
        prices = random_prices(rng, 2) if seed % 2 else 10.0 ** rng.uniform(-0.5, 1.3, 2)
        plans = _plans(terms, prices)
        with_recourse = solve(terms, prices).worst_case_profit.T
        assert (plans.worst <= plans.bound).all()
        assert (plans.bound - plans.worst <= 1e-8 * _scale(plans.worst)).all()
        assert (plans.worst <= with_recourse + 1e-9 * _scale(with_recourse)).all()
        assert (plans.worst >= -terms.setup_cost.T).all()
        for n in range(terms.size):
            for m in range(2):
                again = worst_of_plan(terms, n, m, float(prices[m]), plans.hours[:, m, n])
                assert plans.worst[m, n] == pytest.approx(again, rel=1e-11, abs=1e-11)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(3))
def test_differential_evolution_reaches_the_plan_and_never_beats_it(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    for slots in (1, 2, 3):
        terms = random_terms(rng, 3, 1, slots)
        price = float(10.0 ** rng.uniform(-0.5, 1.3))
        plans = _plans(terms, np.array([price]))
        for n in range(terms.size):
            found = differential_evolution(
                lambda booked, n=n, terms=terms, price=price: -worst_of_plan(terms, n, 0, price, booked),
                [(0.0, float(terms.max_hours[n, 0, 0]))] * slots,
                rng=0,
                tol=1e-10,
                maxiter=150,
                polish=False,
            )
            value, scale = plans.worst[0, n], max(1.0, abs(plans.worst[0, n]))
            assert -found.fun <= value + 1e-8 * scale
            assert max(-found.fun, -terms.setup_cost[n, 0]) >= value - 1e-3 * scale


def test_an_optimal_plan_may_differ_from_the_plan_of_rsr() -> None:
    """The certificate would prove nothing if RSR's plan were always a saddle point; on some days it is not."""
    market = Market("scarce", seed=3)
    state, draws = one_day(market, 3)
    prices = np.array([4.0, 6.0, 10.0, 20.0])
    beaten = 0
    for hour in range(market.scenario.periods):
        terms = market.terms(state)
        plans, planned = _plans(terms, prices), solve(terms, prices).planned_hours
        for n in range(terms.size):
            for m in range(4):
                kept = worst_of_plan(terms, n, m, float(prices[m]), planned[n, m])
                assert kept <= plans.bound[m, n] + 1e-9
                beaten += plans.worst[m, n] > kept + 1e-6
        _, state = market.settle(prices, state, draws.at(hour))
    assert beaten > 0


def test_between_nominal_and_rsr_in_theworst_of_plan() -> None:
    for scenario in ("day", "scarce"):
        market = Market(scenario, seed=1)
        state, _ = one_day(market, 1)
        terms = market.terms(state).arrays
        price = price_per_customer(np.array([[3.0, 5.0, 9.0, 15.0]]), 24)
        worst = {
            name: strategy(name, 0.15).select(terms, price, np.zeros(24)).worst_case_profit
            for name in ("nominal", "static-robust", "rsr")
        }
        assert (worst["nominal"] <= worst["static-robust"] + 1e-9).all()
        assert (worst["static-robust"] <= worst["rsr"] + 1e-9).all()
        assert worst["static-robust"].sum() > worst["nominal"].sum()


def test_models_that_cannot_win_may_be_dropped_without_changing_the_choice() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        terms, prices = random_terms(rng, 4, 3, 4), random_prices(rng, 3)
        every, some = _plans(terms, prices), _plans(terms, prices, every_model=False)
        least = rsr.selection_threshold(terms.arrays)
        best, selected = every.worst.max(axis=0), rsr.select(some.worst, least)
        assert ((selected < 0) == (rsr.select(every.worst, least) < 0)).all()
        for n in range(terms.size):
            if selected[n] >= 0:
                assert_allclose(some.worst[selected[n], n], best[n], rtol=1e-8, atol=1e-8)


def test_negative_prices_are_refused() -> None:
    terms = random_terms(np.random.default_rng(0), 1, 2, 2)
    with pytest.raises(ValueError, match=r"prices\[1, 0\] = -1.0 must be finite and >= 0"):
        _plans(terms, np.array([1.0, -1.0]))
