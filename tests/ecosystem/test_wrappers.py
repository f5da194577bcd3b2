"""Gymnasium's wrappers do to the scalar and to the native vector environment what they say, without a warning."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import vector as vector_wrappers
from imageio_ffmpeg import get_ffmpeg_exe

from lmaas_env import Scenario

LANES, CUSTOMERS, HOURS = 3, 24, 24


def day(env: gym.Env, seed: int) -> list[tuple[Any, ...]]:
    """Every step of a day of random actions."""
    env.reset(seed=seed)
    env.action_space.seed(seed)
    return list(random_steps(env))


def observed(env: gym.Env, seed: int) -> list[np.ndarray]:
    """Every observation of a day of random actions, the first one too."""
    first, _ = env.reset(seed=seed)
    env.action_space.seed(seed)
    return [first, *(step[0] for step in random_steps(env))]


def random_steps(env: gym.Env) -> Iterator[tuple[Any, ...]]:
    over = False
    while not over:
        step = env.step(env.action_space.sample())
        over = step[2]
        yield step


def native(mode: AutoresetMode = AutoresetMode.NEXT_STEP) -> VectorEnv:
    return gym.make_vec("LMaaS-v0", num_envs=LANES, vectorization_mode="vector_entry_point", autoreset_mode=mode)


def vector_steps(env: VectorEnv, count: int) -> list[tuple[Any, ...]]:
    """Steps of random actions in [-1, 1], the same for every environment."""
    rng = np.random.default_rng(1)
    env.reset(seed=1)
    return [env.step(rng.uniform(-1.0, 1.0, (LANES, 4)).astype(np.float32)) for _ in range(count)]


def test_episode_statistics_hold_the_days_rewards() -> None:
    env = wrappers.RecordEpisodeStatistics(gym.make("LMaaS-v0"))
    for seed in range(2):
        steps = day(env, seed)
        episode = steps[-1][4]["episode"]
        assert episode["l"] == HOURS
        assert episode["r"] == pytest.approx(sum(step[1] for step in steps))
        assert episode["r"] * CUSTOMERS == pytest.approx(sum(step[4]["profit"] for step in steps))
    assert list(env.length_queue) == [HOURS, HOURS]


def digests(video: Path) -> list[str]:
    """The digest of each picture. moviepy's own reader leaves pipes open when ffmpeg ends before it."""
    command = [get_ffmpeg_exe(), "-v", "error", "-i", str(video), "-f", "framemd5", "-"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.rpartition(",")[2].strip() for line in lines if not line.startswith("#")]


@pytest.mark.parametrize("kind", ["scalar", "vector"])
def test_a_day_becomes_a_video_with_a_picture_for_every_hour(tmp_path: Path, kind: str) -> None:
    short = dataclasses.replace(Scenario(), name="short", customers=4, periods=3)
    if kind == "scalar":
        env = gym.make("LMaaS-v0", scenario=short, render_mode="rgb_array")
        env = wrappers.RecordVideo(env, str(tmp_path / "videos"))
        day(env, seed=0)
    else:  # lanes of scalar environments: the native vector environment draws nothing
        lanes = gym.make_vec("LMaaS-v0", 2, vectorization_mode="sync", scenario=short, render_mode="rgb_array")
        env = vector_wrappers.RecordVideo(lanes, str(tmp_path / "videos"), video_aspect_ratio=(1, 1))
        env.reset(seed=0)
        for _ in range(short.periods + 1):  # the last of them starts the next day
            env.step(np.zeros((2, 4), np.float32))
    env.close()
    pictures = digests(tmp_path / "videos" / "rl-video-episode-0.mp4")
    assert len(pictures) == 1 + short.periods
    assert all(one != other for one, other in itertools.pairwise(pictures))


def test_flattening_changes_nothing() -> None:
    env = gym.make("LMaaS-v0")
    flat = wrappers.FlattenObservation(gym.make("LMaaS-v0"))
    assert flat.observation_space == env.observation_space
    assert data_equivalence(day(flat, 2), day(env, 2), exact=True)


