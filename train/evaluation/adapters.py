"""Adapters: functions, objects with part of SB3's ``predict``, code by name and SB3 zips as sellers."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import inspect
import json
import pickle
import sys
import zipfile
import zlib
from collections.abc import Callable, Generator
from pathlib import Path
from types import ModuleType
from typing import Any

from lmaas_agents.learned.policy_file import SPEC
from lmaas_agents.seller import Seller
from lmaas_train.extras import require

from lmaas_env.fields import close_match, one_line

NORMALISER = "vecnormalize.pkl"  # what `lmaas train` and RL Zoo call it, beside the zip
LARGEST_DATA = 2**26  # bytes of the settings in a zip, unpacked
# A key that only zips of an algorithm (or of those further down) hold, and its class.
ALGORITHMS = (
    ("top_quantiles_to_drop_per_net", "sb3_contrib", "TQC"),
    ("cg_max_steps", "sb3_contrib", "TRPO"),
    ("delta_std_schedule", "sb3_contrib", "ARS"),
    ("clip_range", "stable_baselines3", "PPO"),
    ("gae_lambda", "stable_baselines3", "A2C"),
    ("target_entropy", "stable_baselines3", "SAC"),
    ("policy_delay", "stable_baselines3", "TD3"),
)
SB3_ARGUMENTS = ("state", "episode_start", "deterministic")


class FunctionSeller:
    """A function from an observation to an action, as a seller without memory.

    Parameters
    ----------
    function : callable
        Takes an observation (D,) and returns an action (M,); or both with a leading axis of K markets.
    takes_batches : bool
        Whether it also takes K observations at once.
    """

    def __init__(self, function: Callable[[Any], Any], takes_batches: bool = False) -> None:
        self.function, self.takes_batches = function, takes_batches

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Return (action, state)."""
        return self.function(observation), state


class PartialSeller:
    """An object whose ``predict`` takes only some of the arguments of SB3's, as a seller."""

    def __init__(self, policy: Any, arguments: tuple[str, ...]) -> None:
        self.policy, self.arguments = policy, arguments
        self.takes_batches = takes_batches(policy)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Return what the object's ``predict`` returns for the arguments that it takes."""
        given = {"state": state, "episode_start": episode_start, "deterministic": deterministic}
        return self.policy.predict(observation, **{name: given[name] for name in self.arguments})


