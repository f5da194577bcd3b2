"""`benchmarks/quiet_day.py`: it counts days as the market does, every day is the same, and its search does not lose."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
from lmaas_agents import LookaheadIMP
from lmaas_train.evaluation.rollout import rollout

from lmaas_env import Market
from lmaas_env.seeds import held_out_seeds

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def test_prices_of_a_day_without_chance_earn_what_the_market_says_and_more_once_improved() -> None:
    script, market = runpy.run_path(str(BENCHMARKS / "quiet_day.py")), Market(BENCHMARKS / "quiet-day.yaml")
    days = rollout(market, LookaheadIMP(market), held_out_seeds(2))
    assert days.day_profit[0] == days.day_profit[1]
    better = script["improved"](market, days.prices[0], 0, rounds=12, candidates=256)
    before, after = script["day_profit"](market, np.stack([days.prices[0], better]))
    np.testing.assert_allclose(before, days.day_profit[0], rtol=1e-12)
    assert before < after < 1.01 * before
