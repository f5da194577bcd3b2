"""Prices and actions, states and observations: each direction inverts the other."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lmaas_env import Market, Scenario, State
from lmaas_env.env import LMaaSEnv
from lmaas_env.seeds import draw_days
from lmaas_env.spaces import (
    action_from_prices,
    assumed_state,
    menu_prices,
    observation_from_state,
    posted_prices,
    prices_from_action,
    state_from_observation,
)
from tests.days import periods_of

DAY, STATIC, PUBLIC = Market("day"), Market("static"), Market("public")
ACTIONS = arrays(np.float32, st.sampled_from([(4,), (3, 4)]), elements=st.floats(-1.0, 1.0, width=32))
SHARES = arrays(np.float64, st.sampled_from([(4,), (3, 4)]), elements=st.floats(0.0, 1.0))


def priced(floor: float, cap: float) -> Market:
    return Market(dataclasses.replace(Scenario(), price_floor=floor, price_cap=cap))


RANGES = [DAY, priced(0.5, 0.6), priced(1e-6, 1e6), priced(3.0, 1000.0)]


def later(market: Market, hours: int, seeds: list[int] | None = None) -> State:
    """The state some hours into a day of modest prices; with seeds, of one lane per seed."""
    seeds_or_one = seeds or [0]
    state, draws = draw_days(market, seeds_or_one)
    for period in periods_of(draws)[:hours]:
        _, state = market.settle(np.full((len(seeds_or_one), 4), 6.0), state, period)
    return state if seeds else State(int(state.hour[0]), *(array[0] for array in state[1:]))


@given(action=ACTIONS, market=st.sampled_from(RANGES))
def test_action_to_prices_and_back_is_the_action(action: np.ndarray, market: Market) -> None:
    back = action_from_prices(market, prices_from_action(market, action))
    assert back.dtype == np.float32
    assert back.shape == action.shape
    np.testing.assert_allclose(back, action, rtol=0.0, atol=2e-7)


@given(share=SHARES, market=st.sampled_from(RANGES))
def test_prices_to_action_and_back_are_the_prices_to_float32(share: np.ndarray, market: Market) -> None:
    floor, cap = market.scenario.price_floor, market.scenario.price_cap
    prices = floor + share * (cap - floor)
    back = prices_from_action(market, action_from_prices(market, prices))
    assert back.dtype == np.float64
    assert (floor <= back).all()
    assert (back <= cap).all()
    np.testing.assert_allclose(back, prices, rtol=1e-7 * max(1.0, np.log(cap / floor)), atol=0.0)


@pytest.mark.parametrize("market", [*RANGES, priced(0.07, 21.0)])  # 0.07 * (21 / 0.07) rounds to less than 21
def test_both_ends_of_the_action_are_exactly_floor_and_cap(market: Market) -> None:
    floor, cap = market.scenario.price_floor, market.scenario.price_cap
    assert prices_from_action(market, [-1.0, 1.0, -3.0, 1e9]).tolist() == [floor, cap, floor, cap]
    assert action_from_prices(market, [floor, cap, floor / 2.0, cap * 2.0]).tolist() == [-1.0, 1.0, -1.0, 1.0]


def test_the_price_is_log_linear_in_the_action() -> None:
    assert prices_from_action(DAY, [-0.5, 0.0, 0.5]) == pytest.approx([40.0**0.25, 40.0**0.5, 40.0**0.75], rel=1e-14)


@given(st.lists(st.floats(-1.5, 1.5), min_size=2, max_size=30), st.sampled_from(RANGES))
def test_a_higher_action_never_posts_a_lower_price(actions: list[float], market: Market) -> None:
    assert (np.diff(prices_from_action(market, np.sort(actions))) >= 0.0).all()


def test_neighbouring_float32_actions_post_rising_prices() -> None:
    actions = np.float32(0.3) + np.arange(64, dtype=np.float32) * np.float32(2.0**-24)
    assert (np.diff(prices_from_action(DAY, np.unique(actions))) > 0.0).all()


def with_menu(count: int, floor: float = 1.0, cap: float = 40.0) -> Market:
    return Market(dataclasses.replace(Scenario(), price_menu=count, price_floor=floor, price_cap=cap))


MENUS = [with_menu(2), with_menu(5), with_menu(7, 0.07, 21.0), with_menu(1000)]


@pytest.mark.parametrize("market", MENUS)
def test_a_menu_holds_log_spaced_prices_with_both_ends(market: Market) -> None:
    scenario, menu = market.scenario, menu_prices(market)
    assert (menu[0], menu[-1]) == (scenario.price_floor, scenario.price_cap)
    assert menu == pytest.approx(np.geomspace(menu[0], menu[-1], scenario.price_menu), rel=1e-12)
    assert posted_prices(market, menu).tolist() == menu.tolist()  # to the bit, through float32 actions


@given(action=ACTIONS, market=st.sampled_from(MENUS))
def test_an_action_posts_the_menu_price_nearest_in_the_logarithm(action: np.ndarray, market: Market) -> None:
    scenario, menu = market.scenario, menu_prices(market)
    posted = prices_from_action(market, action)
    assert np.isin(posted, menu).all()
    without = Market(dataclasses.replace(scenario, price_menu=0))
    distance = np.abs(np.log(prices_from_action(without, action)[..., None] / menu))
    assert np.abs(np.log(posted / prices_from_action(without, action))) == pytest.approx(distance.min(-1), abs=1e-9)


def test_a_price_halfway_between_two_on_the_menu_is_posted_as_the_higher() -> None:
    market = with_menu(5)
    assert prices_from_action(market, [-0.25, 0.25]).tolist() == menu_prices(market)[[2, 3]].tolist()


def test_a_step_posts_menu_prices_and_a_public_seller_remembers_them() -> None:
    scenario = dataclasses.replace(Scenario.preset("public"), price_menu=5)
    env = LMaaSEnv(scenario)
    env.reset(seed=0)
    seen, *_, info = env.step([-0.9, -0.6, 0.6, 1.5])
    assert info["prices"].tolist() == menu_prices(env.market)[[0, 1, 3, 4]].tolist()
    assert seen[3:7].tolist() == [-1.0, -0.5, 0.5, 1.0]
    assert info["clipped_share"] == 0.25


def test_a_market_settles_any_price_and_has_no_menu_by_default() -> None:
    market = with_menu(5)
    state, draws = draw_days(market, [0])
    settlement, _ = market.settle([[3.3, 4.4, 5.5, 6.6]], state, draws.at(0))
    assert settlement.prices.tolist() == [[3.3, 4.4, 5.5, 6.6]]
    with pytest.raises(ValueError, match="price_menu = 0: any price may be posted"):
        menu_prices(DAY)


@pytest.mark.parametrize("seeds", [None, [4, 5, 6]], ids=["scalar", "lanes"])
@pytest.mark.parametrize("hours", [0, 1, 13, 24])
def test_a_full_observation_shows_the_state_to_1e_5(hours: int, seeds: list[int] | None) -> None:
    state = later(DAY, hours, seeds)
    observation = observation_from_state(DAY, state)
    assert observation.dtype == np.float32
    assert observation.shape == ((3, 75) if seeds else (75,))
    seen = state_from_observation(DAY, observation)
    assert np.shape(seen.hour) == np.shape(state.hour)
    assert (seen.hour == np.asarray(state.hour)).all()
    for name in ("shadowing", "demand", "charge"):
        np.testing.assert_allclose(getattr(seen, name), getattr(state, name), rtol=1e-5, atol=1e-5, err_msg=name)
    assert (seen.charge <= DAY.population.capacity).all()


@pytest.mark.parametrize("seeds", [None, [4, 5, 6]], ids=["scalar", "lanes"])
@pytest.mark.parametrize("hours", [0, 1])
def test_a_sigma_of_0_reads_0_and_static_states_survive(hours: int, seeds: list[int] | None) -> None:
    state = later(STATIC, hours, seeds)
    impossible = state._replace(shadowing=state.shadowing + 3.0, demand=state.demand - 2.0)
    observation = observation_from_state(STATIC, impossible)
    assert (observation[..., :24] == 0.0).all()
    assert (observation[..., 48:72] == 0.0).all()
    seen = state_from_observation(STATIC, observation)
    assert (seen.hour == np.asarray(state.hour)).all()
    assert (seen.shadowing == 0.0).all()
    assert (seen.demand == 0.0).all()
    np.testing.assert_allclose(seen.charge, state.charge, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("hour", [0, 1, 5, 24])
def test_a_full_observation_has_the_architectures_layout(hour: int) -> None:
    state = later(DAY, hour)
    observation = observation_from_state(DAY, state)
    angle = 2.0 * np.pi * hour / 24.0
    battery = 2.0 * state.charge / DAY.population.capacity - 1.0
    clock = [np.sin(angle), np.cos(angle), 1.0 - hour / 24.0]
    expected = np.concatenate([state.shadowing / 4.0, battery, state.demand / 0.25, clock])
    np.testing.assert_allclose(observation, expected, rtol=1e-6, atol=1e-6)


def test_observations_are_clipped_to_10() -> None:
    state = later(DAY, 0)
    far = state._replace(shadowing=state.shadowing * 0.0 + 100.0, demand=state.demand * 0.0 - 7.0)
    observation = observation_from_state(DAY, far)
    assert (observation[:24] == 10.0).all()
    assert (observation[48:72] == -10.0).all()
    assert (state_from_observation(DAY, observation).shadowing == 40.0).all()


def test_a_public_observation_is_the_clock_and_the_last_sale_with_zeros_before_the_first() -> None:
    env, nothing_sold = LMaaSEnv("public"), [0.0, 1.0, 1.0, *[0.0] * 13]
    first, _ = env.reset(seed=1)
    assert env.state is not None
    assert first.tolist() == observation_from_state(PUBLIC, env.state).tolist() == nothing_sold
    prices = np.array([2.0, 4.0, 9.0, 40.0])
    seen, *_ = env.step(action_from_prices(PUBLIC, prices))
    settlement = env.settlement
    assert settlement is not None
    np.testing.assert_allclose(settlement.prices, prices, rtol=1e-6)
    assert settlement.customers_per_model.sum() > 0
    clock = [np.sin(np.pi / 12.0), np.cos(np.pi / 12.0), 23.0 / 24.0]
    sale = [
        *(2.0 * np.log(prices) / np.log(40.0) - 1.0),
        *(settlement.hours_per_model / 24.0),
        *(settlement.customers_per_model / 24.0),
        settlement.profit / 24.0,
    ]
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen, clock + sale, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(seen, observation_from_state(PUBLIC, env.state, np.array([sale])))


@pytest.mark.parametrize("hour", [0, 7, 24])
@pytest.mark.parametrize("seeds", [None, [4, 5, 6]], ids=["scalar", "lanes"])
def test_a_public_observation_gives_the_hour_and_the_assumed_state(hour: int, seeds: list[int] | None) -> None:
    state = later(PUBLIC, hour, seeds)
    observation = observation_from_state(PUBLIC, state)
    seen, assumed = state_from_observation(PUBLIC, observation), assumed_state(PUBLIC, state.hour)
    assert (seen.hour == np.asarray(state.hour)).all()
    for given_state in (seen, assumed):
        assert given_state.charge.shape == state.charge.shape
        assert (given_state.shadowing == 0.0).all()
        assert (given_state.demand == 0.0).all()
        np.testing.assert_allclose(given_state.charge - 0.4 * PUBLIC.population.capacity, 0.0, atol=1e-12)


@pytest.mark.parametrize("market", [DAY, PUBLIC], ids=["full", "public"])
@pytest.mark.parametrize("shape", [(), (74,), (76,), (15,), (1, 2, 75), (1, 2, 16), (75, 1), (0,)])
def test_an_observation_of_another_shape_is_refused(market: Market, shape: tuple[int, ...]) -> None:
    size = 75 if market is DAY else 16
    with pytest.raises(ValueError, match=rf"observation has shape .*, it must be \({size},\) or \(lanes, {size}\)"):
        state_from_observation(market, np.zeros(shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("market", [DAY, PUBLIC], ids=["full", "public"])
def test_an_observation_that_is_not_finite_is_refused_by_its_index(market: Market, bad: float) -> None:
    observation: Any = np.zeros(75 if market is DAY else 16)
    observation[5] = bad
    for seen in (observation, np.stack([np.zeros_like(observation), observation])):
        with pytest.raises(ValueError, match=r"observation\[5\] must be finite"):
            state_from_observation(market, seen)