def test_rescaled_actions_reach_from_the_price_floor_to_the_cap() -> None:
    env = wrappers.RescaleAction(gym.make("LMaaS-v0"), np.float32(0.0), np.float32(1.0))
    env.reset(seed=3)
    scenario = Scenario()
    middle = np.sqrt(scenario.price_floor * scenario.price_cap)
    for action, price in [(0.0, scenario.price_floor), (0.5, middle), (1.0, scenario.price_cap)]:
        assert env.step(np.full(4, action, np.float32))[4]["prices"] == pytest.approx(np.full(4, price))


def test_normalised_observations_are_scaled_by_all_that_was_observed() -> None:
    env, plain = wrappers.NormalizeObservation(gym.make("LMaaS-v0")), gym.make("LMaaS-v0")
    raw = np.array([observation for seed in range(5) for observation in observed(plain, seed)])
    for seed in range(5):
        observed(env, seed)
    env.update_running_mean = False
    seen = np.array(observed(env, 0))
    scale = np.sqrt(raw.var(axis=0) + 1e-8)
    assert seen == pytest.approx((raw[: 1 + HOURS] - raw.mean(axis=0)) / scale, rel=1e-2, abs=1e-2)
    assert np.abs(scale - 1.0).max() > 0.5


def test_normalised_rewards_are_rewards_over_the_deviation_of_returns() -> None:
    gamma, returns, seen, expected = 0.9, [], [], []
    env, plain = wrappers.NormalizeReward(gym.make("LMaaS-v0"), gamma=gamma), gym.make("LMaaS-v0")
    for seed in range(3):
        total = 0.0
        seen += [step[1] for step in day(env, seed)]
        for _, reward, terminated, *_ in day(plain, seed):
            total = total * gamma * (1 - terminated) + reward
            returns.append(total)
            expected.append(reward / np.std(returns) if len(returns) > 1 else np.nan)
    # Gymnasium's running variance starts from 1e-4 samples of variance 1, which the first few samples show.
    assert seen[10:] == pytest.approx(expected[10:], rel=1e-2)


def test_stacked_observations_of_a_seller_that_sees_its_sales_end_with_the_last() -> None:
    env = wrappers.FrameStackObservation(gym.make("LMaaS-Public-v0"), stack_size=3)
    last = [step[0] for step in day(gym.make("LMaaS-Public-v0"), 4)]
    stacked = [step[0] for step in day(env, 4)]
    assert env.observation_space.contains(stacked[0])
    assert all(np.array_equal(stacked[i], last[i - 2 : i + 1]) for i in range(2, HOURS))


VECTOR_WRAPPERS: dict[str, Callable[[VectorEnv], VectorEnv]] = {
    "ClipAction": vector_wrappers.ClipAction,
    "ClipReward": lambda env: vector_wrappers.ClipReward(env, -0.5, 0.5),
    "DictInfoToList": vector_wrappers.DictInfoToList,
    "FlattenObservation": vector_wrappers.FlattenObservation,
    "NormalizeObservation": vector_wrappers.NormalizeObservation,
    "NormalizeReward": vector_wrappers.NormalizeReward,
    "RecordEpisodeStatistics": vector_wrappers.RecordEpisodeStatistics,
    "RescaleAction": lambda env: vector_wrappers.RescaleAction(env, np.float32(-2.0), np.float32(2.0)),
    "RescaleObservation": lambda env: vector_wrappers.RescaleObservation(env, np.float32(0.0), np.float32(1.0)),
}


