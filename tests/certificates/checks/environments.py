"""Checks of seeds, and of vector environments against scalar ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from lmaas_env import Market
from lmaas_env.env import LMaaSEnv
from lmaas_env.seeds import held_out_seeds, open_days, training_seeds, tuning_seeds
from lmaas_env.spaces import (
    action_from_prices,
    observation_from_state,
)
from lmaas_env.vector_env import LMaaSVectorEnv
from tests.certificates.checks.markets import market_of


def seeds_do_not_overlap() -> None:
    assert held_out_seeds(2) == range(900_000_000, 900_000_002)
    assert training_seeds(1, 2) == range(1_000_000, 1_000_002)
    assert training_seeds(499, 3, skip=4) == range(499_000_004, 499_000_007)
    assert tuning_seeds(400_000_000) == range(500_000_000, 900_000_000)
    refused: list[Callable[[], range]] = [
        lambda: training_seeds(0, 1),
        lambda: training_seeds(500, 1),
        lambda: training_seeds(1, 1_000_001),
        lambda: training_seeds(1, 10, skip=999_995),
        lambda: tuning_seeds(400_000_001),
        lambda: held_out_seeds(0),
    ]
    for call in refused:
        with pytest.raises(ValueError, match="must be in"):
            call()


def an_opened_day_is_that_of_the_environment() -> None:
    for resample in ("never", "episode"):
        market = market_of(resample_population=resample)
        opened, state, draws, *_ = open_days(market, [7, 9])
        seen = observation_from_state(opened, state)
        settled, _ = opened.settle(np.full((2, 4), 5.0), state, draws.at(0))
        for lane, seed in enumerate((7, 9)):
            env = LMaaSEnv(market.scenario) if resample == "episode" else _scalar(market)
            np.testing.assert_allclose(env.reset(seed=seed)[0], seen[lane], rtol=1e-6, atol=1e-6)
            action = action_from_prices(market, np.full(4, 5.0))
            assert env.step(action)[1] == pytest.approx(settled.profit[lane] / 4.0, rel=1e-5)


def _scalar(market: Market) -> LMaaSEnv:
    """The scalar environment of a market."""
    env = LMaaSEnv(market.scenario)
    env._lanes.market = market
    return env


def lanes_equal_scalar_environments() -> None:
    """Both autoreset modes, across a day's end, against scalar environments that are stepped and reset by hand."""
    market, rng = market_of(), np.random.default_rng(0)
    for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
        native = LMaaSVectorEnv(2, market=market, autoreset_mode=mode)
        lanes = [_scalar(market) for _ in range(2)]
        seen = native.reset(seed=3)[0]
        for lane, env in enumerate(lanes):
            np.testing.assert_allclose(seen[lane], env.reset(seed=3 + lane)[0], rtol=1e-6, atol=1e-6)
        over = False
        for _ in range(5):
            actions = rng.uniform(-1.0, 0.0, (2, 4))
            seen, reward, terminated, _, info = native.step(actions)
            for lane, env in enumerate(lanes):
                if over:
                    expected, earned, ends = env.reset()[0], 0.0, False
                else:
                    expected, earned, ends, _, _ = env.step(actions[lane])
                    if ends and mode is AutoresetMode.SAME_STEP:
                        np.testing.assert_allclose(info["final_obs"][lane], expected, rtol=1e-6, atol=1e-6)
                        expected = env.reset()[0]
                np.testing.assert_allclose(seen[lane], expected, rtol=1e-6, atol=1e-6)
                assert reward[lane] == pytest.approx(earned, rel=1e-12)
                assert terminated[lane] == ends
            over = mode is AutoresetMode.NEXT_STEP and bool(terminated.all())


def a_reset_mask_touches_its_lanes_only() -> None:
    """Lanes at different hours: what a mask resets and seeds, and the reward 0 of the step that starts a day."""
    market, action = market_of(), np.full((2, 4), -0.5)
    native, lanes = LMaaSVectorEnv(2, market=market), [_scalar(market) for _ in range(2)]
    native.reset(seed=5)
    native.step(action)
    native.reset(seed=[20, 9], options={"reset_mask": np.array([False, True])})
    for env, seed in zip(lanes, (5, 9), strict=True):
        env.reset(seed=seed)
    lanes[0].step(action[0])
    over = [False, False]
    for _ in range(5):
        seen, reward, terminated, _, info = native.step(action)
        for lane, env in enumerate(lanes):
            if over[lane]:
                expected, earned, ends = env.reset()[0], 0.0, False
            else:
                expected, earned, ends, _, _ = env.step(action[lane])
            np.testing.assert_allclose(seen[lane], expected, rtol=1e-6, atol=1e-6)
            assert reward[lane] == pytest.approx(earned, rel=1e-12)
            assert terminated[lane] == ends
            assert info["_profit"][lane] == (not over[lane])
            over[lane] = ends


CHECKS: list[Callable[[], None]] = [
    seeds_do_not_overlap,
    an_opened_day_is_that_of_the_environment,
    lanes_equal_scalar_environments,
    a_reset_mask_touches_its_lanes_only,
]
