"""Checks of markets with several sellers: terms, settlement, anticipated profits and replies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from lmaas_env import Market
from lmaas_env.reply import anticipated_profits, best_reply, fade_scenarios
from lmaas_env.rsr import rent, solve
from lmaas_env.state import State
from lmaas_env.types import FloatArray
from tests.certificates.checks.markets import days_of, market_of

M = 4  # models of each seller


def some_sellers(seed: int = 1, sellers: int = 2) -> tuple[Market, State, FloatArray]:
    """A market, the state of three lanes, and prices at which most customers rent, from any seller."""
    market = market_of(seed, sellers=sellers)
    factor = np.exp(np.random.default_rng(seed).uniform(-1.0, 0.7, (3, sellers * M)))
    prices = np.tile([3.0, 5.0, 8.0, 12.0], (3, sellers)) * factor
    return market, days_of(market, 3, seed)[0], prices


def lane_of(state: State, k: int) -> State:
    return State(int(state.hour[k]), *(array[k] for array in state[1:]))


def the_terms_of_every_seller_are_those_of_its_site() -> None:
    market, state, _ = some_sellers(sellers=3)
    people, n = market.population, market.population.size
    whole = market.terms(state)
    for s, distance in enumerate((people.distance, *people.other_distance.T)):
        alone = dataclasses.replace(market.scenario, sellers=1)
        site = Market(alone, population=people._replace(distance=distance, other_distance=np.empty((n, 0))))
        own = site.terms(state._replace(shadowing=state.shadowing[:, s * n : (s + 1) * n]))
        for name in ("quality", "airtime_cost", "power", "max_hours", "setup_cost"):
            offered = getattr(whole, name)[:, s * M : (s + 1) * M]
            np.testing.assert_allclose(offered, getattr(own, name), rtol=1e-12, err_msg=name)


def every_seller_earns_what_its_customers_pay_less_its_costs() -> None:
    """Revenue, cost and profit of each, by the public `solve` and `rent`; and the shadowing of both sites moves on."""
    market, state, prices = some_sellers(2)
    scenario, models, period = market.scenario, market.catalogue, days_of(market, 3, 2)[1].at(0)
    settled, after = market.settle(prices, state, period)
    for k in range(3):
        terms = market.terms(lane_of(state, k))
        choice = solve(terms, prices[k]).choice
        hours = rent(terms, choice, prices[k], period.faded[k]).hours.sum(axis=1)
        assert settled.choice[k].tolist() == choice.tolist()
        for s in range(2):
            buys = (choice >= 0) & (choice // M == s)
            offer, rented = choice[buys], hours[buys]
            revenue = float((prices[k, offer] * rented).sum())
            cost = models.serving_cost[offer % M] @ rented + models.adaptation_cost[offer % M].sum()
            found = (settled.revenue[k, s], settled.cost[k, s], settled.profit[k, s])
            expected = (revenue, cost + models.training_cost.sum(), revenue - cost - models.training_cost.sum())
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert {0, 1} <= set((settled.choice[settled.choice >= 0] // M).tolist())
    shadowing = scenario.shadowing_sigma * np.sqrt(1.0 - scenario.shadowing_memory**2) * period.shadowing
    np.testing.assert_allclose(after.shadowing, scenario.shadowing_memory * state.shadowing + shadowing)


def anticipated_profits_are_the_mean_of_settlements() -> None:
    market, state, prices = some_sellers(3)
    patterns, period = fade_scenarios(market, 3), days_of(market, 3, 3)[1].at(0)
    faded = [np.tile(pattern.T, (3, 1, 1)) for pattern in patterns]
    profits = [market.settle(prices, state, period._replace(faded=own))[0].profit for own in faded]
    np.testing.assert_allclose(
        anticipated_profits(market, state, prices, patterns), np.mean(profits, axis=0), rtol=1e-9
    )


def no_price_alone_earns_much_more_than_a_reply() -> None:
    """Replies of both sellers in every lane, on one fade pattern, against a grid of each price."""
    for seed in (4, 5):
        market, state, posted = some_sellers(seed)
        few = fade_scenarios(market, 1)
        for seller in range(2):
            own = slice(seller * M, (seller + 1) * M)
            replies = best_reply(market, state, seller, posted, few)
            for k in range(3):
                joint = posted[k].copy()
                joint[own] = replies[k]
                here = lane_of(state, k)
                earned = anticipated_profits(market, here, joint, few)[seller]
                trials = np.tile(joint, (M * 20, 1))
                for m in range(M):
                    trials[20 * m : 20 * (m + 1), seller * M + m] = np.geomspace(1.0, 40.0, 20)
                lanes = State(
                    np.full(len(trials), here.hour), *(np.tile(array, (len(trials), 1)) for array in here[1:])
                )
                best = anticipated_profits(market, lanes, trials, few)[:, seller].max()
                assert best <= earned + 0.03 * abs(earned)


CHECKS: list[Callable[[], None]] = [
    the_terms_of_every_seller_are_those_of_its_site,
    every_seller_earns_what_its_customers_pay_less_its_costs,
    anticipated_profits_are_the_mean_of_settlements,
    no_price_alone_earns_much_more_than_a_reply,
]
