"""A population per episode: every day draws its own, in every lane, and the observation shows its constants."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from lmaas_agents import IMP

import lmaas_env  # noqa: F401  # registers the environments
from lmaas_env import Market, Population, Scenario
from lmaas_env.env import LMaaSEnv
from lmaas_env.seeds import open_days
from lmaas_env.spaces import observation_from_state, observed_market, state_from_observation
from lmaas_env.vector_env import LMaaSVectorEnv

ID = "LMaaS-Population-v0"


def actions(lanes: int, periods: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.6, 0.4, (periods, lanes, 4)).astype(np.float32)


def test_every_day_has_customers_of_its_own() -> None:
    env = gym.make(ID)
    first, _ = env.reset(seed=1)
    second, _ = env.reset()
    again, _ = env.reset(seed=1)
    assert (first == again).all()
    assert np.isclose(first[75:], second[75:]).mean() < 0.1  # a few fade budgets are equal


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_a_lane_is_the_scalar_environment_of_its_seed_day_after_day(mode: AutoresetMode) -> None:
    lanes = 19  # more than one block of 16 lanes with 24 customers each, and no multiple of it
    vector = LMaaSVectorEnv(lanes, scenario="population", autoreset_mode=mode)
    scalars = [LMaaSEnv(scenario="population") for _ in range(lanes)]
    seen, _ = vector.reset(seed=5)
    assert (seen == np.stack([env.reset(seed=5 + i)[0] for i, env in enumerate(scalars)])).all()
    for own in actions(lanes, 60):
        seen, reward, terminated, _, _ = vector.step(own)
        for lane, env in enumerate(scalars):
            if mode is AutoresetMode.NEXT_STEP and env.state is not None and env.state.hour == 24:
                expected, gain, over = env.reset()[0], 0.0, False
            else:
                expected, gain, over, _, _ = env.step(own[lane])
                if over and mode is AutoresetMode.SAME_STEP:
                    expected = env.reset()[0]
            assert np.allclose(seen[lane], expected, rtol=0.0, atol=1e-6)
            assert reward[lane] == pytest.approx(gain, abs=1e-12)
            assert terminated[lane] == over


def test_lanes_that_start_a_day_apart_keep_their_customers() -> None:
    vector = LMaaSVectorEnv(3, scenario="population")
    before, _ = vector.reset(seed=0)
    after, _ = vector.reset(options={"reset_mask": np.array([False, True, False])})
    assert (before[[0, 2]] == after[[0, 2]]).all()
    assert np.isclose(before[1, 75:], after[1, 75:]).mean() < 0.1  # a few fade budgets are equal


@pytest.mark.parametrize("customers", [1, 12, 48])
def test_an_observation_shows_the_market_whatever_its_size(customers: int) -> None:
    scenario = Scenario.from_dict({"base": "population", "customers": customers})
    market, state, *_ = open_days(Market(scenario), [1, 2, 3])
    seen = observation_from_state(market, state)
    found = observed_market(Market("population"), seen)
    for name, own, shown in zip(Population._fields, market.population, found.population, strict=True):
        assert np.allclose(own, shown, rtol=1e-5), name
    assert np.allclose(state_from_observation(found, seen).charge, state.charge, rtol=1e-4)
    alone = observed_market(Market("population"), seen[1])
    assert alone.population.size == customers
    assert np.allclose(alone.population.task_value, market.population.task_value[1], rtol=1e-5)


def test_the_market_that_an_observation_shows_has_the_prices_of_the_environments_market() -> None:
    env = gym.make(ID)
    seen, _ = env.reset(seed=3)
    own = IMP(env.unwrapped.market)  # type: ignore[attr-defined]
    observed = IMP(observed_market(Market("population"), seen))
    assert np.allclose(own.predict(seen)[0], observed.predict(seen)[0], atol=1e-3)


def test_a_seller_refuses_an_observation_of_other_customers() -> None:
    seen, _ = gym.make(ID).reset(seed=3)
    with pytest.raises(ValueError, match="shows other customers than the market's"):
        IMP(Market("population")).predict(seen)


def test_an_observation_of_no_number_of_customers_is_refused() -> None:
    with pytest.raises(ValueError, match="their number must be 3 \\+ customers \\* 15"):
        observed_market(Market("population"), np.zeros(75 + 1))


def test_lanes_of_another_number_than_populations_are_refused() -> None:
    market, state, draws, *_ = open_days(Market("population"), [1, 2, 3])
    prices = np.full((2, 4), 5.0)
    two = state._replace(hour=state.hour[:2], **{name: getattr(state, name)[:2] for name in state._fields[1:]})
    with pytest.raises(ValueError, match="the populations have"):
        market.settle(prices, two, draws.at((0, slice(2))))


def test_customers_of_each_lane_settle_as_in_a_market_of_their_own() -> None:
    market, state, draws, *_ = open_days(Market("population"), range(10))
    prices = np.random.default_rng(0).uniform(2.0, 12.0, (10, 4))
    together, after = market.settle(prices, state, draws.at(0))
    for lane in range(10):
        own = Market("population", population=Population(*(array[lane] for array in market.population)))
        mine = state._replace(hour=0, **{name: getattr(state, name)[lane] for name in state._fields[1:]})
        alone, then = own.settle(prices[lane], mine, draws.at((0, lane)))
        assert (alone.choice == together.choice[lane]).all()
        assert alone.profit == pytest.approx(together.profit[lane], abs=1e-12)
        assert np.allclose(then.charge, after.charge[lane], rtol=0.0, atol=1e-12)
