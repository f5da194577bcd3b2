"""`lmaas train sb3`: the adapter steps what scalar environments do, the export acts as the model, a run is complete."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
import signal
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
import yaml
from lmaas_agents import load_policy
from lmaas_agents.learned.residual import plan_of, potential, residual_of
from lmaas_train.__main__ import main
from lmaas_train.sb3.config import SB3Config
from lmaas_train.sb3.export import export
from lmaas_train.sb3.imitation import demonstrated, imitate
from lmaas_train.sb3.training import Run, TrainSB3, build_model, train
from lmaas_train.sb3.vec_env import LMaaSVecEnv, ResidualVecEnv, encoded
from lmaas_train.snapshots import save_snapshot
from safetensors.numpy import load_file
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from lmaas_env import Market, Population, Scenario
from lmaas_env.scenario import MODEL_FIELDS
from lmaas_env.seeds import open_days
from lmaas_env.spaces import observation_from_state, state_from_observation
from lmaas_env.vector_env import LMaaSVectorEnv

torch.set_num_threads(1)
QUICK = {"n_envs": 4, "n_steps": 24, "batch_size": 48, "n_epochs": 2, "net_arch": [8]}


def quick(tmp_path: Path, name: str = "run", **changes: object) -> TrainSB3:
    config = tmp_path / "quick.yaml"
    config.write_text(yaml.safe_dump(QUICK))
    options: dict[str, object] = {"config": config}
    options |= {"steps": 192, "eval_every": 96, "checkpoint_every": 96, "tuning_days": 2, "eval_days": 2}
    return TrainSB3(out=tmp_path / name, progress=False, **(options | changes))  # type: ignore[arg-type]


def lanes(count: int) -> LMaaSVecEnv:
    return LMaaSVecEnv(LMaaSVectorEnv(count, autoreset_mode="SameStep"))


def test_adapter_steps_what_dummy_vec_env_steps() -> None:
    fast, plain = lanes(3), DummyVecEnv([lambda: gym.make("LMaaS-v0")] * 3)
    for env in (fast, plain):
        env.seed(5)
    assert (fast.reset() == plain.reset()).all()
    rng = np.random.default_rng(0)
    profit = np.zeros(3)
    for _ in range(50):
        action = rng.uniform(-1.0, 1.0, (3, 4)).astype(np.float32)
        ours, theirs = fast.step(action), plain.step(action)
        for one, other in zip(ours[:3], theirs[:3], strict=True):
            assert one.dtype == other.dtype
            assert np.allclose(one, other, rtol=1e-6, atol=1e-6)
        profit += [info["profit"] for info in theirs[3]]
        for lane in np.flatnonzero(ours[2]):
            ended, reference = ours[3][lane], theirs[3][lane]
            assert np.allclose(ended["terminal_observation"], reference["terminal_observation"], atol=1e-6)
            assert ended["TimeLimit.truncated"] is reference["TimeLimit.truncated"] is False
            assert ended["day_profit"] == pytest.approx(profit[lane], abs=1e-5)
            profit[lane] = 0.0


def test_adapter_refuses_another_autoreset_mode() -> None:
    with pytest.raises(ValueError, match="autoreset_mode = 'NextStep' must be 'SameStep'"):
        LMaaSVecEnv(LMaaSVectorEnv(1))


@pytest.mark.parametrize("norm_obs", [True, False])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_exported_policy_acts_as_the_model_through_its_normaliser(norm_obs: bool, activation: str) -> None:
    env = VecNormalize(lanes(4), norm_obs=norm_obs)
    kinds = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}
    model = PPO(
        "MlpPolicy", env, n_steps=24, batch_size=48, policy_kwargs={"activation_fn": kinds[activation]}, device="cpu"
    )
    model.learn(192)
    seller = export(model, Market("day"), None, 0, 1, {})
    observations = np.random.default_rng(0).uniform(-2.0, 2.0, (50, 75)).astype(np.float32)
    expected, _ = model.predict(env.normalize_obs(observations), deterministic=True)
    acted, _ = seller.predict(observations)
    assert np.abs(acted - expected).max() < 1e-5
    assert np.abs(seller.predict(observations[7])[0] - acted[7]).max() < 1e-6


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(quick(tmp_path_factory.mktemp("trained")))


def test_a_run_leaves_everything_behind(trained: Path) -> None:
    folder = trained
    names = {path.name for path in folder.iterdir()}
    assert {"config.yaml", "origin.json", "monitor.csv", "evaluations.csv", "tensorboard", "checkpoints"} <= names
    assert {"policy.safetensors", "policy.json", "model.zip", "vecnormalize.pkl", "table.csv", "days.csv"} <= names
    assert all(title in (folder / "report.html").read_text() for title in ("<h2>Profit</h2>", "<h2>Learning</h2>"))
    assert not [name for name in names if name.startswith(".")]
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    assert Scenario.from_dict(settings["scenario"]) == Scenario()
    assert settings["sb3"]["net_arch"] == [8]
    evaluations = list(csv.DictReader((folder / "evaluations.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in evaluations] == [0, 96, 192]
    monitored = list(csv.DictReader((folder / "monitor.csv").read_text().splitlines()[1:]))
    assert len(monitored) == 8
    for row in monitored:
        assert float(row["day_profit"]) == pytest.approx(24.0 * float(row["r"]), rel=1e-4)
        assert float(row["day_revenue"]) - float(row["day_cost"]) == pytest.approx(float(row["day_profit"]), abs=1e-4)
    spec = json.loads((folder / "policy.json").read_text())
    assert spec["steps"] == 192
    assert spec["scores"]["held_out"]["first_day_seed"] == 900_000_000
    assert load_policy(folder).predict(np.zeros(75))[0].shape == (4,)
    (checkpoint,) = (folder / "checkpoints").iterdir()
    load_policy(checkpoint).check(Market("day"))


RESIDUAL = QUICK | {"policy": "set", "encoder": 8, "residual_scale": 0.4, "snap_radius": 0.1, "searches": 3}
RESIDUAL |= {"gamma": 1.0, "shaping": True, "activation": "relu"}


def test_a_residual_policy_over_customers_acts_as_the_model(tmp_path: Path) -> None:
    config = tmp_path / "residual.yaml"
    config.write_text(yaml.safe_dump(RESIDUAL | {"imitated_days": 1, "critic_first": 96}))
    folder = train(quick(tmp_path, config=config))
    seller, model = load_policy(folder), PPO.load(folder / "model.zip", device="cpu")
    market = Market("day")
    state, _ = market.days([np.random.default_rng(i) for i in range(6)])
    seen = observation_from_state(market, state)
    assert seller.residual is not None
    expected, _ = model.predict(
        encoded(market, seller.residual, state_from_observation(market, seen)), deterministic=True
    )
    assert np.abs(np.clip(seller.outputs(seen), -1.0, 1.0) - expected).max() < 1e-5
    assert np.abs(seller.predict(seen[2])[0] - seller.predict(seen)[0][2]).max() < 1e-6


@pytest.mark.heavy
def test_a_policy_for_resampled_customers_does_not_depend_on_their_order_or_number(tmp_path: Path) -> None:
    config = tmp_path / "residual.yaml"
    config.write_text(yaml.safe_dump(RESIDUAL))
    seller = load_policy(train(quick(tmp_path, scenario="population", config=config)))
    for customers in (24, 5):
        base = Market(Scenario.from_dict({"base": "population", "customers": customers}))
        seller.check(base)
        market, state, *_ = open_days(base, [1, 2])
        other = np.random.default_rng(0).permutation(customers)
        shuffled = market.with_population(Population(*(it[:, other] for it in market.population)))
        moved = state._replace(**{name: getattr(state, name)[:, other] for name in state._fields[1:]})
        seen, again = (observation_from_state(*it) for it in ((market, state), (shuffled, moved)))
        assert np.allclose(seller.outputs(seen), seller.outputs(again), atol=1e-5)
        assert np.abs(seller.outputs(seen)[0] - seller.outputs(seen)[1]).max() > 1e-4
        assert np.allclose(seller.predict(seen)[0], seller.predict(again)[0], atol=1e-5)
    with pytest.raises(ValueError, match="prices 4 models"):
        seller.check(Market(dataclasses.replace(Scenario.preset("population"), **two_models())))


def two_models() -> dict[str, tuple[object, ...]]:
    return {name: getattr(Scenario(), name)[:2] for name in ("models", *MODEL_FIELDS)}


def test_shaped_rewards_of_a_day_differ_from_its_profit_by_the_first_energy_value_alone() -> None:
    market = Market("day")
    plan = plan_of(market)
    env = LMaaSVectorEnv(5, market=market, autoreset_mode="SameStep")
    shaped = ResidualVecEnv(LMaaSVecEnv(env), env, residual_of(market, plan, 0.4, 0.1), True, shaping=True)
    shaped.seed(3)
    shaped.reset()
    assert env.state is not None
    first = potential(market, plan.energy_value, env.state)
    total, rng = np.zeros(5), np.random.default_rng(0)
    infos: list[dict[str, float]] = []
    for _ in range(24):
        shaped.step_async(rng.normal(size=(5, 4)))
        _, reward, done, infos = shaped.step_wait()
        total += reward
    assert done.all()
    assert np.allclose(24.0 * total, [info["day_profit"] for info in infos] - first, atol=1e-3)
    assert (first > 100.0).all()


@pytest.mark.heavy
def test_the_actor_waits_for_the_critic(tmp_path: Path) -> None:
    config = tmp_path / "residual.yaml"
    config.write_text(yaml.safe_dump(RESIDUAL | {"critic_first": 192}))
    folder = train(quick(tmp_path, config=config, steps=384))
    policies = sorted([*(folder / "checkpoints").iterdir(), folder], key=lambda it: load_policy(it).spec.steps)
    assert [load_policy(it).spec.steps for it in policies] == [96, 192, 288, 384]
    first, held, free, _ = (load_file(it / "policy.safetensors")["encoder.weight"] for it in policies)
    assert (first == held).all()
    assert (held != free).any()


def test_imitation_brings_a_policy_to_its_teacher() -> None:
    market, config = Market("day"), SB3Config(**RESIDUAL)
    residual = residual_of(market, plan_of(market), config.residual_scale, 0.0)
    env = LMaaSVectorEnv(4, market=market, autoreset_mode="SameStep")
    model = build_model(VecNormalize(ResidualVecEnv(LMaaSVecEnv(env), env, residual, True)), config, 0)
    seen, target, sold = demonstrated(market, residual, range(1_500_000, 1_500_003))

    def error() -> float:
        mean = model.predict(seen.numpy(), deterministic=True)[0]
        return float(np.abs(mean - target.numpy())[sold.numpy()].mean())

    before = error()
    imitate(model, market, residual, range(1_500_000, 1_500_003))
    assert error() < 0.8 * before


@pytest.mark.parametrize(("content", "message"), [(None, "has no checkpoint"), (b"rubbish", "is no snapshot")])
def test_a_run_that_cannot_go_on_says_why(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "snapshot.pt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        train(TrainSB3(resume=tmp_path))
    save_snapshot(tmp_path / "snapshot.pt", {"policy": {}})
    with pytest.raises(ValueError, match=r"optimiser.* is missing"):
        train(TrainSB3(resume=tmp_path))


@pytest.mark.heavy
def test_a_run_that_goes_on_from_its_checkpoint_has_the_same_curve(tmp_path: Path) -> None:
    config = tmp_path / "residual.yaml"
    config.write_text(yaml.safe_dump(RESIDUAL))
    # One checkpoint, several updates before the end: the learning rate of the last one is 0.
    runs = {"config": config, "steps": 576, "checkpoint_every": 288}
    whole = train(quick(tmp_path, "whole", **runs))
    cut = Path(shutil.copytree(whole, tmp_path / "cut"))
    for file in ("policy.safetensors", "policy.json", "evaluations.csv"):  # as if it had stopped after the checkpoint
        text = (cut / "evaluations.csv").read_text().splitlines()[:5] if file.endswith("csv") else []
        (cut / file).write_text("\n".join(text) + "\n")
    known = (cut / "evaluations.csv").read_text()
    train(TrainSB3(resume=cut, progress=False))
    assert (cut / "evaluations.csv").read_text().startswith(known)  # seconds too: nothing was done again
    ours, theirs = load_file(cut / "policy.safetensors"), load_file(whole / "policy.safetensors")
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    curves = [[row.split(",")[::2] for row in (it / "evaluations.csv").read_text().splitlines()] for it in (whole, cut)]
    assert curves[0] == curves[1]


@pytest.mark.heavy
def test_one_seed_gives_one_policy_and_another_seed_another(trained: Path, tmp_path: Path) -> None:
    folders = [trained, *(train(quick(tmp_path, f"run{seed}", seed=seed)) for seed in (1, 2))]
    first, second, other = (load_file(folder / "policy.safetensors") for folder in folders)
    assert all((first[name] == second[name]).all() for name in first)
    assert (first["layer0.weight"] != other["layer0.weight"]).any()


def test_ctrl_c_keeps_what_was_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate = Run._evaluate

    def interrupted(run: Run) -> None:
        evaluate(run)
        if run.num_timesteps == 96:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Run, "_evaluate", interrupted)
    before = signal.getsignal(signal.SIGINT)
    folder = train(quick(tmp_path, steps=1_000_000))
    assert signal.getsignal(signal.SIGINT) is before
    said = capsys.readouterr().out
    assert "stopped after 100 steps" in said
    assert f"policy  {folder}" in said
    assert load_policy(folder).spec.steps == 100
    assert (folder / "model.zip").exists()


def test_a_trained_run_can_be_compared_and_a_misfit_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(trained)
    assert main(["compare", "--days", "2", "--sellers", run, "--out", str(tmp_path / "a")]) == 0
    assert main(["compare", "--scenario", "public", "--sellers", run, "--out", str(tmp_path / "b")]) == 2
    assert "sees 75 numbers" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenario": "dya"}, "did you mean 'day'"),
        ({"steps": 0}, "steps = 0 must be at least 1"),
        ({"seed": 500}, "training seed = 500 must be in 1..499"),
        ({"eval_days": 0}, "eval_days = 0"),
        ({"resume": Path("nowhere")}, "steps cannot be given with resume|config cannot be given with resume"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train(quick(tmp_path, **changes))
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_exists_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "policy.json").write_text("mine")
    with pytest.raises(ValueError, match=r"out = '.*imp' must not end in 'imp'"):
        train(quick(tmp_path, "imp"))
    with pytest.raises(ValueError, match=r"run' exists already"):
        train(quick(tmp_path))
    assert (tmp_path / "run" / "policy.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat: 0.1", "key 'learning_rat' is unknown, did you mean 'learning_rate'"),
        ("learning_rate: much", "learning_rate = 'much' must be a number in"),
        ("gamma: .nan", "gamma = nan must be a number in"),
        ("n_envs: 3", r"batch_size = 512 must divide n_envs \* n_steps = 3 \* 48"),
        ("- 1", "must map names to values, it holds a list"),
        ("net_arch: [0]", r"net_arch\[0\] = 0 must be a whole number"),
        ("activation: gelu", "activation = 'gelu' must be one of"),
        ("policy: sett", "policy = 'sett' must be one of flat, set"),
        ("policy: set", "residual_scale = 0.0 must be positive"),
        ("{residual_scale: 0.4, imitated_days: 3}", "policy = 'flat' must be 'set' with imitated_days"),
        ("{residual_scale: 0.4, shaping: true}", "gamma = 0.99 must be 1 with shaping"),
    ],
)
def test_bad_configs_are_refused_with_file_key_and_range(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as refused:
        SB3Config.from_yaml(path)
    assert "bad.yaml" in str(refused.value)
