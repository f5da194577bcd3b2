"""Stable-Baselines3, its contrib algorithms and TensorBoard take the environments as they are, without a warning."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lmaas_train.cli.train import Train, train
from lmaas_train.sb3.training import TrainSB3
from lmaas_train.sb3.training import train as train_sb3
from sb3_contrib import TQC, RecurrentPPO
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lmaas_env import ENVIRONMENTS

torch.set_num_threads(1)

HOURS = 24
ON_POLICY = {"n_steps": HOURS, "batch_size": HOURS, "n_epochs": 1}
OFF_POLICY = {"learning_starts": HOURS, "buffer_size": 200, "batch_size": 16}
TRAINERS: list[Any] = [
    (PPO, "LMaaS-v0", "MlpPolicy", ON_POLICY),
    (SAC, "LMaaS-v0", "MlpPolicy", OFF_POLICY),
    (TQC, "LMaaS-Public-v0", "MlpPolicy", OFF_POLICY),
    (RecurrentPPO, "LMaaS-Public-v0", "MlpLstmPolicy", ON_POLICY),
]


@pytest.mark.parametrize(
    ("trainer", "env_id", "policy", "settings"), TRAINERS, ids=lambda it: getattr(it, "__name__", "")
)
def test_a_trainer_learns_saves_loads_and_is_evaluated(
    trainer: type[BaseAlgorithm], env_id: str, policy: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    envs = make_vec_env(env_id, n_envs=2, seed=1, monitor_kwargs={"info_keywords": ("profit", "clipped_share")})
    model = trainer(policy, envs, seed=1, device="cpu", policy_kwargs={"net_arch": [8]}, **settings)
    before = [it.clone() for it in model.policy.parameters()]
    model.learn(4 * HOURS)
    assert any((one != other).any() for one, other in zip(before, model.policy.parameters(), strict=True))
    assert all(it.isfinite().all() for it in model.policy.parameters())
    days = list(model.ep_info_buffer or [])
    assert [day["l"] for day in days] == [HOURS] * 4
    assert len({day["r"] for day in days}) == 4
    assert all(day["clipped_share"] == 0.0 for day in days)  # SB3 sends actions inside the space

    model.save(tmp_path / "model")
    loaded = trainer.load(tmp_path / "model", device="cpu")
    observation = envs.reset()
    assert np.array_equal(*(it.predict(observation, deterministic=True)[0] for it in (model, loaded)))
    twice = [evaluate_policy(loaded, _seeded(env_id), n_eval_episodes=2, return_episode_rewards=True) for _ in range(2)]
    assert twice[0] == twice[1]
    assert twice[0][1] == [HOURS, HOURS]


def _seeded(env_id: str) -> Any:
    return make_vec_env(env_id, n_envs=1, seed=7)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of every scalar that TensorBoard finds in a folder."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(it.step, it.value) for it in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_sb3_writes_the_days_of_an_environment_to_tensorboard(tmp_path: Path) -> None:
    envs = make_vec_env("LMaaS-v0", n_envs=2, seed=1)
    model = PPO("MlpPolicy", envs, seed=1, device="cpu", tensorboard_log=str(tmp_path), **ON_POLICY)
    model.learn(4 * HOURS, log_interval=1, tb_log_name="run")
    found = scalars(tmp_path / "run_1")
    days = [day["r"] for day in model.ep_info_buffer or []]
    assert [step for step, _ in found["rollout/ep_rew_mean"]] == [2 * HOURS, 4 * HOURS]
    assert [value for _, value in found["rollout/ep_rew_mean"]] == pytest.approx([np.mean(days[:2]), np.mean(days)])
    assert [value for _, value in found["rollout/ep_len_mean"]] == [HOURS, HOURS]


@pytest.mark.heavy
def test_lmaas_train_sb3_writes_profits_and_evaluations_to_tensorboard(tmp_path: Path) -> None:
    config = tmp_path / "quick.yaml"
    config.write_text(yaml.safe_dump({"n_envs": 4, "n_steps": 24, "batch_size": 48, "n_epochs": 1, "net_arch": [8]}))
    options = {"steps": 192, "eval_every": 96, "tuning_days": 2, "eval_days": 2, "progress": False}
    folder = train_sb3(TrainSB3(config=config, out=tmp_path / "run", **options))
    found = scalars(folder / "tensorboard")
    rows = list(csv.DictReader((folder / "evaluations.csv").read_text().splitlines()))
    evaluations = [(int(row["step"]), float(row["mean_day_profit"])) for row in rows]
    assert [step for step, _ in found["evaluation/day_profit"]] == [step for step, _ in evaluations]
    assert [it for _, it in found["evaluation/day_profit"]] == pytest.approx([it for _, it in evaluations], rel=1e-6)
    profit, revenue, cost = (
        np.array([value for _, value in found[f"day/{name}"]]) for name in ("profit", "revenue", "cost")
    )
    assert len(profit) > 0
    assert profit == pytest.approx(revenue - cost, rel=1e-4)


@pytest.mark.heavy
def test_lmaas_train_writes_its_learning_curve_to_tensorboard(tmp_path: Path) -> None:
    config = tmp_path / "quick.yaml"
    config.write_text(yaml.safe_dump({"lanes": 4, "copies": 2, "batches": 2, "hidden": [8]}))
    options = {"steps": 192, "eval_every": 96, "tuning_days": 2, "eval_days": 2, "progress": False}
    folder = train(Train(config=config, out=tmp_path / "run", **options))
    found = scalars(folder / "tensorboard")
    rows = list(csv.DictReader((folder / "evaluations.csv").read_text().splitlines()))
    for tag, column in (("tuning/day_profit", "mean_day_profit"), ("tuning/share_of_imp", "share_of_imp")):
        assert [step for step, _ in found[tag]] == [int(row["step"]) for row in rows] == [0, 96, 192]
        assert [value for _, value in found[tag]] == pytest.approx([float(row[column]) for row in rows], rel=1e-4)
    assert [step for step, _ in found["train/day_profit"]] == [96, 192]


def test_the_entries_for_rl_zoo_are_settings_of_ppo() -> None:
    """RL Zoo itself runs in `zoo.sh`, in an environment of its own; this holds the names of its file."""
    path = Path(__file__).parents[2] / "train" / "zoo" / "ppo.yml"
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(entries) - {"default"} == set(ENVIRONMENTS)
    for env_id, entry in entries.items():
        own = {name: value for name, value in entry.items() if name not in ("n_timesteps", "n_envs", "normalize")}
        assert isinstance(entry["n_timesteps"], float), env_id
        assert entry["n_envs"] * entry["n_steps"] % entry["batch_size"] == 0, env_id
        envs = make_vec_env("LMaaS-Static-v0", n_envs=entry["n_envs"])
        rate = own.pop("learning_rate")
        assert rate.startswith("lin_"), env_id
        kwargs = eval(own.pop("policy_kwargs"), {"nn": torch.nn})
        PPO(env=envs, learning_rate=float(rate.removeprefix("lin_")), policy_kwargs=kwargs, device="cpu", **own)
