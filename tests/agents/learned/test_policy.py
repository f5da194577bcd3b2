"""Stored policies: plain data, checked on loading, acting with NumPy alone."""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lmaas_agents import load_policy
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_agents.learned.policy_file import SPEC, WEIGHTS, save_policy
from lmaas_agents.learned.spec import PolicySpec
from safetensors.numpy import load_file, save_file

from lmaas_env import Market, Scenario

SIZES = (75, 8, 4)


def seller() -> LearnedSeller:
    rng = np.random.default_rng(0)
    weights = {"log_std": rng.normal(size=4), "observation_mean": rng.normal(size=75)}
    weights["observation_variance"] = rng.uniform(0.5, 2.0, 75)
    for i, (inputs, outputs) in enumerate(itertools.pairwise(SIZES)):
        weights |= {
            f"layer{i}.weight": 0.1 * rng.normal(size=(outputs, inputs)),
            f"layer{i}.bias": rng.normal(size=outputs),
        }
    spec = PolicySpec(
        scenario=Scenario().to_dict(),
        population_seed=0,
        observation_size=75,
        action_size=4,
        activation="tanh",
        observation_clip=10.0,
        policy="flat",
        residual_scale=0.0,
        snap_radius=0.0,
        searches=0,
        algorithm="PPO",
        steps=1,
        training_seed=1,
        command="lmaas train",
        versions={},
        scores={},
    )
    return LearnedSeller(weights, spec)


def test_acts_as_the_perceptron_written_out() -> None:
    policy = seller()
    seen = np.random.default_rng(1).normal(size=(5, 75)).astype(np.float32)
    w = policy.weights
    scaled = np.clip((seen - w["observation_mean"]) / np.sqrt(w["observation_variance"]), -10.0, 10.0)
    hidden = np.tanh(scaled @ w["layer0.weight"].T + w["layer0.bias"])
    expected = np.clip(hidden @ w["layer1.weight"].T + w["layer1.bias"], -1.0, 1.0)
    action, memory = policy.predict(seen)
    assert memory is None
    assert action.dtype == np.float32
    assert np.allclose(action, expected, atol=1e-6)
    assert np.allclose(policy.predict(seen[2])[0], expected[2], atol=1e-6)


def test_noise_is_seeded_and_optional(tmp_path: Path) -> None:
    folder = save_policy(tmp_path / "policy", seller())
    seen = np.zeros((3, 75))
    first, second, other = (load_policy(folder, seed).predict(seen, deterministic=False)[0] for seed in (1, 1, 2))
    assert (first == second).all()
    assert (first != other).any()
    assert (load_policy(folder, 1).predict(seen)[0] == load_policy(folder, 2).predict(seen)[0]).all()


def test_saved_and_loaded_acts_the_same(tmp_path: Path) -> None:
    seen = np.random.default_rng(1).normal(size=(5, 75))
    folder = save_policy(tmp_path / "deep" / "policy", seller())
    assert (load_policy(folder).predict(seen)[0] == seller().predict(seen)[0]).all()
    assert sorted(path.name for path in folder.iterdir()) == [SPEC, WEIGHTS]


def edit_json(**changes: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        content = json.loads((folder / SPEC).read_text()) | changes
        (folder / SPEC).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return edit


def edit_weights(name: str, value: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        if value is None:
            del weights[name]
        else:
            weights[name] = np.asarray(value)
        save_file(weights, folder / WEIGHTS)

    return edit


def of_type_bf16(folder: Path) -> None:
    header = json.dumps({"log_std": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}).encode()
    (folder / WEIGHTS).write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (edit_json(steps=None), f"{SPEC}: key 'steps' is missing"),
        (edit_json(stepz=1), f"{SPEC}: key 'stepz' is unknown, did you mean 'steps'"),
        (edit_json(observation_size="many"), f"{SPEC}: observation_size = 'many' must be of type int"),
        (edit_json(activation="gelu"), f"{SPEC}: activation = 'gelu' must be one of"),
        (edit_json(scenario={"customers": 0}), f"{SPEC}: scenario: customers = 0 must be"),
        (lambda folder: (folder / SPEC).write_text("[]"), f"{SPEC}: must hold a mapping"),
        (lambda folder: (folder / SPEC).unlink(), f"{SPEC}' cannot be read"),
        (edit_json(observation_clip=10**400), f"{SPEC}: int too large"),
        (lambda folder: (folder / SPEC).write_text("[" * 100_000), f"{SPEC}: "),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"rubbish"), WEIGHTS),
        (of_type_bf16, f"{WEIGHTS}: numbers of type 'BF16' are not supported"),
        (edit_weights("log_std", None), f"{WEIGHTS}: log_std is missing"),
        (edit_weights("layer1.bias", np.zeros(3)), rf"{WEIGHTS}: layer1.bias has shape \(3,\), it must be \(4,\)"),
        (edit_weights("layer0.bias", np.full(8, np.nan)), f"{WEIGHTS}: layer0.bias must hold finite"),
        (edit_weights("layer7.bias", np.zeros(3)), f"{WEIGHTS}: layer7.bias is unexpected"),
        (edit_weights("layer0.bias", np.zeros(8)), f"{WEIGHTS}: these are not the weights that"),
    ],
)
def test_broken_files_are_refused_by_file_and_field(
    tmp_path: Path, edit: Callable[[Path], object], message: str
) -> None:
    folder = save_policy(tmp_path / "policy", seller())
    edit(folder)
    with pytest.raises(ValueError, match=message):
        load_policy(folder)


def test_a_market_that_a_policy_does_not_fit_is_refused() -> None:
    seller().check(Market("day"))
    other = Market(dataclasses.replace(Scenario(), customers=12))
    with pytest.raises(ValueError, match=r"12 customers.* shows 39 and has 4"):
        seller().check(other)
    with pytest.raises(ValueError, match=r"observation has shape \(39,\), it must be \(75,\)"):
        seller().predict(np.zeros(39))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="policy = 'day-pop' is neither a folder nor shipped"):
        load_policy("day-pop")


def test_loading_and_acting_needs_neither_torch_nor_sb3(tmp_path: Path) -> None:
    folder = save_policy(tmp_path / "policy", seller())
    code = (
        "import sys, numpy, lmaas_agents;"
        f"lmaas_agents.load_policy({str(folder)!r}).predict(numpy.zeros(75));"
        "sys.exit(bool({'torch', 'stable_baselines3', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
