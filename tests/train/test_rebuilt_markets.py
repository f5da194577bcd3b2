"""A market that is made anew from another keeps how its customers decide, in selling, scoring and results."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from lmaas_agents.adaptive.plan_library import still
from lmaas_agents.energy import one_lane
from lmaas_train.evaluation.certified_bounds import certified_bounds
from lmaas_train.evaluation.evaluate import Evaluation, evaluate
from lmaas_train.runs import market_settings

from lmaas_env import Market, Scenario
from lmaas_env.seeds import held_out_seeds, of_one_day, open_days
from lmaas_env.spaces import observation_from_state, observed_market


def test_a_market_of_other_customers_keeps_their_strategy() -> None:
    market = Market("population", customers="nominal")
    day = open_days(market, [3])
    seen = observation_from_state(day.market, day.state)
    found = [of_one_day(day.market), observed_market(market, seen), one_lane(day.market)]
    drifting = Market("drift", customers="nominal")
    for rebuilt in [*found, still(drifting), market.with_scenario(Scenario.preset("day"))]:
        assert rebuilt.strategy == "nominal"
        assert type(rebuilt.customers) is type(market.customers)


def test_bounds_and_settings_know_the_strategy() -> None:
    rsr, foresight = Market("day"), Market("day", customers="perfect-foresight")
    seeds = held_out_seeds(2)
    assert certified_bounds(rsr, seeds) is not None
    assert certified_bounds(foresight, seeds) is None
    assert market_settings(rsr) != market_settings(foresight)


def test_results_know_the_strategy(tmp_path: Path) -> None:
    scenario = dataclasses.replace(Scenario(), name="short", customers=3, periods=2)
    market = Market(scenario, seed=1, customers="nominal")
    evaluate("fixed", market, days=2, sell_anchors=False, out=tmp_path / "out", progress=False)
    assert Evaluation.load(tmp_path / "out").market.strategy == "nominal"


def test_lanes_of_a_strategy_settle_as_one_market_does() -> None:
    market = Market("population", customers="nominal")
    day = open_days(market, [5, 6])
    prices = np.full((2, market.catalogue.size), 9.0)
    both, _ = day.market.settle(prices, day.state, day.draws.at(0))
    alone = open_days(market, [5])
    first, _ = of_one_day(alone.market).settle(prices[:1], alone.state, alone.draws.at(0))
    assert first.profit[0] == pytest.approx(both.profit[0], rel=1e-12)
