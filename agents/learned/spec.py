"""What a policy file says about its weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lmaas_env.fields import close_match
from lmaas_env.scenario import Scenario
from lmaas_env.types import FloatArray

POLICIES = ("flat", "mean", "set", "attention", "stack", "gru")
CUSTOMER_ENCODERS = ("mean", "set", "attention")
MEMORIES = ("stack", "gru")
LARGEST_SCALE = 10.0
LARGEST_SEARCHES = 1024
ACTIVATIONS: dict[str, Callable[[FloatArray], FloatArray]] = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0.0)}


@dataclasses.dataclass(frozen=True)
class PolicySpec:
    """What ``policy.json`` says about the weights.

    Attributes
    ----------
    scenario : the scenario it was trained on, every number
    population_seed : which customers
    observation_size, action_size : lengths D and M of what it sees and does
    activation : ``tanh`` or ``relu``, after every layer but the last
    observation_clip : normalised observations are clipped to plus or minus this
    policy : ``flat`` (a perceptron of the observation), ``mean`` (of the mean over customers), ``set`` (customer by
        customer), ``attention`` (the same, where customers see each other), ``stack`` (of the last observations) or
        ``gru`` (of the state of a gated recurrent unit)
    residual_scale, snap_radius, searches : of residual pricing, a scale of 0 where the policy prices without a plan
        (`lmaas_agents.learned.residual.Residual`)
    algorithm, steps, training_seed : how it was trained
    command, versions : how to train it again
    scores : what it earned, where and when that was measured
    """

    scenario: dict[str, Any]
    population_seed: int
    observation_size: int
    action_size: int
    activation: str
    observation_clip: float
    policy: str
    residual_scale: float
    snap_radius: float
    searches: int
    algorithm: str
    steps: int
    training_seed: int
    command: str
    versions: dict[str, str]
    scores: dict[str, Any]

    def __post_init__(self) -> None:
        kinds = {"int": int, "float": float, "str": str, "dict[str, Any]": dict, "dict[str, str]": dict}
        for field in dataclasses.fields(self):
            value, kind = getattr(self, field.name), kinds[str(field.type)]
            whole_as_float = kind is float and isinstance(value, int)
            if isinstance(value, bool) or not (isinstance(value, kind) or whole_as_float):
                raise ValueError(f"{field.name} = {value!r} must be of type {kind.__name__}")
        for name in ("observation_size", "action_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)} must be at least 1")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation = {self.activation!r} must be one of {', '.join(ACTIVATIONS)}")
        if self.policy not in POLICIES:
            raise ValueError(f"policy = {self.policy!r} must be one of {', '.join(POLICIES)}")
        for name in ("residual_scale", "snap_radius"):
            if not 0.0 <= getattr(self, name) <= LARGEST_SCALE:
                raise ValueError(f"{name} = {getattr(self, name)} must be in [0, {LARGEST_SCALE:g}]")
        if not 0 <= self.searches <= LARGEST_SEARCHES:
            raise ValueError(f"searches = {self.searches} must be in 0..{LARGEST_SEARCHES}")
        try:
            Scenario.from_dict(self.scenario)
        except ValueError as error:
            raise ValueError(f"scenario: {error}") from error
        if not (math.isfinite(self.observation_clip) and self.observation_clip > 0.0):
            raise ValueError(f"observation_clip = {self.observation_clip} must be finite and positive")

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> PolicySpec:
        """Build from a mapping with exactly the attributes as keys."""
        known = [field.name for field in dataclasses.fields(cls)]
        for key in content:
            if key not in known:
                raise ValueError(f"key {key!r} is unknown{close_match(key, known)}")
        for key in known:
            if key not in content:
                raise ValueError(f"key {key!r} is missing")
        return cls(**content)
