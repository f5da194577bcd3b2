"""`benchmarks/menus.py`: without a change its days are those of `day-ppo`, and its sellers what they say."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
from lmaas_agents import LookaheadIMP, load_policy
from lmaas_train.evaluation.rollout import rollout

from lmaas_env import Market
from lmaas_env.seeds import tuning_seeds

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "menus.py"


def test_opening_a_model_changes_the_days_of_the_policy_and_nothing_else_does() -> None:
    sold, market = runpy.run_path(str(SCRIPT))["sold"], Market("day")
    before = sold(market)
    np.testing.assert_allclose(before, rollout(market, load_policy("day-ppo"), tuning_seeds(200)).day_profit, rtol=1e-6)
    np.testing.assert_array_equal(sold(market, "xlarge", 100.0), before)
    assert sold(market, "large", 1.0).mean() < before.mean() - 20.0


def test_a_market_of_fewer_models_has_the_same_customers_and_exact_prices_are_those_without_error() -> None:
    script, market = runpy.run_path(str(SCRIPT)), Market("mini")
    some = script["with_models"](market, 1)
    assert some.catalogue.names == market.catalogue.names[:1]
    np.testing.assert_array_equal(some.population.task_value, market.population.task_value)
    state = market.initial_state(np.random.default_rng(1))
    exact = LookaheadIMP(market).prices(state)
    np.testing.assert_array_equal(script["Imprecise"](market, 0.0).prices(state), exact)
    assert 0.0 < np.abs(np.log(script["Imprecise"](market, 0.03).prices(state) / exact)).max() < 0.2
