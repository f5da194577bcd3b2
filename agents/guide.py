"""A guide for learned policies: where prices are expected, what customers do there, and where a price should end.

A guided policy does not price from nothing. Its outputs move the prices of a plan (`agents.lookahead.plan_day`), which
knows the market's constants and the hour only, and each price then ends just below the nearest threshold
(`agents.undercut`), while the policy learns; once it has, climbs refine its prices (`agents.climbs`), net of what the
charge they drain is worth. A policy over the set of customers also sees what each of them would do at the plan's
prices. All of this the seller knows: the market's constants and what its observation shows.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from agents.climbs import refine
from agents.lookahead import Plan, interpolated, plan_day, shadow_price
from agents.undercut import undercut
from lmaas_env.market import Market, MarketState
from lmaas_env.period import terms_of
from lmaas_env.types import FloatArray, IntArray
from lmaas_env.waterfilling import solve_rows

OWN = 11  # numbers that a policy sees of every customer, beside three per model
CLOCK = 4  # and of the hour
STAGES = ((25, 0.5), (13, 0.05), (9, 0.008))  # of climbs: cells per model, and how far their log reaches; odd numbers
_MOST = 10.0  # outputs beyond are as good as infinite
TYPICAL_CUSTOMERS = 192  # from whom a plan is made where customers change daily


class Guide(NamedTuple):
    """How outputs become prices.

    Attributes
    ----------
    plan : the prices posted where every output is 0, and what charge is worth
    span : log of the factor by which an output of 1 moves a price
    reach : log of the factor within which a price moves to the nearest threshold; 0 for not at all
    climbs : over tables of prices around those of the outputs, instead of undercutting; 0 for none
    """

    plan: Plan
    span: float
    reach: float
    climbs: int = 0


def plan_of(market: Market) -> Plan:
    """Return the plan that guides: that of the market's customers or, where they change, of many that might come."""
    if market.scenario.turnover == "none":
        return plan_day(market)
    typical = dataclasses.replace(market.scenario, customers=TYPICAL_CUSTOMERS, turnover="none")
    plan = plan_day(Market(typical, seed=1))
    return plan._replace(worth=plan.worth.mean(axis=1, keepdims=True))


def guided_prices(market: Market, guide: Guide, state: MarketState, outputs: FloatArray) -> FloatArray:
    """Return the prices (K, M), $/h, of a policy's outputs (K, M) in states of K lanes."""
    prices: FloatArray = _planned(guide, state) * np.exp(guide.span * np.clip(outputs, -_MOST, _MOST))
    prices = np.clip(prices, market.scenario.price_floor, market.scenario.price_cap)
    if guide.reach == 0.0 and guide.climbs == 0:
        return prices
    terms = terms_of(market.packed, market.lanes(state))
    if guide.climbs == 0:
        return undercut(market, terms, prices, guide.reach)
    power = terms.power[:, :, 0]
    cost = market.catalogue.serving_cost + shadow_price(market, guide.plan.worth, state, power) * power
    order = np.argsort(market.catalogue.serving_cost, kind="stable")
    limits = market.scenario.price_floor, market.scenario.price_cap
    for factors, starts in _stages(guide.climbs, tuple(order.tolist())):
        prices = refine(terms, cost, market.catalogue.adaptation_cost, prices, factors, starts, order, *limits)
    return prices


@functools.cache
def _stages(climbs: int, order: tuple[int, ...]) -> list[tuple[FloatArray, IntArray]]:
    """Return, of every stage, the factors of its cells (J,), and those at which climbs start (C, M).

    The first climb starts in the middle, the others in drawn cells; stages after the first climb once.
    """
    stages: list[tuple[FloatArray, IntArray]] = []
    for cells, reach in STAGES:
        drawn = np.random.default_rng(0).integers(cells, size=(1 if stages else climbs, len(order)))
        drawn[0] = cells // 2
        starts = np.empty_like(drawn)
        starts[:, order] = drawn
        stages.append((np.exp(np.linspace(-reach, reach, cells)), starts))
    return stages


