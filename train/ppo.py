"""PPO from scratch in one file: a network maps observations to prices, without plan, teacher or search.

Proximal policy optimisation (Schulman et al., 2017) with generalised advantages (Schulman et al., 2016), on the native
vector environment. In every update each lane sells one whole day, and the policy learns from these days. Two choices
make it fast on this market:

- **Copies of a day.** Several lanes sell the same day, each with its own exploration. Subtracting the copies' mean from
  their advantages, hour by hour, removes what the day brought; what remains is due to prices. Any simulator that can be
  seeded allows this (common random numbers; Glasserman, 2003, section 7.1).
- **The first prices.** The policy starts at one price for all models instead of the middle of the range.

Beside rivals a third one matters: the policy may withdraw for an hour (`lmaas_train.exploration`).

A policy may see no more of the customers than their mean (``encoder: mean``), which is enough where there are many.
Or every customer is seen by the same network, whose answers are averaged (``set``; Zaheer et al., 2017), also with
attention between customers (``attention``; Vaswani et al., 2017). A policy that does not tell customers apart prices
for any number of them. Where the seller has to learn who its customers are, it needs a memory: the last observations
(``stack``) or a gated recurrent unit (``gru``; Cho et al., 2014), trained on whole episodes from many regions.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import torch
from lmaas_agents.adaptive.plan_library import load_library
from lmaas_agents.energy import SHARES
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_agents.learned.spec import PolicySpec
from lmaas_train.exploration import Exploration
from lmaas_train.networks import Network, act, inputs_of, last_layer, network, stored_weights
from lmaas_train.ppo_config import PPOConfig
from lmaas_train.runs import command_line, versions
from torch import nn

from lmaas_env.market import Market
from lmaas_env.seeds import training_seeds
from lmaas_env.spaces import CLIP, Float32Array, action_from_prices, observation_size, prices_from_action
from lmaas_env.vector_env import LMaaSVectorEnv


class PPO:
    """A policy in training.

    Parameters
    ----------
    market : Market
    config : PPOConfig
    seed : int
        Training seed, 1 to 499: of the first weights, of exploration, and of the days, which are no other seed's.

    Attributes
    ----------
    steps : int
        Periods sold so far, in all lanes together.
    steps_per_update : int

    Raises
    ------
    ValueError
        If the settings do not fit the market, or the seed is out of range.
    """

    def __init__(self, market: Market, config: PPOConfig, seed: int) -> None:
        config.check(market)
        days = training_seeds(seed, config.lanes // config.copies)
        self.market, self.config, self.seed = market, config, seed
        self.steps, self.steps_per_update = 0, config.lanes * market.scenario.periods
        rival = _Mirror(self) if config.rival == "self" else None
        self.env = LMaaSVectorEnv(config.lanes, market=market, rival=rival)
        self.env.reset(seed=np.repeat(days, config.copies).tolist())  # every update resets again, to the days after
        self._rng = np.random.default_rng(seed)
        self._reward_scale = 0.0  # set by the first update
        generator = torch.Generator().manual_seed(seed)
        models = market.catalogue.size
        self._exploration = explores(config, models)
        self.actor = network(market, config, self._exploration.outputs, 0.01, generator)
        self.critic = network(market, config, 1, 1.0, generator)
        self._plan = planned_actions(market, config)
        if self._plan is None:
            first = action_from_prices(market, np.full(models, config.first_price))
            last_layer(self.actor).bias.data[:models] = torch.from_numpy(first)
        self._exploration.start(last_layer(self.actor).bias.data)
        self.std = config.first_std
        self._generator = generator
        self._optimiser = torch.optim.Adam(self._parameters(), lr=config.learning_rate, eps=1e-5, fused=True)

    def update(self, done: float) -> dict[str, float]:
        """Sell one day in every lane and learn from it.

        Parameters
        ----------
        done : float
            Share of the training that is over, on which the learning rate and exploration depend.

        Returns
        -------
        dict of str to float
            Mean profit of the days in $, under exploration, the standard deviation of actions, and the losses.
        """
        config = self.config
        self.std = config.first_std * (config.last_std / config.first_std) ** done
        for group in self._optimiser.param_groups:
            group["lr"] = config.learning_rate + (config.learning_rate_end - config.learning_rate) * done
        seen, actions, rewards = self._sell()
        if self._reward_scale == 0.0:
            self._reward_scale = max(float(rewards.sum(axis=0).std()), 1e-6)
        with torch.no_grad():
            value = self._by_hour(self.critic(seen)[..., 0].numpy())
            before = self._log_probability(seen, actions)
        advantage = self._advantages(rewards / self._reward_scale, value)
        target, relative = self._rows(advantage + value), self._rows(self._relative(advantage))
        relative = (relative - relative.mean()) / (relative.std() + 1e-8)
        losses = [
            self._learn(seen[rows], actions[rows], before[rows], relative[rows], target[rows])
            for _ in range(config.epochs)
            for rows in torch.randperm(len(seen), generator=self._generator).chunk(config.batches)
        ]
        self.steps += self.steps_per_update
        policy_loss, value_loss = np.mean(losses, axis=0)
        return {
            "day_profit": float(rewards.sum(axis=0).mean()) * self.market.population.size,
            "action_std": self.std,
            "policy_loss": float(policy_loss),
            "value_loss": float(value_loss),
        }

    def _sell(self) -> tuple[torch.Tensor, torch.Tensor, Float32Array]:
        """Sell one day in every lane; return observations and actions as rows (`_rows`), and rewards (H, K)."""
        periods, lanes = self.market.scenario.periods, self.config.lanes
        seen = np.empty((periods, lanes, inputs_of(self.market, self.config)), dtype=np.float32)
        actions = np.empty((periods, lanes, self._exploration.outputs), dtype=np.float32)
        rewards = np.empty((periods, lanes), dtype=np.float32)
        observation, _ = self.env.reset()
        memory: torch.Tensor | None = None
        for hour in range(periods):
            seen[hour], actions[hour], posted, memory = self.explore(observation, memory)
            if self._plan is not None:
                posted = self._plan[hour] + posted
            observation, rewards[hour], _, _, _ = self.env.step(posted)
        return self._rows(seen), self._rows(actions), rewards

    def explore(
        self, observation: Float32Array, memory: torch.Tensor | None
    ) -> tuple[Float32Array, Float32Array, Float32Array, torch.Tensor | None]:
        """Return what the actor sees (K, D), what is drawn for it, the actions to post (K, M), and its memory."""
        seen, outputs, memory = act(self.actor, self.config, observation, memory)
        drawn = self._exploration.draw(outputs, self.std, self._rng)
        return seen, drawn, self._exploration.posted(drawn), memory

    def _rows(self, values: Float32Array) -> torch.Tensor:
        """Return values (H, K, ...) as rows that batches are drawn from: steps, or lanes (K, H, ...) with a GRU."""
        if self.config.memory == "gru":
            return torch.from_numpy(np.ascontiguousarray(values.swapaxes(0, 1)))
        return torch.from_numpy(values.reshape(-1, *values.shape[2:]))

    def _by_hour(self, rows: Float32Array) -> Float32Array:
        """Return one number of each step, as `_rows` has them, as (H, K)."""
        return rows.T if self.config.memory == "gru" else rows.reshape(-1, self.config.lanes)

    def _advantages(self, rewards: Float32Array, value: Float32Array) -> Float32Array:
        """Return generalised advantages (H, K); after a day's last hour there is nothing to earn."""
        config, advantage = self.config, np.zeros_like(value)
        ahead, later = np.zeros_like(value[0]), np.zeros_like(value[0])
        for hour in reversed(range(len(rewards))):
            later = rewards[hour] + config.gamma * ahead - value[hour] + config.gamma * config.gae_lambda * later
            advantage[hour], ahead = later, value[hour]
        return advantage

    def _relative(self, advantage: Float32Array) -> Float32Array:
        """Return advantages (H, K) relative to the mean of the copies of a day."""
        if self.config.copies == 1:
            return advantage
        by_day = advantage.reshape(len(advantage), -1, self.config.copies)
        return (by_day - by_day.mean(axis=2, keepdims=True)).reshape(advantage.shape)

    def _learn(
        self,
        seen: torch.Tensor,
        actions: torch.Tensor,
        before: torch.Tensor,
        advantage: torch.Tensor,
        target: torch.Tensor,
    ) -> tuple[float, float]:
        """Take one step of Adam; return the losses of policy and value."""
        clip = self.config.clip_range
        ratio = (self._log_probability(seen, actions) - before).exp()
        policy_loss = -torch.min(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage).mean()
        value_loss = 0.5 * (self.critic(seen)[..., 0] - target).square().mean()
        self._optimiser.zero_grad()
        (policy_loss + 0.5 * value_loss).backward()
        nn.utils.clip_grad_norm_(self._parameters(), self.config.max_grad_norm)
        self._optimiser.step()
        return float(policy_loss.detach()), float(value_loss.detach())

    def _log_probability(self, seen: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of the probability density of actions, up to a constant."""
        return self._exploration.log_probability(actions, self.actor(seen), self.std)

    @property
    def _rngs(self) -> list[np.random.Generator]:
        return [self._rng, *self.env.rngs]

    def _parameters(self) -> list[nn.Parameter]:
        return [*self.actor.parameters(), *self.critic.parameters()]

    def seller(self, population_seed: int, scores: dict[str, Any]) -> LearnedSeller:
        """Return the policy as it is now, as a seller that needs no torch."""
        return as_seller(
            self.actor, self.market, self.config, "PPO", self.steps, self.seed, scores, population_seed, self.std
        )

    def snapshot(self) -> dict[str, Any]:
        """Return all that it takes to go on, between two updates, as tensors and texts; see `restore`."""
        return {
            "actor": self.actor.state_dict(),
            "critic": self.critic.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "steps": self.steps,
            "std": self.std,
            "reward_scale": self._reward_scale,
            "torch": self._generator.get_state(),
            "numpy": json.dumps([rng.bit_generator.state for rng in self._rngs]),  # integers of 128 bits
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go on from a snapshot of a policy with the same market, settings and seed."""
        self.actor.load_state_dict(snapshot["actor"])
        self.critic.load_state_dict(snapshot["critic"])
        self._optimiser.load_state_dict(snapshot["optimiser"])
        self.steps, self._reward_scale, self.std = snapshot["steps"], snapshot["reward_scale"], snapshot["std"]
        self._generator.set_state(snapshot["torch"])
        for rng, state in zip(self._rngs, json.loads(snapshot["numpy"]), strict=True):
            rng.bit_generator.state = state


class _Mirror:
    """The policy in training at the sites of the other sellers, where it explores as well: self-play."""

    takes_batches = True

    def __init__(self, learner: PPO) -> None:
        self._learner = learner

    def predict(
        self, observation: Float32Array, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Float32Array, Any]:
        """Return (action, state) for a batch (K, D); all lanes start their day together."""
        _, _, posted, memory = self._learner.explore(observation, state)
        return posted, memory


def explores(config: PPOConfig, models: int) -> Exploration:
    """Return how a policy explores with some settings."""
    return Exploration(models, config.withdraw)


def planned_actions(market: Market, config: PPOConfig) -> Float32Array | None:
    """Return the actions (H, M) that a residual policy moves, None without a plan; a plan may take minutes to make."""
    if config.plan == "none":
        return None
    plan = load_library(market.scenario).plans[0]
    return action_from_prices(market, plan[np.arange(market.scenario.periods) % len(plan)])


def as_seller(
    actor: Network,
    market: Market,
    config: PPOConfig,
    algorithm: str,
    steps: int,
    seed: int,
    scores: dict[str, Any],
    population_seed: int = 0,
    std: float = 1.0,
) -> LearnedSeller:
    """Return a network with the memory and activation of some settings as a seller that needs no torch."""
    size, models = observation_size(market), market.catalogue.size
    arrays = stored_weights(actor)
    explores(config, models).store(arrays)
    arrays |= {"log_std": np.full(models, np.log(std))}
    if config.encoder == "none":
        arrays |= {"observation_mean": np.zeros(size), "observation_variance": np.ones(size)}
    plan, scale = planned_actions(market, config), 0.0
    if plan is not None:  # an output of 1 moves a price as an action of 1 does
        scenario = market.scenario
        scale = 0.5 * math.log(scenario.price_cap / scenario.price_floor)
        arrays |= {"plan.prices": prices_from_action(market, plan)}
        arrays |= {"plan.energy_value": np.zeros((scenario.periods + 1, 1, SHARES.size))}
    spec = PolicySpec(
        scenario=market.scenario.to_dict(),
        population_seed=population_seed,
        observation_size=size,
        action_size=models,
        activation=config.activation,
        observation_clip=CLIP,
        policy=next((it for it in (config.encoder, config.memory) if it != "none"), "flat"),
        residual_scale=scale,
        snap_radius=0.0,
        searches=0,
        algorithm=algorithm,
        steps=steps,
        training_seed=seed,
        command=command_line(),
        versions=versions(),
        scores=scores,
    )
    return LearnedSeller(arrays, spec)
