"""`lmaas dataset`: its days replay to the bit in `gym.make`, and a dataset is written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from lmaas_train import datasets
from lmaas_train.__main__ import main
from lmaas_train.cli.dataset import Dataset, dataset
from lmaas_train.datasets import LARGEST_NOISE, SIZES, LoggedDay, behaviour_of, log_days, write_dataset
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.evaluation.sellers import SELLERS

import lmaas_env
from lmaas_env import Market, Scenario
from lmaas_env.seeds import HELD_OUT_START, TUNING_START, training_seeds

HALF = "def half(observation):\n    return [0.5, 0.5, 0.5, 0.5]\n"


def replayed(env: gym.Env[Any, Any], seed: int, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return observations and rewards of a day's actions, and whether they end the day."""
    observation, _ = env.reset(seed=seed)
    observations, rewards, over = [observation], list[float](), False
    for action in actions:
        observation, reward, over, _, _ = env.step(action)
        observations.append(observation)
        rewards.append(float(reward))
    return np.stack(observations), np.array(rewards), over


def small(scenario: str) -> Market:
    """Return a market whose days are short."""
    return Market(dataclasses.replace(Scenario.preset(scenario), customers=6, periods=5))


@pytest.mark.parametrize(
    ("scenario", "seller"),
    [("day", "mixed"), ("public", "mixed"), ("population", "random"), ("population", "imp"), ("day", "file")],
)
def test_logged_days_replay_to_the_bit(scenario: str, seller: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(HALF)
    market, name = small(scenario), f"{tmp_path / 'mine.py'}:half" if seller == "file" else seller
    seeds = training_seeds(3, 12 if seller == "mixed" else 3)
    days = list(log_days(market, behaviour_of(name, market), seeds))
    env = gym.make("LMaaS-v0", scenario=market.scenario)
    assert [day.seed for day in days] == list(seeds)
    assert len({day.actions.tobytes() for day in days}) == (1 if seller == "file" else len(days))
    for day in days:
        observations, rewards, over = replayed(env, day.seed, day.actions)
        assert over
        assert np.array_equal(observations, day.observations)
        assert observations.dtype == day.observations.dtype
        assert np.array_equal(rewards, day.rewards)
        assert env.action_space.contains(day.actions[0])


def test_the_days_of_a_seller_are_those_that_it_is_scored_on() -> None:
    market, seeds = small("day"), training_seeds(1, 3)
    days = list(log_days(market, behaviour_of("imp", market), seeds))
    sold = rollout(market, SELLERS["imp"](market), seeds)
    profits = [day.rewards.sum() * market.scenario.customers for day in days]
    assert profits == pytest.approx(sold.day_profit, rel=1e-6)  # logged actions have single precision


def test_who_sells_a_mixed_day_depends_on_its_seed_alone() -> None:
    market, seeds = small("day"), training_seeds(1, 20)
    behaviour = behaviour_of("mixed", market)
    days = list(log_days(market, behaviour, seeds))
    assert {day.seller for day in days} == {"imp", "lookahead", "fixed", "random"} == set(behaviour.sellers)
    assert all(0.0 < day.noise < LARGEST_NOISE for day in days)
    (imp,) = (day for day in log_days(market, behaviour, [next(day.seed for day in days if day.seller == "imp")]))
    logged = next(day for day in days if day.seed == imp.seed)
    assert imp.noise == logged.noise
    assert np.array_equal(imp.actions, logged.actions)


def test_training_days_are_neither_for_tuning_nor_held_out() -> None:
    for seed in (1, 499):
        days = training_seeds(seed, max(SIZES.values()))
        assert seed * 1_000_000 == days[0] <= days[-1] < TUNING_START < HELD_OUT_START


def test_minari_reads_a_dataset_and_makes_its_environment_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    minari = pytest.importorskip("minari")
    path = tmp_path / "short.yaml"
    dataclasses.replace(Scenario(), name="a short day", customers=6, periods=5).to_yaml(path)
    options = ["dataset", str(path), "--seller", "mixed", "--size", "tiny", "--seed", "2", "--out", str(tmp_path)]
    assert main([*options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["id"] == "lmaas/a-short-day/mixed-tiny-v0"
    assert sorted(it.name for it in tmp_path.rglob("*")) == [
        "a-short-day", "data", "lmaas", "main_data.hdf5", "metadata.json", "mixed-tiny-v0", "origin.json", "short.yaml",
    ]  # fmt: skip
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    assert list(minari.list_local_datasets()) == [found["id"]]
    read = minari.load_dataset(found["id"])
    assert (read.total_episodes, read.total_steps) == (10, 50)
    metadata = read.storage.metadata
    assert metadata["seller"] == "mixed"
    assert metadata["sellers"] == ["imp", "lookahead", "fixed", "random"]
    assert metadata["day_seeds"] == [2_000_000, 2_000_009]
    assert metadata["versions"]["lmaas"] == lmaas_env.__version__
    assert Scenario.from_dict(metadata["scenario"]) == Scenario.from_yaml(path)
    env, total = read.recover_environment(), 0.0
    notes = read.storage.get_episode_metadata(range(10))
    for episode, note in zip(read.iterate_episodes(), notes, strict=True):
        assert note["seller"] in metadata["sellers"]
        observations, rewards, over = replayed(env, note["seed"], episode.actions)
        assert np.array_equal(observations, episode.observations)
        assert np.array_equal(rewards, episode.rewards)
        assert over
        assert episode.terminations.tolist() == [False] * 4 + [True]
        assert not episode.truncations.any()
        assert "rewards" in repr(episode)
        total += 6.0 * rewards.sum()
    assert found["mean_day_profit"] == pytest.approx(total / 10)


def test_presets_are_made_by_their_own_id(tmp_path: Path) -> None:
    minari = pytest.importorskip("minari")
    dataset(Dataset("static", seller="random", size="tiny", population_seed=3, id="mine-v2", out=tmp_path))
    spec = minari.MinariDataset(tmp_path / "mine-v2" / "data").env_spec
    assert (spec.id, spec.kwargs) == ("LMaaS-Static-v0", {"scenario": "static", "population_seed": 3})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"seed": 500}, "training seed = 500 must be in 1..499"),
        ({"size": "huge"}, "size = 'huge' must be one of tiny, small, medium, large"),
        ({"seller": "imq"}, "seller 'imq' is unknown, did you mean 'imp'?"),
        ({"scenario": "dya"}, "did you mean 'day'?"),
        ({"id": "mine"}, "id = 'mine' must have the form namespace/name-v0"),
        ({"id": "../mine-v0"}, "id = '../mine-v0' must have the form namespace/name-v0"),
        ({"id": "there-v0"}, "there-v0' exists already; name a new one with --id, nothing was changed"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(changes: dict[str, Any], fault: str, tmp_path: Path) -> None:
    pytest.importorskip("minari")
    (tmp_path / "there-v0").mkdir()
    with pytest.raises(ValueError, match=fault.replace("?", r"\?")):
        dataset(Dataset(**{"seller": "random", "size": "tiny", "out": tmp_path, **changes}))
    assert [it.name for it in tmp_path.iterdir()] == ["there-v0"]


def test_a_seller_at_fault_leaves_no_dataset_behind(tmp_path: Path) -> None:
    pytest.importorskip("minari")
    (tmp_path / "mine.py").write_text("def dear(observation):\n    return [0.0, 0.0, 0.0, 2.0]\n")
    with pytest.raises(ValueError, match=r"seller 'dear', day 1000000, hour 0: action\[3\] = 2"):
        dataset(Dataset(seller=f"{tmp_path / 'mine.py'}:dear", size="tiny", out=tmp_path / "data"))
    assert not [it for it in (tmp_path / "data").rglob("*") if it.is_file() or it.name.startswith(".")]
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot be created: Not a directory"):
        dataset(Dataset(seller="random", size="tiny", out=tmp_path / "file"))


@pytest.mark.parametrize("seller", ["mixed", "random"])
def test_a_dataset_that_was_killed_goes_on(seller: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = pytest.importorskip("minari")
    path = tmp_path / "short.yaml"
    dataclasses.replace(Scenario(), name="short", customers=4, periods=3).to_yaml(path)
    monkeypatch.setattr(datasets, "LOCKSTEP", 4)
    whole, cut = (Dataset(str(path), seller, size="tiny", id="x-v0", out=tmp_path / name) for name in ("whole", "cut"))
    dataset(whole)
    log, sold = datasets.log_days, list[int]()

    def log_or_die(market: Market, behaviour: Any, seeds: Any, progress: Any) -> Any:
        sold.extend(seeds)
        if len(sold) == 8:
            raise KeyboardInterrupt
        return log(market, behaviour, seeds, progress)

    monkeypatch.setattr(datasets, "log_days", log_or_die)
    with pytest.raises(KeyboardInterrupt):
        dataset(cut)
    assert not (tmp_path / "cut" / "x-v0" / "data").exists()
    with pytest.raises(ValueError, match=r"unfinished run with other settings \(seed\)"):
        dataset(dataclasses.replace(cut, seed=2))
    dataset(cut)
    assert sold[8:] == sold[4:8] + [seed + 4 for seed in sold[4:6]]  # not the first four days
    days = [list(minari.MinariDataset(tmp_path / name / "x-v0" / "data")) for name in ("whole", "cut")]
    assert len(days[0]) == 10
    for one, other in zip(*days, strict=True):
        assert np.array_equal(one.observations, other.observations)
        assert np.array_equal(one.actions, other.actions)
        assert np.array_equal(one.rewards, other.rewards)


def test_a_dataset_that_stops_halfway_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("minari")
    market = small("day")

    def days() -> Any:
        yield LoggedDay(1, "x", 0.0, np.zeros((6, 21), np.float32), np.zeros((5, 4), np.float32), np.zeros(5))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "mine-v0", "mine-v0", market, 0, days(), {})
    assert list(tmp_path.iterdir()) == []
