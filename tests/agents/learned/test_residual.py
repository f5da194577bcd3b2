"""Residual pricing: snapped prices against thresholds, local search, features, the shipped policies."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from lmaas_agents import LookaheadIMP, load_policy
from lmaas_agents.energy import SHARES
from lmaas_agents.imp.coordinate_ascent import anticipated_profit
from lmaas_agents.imp.problem import Problem
from lmaas_agents.learned.residual import Residual, customer_features, plan_of, residual_prices
from lmaas_agents.learned.snap import snap_to_threshold
from lmaas_agents.planning import Plan
from lmaas_train.evaluation.rollout import rollout

from lmaas_env import Market
from lmaas_env.market import unstack
from lmaas_env.rsr import solve
from lmaas_env.seeds import draw_days, held_out_seeds, open_days
from lmaas_env.spaces import observation_from_state
from lmaas_env.state import State


def test_a_price_ends_just_below_a_threshold_and_no_farther_than_the_snap_radius() -> None:
    market = Market("day")
    state, _ = draw_days(market, range(20))
    state = State(np.full(20, 16), *state[1:])
    prices = np.random.default_rng(0).uniform(12.0, 25.0, (20, 4))
    terms = market.terms(state)
    found = snap_to_threshold(market, terms.arrays, prices, 0.1)
    # The first step of Newton's method, which the radius is compared with, ends a little short of the threshold.
    assert (np.abs(np.log(found / prices)) <= 0.13).all()
    moved = 0
    last = int(np.argmin(market.catalogue.serving_cost))  # it moves last, so its threshold is that of the final prices
    for lane in range(20):
        own = market.terms(State(16, *(array[lane] for array in state[1:])))
        if found[lane, last] == prices[lane, last]:
            continue
        moved += 1
        below, above = solve(own, found[lane]), found[lane].copy()
        above[last] *= 1.0 + 3e-6
        assert (below.choice == last).sum() == (solve(own, above).choice == last).sum() + 1
    assert moved >= 4


def test_local_search_raises_the_profit_that_look_ahead_imp_anticipates() -> None:
    market = Market("day")
    plan = plan_of(market)
    state, _ = market.days([np.random.default_rng(i) for i in range(16)])
    state = state._replace(hour=np.full(16, 15))
    judge = LookaheadIMP(market, "worst_case", plan=plan)

    def charged_profit(own: State, price: np.ndarray) -> float:
        terms, constants = judge._period(own)
        return float(anticipated_profit(Problem(terms.arrays, judge.anticipation, constants), price))

    found = [
        [charged_profit(own, price) for own, price in zip(unstack(state), prices, strict=True)]
        for prices in (
            residual_prices(market, Residual(plan, 0.4, 0.0, searches), state, np.zeros((16, 4)))
            for searches in (0, 1, 16)
        )
    ]
    own, one, many = np.array(found)
    assert (one > own).all()
    assert many.sum() > one.sum()


def test_local_search_in_many_lanes_equals_that_in_each_alone() -> None:
    market = Market("day")
    residual = Residual(plan_of(market), 0.4, 0.0, 4)
    state, _ = market.days([np.random.default_rng(i) for i in range(3)])
    outputs = np.random.default_rng(0).normal(size=(3, 4))
    together = residual_prices(market, residual, state, outputs)
    for lane in range(3):
        own = State(*(array[lane : lane + 1] for array in state))
        assert np.array_equal(together[lane], residual_prices(market, residual, own, outputs[lane : lane + 1])[0])


@pytest.mark.parametrize("scenario", ["day", "population"])
def test_customer_features_hold_the_customers_choices_at_the_plans_prices(scenario: str) -> None:
    market, state, *_ = open_days(Market(scenario), range(3))
    hour = np.array([0, 9, 23])
    state = state._replace(hour=hour)
    prices = np.random.default_rng(0).uniform(5.0, 20.0, (24, 4))
    customers, clock = customer_features(
        market, Residual(Plan(prices, np.zeros((25, 1, SHARES.size))), 0.4, 0.0), state
    )
    result = solve(market.terms(state), prices[hour])
    worst, hours = (array.reshape(3, 24, 4) for array in (result.worst_case_profit, result.planned_hours.sum(axis=2)))
    assert np.array_equal(customers[..., 11:15], np.clip(worst, -3.0, 10.0) / 2.0)
    assert np.allclose(customers[..., 15:19], 2.0 * hours, rtol=1e-12)
    assert np.allclose(customers[..., 2], 2.0 * state.charge / market.population.capacity - 1.0)
    assert np.allclose(clock[:, 2], 1.0 - hour / 24.0)
    rents = hours > 1e-6
    assert (customers[..., 19:23][~rents] == -2.0).all()
    # The distance is a first step to the threshold, short of it as W is convex: half of it changes no choice.
    distance = customers[..., 19:23] / 2.0
    chosen = np.arange(4) == result.choice.reshape(3, 24, 1)
    assert np.array_equal((distance > 0.0) & rents, chosen & rents)
    seen = 0
    for k, n, m in np.argwhere(chosen & (distance < 0.3))[:40]:
        moved = prices[hour].copy()
        moved[k, m] *= 1.0 + 0.5 * distance[k, n, m]
        assert solve(market.terms(state), moved).choice[24 * k + n] == m
        seen += 1
    assert seen > 10


def test_an_observation_of_a_days_end_gets_a_finite_action() -> None:
    market = Market("day")
    state, _ = market.days([np.random.default_rng(0)])
    ended = observation_from_state(market, state._replace(hour=np.array([24])))
    for seller in (load_policy("day-guided"), LookaheadIMP(market)):
        action, _ = seller.predict(ended)
        assert np.isfinite(action).all()


def test_a_residual_policy_refuses_other_customers() -> None:
    load_policy("day-guided").check(Market("day"))
    with pytest.raises(ValueError, match="knows other customers than this market's: distance differs"):
        load_policy("day-guided").check(Market("day", seed=1))


@pytest.mark.parametrize("name", ["day-guided", "scarce-guided", "abundant-guided", "public-guided"])
def test_a_shipped_policy_earns_the_published_profit_of_each_day(name: str) -> None:
    days = Path(__file__).parents[3] / "benchmarks" / name.removesuffix("-guided") / "days.csv"
    with days.open(encoding="utf-8", newline="") as stream:
        said = [float(row["profit"]) for row in csv.DictReader(stream) if row["seller"] == name][:5]
    policy = load_policy(name)
    market = Market(policy.scenario)
    policy.check(market)
    # Elsewhere rounding may move a price by a cell, and with it a customer.
    assert rollout(market, policy, held_out_seeds(5)).day_profit == pytest.approx(said, rel=5e-3)


def test_the_shipped_policy_for_any_customers_earns_about_its_published_profit() -> None:
    policy = load_policy("population-guided")
    earned = rollout(Market(policy.scenario), policy, held_out_seeds(60)).day_profit.mean()
    assert earned == pytest.approx(policy.spec.scores["held_out"]["mean_day_profit"], rel=0.05)
