"""A recurrent policy that learns in context: it imitates, for customers it does not know, the plan made for them.

The teacher knows the customers: it posts the plan of the library (`lmaas_agents.adaptive.plan_library`) that earns most
from them. The policy sees public observations only, so that the best it can do is the mean of the plans that fit what
it has seen: its memory comes to hold a belief about the region, without one being computed. Every round sells one
episode to each hypothesis, with the policy's own prices and some noise (dataset aggregation, Ross et al., 2011), and
learns the teacher's prices for the hours that came about.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import torch
from lmaas_agents.adaptive.plan_library import SEED, hypotheses, load_library
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_train.networks import act, inputs_of, network
from lmaas_train.ppo import as_seller
from lmaas_train.ppo_config import PPOConfig
from torch import nn

from lmaas_env.episode import Episode
from lmaas_env.fields import checked, number, option
from lmaas_env.lanes import Lanes
from lmaas_env.market import Market
from lmaas_env.seeds import training_seeds
from lmaas_env.spaces import Float32Array, action_from_prices

LEAST_WEIGHT = 0.02  # of a hypothesis that earns little, relative to the mean


@dataclasses.dataclass(frozen=True)
class InContextConfig:
    """Settings, checked on construction.

    Raises
    ------
    ValueError
        If a value is of another type or outside its range; the message names it.
    """

    rounds: int = number(60, "", 1, 100_000, "of selling one episode to every hypothesis and learning from it")
    guided_rounds: int = number(10, "", 0, 100_000, "in which the teacher's prices are posted, in ever fewer lanes")
    noise: float = number(0.2, "", 0.0, 2.0, "largest standard deviation of an action's noise; each lane has its own")
    epochs: int = number(2, "", 1, 1000, "passes over a round's episodes")
    batch: int = number(64, "", 1, 1024, "episodes in a batch")
    learning_rate: float = number(2e-3, "", 1e-8, 1.0, "of Adam, at the start")
    learning_rate_end: float = number(1e-4, "", 1e-8, 1.0, "and at the end; between the two it falls linearly")
    hidden: tuple[int, ...] = number((64, 64), "", 1, 8192, "width of the recurrent unit, then of hidden layers")
    memory: str = option("gru", ("none", "stack", "gru"), "of the policy; `none` and `stack` for comparison")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, checked(field, getattr(self, field.name)))


class InContext:
    """A recurrent policy in training.

    Parameters
    ----------
    market : Market
        Customers differ between episodes and are hidden, and stay during an episode (scenario ``unknown``).
    config : InContextConfig
    seed : int
        Training seed, 1 to 498: of weights, noise and the draws of episodes. The hypotheses are those of seed 499.

    Attributes
    ----------
    steps : int
        Hours sold so far, in all lanes together.
    rounds : int
        Done so far.

    Raises
    ------
    ValueError
        If customers are seen, do not differ or change during an episode, or the seed is that of the hypotheses.
    """

    def __init__(self, market: Market, config: InContextConfig, seed: int) -> None:
        scenario = market.scenario
        if not scenario.hides_customers or scenario.drifts:
            raise ValueError(
                f"scenario {scenario.name!r}: customers must be hidden, differ between episodes and stay during one"
            )
        self.market, self.config, self.seed, self.steps = market, config, seed, 0
        if seed == SEED:
            raise ValueError(f"seed = {seed} must be in [1, {SEED - 1}]: {SEED} draws the customers that may be")
        library, drawn = load_library(scenario), hypotheses(market)
        self._possible, self.lanes = drawn.market, len(drawn.region)
        self._seeds = training_seeds(seed, config.rounds * self.lanes)
        best, models = library.payoff.argmax(axis=1), market.catalogue.size
        plans = action_from_prices(market, library.plans[best].reshape(-1, models)).reshape(self.lanes, -1, models)
        hours = np.arange(scenario.periods) % plans.shape[1]
        self._teacher = plans[:, hours]  # (J, H, M)
        earned = library.payoff.max(axis=1)
        weight = np.maximum(earned / earned.mean(), LEAST_WEIGHT).astype(np.float32)
        self._weight = torch.from_numpy(weight / weight.mean())
        self._ppo = PPOConfig(memory=config.memory, hidden=config.hidden)
        self._generator = torch.Generator().manual_seed(seed)
        self.actor = network(market, self._ppo, models, 0.01, self._generator)
        self._optimiser = torch.optim.Adam(self.actor.parameters(), lr=config.learning_rate)
        self._rng, self.rounds = np.random.default_rng(seed), 0

    def round(self) -> float:
        """Sell one episode to every hypothesis and learn from it; return the mean squared error of actions."""
        config, done = self.config, self.rounds / self.config.rounds
        for group in self._optimiser.param_groups:
            group["lr"] = config.learning_rate + (config.learning_rate_end - config.learning_rate) * done
        seen, teacher = torch.from_numpy(self._sell()), torch.from_numpy(self._teacher)
        errors: list[float] = []
        for _ in range(config.epochs):
            for rows in torch.randperm(self.lanes, generator=self._generator).split(config.batch):
                error = (self.actor(seen[rows]) - teacher[rows]).square().mean(dim=(1, 2))
                loss = (error * self._weight[rows]).mean()
                self._optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.actor.parameters(), 1.0)
                self._optimiser.step()
                errors.append(float(error.mean().detach()))
        self.rounds += 1
        self.steps += seen.shape[0] * seen.shape[1]
        return float(np.mean(errors))

    def _sell(self) -> Float32Array:
        """Sell one episode to every hypothesis; return what was seen, (J, H, D)."""
        market, lanes, periods = self._possible, self.lanes, self.market.scenario.periods
        days = self._seeds[self.rounds * lanes : (self.rounds + 1) * lanes]
        drawn = market.days([np.random.default_rng(seed) for seed in days])  # of the customers that the market has
        episodes = Lanes(market, lanes)
        episodes.start(Episode(market, *drawn, np.empty((lanes, 0)), None))
        observation = episodes.observe()
        seen = np.empty((lanes, periods, inputs_of(market, self._ppo)), dtype=np.float32)
        is_guided = self._rng.random(lanes) < 1.0 - self.rounds / max(self.config.guided_rounds, 1)
        std = self.config.noise * self._rng.random((lanes, 1))
        memory: torch.Tensor | None = None
        for hour in range(periods):
            seen[:, hour], outputs, memory = act(self.actor, self._ppo, observation, memory)
            own = np.where(is_guided[:, None], self._teacher[:, hour], outputs)
            actions = np.clip(own + std * self._rng.standard_normal(own.shape), -1.0, 1.0)
            observation = episodes.step(actions).observation
        return seen

    def snapshot(self) -> dict[str, Any]:
        """Return all that it takes to go on, between two rounds, as tensors and texts; see `restore`."""
        return {
            "actor": self.actor.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "steps": self.steps,
            "round": self.rounds,
            "torch": self._generator.get_state(),
            "numpy": json.dumps(self._rng.bit_generator.state),  # integers of 128 bits
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go on from a snapshot of a policy with the same market, settings and seed."""
        self.actor.load_state_dict(snapshot["actor"])
        self._optimiser.load_state_dict(snapshot["optimiser"])
        self.steps, self.rounds = snapshot["steps"], snapshot["round"]
        self._generator.set_state(snapshot["torch"])
        self._rng.bit_generator.state = json.loads(snapshot["numpy"])

    def seller(self, scores: dict[str, Any]) -> LearnedSeller:
        """Return the policy as it is now, as a seller that needs no torch."""
        return as_seller(self.actor, self.market, self._ppo, "in-context imitation", self.steps, self.seed, scores)
