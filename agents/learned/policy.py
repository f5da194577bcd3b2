"""Learned policies: a folder of weights and a description, and the seller that acts from it without torch.

A stored policy is two files. ``policy.safetensors`` holds the actor's weights, the observation normaliser and the plan
that guides it, ``policy.json`` says what they are (`About`). Both are plain data: loading runs no code that came with
them.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from lmaas_agents.learned.residual import CLOCK, OWN, Guide, customer_features, guided_prices
from lmaas_agents.lookahead import SHARES, Plan
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from lmaas_env.market import Market, MarketState
from lmaas_env.population import Population
from lmaas_env.fields import close_match
from lmaas_env.scenario import Scenario
from lmaas_env.spaces import (
    Float32Array,
    action_from_prices,
    observation_size,
    observed_market,
    state_from_observation,
)
from lmaas_env.types import FloatArray

WEIGHTS, ABOUT = "policy.safetensors", "policy.json"
SHIPPED = Path(__file__).parents[1] / "policies"
POLICIES = ("flat", "set")
MOST_SPAN = 10.0
MOST_CLIMBS = 1024
ACTIVATIONS: dict[str, Callable[[FloatArray], FloatArray]] = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0.0)}


@dataclasses.dataclass(frozen=True)
class About:
    """What ``policy.json`` says about the weights.

    Attributes
    ----------
    scenario : the scenario it was trained on, every number
    population_seed : which customers
    observation_size, action_size : lengths D and M of what it sees and does
    activation : ``tanh`` or ``relu``, after every layer but the last
    observation_clip : normalised observations are clipped to plus or minus this
    policy : ``flat`` (a perceptron of the observation) or ``set`` (customer by customer, see `lmaas_agents.learned.residual`)
    span, reach, climbs : of the guide, a span of 0 where there is none (`lmaas_agents.learned.residual.Guide`)
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
    span: float
    reach: float
    climbs: int
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
        for name in ("span", "reach"):
            if not 0.0 <= getattr(self, name) <= MOST_SPAN:
                raise ValueError(f"{name} = {getattr(self, name)} must be in [0, {MOST_SPAN:g}]")
        if not 0 <= self.climbs <= MOST_CLIMBS:
            raise ValueError(f"climbs = {self.climbs} must be in 0..{MOST_CLIMBS}")
        if self.policy == "set" and self.span == 0.0:
            raise ValueError("span = 0.0 must be positive for the policy 'set', which is guided")
        try:
            Scenario.from_dict(self.scenario)
        except ValueError as error:
            raise ValueError(f"scenario: {error}") from error
        if not (math.isfinite(self.observation_clip) and self.observation_clip > 0.0):
            raise ValueError(f"observation_clip = {self.observation_clip} must be finite and positive")

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> About:
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
    """Act as a trained actor does: normalise or encode, a multi-layer perceptron, then the guide or a clip to [-1, 1].

    Parameters
    ----------
    weights : mapping of str to array
        ``layer<i>.weight`` (out, in) and ``layer<i>.bias`` (out,) from the first layer on, and ``log_std`` (M,). Of a
        flat policy also ``observation_mean`` and ``observation_variance`` (D,); of one over customers
        ``customer.weight`` (E, F), ``clock.weight`` (E, C), ``customer.bias`` (E,), ``encoder.weight`` (E, E) and
        ``encoder.bias`` (E,). Of a guided one ``plan.prices`` (H, M) and ``plan.worth`` (H + 1, N or 1, K).
    about : About
    seed : int
        Of the noise of actions that are not deterministic.

    Raises
    ------
    ValueError
        If an array is missing, unexpected, of a wrong shape or not finite; the message names it.
    """

    def __init__(self, weights: Mapping[str, NDArray[Any]], about: About, seed: int = 0) -> None:
        self.about = about
        self.weights = dict(weights)
        self.scenario = Scenario.from_dict(about.scenario)
        used = _Used(weights)
        models = about.action_size
        self._deviation = np.exp(used.array("log_std", (models,)))
        if about.policy == "set":
            inputs = self._take_encoder(used)
        else:
            inputs = about.observation_size
            self._mean = used.array("observation_mean", (inputs,))
            variance = used.array("observation_variance", (inputs,))
            if not (variance > 0.0).all():
                raise ValueError("observation_variance must be positive")
            self._scale = np.sqrt(variance)
        self._layers = _layers(used, inputs, models)
        self.guide: Guide | None = None
        if about.span > 0.0:
            periods = self.scenario.periods
            prices, worth = (
                used.array("plan.prices", (periods, models)),
                used.array("plan.worth", (periods + 1, None, SHARES.size)),
            )
            if not (prices > 0.0).all():
                raise ValueError("plan.prices must be positive")
            if worth.shape[1] not in (1, self.scenario.customers):
                raise ValueError(
                    f"plan.worth has shape {worth.shape}, its second size must be 1 or {self.scenario.customers}"
                )
            self.guide = Guide(Plan(prices, worth), about.span, about.reach, about.climbs)
        used.check_all_known()
        self._rng = np.random.default_rng(seed)

    def __repr__(self) -> str:
        about = self.about
        return (
            f"LearnedSeller({about.algorithm}, {self.scenario.name!r}, seed {about.training_seed}, {about.steps} steps)"
        )

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
        outputs = self._outputs(batch, shown)
        if not deterministic:
            outputs = outputs + self._deviation * self._rng.standard_normal(outputs.shape)
        if self.guide is None or shown is None:
            action = np.clip(outputs, -1.0, 1.0).astype(np.float32)
        else:
            action = action_from_prices(shown[0], guided_prices(shown[0], self.guide, shown[1], outputs))
        return action.reshape(*seen.shape[:-1], -1), state

    def outputs(self, observation: ArrayLike) -> FloatArray:
        """Return the actor's outputs (K, M) for a batch of observations (K, D), before guide or clip."""
        seen = np.atleast_2d(self._checked(observation))
        return self._outputs(seen, self._shown(seen))

    def check(self, market: Market) -> None:
        """Raise ValueError unless the policy sees and prices what this market shows and sells."""
        size, models = observation_size(market), market.catalogue.size
        any_size = self._any_size and market.scenario.turnover == "daily"
        if (self.about.observation_size != size and not any_size) or self.about.action_size != models:
            raise ValueError(
                f"{self!r} sees {self.about.observation_size} numbers and prices {self.about.action_size} models; "
                f"this market (scenario {market.scenario.name!r}, {market.population.size} customers, observation "
                f"{market.scenario.observation!r}) shows {size} and has {models}"
            )

        if self.guide is not None and market.scenario.turnover == "none":
            for name, ours, theirs in zip(Population._fields, self._market.population, market.population, strict=True):
                if not np.array_equal(ours, theirs):
                    raise ValueError(f"{self!r} knows other customers than this market's: {name} differs")

    @property
    def _any_size(self) -> bool:
        """Whether it prices for any number of customers."""
        return self.about.policy == "set" and self.scenario.turnover == "daily"

    @functools.cached_property
    def _market(self) -> Market:
        """The market that it was trained on, whose constants it knows; where customers change, they are observed."""
        return Market(self.scenario, seed=self.about.population_seed)

    def _checked(self, observation: ArrayLike) -> FloatArray:
        """Return one observation or a batch as float64, or say what is wrong with it."""
        seen = np.asarray(observation, dtype=np.float64)
        size = self.about.observation_size
        # Of any size, `observed_market` looks at it.
        if seen.ndim not in (1, 2) or (seen.shape[-1] != size and not self._any_size):
            raise ValueError(f"observation has shape {seen.shape}, it must be ({size},) or (lanes, {size})")
        if not np.isfinite(seen).all():
            raise ValueError(f"observation[{int(np.argwhere(~np.isfinite(seen))[0][-1])}] must be finite")
        return seen

    def _shown(self, seen: FloatArray) -> tuple[Market, MarketState] | None:
        """Return the market and the states that a batch of observations shows; None if there is no guide to ask."""
        if self.guide is None:
            return None
        market = observed_market(self._market, seen)
        return market, state_from_observation(market, seen)

    def _outputs(self, seen: FloatArray, shown: tuple[Market, MarketState] | None) -> FloatArray:
        activation = ACTIVATIONS[self.about.activation]
        if self.about.policy == "set":
            assert self.guide is not None
            assert shown is not None
            customers, clock = customer_features(shown[0], self.guide, shown[1])
            by_customer, by_clock, bias, second, second_bias = self._encoder
            hidden = activation(customers @ by_customer.T + (clock @ by_clock.T + bias)[:, None])
            hidden = activation(hidden @ second.T + second_bias).mean(axis=1)
            outputs: FloatArray = np.concatenate([hidden, clock], axis=1)
        else:
            clip = self.about.observation_clip
            outputs = np.clip((seen - self._mean) / self._scale, -clip, clip)
        for i, (weight, bias) in enumerate(self._layers):
            outputs = (outputs if i == 0 else activation(outputs)) @ weight.T + bias
        return outputs

    def _take_encoder(self, used: _Used) -> int:
        """Keep the arrays of the encoder of customers; return how many numbers the perceptron after it sees."""
        own, clock = OWN + 3 * self.about.action_size, CLOCK
        bias = used.array("customer.bias", (None,))
        width = len(bias)
        self._encoder = (
            used.array("customer.weight", (width, own)),
            used.array("clock.weight", (width, clock)),
            bias,
            used.array("encoder.weight", (width, width)),
            used.array("encoder.bias", (width,)),
        )
        return width + clock


