"""What energy in a customer's battery is worth to the seller, given the prices of the hours to come.

Given those prices, customers do not affect each other, so what the seller will earn from one of them is a function of
that customer's battery alone, found by backward induction over drawn states (`energy_value`).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from lmaas_agents.imp.problem import SellerConstants

from lmaas_env.checks import array_in, check_seller
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.period import Constants, customers_of, numbers_of
from lmaas_env.engine.terms import Terms
from lmaas_env.market import Market
from lmaas_env.population import Population
from lmaas_env.state import Draws, Settlement, State
from lmaas_env.types import FloatArray, IntArray

VALUE_DRAWS = 64  # states and draws per hour and battery level of the energy value
BLOCK = 2500  # customers whose value is found at once: 0.2 MB of profits and charges each
SHARES = np.linspace(0.0, 1.0, 9) ** 1.5  # of the capacity, at which the energy value is known
TYPICAL_HOURS = 0.5  # of one rental: a Wh is charged at the mean value of those that so long a rental drains
LEAST_PRICE = 1e-6  # $/h, of a plan; no scenario's floor is lower
LEAST_USE = 1e-3  # Wh, of the slope at an empty battery


def energy_value(market: Market, prices: FloatArray, draws: int = VALUE_DRAWS, seller: int = 0) -> FloatArray:
    """Return a seller's expected profit from each customer from each hour on, (H + 1, C, K) $, by charge (`SHARES`).

    Parameters
    ----------
    market : Market
        With C = N customers, or those of several lanes, C = lanes * N.
    prices : (P, S * M), $/h
        Of all sellers in the first P hours of an episode; later ones repeat them.
    draws : int
        Per hour of day, the same for every charge and day: shadowing and demand from their stationary distribution,
        fades and harvest.
    seller : int
        Whose profit it is.

    Raises
    ------
    ValueError
        If the prices have another shape or are not finite and positive, there are no draws, or no such seller.
    """
    if draws < 1:
        raise ValueError(f"draws = {draws} must be >= 1")
    check_seller(seller, market.scenario.sellers)
    prices = array_in("prices", prices, (None, market.offers), LEAST_PRICE, unit="$/h")
    alone = one_lane(market)
    blocks = range(0, alone.population.size, BLOCK)  # customers do not affect each other
    parts = [alone.of_some(slice(first, first + BLOCK)) for first in blocks] if len(blocks) > 1 else [alone]
    return np.concatenate([_value_of(part, prices, draws, number, seller) for number, part in enumerate(parts)], axis=1)


def _value_of(alone: Market, prices: FloatArray, draws: int, seed: int, seller: int) -> FloatArray:
    """As `energy_value` for the customers of one lane, all at once."""
    scenario = alone.scenario
    sites = scenario.sellers * alone.population.size
    customers, levels, period = alone.population.size, SHARES.size, min(len(prices), scenario.periods)
    capacity, rows = alone.population.capacity, draws * levels
    rng = np.random.default_rng(seed)
    profit, share = np.empty((2, period, rows, customers))
    for hour in range(period):
        drawn = alone.draws_of(rng, draws)
        own = Draws._make(np.repeat(column, levels, axis=0) for column in drawn)
        state = State(
            np.full(rows, hour),
            np.repeat(scenario.shadowing_sigma * rng.standard_normal((draws, sites)), levels, axis=0),
            np.repeat(scenario.demand_sigma * rng.standard_normal((draws, customers)), levels, axis=0),
            np.tile(SHARES[:, None] * capacity, (draws, 1)),
        )
        settlement, after = alone.settle(np.tile(prices[hour], (rows, 1)), state, own)
        profit[hour], share[hour] = profit_per_customer(alone, settlement, seller), after.charge / capacity
    values = np.zeros((scenario.periods + 1, customers, levels))
    customer = np.tile(np.arange(customers), rows)
    for hour in range(scenario.periods - 1, -1, -1):
        later = interpolated(values[hour + 1], customer, share[hour % period].reshape(-1)).reshape(rows, customers)
        values[hour] = (profit[hour % period] + later).reshape(draws, levels, customers).mean(axis=0).T
    return values


def one_lane(market: Market) -> Market:
    """Return a market in which the customers of all lanes are those of one."""
    if market.population.capacity.ndim == 1:
        return market
    population = Population._make(np.concatenate(column) for column in market.population)
    scenario = dataclasses.replace(market.scenario.with_same_customers(), customers=population.size)
    return market.with_scenario(scenario, population)


def profit_per_customer(market: Market, settlement: Settlement, seller: int = 0) -> FloatArray:
    """Return a seller's profit from each customer of K lanes, (K, N) $; training costs are not attributed to them."""
    models = market.catalogue.size
    model = settlement.choice - seller * models
    is_own = (model >= 0) & (model < models)
    model = np.where(is_own, model, 0)
    price = np.take_along_axis(settlement.prices, seller * models + model, axis=1)
    earned = (price - market.catalogue.serving_cost[model]) * settlement.hours.sum(axis=-1)
    return np.where(is_own, earned - market.catalogue.adaptation_cost[model], 0.0)


