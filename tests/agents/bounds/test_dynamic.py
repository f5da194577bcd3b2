"""The certified bound at one common price: above every seller on every day, and near the optimum of mini markets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lmaas_agents import IMP, ExactSeller, FixedPrice, LookaheadIMP
from lmaas_agents.bounds import Effort, clairvoyant_profit, dynamic_bound, mean_energy_value
from lmaas_agents.energy import SHARES
from lmaas_agents.planning import plan_day

from lmaas_env import Market, Population, Scenario
from lmaas_env.seeds import draw_days, held_out_seeds
from lmaas_env.state import Draws, State
from tests.agents.mini_markets import mini_markets
from tests.days import one_day

QUICK = Effort(charges=8, prices=64, proof_prices=128, steps=20, renewals=2, boxes=3000)


def small(scenario: str, seed: int = 1) -> Market:
    smaller = dataclasses.replace(Scenario.preset(scenario), customers=6)
    return Market(smaller, population=Population.for_scenario(smaller, seed))


def nothing(market: Market) -> np.ndarray:
    return np.zeros((market.scenario.periods, market.population.size, SHARES.size))


def days_of(market: Market, count: int) -> list[tuple[State, Draws]]:
    states, draws = draw_days(market, held_out_seeds(count))
    return [(State(0, *(array[lane] for array in states[1:])), draws.at((slice(None), lane))) for lane in range(count)]


def sold(market: Market, seller: IMP | FixedPrice | ExactSeller, state: State, draws: Draws) -> tuple[float, list]:
    profit, posted = 0.0, []
    for hour in range(market.scenario.periods):
        posted.append(seller.prices(state))
        sale, state = market.settle(posted[-1], state, draws.at(hour))
        profit += float(sale.profit)
    return profit, posted


@pytest.mark.parametrize("scenario", ["day", "scarce", "abundant", "static"])
def test_no_seller_exceeds_the_bound_not_even_one_that_knows_the_day(scenario: str) -> None:
    market = small(scenario)
    plan = plan_day(market, rounds=2)
    for state, draws in days_of(market, 2):
        bound = dynamic_bound(market, state, draws, QUICK, plan.energy_value)
        sellers = [IMP(market), LookaheadIMP(market, plan=plan), FixedPrice(market, [3.0, 5.0, 8.0, 12.0])]
        results = [sold(market, seller, state, draws) for seller in sellers]
        best, posted = max(results, key=lambda result: result[0])
        foreseen = clairvoyant_profit(market, state, draws, np.array(posted), rounds=1)
        assert best <= foreseen <= bound.certified
        assert np.isclose(bound.by_hour.sum(), bound.certified + market.catalogue.training_cost.sum() * len(draws[0]))


def test_any_energy_values_prove_a_bound_and_the_descent_lowers_it() -> None:
    market = small("day")
    state, draws = one_day(market, 1)
    earned, _ = sold(market, LookaheadIMP(market, plan=plan_day(market, rounds=2)), state, draws)
    start = nothing(market)
    start[:] = np.random.default_rng(0).uniform(0.0, 3.0, start.shape).cumsum(axis=2)
    bad = dynamic_bound(market, state, draws, QUICK._replace(steps=0), start)
    good = dynamic_bound(market, state, draws, QUICK._replace(steps=60), start)
    assert earned <= good.certified < 0.9 * bad.certified
    again = dynamic_bound(market, state, draws, QUICK._replace(steps=60), start)
    assert again.certified == good.certified


def test_more_boxes_and_cells_prove_a_lower_bound() -> None:
    market = small("abundant")
    state, draws = one_day(market, 1)
    efforts = [QUICK._replace(steps=0, boxes=30), QUICK._replace(steps=0), QUICK._replace(steps=0, proof_prices=512)]
    bounds = [dynamic_bound(market, state, draws, effort, nothing(market)).certified for effort in efforts]
    assert bounds[0] > bounds[1] > bounds[2]


def test_the_mean_energy_value_rises_with_the_charge_and_ends_with_the_day() -> None:
    market = small("day")
    mean = mean_energy_value(market, 2, QUICK)
    assert mean.shape == (25, 6, SHARES.size)
    assert (np.diff(mean, axis=2) >= 0.0).all()
    assert (mean[:-1, :, -1] > 0.0).any()
    assert (mean[-1] == 0.0).all()


@pytest.mark.heavy
def test_the_bound_is_close_to_the_optimum_of_100_mini_markets() -> None:
    effort, earned, bounded = Effort(charges=48, steps=400), 0.0, 0.0
    for market in mini_markets(100):
        seller = ExactSeller(market)
        for state, draws in days_of(market, 2):
            profit, _ = sold(market, seller, state, draws)
            bound = dynamic_bound(market, state, draws, effort, nothing(market)).certified
            assert profit <= bound
            earned, bounded = earned + profit, bounded + bound
    assert bounded <= 1.03 * earned


def test_what_the_bound_does_not_hold_for_is_refused() -> None:
    market = small("day")
    state, draws = one_day(market, 1)
    with pytest.raises(ValueError, match=r"start\[0, 0, 0\] = nan must be finite"):
        dynamic_bound(market, state, draws, start=np.full((25, market.population.size, SHARES.size), np.nan))
    with pytest.raises(ValueError, match=r"customers = Nominal: the bound holds for those that select by RSR"):
        dynamic_bound(Market(market.scenario, population=market.population, customers="nominal"), state, draws)
    for change, message in (
        ({"charges": 0}, "charges = 0 must be >= 1"),
        ({"prices": 48}, "prices = 48 must be a power of two >= 2"),
        ({"proof_prices": 1}, "proof_prices = 1 must be a power of two >= 2"),
        ({"steps": -1}, "steps = -1 must be >= 0"),
        ({"gap": float("nan")}, "gap = nan must be >= 0 and finite"),
    ):
        with pytest.raises(ValueError, match=message):
            dynamic_bound(market, state, draws, Effort()._replace(**change))
    lanes = Population.stack([Population.sample(market.scenario, np.random.default_rng(seed)) for seed in (1, 2)])
    with pytest.raises(ValueError, match="one day at a time"):
        dynamic_bound(market.with_population(lanes), state, draws)
    with pytest.raises(ValueError, match="one day at a time"):
        dynamic_bound(Market("population"), state, draws)
