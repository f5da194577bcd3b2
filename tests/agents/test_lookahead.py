"""Look-ahead IMP: IMP with a charge on energy, exact in the charged objective, worth something on held-out days."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from agents import IMP, LookaheadIMP
from agents.line_search import MARGIN
from agents.lookahead import TUNED
from lmaas_env import Market
from lmaas_env.days import held_out_seeds
from lmaas_env.rsr import solve
from train.evaluate import rollout


def test_without_a_charge_it_is_imp() -> None:
    market = Market("day")
    state, _ = market.day(np.random.default_rng(1))
    assert LookaheadIMP(market, nu=0.0).prices(state).tolist() == IMP(market).prices(state).tolist()


def test_shadow_price_follows_the_hours_that_are_left() -> None:
    seller = LookaheadIMP(Market("day"), nu=2.0)
    bracket = [max(0.05, 1.0 + 0.9 * math.sin(2.0 * math.pi * (t - 9) / 24.0)) for t in range(24)]
    for hour in (0, 7, 15, 22):
        expected = 2.0 * max(0.0, float(np.mean(bracket[hour + 1 :])) - 0.5 * bracket[hour])
        assert seller.shadow_price(hour) == pytest.approx(expected)
    assert seller.shadow_price(23) == 0.0
    assert seller.shadow_price(0) > seller.shadow_price(15)


@pytest.mark.parametrize("hour", [6, 12])
def test_no_single_price_gains_in_profit_net_of_the_charge(hour: int) -> None:
    market = Market("day", seed=1)
    seller = LookaheadIMP(market, nu=0.5, anticipate="worst_case")
    state = market.day(np.random.default_rng(1))[0]._replace(hour=hour)
    terms = market.terms(state)
    models = market.catalogue

    def net(prices: np.ndarray) -> float:
        choice, _, planned = solve(terms, prices)
        buyers = np.flatnonzero(choice >= 0)
        model = choice[buyers]
        hours = planned[buyers, model].sum(axis=1)
        charge = seller.shadow_price(hour) * terms.power[buyers, model, 0]
        margin = prices[model] - models.serving_cost[model] - charge
        return float((margin * hours - models.adaptation_cost[model]).sum() - models.training_cost.sum())

    result = seller.solve(state)
    assert result.profit == pytest.approx(net(result.prices), rel=1e-10)
    allowed = 3.0 * MARGIN * float(np.abs(result.prices).max() * market.population.size)
    for m in range(models.size):
        for price in np.geomspace(1.0, 40.0, 800):
            prices = result.prices.copy()
            prices[m] = price
            assert net(prices) <= result.profit + allowed


def test_it_earns_more_than_imp_on_held_out_days_where_batteries_are_scarce() -> None:
    market = Market("scarce")
    sellers = [IMP(market), LookaheadIMP(market)]
    imp, ahead = (rollout(market, seller, held_out_seeds(4)).day_profit for seller in sellers)
    assert (ahead > imp).all()


def test_shipped_values_cover_the_presets_and_others_must_be_given() -> None:
    tuned = json.loads(TUNED.read_text())["nu"]
    assert set(tuned) >= {"day", "static", "scarce", "abundant", "public"}
    with pytest.raises(ValueError, match="no tuned nu ships for scenario 'city'"):
        LookaheadIMP(Market("city"))
    with pytest.raises(ValueError, match=r"nu = -1\.0 must be finite and >= 0"):
        LookaheadIMP(Market("day"), nu=-1.0)
