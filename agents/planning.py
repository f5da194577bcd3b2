"""Plans: one price vector per hour, found from the market's constants alone, that no state is needed to post.

Each hour's prices are the best for the mean of sampled days as they stand then, net of a charge for the energy that
rentals drain, since an empty battery buys nothing at the evening peak. Prices and the value of energy
(`lmaas_agents.energy`) are found in turn, a few times. Episodes of several days have one day's plan for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from lmaas_agents.energy import LEAST_PRICE, SHARES, VALUE_DRAWS, charged_costs, energy_value, one_lane
from lmaas_agents.imp.coordinate_ascent import ascend
from lmaas_agents.imp.imp import IMP, worst_case_only
from lmaas_agents.imp.problem import Anticipation, Problem, SellerConstants
from lmaas_agents.seller import check_alone

from lmaas_env.checks import array_in
from lmaas_env.engine.period import PROFIT, state_after
from lmaas_env.engine.terms import Terms
from lmaas_env.market import Market
from lmaas_env.scenario import HOURS_A_DAY, Scenario
from lmaas_env.seeds import draw_days, tuning_seeds
from lmaas_env.state import Draws, State
from lmaas_env.types import FloatArray

ROUNDS = 5  # of plan and energy value in turn; more add less than 0.2 % to the plan's profit
SOLD_CUSTOMERS = 384  # sampled days times customers, over which a plan's prices are the best in the mean
FEWER = 4  # all rounds but the last sell this part of the sample only
ROUND_DRAWS = 16  # of the energy value between rounds
LEAST_DRAWS = 4  # of the energy value of a sampled plan
MAX_SWEEPS = 10  # of all prices of an hour in turn
EXACT = 1e-3  # relative gain that a line search may miss: sampling misses far more


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


def plan_day(
    market: Market,
    anticipate: str | None = None,
    rounds: int = ROUNDS,
    start: FloatArray | None = None,
    sample: tuple[State, Draws] | None = None,
) -> Plan:
    """Plan a day's prices on sampled episodes, and return those of every hour of the episode.

    Parameters
    ----------
    market : Market
        With customers of its own in every lane, the plan is the best for their mean.
    anticipate : {"expected", "worst_case"}, optional
        As in `lmaas_agents.IMP`; "expected" takes each sampled day's own fades.
    rounds : int
        Of prices and energy value in turn; the best is kept.
    start : (P, M), $/h, optional
        Prices of the first P hours to start from, instead of none.
    sample : (State, Draws), optional
        First states of K lanes and draws (H, K) of the sampled episodes; needed if the market has lanes of its own. By
        default tuning days, with `SOLD_CUSTOMERS` customers in all.

    Raises
    ------
    ValueError
        If the market has several sellers.
    """
    check_alone(market, "days are planned")
    scenario, population = market.scenario, market.population
    days = scenario.days
    if sample is None:
        sample = draw_days(market, tuning_seeds(max(2, SOLD_CUSTOMERS // (population.size * days))))
    first, draws = sample
    count, has_lanes = len(first.charge), population.capacity.ndim > 1
    period = min(scenario.periods, HOURS_A_DAY)
    seller, anticipation = IMP(one_lane(market), anticipate, restarts=0), _worst_case(market, count)
    if seller.anticipate == "expected":
        anticipation = None
    prices = np.full((period, market.catalogue.size), scenario.price_cap) if start is None else start.copy()
    values = energy_value(market, prices, ROUND_DRAWS) if start is not None else None
    best, kept = -np.inf, prices
    mornings = [first] if start is None else sold_days(market, prices, first, draws)[1]
    if len(mornings) < days:  # no prices are known yet, so that the days to come start as the first does
        mornings = [first._replace(hour=first.hour + HOURS_A_DAY * day) for day in range(days)]
    fewer = count if has_lanes else max(2, count // FEWER)
    for turn in range(rounds):
        some = slice(0, fewer if turn < rounds - 1 else count)
        states = [State(*(column[some] for column in state)) for state in mornings]
        prices = _improved(market, seller, anticipation, prices, values, states, draws.at((slice(None), some)))
        profits, mornings = sold_days(market, prices, first, draws)
        profit = float(profits.sum(axis=0).mean())
        if profit > best:
            best, kept = profit, prices
        if turn < rounds - 1:
            values = energy_value(market, prices, ROUND_DRAWS)
    repeated = np.tile(kept, (days, 1))[: scenario.periods]
    return Plan(repeated, energy_value(market, kept))


def sampled_plan(market: Market, customers: int, anticipate: str | None = None) -> Plan:
    """Plan a day's prices on some customers of a large market, evenly spaced ones; the energy value is that of all.

    Prices are common to all customers, so what counts is the mean of their energy values: it takes fewer draws of each.

    Parameters
    ----------
    market : Market
    customers : int
        On whom prices are planned; with as many as the market has, or more, the plan is that of `plan_day`.
    anticipate : {"expected", "worst_case"}, optional
        As in `plan_day`.

    Raises
    ------
    ValueError
        If there are no customers, or the market has several sellers or lanes with customers of their own.
    """
    if customers < 1:
        raise ValueError(f"customers = {customers} must be >= 1")
    size = market.population.size
    if customers >= size:
        return plan_day(market, anticipate)
    step = size // customers
    plan = plan_day(market.of_some(slice(0, customers * step, step)), anticipate)
    draws = max(LEAST_DRAWS, VALUE_DRAWS * customers // size)
    return plan._replace(energy_value=energy_value(market, plan.prices[:HOURS_A_DAY], draws))


def _improved(
    market: Market,
    seller: IMP,
    anticipation: Anticipation | None,
    prices: FloatArray,
    values: FloatArray | None,
    mornings: Sequence[State],
    draws: Draws,
) -> FloatArray:
    """Return prices, hour by hour the best for the mean of all lanes and days, which start in ``mornings``."""
    catalogue, lanes = market.catalogue, len(mornings[0].charge)
    better, states = prices.copy(), list(mornings)
    for hour in range(len(prices)):
        now = [day * HOURS_A_DAY + hour for day in range(len(states)) if day * HOURS_A_DAY + hour < len(draws.harvest)]
        parts = [market.terms(state).arrays for state in states[: len(now)]]
        costs = [
            charged_costs(_constants(seller, terms), terms, market, values, state).serving_cost
            if values is not None
            else _constants(seller, terms).serving_cost
            for terms, state in zip(parts, states, strict=False)
        ]
        terms = Terms._make(
            np.ascontiguousarray(np.concatenate(column, axis=-1)) for column in zip(*parts, strict=True)
        )
        count = terms.energy.shape[0]
        faded = np.concatenate([draws.faded[h].reshape(-1, market.scenario.slots) for h in now])[None]
        known = Anticipation(faded, np.ones((1, count))) if anticipation is None else _tiled(anticipation, len(now))
        constants = _constants(seller, terms)._replace(
            serving_cost=np.ascontiguousarray(np.concatenate(costs, axis=1)),
            training_cost=float(catalogue.training_cost.sum()) * lanes * len(now),
        )
        better[hour] = ascend(Problem(terms, known, constants), prices[hour].copy(), seller.order, MAX_SWEEPS, EXACT)[0]
        posted = np.tile(better[hour], (lanes, 1))
        states = [market.settle(posted, state, draws.at(h))[1] for state, h in zip(states, now, strict=False)]
    return better


def _constants(seller: IMP, terms: Terms) -> SellerConstants:
    """Return the seller's constants with a column of serving costs for each customer of the terms."""
    cost = seller.market.catalogue.serving_cost
    return seller.constants._replace(serving_cost=np.tile(cost[:, None], (1, terms.energy.shape[0])))


