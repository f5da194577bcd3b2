"""A guide for learned policies: where prices are expected, what customers do there, and where a price should end.

A guided policy does not price from nothing. Its outputs move the prices of a plan (`lmaas_agents.lookahead.plan_day`), which
knows the market's constants and the hour only, and each price then ends just below the nearest threshold
(`lmaas_agents.learned.snap`), while the policy learns; once it has, climbs refine its prices (`lmaas_agents.imp.price_table`), net of what the
charge they drain is worth. A policy over the set of customers also sees what each of them would do at the plan's
prices. All of this the seller knows: the market's constants and what its observation shows.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np
from lmaas_agents.imp.price_table import refine
from lmaas_agents.learned.snap import undercut
from lmaas_agents.lookahead import Plan, interpolated, plan_day, shadow_prices

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.period import LaneState, Packed, terms_of, unpack
from lmaas_env.engine.recourse_simd import solve_rows
from lmaas_env.market import Market, MarketState
from lmaas_env.types import FloatArray, IntArray

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
    scenario, catalogue, lanes = market.scenario, market.catalogue, market.lanes(state)
    limits = scenario.price_floor, scenario.price_cap
    prices = _moved(guide.plan.prices, lanes.hour, outputs, guide.span, *limits)
    if guide.reach == 0.0 and guide.climbs == 0:
        return prices
    terms = terms_of(market.packed, lanes)
    if guide.climbs == 0:
        return undercut(market, terms, prices, guide.reach)
    power = terms.power[:, :, 0]
    cost = catalogue.serving_cost + shadow_prices(market.packed, lanes, guide.plan.worth, power) * power
    order = np.argsort(catalogue.serving_cost, kind="stable")
    for factors, starts in _stages(guide.climbs, tuple(order.tolist())):
        prices = refine(terms, cost, catalogue.adaptation_cost, prices, factors, starts, order, *limits)
    return prices


@kernel
def _moved(
    planned: FloatArray, hour: IntArray, outputs: FloatArray, span: float, floor: float, cap: float
) -> FloatArray:
    """Return the planned prices (H, M) of the lanes' hours (K,), moved by outputs (K, M) and clipped."""
    prices = np.empty(outputs.shape)
    for k in range(outputs.shape[0]):
        its = planned[min(hour[k], planned.shape[0] - 1)]  # at a day's end, which nobody prices, the last hour's
        for m in range(outputs.shape[1]):
            output = min(max(outputs[k, m], -_MOST), _MOST)
            prices[k, m] = min(max(its[m] * math.exp(span * output), floor), cap)
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
    return _features(market.packed, market.lanes(state), guide.plan.prices, market.scenario.periods)


@kernel
def _features(packed: Packed, state: LaneState, planned: FloatArray, periods: int) -> tuple[FloatArray, FloatArray]:
    prices = _moved(planned, state.hour, np.zeros((state.hour.shape[0], planned.shape[1])), 0.0, 0.0, np.inf)
    terms = terms_of(packed, state)
    _, worst_case_profit, planned_hours = solve_rows(terms, prices)
    market = unpack(packed, 0, state.charge.size)
    lanes, customers = state.charge.shape
    models, known = prices.shape[1], market.capacity.shape[0]
    seen, clock = np.empty((lanes, customers, OWN + 3 * models)), np.empty((lanes, CLOCK))
    for k in range(lanes):
        angle = 2.0 * math.pi * state.hour[k] / 24.0
        clock[k, 0], clock[k, 1] = math.sin(angle), math.cos(angle)
        clock[k, 2] = 1.0 - state.hour[k] / periods
        clock[k, 3] = 0.5 * math.log(market.demand_factor[state.hour[k] % 24])
        for n in range(customers):
            row, its = k * customers + n, seen[k, n]
            own = row % known
            capacity = market.capacity[own]
            share_left = state.charge[k, n] / capacity
            value = max(terms.task_value[row].sum(), 1e-9)
            its[0] = state.shadowing[k, n] / 4.0
            its[1] = state.demand[k, n] / 0.25
            its[2] = 2.0 * share_left - 1.0
            its[3] = math.log(max(share_left, 0.003) * capacity / 60.0)
            its[4] = math.log(capacity / 60.0)
            its[5] = math.log(value / 5.0)
            its[6] = 6.0 * terms.task_value[row, 0] / value - 2.0
            its[7] = market.mean_snr[own] / 10.0 - 2.0 + state.shadowing[k, n] / 10.0
            its[8] = market.fade_depth[own] / 5.0 - 2.0
            its[9] = market.fade_budget[own] - 2.0
            its[10] = 3.0 * math.log(market.saturation[own] / 25.0)
            best, second = -np.inf, -np.inf
            for m in range(models):
                offer = worst_case_profit[row, m]
                best, second = max(best, offer), max(second, min(best, offer))
            for m in range(models):
                offer, hours = worst_case_profit[row, m], planned_hours[row, m].sum()
                other = max(second if offer == best else best, 0.0)
                distance = (offer - other) / hours / prices[k, m] if hours > 1e-6 else -2.0  # of the threshold
                its[OWN + m] = 0.5 * min(max(offer, -3.0), 10.0)
                its[OWN + models + m] = 2.0 * hours
                its[OWN + 2 * models + m] = 2.0 * min(max(distance, -1.0), 2.0)
    return seen, clock


def potential(market: Market, worth: FloatArray, state: MarketState) -> FloatArray:
    """Return what the batteries are worth to the seller in states of K lanes, (K,) $: `Plan.worth` of their charge."""
    lanes = market.lanes(state)
    customer = np.arange(market.population.size) % worth.shape[1]
    rows = lanes.hour[:, None] * worth.shape[1] + customer
    share = lanes.charge / market.population.capacity
    found = interpolated(worth.reshape(-1, worth.shape[2]), rows.reshape(-1), share.reshape(-1))
    return found.reshape(share.shape).sum(axis=1)


def guide_of(market: Market, plan: Plan, span: float, reach: float, climbs: int = 0) -> Guide:
    """Return the guide of a plan; a seller that does not see its customers' state knows no thresholds."""
    if market.scenario.observation == "public":
        return Guide(plan, span, 0.0)
    return Guide(plan, span, reach, climbs)
