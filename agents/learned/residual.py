"""Residual pricing: a policy's outputs move the prices of a plan, which then snap to thresholds or are refined.

A residual policy does not price from nothing. Its outputs move the prices of a plan
(`lmaas_agents.planning.plan_day`), which knows the market's constants and the hour only. While the policy learns, each
price ends just below the nearest threshold (`lmaas_agents.learned.snap`); once it has learned, a local search refines
its prices (`lmaas_agents.imp.price_table`), net of the value of the energy that they drain. A policy over the set of
customers also sees what each customer would do at the plan's prices. All of this follows from the market's constants
and the observation.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np
from lmaas_agents.energy import SHARES, charged_costs, interpolated
from lmaas_agents.imp.price_table import refined_prices
from lmaas_agents.imp.problem import SellerConstants
from lmaas_agents.learned.snap import snap_to_threshold
from lmaas_agents.planning import Plan, check_plan, plan_day

from lmaas_env.checks import array_in
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.period import Constants, customers_of, terms_of_lanes
from lmaas_env.engine.rsr import worst_case
from lmaas_env.engine.terms import price_per_customer
from lmaas_env.market import Market
from lmaas_env.state import State
from lmaas_env.types import FloatArray, IntArray

CUSTOMER_FEATURES = 11  # numbers that a policy sees of every customer, beside three per model
CLOCK_FEATURES = 4  # and of the hour
STAGES = ((25, 0.5), (13, 0.05), (9, 0.008))  # of the local search: cells per model, and the reach of their logarithm
TYPICAL_CUSTOMERS = 192  # from whom a plan is made where the population is resampled
_LARGEST_OUTPUT = 10.0  # outputs beyond are as good as infinite

# Scales of the features: typical values of the scenario ``day``, so that features are near [-1, 1].
_SHADOWING, _DEMAND = 4.0, 0.25  # standard deviations, dB and log
_CAPACITY, _LEAST_SHARE = 60.0, 0.003  # Wh; below this share of capacity a battery counts as empty
_TASK_VALUE, _LEAST_VALUE = 5.0, 1e-9  # $ per period
_SNR, _SNR_MEAN = 10.0, 2.0  # dB, and the mean in that unit
_FADE_DEPTH, _FADE_DEPTH_MEAN = 5.0, 2.0  # dB, and the mean in that unit
_FADE_BUDGET = 2.0  # slots
_SATURATION, _SATURATION_FACTOR = 25.0, 3.0  # 1/h
_TOP_SLOT_FACTOR, _TOP_SLOT_MEAN = 6.0, 2.0  # of the share of the period's value in its most valuable slot
_PROFIT_FACTOR, _LEAST_PROFIT, _LARGEST_PROFIT = 0.5, -3.0, 10.0  # $
_HOURS_FACTOR, _LEAST_HOURS = 2.0, 1e-6  # h
_DISTANCE_FACTOR, _LEAST_DISTANCE, _LARGEST_DISTANCE = 2.0, -1.0, 2.0  # of a threshold, relative to the price
_NO_THRESHOLD = -2.0


class Residual(NamedTuple):
    """How outputs become prices.

    Attributes
    ----------
    plan : the prices posted where every output is 0, and the energy value
    residual_scale : logarithm of the factor by which an output of 1 moves a price
    snap_radius : logarithm of the factor within which a price moves to the nearest threshold; 0 for not at all
    searches : local searches over tables of prices around those of the outputs, instead of snapping; 0 for none
    """

    plan: Plan
    residual_scale: float
    snap_radius: float
    searches: int = 0


def residual_of(market: Market, plan: Plan, residual_scale: float, snap_radius: float, searches: int = 0) -> Residual:
    """Return how outputs move a plan's prices; a seller that does not see its customers' state knows no thresholds."""
    if market.scenario.observation == "public":
        return Residual(plan, residual_scale, 0.0)
    return Residual(plan, residual_scale, snap_radius, searches)


def plan_of(market: Market) -> Plan:
    """Return the plan to start from: of the market's customers or, where they are resampled, of many typical ones."""
    if market.scenario.resample_population == "never":
        return plan_day(market)
    typical = dataclasses.replace(market.scenario, customers=TYPICAL_CUSTOMERS, resample_population="never")
    plan = plan_day(Market(typical, seed=1))
    return plan._replace(energy_value=plan.energy_value.mean(axis=1, keepdims=True))


