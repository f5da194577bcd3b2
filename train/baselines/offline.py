"""Learners from logged days alone: behaviour cloning, and implicit Q-learning (Kostrikov et al., 2022)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_train.baselines.config import BaselineConfig
from lmaas_train.datasets import behaviour_of, log_days
from lmaas_train.networks import perceptron
from lmaas_train.ppo import as_seller
from lmaas_train.ppo_config import PPOConfig
from torch import nn

from lmaas_env.market import Market
from lmaas_env.seeds import training_seeds
from lmaas_env.spaces import observation_size

NAMES = {"bc": "behaviour cloning", "iql": "IQL"}
LARGEST_WEIGHT = 100.0  # of an action that was much better than expected
TARGET_RATE = 0.005  # with which the networks of targets follow


class _Steps(NamedTuple):
    """Logged steps as rows: observations (R, D), actions (R, M), rewards (R, 1), and the next observations (R, D).

    ``goes_on`` (R, 1) is 0 in a day's last hour, else 1.
    """

    seen: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    later: torch.Tensor
    goes_on: torch.Tensor

    @classmethod
    def of(cls, market: Market, config: BaselineConfig, seed: int) -> _Steps:
        days = list(log_days(market, behaviour_of(config.behaviour, market), training_seeds(seed, config.logged_days)))
        seen = np.stack([it.observations for it in days])
        rewards = np.stack([it.rewards for it in days]).astype(np.float32)
        goes_on = np.ones_like(rewards)
        goes_on[:, -1] = 0.0
        columns = (
            seen[:, :-1],
            np.stack([it.actions for it in days]),
            rewards / max(float(rewards.std()), 1e-6),
            seen[:, 1:],
            goes_on,
        )
        size = rewards.size
        return cls(*(torch.from_numpy(np.ascontiguousarray(it)).reshape(size, -1) for it in columns))

    def batches(self, size: int, generator: torch.Generator) -> Iterator[_Steps]:
        """Yield batches without end, each step once in every pass."""
        while True:
            for rows in torch.randperm(len(self.seen), generator=generator).split(size):
                yield _Steps(*(column[rows] for column in self))


def learn(
    market: Market, config: BaselineConfig, steps: int, seed: int, report: Callable[[int, Any], None]
) -> LearnedSeller:
    """Return a policy after so many gradient steps; ``report`` gets those so far and what makes its seller."""
    generator = torch.Generator().manual_seed(seed)
    logged, widths = _Steps.of(market, config, seed), (observation_size(market), *config.hidden, market.catalogue.size)
    shape = PPOConfig(hidden=config.hidden)
    actor = perceptron([*widths], shape.activation, 0.01, generator)
    optimiser = torch.optim.AdamW(actor.parameters(), lr=config.learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, steps)
    critic = _Critic(market, config, seed) if config.algorithm == "iql" else None

    def seller(step: int = steps) -> LearnedSeller:
        return as_seller(actor, market, shape, NAMES[config.algorithm], step, seed, {})

    for step, batch in enumerate(itertools.islice(logged.batches(config.batch, generator), steps), start=1):
        weight = torch.ones(1) if critic is None else critic.learn(batch)
        loss = (weight * (actor(batch.seen) - batch.actions).square()).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        report(step, lambda at=step: seller(at))
    return seller()


class _Critic:
    """The values of IQL: of actions, the smaller of two; and of states, an expectile of these over logged actions."""

    def __init__(self, market: Market, config: BaselineConfig, seed: int) -> None:
        self._config, generator = config, torch.Generator().manual_seed(seed)
        size, models = observation_size(market), market.catalogue.size

        def value(inputs: int) -> nn.Sequential:
            return perceptron([inputs, *config.hidden, 1], "relu", 1.0, generator)

        self._state = value(size)
        self._action, self._target = ([value(size + models) for _ in range(2)] for _ in range(2))
        for followed, follower in zip(self._action, self._target, strict=True):
            follower.load_state_dict(followed.state_dict())
        trained = [self._state, *self._action]
        parameters = [it for module in trained for it in module.parameters()]
        self._optimiser = torch.optim.Adam(parameters, lr=config.learning_rate)

    def learn(self, batch: _Steps) -> torch.Tensor:
        """Take a gradient step; return the weight (R, 1) of every logged action."""
        config, taken = self._config, torch.cat([batch.seen, batch.actions], dim=1)
        with torch.no_grad():
            of_action = torch.minimum(*(it(taken) for it in self._target))
            target = batch.rewards + config.gamma * batch.goes_on * self._state(batch.later)
        state = self._state(batch.seen)
        above = of_action - state
        loss = (torch.where(above > 0.0, config.expectile, 1.0 - config.expectile) * above.square()).mean()
        loss = loss + sum((it(taken) - target).square().mean() for it in self._action)
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        with torch.no_grad():
            for followed, follower in zip(self._action, self._target, strict=True):
                for new, old in zip(followed.parameters(), follower.parameters(), strict=True):
                    old.lerp_(new, TARGET_RATE)
        return (config.advantage_weight * above.detach()).exp().clamp(max=LARGEST_WEIGHT)
