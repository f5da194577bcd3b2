"""Snapshots of a training run: all that it takes to go on as if nothing had happened.

A snapshot is taken between two updates and starts new days in every lane, so that a run that goes on and one that
starts again from the snapshot meet the same days. It is loaded as plain tensors and numbers: no code runs.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from lmaas_env.vector_env import LMaaSVectorEnv

PARTS = ("policy", "optimiser", "steps", "updates", "torch", "numpy", "lanes", "statistics", "beside")
_STATISTICS = ("mean", "var", "count")


def take(model: PPO, env: LMaaSVectorEnv, beside: dict[str, Any]) -> dict[str, Any]:
    """Return a snapshot of a model, its environment's lanes and whatever plain numbers are kept ``beside``."""
    normaliser = model.get_vec_normalize_env()
    assert isinstance(normaliser, VecNormalize)
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002  # with which SB3 shuffles
    statistics = {
        kind: {name: torch.as_tensor(np.asarray(getattr(running, name))) for name in _STATISTICS}
        for kind, running in (("ret_rms", normaliser.ret_rms), ("obs_rms", getattr(normaliser, "obs_rms", None)))
        if running is not None
    }
    return {
        "policy": model.policy.state_dict(),
        "optimiser": model.policy.optimizer.state_dict(),
        "steps": model.num_timesteps,
        "updates": model._n_updates,
        "torch": torch.get_rng_state(),
        "numpy": [str(name), torch.as_tensor(np.int64(keys)), int(position), int(has_gauss), float(cached)],
        "lanes": json.dumps([rng.bit_generator.state for rng in env.rngs]),  # integers of 128 bits
        "statistics": statistics,
        "beside": json.dumps(beside),
    }


def restore(snapshot: dict[str, Any], model: PPO, env: LMaaSVectorEnv) -> dict[str, Any]:
    """Put a model and its environment's lanes back to where they were; return what was stored beside them.

    The model's next `learn` starts new days from there.
    """
    normaliser = model.get_vec_normalize_env()
    assert isinstance(normaliser, VecNormalize)
    normaliser.reset()  # spends the seeds that wait for the first reset, which would replace the lanes' states
    model.policy.load_state_dict(snapshot["policy"])
    model.policy.optimizer.load_state_dict(snapshot["optimiser"])
    model.num_timesteps, model._n_updates = snapshot["steps"], snapshot["updates"]
    for kind, values in snapshot["statistics"].items():
        for name in _STATISTICS:
            value = values[name].numpy()
            setattr(getattr(normaliser, kind), name, float(value) if value.ndim == 0 else value.copy())
    for rng, state in zip(env.rngs, json.loads(snapshot["lanes"]), strict=True):
        rng.bit_generator.state = state
    name, keys, position, has_gauss, cached = snapshot["numpy"]
    shuffler = (name, keys.numpy().astype(np.uint32), position, has_gauss, cached)
    np.random.set_state(shuffler)  # noqa: NPY002
    torch.set_rng_state(snapshot["torch"])
    return json.loads(snapshot["beside"])
