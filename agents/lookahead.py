"""Look-ahead IMP: IMP that charges each Wh a rental drains, since an empty battery buys nothing at the evening peak.

A Wh costs the seller what it expects to earn with it later. Given the prices of the hours to come, customers do not
affect each other, so that what one of them will bring is a function of its battery alone, found backwards hour by hour
over drawn states (`worth_of_charge`). The prices come from a `Plan`: one price vector per hour, each the best for the
mean of sampled days as they stand then, with the same charge. Plan and worth are found in turn, a few times.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from lmaas_agents.imp.imp import IMP
from lmaas_agents.imp.line_search import Anticipation, SellerConstants

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.period import LaneState, Packed, unpack
from lmaas_env.market import Draws, Market, MarketState, Settlement, stack
from lmaas_env.seeds import draw_days, tuning_seeds
from lmaas_env.terms import RentalTerms
from lmaas_env.types import FloatArray, IntArray

ROUNDS = 4  # of plan and worth in turn; the fourth adds up to 0.5 % to the plan's day profit, nothing to look-ahead IMP
SOLD_CUSTOMERS = 384  # sampled days times customers, over which a plan's prices are the best in the mean
WORTH_DRAWS = 64  # states and draws per hour and battery level of the worth of charge
SHARES = np.linspace(0.0, 1.0, 9) ** 1.5  # of the capacity, at which the worth of charge is known
TYPICAL_HOURS = 0.5  # of one rental: a Wh is charged at the mean worth of those that so long a rental drains
LEAST_USE = 1e-3  # Wh, of the slope at an empty battery


class Plan(NamedTuple):
    """A day's prices, and what charge is worth if they are posted.

    Attributes
    ----------
    prices : (H, M), $/h
    worth : (H + 1, N, K), $, the seller's expected profit from a customer from an hour on, by charge at its start, as a
        share of capacity (`SHARES`)
    """

    prices: FloatArray
    worth: FloatArray


class LookaheadIMP(IMP):
    """IMP that charges each Wh a rental drains at what the seller expects to earn with it later.

    Parameters
    ----------
    market : Market
    anticipate : {"expected", "worst_case"}, optional
        As in `IMP`.
    plan : Plan, optional
        Default: `plan_day` of the market, which takes seconds.
    """

    def __init__(self, market: Market, anticipate: str | None = None, plan: Plan | None = None) -> None:
        super().__init__(market, anticipate)
        self.plan = plan_day(market, anticipate) if plan is None else plan

    def shadow_price(self, state: MarketState) -> FloatArray:
        """Return what a Wh costs the seller, by customer and model, (N, M) $/Wh."""
        power = self.market.terms(state).power[:, :, 0]
        return shadow_prices(self.market.packed, self.market.lanes(state), self.plan.worth, power)

    def _period(self, state: MarketState) -> tuple[RentalTerms, SellerConstants]:
        """Return the terms, and constants whose serving costs hold the charge on energy: profits are net of it."""
        terms = self.market.terms(state)
        return terms, _charged(self.constants, terms, self.market, self.plan.worth, state)


class PublicLookaheadIMP(LookaheadIMP):
    """Look-ahead IMP that sees only the clock: it posts its plan."""

    def prices(self, state: MarketState) -> FloatArray:
        """Return the plan's prices for the hour of the state, (M,) $/h."""
        return self.plan.prices[int(state.hour)].copy()


