"""Viewer: figures of a settlement or of whole days, from data, never from an environment.

matplotlib is imported when something is drawn, without pyplot and its global state.
"""

# matplotlib's stubs leave keyword arguments untyped
# pyright: reportUnknownMemberType=false

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

# Okabe and Ito's colours, told apart with any colour vision: models in a frame, sellers in a comparison, in this order
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
_DASHES = ("-", "--", ":", "-.")  # each for one round of the colours
_GREY = "#8A8A8A"  # customers without a model
_SMALL, _NORMAL, _LARGE = 9.5, 11.0, 14.0  # points
_METADATA = {".png": {"Software": None}, ".svg": {"Date": None}}  # nothing that changes from run to run


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
    names = [_short(name, 18) for name in market.catalogue.names]
    if settlement is None:
        rows = [row(name, "-", "-", "-", "-") for name in names]
        seller = customers = faded = "-"
    else:
        rows = [
            row(name, f"{price:,.2f}", f"{count:,.0f}", f"{hours:,.2f}", f"{price * hours:,.2f}")
            for name, price, count, hours in zip(
                names, settlement.prices, settlement.customers_per_model, settlement.hours_per_model, strict=True
            )
        ]
        seller, customers, faded = *_profits(settlement), f"{settlement.faded.mean():.1%}"
    totals = "{:<18}{:<24}{:<19}{}".format
    return "\n".join(
        [
            _clock(market, state, settlement),
            row("model", "price $/h", "customers", "hours", "revenue $"),
            *rows,
            totals("seller's profit", seller, "customers' profit", customers),
            totals("mean battery", f"{_battery(market, state).mean():.1%}", "faded slots", faded),
        ]
    )


def frame(market: Market, state: MarketState, settlement: Settlement | None) -> NDArray[np.uint8]:
    """Return a picture of the last period, (540, 960, 3): prices, customers and hours per model, all batteries.

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
    figure = _figure(9.6, 5.4)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    names, size = market.catalogue.names, market.population.size
    colours = np.array([*(_colour(m) for m in range(len(names))), _GREY])
    if settlement is None:
        choice, hours = np.full(size, -1), np.zeros(size)
        prices, counts = np.zeros(len(names)), np.zeros(len(names) + 1)
        price_labels, count_labels = ["–"] * len(prices), ["–"] * len(counts)
        headline = "before the first sale"
    else:
        choice, hours = settlement.choice, settlement.hours.sum(axis=1)
        prices = settlement.prices
        counts = np.append(settlement.customers_per_model, np.sum(choice < 0))
        price_labels = [f"{price:,.2f}" for price in prices]
        count_labels = [f"{n:,.0f} · {h:,.1f} h" for n, h in zip(counts, settlement.hours_per_model, strict=False)]
        count_labels.append(f"{counts[-1]:,.0f}")
        headline = "profit of the seller {}, of the customers {}".format(*_profits(settlement))
    figure.text(0.02, 0.93, _clock(market, state, settlement), size=_LARGE, weight="bold", parse_math=False)
    figure.text(0.02, 0.87, headline, size=_NORMAL, parse_math=False)

    axes = figure.add_axes((0.13, 0.51, 0.31, 0.27))
    _bars(axes, names, prices, colours[:-1], price_labels, market.scenario.price_cap)
    _style(axes, "Price, $ per hour")
    axes = figure.add_axes((0.13, 0.09, 0.31, 0.31))
    _bars(axes, [*names, "no model"], counts, colours, count_labels, size)
    _style(axes, "Customers · hours rented")

    axes = figure.add_axes((0.54, 0.12, 0.43, 0.66))
    edge = colours[choice]  # grey, the last one, for -1
    face = np.where(choice < 0, "none", edge)
    area = np.clip(4000.0 / size, 8.0, 120.0) * (0.25 + hours)
    battery = 100.0 * _battery(market, state)
    axes.scatter(market.population.distance, battery, area, face, edgecolors=edge, alpha=0.8, clip_on=False)
    axes.set(xscale="log", ylim=(0.0, 100.0))
    axes.set_xlabel("distance to the base station, m", size=_SMALL)
    _style(axes, "Batteries, % of capacity (size: hours rented)")

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def comparison(days: Mapping[str, Days], models: Sequence[str]) -> Figure:
    """Draw sellers side by side: profit per day, prices, customers and batteries over the day.

    Parameters
    ----------
    days : mapping of str to Days
        The days of each seller by its name, all of one market.
    models : sequence of str
        Names of the models, as in the catalogue.

    Raises
    ------
    gymnasium.error.DependencyNotInstalled
        If matplotlib is missing.
    ValueError
        If no seller is given or the days hold another number of models.
    """
    for name, sold in days.items():
        if sold.prices.shape[-1] != len(models):
            raise ValueError(f"days of {name!r} hold {sold.prices.shape[-1]} models, models = {list(models)}")
    if not days:
        raise ValueError("days must hold at least one seller")
    figure = _figure(max(10.0, 2.4 * len(models)), 9.0 + 0.3 * max(0, len(days) - 6))
    figure.set_layout_engine("constrained")
    best_first = sorted(days, key=lambda name: -days[name].day_profit.mean())
    colours = {name: _colour(i) for i, name in enumerate(days)}
    dashes = {name: _DASHES[i // len(COLOURS) % len(_DASHES)] for i, name in enumerate(days)}
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(1.1, 1.0, 1.0))
    profit_axes, battery_axes = top.subplots(1, 2, width_ratios=(1.3, 1.0))
    price_axes = middle.subplots(1, len(models), sharey=True, squeeze=False)[0]
    count_axes = bottom.subplots(1, len(models), sharey=True, squeeze=False)[0]

    def over_the_day(axes: Axes, values: Mapping[str, FloatArray], start: float = 0.5) -> None:
        """Draw the mean day of each seller as a line; a single period as a bar."""
        for i, name in enumerate(best_first):
            mean = values[name].mean(axis=0)
            if len(mean) == 1:
                axes.bar(i, mean[0], color=colours[name])
                axes.set_xticks([])
            else:
                axes.plot(start + np.arange(len(mean)), mean, dashes[name], color=colours[name], lw=2.0)
                axes.locator_params("x", nbins=5, steps=[1, 2, 3, 6, 10])
                axes.set_xlabel("hour of the day", size=_SMALL)

    _profit_bars(profit_axes, {name: days[name].day_profit for name in best_first}, colours)
    _style(profit_axes, "(a) Seller's profit, $ per day (mean, 95 % interval)")
    over_the_day(battery_axes, {name: 100.0 * sold.charge for name, sold in days.items()}, start=0.0)
    battery_axes.set_ylim(0.0, 100.0)
    _style(battery_axes, "(b) Mean battery, % of capacity")
    for m, model in enumerate(models):
        over_the_day(price_axes[m], {name: sold.prices[..., m] for name, sold in days.items()})
        over_the_day(count_axes[m], {name: sold.customers_per_model[..., m] for name, sold in days.items()})
        for axes in (price_axes[m], count_axes[m]):
            axes.set_ylim(bottom=0.0)
            _style(axes, _short(model, 20))
    middle.suptitle("(c) Price, $ per hour", x=0.01, ha="left", size=_NORMAL, weight="bold")
    bottom.suptitle("(d) Customers renting", x=0.01, ha="left", size=_NORMAL, weight="bold")
    return figure


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG or SVG, by the path's suffix, whole or not at all; the same figure gives the same bytes.

    Raises
    ------
    ValueError
        If the suffix is neither ``.png`` nor ``.svg``.
    """
    from matplotlib import rc_context

    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in _METADATA:
        raise ValueError(f"path = {os.fspath(path)!r} must end in .png or .svg")
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file, rc_context({"svg.hashsalt": "lmaas"}):
            figure.savefig(file, format=suffix[1:], dpi=150, metadata=_METADATA[suffix])
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure; sizes in inches of 100 pixels."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise gym.error.DependencyNotInstalled('figures need matplotlib: pip install "lmaas[train]"') from error
    return Figure((width, height), dpi=100, facecolor="white")


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, size=_NORMAL, loc="left", parse_math=False)
    axes.tick_params(labelsize=_SMALL)
    axes.spines[["top", "right"]].set_visible(False)


