"""A certified bound on what any seller can earn in a day at one price vector per hour: see docs/bound.md.

A seller that knows the day's draws earns at least what any seller earns. For it, and any energy values psi of every
customer and hour with psi = 0 after the last,

    profit <= sum_n psi_n,0(b_n,0) + sum_t max_p sum_n max_b bracket_nt(b, p) - training costs,

as psi telescopes along the path of every battery. Adding a constant to one hour's psi changes nothing, so psi is 0 at
the lowest charge of every hour, and the first sum is 0. Energy values are found by descent
(`lmaas_agents.bounds.descent`); what they prove is computed by branch and bound over prices and rounded up
(`lmaas_agents.bounds.price_tree`).
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from lmaas_agents.bounds.brackets import Costs, Hour
from lmaas_agents.bounds.descent import Step, descend, renew_pool
from lmaas_agents.bounds.price_tree import fill_tables, search_boxes
from lmaas_agents.bounds.responses import Responses, responses
from lmaas_agents.lookahead import SHARES, plan_day

from lmaas_env.customers.strategies import RSR
from lmaas_env.engine.terms import Terms
from lmaas_env.market import Market
from lmaas_env.seeds import draw_days, tuning_seeds
from lmaas_env.spaces import menu_prices
from lmaas_env.state import Draws, State
from lmaas_env.types import BoolArray, FloatArray, IntArray

SPACING = 3.0  # cells of the charge grow with this power: customers of little charge choose differently
PARTS = 4  # of a price cell in the certificate
NEARBY = np.geomspace(1e-4, 0.7, 24)  # changes of the logarithm of a price that a clairvoyant seller tries
STARTS = 8  # of the search for good prices before the branch and bound


class Effort(NamedTuple):
    """How much work goes into a bound; it holds whatever the numbers, and falls as they grow.

    Attributes
    ----------
    charges : int
        Cells of every battery.
    prices, proof_prices : int
        Cells of every model's price, powers of two: in the descent and in the certificate. A menu needs none.
    steps, renewals : int
        Of the descent, and searches for new prices during it.
    boxes : int
        Price boxes split in every hour of the certificate at most.
    gap : float
        $ an hour that the certificate may leave open.
    """

    charges: int = 24
    prices: int = 256
    proof_prices: int = 1024
    steps: int = 240
    renewals: int = 16
    boxes: int = 200_000
    gap: float = 0.02


class DayBound(NamedTuple):
    """An upper bound on any seller's profit of one day.

    Attributes
    ----------
    certified : float, $
    estimate : float, $
        The value of the descent at the best prices that it found: no bound, but near the least that can be proven.
    by_hour : (H,), $
        What the certificate allows each hour, training costs not taken off.
    nodes, values : tuples of H arrays (N, K + 1), Wh and $
        The energy values that prove it.
    seconds : (float, float)
        Of the descent and the certificate, of this process.
    descent : tuple of Step
        The estimate as it fell.
    """

    certified: float
    estimate: float
    by_hour: FloatArray
    nodes: tuple[FloatArray, ...]
    values: tuple[FloatArray, ...]
    seconds: tuple[float, float]
    descent: tuple[Step, ...]


class KnownDay(NamedTuple):
    """A day whose draws are known, hour by hour.

    Attributes
    ----------
    terms : list of H Terms
    faded : list of H arrays (N, L) bool
    harvest : list of H arrays (N,), Wh
    nodes : list of H + 1 arrays (N, K + 1), Wh
        Cells of the charges that can be reached; one cell at the first hour and after the last.
    """

    terms: list[Terms]
    faded: list[BoolArray]
    harvest: list[FloatArray]
    nodes: list[FloatArray]


def dynamic_bound(
    market: Market, state: State, draws: Draws, effort: Effort | None = None, start: FloatArray | None = None
) -> DayBound:
    """Return an upper bound on the profit of any seller on one day of customers that select by RSR.

    Parameters
    ----------
    market : Market
    state : State
        At the start of the day (one lane).
    draws : Draws
        Of its H periods, with a leading axis of H.
    effort : Effort, optional
    start : (H or more, N, len(SHARES)), $, optional
        Energy values from which the descent starts, by charge as a share of capacity
        (`lmaas_agents.lookahead.SHARES`); default: those of look-ahead IMP's plan, which takes seconds to make.

    Raises
    ------
    ValueError
        As `check_effort`.
    """
    work = effort or Effort()
    check_effort(market, work)
    began = time.process_time()
    scenario, catalogue = market.scenario, market.catalogue
    costs = Costs(catalogue.serving_cost, catalogue.adaptation_cost)
    training = float(scenario.periods * catalogue.training_cost.sum())
    day = known_day(market, state, draws, work.charges)

    first = plan_day(market).energy_value if start is None else start
    capacity = market.population.capacity
    values = [_at_nodes(first[t], nodes / capacity[:, None]) for t, nodes in enumerate(day.nodes[:-1])]
    grid, cells = _price_cells(market, work.prices)
    known = [_responses(market, day, t, grid) for t in range(scenario.periods)]
    values, path = descend(known, _hours(day, values), costs, cells, work.steps, work.renewals)
    middle = time.process_time()

    grid, cells = _price_cells(market, work.proof_prices)
    by_hour = np.empty(scenario.periods)
    for t, hour in enumerate(_hours(day, values)):
        by_hour[t] = _certified(_responses(market, day, t, grid), hour, costs, cells, work)
    return DayBound(
        certified=float(by_hour.sum()) * (1.0 + 1e-12) - training,
        estimate=min(step.value for step in path) - training,
        by_hour=by_hour,
        nodes=tuple(day.nodes[:-1]),
        values=tuple(values),
        seconds=(middle - began, time.process_time() - middle),
        descent=tuple(step._replace(value=step.value - training) for step in path),
    )


def mean_energy_value(market: Market, days: int, effort: Effort | None = None) -> FloatArray:
    """Return the energy values of the bound in the mean of tuning days, (H + 1, N, len(SHARES)) $.

    They are a good start for the bound of any day, and a charge on energy for look-ahead IMP.
    """
    states, draws = draw_days(market, tuning_seeds(days))
    plan, capacity = plan_day(market).energy_value, market.population.capacity
    total = np.zeros((market.scenario.periods + 1, market.population.size, SHARES.size))
    for lane in range(days):
        state = State(0, *(array[lane] for array in states[1:]))
        bound = dynamic_bound(market, state, draws.at((slice(None), lane)), effort, plan)
        for t, (nodes, values) in enumerate(zip(bound.nodes, bound.values, strict=True)):
            for n in range(len(capacity)):
                total[t, n] += np.interp(SHARES * capacity[n], nodes[n], values[n])
    total[0] = total[1]  # the first hour's charge is known, so that its energy value is of no use to the bound
    return total / days


def clairvoyant_profit(market: Market, state: State, draws: Draws, prices: FloatArray, rounds: int = 3) -> float:
    """Return the profit of good prices for a day whose draws are known, $: a lower end for what foresight can earn.

    One price after the other is replaced by the best of many near it, the rest of the day being sold at the other
    prices as they stand. What is left between this profit and the bound, nobody may be able to earn.

    Parameters
    ----------
    market : Market
    state : State
        At the start of the day (one lane).
    draws : Draws
        Of its H periods, with a leading axis of H.
    prices : (H, M), $/h
        To start from, such as those that a seller posted on that day.
    rounds : int
        Passes over all prices of the day.
    """
    scenario = market.scenario
    steps = np.concatenate([-NEARBY, [0.0], NEARBY])
    lanes, posted = len(steps), np.array(prices, dtype=np.float64)
    every = draws.at(np.repeat(np.arange(scenario.periods)[:, None], lanes, axis=1))
    best = -np.inf
    for _ in range(rounds):
        now, earned = state, 0.0
        for t in range(scenario.periods):
            first = State(t, *(np.repeat(array[None], lanes, axis=0) for array in now[1:]))
            for m in range(market.catalogue.size):
                trial = np.repeat(posted[None], lanes, axis=0)
                trial[:, t, m] = np.clip(posted[t, m] * np.exp(steps), scenario.price_floor, scenario.price_cap)
                profit, lane = np.zeros(lanes), first
                for hour in range(t, scenario.periods):
                    settlement, lane = market.settle(trial[:, hour], lane, every.at(hour))
                    profit += settlement.profit
                chosen = int(np.argmax(profit))
                if profit[chosen] > profit[len(NEARBY)]:
                    posted[t, m] = trial[chosen, t, m]
            settlement, now = market.settle(posted[t], now, draws.at(t))
            earned += float(settlement.profit)
        best = max(best, earned)
    return best


def known_day(market: Market, state: State, draws: Draws, charges: int) -> KnownDay:
    """Return what is known of a day before it starts: prices move the charge alone.

    The least charge of an hour is the harvest of the hour before: rentals may have emptied the battery. The largest is
    that of a customer that has rented nothing.
    """
    scenario, capacity = market.scenario, market.population.capacity
    day, low, high = KnownDay([], [], [], []), state.charge, state.charge
    for t in range(scenario.periods):
        period = draws.at(t)
        spacing = np.linspace(0.0, 1.0, charges + 1) ** SPACING if t else np.array([0.0, 1.0])
        day.nodes.append(low[:, None] + (high - low)[:, None] * spacing)
        day.terms.append(market.terms(state).arrays)
        day.faded.append(period.faded)
        day.harvest.append(scenario.harvest * capacity * period.harvest)
        low, high = np.minimum(day.harvest[t], capacity), np.minimum(high + day.harvest[t], capacity)
        state = market.settle(np.full(market.catalogue.size, scenario.price_cap), state, period)[1]
    day.nodes.append(np.stack([low, high], axis=1))
    return day


def check_effort(market: Market, effort: Effort) -> None:
    """Refuse a market that the bound does not hold for, or an effort with a number out of its range.

    Raises
    ------
    ValueError
        If the customers do not select by RSR, or differ between days or lanes; or a number is out of its range.
    """
    if not isinstance(market.customers, RSR):
        raise ValueError(f"customers = {type(market.customers).__name__}: the bound holds for those that select by RSR")
    if market.population.distance.ndim > 1 or market.scenario.resample_population != "never":
        raise ValueError("customers differ between days or lanes: bound one day at a time (`seeds.of_one_day`)")
    for name, low in (("charges", 1), ("steps", 0), ("renewals", 1), ("boxes", 1)):
        value = getattr(effort, name)
        if value < low:
            raise ValueError(f"{name} = {value} must be >= {low}")
    for name in ("prices", "proof_prices"):
        value = getattr(effort, name)
        if value < 2 or value & (value - 1):
            raise ValueError(f"{name} = {value} must be a power of two >= 2")
    if not 0.0 <= effort.gap < np.inf:
        raise ValueError(f"gap = {effort.gap} must be >= 0 and finite")


def _price_cells(market: Market, count: int) -> tuple[FloatArray, IntArray]:
    """Return prices that cut the range into J cells, and which of them lie at the ends of each cell (2, J).

    Where the scenario has a menu, each of its prices is a cell, the last one as often as it takes to a power of two.
    """
    scenario = market.scenario
    if scenario.price_menu:
        menu = menu_prices(market)
        leaves = max(2, 1 << (menu.size - 1).bit_length())
        own = np.minimum(np.arange(leaves, dtype=np.int64), menu.size - 1)
        return menu, np.stack([own, own])
    grid = np.geomspace(scenario.price_floor, scenario.price_cap, count + 1)
    grid[0], grid[-1] = scenario.price_floor, scenario.price_cap
    points = np.arange(count + 1, dtype=np.int64)
    return grid, np.stack([points[:-1], points[1:]])


def _responses(market: Market, day: KnownDay, t: int, grid: FloatArray) -> Responses:
    return responses(day.terms[t], day.faded[t], market.scenario.settlement, day.nodes[t], grid)


def _hours(day: KnownDay, values: list[FloatArray]) -> list[Hour]:
    """Return each hour with the values of the next; after the last hour charge has none."""
    ends = [*values, np.zeros(day.nodes[-1].shape)]
    return [Hour(day.nodes[t], ends[t], day.nodes[t + 1], ends[t + 1], day.harvest[t]) for t in range(len(day.harvest))]


def _at_nodes(values: FloatArray, shares: FloatArray) -> FloatArray:
    """Return energy values (N, K + 1) at shares of capacity, 0 at the lowest and never falling."""
    found = np.empty(shares.shape)
    for n, own in enumerate(shares):
        found[n] = np.interp(own, SHARES, values[n])
    rising: FloatArray = np.maximum.accumulate(found - found[:, :1], axis=1)
    return rising


def _certified(known: Responses, hour: Hour, costs: Costs, cells: IntArray, effort: Effort) -> float:
    """Return an upper bound on one hour's sum of brackets at any prices."""
    count, models = cells.shape[1], costs.serving.size
    tables = fill_tables(known, hour, costs, cells, PARTS)
    starts = np.random.default_rng(0).integers(0, count, (STARTS, models))
    good = np.full((STARTS, models), count - 1)
    lower = renew_pool(tables, good, starts).max()
    return search_boxes(tables, float(lower) + effort.gap, effort.boxes, good[:1])[0]