def plan_day(market: Market, anticipate: str | None = None, rounds: int = ROUNDS) -> Plan:
    """Plan a day's prices from the market's constants alone, on tuning days.

    Each round sells sampled days hour by hour at the prices that are best for their mean, net of the charge on energy
    that the round before found; the first charges nothing.
    """
    customers, periods = market.population.size, market.scenario.periods
    days = max(2, SOLD_CUSTOMERS // customers)
    first, draws = draw_days(market, tuning_seeds(days))
    pooled = _PooledIMP(market, anticipate, days)
    worth = np.zeros((periods + 1, customers, SHARES.size))
    prices = np.empty((periods, market.catalogue.size))
    for _ in range(rounds):
        state = first
        for hour, period in enumerate(draws):
            terms = market.terms(state)
            charged = _charged(pooled.constants, terms, market, worth, state)
            prices[hour] = pooled.best_prices(terms, charged)
            state = market.settle(np.tile(prices[hour], (days, 1)), state, period)[1]
        worth = worth_of_charge(market, prices)
    return Plan(prices, worth)


def worth_of_charge(market: Market, prices: FloatArray, draws: int = WORTH_DRAWS) -> FloatArray:
    """Return the seller's expected profit from each customer from each hour on, (H + 1, N, K) $, by charge (`SHARES`).

    Parameters
    ----------
    market : Market
    prices : (H, M), $/h
        Of every hour of the day.
    draws : int
        Per hour, the same for every charge: shadowing and demand from their stationary distribution, fades and harvest.
    """
    scenario, population = market.scenario, market.population
    n, levels = population.size, SHARES.size
    rng = np.random.default_rng(0)
    worth = np.zeros((len(prices) + 1, n, levels))
    customer = np.tile(np.arange(n), draws * levels)
    for hour in range(len(prices) - 1, -1, -1):
        drawn = stack([market.draws(rng) for _ in range(draws)])
        state = MarketState(
            np.full(draws * levels, hour),
            np.repeat(scenario.shadowing_sigma * rng.standard_normal((draws, n)), levels, axis=0),
            np.repeat(scenario.demand_sigma * rng.standard_normal((draws, n)), levels, axis=0),
            np.tile(SHARES[:, None] * population.capacity, (draws, 1)),
        )
        period = Draws(
            np.repeat(drawn.faded, levels, axis=0), *(np.repeat(array, levels, axis=0) for array in drawn[1:])
        )
        sale, after = market.settle(np.tile(prices[hour], (draws * levels, 1)), state, period)
        profit = by_customer(market, sale)
        share = after.charge / population.capacity
        profit += interpolated(worth[hour + 1], customer, share.reshape(-1)).reshape(profit.shape)
        worth[hour] = profit.reshape(draws, levels, n).mean(axis=0).T
    return worth


def by_customer(market: Market, sale: Settlement) -> FloatArray:
    """Return the seller's profit from each customer of K lanes, (K, N) $; training is nobody's."""
    model = np.maximum(sale.choice, 0)
    margin = np.take_along_axis(sale.prices - market.catalogue.serving_cost, model, axis=1) * sale.hours.sum(axis=-1)
    return np.where(sale.choice >= 0, margin - market.catalogue.adaptation_cost[model], 0.0)


class _PooledIMP(IMP):
    """IMP over the customers of several days at once, all of which see the same prices."""

    max_sweeps = 10  # late sweeps gain less than 1e-6 of the profit
    _exact = 1e-6

    def __init__(self, market: Market, anticipate: str | None, days: int) -> None:
        super().__init__(market, anticipate, restarts=0)
        patterns, weights = self.anticipation
        self.anticipation = Anticipation(np.tile(patterns, (1, days, 1)), np.tile(weights, (1, days)))
        self.constants = self.constants._replace(
            serving_cost=np.tile(self.constants.serving_cost, (days, 1)),
            training_cost=self.constants.training_cost * days,
        )

    def best_prices(self, terms: RentalTerms, constants: SellerConstants) -> FloatArray:
        return self._search(terms, constants).prices


def _charged(
    constants: SellerConstants, terms: RentalTerms, market: Market, worth: FloatArray, state: MarketState
) -> SellerConstants:
    """Charge energy, at the device's nominal power, to every rented hour."""
    power = terms.power[:, :, 0]
    shadow_price = shadow_prices(market.packed, market.lanes(state), worth, power)
    return constants._replace(serving_cost=constants.serving_cost + shadow_price * power)


@kernel
def shadow_prices(packed: Packed, state: LaneState, worth: FloatArray, power: FloatArray) -> FloatArray:
    """Return the mean worth of the Wh that a typical rental drains, per customer of all lanes and model, $/Wh.

    What would not fit into the battery after the hour's harvest costs nothing.

    Parameters
    ----------
    packed : Packed
        The market's constants.
    state : LaneState
        Of K lanes.
    worth : (H + 1, N or 1, K), $
        As in `Plan`; with one row it is that of any customer.
    power : (K * N, M), W
        Nominal, of the devices.
    """
    market = unpack(packed, 0, state.charge.size)
    customers, known = state.charge.shape[1], market.capacity.shape[0]
    found = np.empty(power.shape)
    for row in range(power.shape[0]):
        k, n = row // customers, row % customers
        after = min(state.hour[k] + 1, worth.shape[0] - 1)  # after a day's end nothing counts
        its, capacity, charge = worth[after, n % worth.shape[1]], market.capacity[row % known], state.charge[k, n]
        before = charge + market.harvest * capacity
        spared = worth_at(its, float(before / capacity))
        for m in range(power.shape[1]):
            use = min(TYPICAL_HOURS * power[row, m], max(charge, LEAST_USE))
            found[row, m] = max(spared - worth_at(its, (before - use) / capacity), 0.0) / use
    return found


@kernel
def interpolated(worth: FloatArray, rows: IntArray, share: FloatArray) -> FloatArray:
    """Return, of rows (B,) of the worth of charge (R, K), the worth (B,) at shares of capacity (B,)."""
    found = np.empty(share.shape[0])
    for i in range(share.shape[0]):
        found[i] = worth_at(worth[rows[i]], float(share[i]))
    return found


@kernel
def worth_at(worth: FloatArray, share: float) -> float:
    """Return the worth of charge (K,) at a share of capacity, clipped to 0..1: linear between `SHARES`."""
    share = min(max(share, 0.0), 1.0)
    k = 0
    while k < SHARES.shape[0] - 2 and SHARES[k + 1] <= share:
        k += 1
    part = (share - SHARES[k]) / (SHARES[k + 1] - SHARES[k])
    return (1.0 - part) * worth[k] + part * worth[k + 1]