def save_policy(folder: str | os.PathLike[str], seller: LearnedSeller) -> Path:
    """Write a seller's two files into a folder (made if need be) and return the folder.

    Both files are written in full before either is put in place; a pair that a crash tore apart is refused on loading,
    since the description holds the weights' digest.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    weights = save({name: np.ascontiguousarray(array) for name, array in seller.weights.items()})
    about = {**dataclasses.asdict(seller.about), "weights_sha256": hashlib.sha256(weights).hexdigest()}
    with tempfile.TemporaryDirectory(dir=target, prefix=".policy-") as temporary:
        (Path(temporary) / WEIGHTS).write_bytes(weights)
        (Path(temporary) / ABOUT).write_text(json.dumps(about, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        for name in (WEIGHTS, ABOUT):
            os.replace(Path(temporary) / name, target / name)
    return target


def load_policy(name_or_folder: str | os.PathLike[str], seed: int = 0) -> LearnedSeller:
    """Load a policy that ships with the package, by name, or any other by its folder.

    Parameters
    ----------
    name_or_folder : str or path
        A name such as ``"day-ppo"``, or the folder of a training run or checkpoint.
    seed : int
        Of the noise of actions that are not deterministic.

    Raises
    ------
    ValueError
        If there is no such policy, or one of its files is broken; the message names the file and what is wrong.
    """
    folder = _find(name_or_folder)
    data = _read(folder / WEIGHTS)
    try:
        content = json.loads(_read(folder / ABOUT).decode("utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"must hold a mapping, not {type(content).__name__}")
        described = cast("dict[str, Any]", content)
        digest = described.pop("weights_sha256", None)
        about = About.from_dict(described)
    except (ValueError, RecursionError, OverflowError) as error:  # what json, utf-8 and huge numbers raise, too
        raise ValueError(f"{folder / ABOUT}: {error}") from error
    try:
        seller = LearnedSeller(load(data), about, seed)
        if digest != hashlib.sha256(data).hexdigest():
            raise ValueError(f"these are not the weights that the {ABOUT} beside them describes (weights_sha256)")
        return seller
    except KeyError as error:  # safetensors' way to say it
        raise ValueError(f"{folder / WEIGHTS}: numbers of type {error} are not supported") from error
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{folder / WEIGHTS}: {error}") from error


def shipped_policies() -> list[str]:
    """Return the names of the policies that ship with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{ABOUT}"))


