"""RSR's rivals: what they guarantee is exact, none guarantees more than RSR, and markets settle with any of them."""

from __future__ import annotations

import dataclasses
import itertools

import gymnasium as gym
import numpy as np
import pytest

from lmaas_env import Market, Population, RentalTerms, Scenario, State
from lmaas_env.customers.strategies import STRATEGIES, Rented, Selection, strategy
from lmaas_env.engine.terms import price_per_customer
from lmaas_env.rsr import rent, solve
from lmaas_env.seeds import draw_days
from lmaas_env.types import FloatArray
from tests.days import one_day

RIVALS = [name for name in STRATEGIES if name != "rsr"]
PROBABILITY = 0.15


def some_terms(seed: int) -> tuple[RentalTerms, FloatArray]:
    """Terms of a day's hour with batteries from empty to full, and prices at which customers rent."""
    rng = np.random.default_rng(seed)
    market = Market("day", seed=seed)
    state, _ = one_day(market, rng)
    charge = market.population.capacity * rng.choice([0.02, 0.1, 1.0], market.population.size) * rng.random()
    terms = market.terms(State(int(rng.integers(24)), state.shadowing, state.demand, charge))
    return terms, rng.uniform(2, 12, 4)


def selected(name: str, terms: RentalTerms, prices: FloatArray) -> Selection:
    choice_uniform = np.random.default_rng(1).random(terms.size)
    return strategy(name, PROBABILITY).select(terms.arrays, price_of(terms, prices), choice_uniform)


def rented(name: str, terms: RentalTerms, prices: FloatArray, selection: Selection, faded: np.ndarray) -> Rented:
    """What customers do under one fade pattern each, (N, L)."""
    pattern = np.ascontiguousarray(faded.T)
    return strategy(name, PROBABILITY).rent(terms.arrays, price_of(terms, prices), selection, pattern)


def price_of(terms: RentalTerms, prices: FloatArray) -> FloatArray:
    """Prices (M,) as each customer sees them, (M, N)."""
    return price_per_customer(prices[None], terms.size)