def _bars(
    axes: Axes,
    names: Sequence[str],
    values: FloatArray,
    colours: NDArray[np.str_],
    labels: Sequence[str],
    largest: float,
) -> None:
    """Draw horizontal bars from the first name, on top, to the last, with the labels written beside them."""
    rows = np.arange(len(names))
    size = min(_SMALL, 76.0 / len(names))
    axes.barh(rows, values, color=colours)
    for row, value, label in zip(rows, values, labels, strict=True):
        axes.text(value + 0.02 * largest, row, label, va="center", size=size, parse_math=False)
    axes.set(xlim=(0.0, 1.3 * largest), ylim=(len(names) - 0.5, -0.5))
    axes.set_yticks(rows, [_short(name, 14) for name in names], parse_math=False)
    axes.tick_params("y", length=0)


def _profit_bars(axes: Axes, profits: Mapping[str, FloatArray], colours: Mapping[str, str]) -> None:
    """Draw the mean of each seller's days with its 95 % interval (percentile bootstrap, seeded)."""
    from scipy.stats import bootstrap

    largest = max(abs(float(profit.mean())) for profit in profits.values())
    digits = 0 if largest >= 100.0 else 2
    for row, (name, profit) in enumerate(profits.items()):
        mean = float(profit.mean())
        label, end = f"{mean:,.{digits}f}", max(mean, 0.0)
        axes.barh(row, mean, color=colours[name])
        if len(profit) > 1:
            interval = bootstrap((profit,), np.mean, method="percentile", rng=np.random.default_rng(0))
            low, high = interval.confidence_interval
            axes.plot([low, high], [row, row], color="black", lw=1.5, marker="|")
            label, end = f"{label}  [{low:,.{digits}f}, {high:,.{digits}f}]", max(high, 0.0)
        axes.text(end + 0.03 * largest, row, label, va="center", size=_SMALL, parse_math=False)
    axes.set_yticks(range(len(profits)), [_short(name, 24) for name in profits], parse_math=False)
    axes.set_ylim(len(profits) - 0.5, -0.5)
    axes.set_xlim(right=1.6 * axes.get_xlim()[1])
    axes.tick_params("y", length=0)


def _clock(market: Market, state: MarketState, settlement: Settlement | None) -> str:
    name, periods = market.scenario.name, market.scenario.periods
    if settlement is None:
        return f"LMaaS {name}: before the first of {periods} periods"
    hour = int(state.hour) - 1
    return f"LMaaS {name}: period {hour + 1} of {periods}, {hour % 24:02d}:00 to {(hour + 1) % 24:02d}:00"


def _profits(settlement: Settlement) -> tuple[str, str]:
    """Return the seller's and the customers' profit as text."""
    return f"{float(settlement.profit):z,.2f} $", f"{float(settlement.customer_profit.sum()):z,.2f} $"


def _battery(market: Market, state: MarketState) -> FloatArray:
    """Return each customer's charge as a share of its capacity, (N,)."""
    return state.charge / market.population.capacity


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _short(name: str, length: int) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"
