"""Look-ahead IMP: IMP that charges each Wh a rental drains, since an empty battery buys nothing at the evening peak.

A Wh costs the seller what it expects to earn with it later. Given the prices of the hours to come, customers do not
affect each other, so what the seller will earn from one of them is a function of that customer's battery alone, found
by backward induction over drawn states (`energy_value`). The prices come from a `Plan`: one price vector per hour,
each the best for the mean of sampled days as they stand then, with the same charge on energy. Plan and energy value are
found in turn, a few times.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from lmaas_agents.imp.imp import IMP
from lmaas_agents.imp.line_search import Anticipation, SellerConstants

from lmaas_env.checks import array_in
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.period import Constants, customers_of, numbers_of
from lmaas_env.engine.terms import Terms
from lmaas_env.market import Market
from lmaas_env.scenario import Scenario
from lmaas_env.seeds import draw_days, tuning_seeds
from lmaas_env.state import Draws, Settlement, State
from lmaas_env.terms import RentalTerms
from lmaas_env.types import FloatArray, IntArray

ROUNDS = 4  # of plan and energy value in turn; the fourth adds up to 0.5 % to the plan's profit, 0 to look-ahead IMP
SOLD_CUSTOMERS = 384  # sampled days times customers, over which a plan's prices are the best in the mean
VALUE_DRAWS = 64  # states and draws per hour and battery level of the energy value
SHARES = np.linspace(0.0, 1.0, 9) ** 1.5  # of the capacity, at which the energy value is known
TYPICAL_HOURS = 0.5  # of one rental: a Wh is charged at the mean value of those that so long a rental drains
LEAST_PRICE = 1e-6  # $/h, of a plan; no scenario's floor is lower
LEAST_USE = 1e-3  # Wh, of the slope at an empty battery


class Plan(NamedTuple):
    """A day's prices, and the value of energy if they are posted.

    Attributes
    ----------
    prices : (H, M), $/h
    energy_value : (H + 1, N, K), $, the seller's expected profit from a customer from an hour on, by charge at its
        start, as a share of capacity (`SHARES`)
    """

    prices: FloatArray
    energy_value: FloatArray


class LookaheadIMP(IMP):
    """IMP that charges each Wh a rental drains at what the seller expects to earn with it later.

    Parameters
    ----------
    market : Market
    anticipate : {"expected", "worst_case"}, optional
        As in `IMP`.
    plan : Plan, optional
        Default: `plan_day` of the market, which takes seconds.

    Raises
    ------
    ValueError
        As `IMP`, or if the plan does not fit the market (`check_plan`).
    """

    def __init__(self, market: Market, anticipate: str | None = None, plan: Plan | None = None) -> None:
        super().__init__(market, anticipate)
        self.plan = plan_day(market, anticipate) if plan is None else check_plan(market.scenario, plan)

    def shadow_price(self, state: State) -> FloatArray:
        """Return what a Wh costs the seller, by customer and model, (N, M) $/Wh."""
        power = self.market.terms(state).arrays.power[0]
        return shadow_prices(self.market.constants, self.market.as_batch(state), self.plan.energy_value, power).T

    def _period(self, state: State) -> tuple[RentalTerms, SellerConstants]:
        """Return the terms, and constants whose serving costs hold the charge on energy: profits are net of it."""
        terms = self.market.terms(state)
        return terms, charged_costs(self.constants, terms.arrays, self.market, self.plan.energy_value, state)


class PublicLookaheadIMP(LookaheadIMP):
    """The open-loop form of look-ahead IMP: it sees only the clock and posts its plan."""

    def prices(self, state: State) -> FloatArray:
        """Return the plan's prices for the hour of the state, (M,) $/h; after the day's end those of its last hour."""
        hour = int(self.market.as_batch(state).hour[0])
        return self.plan.prices[min(hour, len(self.plan.prices) - 1)].copy()


def check_plan(scenario: Scenario, plan: Plan) -> Plan:
    """Return a plan as arrays.

    Raises
    ------
    ValueError
        If it has other hours, models or customers than the scenario, a price is not positive, or a number is not
        finite.
    """
    prices = array_in("plan.prices", plan.prices, (scenario.periods, len(scenario.models)), LEAST_PRICE, unit="$/h")
    values = array_in("plan.energy_value", plan.energy_value, (scenario.periods + 1, None, SHARES.size), unit="$")
    if values.shape[1] not in (1, scenario.customers):
        raise ValueError(
            f"plan.energy_value has shape {values.shape}, its second size must be 1 or {scenario.customers}"
        )
    return Plan(prices, values)


def plan_day(market: Market, anticipate: str | None = None, rounds: int = ROUNDS) -> Plan:
    """Plan a day's prices from the market's constants alone, on tuning days.

    Each round sells sampled days hour by hour at the prices that are best for their mean, net of the charge on energy
    that the round before found; the first charges nothing.
    """
    customers, periods = market.population.size, market.scenario.periods
    days = max(2, SOLD_CUSTOMERS // customers)
    first, draws = draw_days(market, tuning_seeds(days))
    pooled = _PooledIMP(market, anticipate, days)
    values = np.zeros((periods + 1, customers, SHARES.size))
    prices = np.empty((periods, market.catalogue.size))
    for _ in range(rounds):
        state = first
        for hour in range(periods):
            terms = market.terms(state)
            charged = charged_costs(pooled.constants, terms.arrays, market, values, state)
            prices[hour] = pooled.best_prices(terms, charged)
            state = market.settle(np.tile(prices[hour], (days, 1)), state, draws.at(hour))[1]
        values = energy_value(market, prices)
    return Plan(prices, values)


def energy_value(market: Market, prices: FloatArray, draws: int = VALUE_DRAWS) -> FloatArray:
    """Return the seller's expected profit from each customer from each hour on, (H + 1, N, K) $, by charge (`SHARES`).

    Parameters
    ----------
    market : Market
    prices : (H, M), $/h
        Of every hour of the day.
    draws : int
        Per hour, the same for every charge: shadowing and demand from their stationary distribution, fades and harvest.

    Raises
    ------
    ValueError
        If the prices have another shape or are not finite and positive, or there are no draws.
    """
    if draws < 1:
        raise ValueError(f"draws = {draws} must be >= 1")
    prices = array_in("prices", prices, (None, market.catalogue.size), LEAST_PRICE, unit="$/h")
    scenario, population = market.scenario, market.population
    n, levels = population.size, SHARES.size
    rng = np.random.default_rng(0)
    values = np.zeros((len(prices) + 1, n, levels))
    customer = np.tile(np.arange(n), draws * levels)
    for hour in range(len(prices) - 1, -1, -1):
        drawn = zip(*(market.draws(rng) for _ in range(draws)), strict=True)
        period = Draws(*(np.repeat(np.stack(column), levels, axis=0) for column in drawn))
        state = State(
            np.full(draws * levels, hour),
            np.repeat(scenario.shadowing_sigma * rng.standard_normal((draws, n)), levels, axis=0),
            np.repeat(scenario.demand_sigma * rng.standard_normal((draws, n)), levels, axis=0),
            np.tile(SHARES[:, None] * population.capacity, (draws, 1)),
        )
        settlement, after = market.settle(np.tile(prices[hour], (draws * levels, 1)), state, period)
        profit = profit_per_customer(market, settlement)
        share = after.charge / population.capacity
        profit += interpolated(values[hour + 1], customer, share.reshape(-1)).reshape(profit.shape)
        values[hour] = profit.reshape(draws, levels, n).mean(axis=0).T
    return values


def profit_per_customer(market: Market, settlement: Settlement) -> FloatArray:
    """Return the seller's profit from each customer of K lanes, (K, N) $; training costs are not attributed to them."""
    model = np.maximum(settlement.choice, 0)
    margin = np.take_along_axis(settlement.prices - market.catalogue.serving_cost, model, axis=1)
    earned = margin * settlement.hours.sum(axis=-1) - market.catalogue.adaptation_cost[model]
    return np.where(settlement.choice >= 0, earned, 0.0)


