"""The bound on a day's profit: above every seller, tighter with more cells, tight where it must be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lmaas_agents import IMP, FixedPrice, LookaheadIMP
from lmaas_agents.bounds.personalised import day_bound
from lmaas_agents.lookahead import plan_day

from lmaas_env import Market, MarketState, Population, Scenario
from lmaas_env.market import Draws
from lmaas_env.scenario import MODEL_FIELDS
from lmaas_env.seeds import draw_days


def a_day(market: Market, seed: int) -> tuple[MarketState, list[Draws]]:
    return market.day(np.random.default_rng(seed))


def sold(market: Market, seller: IMP | FixedPrice, state: MarketState, draws: list[Draws]) -> float:
    profit = 0.0
    for period in draws:
        sale, state = market.settle(seller.prices(state), state, period)
        profit += float(sale.profit)
    return profit


def small(scenario: str, seed: int) -> Market:
    it = dataclasses.replace(Scenario.preset(scenario), customers=6)
    return Market(it, population=Population.for_scenario(it, seed))


@pytest.mark.parametrize("scenario", ["day", "scarce", "abundant"])
@pytest.mark.parametrize("seed", [1, 2])
def test_no_seller_passes_it_and_it_falls_as_cells_are_halved(scenario: str, seed: int) -> None:
    market = small(scenario, seed)
    state, draws = a_day(market, seed)
    coarse, middle, fine = (day_bound(market, state, draws, 12 * k, 10 * k) for k in (1, 2, 4))
    assert coarse > middle > fine
    sellers = [IMP(market), LookaheadIMP(market, plan=plan_day(market, rounds=2))]
    prices = np.exp(np.random.default_rng(seed).uniform(0.0, np.log(25.0), (30, 4)))
    sellers += [FixedPrice(market, row) for row in prices]
    best = max(sold(market, seller, state, draws) for seller in sellers)
    assert best <= fine
    assert best >= 0.5 * fine  # it says something


def test_it_is_tight_for_one_customer_and_model_with_energy_to_spare_where_nothing_is_random() -> None:
    one = {name: getattr(Scenario(), name)[1:2] for name in ("models", *MODEL_FIELDS)}
    certain = {"fade_probability": 0.0, "fade_budgets": (0,), "harvest": 10.0, "harvest_spread": 0.0}
    market = Market(dataclasses.replace(Scenario.preset("day"), customers=1, **one, **certain), seed=3)
    state, draws = a_day(market, 3)
    state = state._replace(charge=market.population.capacity.copy())
    earned = sold(market, IMP(market), state, draws)
    bound = day_bound(market, state, draws, 50, 2000)
    assert earned <= bound <= 1.01 * earned + 0.1


def test_it_is_for_customers_that_choose_by_rsr_and_counts_at_least_one_cell() -> None:
    market = small("day", 1)
    state, draws = a_day(market, 1)
    with pytest.raises(ValueError, match=r"levels = 0 and cells = 5 must be >= 1"):
        day_bound(market, state, draws, 0, 5)
    nominal = Market(market.scenario, population=market.population, customers="nominal")
    with pytest.raises(ValueError, match="select by RSR"):
        day_bound(nominal, state, draws)


def test_lanes_of_drawn_days_are_days() -> None:
    market = small("day", 1)
    states, draws = draw_days(market, [7, 8])
    first, own = a_day(market, 8)
    assert states.charge[1].tolist() == first.charge.tolist()
    assert draws[5].faded[1].tolist() == own[5].faded.tolist()
