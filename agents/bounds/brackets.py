"""What one hour brings from one customer, with the change of its energy value: the brackets of docs/bound.md.

With charge b at price p, and the energy values psi of this hour and psi' of the next, model m's bracket is

    (p - s) hours - G + psi'(min(capacity, b - used + harvest)) - psi(b).

Energy values are piecewise linear in the charge and never fall in it, so a bracket's largest value in a cell of charges
and prices follows from bounds on hours and energy used: the kernels here evaluate it where a piece ends.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from lmaas_agents.bounds.responses import Responses

from lmaas_env.engine.jit import kernel
from lmaas_env.types import FloatArray

IMPOSSIBLE = -1e30  # $, the bracket of what cannot happen


class Hour(NamedTuple):
    """Charges and energy values of N customers at an hour and the next.

    Attributes
    ----------
    nodes, values : (N, K + 1), Wh and $
    next_nodes, next_values : (N, K' + 1), Wh and $
    harvest : (N,), Wh
    """

    nodes: FloatArray
    values: FloatArray
    next_nodes: FloatArray
    next_values: FloatArray
    harvest: FloatArray


class Costs(NamedTuple):
    """The seller's costs of the M models: $/h served, and $ per customer that selects the model."""

    serving: FloatArray
    adaptation: FloatArray


class Room(NamedTuple):
    """Room for the cells of one customer and model: brackets, charges and energy used (K,), and hours (K + 1,)."""

    bracket: FloatArray
    charge: FloatArray
    use: FloatArray
    trial: FloatArray
    trial_charge: FloatArray
    hours: FloatArray


@kernel
def new_room(cells: int) -> Room:
    """Return room for the cells of one customer and model."""
    empty = np.empty(cells)
    return Room(empty, empty.copy(), empty.copy(), empty.copy(), empty.copy(), np.empty(cells + 1))


@kernel
def fill_no_sale(hour: Hour, n: int, room: Room) -> None:
    """Fill the brackets of a customer that selects no model, and the charges at which they are reached."""
    room.hours[:] = 0.0
    room.use[:] = 0.0
    _fill(hour, n, room.hours, 0.0, 0.0, 0.0, 0.0, room.bracket, room.charge)


@kernel
def fill_sales(
    responses: Responses, hour: Hour, costs: Costs, n: int, m: int, low: int, high: int, parts: int, room: Room
) -> None:
    """Fill upper bounds on the brackets of customer n if it selects model m at a price of a cell.

    The cell lies between the grid's points ``low`` and ``high`` (the same for a single price). It is cut into
    ``parts``; between its ends, hours fall in the price by ``hours_slope`` at most, and so on for the energy used.
    """
    first, last = responses.grid[low], responses.grid[high]
    hours, use = responses.hours[m], responses.use[m]
    room.bracket[:] = IMPOSSIBLE
    for part in range(parts):
        left = first + (last - first) * part / parts
        right = first + (last - first) * (part + 1) / parts
        least_use = max(use[high, n], use[low, n] - responses.use_slope[0, m, low, n] * (right - first))
        for k in range(room.hours.shape[0]):
            is_short = 0 if hour.nodes[n, k] >= use[low, n] else 1
            rise = responses.hours_slope[is_short, m, low, n] * (last - left)
            room.hours[k] = min(hours[low, n, k], hours[high, n, k] + rise)
        margin = max(right - costs.serving[m], 0.0)
        per_energy = responses.hours_per_energy[m, n]
        _fill(hour, n, room.hours, least_use, per_energy, margin, costs.adaptation[m], room.trial, room.trial_charge)
        for k in range(room.bracket.shape[0]):
            if room.trial[k] > room.bracket[k]:
                room.bracket[k], room.charge[k], room.use[k] = room.trial[k], room.trial_charge[k], least_use


@kernel
def _fill(
    hour: Hour,
    n: int,
    hours: FloatArray,
    use: float,
    per_energy: float,
    margin: float,
    cost: float,
    bracket: FloatArray,
    charge: FloatArray,
) -> None:
    """Fill customer n's largest bracket (K,) in every cell of the charge, and the charge (K,) at which it is reached.

    Within a cell hours are at most those of its upper end (``hours``, (K + 1,), at the nodes), less ``per_energy`` for
    each Wh that is missing to the upper end or to ``use``, the energy that is used if there is enough. The sale is
    margin * hours - cost. All of it is linear between the charges that are tried: a cell's ends, ``use``, and those
    from which a node of the next hour is reached.
    """
    nodes, values = hour.nodes[n], hour.values[n]
    next_nodes, next_values, harvest = hour.next_nodes[n], hour.next_values[n], hour.harvest[n]
    last, i = next_nodes.shape[0] - 1, 0
    for k in range(bracket.shape[0]):
        low, high = nodes[k], nodes[k + 1]
        needed = min(high, use)
        slope = (values[k + 1] - values[k]) / (high - low) if high > low else 0.0
        after = max(low - use, 0.0) + harvest
        while i < last - 1 and next_nodes[i + 1] <= after:
            i += 1
        inner = i + 1
        bracket[k], b, tried = IMPOSSIBLE, low, 0
        while True:
            sale = margin * (hours[k + 1] - per_energy * max(needed - b, 0.0)) - cost
            later = _value_at(next_nodes, next_values, i, max(b - use, 0.0) + harvest)
            found = sale + later - values[k] - slope * (b - low)
            if found > bracket[k]:
                bracket[k], charge[k] = found, b
            tried += 1
            if tried == 1:
                b = high
            elif tried == 2 and low < use < high:
                b = use
            else:
                while inner <= last and next_nodes[inner] - harvest + use <= max(low, use):
                    inner += 1
                if inner > last or next_nodes[inner] - harvest + use >= high:
                    break
                b = next_nodes[inner] - harvest + use
                inner += 1


@kernel
def _value_at(nodes: FloatArray, values: FloatArray, i: int, charge: float) -> float:
    """Return the value at a charge in cell i or above: linear between nodes, constant beyond the first and last."""
    i, part = _place(nodes, i, charge)
    return values[i] + part * (values[i + 1] - values[i])


@kernel
def _place(nodes: FloatArray, i: int, charge: float) -> tuple[int, float]:
    """Return the cell of a charge, searched from cell i on, and the part of it that lies below the charge."""
    while i < nodes.shape[0] - 2 and nodes[i + 1] < charge:
        i += 1
    width = nodes[i + 1] - nodes[i]
    return i, min(max((charge - nodes[i]) / width, 0.0), 1.0) if width > 0.0 else 0.0


@kernel
def add_slopes(
    hour: Hour, n: int, charge: float, use: float, weight: float, own: FloatArray, later: FloatArray
) -> None:
    """Add a weighted bracket's derivatives by the values at this hour's nodes (N, K + 1) and at the next hour's."""
    i, part = _place(hour.nodes[n], 0, charge)
    own[n, i] -= (1.0 - part) * weight
    own[n, i + 1] -= part * weight
    i, part = _place(hour.next_nodes[n], 0, max(charge - use, 0.0) + hour.harvest[n])
    later[n, i] += (1.0 - part) * weight
    later[n, i + 1] += part * weight