class _PooledIMP(IMP):
    """IMP over the customers of several days at once, all of which see the same prices."""

    max_sweeps = 10  # late sweeps gain less than 1e-6 of the profit
    _exact = 1e-6

    def __init__(self, market: Market, anticipate: str | None, days: int) -> None:
        super().__init__(market, anticipate, restarts=0)
        patterns, weights = self.anticipation
        self.anticipation = Anticipation(np.tile(patterns, (1, days, 1)), np.tile(weights, (1, days)))
        self.constants = self.constants._replace(
            serving_cost=np.tile(self.constants.serving_cost, (1, days)),
            training_cost=self.constants.training_cost * days,
        )

    def best_prices(self, terms: RentalTerms, constants: SellerConstants) -> FloatArray:
        return self._search(terms, constants).prices


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
        The energy value, as in `Plan`; with one row it is that of any customer.
    power : (M, K * N), W
        Nominal, of the devices.
    """
    known, numbers, customers = customers_of(constants), numbers_of(constants), state.charge.shape[1]
    found = np.empty(power.shape)
    for row in range(power.shape[1]):
        k, n = row // customers, row % customers
        after = min(state.hour[k] + 1, values.shape[0] - 1)  # after a day's end nothing counts
        own, charge = values[after, n % values.shape[1]], state.charge[k, n]
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
