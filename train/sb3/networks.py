"""The SB3 form of a policy over customers (`lmaas_train.networks.CustomerSet`)."""

from __future__ import annotations

import torch
from gymnasium import spaces
from lmaas_train.networks import CustomerSet
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn


class CustomerFeatures(BaseFeaturesExtractor):
    """What a `CustomerSet` makes of flat observations.

    Parameters
    ----------
    space : Box
        Of flat observations: the customers' numbers (N * F), then the hour's (C).
    customer, clock, width, activation
        As `CustomerSet` takes them.
    """

    def __init__(self, space: spaces.Box, customer: int, clock: int, width: int, activation: type[nn.Module]) -> None:
        super().__init__(space, width + clock)
        self.sizes = customer, clock
        self.encoder = CustomerSet(customer, clock, width, activation)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return (K, width + C)."""
        customer, clock = self.sizes
        customers = observations[:, :-clock].reshape(len(observations), -1, customer)
        return self.encoder(customers, observations[:, -clock:])
