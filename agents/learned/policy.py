"""The seller that acts from a learned policy, without torch."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from lmaas_agents.energy import SHARES
from lmaas_agents.learned.encoders import CustomerEncoder, CustomerMean
from lmaas_agents.learned.memories import GRU, Stack
from lmaas_agents.learned.residual import (
    CLOCK_FEATURES,
    CUSTOMER_FEATURES,
    Residual,
    customer_features,
    residual_prices,
)
from lmaas_agents.learned.spec import ACTIVATIONS, CUSTOMER_ENCODERS, MEMORIES, PolicySpec
from lmaas_agents.learned.weights import Weights, layers_of
from lmaas_agents.planning import Plan, check_plan
from numpy.typing import ArrayLike, NDArray

from lmaas_env.checks import array_in
from lmaas_env.market import Market
from lmaas_env.population import Population
from lmaas_env.scenario import Scenario
from lmaas_env.spaces import (
    Float32Array,
    action_from_prices,
    clipped_observation,
    customer_columns,
    observation_size,
    observed,
)
from lmaas_env.state import State
from lmaas_env.types import FloatArray

SHOWN = ("observation", "resample_population", "sellers", "slots")  # of a scenario: what is shown of a customer


class LearnedSeller:
    """Act as a trained actor does: normalise or encode, a perceptron, then residual pricing or a clip to [-1, 1].

    Parameters
    ----------
    weights : mapping of str to array
        ``layer<i>.weight`` (out, in) and ``layer<i>.bias`` (out,) from the first layer on, and ``log_std`` (M,). Of a
        flat policy, or one with a memory, also ``observation_mean`` and ``observation_variance`` (D,); with a GRU
        ``gru.input.weight`` (3 E, D), ``gru.hidden.weight`` (3 E, E), ``gru.input.bias`` and ``gru.hidden.bias``
        (3 E,), as torch orders them; the first layer of a stack sees as many observations as fit; of a set
        ``customer.weight`` (E, F), ``clock.weight`` (E, C), ``customer.bias`` (E,), or (N, E) where it sees the
        observation of customers that stay, ``encoder.weight`` (E, E) and ``encoder.bias`` (E,), and with attention
        ``attention.weight`` (3 E, E), of queries, keys and values, and ``attended.weight`` (E, E). Of a residual one
        ``plan.prices`` (H, M) and ``plan.energy_value`` (H + 1, N or 1, K).
    spec : PolicySpec
    seed : int
        Of the noise of actions that are not deterministic.

    Raises
    ------
    ValueError
        If an array is missing, unexpected, of a wrong shape or not finite; the message names it.
    """

    takes_batches: ClassVar[bool] = True

    def __init__(self, weights: Mapping[str, NDArray[Any]], spec: PolicySpec, seed: int = 0) -> None:
        self.spec = spec
        self.weights = dict(weights)
        self.scenario = Scenario.from_dict(spec.scenario)
        used = Weights(weights)
        models = spec.action_size
        self._deviation = np.exp(used.array("log_std", (models,)))
        self._encoder: CustomerMean | CustomerEncoder | None = None
        self._memory: Stack | GRU | None = None
        if spec.policy in CUSTOMER_ENCODERS:
            self._encoder = self._encoder_of(used)
            inputs = self._encoder.size
        else:
            inputs = spec.observation_size
            self._mean = used.array("observation_mean", (inputs,))
            variance = used.array("observation_variance", (inputs,))
            if not (variance > 0.0).all():
                raise ValueError("observation_variance must be positive")
            self._scale = np.sqrt(variance)
            if spec.policy in MEMORIES:
                self._memory = (Stack if spec.policy == "stack" else GRU)(used, inputs)
                inputs = self._memory.size
        self._layers = layers_of(used, inputs, models)
        self.residual: Residual | None = None
        if spec.residual_scale > 0.0:
            periods = self.scenario.periods
            plan = Plan(
                used.array("plan.prices", (periods, models)),
                used.array("plan.energy_value", (periods + 1, None, SHARES.size)),
            )
            plan = check_plan(self.scenario, plan)
            self.residual = Residual(plan, spec.residual_scale, spec.snap_radius, spec.searches)
        used.check_all_known()
        self._rng = np.random.default_rng(seed)

    def __repr__(self) -> str:
        spec = self.spec
        return f"LearnedSeller({spec.algorithm}, {self.scenario.name!r}, seed {spec.training_seed}, {spec.steps} steps)"

    def predict(
        self,
        observation: ArrayLike,
        state: Any = None,
        episode_start: ArrayLike | None = None,
        deterministic: bool = True,
    ) -> tuple[Float32Array, Any]:
        """Return (action, state) for one observation (D,) or a batch (K, D)."""
        seen = self._checked(observation)
        batch = np.atleast_2d(seen)
        shown = self._shown(batch)
        inputs, remembered = self._inputs(batch, shown, state, episode_start)
        outputs = self._perceptron(inputs)
        if not deterministic:
            outputs = outputs + self._deviation * self._rng.standard_normal(outputs.shape)
        if self.residual is None or shown is None:
            action = np.clip(outputs, -1.0, 1.0).astype(np.float32)
        else:
            action = action_from_prices(shown[0], residual_prices(shown[0], self.residual, shown[1], outputs))
        return action.reshape(*seen.shape[:-1], -1), state if remembered is None else remembered

    def outputs(self, observation: ArrayLike) -> FloatArray:
        """Return the actor's outputs (K, M) for a batch of observations (K, D), before residual pricing or a clip.

        A policy with a memory takes them for the first of an episode.
        """
        seen = np.atleast_2d(self._checked(observation))
        return self._perceptron(self._inputs(seen, self._shown(seen), None, None)[0])

    def check(self, market: Market) -> None:
        """Raise ValueError unless the policy sees and prices what this market shows and sells."""
        size, models = observation_size(market), market.catalogue.size
        shows_same = all(getattr(market.scenario, name) == getattr(self.scenario, name) for name in SHOWN)
        any_size = self._any_size and shows_same
        if (self.spec.observation_size != size and not any_size) or self.spec.action_size != models:
            raise ValueError(
                f"{self!r} sees {self.spec.observation_size} numbers and prices {self.spec.action_size} models; "
                f"this market (scenario {market.scenario.name!r}, {market.population.size} customers, observation "
                f"{market.scenario.observation!r}) shows {size} and has {models}"
            )

        if self.residual is not None and market.scenario.resample_population == "never":
            for name, ours, theirs in zip(Population._fields, self._market.population, market.population, strict=True):
                if not np.array_equal(ours, theirs):
                    raise ValueError(f"{self!r} knows other customers than this market's: {name} differs")

    @property
    def _any_size(self) -> bool:
        """Whether it prices for any number of customers, as it does not tell them apart."""
        is_same = self.scenario.resample_population == "never"
        return self.spec.policy == "mean" or (self.spec.policy in CUSTOMER_ENCODERS and not is_same)

    @functools.cached_property
    def _market(self) -> Market:
        """The market that it was trained on, whose constants it knows; where customers change, they are observed."""
        return Market(self.scenario, seed=self.spec.population_seed)

    def _checked(self, observation: ArrayLike) -> FloatArray:
        """Return one observation or a batch as float64, or say what is wrong with it."""
        # Of any size, `observed` looks at it.
        return clipped_observation(observation, None if self._any_size else self.spec.observation_size)

    def _shown(self, seen: FloatArray) -> tuple[Market, State] | None:
        """Return the market and the states that a batch of observations shows; None where it prices without a plan."""
        if self.residual is None:
            return None
        return observed(self._market, seen)

    def _inputs(
        self, seen: FloatArray, shown: tuple[Market, State] | None, state: Any, episode_start: ArrayLike | None
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return what the perceptron sees of a batch (K, D), and what a memory keeps of it.

        Raises
        ------
        ValueError
            If the state is not one that `predict` returned for as many observations.
        """
        if self._encoder is not None:
            return self._encoder(*self._by_customer(seen, shown)), None
        clip = self.spec.observation_clip
        normalised = np.clip((seen - self._mean) / self._scale, -clip, clip)
        if self._memory is None:
            return normalised, None
        shape = len(seen), self._memory.size
        before = np.zeros(shape) if state is None else array_in("state", state, shape)
        first = np.asarray(False if episode_start is None else episode_start, dtype=np.bool_)
        before = np.where(np.broadcast_to(first, len(seen))[:, None], 0.0, before)
        after = self._memory(before, normalised)
        return after, after

    def _perceptron(self, inputs: FloatArray) -> FloatArray:
        activation, outputs = ACTIVATIONS[self.spec.activation], inputs
        for i, (weight, bias) in enumerate(self._layers):
            outputs = (outputs if i == 0 else activation(outputs)) @ weight.T + bias
        return outputs

    def _by_customer(self, seen: FloatArray, shown: tuple[Market, State] | None) -> tuple[FloatArray, FloatArray]:
        """Return what the encoder sees of every customer (K, N, F), and of the hour (K, C)."""
        if self.residual is not None and shown is not None:
            return customer_features(shown[0], self.residual, shown[1])
        customers, rest = customer_columns(self.scenario, seen.shape[-1])
        return seen[:, customers], seen[:, rest]

    def _encoder_of(self, weights: Weights) -> CustomerMean | CustomerEncoder:
        spec = self.spec
        own, clock, customers = CUSTOMER_FEATURES + 3 * spec.action_size, CLOCK_FEATURES, None
        if spec.residual_scale == 0.0:
            columns, rest = customer_columns(self.scenario, spec.observation_size)
            own, clock = columns.shape[1], len(rest)
            customers = len(columns) if self.scenario.resample_population == "never" else None
        if spec.policy == "mean":
            return CustomerMean(own, clock)
        return CustomerEncoder(weights, own, clock, spec.activation, customers, spec.policy == "attention")
