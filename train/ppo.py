"""PPO from scratch in one file: a perceptron maps observations to prices, without plan, teacher or search.

Proximal policy optimisation (Schulman et al., 2017) with generalised advantages (Schulman et al., 2016), on the native
vector environment. In every update each lane sells one whole day, and the policy learns from these days. Two choices
make it fast on this market:

- **Copies of a day.** Several lanes sell the same day, each with its own exploration. Subtracting the copies' mean from
  their advantages, hour by hour, removes what the day brought; what remains is due to prices. Any simulator that can be
  seeded allows this (common random numbers; Glasserman, 2003, section 7.1).
- **The first prices.** The policy starts at one price for all models instead of the middle of the range.

Beside rivals a third one matters: the policy may withdraw for an hour (`lmaas_train.exploration`).

Where the seller has to learn who its customers are, it needs a memory: the last observations (``stack``) or a gated
recurrent unit (``gru``; Cho et al., 2014), trained on whole episodes from many regions.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from typing import Any

import numpy as np
import torch
from lmaas_agents.adaptive.plan_library import load_library
from lmaas_agents.energy import SHARES
from lmaas_agents.learned.policy import LearnedSeller, PolicySpec
from lmaas_train.exploration import Exploration
from lmaas_train.runs import command_line, versions
from torch import nn

from lmaas_env.fields import checked, number, option
from lmaas_env.market import Market
from lmaas_env.seeds import training_seeds
from lmaas_env.spaces import CLIP, Float32Array, action_from_prices, observation_size, prices_from_action
from lmaas_env.vector_env import LMaaSVectorEnv

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


@dataclasses.dataclass(frozen=True)
class PPOConfig:
    """Hyper-parameters, checked on construction.

    Raises
    ------
    ValueError
        If a value is of another type or outside its range; the message names it.
    """

    lanes: int = number(128, "", 1, 65536, "markets that sell a day in every update")
    copies: int = number(8, "", 1, 65536, "lanes that sell the same day; it divides lanes")
    epochs: int = number(2, "", 1, 1000, "passes over an update's steps")
    batches: int = number(8, "", 1, 10_000, "batches of a pass; it divides the steps of an update")
    learning_rate: float = number(2e-3, "", 0.0, 1.0, "of Adam, at the start of training")
    learning_rate_end: float = number(1e-4, "", 0.0, 1.0, "of Adam, at the end; between the two it falls linearly")
    gamma: float = number(1.0, "", 0.0, 1.0, "discount of an hour; a day is finite")
    gae_lambda: float = number(0.9, "", 0.0, 1.0, "of generalised advantages")
    clip_range: float = number(0.2, "", 1e-6, 10.0, "of the ratio of probabilities")
    max_grad_norm: float = number(0.5, "", 1e-6, 1e6, "of the gradient")
    hidden: tuple[int, ...] = number((64, 64), "", 1, 8192, "widths of the hidden layers of actor and critic")
    activation: str = option("relu", tuple(ACTIVATIONS), "of the hidden layers")
    memory: str = option("none", ("none", "stack", "gru"), "of actor and critic")
    stack: int = number(8, "", 1, 1000, "observations that the memory `stack` holds, the last included")
    first_price: float = number(16.0, "$/h", 1e-6, 1e6, "of every model before learning, without a plan")
    plan: str = option("none", ("none", "prior"), "whose prices the policy moves: a residual policy, not from scratch")
    rival: str = option("imp", ("imp", "self"), "who sells beside the policy, where the scenario has several sellers")
    first_std: float = number(0.37, "", 1e-4, 10.0, "standard deviation of an action at the start of training")
    last_std: float = number(0.02, "", 1e-4, 10.0, "and at the end; between the two it falls geometrically")
    withdraw: float = number(0.0, "", 0.0, 0.99, "probability at the start of posting the cap for an hour; 0: never")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, checked(field, getattr(self, field.name)))
        if self.withdraw > 0.0 and (self.activation != "relu" or self.plan != "none"):
            raise ValueError(f"withdraw = {self.withdraw:g} needs activation = 'relu' and plan = 'none'")
        if self.lanes % self.copies:
            raise ValueError(f"copies = {self.copies} must divide lanes = {self.lanes}")

    def check(self, market: Market) -> None:
        """Raise a ValueError if the settings do not fit a market; the message names the setting."""
        steps, scenario = self.lanes * market.scenario.periods, market.scenario
        if self.rival == "self" and scenario.sellers == 1:
            raise ValueError(f"rival = 'self' needs several sellers, scenario {scenario.name!r} has sellers = 1")
        if steps % self.batches:
            raise ValueError(f"batches = {self.batches} must divide the {steps} steps of an update")
        if self.memory == "gru" and self.lanes % self.batches:
            raise ValueError(f"batches = {self.batches} must divide lanes = {self.lanes}, as memory = 'gru' keeps days")
        if not scenario.price_floor <= self.first_price <= scenario.price_cap:
            raise ValueError(
                f"first_price = {self.first_price:g} $/h must be in [{scenario.price_floor:g}, "
                f"{scenario.price_cap:g}], the market's price floor and cap"
            )


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
            _last(self.actor).bias.data[:models] = torch.from_numpy(first)
        self._exploration.start(_last(self.actor).bias.data)
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
            "reward_scale": self._reward_scale,
            "torch": self._generator.get_state(),
            "numpy": json.dumps([rng.bit_generator.state for rng in self._rngs]),  # integers of 128 bits
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go on from a snapshot of a policy with the same market, settings and seed."""
        self.actor.load_state_dict(snapshot["actor"])
        self.critic.load_state_dict(snapshot["critic"])
        self._optimiser.load_state_dict(snapshot["optimiser"])
        self.steps, self._reward_scale = snapshot["steps"], snapshot["reward_scale"]
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
    actor: nn.Sequential | Recurrent,
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
    head = actor.head if isinstance(actor, Recurrent) else actor
    weights: dict[str, torch.Tensor] = {}
    for i, layer in enumerate(module for module in head if isinstance(module, nn.Linear)):
        weights |= {f"layer{i}.weight": layer.weight, f"layer{i}.bias": layer.bias}
    if isinstance(actor, Recurrent):
        names = {"input.weight": "weight_ih", "input.bias": "bias_ih"}
        names |= {"hidden.weight": "weight_hh", "hidden.bias": "bias_hh"}
        weights |= {f"gru.{name}": getattr(actor.gru, f"{stored}_l0") for name, stored in names.items()}
    arrays = {name: tensor.detach().numpy().copy() for name, tensor in weights.items()}
    explores(config, models).store(arrays)
    arrays |= {"log_std": np.full(models, np.log(std))}
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
        policy="flat" if config.memory == "none" else config.memory,
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


