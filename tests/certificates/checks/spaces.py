"""Checks of prices as actions and states as observations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lmaas_env.seeds import open_days
from lmaas_env.spaces import (
    action_from_prices,
    observation_from_state,
    prices_from_action,
    shown_constants,
    state_from_observation,
)
from lmaas_env.vector_env import LMaaSVectorEnv
from tests.certificates.checks.markets import market_of


def prices_are_log_linear_in_actions() -> None:
    market = market_of()
    floor, cap = market.scenario.price_floor, market.scenario.price_cap
    actions = np.array([[-1.0, -0.5, 0.0, 0.7], [1.0, 2.0, -3.0, 0.1]])
    prices = prices_from_action(market, actions)
    np.testing.assert_allclose(prices, floor * (cap / floor) ** (0.5 * (actions.clip(-1.0, 1.0) + 1.0)), rtol=1e-13)
    np.testing.assert_allclose(action_from_prices(market, prices), actions.clip(-1.0, 1.0), rtol=1e-6, atol=1e-7)


def observations_have_their_layout() -> None:
    """Full, public and with customers' constants; after a step too, and read back."""
    market = market_of()
    env = LMaaSVectorEnv(2, market=market)
    env.reset(seed=1)
    seen = env.step(np.array([[0.1, 0.2, 0.3, 0.4], [-0.3, 0.0, 0.3, 2.0]]))[0]
    state = env.state
    assert state is not None
    angle = 2.0 * np.pi * state.hour / 24.0
    clock = np.stack([np.sin(angle), np.cos(angle), 1.0 - state.hour / 3.0], axis=1)
    battery = 2.0 * state.charge / market.population.capacity - 1.0
    expected = np.concatenate([state.shadowing / 4.0, battery, state.demand / 0.25, clock], axis=1)
    np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(state_from_observation(market, seen), state, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)

    public = LMaaSVectorEnv(2, market=market_of(observation="public"))
    assert public.reset(seed=1)[0][:, 3:].any() == np.False_
    actions = np.array([[-0.9, -0.5, -0.3, -0.4], [-0.3, -0.8, 0.3, 2.0]])
    seen, reward, _, _, info = public.step(actions)
    np.testing.assert_allclose(info["revenue"] - info["cost"], info["profit"], rtol=1e-12)
    np.testing.assert_allclose(info["profit"], 4.0 * reward, rtol=1e-12)
    sale = [actions.clip(-1.0, 1.0), info["hours_per_model"] / 4.0, info["customers_per_model"] / 4.0, reward[:, None]]
    assert info["hours_per_model"].any()
    np.testing.assert_allclose(seen, np.concatenate([clock, *sale], axis=1), rtol=1e-5, atol=1e-5)

    resampled, state, *_ = open_days(market_of(resample_population="episode"), [4, 5])
    seen = observation_from_state(resampled, state)
    people = resampled.population
    np.testing.assert_allclose(seen[:, 4:8], 2.0 * state.charge / people.capacity - 1.0, rtol=1e-5, atol=1e-6)
    assert np.array_equal(seen[:, 15:], shown_constants(resampled))
    first = seen[:, 15:].reshape(2, 4, 9)[..., 0]
    np.testing.assert_allclose(first, np.log(people.distance / 250.0), rtol=1e-5, atol=1e-6)


CHECKS: list[Callable[[], None]] = [
    prices_are_log_linear_in_actions,
    observations_have_their_layout,
]
