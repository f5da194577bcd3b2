"""`lmaas train`: PPO from scratch learns, one seed gives one policy, and a run that goes on has the same curve."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lmaas_agents import FixedPrice, load_policy
from lmaas_train.cli import train as command
from lmaas_train.cli.train import Train, train
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.networks import act
from lmaas_train.ppo import PPO
from lmaas_train.ppo_config import ENCODERS, PPOConfig
from lmaas_train.snapshots import save_snapshot
from lmaas_train.training import ctrl_c
from safetensors.numpy import load_file

from lmaas_env import Market, Scenario
from lmaas_env.seeds import TRAINING_STRIDE, tuning_seeds
from lmaas_env.spaces import customer_columns, observation_from_state, observation_size

torch.set_num_threads(1)
QUICK: dict[str, Any] = {"lanes": 8, "copies": 4, "epochs": 2, "batches": 4, "hidden": [8]}


def quick(tmp_path: Path, name: str = "run", **changes: Any) -> Train:
    config = tmp_path / "quick.yaml"
    config.write_text(yaml.safe_dump(QUICK))
    options: dict[str, Any] = {"config": config, "steps": 576, "eval_every": 192, "checkpoint_every": 384}
    return Train(out=tmp_path / name, progress=False, **(options | {"tuning_days": 2, "eval_days": 2} | changes))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(quick(tmp_path_factory.mktemp("trained")))


def test_a_run_leaves_everything_behind(trained: Path) -> None:
    folder = trained
    names = {path.name for path in folder.iterdir()}
    assert {"config.yaml", "origin.json", "evaluations.csv", "tensorboard", "snapshot.pt"} <= names
    assert {"policy.safetensors", "policy.json", "table.csv", "days.csv", "report.html"} <= names
    assert not [name for name in names if name.startswith(".")]
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    assert Scenario.from_dict(settings["scenario"]) == Scenario()
    assert settings["ppo"]["hidden"] == [8]
    evaluations = list(csv.DictReader((folder / "evaluations.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in evaluations] == [0, 192, 384, 576]
    assert all(0.3 < float(row["share_of_imp"]) < 1.2 for row in evaluations)
    spec = json.loads((folder / "policy.json").read_text())
    assert (spec["steps"], spec["policy"], spec["residual_scale"]) == (576, "flat", 0.0)
    assert spec["scores"]["held_out"]["first_day_seed"] == 900_000_000
    assert load_policy(folder).predict(np.zeros(75))[0].shape == (4,)


def test_ten_updates_earn_more_than_the_first_prices() -> None:
    market, seeds = Market("day"), tuning_seeds(8)
    learner = PPO(market, PPOConfig(lanes=64), seed=1)
    first = rollout(market, learner.seller(0, {}), seeds).day_profit
    posted = rollout(market, FixedPrice(market, np.full(4, 16.0)), seeds).day_profit
    assert np.abs(first / posted - 1.0).max() < 0.15  # small weights: nearly the same price everywhere
    for _ in range(10):
        learner.update(0.0)
    assert rollout(market, learner.seller(0, {}), seeds).day_profit.mean() > 1.1 * first.mean()


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("scenario", ["day", "population", "rivals"])
def test_the_exported_policy_acts_as_the_network(scenario: str, encoder: str) -> None:
    market = Market(scenario)
    withdraw = 0.25 if scenario == "rivals" else 0.0
    learner = PPO(market, PPOConfig(**QUICK, encoder=encoder, withdraw=withdraw), seed=2)
    learner.update(0.5)
    states = market.days([np.random.default_rng(i) for i in range(6)])[0]
    seen = observation_from_state(market, states)
    models = market.catalogue.size
    with torch.no_grad():
        outputs = learner.actor(torch.from_numpy(seen)).numpy()
    expected = outputs[:, :models].clip(-1.0, 1.0)
    if withdraw:
        expected[outputs[:, models] > 0.0] = 1.0
    seller = learner.seller(0, {})
    assert np.abs(seller.predict(seen)[0] - expected).max() < 1e-6
    assert float(seller.weights["log_std"][0]) == pytest.approx(np.log(np.sqrt(0.37 * 0.02)))


@pytest.mark.parametrize(
    ("encoder", "scenario", "shown"),
    [("mean", "population", 15), ("set", "population", 15), ("attention", "population", 15), ("mean", "day", 3)],
)
def test_prices_for_strangers_depend_neither_on_their_order_nor_on_their_number(
    encoder: str, scenario: str, shown: int
) -> None:
    market = Market(scenario)
    learner = PPO(market, PPOConfig(**QUICK, encoder=encoder), seed=2)
    learner.update(0.5)
    seller, rng = learner.seller(0, {}), np.random.default_rng(0)
    seen = observation_from_state(market, market.days([rng])[0])[0]
    columns, _ = customer_columns(market.scenario, len(seen))
    other = seen.copy()
    other[columns] = seen[columns[rng.permutation(len(columns))]]
    assert np.abs(seller.predict(seen)[0] - seller.predict(other)[0]).max() < 1e-6
    twice = Market(dataclasses.replace(market.scenario, customers=2 * len(columns)))
    seller.check(twice)
    doubled = np.zeros(observation_size(twice), dtype=np.float32)
    wide, rest = customer_columns(twice.scenario, len(doubled))
    doubled[wide], doubled[rest] = np.tile(seen[columns], (2, 1)), seen[customer_columns(market.scenario, len(seen))[1]]
    assert np.abs(seller.predict(seen)[0] - seller.predict(doubled)[0]).max() < 1e-6
    with pytest.raises(ValueError, match=rf"their number must be 3 \+ customers \* {shown}"):
        seller.predict(seen[:-1])
    for other_view in ("public", "rivals", "day" if scenario == "population" else "population"):
        with pytest.raises(ValueError, match="this market"):
            seller.check(Market(other_view))


def test_copies_of_a_day_meet_the_same_market_and_other_days_another() -> None:
    learner = PPO(Market("day"), PPOConfig(**QUICK), seed=3)
    for _ in range(2):  # days after the first, too
        learner.env.reset()
        assert learner.env.state is not None
        charge, shadowing = learner.env.state.charge, learner.env.state.shadowing
        assert (charge[:4] == charge[0]).all()
        assert (shadowing[4:] == shadowing[4]).all()
        assert (charge[0] != charge[4]).any()
    own = [np.random.default_rng(3 * TRAINING_STRIDE + day).bit_generator.state["state"]["inc"] for day in range(2)]
    assert [learner.env.rngs[lane].bit_generator.state["state"]["inc"] for lane in (0, 4)] == own


def test_advantages_are_generalised_and_relative_to_the_copies_of_a_day() -> None:
    learner = PPO(Market("static"), PPOConfig(lanes=4, copies=2, gamma=0.9, gae_lambda=0.8, batches=1), seed=1)
    rng = np.random.default_rng(0)
    reward, value = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    found = learner._advantages(reward, value)
    ahead = np.vstack([value[1:], np.zeros((1, 4))])
    error = reward + 0.9 * ahead - value
    for hour in range(3):
        assert np.allclose(found[hour], sum(0.72**k * error[hour + k] for k in range(3 - hour)))
    relative = learner._relative(found)
    assert np.allclose(relative[:, 0] + relative[:, 1], 0.0)
    assert np.allclose(relative[:, 0], 0.5 * (found[:, 0] - found[:, 1]))


def test_one_seed_gives_one_policy_and_another_seed_another(trained: Path, tmp_path: Path) -> None:
    folders = [trained, *(train(quick(tmp_path, f"run{seed}", seed=seed)) for seed in (1, 2))]
    first, second, other = (load_file(folder / "policy.safetensors") for folder in folders)
    assert all((first[name] == second[name]).all() for name in first)
    assert (first["layer0.weight"] != other["layer0.weight"]).any()


@pytest.mark.parametrize("scenario", ["public", "population", "mini"])
def test_it_trains_on_every_kind_of_market(tmp_path: Path, scenario: str) -> None:
    load_policy(train(quick(tmp_path, scenario=scenario, steps=192))).check(Market(scenario))


def test_a_run_that_goes_on_from_its_snapshot_has_the_same_curve(trained: Path, tmp_path: Path) -> None:
    whole, cut = trained, Path(shutil.copytree(trained, tmp_path / "cut"))
    for file in ("policy.safetensors", "policy.json", "evaluations.csv"):  # as if it had stopped after the snapshot
        text = (cut / "evaluations.csv").read_text().splitlines()[:4] if file.endswith("csv") else []
        (cut / file).write_text("\n".join(text) + "\n")
    train(Train(resume=cut, progress=False))
    ours, theirs = load_file(cut / "policy.safetensors"), load_file(whole / "policy.safetensors")
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    curves = [[row.split(",")[::2] for row in (it / "evaluations.csv").read_text().splitlines()] for it in (whole, cut)]
    assert curves[0] == curves[1]


@pytest.mark.parametrize(("content", "message"), [(None, "has no checkpoint"), (b"rubbish", "is no snapshot")])
def test_a_run_that_cannot_go_on_says_why(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "snapshot.pt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        train(Train(resume=tmp_path))
    with pytest.raises(ValueError, match="steps cannot be given with resume"):
        train(Train(resume=tmp_path, steps=7))
    save_snapshot(tmp_path / "snapshot.pt", {"learner": {}, "beside": "{}"})
    for text in (None, "train: {}\nsb3: {}\nscenario: {}\n", "train: {stepz: 3}\nppo: {}\nscenario: {}\n", "3"):
        if text is not None:
            (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(ValueError, match=r"config\.yaml: does not hold the settings of such a run"):
            train(Train(resume=tmp_path))


def test_ctrl_c_keeps_what_was_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    update = PPO.update

    def interrupted(learner: PPO, done: float) -> dict[str, float]:
        signal.raise_signal(signal.SIGINT)
        return update(learner, done)

    monkeypatch.setattr(command.PPO, "update", interrupted)
    before = signal.getsignal(signal.SIGINT)
    folder = train(quick(tmp_path, steps=1_000_000))
    assert signal.getsignal(signal.SIGINT) is before
    assert load_policy(folder).spec.steps == 192
    assert f"policy  {folder}" in capsys.readouterr().out


def test_a_second_ctrl_c_stops_at_once() -> None:
    stopped: list[bool] = []
    with ctrl_c(lambda: stopped.append(True)):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert stopped == [True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"copies": 3}, "copies = 3 must divide lanes = 8"),
        ({"batches": 7}, "batches = 7 must divide the 192 steps"),
        ({"first_price": 90.0}, r"first_price = 90 \$/h must be in \[1, 40\]"),
        ({"hidden": [0]}, "hidden"),
        ({"gamma": 1.5}, "gamma = 1.5"),
        ({"activation": "sine"}, "activation = 'sine' must be one of tanh, relu"),
        ({"withdraw": 0.2, "activation": "tanh"}, "withdraw = 0.2 needs activation = 'relu' and plan = 'none'"),
        ({"encoder": "set", "memory": "gru"}, "encoder = 'set' needs memory = 'none'"),
        ({"encoder": "attention", "hidden": [6]}, r"hidden = \[6\] must start with a multiple of 4"),
        ({"epoch": 3}, "key 'epoch' is unknown, did you mean 'epochs'"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    options = quick(tmp_path)
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(QUICK | changes))
    with pytest.raises(ValueError, match=message):
        train(options)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="eval_days = 1 must be at least 2"):
        train(dataclasses.replace(options, eval_days=1))


def test_self_play_prices_at_every_site_with_the_policy_in_training() -> None:
    market = Market(dataclasses.replace(Scenario.preset("rivals"), name="two", customers=4))
    config = PPOConfig(lanes=8, copies=4, batches=4, hidden=(8,), rival="self", first_std=1e-4, last_std=1e-4)
    learner, again = PPO(market, config, 1), PPO(market, config, 1)
    assert [learner.update(0.0), learner.update(0.5)] == [again.update(0.0), again.update(0.5)]
    observation, _ = learner.env.reset()
    action = act(learner.actor, config, observation, None)[1]
    info = learner.env.step(action)[-1]
    own, other = info["posted"].reshape(8, 2, -1).swapaxes(0, 1)
    np.testing.assert_allclose(other, own, rtol=0.2)  # one network at both sites, which see their own shadowing
    assert not np.array_equal(other, own)
    with pytest.raises(ValueError, match="rival = 'self' needs several sellers"):
        PPO(Market("day"), config, 1)
    with pytest.raises(ValueError, match="encoder = 'set' needs observation = 'full'"):
        PPO(Market("public"), PPOConfig(encoder="set"), 1)
