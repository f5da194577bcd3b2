"""Learned policies: what a stored policy is, and the seller that acts from it without torch."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from lmaas_agents.energy import SHARES
from lmaas_agents.learned.residual import (
    CLOCK_FEATURES,
    CUSTOMER_FEATURES,
    Residual,
    customer_features,
    residual_prices,
)
from lmaas_agents.planning import Plan, check_plan
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax

from lmaas_env.checks import array_in
from lmaas_env.fields import close_match
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

POLICIES = ("flat", "mean", "set", "attention", "stack", "gru")
CUSTOMER_ENCODERS = ("mean", "set", "attention")
HEADS = 4  # of the attention between customers
SHOWN = ("observation", "resample_population", "sellers", "slots")  # of a scenario: what is shown of a customer
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
        used = _Stored(weights)
        models = spec.action_size
        self._deviation = np.exp(used.array("log_std", (models,)))
        if spec.policy in CUSTOMER_ENCODERS:
            inputs = self._take_encoder(used)
        else:
            inputs = spec.observation_size
            self._mean = used.array("observation_mean", (inputs,))
            variance = used.array("observation_variance", (inputs,))
            if not (variance > 0.0).all():
                raise ValueError("observation_variance must be positive")
            self._scale = np.sqrt(variance)
        if spec.policy == "gru":
            inputs = self._take_gru(used)
        elif spec.policy == "stack":
            first = used.array("layer0.weight", (None, None)).shape[1]
            if first % inputs:
                raise ValueError(f"layer0.weight sees {first} numbers, not a multiple of the observation's {inputs}")
            self._stacked, inputs = first // inputs, first
        self._layers = _layers(used, inputs, models)
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
        remembered = None
        if self.spec.policy in ("stack", "gru"):
            batch, remembered = self._remember(batch, state, episode_start)
        outputs = self._outputs(batch, shown)
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
        known = self._remember(seen, None, None)[0] if self.spec.policy in ("stack", "gru") else seen
        return self._outputs(known, self._shown(seen))

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

    def _outputs(self, seen: FloatArray, shown: tuple[Market, State] | None) -> FloatArray:
        activation = ACTIVATIONS[self.spec.activation]
        if self.spec.policy in CUSTOMER_ENCODERS:
            outputs = self._encoded(*self._by_customer(seen, shown))
        else:
            outputs = self._normalised(seen) if self.spec.policy == "flat" else seen
        for i, (weight, bias) in enumerate(self._layers):
            outputs = (outputs if i == 0 else activation(outputs)) @ weight.T + bias
        return outputs

    def _by_customer(self, seen: FloatArray, shown: tuple[Market, State] | None) -> tuple[FloatArray, FloatArray]:
        """Return what the encoder sees of every customer (K, N, F), and of the hour (K, C)."""
        if self.residual is not None and shown is not None:
            return customer_features(shown[0], self.residual, shown[1])
        customers, rest = customer_columns(self.scenario, seen.shape[-1])
        return seen[:, customers], seen[:, rest]

    def _encoded(self, customers: FloatArray, clock: FloatArray) -> FloatArray:
        """Return the mean of what is seen or made of the customers, and the hour, (K, F + C) or (K, E + C)."""
        if self.spec.policy == "mean":
            return np.concatenate([customers.mean(axis=1), clock], axis=1)
        activation = ACTIVATIONS[self.spec.activation]
        by_customer, by_clock, bias, second, second_bias = self._encoder
        hidden = activation(customers @ by_customer.T + (clock @ by_clock.T)[:, None] + bias)
        if self._attention is not None:
            hidden = hidden + attended(hidden, *self._attention)
        return np.concatenate([activation(hidden @ second.T + second_bias).mean(axis=1), clock], axis=1)

    def _normalised(self, seen: FloatArray) -> FloatArray:
        clip = self.spec.observation_clip
        return np.clip((seen - self._mean) / self._scale, -clip, clip)

    def _remember(self, seen: FloatArray, state: Any, episode_start: ArrayLike | None) -> tuple[FloatArray, FloatArray]:
        """Return what the perceptron sees of a batch (K, D), and the state after it, both (K, ...).

        Raises
        ------
        ValueError
            If the state is not one that `predict` returned for as many observations.
        """
        lanes, size = seen.shape
        width = self._stacked * size if self.spec.policy == "stack" else len(self._gru[1]) // 3
        before = np.zeros((lanes, width)) if state is None else array_in("state", state, (lanes, width))
        first = np.asarray(False if episode_start is None else episode_start, dtype=np.bool_)
        before = np.where(np.broadcast_to(first, lanes)[:, None], 0.0, before)
        normalised = self._normalised(seen)
        if self.spec.policy == "stack":
            after = np.concatenate([before[:, size:], normalised], axis=1)
            return after, after
        by_input, by_hidden, input_bias, hidden_bias = self._gru
        reset, update, new = np.split(normalised @ by_input.T + input_bias, 3, axis=1)
        own_reset, own_update, own_new = np.split(before @ by_hidden.T + hidden_bias, 3, axis=1)
        kept = expit(update + own_update)
        after = (1.0 - kept) * np.tanh(new + expit(reset + own_reset) * own_new) + kept * before
        return after, after

    def _take_gru(self, used: _Stored) -> int:
        """Keep the arrays of the recurrent unit; return the width of its state."""
        rows, width = used.array("gru.hidden.weight", (None, None)).shape
        if rows != 3 * width:
            raise ValueError(f"gru.hidden.weight has shape {(rows, width)}, its rows must be three times its columns")
        self._gru = (
            used.array("gru.input.weight", (rows, self.spec.observation_size)),
            used.array("gru.hidden.weight", (rows, width)),
            used.array("gru.input.bias", (rows,)),
            used.array("gru.hidden.bias", (rows,)),
        )
        return width

    def _take_encoder(self, used: _Stored) -> int:
        """Keep the arrays of the encoder of customers; return how many numbers the perceptron after it sees."""
        own, clock, each = CUSTOMER_FEATURES + 3 * self.spec.action_size, CLOCK_FEATURES, ()
        if self.spec.residual_scale == 0.0:
            customers, rest = customer_columns(self.scenario, self.spec.observation_size)
            own, clock = customers.shape[1], len(rest)
            each = (len(customers),) if self.scenario.resample_population == "never" else ()
        if self.spec.policy == "mean":
            return own + clock
        bias = used.array("customer.bias", (*each, None))
        width = bias.shape[-1]
        self._encoder = (
            used.array("customer.weight", (width, own)),
            used.array("clock.weight", (width, clock)),
            bias,
            used.array("encoder.weight", (width, width)),
            used.array("encoder.bias", (width,)),
        )
        self._attention: tuple[FloatArray, FloatArray] | None = None
        if self.spec.policy == "attention":
            if width % HEADS:
                raise ValueError(f"customer.bias makes {width} numbers of a customer, not a multiple of {HEADS}")
            weights = used.array("attention.weight", (3 * width, width)), used.array("attended.weight", (width, width))
            self._attention = weights
        return width + clock


def attended(hidden: FloatArray, weight: FloatArray, out: FloatArray) -> FloatArray:
    """Return what customers (K, N, E) learn from each other, by dot products of `HEADS` heads (Vaswani et al., 2017).

    Parameters
    ----------
    hidden : (K, N, E)
    weight : (3 E, E), of queries, keys and values
    out : (E, E), of what the heads give together
    """
    lanes, customers, width = hidden.shape
    heads = (hidden @ weight.T).reshape(lanes, customers, 3, HEADS, width // HEADS)
    query, key, value = np.moveaxis(heads, (2, 3), (0, 2))  # each (K, heads, N, E / heads)
    shares = softmax(query @ key.swapaxes(-1, -2) / math.sqrt(width // HEADS), axis=-1)
    return (shares @ value).swapaxes(1, 2).reshape(hidden.shape) @ out.T


class _Stored:
    """Stored arrays, each checked as it is taken, so that unexpected ones can be named."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self.weights = weights
        self.names: set[str] = set()

    def array(self, name: str, shape: tuple[int | None, ...]) -> FloatArray:
        """Return one array as float64, or say what is wrong with it; None in a shape stands for any size."""
        self.names.add(name)
        if name not in self.weights:
            raise ValueError(f"{name} is missing")
        array = self.weights[name]
        fits = array.ndim == len(shape)
        fits = fits and all(want in (None, size) for want, size in zip(shape, array.shape, strict=True))
        if not fits or array.size == 0:
            wanted = tuple("any" if want is None else want for want in shape)
            raise ValueError(f"{name} has shape {array.shape}, it must be {wanted}")
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(f"{name} must hold finite floating-point numbers")
        return array.astype(np.float64)

    def check_all_known(self) -> None:
        for name in self.weights:
            if name not in self.names:
                raise ValueError(f"{name} is unexpected{close_match(name, self.names)}")


def _layers(used: _Stored, inputs: int, outputs: int) -> list[tuple[FloatArray, FloatArray]]:
    """Return the perceptron's (weight, bias) pairs, each fitting the one before it."""
    layers: list[tuple[FloatArray, FloatArray]] = []
    while not layers or f"layer{len(layers)}.weight" in used.weights:
        weight = used.array(f"layer{len(layers)}.weight", (None, inputs))
        layers.append((weight, used.array(f"layer{len(layers)}.bias", (len(weight),))))
        inputs = len(weight)
    if inputs != outputs:
        raise ValueError(f"layer{len(layers) - 1} has {inputs} outputs, it must have {outputs}, one per model")
    return layers
