"""In-context imitation and PPO with a memory: networks, sellers, settings, and the study of unknown markets."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from lmaas_agents.adaptive import plan_library
from lmaas_agents.adaptive.plan_library import load_library
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_agents.learned.policy_file import load_policy, save_policy
from lmaas_train.cli.in_context import TrainInContext
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.in_context import InContext, InContextConfig
from lmaas_train.networks import Recurrent
from lmaas_train.ppo import PPO
from lmaas_train.ppo_config import PPOConfig
from lmaas_train.runs import EVALUATIONS
from lmaas_train.studies.unknown import StudyUnknown

from lmaas_env import Market, Scenario
from lmaas_env.seeds import tuning_seeds

SMALL = dataclasses.replace(Scenario.preset("unknown"), name="small", customers=4, periods=48)
QUICK = InContextConfig(rounds=2, hidden=(8, 8), batch=4)


@pytest.fixture(autouse=True, scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Libraries take a moment and are kept in a cache of their own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, number in (("HYPOTHESES", 12), ("PLANS", 3), ("PRIOR_EPISODES", 4)):
            patch.setattr(plan_library, name, number)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        load_library.cache_clear()
        yield
        load_library.cache_clear()


def outputs_by_hour(seller: LearnedSeller, seen: np.ndarray) -> np.ndarray:
    """Actions (K, H, M) of a seller that is shown episodes (K, H, D)."""
    memory, actions = None, list[np.ndarray]()
    for hour in range(seen.shape[1]):
        action, memory = seller.predict(seen[:, hour], memory, np.full(len(seen), hour == 0))
        actions.append(action)
    return np.stack(actions, axis=1)


def test_the_seller_computes_what_the_recurrent_network_does() -> None:
    learner = InContext(Market(SMALL), QUICK, 1)
    learner.round()
    seen = np.random.default_rng(0).normal(size=(3, 7, 16)).astype(np.float32)
    with torch.no_grad():
        expected = learner.actor(torch.from_numpy(seen)).numpy()
        stepped, hidden = list[np.ndarray](), None
        for hour in range(7):
            outputs, hidden = learner.actor.step(torch.from_numpy(seen[:, hour]), hidden)
            stepped.append(outputs.numpy())
    np.testing.assert_allclose(np.stack(stepped, axis=1), expected, atol=1e-6)
    np.testing.assert_allclose(outputs_by_hour(learner.seller({}), seen), np.clip(expected, -1.0, 1.0), atol=1e-5)


def test_learning_brings_the_policy_nearer_to_the_teacher_and_repeats_exactly() -> None:
    errors = []
    for _ in range(2):
        learner = InContext(Market(SMALL), dataclasses.replace(QUICK, rounds=12), 3)
        errors.append([learner.round() for _ in range(12)])
    assert errors[0] == errors[1]
    assert errors[0][-1] < 0.5 * errors[0][0]
    assert learner.steps == 12 * 12 * 48


@pytest.mark.parametrize("memory", ["stack", "gru"])
def test_ppo_learns_with_a_memory_and_its_seller_remembers(memory: str, tmp_path: Path) -> None:
    config = PPOConfig(lanes=8, copies=4, batches=4, hidden=(8, 8), memory=memory, stack=3)
    learner = PPO(Market(SMALL), config, 1)
    before = [weight.detach().clone() for weight in learner.actor.parameters()]
    assert np.isfinite(list(learner.update(0.0).values())).all()
    assert all(not torch.equal(one, two) for one, two in zip(before, learner.actor.parameters(), strict=True))
    seller = load_policy(save_policy(tmp_path / "policy", learner.seller(0, {})))
    seen = np.random.default_rng(0).normal(size=(2, 6, 16)).astype(np.float32)
    with torch.no_grad():
        if isinstance(learner.actor, Recurrent):
            expected = learner.actor(torch.from_numpy(seen)).numpy()
        else:
            padded = np.concatenate([np.zeros((2, 2, 16), np.float32), seen], axis=1)
            windows = np.stack([padded[:, hour : hour + 3].reshape(2, -1) for hour in range(6)], axis=1)
            expected = learner.actor(torch.from_numpy(windows)).numpy()
    np.testing.assert_allclose(outputs_by_hour(seller, seen), np.clip(expected, -1.0, 1.0), atol=1e-5)
    again, _ = seller.predict(seen[:, 0], seller.predict(seen[:, 3])[1], np.array([True, True]))
    np.testing.assert_array_equal(again, seller.predict(seen[:, 0])[0])  # a new episode forgets
    with pytest.raises(ValueError, match="state has shape"):
        seller.predict(seen[:, 0], np.zeros((2, 1)))


def test_ppo_goes_on_with_a_recurrent_unit_exactly_where_it_was() -> None:
    config = PPOConfig(lanes=4, copies=2, batches=2, hidden=(8,), memory="gru")
    through, stopped, resumed = (PPO(Market(SMALL), config, 2) for _ in range(3))
    expected = [through.update(done) for done in (0.0, 0.5)]
    assert stopped.update(0.0) == expected[0]
    resumed.restore(stopped.snapshot())
    assert resumed.update(0.5) == expected[1]


@pytest.mark.parametrize(
    ("scenario", "message"), [("public", "must be hidden"), ("population", "must be hidden"), ("drift", "stay during")]
)
def test_known_or_changing_customers_are_refused(scenario: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InContext(Market(scenario), QUICK, 1)


def test_batches_of_episodes_divide_the_lanes() -> None:
    with pytest.raises(ValueError, match="batches = 3 must divide lanes = 8"):
        PPO(Market(SMALL), PPOConfig(lanes=8, batches=3, memory="gru"), 1)


def test_train_and_study(tmp_path: Path) -> None:
    scenario, settings = tmp_path / "small.yaml", tmp_path / "settings.yaml"
    SMALL.to_yaml(scenario)
    settings.write_text("rounds: 2\nhidden: [8, 8]\nbatch: 4\n")
    runs = tmp_path / "in-context"
    runs.mkdir()
    for seed in (1, 2):
        TrainInContext(
            scenario=str(scenario), seed=seed, config=settings, out=runs / f"seed{seed}", tuning_days=2, progress=False
        ).main()
    with (runs / "seed1/evaluations.csv").open() as file:
        assert [row["round"] for row in csv.DictReader(file)] == ["2"]
    rows = StudyUnknown(
        scenario=str(scenario), sellers=("gp-ucb",), runs=(runs,), days=3, out=tmp_path / "study"
    ).main()
    by_name = {row[0]: row for row in rows}
    assert by_name.keys() == {"prior-plan", "own-plan", "gp-ucb", "in-context"}
    assert by_name["prior-plan"][6] == 0.0
    assert by_name["own-plan"][6] == 1.0
    assert by_name["in-context"][1] == 2
    assert {path.name for path in (tmp_path / "study").iterdir()} >= {"table.csv", "by_day.csv", "by_day.png"}
    with (tmp_path / "study/by_day.csv").open() as file:
        days = list(csv.DictReader(file))
    assert len(days) == 4 * 2
    market = Market(SMALL)
    profit = rollout(market, load_policy(runs / "seed1"), tuning_seeds(2)).day_profit
    assert np.isfinite(profit).all()


class Killed(BaseException):
    """Ends a training where a kill would."""


@pytest.mark.parametrize("rounds", [0, 3])  # killed before the first evaluation, and after it
def test_a_training_that_was_killed_goes_on(rounds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario, settings = tmp_path / "small.yaml", tmp_path / "settings.yaml"
    SMALL.to_yaml(scenario)
    settings.write_text("rounds: 5\nhidden: [8, 8]\nbatch: 4\n")
    options = {"scenario": str(scenario), "config": settings, "tuning_days": 2, "eval_every": 2, "progress": False}
    whole, cut = (TrainInContext(**options, out=tmp_path / name) for name in ("whole", "cut"))
    whole.main()
    with monkeypatch.context() as patch:
        learn = InContext.round

        def round_or_die(learner: InContext) -> float:
            if learner.rounds == rounds:
                raise Killed
            return learn(learner)

        patch.setattr(InContext, "round", round_or_die)
        with pytest.raises(Killed):
            cut.main()
    with (tmp_path / "cut" / EVALUATIONS).open("a") as file:
        file.write("4,12.5,77")  # half a row
    TrainInContext(resume=tmp_path / "cut", progress=False).main()
    weights = [(tmp_path / name / "policy.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]
    curves = []
    for name in ("whole", "cut"):
        with (tmp_path / name / EVALUATIONS).open() as file:
            curves.append([row["round"] + row["mean_profit"] for row in csv.DictReader(file)])
    assert curves[0] == curves[1]
    assert len(curves[0]) == 3
    with pytest.raises(ValueError, match="seed cannot be given with resume"):
        TrainInContext(resume=tmp_path / "cut", seed=2).main()


def test_the_study_wants_hidden_customers() -> None:
    with pytest.raises(ValueError, match="does not hide its customers"):
        StudyUnknown(scenario="day").main()
