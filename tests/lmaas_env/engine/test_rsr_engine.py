"""Selection and rental by the kernels against one recourse at a time."""

from __future__ import annotations

import numpy as np
import pytest

from lmaas_env import Market
from lmaas_env.engine.recourse import recourse, worst_fades
from lmaas_env.engine.recourse_chunk import WIDTH
from lmaas_env.engine.rsr import chosen, rent, select, selection_threshold, worst_case, worst_case_of_all
from lmaas_env.engine.terms import Terms, price_per_customer


def terms_of_day(lanes: int, seed: int = 0) -> Terms:
    """The first period's terms of some lanes of 24 customers each, in arrays of their own."""
    market = Market("day")
    state, _ = market.days([np.random.default_rng(seed + lane) for lane in range(lanes)])
    return Terms(*(array.copy() for array in market.terms(state).arrays))


@pytest.mark.parametrize("lanes", [1, 3, 4, 11])
def test_selection_and_rental_are_those_of_one_recourse_at_a_time(lanes: int) -> None:
    terms, rng = terms_of_day(lanes, seed=7), np.random.default_rng(lanes)
    terms.energy[:] *= rng.uniform(0.0, 1.0, terms.energy.size)
    assert (24 * lanes) % WIDTH or lanes == 4
    price = price_per_customer(np.exp(rng.uniform(0.0, np.log(40.0), (lanes, 4))), 24)
    worst = worst_case_of_all(terms, price)
    least = selection_threshold(terms)
    choice, faded = select(worst, least), rng.random((6, 24 * lanes)) < 0.3
    hours, profit, energy = rent(terms, choice, price, faded)
    promised, scratch = chosen(worst, choice), np.empty(6)
    for n in range(24 * lanes):
        pattern = worst_fades(terms.fade_budget[n], 6)
        expected = np.array([recourse(terms, n, m, price[m, n], pattern, scratch)[0] for m in range(4)])
        np.testing.assert_allclose(worst[:, n], expected, rtol=1e-12, atol=1e-12)
        best = int(expected.argmax()) if expected.max() > least[n] else -1
        assert choice[n] == best
        assert promised[n] == (worst[best, n] if best >= 0 else 0.0)
        if best < 0:
            assert not hours[:, n].any()
            assert (profit[n], energy[n]) == (0.0, 0.0)
            continue
        gain, _, used = recourse(terms, n, best, price[best, n], faded[:, n].copy(), scratch)
        np.testing.assert_allclose(hours[:, n], scratch, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose([profit[n], energy[n]], [gain, used], rtol=1e-11, atol=1e-11)
    assert choice.max() > -1
    assert choice.min() == -1 or lanes < 4


def test_the_worst_case_is_the_same_with_and_without_its_hours() -> None:
    terms, rng = terms_of_day(2), np.random.default_rng(1)
    price = price_per_customer(rng.uniform(2.0, 12.0, (2, 4)), 24)
    hours = np.full((6, 4, 48), np.nan)
    np.testing.assert_array_equal(worst_case(terms, np.arange(4), price, hours), worst_case_of_all(terms, price))
    assert (hours >= 0.0).all()


def test_equal_models_are_a_tie_for_the_lowest_index() -> None:
    terms = terms_of_day(1)
    terms.setup_cost[:] = terms.setup_cost[2]
    for array in (terms.quality, terms.airtime_cost, terms.power, terms.max_hours):
        array[:] = array[:, 2:3].copy()
    worst = worst_case_of_all(terms, np.full((4, 24), 5.0))
    choice = select(worst, selection_threshold(terms))
    assert set(choice.tolist()) <= {-1, 0}
    assert chosen(worst, choice).max() > 0.0


def test_a_profit_at_the_threshold_is_not_selected() -> None:
    worst = np.array([[1e-12, 2e-12, np.nan, 1.0, 1e-14], [0.0, 0.0, 1.0, np.nan, 0.0]])
    assert select(worst, np.array([1e-12, 1e-12, 1e-12, 1e-12, 1e-15])).tolist() == [-1, 0, 1, 0, 0]


def test_customers_that_selected_no_model_rent_nothing() -> None:
    terms = terms_of_day(1)
    hours, profit, energy = rent(terms, np.full(24, -1), np.full((4, 24), 5.0), np.zeros((6, 24), dtype=np.bool_))
    assert not hours.any()
    assert not profit.any()
    assert not energy.any()
