"""CMA-ES with a diagonal covariance (Ros and Hansen, 2008; of pycma) on the weights of a linear policy.

A candidate is judged by the profit of whole days.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import cma
import numpy as np
import torch
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_train.baselines.config import BaselineConfig
from lmaas_train.ppo import as_seller
from lmaas_train.ppo_config import PPOConfig
from torch import nn

from lmaas_env.market import Market
from lmaas_env.seeds import training_seeds
from lmaas_env.spaces import Float32Array, observation_size
from lmaas_env.types import FloatArray
from lmaas_env.vector_env import LMaaSVectorEnv


def learn(
    market: Market, config: BaselineConfig, steps: int, seed: int, report: Callable[[int, Any], None]
) -> LearnedSeller:
    """Return the mean of the last generation; ``report`` gets the steps so far and what makes its seller.

    All candidates of a generation sell the same days, each generation new ones.
    """
    sizes = observation_size(market), market.catalogue.size
    first = np.zeros((sizes[0] + 1) * sizes[1])  # the middle of the range of prices, whatever is seen
    options: Any = {"popsize": config.candidates, "seed": seed, "CMA_diagonal": True, "verbose": -9}
    search: Any = cma.CMAEvolutionStrategy(first, config.spread, options)
    env = _lanes(market, config, seed)
    done, periods = 0, market.scenario.periods
    mean = first
    while done < steps:
        candidates = search.ask()
        weights = np.stack(candidates).reshape(config.candidates, sizes[0] + 1, sizes[1]).astype(np.float32)
        search.tell(candidates, (-_profits(env, weights, periods)).tolist())
        done, mean = done + env.num_envs * periods, search.result.xfavorite
        report(done, functools.partial(_seller, mean, market, done, seed))
    return _seller(mean, market, done, seed)


def _lanes(market: Market, config: BaselineConfig, seed: int) -> LMaaSVectorEnv:
    """Return the lanes of all candidates, candidate after candidate; each reset starts new days, the same for all."""
    env = LMaaSVectorEnv(config.candidates * config.lanes, market=market)
    env.reset(seed=np.tile(training_seeds(seed, config.lanes), config.candidates).tolist())
    return env


def _profits(env: LMaaSVectorEnv, weights: Float32Array, periods: int) -> FloatArray:
    """Return the mean profit of a day per customer, (C,), of linear policies (C, D + 1, M), the last row biases."""
    profit, count = np.zeros(env.num_envs), len(weights)
    observation, _ = env.reset()
    for _ in range(periods):
        seen = observation.reshape(count, -1, observation.shape[-1])
        actions = (seen @ weights[:, :-1] + weights[:, -1:]).reshape(env.num_envs, -1)
        observation, reward, _, _, _ = env.step(np.clip(actions, -1.0, 1.0))
        profit += reward
    return profit.reshape(count, -1).mean(axis=1)


def _seller(weights: FloatArray, market: Market, steps: int, seed: int) -> LearnedSeller:
    rows = torch.from_numpy(weights.astype(np.float32)).reshape(-1, market.catalogue.size)
    layer = nn.Linear(len(rows) - 1, market.catalogue.size)
    layer.weight.data, layer.bias.data = rows[:-1].T.contiguous(), rows[-1].clone()
    return as_seller(nn.Sequential(layer), market, PPOConfig(), "CMA-ES", steps, seed, {})