def residual_prices(market: Market, residual: Residual, state: State, outputs: FloatArray) -> FloatArray:
    """Return the prices (K, M), $/h, of a policy's outputs (K, M) in states of K lanes.

    Raises
    ------
    ValueError
        If the plan or the state does not fit the market, or the outputs have another shape or are not finite.
    """
    scenario, catalogue, batch = market.scenario, market.catalogue, market.as_batch(state)
    check_plan(market.scenario, residual.plan)
    outputs = array_in("outputs", outputs, (len(batch.hour), catalogue.size))
    limits = float(scenario.price_floor), float(scenario.price_cap)
    prices = _moved(residual.plan.prices, batch.hour, outputs, residual.residual_scale, *limits)
    if residual.snap_radius == 0.0 and residual.searches == 0:
        return prices
    terms = terms_of_lanes(market.constants, batch, 0, len(prices))
    if residual.searches == 0:
        return snap_to_threshold(market, terms, prices, residual.snap_radius)
    serving_cost = np.repeat(catalogue.serving_cost[:, None], terms.energy.size, axis=1)
    uncharged = SellerConstants(serving_cost, catalogue.adaptation_cost, float(catalogue.training_cost.sum()), *limits)
    seller = charged_costs(uncharged, terms, market, residual.plan.energy_value, batch)
    order = np.argsort(catalogue.serving_cost, kind="stable")
    for factors, starts in _stages(residual.searches, tuple(order.tolist())):
        prices = refined_prices(terms, seller, prices, factors, starts, order)
    return prices


@kernel
def _moved(
    planned: FloatArray, hour: IntArray, outputs: FloatArray, residual_scale: float, floor: float, cap: float
) -> FloatArray:
    """Return the planned prices (H, M) of the lanes' hours (K,), moved by outputs (K, M) and clipped."""
    prices = np.empty(outputs.shape)
    for k in range(outputs.shape[0]):
        own = planned[min(hour[k], planned.shape[0] - 1)]  # at a day's end, which is not priced, the last hour's
        for m in range(outputs.shape[1]):
            output = min(max(outputs[k, m], -_LARGEST_OUTPUT), _LARGEST_OUTPUT)
            prices[k, m] = min(max(own[m] * math.exp(residual_scale * output), floor), cap)
    return prices


@functools.cache
def _stages(searches: int, order: tuple[int, ...]) -> list[tuple[FloatArray, IntArray]]:
    """Return, of every stage, the factors of its cells (J,), and those at which searches start (C, M).

    The first search starts in the middle, the others in drawn cells; stages after the first search once.
    """
    stages: list[tuple[FloatArray, IntArray]] = []
    for cells, reach in STAGES:
        drawn = np.random.default_rng(0).integers(cells, size=(1 if stages else searches, len(order)))
        drawn[0] = cells // 2
        starts = np.empty_like(drawn)
        starts[:, order] = drawn
        stages.append((np.exp(np.linspace(-reach, reach, cells)), starts))
    return stages


def feature_sizes(market: Market) -> tuple[int, int]:
    """Return how many numbers a policy over customers sees of each of them, and of the hour."""
    return CUSTOMER_FEATURES + 3 * market.catalogue.size, CLOCK_FEATURES


def customer_features(market: Market, residual: Residual, state: State) -> tuple[FloatArray, FloatArray]:
    """Return what a policy over customers sees in states of K lanes: of every customer (K, N, F), of the hour (K, C).

    Of each customer its state and constants and, at the plan's prices and per model, its worst-case profit, its planned
    hours and how far its threshold lies from the price. Numbers of different markets have one scale.

    Raises
    ------
    ValueError
        If the plan or the state does not fit the market.
    """
    check_plan(market.scenario, residual.plan)
    return _features(market.constants, market.as_batch(state), residual.plan.prices, market.scenario.periods)