@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, AutoresetMode.NEXT_STEP) for name in VECTOR_WRAPPERS]
    # Gymnasium's wrappers of observations refuse this mode
    + [(name, AutoresetMode.SAME_STEP) for name in VECTOR_WRAPPERS if "Observation" not in name],
)
def test_vector_wrappers_do_the_same_to_native_lanes_and_to_scalar_environments(name: str, mode: AutoresetMode) -> None:
    lanes = SyncVectorEnv([lambda: gym.make("LMaaS-v0")] * LANES, autoreset_mode=mode)
    ours, theirs = (vector_steps(VECTOR_WRAPPERS[name](env), 2 * HOURS + 3) for env in (native(mode), lanes))
    for one, other in zip(ours, theirs, strict=True):
        for mine, reference in zip(one[:4], other[:4], strict=True):
            assert mine.dtype == reference.dtype
            assert np.allclose(mine, reference, rtol=1e-6, atol=1e-6)
    if name == "RecordEpisodeStatistics":
        mine, reference = ([step[4]["episode"] for step in steps if "episode" in step[4]] for steps in (ours, theirs))
        assert len(mine) == len(reference) == 2
        assert all(np.allclose(a[key], b[key]) for a, b in zip(mine, reference, strict=True) for key in ("r", "l"))
    if name == "DictInfoToList":
        for one, other in zip(ours, theirs, strict=True):
            assert [info.keys() for info in one[4]] == [info.keys() for info in other[4]]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_vector_episode_statistics_start_afresh_with_every_day(mode: AutoresetMode) -> None:
    steps = vector_steps(vector_wrappers.RecordEpisodeStatistics(native(mode)), 2 * HOURS + 1)
    second_day = HOURS if mode is AutoresetMode.SAME_STEP else HOURS + 1  # the step between two days sells nothing
    episode = steps[second_day + HOURS - 1][4]["episode"]
    assert episode["l"].tolist() == [HOURS] * LANES
    rewards = sum(step[1] for step in steps[second_day : second_day + HOURS])
    assert episode["r"] == pytest.approx(rewards)


def test_processes_of_an_async_vector_environment_sell_the_same_days() -> None:
    env = gym.make_vec("LMaaS-v0", num_envs=LANES, vectorization_mode="async")
    try:
        seen = vector_steps(env, HOURS + 2)
    finally:
        env.close()
    for one, other in zip(seen, vector_steps(native(), HOURS + 2), strict=True):
        assert all(np.allclose(a, b, rtol=1e-6, atol=1e-6) for a, b in zip(one[:4], other[:4], strict=True))


def test_the_wrapper_chain_of_cleanrls_ppo_steps() -> None:
    """What CleanRL's ppo_continuous_action.py puts around an environment, in today's Gymnasium."""

    def thunk() -> gym.Env:
        env = gym.make("LMaaS-v0")
        env = wrappers.FlattenObservation(env)
        env = wrappers.RecordEpisodeStatistics(env)
        env = wrappers.ClipAction(env)
        env = wrappers.NormalizeObservation(env)
        env = wrappers.TransformObservation(env, lambda it: np.clip(it, -10, 10), env.observation_space)
        env = wrappers.NormalizeReward(env, gamma=0.99)
        return wrappers.TransformReward(env, lambda it: float(np.clip(it, -10, 10)))

    envs = SyncVectorEnv([thunk] * LANES, autoreset_mode=AutoresetMode.SAME_STEP)
    assert isinstance(envs.single_action_space, gym.spaces.Box)
    observation, _ = envs.reset(seed=1)
    rng = np.random.default_rng(0)
    returns, profit = [], np.zeros(LANES)
    for _ in range(3 * HOURS):
        assert observation.shape == (LANES, 75)
        assert np.abs(observation).max() <= 10.0
        action = rng.normal(0.0, 2.0, (LANES, *envs.single_action_space.shape))  # as an unbounded Gaussian policy acts
        observation, reward, terminated, truncated, info = envs.step(action)
        assert np.abs(reward).max() <= 10.0
        assert not truncated.any()
        period = info["final_info"] if terminated.any() else info
        assert (period["clipped_share"] == 0.0).all()
        profit += period["profit"]
        if terminated.any():
            returns.append(info["final_info"]["episode"]["r"])
            assert returns[-1] == pytest.approx(profit / CUSTOMERS)
            profit = np.zeros(LANES)
    assert len(returns) == 3
