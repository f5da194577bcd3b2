"""The forecast of a period: against IMP's own objective, and against settled periods."""

from __future__ import annotations

import numpy as np
import pytest
from lmaas_agents import IMP
from lmaas_agents.imp.forecast import forecast

from lmaas_env import Market
from tests.days import one_day

PRICES = np.array([[3.0, 5.0, 8.0, 12.0], [6.0, 9.0, 12.0, 16.0], [40.0, 40.0, 40.0, 40.0]])


@pytest.mark.parametrize("scenario", ["day", "static"])
@pytest.mark.parametrize("prices", PRICES)
def test_the_profit_is_what_imp_maximises(scenario: str, prices: np.ndarray) -> None:
    market = Market(scenario)
    terms, imp = market.terms(market.initial_state(np.random.default_rng(2))), IMP(market)
    expected = forecast(imp, terms, prices)
    assert expected.profit == pytest.approx(imp.profit(terms, prices), abs=1e-9)
    assert expected.per_model(expected.sale).sum() - imp.constants.training_cost == pytest.approx(expected.profit)


def test_customers_and_hours_are_those_of_a_settled_period() -> None:
    market = Market("static")  # where the plan is what is rented
    state, draws = one_day(market, 1)
    settled, _ = market.settle(PRICES[1], state, draws.at(0))
    expected = forecast(IMP(market), market.terms(state), PRICES[1])
    np.testing.assert_array_equal(expected.choice, settled.choice)
    np.testing.assert_array_equal(expected.per_model(1.0), settled.customers_per_model)
    np.testing.assert_allclose(expected.per_model(expected.hours), settled.hours_per_model)
    np.testing.assert_allclose(expected.guaranteed_profit, settled.worst_case_profit)
    assert expected.profit == pytest.approx(float(settled.profit))


def test_expected_profits_of_customers_are_the_mean_over_many_fades() -> None:
    market = Market("day")
    state, _ = one_day(market, 3)
    expected = forecast(IMP(market), market.terms(state), PRICES[0])
    rng = np.random.default_rng(4)
    settled = [market.settle(PRICES[0], state, market.draws(rng))[0] for _ in range(400)]
    mean = np.mean([s.customer_profit.sum() for s in settled])
    assert expected.customer_profit.sum() == pytest.approx(mean, rel=0.02)
    assert (expected.customer_profit >= expected.guaranteed_profit - 1e-9).mean() > 0.9
    assert (expected.guaranteed_profit >= 0.0).all()


def test_without_customers_only_training_is_counted() -> None:
    market = Market("day")
    state, _ = one_day(market, 3)
    expected = forecast(IMP(market), market.terms(state), np.full(4, 1e6))
    assert (expected.choice == -1).all()
    assert expected.per_model(1.0).tolist() == [0.0] * 4
    assert expected.customer_profit.sum() == expected.hours.sum() == expected.guaranteed_profit.sum() == 0.0
    assert expected.profit == -market.catalogue.training_cost.sum()
