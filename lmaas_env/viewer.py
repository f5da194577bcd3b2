"""Viewer: figures of a settlement or of whole days, from data, never from an environment.

matplotlib (``pip install "lmaas[train]"``) is imported when something is drawn; pyplot and its global state are not used.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from lmaas_env.days import Days
from lmaas_env.market import Market, MarketState, Settlement
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any colour vision; models in a frame, sellers in a comparison, in this order
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
_DASHES = ("-", "--", ":", "-.")  # one round of colours each
_GREY = "#8A8A8A"  # customers that rent no model
_FRAME_PIXELS = (960, 540)
_DPI = 100


def table(market: Market, state: MarketState, settlement: Settlement | None) -> str:
    """Return the last period as text of at most 78 columns, one row per model.

    Parameters
    ----------
    market : Market
    state : MarketState
        The state after the period.
    settlement : Settlement, optional
        What the period brought; None before the first one, its entries are then ``-``.
    """
    row = "{:<18}{:>12}{:>12}{:>14}{:>20}".format
    lines = [_clock(market, state, settlement), row("model", "price $/h", "customers", "hours", "revenue $")]
    if settlement is None:
        lines += [row(name[:18], "-", "-", "-", "-") for name in market.catalogue.names]
        seller = customers = faded = "-"
    else:
        revenue = settlement.prices * settlement.hours_per_model
        columns = zip(
            market.catalogue.names,
            settlement.prices,
            settlement.customers_per_model,
            settlement.hours_per_model,
            revenue,
            strict=True,
        )
        lines += [
            row(name[:18], f"{price:z,.2f}", f"{count:,.0f}", f"{hours:,.2f}", f"{income:,.2f}")
            for name, price, count, hours, income in columns
        ]
        seller, customers = f"{settlement.profit:z,.2f} $", f"{settlement.customer_profit.sum():z,.2f} $"
        faded = f"{settlement.faded.mean():.1%}"
    lines.append(f"seller's profit {seller:<24}customers' profit {customers}")
    lines.append(f"mean battery    {_battery(market, state).mean():<24.1%}faded slots       {faded}")
    return "\n".join(lines)


def frame(market: Market, state: MarketState, settlement: Settlement | None) -> NDArray[np.uint8]:
    """Return a picture of the last period, (540, 960, 3): prices, customers and hours per model, every battery.

    Parameters
    ----------
    market : Market
    state : MarketState
        The state after the period.
    settlement : Settlement, optional
        What the period brought; None before the first one.

    Raises
    ------
    gymnasium.error.DependencyNotInstalled
        If matplotlib is missing.
    """
    width, height = _FRAME_PIXELS
    figure = _figure(width / _DPI, height / _DPI)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    names, size = market.catalogue.names, market.population.size
    colours = [_colour(m) for m in range(len(names))]
    figure.text(0.02, 0.93, _clock(market, state, settlement), size=14, weight="bold", parse_math=False)
    figure.text(0.02, 0.87, _headline(settlement), size=12, parse_math=False)
    left = {"left": 0.115, "right": 0.46}
    price_axes = figure.add_subplot(figure.add_gridspec(1, 1, bottom=0.53, top=0.77, **left)[0])
    count_axes = figure.add_subplot(figure.add_gridspec(1, 1, bottom=0.10, top=0.40, **left)[0])
    battery_axes = figure.add_subplot(figure.add_gridspec(1, 1, bottom=0.12, top=0.77, left=0.56, right=0.975)[0])

    if settlement is None:
        choice, hours = np.full(size, -1), np.zeros(size)
        prices = counts = np.zeros(len(names))
        price_labels, count_labels = ["–"] * len(names), ["–"] * (len(names) + 1)
    else:
        choice, hours = settlement.choice, settlement.hours.sum(axis=-1)
        prices, counts = settlement.prices, settlement.customers_per_model
        price_labels = [f"{price:,.2f}" for price in prices]
        count_labels = [f"{n:,.0f} · {h:,.1f} h" for n, h in zip(counts, settlement.hours_per_model, strict=True)]
        count_labels.append(f"{size - counts.sum():,.0f}")
    idle = 0.0 if settlement is None else size - float(counts.sum())
    _bars(price_axes, names, prices, colours, price_labels, market.scenario.price_cap)
    _title(price_axes, "Price, $ per hour")
    _bars(count_axes, (*names, "none"), np.append(counts, idle), [*colours, _GREY], count_labels, size)
    _title(count_axes, "Customers · hours rented")

    shown = np.array([*colours, _GREY])[choice]  # the last colour is that of choice -1
    area = float(np.clip(4000.0 / size, 8.0, 120.0)) * (0.25 + hours)
    battery = 100.0 * _battery(market, state)
    fill = np.where(choice >= 0, shown, "none")
    battery_axes.scatter(
        market.population.distance, battery, s=area, c=fill, edgecolors=shown, linewidths=1.0, alpha=0.8, clip_on=False
    )
    battery_axes.set(xscale="log", ylim=(-3.0, 103.0), xlabel="distance to the base station, m")
    _title(battery_axes, "Batteries, % of capacity (colour: model, size: hours)")

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
