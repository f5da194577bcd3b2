"""Policy files: a folder of weights and a description; loading runs no code that came with them.

``policy.safetensors`` holds the actor's weights, the observation normaliser and the plan of a residual policy;
``policy.json`` says what they are (`lmaas_agents.learned.spec.PolicySpec`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, cast

import numpy as np
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_agents.learned.spec import PolicySpec
from safetensors import SafetensorError
from safetensors.numpy import load, save

from lmaas_env.fields import close_match, one_line
from lmaas_env.files import TEMPORARY, read_bytes, read_text

LARGEST = 2**30  # bytes of weights
WEIGHTS, SPEC = "policy.safetensors", "policy.json"
SHIPPED = Path(__file__).parents[1] / "policies"


def save_policy(folder: str | os.PathLike[str], seller: LearnedSeller) -> Path:
    """Write a seller's two files into a folder (made if need be) and return the folder.

    Both files are written in full before either is put in place; a pair that a crash tore apart is refused on loading,
    since the description holds the weights' digest.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    weights = save({name: np.ascontiguousarray(array) for name, array in seller.weights.items()})
    described = {**dataclasses.asdict(seller.spec), "weights_sha256": hashlib.sha256(weights).hexdigest()}
    with tempfile.TemporaryDirectory(dir=target, prefix=TEMPORARY) as temporary:
        (Path(temporary) / WEIGHTS).write_bytes(weights)
        (Path(temporary) / SPEC).write_text(json.dumps(described, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        for name in (WEIGHTS, SPEC):
            os.replace(Path(temporary) / name, target / name)
    return target


def load_policy(name_or_folder: str | os.PathLike[str], seed: int = 0) -> LearnedSeller:
    """Load a policy that ships with the package, by name, or any other by its folder.

    Parameters
    ----------
    name_or_folder : str or path
        A name such as ``"day-guided"``, or the folder of a training run or checkpoint.
    seed : int
        Of the noise of actions that are not deterministic.

    Raises
    ------
    ValueError
        If there is no such policy, or one of its files is broken; the message names the file and what is wrong.
    """
    folder = _find(name_or_folder)
    data, text = read_bytes(folder / WEIGHTS, "policy", LARGEST), read_text(folder / SPEC, "policy")
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError(f"must hold a mapping, not {type(content).__name__}")
        described = cast("dict[str, Any]", content)
        digest = described.pop("weights_sha256", None)
        spec = PolicySpec.from_dict(described)
    except (ValueError, RecursionError, OverflowError) as error:  # what json and huge numbers raise, too
        raise ValueError(f"{folder / SPEC}: {one_line(str(error))}") from error
    try:
        seller = LearnedSeller(load(data), spec, seed)
        if digest != hashlib.sha256(data).hexdigest():
            raise ValueError(f"these are not the weights that the {SPEC} beside them describes (weights_sha256)")
        return seller
    except KeyError as error:  # safetensors' way to say it
        raise ValueError(f"{folder / WEIGHTS}: numbers of type {error} are not supported") from error
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{folder / WEIGHTS}: {one_line(str(error))}") from error


def shipped_policies() -> list[str]:
    """Return the names of the policies that ship with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{SPEC}"))


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
