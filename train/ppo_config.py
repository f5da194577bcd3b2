"""Hyper-parameters of PPO from scratch (`lmaas_train.ppo`)."""

from __future__ import annotations

import dataclasses

from lmaas_agents.learned.encoders import HEADS
from lmaas_agents.learned.spec import ACTIVATIONS, CUSTOMER_ENCODERS

from lmaas_env.fields import checked, number, option
from lmaas_env.market import Market

ENCODERS = ("none", *CUSTOMER_ENCODERS)


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
    encoder: str = option("none", ENCODERS, "of customers: their mean, or each encoded, also with attention")
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
        if self.encoder != "none" and self.memory != "none":
            raise ValueError(f"encoder = {self.encoder!r} needs memory = 'none'")
        if self.encoder == "attention" and self.hidden[0] % HEADS:
            raise ValueError(f"hidden = {list(self.hidden)} must start with a multiple of {HEADS} for attention")
        if self.lanes % self.copies:
            raise ValueError(f"copies = {self.copies} must divide lanes = {self.lanes}")

    def check(self, market: Market) -> None:
        """Raise a ValueError if the settings do not fit a market; the message names the setting."""
        steps, scenario = self.lanes * market.scenario.periods, market.scenario
        if self.rival == "self" and scenario.sellers == 1:
            raise ValueError(f"rival = 'self' needs several sellers, scenario {scenario.name!r} has sellers = 1")
        if self.encoder != "none" and scenario.observation == "public":
            raise ValueError(f"encoder = {self.encoder!r} needs observation = 'full', which shows the customers")
        if steps % self.batches:
            raise ValueError(f"batches = {self.batches} must divide the {steps} steps of an update")
        if self.memory == "gru" and self.lanes % self.batches:
            raise ValueError(f"batches = {self.batches} must divide lanes = {self.lanes}, as memory = 'gru' keeps days")
        if not scenario.price_floor <= self.first_price <= scenario.price_cap:
            raise ValueError(
                f"first_price = {self.first_price:g} $/h must be in [{scenario.price_floor:g}, "
                f"{scenario.price_cap:g}], the market's price floor and cap"
            )