def _find(name_or_folder: str | os.PathLike[str]) -> Path:
    """Return the folder of a shipped policy's name, or the folder that a path names."""
    name, folder = os.fspath(name_or_folder), Path(name_or_folder)
    shipped = shipped_policies()
    if name in shipped:
        return SHIPPED / name
    if folder.is_dir():
        return folder
    exist = ", ".join(shipped) if shipped else "none yet"
    raise ValueError(
        f"policy = {name!r} is neither a folder nor shipped{close_match(name, shipped)}; shipped policies: {exist}"
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error


class _Used:
    """Stored arrays, each checked as it is taken, so that those that nobody took are known."""

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


def _layers(used: _Used, inputs: int, outputs: int) -> list[tuple[FloatArray, FloatArray]]:
    """Return the perceptron's (weight, bias) pairs, each fitting the one before it."""
    layers: list[tuple[FloatArray, FloatArray]] = []
    while not layers or f"layer{len(layers)}.weight" in used.weights:
        weight = used.array(f"layer{len(layers)}.weight", (None, inputs))
        layers.append((weight, used.array(f"layer{len(layers)}.bias", (len(weight),))))
        inputs = len(weight)
    if inputs != outputs:
        raise ValueError(f"layer{len(layers) - 1} has {inputs} outputs, it must have {outputs}, one per model")
    return layers
