"""The native vector environment: its lanes are scalar environments, in both autoreset modes."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import lmaas_env
from lmaas_env.env import LMaaSEnv
from lmaas_env.vector_env import LMaaSVectorEnv

LANES, SEED = 3, 12


def same(one: Any, other: Any) -> bool:
    """Equal to 1e-12 where rounding may differ, exactly otherwise."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    left, right = np.asarray(one), np.asarray(other)
    if left.dtype == object:
        return all((a is None) == (b is None) and (a is None or same(a, b)) for a, b in zip(left, right, strict=True))
    return bool(np.allclose(left, right, rtol=1e-12, atol=1e-12)) and left.shape == right.shape


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("env_id", ["LMaaS-v0", "LMaaS-Public-v0", "LMaaS-Static-v0", "LMaaS-Mini-v0"])
def test_lanes_equal_scalar_environments_day_after_day(env_id: str, mode: AutoresetMode) -> None:
    scenario = lmaas_env.ENVIRONMENTS[env_id]
    native = LMaaSVectorEnv(LANES, scenario=scenario, autoreset_mode=mode)
    lanes = SyncVectorEnv([lambda: LMaaSEnv(scenario)] * LANES, autoreset_mode=mode)
    rng = np.random.default_rng(0)
    assert data_equivalence(native.reset(seed=SEED), lanes.reset(seed=SEED))
    for _ in range(3 * native.market.scenario.periods + 5):
        action = rng.uniform(-1.2, 1.2, native.action_space.shape or ()).astype(np.float32)
        ours, theirs = native.step(action), lanes.step(action)
        for one, other in zip(ours[:4], theirs[:4], strict=True):
            assert same(one, other)
        assert ours[0].dtype == theirs[0].dtype
        assert same(ours[4], theirs[4])


@pytest.mark.parametrize("customers", ["rsr", "nominal", "random"])
def test_lanes_at_different_hours_equal_scalar_environments(customers: str) -> None:
    native = LMaaSVectorEnv(2, customers=customers)
    native.reset(seed=[5, 6])
    action = np.full((2, 4), 0.3, np.float32)
    for _ in range(7):
        native.step(action)
    native.reset(seed=[0, 9], options={"reset_mask": np.array([False, True])})
    scalar = LMaaSEnv(customers=customers)
    for lane, (seed, before) in enumerate([(5, 7), (9, 0)]):
        scalar.reset(seed=seed)
        for _ in range(before):
            scalar.step(action[lane])
        assert scalar.state is not None
    rewards = []
    for _ in range(24):
        _, reward, terminated, _, _ = native.step(action)
        rewards.append(reward)
        if terminated[1]:
            break
    scalar.reset(seed=9)
    assert np.array(rewards)[:, 1].tolist() == pytest.approx([scalar.step(action[1])[1] for _ in range(24)], rel=1e-12)
    assert native.state is not None
    assert native.state.hour.tolist() == [6, 24]  # lane 0: 7 + 17 hours, a reset, 6 hours


@pytest.mark.parametrize("env_id", list(lmaas_env.ENVIRONMENTS))
def test_make_vec_finds_the_native_environment_and_its_spaces_hold_what_it_returns(env_id: str) -> None:
    env = gym.make_vec(env_id, num_envs=2, vectorization_mode="vector_entry_point")
    assert isinstance(env.unwrapped, LMaaSVectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    observation, _ = env.reset(seed=1)
    assert env.observation_space.contains(observation)
    env.action_space.seed(1)
    assert env.observation_space.contains(env.step(env.action_space.sample())[0])
    env.close()


def test_one_seed_gives_one_rollout_and_episode_statistics_add_up() -> None:
    def rollout() -> list[Any]:
        env = gym.wrappers.vector.RecordEpisodeStatistics(gym.make_vec("LMaaS-v0", num_envs=4))
        found = [env.reset(seed=3)]
        rewards = 0.0
        for hour in range(24):
            found.append(env.step(np.full((4, 4), 0.1 * (hour % 5), np.float32)))
            rewards = rewards + found[-1][1]
        assert found[-1][4]["episode"]["r"] == pytest.approx(rewards)
        for step in found:
            step[-1].pop("episode", None)  # holds wall times
            step[-1].pop("_episode", None)
        return found

    assert data_equivalence(rollout(), rollout(), exact=True)


def test_bad_input_is_refused_before_anything_moves() -> None:
    env = LMaaSVectorEnv(2)
    action = np.zeros((2, 4), np.float32)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(action)
    seen = env.reset(seed=0)[0]
    np.testing.assert_array_equal(env.reset(seed=np.int64(0))[0], seen)
    before = env.state
    for bad, message in [(action[0], "action has shape"), (action * np.nan, "must be finite")]:
        with pytest.raises(ValueError, match=message):
            env.step(bad)
    assert env.state is before
    with pytest.raises(ValueError, match="num_envs = 0"):
        LMaaSVectorEnv(0)
    with pytest.raises(ValueError, match="max_episode_steps = 23 must be at least the 24 periods"):
        LMaaSVectorEnv(1, max_episode_steps=23)
    with pytest.raises(ValueError, match="autoreset_mode = 'Disabled'"):
        LMaaSVectorEnv(1, autoreset_mode="Disabled")
    with pytest.raises(ValueError, match="seed must be one number or 2"):
        env.reset(seed=[1])
    with pytest.raises(ValueError, match="reset_mask must hold 2 booleans"):
        env.reset(options={"reset_mask": np.array([True])})
