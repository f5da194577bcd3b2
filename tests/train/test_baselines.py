"""`lmaas train baseline`: every algorithm for a few steps, and what each computes."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from lmaas_agents.learned.policy_file import load_policy
from lmaas_train.__main__ import main
from lmaas_train.baselines import evolution, offline
from lmaas_train.baselines.config import ALGORITHMS, OFFLINE, BaselineConfig
from lmaas_train.cli.baseline import TrainBaseline
from lmaas_train.evaluation.adapters import load_zip
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.sweeps.sweep_file import read_plan

from lmaas_env import Market
from lmaas_env.seeds import training_seeds
from lmaas_env.vector_env import LMaaSVectorEnv

SETTINGS = "hidden: [8]\nbatch: 16\nlanes: 4\nupdates: 1\ncandidates: 4\nlogged_days: 2\n"


def trained(folder: Path, algorithm: str, name: str = "run") -> Path:
    pytest.importorskip("cma" if algorithm == "cma-es" else "sb3_contrib")
    (folder / "config.yaml").write_text(f"algorithm: {algorithm}\n{SETTINGS}")
    sizes = {"steps": 96, "eval_every": 48, "tuning_days": 2, "eval_days": 2, "progress": False}
    return TrainBaseline("static", config=folder / "config.yaml", out=folder / name, **sizes).main()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_is_trained_scored_and_loaded(algorithm: str, tmp_path: Path) -> None:
    run = trained(tmp_path, algorithm)
    curve = list(csv.DictReader((run / "evaluations.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in curve][-1] == 96
    rows = {row["seller"]: row for row in csv.DictReader((run / "table.csv").read_text().splitlines())}
    assert rows.keys() == {"run", "imp"}
    seller = load_policy(run) if (run / "policy.json").exists() else load_zip(run / "model.zip")
    days = rollout(Market("static"), seller, [900_000_000, 900_000_001])
    assert days.day_profit.mean() == pytest.approx(float(rows["run"]["profit"]))


@pytest.mark.parametrize("algorithm", ["recurrent-ppo", "cma-es", "iql"])
def test_the_same_seed_gives_the_same_policy(algorithm: str, tmp_path: Path) -> None:
    first, second = (trained(tmp_path, algorithm, name) for name in ("first", "second"))
    ends = [(run / "evaluations.csv").read_text().splitlines()[-1].split(",")[2:] for run in (first, second)]
    assert ends[0] == ends[1]


def test_candidates_earn_what_their_policies_earn() -> None:
    market, seeds = Market("static"), training_seeds(1, 3)
    size, models = 75, 4
    weights = np.random.default_rng(0).normal(0.0, 0.1, (2, size + 1, models)).astype(np.float32)
    env = evolution._lanes(market, BaselineConfig(algorithm="cma-es", candidates=2, lanes=3), 1)
    found = evolution._profits(env, weights, market.scenario.periods)  # on the days after the first
    again = LMaaSVectorEnv(3, market=market)
    again.reset(seed=list(seeds))
    for row, profit in zip(weights, found, strict=True):
        again.reset(seed=list(seeds))
        observation, _ = again.reset()
        seller, total = evolution._seller(row.ravel().astype(float), market, 1, 1), np.zeros(3)
        for _ in range(market.scenario.periods):
            observation, reward, *_ = again.step(seller.predict(observation)[0])
            total += reward
        assert total.mean() == pytest.approx(profit, rel=1e-5)


def test_all_candidates_sell_the_same_days() -> None:
    market = Market("day")
    env = evolution._lanes(market, BaselineConfig(algorithm="cma-es", candidates=2, lanes=3), 1)
    weights = np.random.default_rng(0).normal(0.0, 0.1, (1, 76, 4)).astype(np.float32).repeat(2, axis=0)
    days = [evolution._profits(env, weights, market.scenario.periods) for _ in range(2)]
    assert days[0][0] == days[0][1] != days[1][0] == days[1][1]


def test_a_clone_posts_the_prices_of_its_teacher() -> None:
    market = Market("static")
    config = BaselineConfig(algorithm="bc", behaviour="fixed", logged_days=2, batch=24, learning_rate=0.01)
    clone = offline.learn(market, config, 600, 1, lambda *_: None)
    (taught, *_), _ = clone.predict(np.zeros((1, 75), np.float32))
    logged = offline._Steps.of(market, config, 1)
    assert logged.actions.std(dim=0).max() == 0.0
    seen, _ = clone.predict(logged.seen.numpy())
    assert np.abs(seen - logged.actions.numpy()).max() < 0.05
    assert taught.shape == (4,)


def test_logged_steps_lead_to_the_next_and_end_with_the_day() -> None:
    market = Market("day")
    logged = offline._Steps.of(market, BaselineConfig(algorithm="iql", behaviour="fixed", logged_days=2), 1)
    hours = market.scenario.periods
    assert logged.goes_on.ravel().tolist() == 2 * [*(hours - 1) * [1.0], 0.0]
    on = logged.goes_on[:-1, 0] > 0.0
    assert torch.equal(logged.later[:-1][on], logged.seen[1:][on])
    assert not torch.equal(logged.later[hours - 1], logged.seen[hours])
    assert logged.rewards.std(correction=0).item() == pytest.approx(1.0)


def test_without_weights_of_advantages_iql_is_behaviour_cloning() -> None:
    market = Market("static")
    config = BaselineConfig(algorithm="iql", advantage_weight=0.0, logged_days=2, batch=16, hidden=(8,))
    iql, bc = (
        offline.learn(market, dataclasses.replace(config, algorithm=name), 20, 1, lambda *_: None).weights
        for name in OFFLINE[::-1]
    )
    assert all(np.array_equal(iql[name], bc[name]) for name in bc)


def test_the_value_of_a_state_is_an_expectile_of_the_values_of_logged_actions() -> None:
    """Of two actions that earn 0 and 1, the .9 expectile is .9: .9 (1 - v) = .1 v."""
    market = Market("static")
    config = BaselineConfig(algorithm="iql", expectile=0.9, learning_rate=0.003)
    critic = offline._Critic(market, config, 1)
    seen, actions = torch.zeros(2, 75), torch.zeros(2, 4)
    actions[1] = 1.0
    steps = offline._Steps(seen, actions, torch.tensor([[0.0], [1.0]]), seen, torch.zeros(2, 1))
    for _ in range(3000):
        weight = critic.learn(steps)
    advantages = weight.log() / config.advantage_weight
    assert advantages.ravel().tolist() == pytest.approx([-0.9, 0.1], abs=0.02)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ("algorithm: ddpg", "algorithm = 'ddpg' must be one of sac, tqc"),
        ("algorithm: iql\nexpectile: 2", "expectile = 2 must be"),
        ("algorithm: bc\nbehaviour: lookahaed", "seller 'lookahaed' is unknown, did you mean 'lookahead'?"),
        ("algorithm: recurrent-ppo\nlanes: 1\nbatch: 23", "batch = 23 must not leave a single one of the 24 steps"),
        ("algorithm: cma-es\nlanes: 65536", "lanes = 65536 times candidates = 32 must be at most 65536"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(
    settings: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cma")
    (tmp_path / "config.yaml").write_text(settings + "\n")
    out = tmp_path / "out"
    assert main(["train", "baseline", "--config", str(tmp_path / "config.yaml"), "--out", str(out)]) == 2
    assert fault in capsys.readouterr().err
    assert not out.exists()


def test_baselines_are_algorithms_of_sweeps(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "sweep.yaml").write_text(
        "scenarios: [static]\nalgorithms:\n  clone:\n    train: baseline\n    settings: { algorithm: bc }\n"
    )
    (cell,) = [it.cell for it in read_plan(tmp_path / "sweep.yaml").grid if it.cell.train]
    assert (cell.train, cell.settings["algorithm"]) == ("baseline", "bc")


def test_a_seed_out_of_range_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "baseline", "--seed", "500", "--out", str(tmp_path / "out")]) == 2
    assert "training seed = 500 must be in 1..499" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