@pytest.mark.parametrize("name", list(STRATEGIES))
@pytest.mark.parametrize("seed", range(4))
def test_what_a_strategy_guarantees_is_its_least_profit_over_all_allowed_fades(name: str, seed: int) -> None:
    terms, prices = some_terms(seed)
    selection = selected(name, terms, prices)
    worst = np.full(terms.size, np.inf)
    for pattern in itertools.product([False, True], repeat=6):
        faded = np.tile(np.array(pattern), (terms.size, 1))
        profit = rented(name, terms, prices, selection, faded).profit
        allowed = sum(pattern) <= terms.fade_budget
        worst[allowed] = np.minimum(worst, profit)[allowed]
    assert selection.worst_case_profit == pytest.approx(worst, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("seed", range(8))
def test_no_rival_guarantees_more_than_rsr_and_perfect_foresight_exactly_as_much(name: str, seed: int) -> None:
    terms, prices = some_terms(seed)
    ours = selected("rsr", terms, prices).worst_case_profit
    theirs = selected(name, terms, prices).worst_case_profit
    assert (ours >= theirs - 1e-9).all()
    if name == "perfect-foresight":
        assert (ours == theirs).all()


@pytest.mark.parametrize("seed", range(4))
def test_perfect_foresight_never_earns_less_than_any_strategy(seed: int) -> None:
    terms, prices = some_terms(seed)
    faded = np.random.default_rng(seed).random((terms.size, 6)) < 0.3
    rentals = {name: rented(name, terms, prices, selected(name, terms, prices), faded) for name in STRATEGIES}
    for rental in rentals.values():
        assert (rentals["perfect-foresight"].profit >= rental.profit - 1e-9).all()
        assert (rental.energy <= terms.energy + 1e-9).all()


def test_the_strategy_rsr_selects_and_rents_as_solve_and_rent_do() -> None:
    terms, prices = some_terms(3)
    result, selection = solve(terms, prices), selected("rsr", terms, prices)
    assert (selection.choice == result.choice).all()
    faded = np.random.default_rng(0).random((terms.size, 6)) < 0.3
    rental = rented("rsr", terms, prices, selection, faded)
    np.testing.assert_array_equal(rental.hours.T, rent(terms, result.choice, prices, faded).hours)


def test_choices_follow_each_strategys_own_rule() -> None:
    terms, prices = some_terms(2)
    choice_uniform = np.random.default_rng(1).random(terms.size)
    assert (selected("cheapest", terms, prices).choice == prices.argmin()).all()
    assert (selected("greedy-quality", terms, prices).choice == terms.quality[:, :, 0].argmax(axis=1)).all()
    assert (selected("random", terms, prices).choice == np.floor(4 * choice_uniform)).all()
    unfaded = dataclasses.replace(terms, fade_budget=0 * terms.fade_budget)
    for name in ("nominal", "nominal-recourse"):
        assert (selected(name, terms, prices).choice == solve(unfaded, prices).choice).all()


def test_a_kept_plan_pays_what_it_cannot_use() -> None:
    """One customer, one model, two slots, by hand: the first slot fades, the battery is empty in the second."""
    terms = RentalTerms(
        task_value=np.array([[3.0, 2.0]]),
        fade_budget=np.array([0]),
        saturation=np.array([20.0]),
        energy=np.array([1.5]),
        setup_cost=np.array([[0.1]]),
        quality=np.array([[[0.8, 0.5]]]),
        airtime_cost=np.array([[[0.5, 1.0]]]),
        power=np.array([[[4.0, 8.0]]]),
        max_hours=np.array([[[0.5, 0.15]]]),
    )
    booked = np.array([[0.25, 0.2]])
    selection = Selection(np.array([0]), np.zeros(1), np.ascontiguousarray(booked.T))
    rental = rented("nominal", terms, np.array([5.0]), selection, np.array([[True, False]]))
    first, second = 0.15, (1.5 - 8.0 * 0.15) / 4.0
    used = 3.0 * np.log(1 + 20 * 0.5 * first) - first + 2.0 * np.log(1 + 20 * 0.8 * second) - 0.5 * second
    assert rental.profit[0] == pytest.approx(used - 5.0 * booked.sum() - 0.1, rel=1e-12)
    assert rental.energy[0] == pytest.approx(1.5)
    assert rental.hours.T.tolist() == booked.tolist()


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_lanes_settle_as_single_markets(name: str) -> None:
    market = Market("day", customers=name)
    state, draws = draw_days(market, range(3))
    prices = np.random.default_rng(0).uniform(4.0, 20.0, (3, 4))
    together, _ = market.settle(prices, state, draws.at(0))
    for lane in range(3):
        first, day = one_day(market, lane)
        alone, _ = market.settle(prices[lane], first, day.at(0))
        assert (together.choice[lane] == alone.choice).all()
        assert together.customer_profit[lane] == pytest.approx(alone.customer_profit, rel=1e-12)
        assert together.profit[lane] == pytest.approx(alone.profit, rel=1e-12)


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_environments_take_any_customers(name: str) -> None:
    for env_id in ("LMaaS-v0", "LMaaS-Static-v0"):
        env = gym.make(env_id, customers=name)
        env.reset(seed=0)
        assert np.isfinite(env.step(np.zeros(4, np.float32))[1])


def test_unknown_customers_and_too_many_patterns_are_refused() -> None:
    with pytest.raises(ValueError, match="customers = 'nominl' are unknown, did you mean 'nominal'"):
        gym.make("LMaaS-v0", customers="nominl")
    scenario = dataclasses.replace(Scenario(), slots=20, customers=8)
    people = Population.for_scenario(scenario, 1)
    market = Market(scenario, population=people._replace(fade_budget=np.full(8, 20)), customers="nominal")
    state, draws = one_day(market, 0)
    with pytest.raises(ValueError, match="more than 200000 fade patterns"):
        market.settle(np.ones(4), state, draws.at(0))
