"""Every registered environment keeps the contracts of Gymnasium and Stable-Baselines3, without a single warning."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env, data_equivalence

from lmaas_env import ENVIRONMENTS, Scenario
from lmaas_env.env import LMaaSEnv
from lmaas_env.scenario import MODEL_FIELDS

pytestmark = pytest.mark.filterwarnings("error")

LONGEST_DAY = next(field for field in dataclasses.fields(Scenario) if field.name == "periods").metadata["high"]
HIDDEN = ("LMaaS-Unknown-v0", "LMaaS-Drift-v0")  # customers differ between episodes and are not seen
every_id = pytest.mark.parametrize("env_id", ENVIRONMENTS)


def make(env_id: str, **arguments: Any) -> gym.Env:
    """The environment without the wrappers that gym.make adds."""
    return gym.make(env_id, **arguments).unwrapped


def random_steps(env: gym.Env, seed: int) -> Iterator[tuple[Any, ...]]:
    """Step with random actions until the day is over."""
    rng, over = np.random.default_rng(seed), False
    while not over:
        result = env.step(rng.uniform(-1.2, 1.2, env.action_space.shape).astype(np.float32))
        over = result[2] or result[3]
        yield result


def day(env: gym.Env, seed: int | None, action_seed: int = 0) -> list[tuple[Any, ...]]:
    """What a whole day of random actions returns, from reset on."""
    return [env.reset(seed=seed), *random_steps(env, action_seed)]


def middle(env: gym.Env) -> np.ndarray:
    """The action that posts the middle of the price range for every model."""
    return np.zeros(env.action_space.shape or ())


def small_scenario() -> Scenario:
    """One customer, one model, one slot, one period."""
    one_model = {name: getattr(Scenario(), name)[:1] for name in ("models", *MODEL_FIELDS)}
    return Scenario(name="one of each", customers=1, slots=1, periods=1, **one_model)


@every_id
def test_gymnasium_checker_and_its_renders_are_silent(env_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    check_env(make(env_id))


@every_id
@pytest.mark.parametrize("wrapped", [False, True])
def test_sb3_checker_is_silent(env_id: str, wrapped: bool) -> None:
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    sb3_check_env(gym.make(env_id) if wrapped else make(env_id), warn=True)


@every_id
def test_passive_checker_is_silent_over_a_whole_day(env_id: str) -> None:
    env = gym.make(env_id, disable_env_checker=False)
    assert "PassiveEnvChecker" in str(env)
    for seed in (0, None):
        env.reset(seed=seed)
        env.action_space.seed(seed)
        terminated = False
        while not terminated:
            terminated = env.step(env.action_space.sample())[2]
    env.close()


@every_id
def test_an_episode_is_the_scenarios_day_terminated_and_never_truncated(env_id: str) -> None:
    env = make(env_id)
    env.reset(seed=1)
    flags = [step[2:4] for step in random_steps(env, seed=1)]
    periods = Scenario.preset(ENVIRONMENTS[env_id]).periods
    assert flags == [(False, False)] * (periods - 1) + [(True, False)]
    own = {"LMaaS-Static-v0": 1, "LMaaS-Mini-v0": 4, "LMaaS-Unknown-v0": 72, "LMaaS-Drift-v0": 240}
    assert periods == own.get(env_id, 24)
    limit = gym.spec(env_id).max_episode_steps
    assert limit is not None
    assert limit > LONGEST_DAY


def test_the_longest_day_is_not_truncated() -> None:
    env = gym.make("LMaaS-v0", scenario=dataclasses.replace(small_scenario(), periods=LONGEST_DAY))
    env.reset(seed=1)
    flags = [step[2:4] for step in random_steps(env, seed=1)]
    assert flags == [(False, False)] * (LONGEST_DAY - 1) + [(True, False)]


@every_id
def test_observation_space_contains_every_observation_and_the_reward_is_a_float(env_id: str) -> None:
    env = make(env_id)
    observation, info = env.reset(seed=2)
    assert env.observation_space.contains(observation)
    assert list(info) == (["region"] if env_id in HIDDEN else [])
    for observation, reward, *_ in random_steps(env, seed=2):
        assert env.observation_space.contains(observation)
        assert type(reward) is float
        assert np.isfinite(reward)


@every_id
def test_spaces_are_those_of_the_architecture(env_id: str) -> None:
    env = make(env_id)
    customers = {"LMaaS-City-v0": 1000, "LMaaS-Mini-v0": 2}.get(env_id, 24)
    per_customer = 3 + 12 if env_id == "LMaaS-Population-v0" else 3
    size = 3 * 4 + 4 if env_id in ("LMaaS-Public-v0", *HIDDEN) else per_customer * customers + 3
    size += 24 + 2 * 4 if env_id == "LMaaS-Rival-v0" else 0  # the shadowing at the rival's site, all prices
    assert env.observation_space == gym.spaces.Box(-10.0, 10.0, (size,), np.float32)
    assert env.action_space == gym.spaces.Box(-1.0, 1.0, (2 if env_id == "LMaaS-Mini-v0" else 4,), np.float32)


@every_id
def test_twins_on_one_seed_are_exactly_equal(env_id: str) -> None:
    assert data_equivalence(day(make(env_id), seed=3), day(make(env_id), seed=3), exact=True)
    assert not data_equivalence(day(make(env_id), seed=3)[1:], day(make(env_id), seed=4)[1:])


@every_id
def test_reset_without_a_seed_continues_the_stream_and_a_seed_repeats_the_day(env_id: str) -> None:
    twins = make(env_id), make(env_id)
    first = [day(env, seed=5) for env in twins]
    second = [day(env, seed=None) for env in twins]
    third = [day(env, seed=5) for env in twins]
    assert data_equivalence(second[0], second[1], exact=True)
    assert data_equivalence(third[0], first[0], exact=True)
    assert not data_equivalence(second[0][1:], first[0][1:])


@every_id
def test_a_pickled_environment_continues_the_day_and_its_random_stream_exactly(env_id: str) -> None:
    env = make(env_id)
    env.reset(seed=6)
    if env_id != "LMaaS-Static-v0":  # whose first step is its last
        env.step(middle(env))
    copy = pickle.loads(pickle.dumps(env.unwrapped))
    assert data_equivalence([*random_steps(env, 6)], [*random_steps(copy, 6)], exact=True)
    assert data_equivalence(day(env, None), day(copy, None), exact=True)


@every_id
def test_step_needs_a_reset_before_the_first_day_and_after_the_last_period(env_id: str) -> None:
    env = make(env_id)
    action = middle(env)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(action)
    env.reset(seed=0)
    while not env.step(action)[2]:
        pass
    for _ in range(2):
        with pytest.raises(gym.error.ResetNeeded):
            env.step(action)
    env.reset()
    env.step(action)


@every_id
def test_a_spec_read_back_from_json_makes_the_same_environment(env_id: str) -> None:
    env = gym.make(env_id, population_seed=2)
    assert env.spec is not None
    spec = EnvSpec.from_json(env.spec.to_json())
    assert spec == env.spec
    steps = [[env.reset(seed=7), env.step(middle(env))] for env in (env, gym.make(spec))]
    assert data_equivalence(steps[0], steps[1], exact=True)


@every_id
def test_ansi_and_rgb_array_draw_before_and_after_a_step(env_id: str) -> None:
    table, picture = (make(env_id, render_mode=mode) for mode in ("ansi", "rgb_array"))
    texts, frames = [], []
    for env, drawn in ((table, texts), (picture, frames)):
        env.reset(seed=8)
        drawn.append(env.render())
        env.step(middle(env))
        drawn.append(env.render())
    assert all(isinstance(text, str) and text for text in texts)
    assert texts[0] != texts[1]
    assert all(frame.dtype == np.uint8 and frame.shape == frames[0].shape for frame in frames)
    assert frames[0].ndim == 3
    assert frames[0].shape[2] == 3
    assert (frames[0] != frames[1]).any()


@pytest.mark.parametrize("mode", ["human", "ansi", "rgb_array"])
def test_render_needs_a_reset(mode: str) -> None:
    with pytest.raises(gym.error.ResetNeeded):
        make("LMaaS-v0", render_mode=mode).render()


def test_render_without_a_mode_warns_and_an_unknown_mode_is_refused() -> None:
    env = make("LMaaS-v0")
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None
    with pytest.raises(ValueError, match=r"render_mode = 'humna' must be one of human, ansi, rgb_array"):
        LMaaSEnv(render_mode="humna")


@pytest.mark.parametrize("observation", [None, "full", "public"])
@pytest.mark.parametrize("form", ["preset", "object", "text path", "path"])
def test_make_takes_a_scenario_by_name_object_and_file(form: str, observation: str | None, tmp_path: Path) -> None:
    scarce = Scenario.preset("scarce")
    file = tmp_path / "scarce.yaml"
    scarce.to_yaml(file)
    scenario = {"preset": "scarce", "object": scarce, "text path": str(file), "path": file}[form]
    env = make("LMaaS-v0", scenario=scenario, population_seed=3, observation=observation)
    expected = make("LMaaS-Scarce-v0", population_seed=3, observation=observation)
    assert env.observation_space.shape == ((16,) if observation == "public" else (75,))
    assert data_equivalence(day(env, seed=9), day(expected, seed=9), exact=True)
    other = make("LMaaS-Scarce-v0", population_seed=4, observation=observation)
    assert not data_equivalence(day(other, seed=9)[1:], day(expected, seed=9)[1:])


@pytest.mark.parametrize("observation", ["full", "public"])
def test_a_market_of_one_customer_model_slot_and_period_passes_the_checkers(
    observation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    env = make("LMaaS-v0", scenario=small_scenario(), observation=observation)
    check_env(env)
    sb3_check_env(env)
    assert len(day(env, seed=0)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scenario": "scarse"}, "scenario = 'scarse' is unknown, did you mean 'scarce'"),
        ({"observation": "none"}, "observation = 'none' must be one of full, public"),
        ({"population_seed": -1}, "population_seed = -1 must be a whole number >= 0"),
        ({"population_seed": 1.5}, r"population_seed = 1\.5 must be a whole number >= 0"),
    ],
)
def test_make_refuses_what_it_does_not_know(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("LMaaS-v0", **arguments)
