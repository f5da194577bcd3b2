"""Look-ahead IMP: its energy value by simulation, its prices against the charged objective, its gain on new days."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lmaas_agents import IMP, LookaheadIMP, PublicIMP, PublicLookaheadIMP
from lmaas_agents.energy import SHARES, energy_value
from lmaas_agents.imp.line_search import MARGIN
from lmaas_agents.planning import Plan, plan_day
from lmaas_train.evaluation.rollout import rollout

from lmaas_env import Market, Scenario
from lmaas_env.market import unstack
from lmaas_env.rsr import solve
from lmaas_env.seeds import draw_days, held_out_seeds, tuning_seeds
from tests.days import one_day


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_day(Market("day"))


def test_nothing_is_charged_where_no_hour_is_left(plan: Plan) -> None:
    market = Market("day")
    state = market.initial_state(np.random.default_rng(1))._replace(hour=23)
    seller = LookaheadIMP(market, plan=plan)
    assert not seller.shadow_price(state).any()
    assert seller.prices(state).tolist() == IMP(market).prices(state).tolist()
    static = Market("static")
    first = static.initial_state(np.random.default_rng(1))
    assert LookaheadIMP(static).prices(first).tolist() == IMP(static).prices(first).tolist()


def test_the_energy_value_is_the_profit_of_days_sold_from_each_charge(plan: Plan) -> None:
    """The backward recursion against days sold forward, from hour 12 and from four charges."""
    market, start, days = Market("day"), 12, 600
    values = energy_value(market, plan.prices, draws=256)
    first, draws = draw_days(market, held_out_seeds(days))
    assert (values[-1] == 0.0).all()
    for level in (2, 4, 6, 8):
        state = first._replace(hour=start, charge=np.tile(SHARES[level] * market.population.capacity, (days, 1)))
        total = np.zeros(days)
        for hour in range(start, 24):
            sale, state = market.settle(np.tile(plan.prices[hour], (days, 1)), state, draws.at(hour))
            total += sale.profit + market.catalogue.training_cost.sum()
        expected = values[start, :, level].sum()
        # States of a day are drawn anew every hour in the recursion, and charges lie between its levels.
        assert expected == pytest.approx(total.mean(), rel=0.03, abs=4.0 * total.std() / days**0.5)


def test_the_energy_value_is_increasing_and_concave_in_the_charge(plan: Plan) -> None:
    total = plan.energy_value.sum(axis=1)
    assert (np.diff(total[:20], axis=1) > 0.0).all()
    assert (np.diff(total, axis=1) >= 0.0).all()
    slope = np.diff(total[:20], axis=1) / np.diff(SHARES)
    assert (slope[:, 0] > 2.0 * slope[:, -1]).all()


def test_a_wh_costs_more_where_little_is_left_and_nothing_where_it_would_be_spilled(plan: Plan) -> None:
    market = Market("day")
    seller = LookaheadIMP(market, plan=plan)
    state = market.initial_state(np.random.default_rng(1))._replace(hour=8)
    low, high = (
        seller.shadow_price(state._replace(charge=share * market.population.capacity)) for share in (0.05, 0.9)
    )
    assert low.shape == (24, 4)
    assert low.mean() > 2.0 * high.mean()
    generous = Market(dataclasses.replace(Scenario.preset("day"), harvest=10.0))
    assert not LookaheadIMP(generous, plan=plan).shadow_price(state).any()


@pytest.mark.parametrize("hour", [6, 12])
def test_no_single_price_gains_in_profit_net_of_the_charge(hour: int, plan: Plan) -> None:
    market = Market("day")
    seller = LookaheadIMP(market, anticipate="worst_case", plan=plan)
    state = one_day(market, 1)[0]._replace(hour=hour)
    terms = market.terms(state)
    models = market.catalogue
    shadow_price = seller.shadow_price(state)

    def net(prices: np.ndarray) -> float:
        choice, _, planned = solve(terms, prices)
        buyers = np.flatnonzero(choice >= 0)
        model = choice[buyers]
        hours = planned[buyers, model].sum(axis=1)
        charge = shadow_price[buyers, model] * terms.power[buyers, model, 0]
        margin = prices[model] - models.serving_cost[model] - charge
        return float((margin * hours - models.adaptation_cost[model]).sum() - models.training_cost.sum())

    result = seller.solve(state)
    assert result.profit == pytest.approx(net(result.prices), rel=1e-10)
    assert result.profit <= result.bound
    allowed = 3.0 * MARGIN * float(np.abs(result.prices).max() * market.population.size)
    for m in range(models.size):
        for price in np.geomspace(1.0, 40.0, 800):
            prices = result.prices.copy()
            prices[m] = price
            assert net(prices) <= result.profit + allowed


def test_sales_at_a_charged_loss_do_not_make_the_search_long(plan: Plan) -> None:
    """First-order bounds at prices below the charged cost took two million evaluations in such a state."""
    market = Market("day")
    seller = LookaheadIMP(market, plan=plan)
    state, draws = draw_days(market, tuning_seeds(2))
    for hour in range(12):
        prices = []
        for lane in unstack(state):
            found = seller.solve(lane)
            assert found.evaluations < 20_000
            prices.append(found.prices)
        state = market.settle(np.stack(prices), state, draws.at(hour))[1]


@pytest.mark.heavy
@pytest.mark.parametrize(("scenario", "seed"), [("scarce", 0), ("scarce", 3)])
def test_looking_ahead_earns_more_on_held_out_days_where_batteries_are_scarce(scenario: str, seed: int) -> None:
    market = Market(scenario, seed=seed)
    plan = plan_day(market)
    sellers = [
        IMP(market),
        PublicIMP(market),
        LookaheadIMP(market, plan=plan),
        PublicLookaheadIMP(market, plan=plan),
    ]
    imp, public, ahead, planned = (rollout(market, seller, held_out_seeds(4)).day_profit for seller in sellers)
    assert (ahead > 1.1 * imp).all()
    assert (planned > 1.03 * public).all()
    assert ahead.mean() > planned.mean()


def test_a_plan_is_the_same_every_time_and_reads_no_held_out_day() -> None:
    market = Market("scarce", seed=2)
    one, two = plan_day(market, rounds=2), plan_day(market, rounds=2)
    assert one.prices.tolist() == two.prices.tolist()
    assert one.energy_value.tolist() == two.energy_value.tolist()
    assert one.prices.shape == (24, 4)
    assert one.energy_value.shape == (25, 24, SHARES.size)
