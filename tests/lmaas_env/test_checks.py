"""What public functions of the market refuse before it reaches a kernel: shapes, sizes, ranges, numbers not finite."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from lmaas_env import Market, Population, RentalTerms, State
from lmaas_env.checks import array_in
from lmaas_env.customers.static_robust import robust_plans
from lmaas_env.spaces import (
    action_from_prices,
    observation_from_state,
    observation_space,
    observed_market,
    prices_from_action,
    state_from_observation,
)

DAY = Market("day")
RNG = np.random.default_rng(0)
STATE, DRAWS = DAY.initial_state(RNG), DAY.draws(RNG)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hour": -1}, "state: hour = -1 must be in [0, 8760] h"),
        ({"hour": 8761}, "state: hour = 8761 must be in [0, 8760] h"),
        ({"hour": 3.0}, "state: hour = 3.0 must be a whole number in [0, 8760] h"),
        ({"hour": np.zeros(3, int)}, "state: hour has shape (3,)"),
        ({"charge": STATE.charge[1:]}, "state: charge has shape (23,)"),
        ({"charge": STATE.charge * np.nan}, "state: charge[0] = nan must be in [0, "),
        ({"charge": STATE.charge - 1e3}, "state: charge[0] = -"),
        ({"charge": DAY.population.capacity * 1.001}, "state: charge[0] = "),
        ({"shadowing": STATE.shadowing[:3]}, "state: shadowing has shape (3,), it must be (24,)"),
        ({"shadowing": STATE.shadowing + np.inf}, "state: shadowing[0] = inf must be finite dB"),
        ({"demand": ["a"] * 24}, "state: demand cannot be read as an array of numbers"),
    ],
)
def test_a_state_that_the_market_cannot_have_is_refused(changed: dict[str, Any], message: str) -> None:
    state = STATE._replace(**changed)
    for use in (DAY.terms, DAY.as_batch, lambda s: DAY.settle([5.0] * 4, s, DRAWS)):
        with pytest.raises(ValueError, match=re.escape(message)):
            use(state)
    with pytest.raises(ValueError, match=re.escape(message)):
        observation_from_state(DAY, state)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"choice_uniform": np.ones(24)}, "draws: choice_uniform[0] = 1.0 must be in [0, 1]"),
        ({"choice_uniform": -np.ones(24)}, "draws: choice_uniform[0] = -1.0 must be in [0, 1]"),
        ({"harvest": -np.ones(24)}, "draws: harvest[0] = -1.0 must be finite and >= 0"),
        ({"shadowing": np.full(24, np.nan)}, "draws: shadowing[0] = nan must be finite"),
        ({"faded": DRAWS.faded[:, :5]}, "draws: faded has shape (24, 5)"),
    ],
)
@pytest.mark.parametrize("customers", ["rsr", "random"])
def test_draws_that_nature_cannot_make_are_refused(customers: str, changed: dict[str, Any], message: str) -> None:
    market = Market("day", customers=customers)
    with pytest.raises(ValueError, match=re.escape(message)):
        market.settle([5.0] * 4, STATE, DRAWS._replace(**changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"capacity": np.ones(3)}, "population: capacity is (3,) float64, it must be (24,) float64"),
        ({"fade_budget": np.ones(24)}, "population: fade_budget is (24,) float64, it must be (24,) int64"),
        ({"fade_budget": np.full(24, -1)}, "population: fade_budget[0] = -1 must be in [0, 96"),
        ({"distance": np.full(24, np.nan)}, "population: distance[0] = nan must be in [0.999999999, 100000"),
        ({"saturation": np.zeros(24)}, "population: saturation[0] = 0.0 must be in ["),
        ({"task_value": np.ones((24, 5))}, "population has (customers, slots) = (24, 5)"),
        ({"task_value": np.arange(144.0).reshape(24, 6)}, "task_value must be sorted descending"),
    ],
)
def test_a_population_that_no_scenario_draws_is_refused(changed: dict[str, Any], message: str) -> None:
    population = DAY.population._replace(**changed)
    for use in (DAY.with_population, lambda own: Market("day", population=own)):
        with pytest.raises(ValueError, match=re.escape(message)):
            use(population)


def test_terms_from_arrays_of_other_sizes_are_refused() -> None:
    terms = DAY.terms(STATE).arrays
    for name in terms._fields:
        with pytest.raises(ValueError, match="has shape"):
            RentalTerms.from_arrays(terms._replace(**{name: getattr(terms, name)[..., :3]}))


@pytest.mark.parametrize("values", [[np.nan] * 4, [np.inf] * 4, 3.0, [], "text"])
def test_actions_and_prices_that_are_no_finite_numbers_are_refused(values: Any) -> None:
    for use, name in ((prices_from_action, "action"), (action_from_prices, "prices")):
        with pytest.raises(ValueError, match=rf"{name}|reshape"):
            use(DAY, values)


def test_plans_are_not_made_for_prices_of_another_market() -> None:
    with pytest.raises(ValueError, match=r"prices has shape \(4, 3\), it must be \(4, 24\)"):
        robust_plans(DAY.terms(STATE).arrays, np.ones((4, 3)))


def test_any_observation_shows_a_state_that_the_market_can_have() -> None:
    for name in ("day", "static", "public", "mini"):
        market, rng = Market(name), np.random.default_rng(1)
        size = observation_space(market).shape[0]
        seen = rng.choice([-1e30, -10.0, -1.0, 0.0, 0.3, 1.0, 10.0, 1e30], (200, size))
        state = state_from_observation(market, seen)
        assert ((state.hour >= 0) & (state.hour <= market.scenario.periods)).all()
        assert ((state.charge >= 0.0) & (state.charge <= market.population.capacity)).all()
        assert np.isfinite(state.shadowing).all()
        market.terms(State(*(array[:2] for array in state)))


def test_any_observation_shows_customers_that_a_scenario_can_draw() -> None:
    market, rng = Market("population"), np.random.default_rng(1)
    for _ in range(20):
        seen = rng.uniform(-10.0, 10.0, observation_space(market).shape) * rng.choice([0.1, 1.0, 1e9])
        population = observed_market(market, seen).population
        assert isinstance(population, Population)
        assert (population.fade_depth >= 0.0).all()
        assert (population.distance <= 1e5).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([1.0, 2.0], (3,), 0.0, 1.0), "x has shape (2,), it must be (3,)"),
        (([1.0, 2.0], (2,), 0.0, 1.5, "$"), "x[1] = 2.0 must be in [0, 1.5] $"),
        (([[1.0, -2.0]], (None, 2), 0.0), "x[0, 1] = -2.0 must be finite and >= 0"),
        ((np.nan, ()), "x = nan must be finite"),
        ((1j, ()), "x cannot be read as an array of numbers"),
    ],
)
def test_a_refusal_names_field_value_and_range(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        array_in("x", *given)
