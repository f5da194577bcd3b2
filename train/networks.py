"""Networks of observations: a perceptron, alone or after an encoder of customers or a recurrent unit."""

from __future__ import annotations

import itertools
import math
from typing import TypeAlias

import numpy as np
import torch
from lmaas_agents.learned.encoders import HEADS
from lmaas_train.ppo_config import PPOConfig
from torch import nn

from lmaas_env.market import Market
from lmaas_env.spaces import Float32Array, customer_columns, observation_size

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


class CustomerSet(nn.Module):
    """One network for every customer, its answers averaged: the same weights serve any number, in any order.

    Parameters
    ----------
    customer, clock : int
        Numbers F of a customer, and C of the hour.
    width : int
        E of what is made of a customer.
    activation : nn.Module class
    known : int
        Customers that have biases of their own, as they stay; 0: none.
    attention : bool
        Whether customers see each other before the mean is taken.
    """

    def __init__(
        self,
        customer: int,
        clock: int,
        width: int,
        activation: type[nn.Module],
        known: int = 0,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.customer, self.clock = nn.Linear(customer, width), nn.Linear(clock, width, bias=False)
        if known:
            self.customer.bias = nn.Parameter(self.customer.bias.detach().repeat(known, 1))
        self.attention = nn.Linear(width, 3 * width, bias=False) if attention else None
        self.attended = nn.Linear(width, width, bias=False) if attention else None
        self.encoder, self.activation = nn.Linear(width, width), activation()

    def forward(self, customers: torch.Tensor, hour: torch.Tensor) -> torch.Tensor:
        """Return (K, E + C) of customers (K, N, F) and the hour (K, C)."""
        seen = customers @ self.customer.weight.T + self.customer.bias
        hidden = self.activation(seen + self.clock(hour)[:, None])
        if self.attention is not None and self.attended is not None:
            lanes, count, width = hidden.shape
            heads = self.attention(hidden).reshape(lanes, count, 3, HEADS, width // HEADS)
            query, key, value = heads.permute(2, 0, 3, 1, 4)
            shares = (query @ key.transpose(-1, -2) / math.sqrt(width // HEADS)).softmax(dim=-1)
            hidden = hidden + self.attended((shares @ value).transpose(1, 2).reshape(hidden.shape))
        return torch.cat([self.activation(self.encoder(hidden)).mean(dim=1), hour], dim=1)


class CustomerMean(nn.Module):
    """The mean over customers of what an observation shows of each, and the hour: nothing to be learned."""

    def forward(self, customers: torch.Tensor, hour: torch.Tensor) -> torch.Tensor:
        """Return (K, F + C) of customers (K, N, F) and the hour (K, C)."""
        return torch.cat([customers.mean(dim=1), hour], dim=1)


class SetNetwork(nn.Module):
    """A perceptron after a `CustomerMean`, or after a `CustomerSet` as wide as the first hidden layer."""

    def __init__(
        self, market: Market, config: PPOConfig, outputs: int, gain: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        columns = customer_columns(market.scenario, observation_size(market))
        customers, hour = self._columns = torch.from_numpy(columns[0]), torch.from_numpy(columns[1])
        if config.encoder == "mean":
            self.encoder, width = CustomerMean(), customers.shape[1]
        else:
            known = len(customers) if market.scenario.resample_population == "never" else 0
            width, activation = config.hidden[0], ACTIVATIONS[config.activation]
            attention = config.encoder == "attention"
            self.encoder = CustomerSet(customers.shape[1], len(hour), width, activation, known, attention)
        for name, weights in self.encoder.named_parameters():
            if name.endswith("weight"):
                nn.init.orthogonal_(weights, math.sqrt(2.0), generator=generator)
            else:
                nn.init.zeros_(weights)
        self.head = perceptron([width + len(hour), *config.hidden, outputs], config.activation, gain, generator)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return outputs (..., O) of observations (..., D)."""
        rows, (customers, hour) = seen.reshape(-1, seen.shape[-1]), self._columns
        outputs = self.head(self.encoder(rows[:, customers], rows[:, hour]))
        return outputs.reshape(*seen.shape[:-1], -1)


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
        self.head = perceptron([width, *rest, outputs], config.activation, gain, generator)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return outputs (K, H, O) of whole days (K, H, D)."""
        return self.head(self.gru(seen)[0])

    def step(self, seen: torch.Tensor, hidden: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return outputs (K, O) for one hour's observations (K, D), and the state for the next hour."""
        outputs, after = self.gru(seen[:, None], hidden)
        return self.head(outputs[:, 0]), after


Network: TypeAlias = nn.Sequential | Recurrent | SetNetwork


def inputs_of(market: Market, config: PPOConfig) -> int:
    """Return how many numbers a network sees at a time."""
    return observation_size(market) * (config.stack if config.memory == "stack" else 1)


def act(
    actor: Network, config: PPOConfig, observation: Float32Array, memory: torch.Tensor | None
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


def network(market: Market, config: PPOConfig, outputs: int, gain: float, generator: torch.Generator) -> Network:
    """Return a network of a market's observations, with the encoder or memory that the settings name."""
    inputs = inputs_of(market, config)
    if config.encoder != "none":
        return SetNetwork(market, config, outputs, gain, generator)
    if config.memory == "gru":
        return Recurrent(inputs, config, outputs, gain, generator)
    return perceptron([inputs, *config.hidden, outputs], config.activation, gain, generator)


def perceptron(widths: list[int], activation: str, gain: float, generator: torch.Generator) -> nn.Sequential:
    """Return a perceptron with orthogonal weights (gain sqrt 2, ``gain`` in the last layer) and biases of zero."""
    modules: list[nn.Module] = []
    for i, (before, after) in enumerate(itertools.pairwise(widths)):
        layer = nn.Linear(before, after)
        nn.init.orthogonal_(layer.weight, gain if i == len(widths) - 2 else np.sqrt(2.0), generator=generator)
        nn.init.zeros_(layer.bias)
        modules += [layer, ACTIVATIONS[activation]()]
    return nn.Sequential(*modules[:-1])


def last_layer(network: Network) -> nn.Linear:
    """Return the layer that makes a network's outputs."""
    layer = _head(network)[-1]
    assert isinstance(layer, nn.Linear)
    return layer


def stored_weights(network: Network) -> dict[str, Float32Array]:
    """Return a network's weights under the names that `lmaas_agents.learned.policy.LearnedSeller` takes."""
    weights: dict[str, torch.Tensor] = {}
    for i, layer in enumerate(module for module in _head(network) if isinstance(module, nn.Linear)):
        weights |= {f"layer{i}.weight": layer.weight, f"layer{i}.bias": layer.bias}
    if isinstance(network, Recurrent):
        names = {"input.weight": "weight_ih", "input.bias": "bias_ih"}
        names |= {"hidden.weight": "weight_hh", "hidden.bias": "bias_hh"}
        weights |= {f"gru.{name}": getattr(network.gru, f"{stored}_l0") for name, stored in names.items()}
    elif isinstance(network, SetNetwork):
        weights |= dict(network.encoder.named_parameters())
    return {name: tensor.detach().numpy().copy() for name, tensor in weights.items()}


def _head(network: Network) -> nn.Sequential:
    return network if isinstance(network, nn.Sequential) else network.head
