"""Static-robust plans: certified by their bound, and by searches that know nothing of the method."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import differential_evolution

from lmaas_env import Market
from lmaas_env.customers import static_robust
from lmaas_env.customers.strategies import strategy
from lmaas_env.engine import recourse as kernels
from lmaas_env.engine import recourse_simd as waterfilling
from lmaas_env.terms import RentalTerms
from lmaas_env.types import FloatArray
from tests.certificates.oracle import fade_patterns, random_prices, random_terms

SLOTS = (1, 2, 2, 3, 3, 4, 5, 6)


def _worst_case(terms: RentalTerms, n: int, m: int, price: float, booked: FloatArray) -> float:
    """The least profit of booked hours over the patterns of the budget, written a second time."""
    profits: list[float] = []
    for faded in fade_patterns(booked.size, int(terms.fade_budget[n])):
        charge, profit = float(terms.energy[n]), -float(terms.setup_cost[n, m]) - price * float(booked.sum())
        for slot, s in enumerate(faded.astype(int)):
            used = min(float(booked[slot]), float(terms.max_hours[n, m, s]), charge / float(terms.power[n, m, s]))
            charge = max(charge - float(terms.power[n, m, s]) * used, 0.0)
            gain = np.log1p(terms.saturation[n] * terms.quality[n, m, s] * used)
            profit += float(terms.task_value[n, slot] * gain - terms.airtime_cost[n, m, s] * used)
        profits.append(profit)
    return min(profits)


def _scale(value: FloatArray) -> FloatArray:
    return np.maximum(1.0, np.abs(value))


@pytest.mark.parametrize("seed", range(4))
def test_plans_are_certified_and_worth_what_they_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for slots in SLOTS * 4:
        terms = random_terms(rng, 3, 2, slots)
        prices = random_prices(rng, 2) if seed % 2 else 10.0 ** rng.uniform(-0.5, 1.3, 2)
        plans = static_robust.plan_rows(terms.arrays, prices[None], every_model=True)
        rsr = waterfilling.solve_rows(terms.arrays, prices[None])[1]
        assert (plans.worst <= plans.bound).all()
        assert (plans.bound - plans.worst <= 1e-8 * _scale(plans.worst)).all()
        assert (plans.worst <= rsr + 1e-9 * _scale(rsr)).all()
        assert (plans.worst >= -terms.setup_cost).all()
        for n in range(terms.size):
            for m in range(2):
                again = _worst_case(terms, n, m, float(prices[m]), plans.plan[n, m])
                assert plans.worst[n, m] == pytest.approx(again, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("seed", range(3))
def test_differential_evolution_reaches_the_plan_and_never_beats_it(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    for slots in (1, 2, 3):
        terms = random_terms(rng, 3, 1, slots)
        price = float(10.0 ** rng.uniform(-0.5, 1.3))
        plans = static_robust.plan_rows(terms.arrays, np.array([[price]]), every_model=True)
        for n in range(terms.size):
            found = differential_evolution(
                lambda booked, n=n, terms=terms, price=price: -_worst_case(terms, n, 0, price, booked),
                [(0.0, float(terms.max_hours[n, 0, 0]))] * slots,
                rng=0,
                tol=1e-10,
                maxiter=150,
                polish=False,
            )
            value, scale = plans.worst[n, 0], max(1.0, abs(plans.worst[n, 0]))
            assert -found.fun <= value + 1e-8 * scale
            assert max(-found.fun, -terms.setup_cost[n, 0]) >= value - 1e-3 * scale


def test_an_optimal_plan_may_differ_from_the_plan_of_rsr() -> None:
    """The certificate would be idle if RSR's plan were always a saddle point; on some days it is not."""
    market = Market("scarce", seed=3)
    state, draws = market.day(np.random.default_rng(3))
    prices = np.array([4.0, 6.0, 10.0, 20.0])
    beaten = 0
    for draw in draws:
        terms = market.terms(state)
        plans = static_robust.plan_rows(terms.arrays, prices[None], every_model=True)
        _, _, planned = waterfilling.solve_rows(terms.arrays, prices[None])
        for n in range(terms.size):
            for m in range(4):
                kept = _worst_case(terms, n, m, float(prices[m]), planned[n, m])
                assert kept <= plans.bound[n, m] + 1e-9
                beaten += plans.worst[n, m] > kept + 1e-6
        _, state = market.settle(prices, state, draw)
    assert beaten > 0


def test_between_nominal_and_rsr_in_the_worst_case() -> None:
    for scenario in ("day", "scarce"):
        market = Market(scenario, seed=1)
        state, _ = market.day(np.random.default_rng(1))
        terms = market.terms(state).arrays
        taste, prices = np.zeros(24), np.array([[3.0, 5.0, 9.0, 15.0]])
        worst = {
            name: strategy(name, 0.15).select(terms, prices, taste).worst_case_profit
            for name in ("nominal", "static-robust", "rsr")
        }
        assert (worst["nominal"] <= worst["static-robust"] + 1e-9).all()
        assert (worst["static-robust"] <= worst["rsr"] + 1e-9).all()
        assert worst["static-robust"].sum() > worst["nominal"].sum()


def test_models_that_cannot_win_may_be_dropped_without_changing_the_choice() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        terms, prices = random_terms(rng, 4, 3, 4), random_prices(rng, 3)[None]
        every = static_robust.plan_rows(terms.arrays, prices, every_model=True)
        some = static_robust.plan_rows(terms.arrays, prices)
        for n in range(terms.size):
            choice = kernels.select(some.worst[n])
            assert (choice < 0) == (kernels.select(every.worst[n]) < 0)
            if choice >= 0:
                assert_allclose(some.worst[n, choice], every.worst[n].max(), rtol=1e-8, atol=1e-8)


def test_negative_prices_are_refused() -> None:
    terms = random_terms(np.random.default_rng(0), 1, 2, 2)
    with pytest.raises(ValueError, match="needs prices >= 0"):
        static_robust.plan_rows(terms.arrays, np.array([[1.0, -1.0]]))
