"""Checks of look-ahead: the value of energy and the charge for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from lmaas_agents import IMP
from lmaas_agents.energy import SHARES, charged_costs, energy_value, shadow_prices

from lmaas_env.state import Draws, State
from tests.certificates.checks.markets import days_of, market_of, some_prices


def the_energy_value_is_that_of_a_certain_market() -> None:
    """Where nothing is random, backward induction by hand: what is sold now, and the value of what is left."""
    certain = {"fade_probability": 0.0, "harvest_spread": 0.0, "shadowing_sigma": 0.0, "demand_sigma": 0.0}
    market = market_of(3, periods=2, **certain)
    people, models, n = market.population, market.catalogue, market.population.size
    prices, zeros = some_prices(np.random.default_rng(1), 2), np.zeros(n)
    values = energy_value(market, prices, draws=1)
    draws = Draws(np.zeros((n, 3), dtype=np.bool_), zeros, zeros, np.ones(n), zeros)
    drained = 0.0
    for hour, level in itertools.product((0, 1), range(SHARES.size)):
        state = State(hour, zeros, zeros, SHARES[level] * people.capacity)
        sale, after = market.settle(prices[hour], state, draws)
        buys, model = sale.choice >= 0, np.maximum(sale.choice, 0)
        margin = prices[hour][model] - models.serving_cost[model]
        profit = np.where(buys, margin * sale.hours.sum(axis=1) - models.adaptation_cost[model], 0.0)
        later = [np.interp(after.charge[i] / people.capacity[i], SHARES, values[hour + 1, i]) for i in range(n)]
        np.testing.assert_allclose(values[hour, :, level], profit + later, rtol=1e-9, atol=1e-9)
        drained += sale.energy_used.sum()
    assert drained > 0.0
    assert (values[2] == 0.0).all()
    assert (values[0, :, -1] > values[1, :, -1]).any()


def energy_is_charged_at_the_slope_of_its_value() -> None:
    """Shadow prices and charged costs of lanes at several hours, written a second time."""
    market, rng = market_of(harvest=0.1), np.random.default_rng(3)
    state, _ = days_of(market, 3)
    state = state._replace(hour=np.array([0, 1, 2]), charge=state.charge * np.array([[0.05], [0.5], [1.0]]))
    values = np.cumsum(rng.random((4, 4, SHARES.size)), axis=2)
    terms, capacity = market.terms(state).arrays, market.population.capacity
    found = shadow_prices(market.constants, state, values, terms.power[0])
    for m, k, n in itertools.product(range(4), range(3), range(4)):
        power, charge = terms.power[0, m, 4 * k + n], state.charge[k, n]
        use = min(0.5 * power, max(charge, 1e-3))
        before = charge + 0.1 * capacity[n]
        left, kept = (
            np.interp(energy / capacity[n], SHARES, values[state.hour[k] + 1, n]) for energy in (before - use, before)
        )
        assert found[m, 4 * k + n] == pytest.approx((kept - left) / use, rel=1e-9, abs=1e-9)
    seller = IMP(market).constants
    seller = seller._replace(serving_cost=np.tile(seller.serving_cost, (1, 3)))
    charged = charged_costs(seller, terms, market, values, state).serving_cost
    np.testing.assert_allclose(charged, seller.serving_cost + found * terms.power[0], rtol=1e-12)


CHECKS: list[Callable[[], None]] = [
    the_energy_value_is_that_of_a_certain_market,
    energy_is_charged_at_the_slope_of_its_value,
]