class Recurrent(nn.Module):
    """A gated recurrent unit as wide as the first hidden layer, and a perceptron of its state."""

    def __init__(self, inputs: int, config: PPOConfig, outputs: int, gain: float, generator: torch.Generator) -> None:
        super().__init__()
        width, *rest = config.hidden
        self.gru = nn.GRU(inputs, width, batch_first=True)
        for name, weights in self.gru.named_parameters():
            if "weight" in name:
                nn.init.orthogonal_(weights, generator=generator)
            else:
                nn.init.zeros_(weights)
        self.head = _perceptron([width, *rest, outputs], config, gain, generator)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return outputs (K, H, O) of whole days (K, H, D)."""
        return self.head(self.gru(seen)[0])

    def step(self, seen: torch.Tensor, hidden: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return outputs (K, O) for one hour's observations (K, D), and the state for the next hour."""
        outputs, after = self.gru(seen[:, None], hidden)
        return self.head(outputs[:, 0]), after


def inputs_of(market: Market, config: PPOConfig) -> int:
    """Return how many numbers a network sees at a time."""
    return observation_size(market) * (config.stack if config.memory == "stack" else 1)


def act(
    actor: nn.Sequential | Recurrent, config: PPOConfig, observation: Float32Array, memory: torch.Tensor | None
) -> tuple[Float32Array, Float32Array, torch.Tensor | None]:
    """Return what the actor sees (K, D), its outputs (K, O) and its memory, None before an episode's first hour."""
    seen = torch.from_numpy(observation)
    with torch.no_grad():
        if isinstance(actor, Recurrent):
            outputs, memory = actor.step(seen, memory)
        else:
            if config.memory == "stack":
                before = torch.zeros(len(seen), config.stack * seen.shape[1]) if memory is None else memory
                memory = seen = torch.cat([before[:, seen.shape[1] :], seen], dim=1)
            outputs = actor(seen)
    return seen.numpy(), outputs.numpy(), memory


def network(
    market: Market, config: PPOConfig, outputs: int, gain: float, generator: torch.Generator
) -> nn.Sequential | Recurrent:
    """Return a network of a market's observations, with the memory that the settings name."""
    inputs = inputs_of(market, config)
    if config.memory == "gru":
        return Recurrent(inputs, config, outputs, gain, generator)
    return _perceptron([inputs, *config.hidden, outputs], config, gain, generator)


def _perceptron(widths: list[int], config: PPOConfig, gain: float, generator: torch.Generator) -> nn.Sequential:
    """Return a perceptron with orthogonal weights (gain sqrt 2, ``gain`` in the last layer) and biases of zero."""
    modules: list[nn.Module] = []
    for i, (before, after) in enumerate(itertools.pairwise(widths)):
        layer = nn.Linear(before, after)
        nn.init.orthogonal_(layer.weight, gain if i == len(widths) - 2 else np.sqrt(2.0), generator=generator)
        nn.init.zeros_(layer.bias)
        modules += [layer, ACTIVATIONS[config.activation]()]
    return nn.Sequential(*modules[:-1])


def _last(network: nn.Sequential | Recurrent) -> nn.Linear:
    layer = (network.head if isinstance(network, Recurrent) else network)[-1]
    assert isinstance(layer, nn.Linear)
    return layer
