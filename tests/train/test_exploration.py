"""Exploration: log-probabilities are those of what is drawn, and stored policies withdraw as the network does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lmaas_train.exploration import Exploration
from lmaas_train.ppo import PPO
from lmaas_train.ppo_config import PPOConfig
from scipy.special import expit
from scipy.stats import multivariate_normal

from lmaas_env import Market, Scenario
from lmaas_env.spaces import observation_from_state

MODELS = 3
RIVALS = Market(Scenario.from_dict({"base": "rivals", "customers": 4}))
WITHDRAWS = PPOConfig(lanes=8, copies=4, batches=4, hidden=(8,), withdraw=0.3)


@pytest.mark.parametrize("withdraw", [0.0, 0.3])
def test_log_probabilities_are_those_of_what_is_drawn(withdraw: float) -> None:
    explored, rng, std = Exploration(MODELS, withdraw), np.random.default_rng(0), 0.4
    outputs = np.tile(np.linspace(-0.5, 0.8, explored.outputs, dtype=np.float32), (20_000, 1))
    drawn = explored.draw(outputs, std, rng)
    sold = drawn[drawn[:, MODELS] == 0.0] if withdraw else drawn
    covariance = std**2 * np.eye(MODELS)
    np.testing.assert_allclose(np.cov(sold[:, :MODELS].T), covariance, atol=0.03 * std**2)
    found = explored.log_probability(torch.from_numpy(drawn), torch.from_numpy(outputs), std).numpy()
    wanted = multivariate_normal(outputs[0, :MODELS], covariance).logpdf(drawn[:, :MODELS])
    wanted -= wanted.max()  # both up to one constant of the density
    chance = expit(outputs[0, MODELS]) if withdraw else 0.0
    gone = drawn[:, MODELS] == 1.0 if withdraw else np.zeros(len(drawn), dtype=np.bool_)
    assert gone.mean() == pytest.approx(chance, abs=0.02)
    wanted = np.where(gone, np.log(max(chance, 1e-9)), np.log1p(-chance) + wanted)
    offset = (found - wanted)[~gone].mean()
    np.testing.assert_allclose(found - np.where(gone, 0.0, offset), wanted, atol=2e-4)


def test_a_withdrawal_posts_the_cap_for_every_model() -> None:
    explored = Exploration(MODELS, withdraw=0.5)
    drawn = np.array([[0.1, 0.2, 0.3, 0.0], [0.1, 0.2, 0.3, 1.0]], dtype=np.float32)
    np.testing.assert_allclose(explored.posted(drawn), [[0.1, 0.2, 0.3], [1.0, 1.0, 1.0]], rtol=1e-6)
    np.testing.assert_array_equal(Exploration(MODELS).posted(drawn[:, :3]), drawn[:, :3])


def test_a_policy_starts_with_its_probability_of_a_withdrawal() -> None:
    learner = PPO(RIVALS, WITHDRAWS, seed=1)
    observation, _ = learner.env.reset()
    withdrawn = [learner.explore(observation, None)[1][:, -1].mean() for _ in range(400)]
    assert np.mean(withdrawn) == pytest.approx(0.3, abs=0.03)


def test_a_stored_policy_withdraws_where_the_network_finds_it_likely() -> None:
    learner = PPO(RIVALS, WITHDRAWS, seed=2)
    for _ in range(3):
        learner.update(0.0)
    state, _ = RIVALS.days([np.random.default_rng(i) for i in range(50)])
    seen = observation_from_state(RIVALS, state)
    *_, weight, bias = learner.actor.parameters()
    torch.nn.init.normal_(weight, std=0.5, generator=torch.Generator().manual_seed(0))
    bias.data[-1] = 0.0  # so that it withdraws in some states
    with torch.no_grad():
        outputs = learner.actor(torch.from_numpy(seen)).numpy()
    withdraws = outputs[:, -1:] > 0.0
    assert 0.1 < withdraws.mean() < 0.9
    wanted = np.where(withdraws, 1.0, outputs[:, :-1].clip(-1.0, 1.0))
    np.testing.assert_allclose(learner.seller(0, {}).predict(seen)[0], wanted, atol=1e-5)
