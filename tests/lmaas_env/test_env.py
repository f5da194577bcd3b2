"""The environment is a thin shell: it refuses before it changes anything, and its info is that of the settlement."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from lmaas_env import ENVIRONMENTS
from lmaas_env.env import LMaaSEnv

INFO_KEYS = ["profit", "revenue", "cost", "prices", "customers_per_model", "hours_per_model"]
INFO_KEYS += ["customer_profit", "worst_case_profit", "faded_share", "clipped_share"]
MORE_KEYS = {"drift": ["removed", "added"], "rivals": ["posted", "profits"]}
ACTION = np.array([0.3, -0.2, 0.1, 0.4], np.float32)
BAD_ACTIONS = {
    "too few": [0.0, 0.0, 0.0],
    "too many": np.zeros(5),
    "a number": 0.0,
    "a batch": np.zeros((1, 4)),
    "empty": [],
    "NaN": [0.0, np.nan, 0.0, 0.0],
    "inf": [0.0, 0.0, np.inf, 0.0],
    "-inf": np.array([-np.inf, 0.0, 0.0, 0.0], np.float32),
    "text": ["a", "b", "c", "d"],
    "None": None,
    "ragged": [[0.0], [0.0, 0.0], 0.0, 0.0],
}


def infos_of_a_day(env: LMaaSEnv, seed: int, periods: int | None = None) -> list[dict[str, Any]]:
    """The infos of the first periods of a day (all of it by default) at random prices from floor to middle."""
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    size = env.market.catalogue.size
    return [env.step(rng.uniform(-1.0, 0.2, size))[4] for _ in range(periods or env.market.scenario.periods)]


@pytest.mark.parametrize("steps_before", [0, 2])
@pytest.mark.parametrize("bad", BAD_ACTIONS.values(), ids=BAD_ACTIONS)
def test_a_refused_action_changes_nothing(bad: Any, steps_before: int) -> None:
    env, untouched = LMaaSEnv(), LMaaSEnv()
    for twin in (env, untouched):
        twin.reset(seed=1)
        for _ in range(steps_before):
            twin.step(ACTION)
    state, settlement, stream = env.state, env.settlement, env.np_random.bit_generator.state
    with pytest.raises(ValueError, match="action"):
        env.step(bad)
    assert data_equivalence(env.state, state, exact=True)
    assert data_equivalence(env.settlement, settlement, exact=True)
    assert env.np_random.bit_generator.state == stream
    assert data_equivalence(env.state, untouched.state, exact=True)
    for _ in range(2):
        assert data_equivalence(env.step(ACTION), untouched.step(ACTION), exact=True)


def test_the_refusal_of_an_action_names_its_shape_or_its_values() -> None:
    env = LMaaSEnv()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action has shape \(3,\), it must be \(4,\)"):
        env.step(np.zeros(3))
    with pytest.raises(ValueError, match=r"action = \[0.0, nan, 0.0, 0.0\] must be finite, in \[-1, 1\]"):
        env.step([0.0, np.nan, 0.0, 0.0])


def test_actions_outside_are_clipped_and_their_share_is_counted() -> None:
    outside, at_the_ends = LMaaSEnv(), LMaaSEnv()
    outside.reset(seed=2)
    at_the_ends.reset(seed=2)
    *seen, info = outside.step([1.5, -7.0, 0.3, 1.0])
    *expected, expected_info = at_the_ends.step([1.0, -1.0, 0.3, 1.0])
    assert data_equivalence(seen, expected, exact=True)
    assert info.pop("clipped_share") == 0.5
    assert expected_info.pop("clipped_share") == 0.0
    assert data_equivalence(info, expected_info, exact=True)
    assert info["prices"][[0, 1, 3]].tolist() == [40.0, 1.0, 40.0]
    assert outside.step(np.full(4, 1.0 + 1e-6))[4]["clipped_share"] == 1.0


def test_a_step_does_not_change_the_callers_action() -> None:
    env = LMaaSEnv()
    env.reset(seed=0)
    action = np.array([1.5, -7.0, 0.3, 1.0])
    env.step(action)
    assert action.tolist() == [1.5, -7.0, 0.3, 1.0]


@pytest.mark.parametrize("scenario", ENVIRONMENTS.values())
def test_reward_is_profit_per_customer(scenario: str) -> None:
    env = LMaaSEnv(scenario)
    env.reset(seed=3)
    for _ in range(min(env.market.scenario.periods, 4)):
        _, reward, _, _, info = env.step(ACTION[: env.market.catalogue.size])
        assert reward == info["profit"] / {"city": 1000, "mini": 2}.get(scenario, 24)
        assert reward != 0.0


@pytest.mark.parametrize("scenario", ENVIRONMENTS.values())
def test_info_holds_the_periods_accounts_under_stable_names(scenario: str) -> None:
    env = LMaaSEnv(scenario)
    catalogue, n = env.market.catalogue, env.market.population.size
    for info in infos_of_a_day(env, seed=4):
        assert list(info) == INFO_KEYS + MORE_KEYS.get(scenario, [])
        counts, hours = info["customers_per_model"], info["hours_per_model"]
        assert info["revenue"] - info["cost"] == info["profit"]
        assert info["revenue"] == pytest.approx(info["prices"] @ hours, rel=1e-12)
        cost = catalogue.serving_cost @ hours + catalogue.adaptation_cost @ counts + catalogue.training_cost.sum()
        assert info["cost"] == pytest.approx(cost, rel=1e-12)
        assert 0 <= counts.min() <= counts.sum() <= n
        assert counts.sum() > 0 or scenario == "rivals"
        assert (hours >= 0.0).all()
        assert (hours <= counts * (1.0 + 1e-12)).all()
        assert 0.0 <= info["faded_share"] <= 1.0
        assert info["clipped_share"] == 0.0


@pytest.mark.parametrize("scenario", ENVIRONMENTS.values())
def test_info_is_that_of_the_settlement(scenario: str) -> None:
    env = LMaaSEnv(scenario)
    info = infos_of_a_day(env, seed=5, periods=1)[0]
    settlement = env.settlement
    assert settlement is not None
    for name in ("profit", "revenue", "cost", "prices", "customers_per_model", "hours_per_model"):
        of_first = np.ravel(getattr(settlement, name))[: np.size(info[name])]
        assert np.array_equal(np.ravel(info[name]), of_first)
    assert info["customer_profit"] == pytest.approx(sum(settlement.customer_profit), rel=1e-12)
    assert info["worst_case_profit"] == pytest.approx(sum(settlement.worst_case_profit), rel=1e-12)
    assert info["faded_share"] == np.count_nonzero(settlement.faded) / settlement.faded.size


def test_reset_draws_the_day_and_steps_draw_nothing() -> None:
    env = LMaaSEnv()
    env.reset(seed=6)
    stream = env.np_random.bit_generator.state
    for _ in range(24):
        env.step(ACTION)
    assert env.np_random.bit_generator.state == stream


def test_what_a_step_returned_is_not_changed_by_later_steps() -> None:
    env = LMaaSEnv()
    env.reset(seed=7)
    observation, *_, info = env.step(ACTION)
    kept = observation.copy(), {name: np.copy(value) for name, value in info.items()}
    for _ in range(3):
        env.step(-ACTION)
    assert np.array_equal(observation, kept[0])
    assert all(np.array_equal(info[name], kept[1][name]) for name in INFO_KEYS)


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_info_can_be_written_as_json(env_id: str) -> None:
    env = gym.make(env_id)
    env.reset(seed=8)
    *_, info = env.step(ACTION[: env.unwrapped.market.catalogue.size])
    read = json.loads(json.dumps(info, default=lambda x: x.tolist()))
    assert list(read) == INFO_KEYS + MORE_KEYS.get(ENVIRONMENTS[env_id], [])
    assert all(np.array_equal(read[name], info[name]) for name in INFO_KEYS)


def test_gymnasiums_wrapper_adds_the_period_to_the_observation_and_truncates_no_day() -> None:
    env = gym.wrappers.TimeAwareObservation(gym.make("LMaaS-v0"))
    assert env.reset(seed=0)[0].shape == (76,)
    steps = [env.step(ACTION) for _ in range(24)]
    assert [step[0][-1] for step in steps] == list(range(1, 25))
    assert [step[2:4] for step in steps] == [(False, False)] * 23 + [(True, False)]


@pytest.mark.parametrize("then", ["", "import gymnasium as g; e = g.make('LMaaS-v0'); e.reset(); e.step([0, 0, 0, 0])"])
def test_the_package_loads_neither_torch_nor_sb3_nor_matplotlib(then: str) -> None:
    heavy = {"torch", "stable_baselines3", "matplotlib", "lmaas_agents", "lmaas_train"}
    code = f"import sys, lmaas_env; {then or 'pass'}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