def _worst_case(market: Market, lanes: int) -> Anticipation:
    """Return the worst fades of the customers of all lanes."""
    budgets = np.broadcast_to(market.population.fade_budget, (lanes, market.population.size)).reshape(-1)
    return worst_case_only(budgets, market.scenario.slots)


def _tiled(anticipation: Anticipation, days: int) -> Anticipation:
    return Anticipation(np.tile(anticipation.patterns, (1, days, 1)), np.tile(anticipation.weights, (1, days)))


def sold_days(market: Market, prices: FloatArray, first: State, draws: Draws) -> tuple[FloatArray, list[State]]:
    """Sell the episodes of K lanes at the prices of a plan, repeated: (P, M), or (P, K, M) with one for each lane.

    Returns the seller's profit of each hour and lane, (H, K) $, and the states at the start of each day.
    """
    lanes, state, mornings = len(first.charge), first, list[State]()
    profit = np.empty((market.scenario.periods, lanes))
    for hour in range(market.scenario.periods):
        if hour % HOURS_A_DAY == 0:
            mornings.append(state)
        record = market.new_record(lanes)
        posted = np.ascontiguousarray(np.broadcast_to(prices[hour % len(prices)], (lanes, market.catalogue.size)))
        market.settle_batch(posted, state, draws, record)
        profit[hour], state = record.per_seller[PROFIT, :, 0], state_after(record)
    return profit, mornings
