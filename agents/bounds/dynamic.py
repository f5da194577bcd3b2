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
from lmaas_agents.bounds.descent import Step, descend
from lmaas_agents.bounds.known_day import KnownDay, known_day
from lmaas_agents.bounds.price_tree import fill_tables, renew_pool, search_boxes
from lmaas_agents.bounds.responses import Responses, responses
from lmaas_agents.energy import SHARES
from lmaas_agents.planning import plan_day

from lmaas_env.checks import array_in
from lmaas_env.customers.strategies import RSR
from lmaas_env.market import Market
from lmaas_env.seeds import draw_days, tuning_seeds
from lmaas_env.spaces import menu_prices, price_grid
from lmaas_env.state import Draws, State
from lmaas_env.types import FloatArray, IntArray

ROUNDING = 1e-12  # relative, more than that of a sum over the hours
PROOF_PARTS = 4  # of a price cell
PROOF_STARTS = 8  # of the search for good prices before the branch and bound


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
        (`lmaas_agents.energy.SHARES`); default: those of look-ahead IMP's plan, which takes seconds to make.

    Raises
    ------
    ValueError
        As `check_effort`.
    """
    work = effort or Effort()
    check_effort(market, work)
    if start is not None:
        start = array_in("start", start, (None, market.population.size, SHARES.size), unit="$")
    began = time.process_time()
    day, costs = known_day(market, state, draws, work.charges), _costs(market)
    training = float(market.scenario.periods * market.catalogue.training_cost.sum())
    values, path = _descend(market, day, work, plan_day(market).energy_value if start is None else start)
    middle = time.process_time()

    grid, cells = _price_cells(market, work.proof_prices)
    by_hour = np.empty(market.scenario.periods)
    for t, hour in enumerate(_hours(day, values)):
        by_hour[t] = _certified(_responses(market, day, t, grid), hour, costs, cells, work)
    return DayBound(
        certified=float(by_hour.sum() + ROUNDING * (np.abs(by_hour).sum() + training)) - training,
        estimate=min(step.value for step in path) - training,
        by_hour=by_hour,
        nodes=tuple(day.nodes[:-1]),
        values=tuple(values),
        seconds=(middle - began, time.process_time() - middle),
        descent=tuple(step._replace(value=step.value - training) for step in path),
    )


def mean_energy_value(market: Market, days: int, effort: Effort | None = None) -> FloatArray:
    """Return the energy values that the descents of tuning days end with, in their mean, (H + 1, N, len(SHARES)) $.

    A good start for the bound of any day. They are 0 at the first hour, whose charge is known, and after the last.

    Raises
    ------
    ValueError
        As `check_effort`.
    """
    work = effort or Effort()
    check_effort(market, work)
    states, draws = draw_days(market, tuning_seeds(days))
    start, capacity = plan_day(market).energy_value, market.population.capacity
    total = np.zeros((market.scenario.periods + 1, market.population.size, SHARES.size))
    for lane in range(days):
        day = known_day(market, states.lane(lane), draws.at((slice(None), lane)), work.charges)
        for t, values in enumerate(_descend(market, day, work, start)[0]):
            for n in range(len(capacity)):
                total[t, n] += np.interp(SHARES * capacity[n], day.nodes[t][n], values[n])
    return total / days


def _descend(market: Market, day: KnownDay, effort: Effort, start: FloatArray) -> tuple[list[FloatArray], list[Step]]:
    """Return the energy values at the nodes of every hour at which the descent ends, and its path."""
    grid, cells = _price_cells(market, effort.prices)
    shares = [nodes / market.population.capacity[:, None] for nodes in day.nodes[:-1]]
    hours = _hours(day, [_at_nodes(start[t], own) for t, own in enumerate(shares)])
    known = [_responses(market, day, t, grid) for t in range(len(hours))]
    return descend(known, hours, _costs(market), cells, effort.steps, effort.renewals)


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


def _costs(market: Market) -> Costs:
    return Costs(market.catalogue.serving_cost, market.catalogue.adaptation_cost)


def _price_cells(market: Market, count: int) -> tuple[FloatArray, IntArray]:
    """Return prices that cut the range into J cells, and which of them lie at the ends of each cell (2, J).

    Where the scenario has a menu, each of its prices is a cell, the last one as often as it takes to a power of two.
    """
    if market.scenario.price_menu:
        menu = menu_prices(market)
        leaves = max(2, 1 << (menu.size - 1).bit_length())
        own = np.minimum(np.arange(leaves, dtype=np.int64), menu.size - 1)
        return menu, np.stack([own, own])
    points = np.arange(count + 1, dtype=np.int64)
    return price_grid(market, count), np.stack([points[:-1], points[1:]])


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
    tables = fill_tables(known, hour, costs, cells, PROOF_PARTS)
    starts = np.random.default_rng(0).integers(0, count, (PROOF_STARTS, models))
    good = np.full((PROOF_STARTS, models), count - 1)
    lower = renew_pool(tables, good, starts).max()
    return search_boxes(tables, float(lower) + effort.gap, effort.boxes, good[:1])[0]
