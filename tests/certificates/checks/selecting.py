"""Checks of selection and recourse."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest

from lmaas_env.engine import recourse as scalar
from lmaas_env.engine import rsr
from lmaas_env.engine.terms import price_per_customer
from lmaas_env.rsr import rent, solve
from tests.certificates.oracle import best_profit, dual_bound, fade_patterns, random_prices, random_terms
from tests.certificates.oracle import recourse_problem as problem_of


def worst_case_is_that_of_all_fade_patterns() -> None:
    """W against the least of certified optima over every pattern of the budget, and its hours against the dual."""
    rng = np.random.default_rng(3)
    for customers, slots in ((3, 3), (2, 4), (3, 2), (2, 3), (3, 3)):
        terms, prices = random_terms(rng, customers, 2, slots), random_prices(rng, 2)
        result = solve(terms, prices)
        for n, m in itertools.product(range(customers), range(2)):
            patterns = fade_patterns(slots, int(terms.fade_budget[n]))
            exact = min(best_profit(problem_of(terms, n, m, prices[m], faded)) for faded in patterns)
            assert result.worst_case_profit[n, m] == pytest.approx(exact, rel=1e-8, abs=1e-8)
            worst = np.arange(slots) < terms.fade_budget[n]
            planned = problem_of(terms, n, m, prices[m], worst).profit(result.planned_hours[n, m])
            assert planned == pytest.approx(result.worst_case_profit[n, m], rel=1e-9, abs=1e-9)


def budgets_of_many_fades_are_kept() -> None:
    """W of budgets from 5 to 8 fades of eight slots, with energy to spare, against a certified optimum.

    Faded links are worse in every way, so the worst pattern fades the most valuable slots; `fade_patterns` of eight
    slots are too many to try all.
    """
    rng, slots = np.random.default_rng(11), 8
    drawn = random_terms(rng, 4, 1, slots)
    numbers = {"fade_budget": np.arange(5, 9), "energy": np.full(4, 1e3), "setup_cost": np.zeros((4, 1))}
    value = -np.sort(-rng.lognormal(3.0, 0.3, (4, slots)), axis=1)
    cost, cap = np.array([[[0.2, 0.9]]] * 4), np.array([[[0.12, 0.08]]] * 4)
    terms = dataclasses.replace(drawn, **numbers, task_value=value, airtime_cost=cost, max_hours=cap)
    found = solve(terms, [4.0]).worst_case_profit[:, 0]
    for n, budget in enumerate(terms.fade_budget):
        exact, fewer = (
            best_profit(problem_of(terms, n, 0, 4.0, np.arange(slots) < count)) for count in (budget, budget - 1)
        )
        assert exact < fewer - 1e-3
        assert found[n] == pytest.approx(exact, rel=1e-8)


def an_empty_battery_rents_exactly_nothing() -> None:
    """W is minus the setup cost, nobody selects, and a forced selection rents no hours, at task values of any size."""
    rng = np.random.default_rng(13)
    for size in 10.0 ** np.arange(0.0, 28.0, 4.0):
        drawn = random_terms(rng, 20, 2, 3)
        terms = dataclasses.replace(drawn, energy=np.zeros(20), task_value=size * drawn.task_value)
        result = solve(terms, [2.0, 5.0])
        assert (result.worst_case_profit == -terms.setup_cost).all()
        assert (result.choice == -1).all()
        rental = rent(terms, rng.integers(0, 2, 20), [2.0, 5.0], rng.random((20, 3)) < 0.5)
        assert not rental.hours.any()
        assert not rental.energy.any()


def hours_use_no_more_than_the_charge() -> None:
    """Planned and rented, by the SIMD and the scalar recourse, where kappa q is so small that rounding is large."""
    rng, n = np.random.default_rng(17), 60
    drawn = random_terms(rng, n, 1, 3)
    numbers = {"saturation": 10.0 ** rng.uniform(-15.0, 0.0, n), "energy": 10.0 ** rng.uniform(-6.0, 0.0, n)}
    terms = dataclasses.replace(drawn, **numbers, task_value=drawn.task_value * 10.0 ** rng.uniform(0.0, 20.0, (n, 1)))
    choice, faded, price = np.zeros(n, dtype=np.int64), np.zeros((n, 3), dtype=np.bool_), np.array([0.5])
    rental, most = rent(terms, choice, price, faded), terms.energy * (1.0 + 1e-11)
    assert ((rental.hours * terms.power[:, 0, :1]).sum(axis=1) <= most).all()
    assert (rental.energy <= most).all()
    for k in range(n):
        alone = np.empty(3)
        scalar.recourse(terms.arrays, k, 0, 0.5, faded[k], alone)
        assert alone @ np.full(3, terms.power[k, 0, 0]) <= most[k]


def rentals_are_feasible_and_optimal() -> None:
    """Rented hours, profit and energy of the selected models against the constraints and the dual bound."""
    rng = np.random.default_rng(5)
    for slots in (1, 4, 6):
        terms, prices = random_terms(rng, 12, 3, slots), random_prices(rng, 3)
        choice, faded = rng.integers(-1, 3, 12), rng.random((12, slots)) < 0.5
        rental = rent(terms, choice, prices, faded)
        for n, m in enumerate(choice):
            if m < 0:
                assert rental.profit[n] == rental.energy[n] == rental.hours[n].sum() == 0.0
                continue
            problem, hours = problem_of(terms, n, m, prices[m], faded[n]), rental.hours[n]
            assert ((hours >= 0.0) & (hours <= problem.cap)).all()
            used = float(problem.power @ hours)
            assert used <= problem.energy + 1e-12 * max(1.0, problem.energy)
            assert rental.energy[n] == pytest.approx(used, rel=1e-12, abs=1e-12)
            assert rental.profit[n] == pytest.approx(problem.profit(hours), rel=1e-12, abs=1e-12)
            assert rental.profit[n] == pytest.approx(dual_bound(problem), rel=1e-9, abs=1e-9)


def a_batch_equals_one_problem_at_a_time() -> None:
    """The SIMD recourse against the scalar one where no, few (deferred) or most problems lack energy."""
    rng = np.random.default_rng(7)
    for share in (0.0, 0.1, 0.9):
        terms, prices = random_terms(rng, 40, 2, 4).arrays, random_prices(rng, 2)
        terms = terms._replace(energy=np.where(rng.random(40) < share, 1e-2, 1e9))
        price, faded = price_per_customer(prices[None], 40), rng.random((4, 40)) < 0.4
        for choice in (np.zeros(40, dtype=np.int64), np.ones(40, dtype=np.int64)):
            hours, profit, energy = rsr.rent(terms, choice, price, faded)
            for n, m in enumerate(choice):
                alone = np.empty(4)
                pattern = np.ascontiguousarray(faded[:, n])
                expected, _, used = scalar.recourse(terms, n, int(m), float(prices[m]), pattern, alone)
                assert profit[n] == pytest.approx(expected, rel=1e-11, abs=1e-11)
                assert energy[n] == pytest.approx(used, rel=1e-9, abs=1e-9)
                np.testing.assert_allclose(hours[:, n], alone, rtol=1e-7, atol=1e-9)


def customers_select_the_first_best_model_or_none() -> None:
    rng = np.random.default_rng(1)
    different = random_terms(rng, 20, 3, 2)
    names = ("setup_cost", "quality", "airtime_cost", "power", "max_hours")
    fields = {name: np.repeat(getattr(different, name)[:, :2], [1, 2], axis=1) for name in names}
    tied = dataclasses.replace(different, **fields)  # the last two models are the same
    for terms, selected in ((different, {-1, 0, 1, 2}), (tied, {-1, 0, 1})):
        result = solve(terms, [2.0, 2.0, 2.0])
        worst = result.worst_case_profit
        assert (worst[:, 1] == worst[:, 2]).all() == (terms is tied)
        expected = np.where(worst.max(axis=1) > 1e-12, worst.argmax(axis=1), -1)
        assert result.choice.tolist() == expected.tolist()
        assert set(expected) == selected


CHECKS: list[Callable[[], None]] = [
    worst_case_is_that_of_all_fade_patterns,
    budgets_of_many_fades_are_kept,
    an_empty_battery_rents_exactly_nothing,
    hours_use_no_more_than_the_charge,
    rentals_are_feasible_and_optimal,
    a_batch_equals_one_problem_at_a_time,
    customers_select_the_first_best_model_or_none,
]