@kernel
def _features(constants: Constants, state: State, planned: FloatArray, periods: int) -> tuple[FloatArray, FloatArray]:
    """Return the features of `customer_features`."""
    (lanes, customers), models = state.charge.shape, planned.shape[1]
    slots, known = constants.task_value.shape[0], customers_of(constants)
    prices = np.empty((lanes, models))
    for k in range(lanes):
        prices[k] = planned[min(state.hour[k], planned.shape[0] - 1)]
    terms = terms_of_lanes(constants, state, 0, lanes)
    hours = np.empty((slots, models, lanes * customers))
    profit = worst_case(terms, np.arange(models, dtype=np.int64), price_per_customer(prices, customers), hours)
    seen, clock = np.empty((lanes, customers, CUSTOMER_FEATURES + 3 * models)), np.empty((lanes, CLOCK_FEATURES))
    for k in range(lanes):
        angle = 2.0 * math.pi * state.hour[k] / 24.0
        clock[k, 0], clock[k, 1] = math.sin(angle), math.cos(angle)
        clock[k, 2] = 1.0 - state.hour[k] / periods
        clock[k, 3] = 0.5 * math.log(constants.demand_factor[state.hour[k] % 24])
        for n in range(customers):
            row, own = k * customers + n, seen[k, n]
            c = row % known.capacity.shape[0]
            capacity, snr = known.capacity[c], known.mean_snr[c] + state.shadowing[k, n]
            share_left = state.charge[k, n] / capacity
            value = max(terms.task_value[:, row].sum(), _LEAST_VALUE)
            own[0] = state.shadowing[k, n] / _SHADOWING
            own[1] = state.demand[k, n] / _DEMAND
            own[2] = 2.0 * share_left - 1.0
            own[3] = math.log(max(share_left, _LEAST_SHARE) * capacity / _CAPACITY)
            own[4] = math.log(capacity / _CAPACITY)
            own[5] = math.log(value / _TASK_VALUE)
            own[6] = _TOP_SLOT_FACTOR * terms.task_value[0, row] / value - _TOP_SLOT_MEAN
            own[7] = snr / _SNR - _SNR_MEAN
            own[8] = known.fade_depth[c] / _FADE_DEPTH - _FADE_DEPTH_MEAN
            own[9] = constants.fade_budget[c] - _FADE_BUDGET
            own[10] = _SATURATION_FACTOR * math.log(known.saturation[c] / _SATURATION)
            best, second = -np.inf, -np.inf
            for m in range(models):
                offer = profit[m, row]
                best, second = max(best, offer), max(second, min(best, offer))
            for m in range(models):
                offer, planned_hours = profit[m, row], hours[:, m, row].sum()
                other = max(second if offer == best else best, 0.0)
                distance = _NO_THRESHOLD
                if planned_hours > _LEAST_HOURS:
                    distance = (offer - other) / planned_hours / prices[k, m]
                own[CUSTOMER_FEATURES + m] = _PROFIT_FACTOR * min(max(offer, _LEAST_PROFIT), _LARGEST_PROFIT)
                own[CUSTOMER_FEATURES + models + m] = _HOURS_FACTOR * planned_hours
                own[CUSTOMER_FEATURES + 2 * models + m] = _DISTANCE_FACTOR * min(
                    max(distance, _LEAST_DISTANCE), _LARGEST_DISTANCE
                )
    return seen, clock


def potential(market: Market, energy_value: FloatArray, state: State) -> FloatArray:
    """Return the value of the batteries to the seller in states of K lanes, (K,) $: that of their charge in a plan.

    Raises
    ------
    ValueError
        If the energy value (H + 1, N or 1, K) or the state does not fit the market.
    """
    batch = market.as_batch(state)
    energy_value = array_in("energy_value", energy_value, (market.scenario.periods + 1, None, SHARES.size), unit="$")
    customer = np.arange(market.population.size) % energy_value.shape[1]
    rows = np.minimum(batch.hour, market.scenario.periods)[:, None] * energy_value.shape[1] + customer
    share = batch.charge / market.population.capacity
    found = interpolated(energy_value.reshape(-1, energy_value.shape[2]), rows.reshape(-1), share.reshape(-1))
    return found.reshape(share.shape).sum(axis=1)