def charged_costs(
    constants: SellerConstants, terms: Terms, market: Market, values: FloatArray, state: State
) -> SellerConstants:
    """Return the seller's constants with the charge on energy added to its serving costs (M, K * N).

    Parameters
    ----------
    constants : SellerConstants
    terms : Terms
        Of the K * N customers; energy is charged at the device's nominal power.
    market : Market
    values : (H + 1, N or 1, K), $
        The energy value, as in `Plan`.
    state : State
        Of one market or K lanes.
    """
    power = terms.power[0]
    shadow_price = shadow_prices(market.constants, market.as_batch(state), values, power)
    return constants._replace(serving_cost=constants.serving_cost + shadow_price * power)


@kernel
def shadow_prices(constants: Constants, state: State, values: FloatArray, power: FloatArray) -> FloatArray:
    """Return the mean value of the Wh that a typical rental drains, per model and customer of all lanes, $/Wh.

    What would not fit into the battery after the hour's harvest costs nothing.

    Parameters
    ----------
    constants : Constants
    state : State
        Of K lanes.
    values : (H + 1, N or 1, K), $
        The energy value, as in `Plan`; with one row it is that of any customer, with K * N rows that of each lane's.
    power : (M, K * N), W
        Nominal, of the devices.
    """
    known, numbers, customers = customers_of(constants), numbers_of(constants), state.charge.shape[1]
    found = np.empty(power.shape)
    for row in range(power.shape[1]):
        k, n = row // customers, row % customers
        after = min(state.hour[k] + 1, values.shape[0] - 1)  # after a day's end nothing counts
        own, charge = values[after, row % values.shape[1]], state.charge[k, n]
        capacity = known.capacity[row % known.capacity.shape[0]]
        before = charge + numbers.harvest * capacity
        spared = value_at(own, float(before / capacity))
        for m in range(power.shape[0]):
            use = min(TYPICAL_HOURS * power[m, row], max(charge, LEAST_USE))
            found[m, row] = max(spared - value_at(own, (before - use) / capacity), 0.0) / use
    return found


@kernel
def interpolated(values: FloatArray, rows: IntArray, share: FloatArray) -> FloatArray:
    """Return, of rows (B,) of the energy value (R, K), the value (B,) at shares of capacity (B,)."""
    found = np.empty(share.shape[0])
    for i in range(share.shape[0]):
        found[i] = value_at(values[rows[i]], share[i])
    return found


@kernel
def value_at(values: FloatArray, share: float) -> float:
    """Return the energy value (K,) at a share of capacity, clipped to 0..1: linear between `SHARES`."""
    share = min(max(share, 0.0), 1.0)
    k = 0
    while k < SHARES.shape[0] - 2 and SHARES[k + 1] <= share:
        k += 1
    part = (share - SHARES[k]) / (SHARES[k + 1] - SHARES[k])
    return (1.0 - part) * values[k] + part * values[k + 1]
