"""The exact seller: its value against a plain tree of the day, its policy against every other seller."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from lmaas_agents import IMP, CostPlus, ExactSeller, FixedPrice, LookaheadIMP, PublicIMP, PublicLookaheadIMP
from lmaas_agents.exact import expected_profit, state_count
from lmaas_train.evaluation.rollout import rollout

from lmaas_env import Market, Population, Scenario, State
from lmaas_env.rsr import rent, solve
from lmaas_env.seeds import held_out_seeds
from lmaas_env.spaces import menu_prices, observation_from_state, prices_from_action
from lmaas_env.types import FloatArray
from tests.agents.mini_markets import mini_markets, models

MINI = Scenario.preset("mini")


@pytest.fixture(scope="module")
def mini() -> ExactSeller:
    return ExactSeller(Market("mini"))


def tiny(seed: int = 0, **changes: Any) -> Market:
    return Market(dataclasses.replace(MINI, **changes), seed=seed)


def at(hour: int, charge: FloatArray) -> State:
    return State(hour, np.zeros(len(charge)), np.zeros(len(charge)), charge)


def start(market: Market) -> FloatArray:
    return market.scenario.charge_start_min * market.population.capacity


def value_of_tree(market: Market, hour: int, charge: FloatArray) -> float:
    """The value by recursion over every price vector and fade pattern of every hour, nothing remembered."""
    scenario, catalogue, population = market.scenario, market.catalogue, market.population
    if hour == scenario.periods:
        return 0.0
    best = -np.inf
    terms = market.terms(at(hour, charge))
    for vector in itertools.product(menu_prices(market), repeat=catalogue.size):
        choice = solve(terms, vector).choice
        mean = -sum(catalogue.training_cost)
        for bits in itertools.product([False, True], repeat=population.size * scenario.slots):
            chance = np.prod([scenario.fade_probability if bit else 1.0 - scenario.fade_probability for bit in bits])
            if chance == 0.0:
                continue
            rental = rent(terms, choice, vector, np.array(bits).reshape(population.size, scenario.slots))
            profit = 0.0
            for n, m in enumerate(choice):
                if m >= 0:
                    profit += (vector[m] - catalogue.serving_cost[m]) * rental.hours[n].sum()
                    profit -= catalogue.adaptation_cost[m]
            after = charge - rental.energy + scenario.harvest * population.capacity
            after = np.minimum(np.maximum(after, 0.0), population.capacity)
            mean += chance * (profit + value_of_tree(market, hour + 1, after))
        best = max(best, mean)
    return best


class HourByHour(ExactSeller):
    """The best menu prices of every hour by itself: exact, without looking ahead."""

    def __init__(self, market: Market) -> None:
        super().__init__(market)
        days = [dataclasses.replace(market.scenario, periods=hour + 1) for hour in range(market.scenario.periods)]
        self.last_hour = [ExactSeller(Market(day, population=market.population)) for day in days]

    def prices(self, state: State) -> FloatArray:
        return self.last_hour[int(state.hour)].prices(state)


TINY = {
    "two customers": {"price_menu": 2, "periods": 3},
    "two slots": {"price_menu": 2, "periods": 2, "slots": 2},
    "one model, three prices": {"price_menu": 3, "periods": 3, **models(1)},
    "one customer": {"price_menu": 3, "periods": 3, "customers": 1, "charge_start_min": 0.3, "charge_start_max": 0.3},
    "three customers": {"price_menu": 2, "periods": 2, "customers": 3, "harvest": 0.0},
    "nothing fades": {"price_menu": 3, "periods": 3, "fade_probability": 0.0},
    "every slot fades": {"price_menu": 3, "periods": 3, "fade_probability": 1.0},
    "spilled harvest": {
        "price_menu": 2,
        "periods": 3,
        "harvest": 0.5,
        "charge_start_min": 1.0,
        "charge_start_max": 1.0,
    },
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("changes", TINY.values(), ids=TINY)
def test_the_value_is_that_of_the_whole_tree(changes: dict[str, Any], seed: int) -> None:
    market = tiny(seed, **changes)
    seller = ExactSeller(market)
    assert seller.value() == pytest.approx(value_of_tree(market, 0, start(market)), rel=1e-9)
    assert expected_profit(market, seller) == pytest.approx(seller.value(), rel=1e-9)


def test_the_value_from_a_state_that_no_day_reaches_is_that_of_its_tree(mini: ExactSeller) -> None:
    charge = np.array([3.3, 17.0])
    for hour in (2, 3):
        assert mini.value(at(hour, charge)) == pytest.approx(value_of_tree(mini.market, hour, charge), rel=1e-9)
        assert np.isin(mini.prices(at(hour, charge)), menu_prices(mini.market)).all()
    assert mini.value(at(4, charge)) == 0.0
    assert mini.value(at(0, start(mini.market))) == mini.value()


def test_the_policy_earns_its_value_exactly_and_on_sampled_days(mini: ExactSeller) -> None:
    assert expected_profit(mini.market, mini) == pytest.approx(mini.value(), rel=1e-9)
    profit = rollout(mini.market, mini, held_out_seeds(2000)).day_profit
    error = profit.std(ddof=1) / np.sqrt(len(profit))
    assert abs(profit.mean() - mini.value()) < 1.96 * error
    assert error < 0.002 * mini.value()


def test_states_reached_on_a_day_are_found_through_their_observations(mini: ExactSeller) -> None:
    market, rng = mini.market, np.random.default_rng(0)
    for stage, hour in zip(mini.stages, range(4), strict=True):
        rows = rng.choice(len(stage.states), min(50, len(stage.states)), replace=False)
        charge = stage.charge(stage.states[rows])
        state = State(np.full(len(rows), hour), 0.0 * charge, 0.0 * charge, charge)
        action, _ = mini.predict(observation_from_state(market, state))
        assert prices_from_action(market, action).tolist() == mini.vectors[stage.best[rows]].tolist()
        rounded = [own * (1.0 + 1e-8) for own in charge]
        assert [mini.value(at(hour, own)) for own in rounded] == pytest.approx(stage.value[rows], rel=1e-9)


@pytest.mark.parametrize("market", mini_markets(10), ids=lambda market: market.scenario.name)
def test_no_seller_earns_more_in_expectation(market: Market) -> None:
    best = ExactSeller(market).value()
    sellers = [IMP(market), PublicIMP(market), CostPlus(market), HourByHour(market)]
    if market.scenario.slots == 1:
        plan = LookaheadIMP(market)
        sellers += [plan, PublicLookaheadIMP(market, plan=plan.plan)]
    for seller in sellers:
        assert expected_profit(market, seller) <= best + 1e-9 * max(1.0, abs(best)), seller
    for prices in itertools.product(menu_prices(market), repeat=2):
        assert expected_profit(market, FixedPrice(market, prices)) <= best + 1e-9 * max(1.0, abs(best)), prices


def test_mini_couples_its_hours(mini: ExactSeller) -> None:
    market, best = mini.market, mini.value()
    assert best == pytest.approx(82.578, abs=1e-3)
    assert expected_profit(market, IMP(market)) == pytest.approx(75.498, abs=1e-3)
    assert expected_profit(market, HourByHour(market)) == pytest.approx(75.7, abs=0.05)
    assert expected_profit(market, LookaheadIMP(market)) == pytest.approx(80.740, abs=1e-3)
    without_fades = ExactSeller(Market(dataclasses.replace(MINI, fade_probability=0.0)))
    assert without_fades.value() > 1.03 * best


@pytest.mark.parametrize("count", [25, pytest.param(100, marks=pytest.mark.heavy)])
def test_mini_markets_differ_and_are_small(count: int) -> None:
    markets = mini_markets(count)
    values = []
    for market in markets:
        seller = ExactSeller(market)
        values.append(seller.value())
        assert sum(len(stage.states) for stage in seller.stages) <= state_count(market)
    assert len(set(values)) == count
    assert [market.scenario for market in mini_markets(9)] == [market.scenario for market in markets[:9]]
    assert {market.scenario.periods for market in markets} == {3, 4}
    assert {market.scenario.slots for market in markets} == {1, 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"price_menu": 0}, "price_menu = 0, the exact seller needs a menu"),
        ({"shadowing_sigma": 1.0}, r"shadowing_sigma = 1\.0, the exact seller needs 0"),
        ({"demand_sigma": 0.1}, r"demand_sigma = 0\.1, the exact seller needs 0"),
        ({"harvest_spread": 0.5}, r"harvest_spread = 0\.5, the exact seller needs 0"),
        ({"charge_start_min": 0.3}, r"charge_start_min = 0\.3 and charge_start_max = 0\.8, .* equal"),
        ({"resample_population": "episode"}, "resample_population = 'episode', the exact seller needs 'never'"),
        ({"observation": "public"}, "observation = 'public', the exact seller needs 'full'"),
        ({"periods": 24}, r"the market may have .* states, more than most_states = 4,000,000: lower periods"),
        ({"customers": 24}, r"the market may have .* states"),
    ],
)
def test_other_markets_are_refused_before_anything_is_computed(
    changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = tiny(**changes)
    monkeypatch.setattr(Market, "settle", None)
    with pytest.raises(ValueError, match=message):
        ExactSeller(market)


def test_customers_that_choose_at_random_and_too_low_a_limit_are_refused() -> None:
    with pytest.raises(ValueError, match="customers = 'random', the exact seller needs"):
        ExactSeller(Market("mini", customers="random"))
    with pytest.raises(ValueError, match=r"may have 1,010,101 states, more than most_states = 1,010,100"):
        ExactSeller(Market("mini"), most_states=1_010_100)


@pytest.mark.parametrize("customers", ["nominal", "cheapest"])
def test_other_customers_are_sold_to_as_well(customers: str) -> None:
    market = Market(dataclasses.replace(MINI, price_menu=3, periods=3), customers=customers)
    seller = ExactSeller(market)
    assert expected_profit(market, seller) == pytest.approx(seller.value(), rel=1e-9)
    assert expected_profit(market, IMP(market)) <= seller.value() + 1e-9


def test_the_order_of_customers_does_not_matter(mini: ExactSeller) -> None:
    market = mini.market
    turned = Market(market.scenario, population=Population(*(array[::-1].copy() for array in market.population)))
    assert ExactSeller(turned).value() == pytest.approx(mini.value(), rel=1e-12)
