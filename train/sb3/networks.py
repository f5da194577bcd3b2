"""The torch form of a policy over customers, of which `lmaas_agents.learned.policy` is the NumPy form."""

from __future__ import annotations

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn


class CustomerSet(BaseFeaturesExtractor):
    """One network for every customer, its answers averaged: the same weights serve any number, in any order.

    Parameters
    ----------
    space : Box
        Of flat observations: the customers' numbers (N * F), then the hour's (C).
    customer, clock : int
        F and C.
    width : int
        Of what is made of a customer.
    activation : nn.Module class
    """

    def __init__(self, space: spaces.Box, customer: int, clock: int, width: int, activation: type[nn.Module]) -> None:
        super().__init__(space, width + clock)
        self.sizes = customer, clock
        self.customer, self.clock = nn.Linear(customer, width), nn.Linear(clock, width, bias=False)
        self.encoder, self.activation = nn.Linear(width, width), activation()

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return (K, width + C)."""
        customer, clock = self.sizes
        hour = observations[:, -clock:]
        customers = observations[:, :-clock].reshape(len(observations), -1, customer)
        hidden = self.activation(self.customer(customers) + self.clock(hour)[:, None])
        return torch.cat([self.activation(self.encoder(hidden)).mean(dim=1), hour], dim=1)
