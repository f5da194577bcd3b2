"""A bound on what any seller can earn in a day: perfect foresight, and a price of its own for every customer.

A seller that knows the day's draws and may post a price of its own for every customer earns at least as much as any
seller that posts one price vector an hour. Customers are then independent, and each is a dynamic programme over its
battery. Batteries and prices are cut into cells. Within a cell hours are counted at the full battery and the low price,
the energy used at the other ends, since W, hours and use fall in the price and rise in the charge; what is left is
rounded up. So the bound holds whatever the number of cells, and falls as there are more.
"""

from __future__ import annotations

import numpy as np
from lmaas_agents.bounds.known_day import known_day

from lmaas_env.customers.strategies import RSR
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.recourse import recourse, worst_fades
from lmaas_env.engine.terms import Terms
from lmaas_env.market import Market
from lmaas_env.spaces import price_grid
from lmaas_env.state import Draws, State
from lmaas_env.types import BoolArray, FloatArray

LEVELS = 96  # cells of a battery
CELLS = 64  # of the prices


def personalised_bound(market: Market, state: State, draws: Draws, levels: int = LEVELS, cells: int = CELLS) -> float:
    """Return an upper bound on the profit of any seller on one day of customers that select by RSR, $.

    Parameters
    ----------
    market : Market
    state : State
        At the start of the day (one lane).
    draws : Draws
        Of its H periods, with a leading axis of H.
    levels, cells : int
        Of every battery and of the prices; time grows with both.

    Raises
    ------
    ValueError
        If a number of cells is less than 1, the customers do not select by RSR, or keep their plans.
    """
    if levels < 1 or cells < 1:
        raise ValueError(f"levels = {levels} and cells = {cells} must be >= 1")
    if not isinstance(market.customers, RSR) or market.scenario.settlement != "recourse":
        raise ValueError("the bound holds for customers that select by RSR and rent by recourse")
    scenario, catalogue, population = market.scenario, market.catalogue, market.population
    grid = price_grid(market, cells)
    day, later = known_day(market, state, draws), np.zeros((population.size, levels + 1))
    for hour in reversed(range(scenario.periods)):
        later = _hour(
            day.terms[hour]._replace(energy=np.empty(population.size)),
            day.faded[hour],
            catalogue.serving_cost,
            catalogue.adaptation_cost,
            grid,
            population.capacity,
            day.harvest[hour],
            later,
        )
    level = np.ceil(np.clip(state.charge / population.capacity, 0.0, 1.0) * levels).astype(int)
    return float(later[np.arange(population.size), level].sum() - scenario.periods * catalogue.training_cost.sum())


@kernel
def _hour(
    terms: Terms,
    faded: BoolArray,
    serving_cost: FloatArray,
    adaptation_cost: FloatArray,
    grid: FloatArray,
    capacity: FloatArray,
    harvest: FloatArray,
    later: FloatArray,
) -> FloatArray:
    """Bound what each customer brings from this hour on, (N, K + 1) by battery cell: empty, then up to k / K of it.

    ``terms.energy`` is scratch; ``later`` is the same from the next hour on.
    """
    models, customers = terms.setup_cost.shape
    levels, cells, slots = later.shape[1] - 1, grid.shape[0] - 1, terms.task_value.shape[0]
    now = np.empty(later.shape)
    scratch = np.empty(slots)
    hours, used = np.empty((levels + 1, cells + 1)), np.empty((levels + 1, cells + 1))
    for n in range(customers):
        worst = worst_fades(terms.fade_budget[n], slots)
        unit = capacity[n] / levels
        for k in range(levels + 1):
            now[n, k] = later[n, _level((k * unit + harvest[n]) / unit, levels)]
        for m in range(models):
            for j in range(cells + 1):
                terms.energy[n] = capacity[n]
                _, most_hours, most_used = recourse(terms, n, m, grid[j], faded[n], scratch)
                for k in range(levels + 1):
                    hours[k, j], used[k, j] = most_hours, most_used
                    if k * unit < most_used:
                        terms.energy[n] = k * unit
                        _, hours[k, j], used[k, j] = recourse(terms, n, m, grid[j], faded[n], scratch)
            for k in range(1, levels + 1):
                terms.energy[n] = k * unit
                for j in range(cells):
                    if recourse(terms, n, m, grid[j], worst, scratch)[0] <= 0.0:
                        break
                    sale = max(grid[j + 1] - serving_cost[m], 0.0) * hours[k, j] - adaptation_cost[m]
                    left = k * unit - used[k - 1, j + 1] + harvest[n]
                    now[n, k] = max(now[n, k], sale + later[n, _level(left / unit, levels)])
        for k in range(1, levels + 1):  # whatever the battery in its cell, it is left with no more than counted
            now[n, k] = max(now[n, k], now[n, k - 1])
    return now


@kernel
def _level(share: float, levels: int) -> int:
    """Cell of a charge in units of a cell's width, rounded up; what does not fit is spilled."""
    return min(int(np.ceil(share)), levels)
