"""Undercutting: the price that is found is one at which the nearest customer just still buys."""

from __future__ import annotations

import numpy as np
import pytest

from agents import load_policy
from agents.learned import shipped_policies
from agents.undercut import undercut
from lmaas_env import Market
from lmaas_env.days import draw_days, held_out_seeds
from lmaas_env.market import MarketState
from lmaas_env.rsr import solve
from train.evaluate import rollout


def test_a_price_ends_just_below_a_threshold_and_no_farther_than_its_reach() -> None:
    market = Market("day")
    state, _ = draw_days(market, range(20))
    state = MarketState(np.full(20, 16), *state[1:])
    prices = np.random.default_rng(0).uniform(12.0, 25.0, (20, 4))
    terms = market.terms(state)
    found = undercut(market, terms.arrays, prices, 0.1)
    # The first step of Newton's method, which the reach is compared with, ends a little short of the threshold.
    assert (np.abs(np.log(found / prices)) <= 0.13).all()
    moved = 0
    last = int(np.argmin(market.catalogue.serving_cost))  # it moves last, so its threshold is that of the final prices
    for lane in range(20):
        own = market.terms(MarketState(16, *(it[lane] for it in state[1:])))
        if found[lane, last] == prices[lane, last]:
            continue
        moved += 1
        below, above = solve(own, found[lane]), found[lane].copy()
        above[last] *= 1.0 + 3e-6
        assert (below.choice == last).sum() == (solve(own, above).choice == last).sum() + 1
    assert moved >= 4


@pytest.mark.parametrize("name", ["day-ppo", "scarce-ppo", "abundant-ppo", "public-ppo"])
def test_a_shipped_policy_is_loaded_and_earns_what_it_says(name: str) -> None:
    assert name in shipped_policies()
    policy = load_policy(name)
    market = Market(policy.scenario)
    policy.check(market)
    earned = rollout(market, policy, held_out_seeds(5)).day_profit.mean()
    assert earned == pytest.approx(policy.about.scores["held_out"]["mean_day_profit"], rel=0.1)