class NormalisedSeller:
    """A policy of SB3 behind the observation normaliser that it was trained with (a ``VecNormalize``)."""

    takes_batches = True

    def __init__(self, model: Any, normaliser: Any) -> None:
        self.model, self.normaliser = model, normaliser
        self.observation_space, self.action_space = model.observation_space, model.action_space

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Return (action, state)."""
        return self.model.predict(self.normaliser.normalize_obs(observation), state, episode_start, deterministic)


def batched(function: Callable[[Any], Any]) -> FunctionSeller:
    """Return a function as a seller that takes K observations (K, D) at once and returns K actions (K, M)."""
    return FunctionSeller(function, takes_batches=True)


def takes_batches(seller: Any) -> bool:
    """Return whether a seller takes a batch of observations: as it declares; policies of SB3 do."""
    declared = getattr(seller, "takes_batches", None)
    if declared is not None:
        return bool(declared)
    return any(it.__module__.partition(".")[0] in ("stable_baselines3", "sb3_contrib") for it in type(seller).__mro__)


def adapted(policy: Any) -> Seller:
    """Return an object with ``predict``, or a function, as a seller.

    Raises
    ------
    ValueError
        If it is neither.
    """
    predict = getattr(policy, "predict", None)
    normaliser = policy.get_vec_normalize_env() if hasattr(policy, "get_vec_normalize_env") else None
    if normaliser is not None:  # a model of SB3, whose `predict` does not normalise
        return NormalisedSeller(policy, normaliser)
    if callable(predict):
        accepted = _accepted(predict)
        return policy if accepted == SB3_ARGUMENTS else PartialSeller(policy, accepted)
    if callable(policy):
        return FunctionSeller(policy, takes_batches(policy))
    raise ValueError(
        f"policy = {policy!r} must have predict(observation, ...), be a function from observation to action, or a name"
    )


def makes_sellers(policy: Any) -> bool:
    """Return whether this is a class, or a `functools.partial` of one: it is called with the market."""
    return isinstance(policy.func if isinstance(policy, functools.partial) else policy, type)


def constructed(make: Any, market: Any) -> Seller:
    """Return the seller that a class makes: for the market if its first parameter is needed or is called ``market``.

    Raises
    ------
    ValueError
        If the class cannot be made, or makes no seller.
    """
    parameter = next(iter(_parameters(make)), None)
    wanted = parameter is not None and (
        parameter.name == "market"
        or parameter.kind is parameter.VAR_POSITIONAL
        or (parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD)
    )
    try:
        made = make(market) if wanted else make()
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"seller {make!r} cannot be made: {type(error).__name__}: {error}") from error
    return adapted(made)


def imported(spec: str) -> Any:
    """Return the object that ``module:name`` or ``path/to/file.py:name`` names; its code runs.

    Raises
    ------
    ValueError
        If there is no such module, file or name, or its code raises.
    """
    source, _, name = spec.rpartition(":")
    path = Path(source) if source.endswith(".py") else None
    if path is not None and not path.is_file():
        raise ValueError(f"seller {spec!r}: there is no file {source!r}")
    try:
        with _on_path(Path.cwd() if path is None else path.parent):
            module = importlib.import_module(source) if path is None else _run(path)
    except (Exception, SystemExit) as error:
        raise ValueError(f"seller {spec!r}: {source!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        raise ValueError(f"seller {spec!r}: {source!r} has no {name!r}{close_match(name, vars(module))}")
    return getattr(module, name)


def load_zip(path: Path) -> Seller:
    """Load a zip that Stable-Baselines3 or sb3-contrib saved, behind the normaliser beside it; this can run its code.

    Raises
    ------
    ValueError
        If SB3 is missing, the file is no such zip, or it belongs to a run of `lmaas train`.
    """
    if (path.parent / SPEC).exists():
        raise ValueError(f"seller {str(path)!r} is part of a policy folder: name the folder {str(path.parent)!r}")
    package, name = algorithm(path)
    require(package)
    model = getattr(importlib.import_module(package), name).load(path, device="cpu")
    if not (path.parent / NORMALISER).exists():
        return model
    with (path.parent / NORMALISER).open("rb") as file:
        return NormalisedSeller(model, pickle.load(file))


def algorithm(path: Path) -> tuple[str, str]:
    """Return the package and the name of the algorithm that saved an SB3 zip, without unpickling anything.

    Raises
    ------
    ValueError
        If the file is no SB3 zip or its algorithm is not known.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo("data").file_size
            if size > LARGEST_DATA:
                raise ValueError(f"its settings have {size:,} bytes, at most {LARGEST_DATA:,} are read")
            data: Any = json.loads(archive.read("data"))
        module = str(data["policy_class"]["__module__"])
    except (OSError, EOFError, KeyError, RuntimeError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"seller {str(path)!r} is no zip of Stable-Baselines3: {one_line(str(error))}") from error
    if module.startswith("sb3_contrib.common.recurrent"):
        return "sb3_contrib", "RecurrentPPO"
    if module.startswith("sb3_contrib.crossq"):
        return "sb3_contrib", "CrossQ"
    for key, package, name in ALGORITHMS:
        if key in data:
            return package, name
    raise ValueError(f"seller {str(path)!r}: its algorithm is not known; load it yourself and pass the object")


def _accepted(predict: Any) -> tuple[str, ...]:
    """Return the names of SB3's arguments that a ``predict`` takes beside the observation."""
    try:
        parameters = inspect.signature(predict).parameters
    except (TypeError, ValueError):  # of compiled code
        return SB3_ARGUMENTS
    if any(it.kind is it.VAR_KEYWORD for it in parameters.values()):
        return SB3_ARGUMENTS
    return tuple(name for name in SB3_ARGUMENTS if name in parameters)


def _parameters(make: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(make).parameters.values())
    except (TypeError, ValueError):  # of compiled code
        return []


@contextlib.contextmanager
def _on_path(folder: Path) -> Generator[None]:
    """Let imports find the modules of a folder, after those that are installed."""
    sys.path.append(str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


def _run(path: Path) -> ModuleType:
    """Run a file as a module of its own."""
    name = f"lmaas_seller_{path.stem}_{zlib.crc32(bytes(path.resolve())):08x}"
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(found)  # dataclasses and pickles look it up
    found.loader.exec_module(module)
    return module