def set_size(market: Market) -> tuple[int, int]:
    """Return how many numbers a policy over customers sees of each of them, and of the hour."""
    return OWN + 3 * market.catalogue.size, CLOCK


def customer_features(market: Market, guide: Guide, state: MarketState) -> tuple[FloatArray, FloatArray]:
    """Return what a policy over customers sees in states of K lanes: of every customer (K, N, F), of the hour (K, C).

    Of each customer its state and constants and, at the plan's prices and per model, its worst-case profit, its planned
    hours and how far its threshold lies from the price. Numbers of different markets have one scale.
    """
    lanes = market.lanes(state)
    shape = lanes.charge.shape
    scenario, population, packed = market.scenario, market.population, market.packed
    terms = terms_of(packed, lanes)
    prices = _planned(guide, state)
    _, profit, hours = solve_rows(terms, prices)
    profit, hours = profit.reshape(*shape, -1), hours.sum(axis=2).reshape(*shape, -1)
    distance = np.where(hours > 1e-6, (profit - _best_other(profit)) / np.maximum(hours, 1e-6) / prices[:, None], -2.0)
    value = terms.task_value.reshape(*shape, -1)
    total = np.maximum(value.sum(axis=2), 1e-9)
    share_left = lanes.charge / population.capacity
    columns = [
        lanes.shadowing / 4.0,
        lanes.demand / 0.25,
        2.0 * share_left - 1.0,
        np.log(np.maximum(share_left, 0.003) * population.capacity / 60.0),
        np.log(population.capacity / 60.0),
        np.log(total / 5.0),
        6.0 * value[..., 0] / total - 2.0,
        packed.customers[0].reshape(population.distance.shape) / 10.0 - 2.0 + lanes.shadowing / 10.0,
        population.fade_depth / 5.0 - 2.0,
        population.fade_budget - 2.0,
        3.0 * np.log(population.saturation / 25.0),
    ]
    by_model = [np.clip(profit, -3.0, 10.0) / 2.0, 2.0 * hours, 2.0 * np.clip(distance, -1.0, 2.0)]
    customers = np.empty((*shape, OWN + 3 * profit.shape[2]))
    for i, column in enumerate(columns):
        customers[..., i] = column
    np.concatenate(by_model, axis=2, out=customers[..., OWN:])
    angle = 2.0 * np.pi * lanes.hour / 24.0
    clock = [np.sin(angle), np.cos(angle), 1.0 - lanes.hour / scenario.periods]
    clock.append(0.5 * np.log(market.demand_factor(lanes.hour)))
    return customers, np.stack(clock, axis=1)


def _planned(guide: Guide, state: MarketState) -> FloatArray:
    """Return the plan's prices (K, M) of the lanes' hours; at a day's end, which nobody prices, the last hour's."""
    return np.ascontiguousarray(guide.plan.prices[np.minimum(state.hour, len(guide.plan.prices) - 1)])


def potential(market: Market, worth: FloatArray, state: MarketState) -> FloatArray:
    """Return what the batteries are worth to the seller in states of K lanes, (K,) $: `Plan.worth` of their charge."""
    lanes = market.lanes(state)
    customer = np.arange(market.population.size) % worth.shape[1]
    return interpolated(worth, (lanes.hour[:, None], customer), lanes.charge / market.population.capacity).sum(axis=1)


def guide_of(market: Market, plan: Plan, span: float, reach: float, climbs: int = 0) -> Guide:
    """Return the guide of a plan; a seller that does not see its customers' state knows no thresholds."""
    if market.scenario.observation == "public":
        return Guide(plan, span, 0.0)
    return Guide(plan, span, reach, climbs)


def _best_other(profit: FloatArray) -> FloatArray:
    """Return, for every model, the best offer of the others or none, from profits (K, N, M)."""
    ranked = np.sort(profit, axis=2)
    best = ranked[..., -1:]
    second = ranked[..., -2:-1] if profit.shape[2] > 1 else np.full_like(best, -np.inf)
    return np.maximum(np.where(profit == best, second, best), 0.0)
