"""What a period brings: against IMP's own objective, and against settled periods."""

from __future__ import annotations

import numpy as np
import pytest
from lmaas_agents import IMP
from lmaas_agents.imp.forecast import outcome

from lmaas_env import Market

PRICES = np.array([[3.0, 5.0, 8.0, 12.0], [6.0, 9.0, 12.0, 16.0], [40.0, 40.0, 40.0, 40.0]])


@pytest.mark.parametrize("scenario", ["day", "static"])
@pytest.mark.parametrize("prices", PRICES)
def test_the_profit_is_what_imp_maximises(scenario: str, prices: np.ndarray) -> None:
    market = Market(scenario)
    terms, imp = market.terms(market.initial_state(np.random.default_rng(2))), IMP(market)
    brought = outcome(imp, terms, prices)
    assert brought.profit == pytest.approx(imp.profit(terms, prices), abs=1e-9)
    assert brought.per_model(brought.sale).sum() - imp.constants.training_cost == pytest.approx(brought.profit)


def test_customers_and_hours_are_those_of_a_settled_period() -> None:
    market = Market("static")  # where the plan is what is rented
    state, draws = market.day(np.random.default_rng(1))
    settled, _ = market.settle(PRICES[1], state, draws[0])
    brought = outcome(IMP(market), market.terms(state), PRICES[1])
    np.testing.assert_array_equal(brought.choice, settled.choice)
    np.testing.assert_array_equal(brought.per_model(1.0), settled.customers_per_model)
    np.testing.assert_allclose(brought.per_model(brought.hours), settled.hours_per_model)
    np.testing.assert_allclose(brought.guaranteed_profit, settled.worst_case_profit)
    assert brought.profit == pytest.approx(float(settled.profit))


def test_expected_profits_of_customers_are_the_mean_over_many_fades() -> None:
    market = Market("day")
    state, _ = market.day(np.random.default_rng(3))
    brought = outcome(IMP(market), market.terms(state), PRICES[0])
    rng = np.random.default_rng(4)
    settled = [market.settle(PRICES[0], state, market.draws(rng))[0] for _ in range(400)]
    mean = np.mean([s.customer_profit.sum() for s in settled])
    assert brought.customer_profit.sum() == pytest.approx(mean, rel=0.02)
    assert (brought.customer_profit >= brought.guaranteed_profit - 1e-9).mean() > 0.9
    assert (brought.guaranteed_profit >= 0.0).all()


def test_nobody_rents_and_nothing_is_counted() -> None:
    market = Market("day")
    state, _ = market.day(np.random.default_rng(3))
    brought = outcome(IMP(market), market.terms(state), np.full(4, 1e6))
    assert (brought.choice == -1).all()
    assert brought.per_model(1.0).tolist() == [0.0] * 4
    assert brought.customer_profit.sum() == brought.hours.sum() == brought.guaranteed_profit.sum() == 0.0
    assert brought.profit == -market.catalogue.training_cost.sum()
