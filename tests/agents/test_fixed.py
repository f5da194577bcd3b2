"""Sellers that do not look: what they post, and what tuning is worth on days they were not tuned on."""

from __future__ import annotations

import numpy as np
import pytest
from lmaas_agents import CostPlus, FixedPrice, RandomPrice
from lmaas_agents.fixed import tune_markup, tune_prices
from lmaas_train.evaluation.rollout import rollout

from lmaas_env import Market
from lmaas_env.seeds import held_out_seeds


@pytest.mark.heavy
def test_random_is_below_cost_plus_is_below_best_fixed_on_held_out_days() -> None:
    market = Market("day")
    sellers = [
        RandomPrice(market),
        CostPlus(market, tune_markup(market, 16)),
        FixedPrice(market, tune_prices(market, 16)),
    ]
    profits = [rollout(market, seller, held_out_seeds(16)).day_profit.mean() for seller in sellers]
    assert profits[0] < 0.5 * profits[1]
    assert profits[1] < 0.95 * profits[2]


def test_random_prices_repeat_with_the_seed_and_span_the_range() -> None:
    market = Market("day")
    observation = np.zeros((500, 75), np.float32)
    first, second = (RandomPrice(market, seed=3).predict(observation)[0] for _ in range(2))
    assert (first == second).all()
    assert first.shape == (500, 4)
    assert first.min() < -0.98
    assert first.max() > 0.98


def test_cost_plus_posts_serving_cost_plus_markup_within_the_range() -> None:
    market = Market("day")
    state = market.initial_state(np.random.default_rng(0))
    assert CostPlus(market, 3.0).prices(state) == pytest.approx([3.05, 3.15, 3.45, 4.2])
    assert CostPlus(market, 0.5).prices(state) == pytest.approx([1.0, 1.0, 1.0, 1.7])


@pytest.mark.parametrize("prices", [[1.0, 2.0, 3.0], [0.5, 2, 3, 4], [2, 2, 3, 41], [2, 2, 3, np.nan]])
def test_fixed_prices_outside_the_range_are_refused(prices: list[float]) -> None:
    with pytest.raises(ValueError, match=r"prices = .* must be 4 in \[1.0, 40.0\]"):
        FixedPrice(Market("day"), prices)
