"""What customers may do in one hour of a known day: worst-case profit, hours and energy by charge and price.

Charges are cut into K cells between K + 1 nodes, prices into J cells between J + 1 points of a logarithmic grid. What a
customer does inside a cell is bounded by what it does at the cell's ends (`lmaas_agents.bounds.brackets`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmaas_env.engine.recourse_simd import solve_recourse
from lmaas_env.engine.rsr import worst_case
from lmaas_env.engine.terms import Terms
from lmaas_env.fades import worst_fades_of
from lmaas_env.types import BoolArray, FloatArray

AMPLE = 1e12  # Wh, more than any rental uses
LARGEST_VALUE = 1e3  # $, of a customer's tasks in an hour: above, selection thresholds exceed the tables' tolerance


class Responses(NamedTuple):
    """One hour's responses of N customers to J + 1 prices of M models.

    Attributes
    ----------
    grid : (J + 1,), $/h
    worst : (M, J + 1, K + 1, N), $
        Worst-case profit W.
    hours : (M, J + 1, N, K + 1)
        Rented if the model is selected.
    use : (M, J + 1, N), Wh
        Used by a rental with ample charge; with charge b, min(b, use). 0 for customers that keep a plan, which makes
        their bound loose in markets of several hours.
    hours_slope, use_slope : (2, M, J + 1, N), h^2/$ and Wh h/$
        Largest rate at which hours and use fall in the price from a point to the next: with ample charge, and with any.
    hours_per_energy : (M, N), h/Wh
        Least rate at which hours rise with a charge that is too small.
    """

    grid: FloatArray
    worst: FloatArray
    hours: FloatArray
    use: FloatArray
    hours_slope: FloatArray
    use_slope: FloatArray
    hours_per_energy: FloatArray


def responses(terms: Terms, faded: BoolArray, settlement: str, nodes: FloatArray, grid: FloatArray) -> Responses:
    """Return the responses of N customers whose slots fade as ``faded`` (N, L) says.

    Parameters
    ----------
    terms : Terms
        Of the hour; their energy is not read.
    faded : (N, L) bool
    settlement : {"recourse", "plan"}
    nodes : (N, K + 1), Wh
        Ascending charges: what each customer may have at this hour, whatever the prices before.
    grid : (J + 1,), $/h
        Ascending prices.

    Raises
    ------
    ValueError
        If the tasks of a customer are worth more than `LARGEST_VALUE`.
    """
    most = float(terms.task_value.sum(axis=0).max())
    if most > LARGEST_VALUE:
        raise ValueError(
            f"task_value: those of a customer sum to {most:g} $ in an hour, must be <= {LARGEST_VALUE:g} $"
        )
    (customers, points), models, slots = nodes.shape, terms.setup_cost.shape[0], terms.task_value.shape[0]
    fades = faded if settlement == "recourse" else worst_fades_of(terms.fade_budget, slots)
    rented_fades = np.ascontiguousarray(fades.T)

    at_nodes = _repeated(terms, points)._replace(energy=np.ascontiguousarray(nodes.T).reshape(-1))
    worst = np.empty((models, grid.size, points, customers))
    hours = np.empty((models, grid.size, customers, points))
    use = np.empty((models, grid.size, customers))
    price = np.repeat(grid[:, None], points * customers, axis=1)
    tiled = np.tile(rented_fades, points)
    ample = terms._replace(energy=np.full(customers, AMPLE))
    rented = np.empty((slots, *price.shape))
    for m in range(models):
        model = np.full(grid.size, m)
        if settlement == "recourse":
            worst[m] = worst_case(at_nodes, model, price, np.empty((0, *price.shape))).reshape(worst[m].shape)
            solve_recourse(at_nodes, model, price, tiled, rented)
        else:
            worst[m] = worst_case(at_nodes, model, price, rented).reshape(worst[m].shape)
        hours[m] = rented.sum(axis=0).reshape(grid.size, points, customers).transpose(0, 2, 1)
        if settlement == "recourse":
            own_price, no_hours = np.ascontiguousarray(price[:, :customers]), np.empty((0, grid.size, customers))
            use[m] = solve_recourse(ample, model, own_price, rented_fades, no_hours)[1]
    hours_slope, use_slope = _slopes(terms, rented_fades, grid)
    hours_per_energy = 1.0 / terms.power.max(axis=0)
    if settlement == "plan":  # how much a plan uses depends on fades in a way that is not worth a bound
        use[:], hours_slope[0], hours_per_energy[:] = 0.0, hours_slope[1], 0.0
    return Responses(grid, worst, hours, use, hours_slope, use_slope, hours_per_energy)


def _repeated(terms: Terms, count: int) -> Terms:
    """Return the terms of the same customers ``count`` times over."""
    return Terms(
        np.tile(terms.task_value, count),
        np.tile(terms.fade_budget, count),
        np.tile(terms.saturation, count),
        np.tile(terms.energy, count),
        np.tile(terms.setup_cost, count),
        np.tile(terms.quality, count),
        np.tile(terms.airtime_cost, count),
        np.tile(terms.power, count),
        np.tile(terms.max_hours, count),
    )


def _slopes(terms: Terms, faded: BoolArray, grid: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ``hours_slope`` and ``use_slope``: a slot's hours V / (beta + c) - 1 / (kappa q) fall by V / (beta + c)^2.

    An open slot counts; with ample charge, only if it is not full up to the next point.
    """
    models, (slots, customers), points = terms.setup_cost.shape[0], terms.task_value.shape, grid.size
    hours_slope, use_slope = np.zeros((2, models, points, customers)), np.zeros((2, models, points, customers))
    low, high = grid[:, None], np.append(grid[1:], grid[-1])[:, None]
    for m in range(models):
        for slot in range(slots):
            s, n = np.where(faded[slot], 1, 0), np.arange(customers, dtype=np.int64)
            value = terms.task_value[slot]
            cost, power = terms.airtime_cost[s, m, n], terms.power[s, m, n]
            least = 1.0 / (terms.saturation * terms.quality[s, m, n])
            slope = np.where(value / (low + cost) > least, value / (low + cost) ** 2, 0.0)
            is_full = value / (high + cost) - least >= terms.max_hours[s, m, n]
            for row, part in enumerate((np.where(is_full, 0.0, slope), slope)):
                hours_slope[row, m] += part
                use_slope[row, m] += power * part
    return hours_slope, use_slope
