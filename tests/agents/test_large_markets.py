"""Large markets: what goes by blocks of customers is what the customers of a block give by themselves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lmaas_agents import IMP, energy
from lmaas_agents.energy import SHARES, energy_value
from lmaas_agents.imp import price_table as tables
from lmaas_agents.imp.imp import common_scenarios
from lmaas_agents.imp.price_table import price_table
from lmaas_agents.planning import plan_day, sampled_plan

from lmaas_env import Market, Population, Scenario
from lmaas_env.engine.recourse import worst_fades
from lmaas_env.engine.terms import slice_terms
from lmaas_env.seeds import open_days

PRICES = np.tile([6.0, 8.0, 10.0, 14.0], (24, 1))


def test_equal_fade_scenarios_of_a_customer_have_one_weight() -> None:
    patterns, weights = common_scenarios(30, 3, 0.3)
    drawn = np.random.default_rng(0).random((16, 30, 3)) < 0.3
    assert np.array_equal(patterns, drawn)
    for n in range(30):
        kept = weights[:, n] > 0.0
        different, counts = np.unique(drawn[:, n], axis=0, return_counts=True)
        assert len(np.unique(drawn[kept, n], axis=0)) == kept.sum() == len(different)
        for pattern, count in zip(different, counts, strict=True):
            same = (drawn[:, n] == pattern).all(axis=1)
            assert weights[same, n].tolist() == [pytest.approx(count / 16), *[0.0] * (count - 1)]


def test_worst_fades_are_those_of_each_budget() -> None:
    market = Market("city")
    patterns, weights = IMP(market, "worst_case").anticipation
    assert (weights == 1.0).all()
    for found, budget in zip(patterns[0], market.population.fade_budget, strict=True):
        assert np.array_equal(found, worst_fades(int(budget), 6))


def test_the_energy_value_of_a_block_is_that_of_its_customers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market("day")
    whole = energy_value(market, PRICES, draws=64)
    monkeypatch.setattr(energy, "BLOCK", 10)
    values = energy_value(market, PRICES, draws=64)
    assert values.shape == whole.shape == (25, 24, SHARES.size)
    assert np.array_equal(values[:, :10], energy_value(market.of_some(slice(0, 10)), PRICES, draws=64))
    assert values[0].sum(axis=0) == pytest.approx(whole[0].sum(axis=0), rel=0.03)  # other draws
    per_customer = values[0, :, -1] / whole[0, :, -1]
    assert (abs(per_customer - 1.0) < 0.3).all()  # in the customers' order


def test_a_price_table_of_several_blocks_is_that_of_their_customers() -> None:
    scenario = dataclasses.replace(Scenario(), customers=tables.BLOCK + 7)
    market = Market(scenario, population=Population.sample(scenario, np.random.default_rng(1)))
    terms = market.terms(market.initial_state(np.random.default_rng(2))._replace(hour=12)).arrays
    imp, grid = IMP(market), np.geomspace(2.0, 20.0, 3)[:, None] * np.ones(4)
    table = price_table(terms, imp.constants, grid)
    last = slice(tables.BLOCK - 3, tables.BLOCK + 7)
    own = imp.constants._replace(serving_cost=imp.constants.serving_cost[:, last].copy())
    alone = price_table(slice_terms(terms, last.start, last.stop), own, grid)
    assert np.array_equal(table.worst[:, last], alone.worst)
    assert np.array_equal(table.sale[:, last], alone.sale)


def test_a_sampled_plan_has_the_prices_of_the_sample_and_values_the_energy_of_all() -> None:
    market = Market("day")
    plan = sampled_plan(market, 8)
    some = plan_day(market.of_some(slice(0, 24, 3)))
    assert plan.prices.tolist() == some.prices.tolist()
    values = energy_value(market, plan.prices, draws=64 * 8 // 24)
    assert np.array_equal(plan.energy_value, values)


def test_a_sample_of_all_customers_is_no_sample() -> None:
    market = Market("mini")
    for customers in (market.population.size, 1000):
        for found, expected in zip(sampled_plan(market, customers), plan_day(market), strict=True):
            assert np.array_equal(found, expected)
    with pytest.raises(ValueError, match="customers = 0 must be >= 1"):
        sampled_plan(market, 0)


def test_customers_are_not_taken_from_lanes_that_have_their_own() -> None:
    lanes = open_days(Market("population"), [1, 2]).market
    with pytest.raises(ValueError, match="its lanes have customers of their own"):
        lanes.of_some(slice(0, 10))
    with pytest.raises(ValueError, match="customers = 0"):
        Market("day").of_some(slice(0, 0))
