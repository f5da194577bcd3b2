"""The bound on a day's profit: above every seller, lower with more cells, and close where profit is certain."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lmaas_agents import IMP, FixedPrice, LookaheadIMP
from lmaas_agents.bounds.personalised import personalised_bound
from lmaas_agents.planning import plan_day

from lmaas_env import Market, Population, Scenario
from lmaas_env.scenario import MODEL_FIELDS
from lmaas_env.seeds import draw_days
from lmaas_env.state import Draws, State
from tests.days import one_day


def sold(market: Market, seller: IMP | FixedPrice, state: State, draws: Draws) -> float:
    profit = 0.0
    for hour in range(market.scenario.periods):
        sale, state = market.settle(seller.prices(state), state, draws.at(hour))
        profit += float(sale.profit)
    return profit


def small(scenario: str, seed: int) -> Market:
    smaller = dataclasses.replace(Scenario.preset(scenario), customers=6)
    return Market(smaller, population=Population.for_scenario(smaller, seed))


@pytest.mark.parametrize("scenario", ["day", "scarce", "abundant"])
@pytest.mark.parametrize("seed", [1, 2])
def test_no_seller_exceeds_the_bound_and_it_falls_as_cells_are_halved(scenario: str, seed: int) -> None:
    market = small(scenario, seed)
    state, draws = one_day(market, seed)
    coarse, middle, fine = (personalised_bound(market, state, draws, 12 * k, 10 * k) for k in (1, 2, 4))
    assert coarse > middle > fine
    sellers = [IMP(market), LookaheadIMP(market, plan=plan_day(market, rounds=2))]
    prices = np.exp(np.random.default_rng(seed).uniform(0.0, np.log(25.0), (30, 4)))
    sellers += [FixedPrice(market, row) for row in prices]
    best = max(sold(market, seller, state, draws) for seller in sellers)
    assert best <= fine
    assert best >= 0.5 * fine  # it is not trivial


def test_the_bound_is_tight_for_one_customer_and_model_with_energy_to_spare_where_nothing_is_random() -> None:
    one = {name: getattr(Scenario(), name)[1:2] for name in ("models", *MODEL_FIELDS)}
    certain = {"fade_probability": 0.0, "fade_budgets": (0,), "harvest": 10.0, "harvest_spread": 0.0}
    market = Market(dataclasses.replace(Scenario.preset("day"), customers=1, **one, **certain), seed=3)
    state, draws = one_day(market, 3)
    state = state._replace(charge=market.population.capacity.copy())
    earned = sold(market, IMP(market), state, draws)
    bound = personalised_bound(market, state, draws, 50, 2000)
    assert earned <= bound <= 1.01 * earned + 0.1


def test_other_customers_than_rsr_and_less_than_one_cell_are_refused() -> None:
    market = small("day", 1)
    state, draws = one_day(market, 1)
    with pytest.raises(ValueError, match=r"levels = 0 and cells = 5 must be >= 1"):
        personalised_bound(market, state, draws, 0, 5)
    nominal = Market(market.scenario, population=market.population, customers="nominal")
    with pytest.raises(ValueError, match="select by RSR"):
        personalised_bound(nominal, state, draws)


def test_lanes_of_drawn_days_are_days() -> None:
    market = small("day", 1)
    states, draws = draw_days(market, [7, 8])
    first, own = one_day(market, 8)
    assert states.charge[1].tolist() == first.charge.tolist()
    assert draws.faded[5, 1].tolist() == own.faded[5].tolist()
