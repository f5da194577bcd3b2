"""Viewer: figures of a settlement or of whole days, from data, never from an environment.

matplotlib is imported when something is drawn, without pyplot and its global state.
"""

# matplotlib's stubs leave keyword arguments untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from lmaas_env.days import Days
from lmaas_env.files import write_whole
from lmaas_env.market import Market, MarketState, Settlement
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

# Okabe and Ito's colours, told apart with any colour vision, for the models of a frame and the sellers of a comparison
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
SELLERS = ("#000000", "#D55E00", "#8A4FBF")  # sellers side by side, next to the first models' colours
_GREY = "#8A8A8A"  # customers without a model
_SMALL, _NORMAL, _LARGE = 9.5, 11.0, 14.0  # points
_METADATA = {".png": {"Software": None}, ".svg": {"Date": None}}  # nothing that changes from run to run


class SoldDay(NamedTuple):
    """A day of one seller, H periods.

    Attributes
    ----------
    states : H + 1 states of one market, before each period and at the end
    settlements : H, what each period brought
    """

    states: Sequence[MarketState]
    settlements: Sequence[Settlement]

    @property
    def profit_so_far(self) -> FloatArray:
        """The seller's profit up to each state, (H + 1,) $."""
        return np.cumsum([0.0, *(float(settlement.profit) for settlement in self.settlements)])


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
        columns = zip(names, settlement.prices, settlement.customers_per_model, settlement.hours_per_model, strict=True)
        rows = [
            row(name, f"{price:,.2f}", f"{count:,.0f}", f"{hours:,.2f}", f"{price * hours:,.2f}")
            for name, price, count, hours in columns
        ]
        seller, customers, faded = *_profits(settlement), f"{settlement.faded.mean():.1%}"
    totals = "{:<18}{:<20}{:<20}{}".format
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

    Parameters are those of `table`.

    Raises
    ------
    gymnasium.error.DependencyNotInstalled
        If matplotlib is missing.
    """
    figure = _figure(9.6, 5.4, dpi=100)
    names, size, colours = _model_names(market), market.population.size, _model_colours(market)
    if settlement is None:
        prices, counts = np.zeros(len(names)), np.zeros(len(names) + 1)
        price_labels, count_labels = ["–"] * len(prices), ["–"] * len(counts)
        headline = "nothing sold yet"
    else:
        prices, counts = settlement.prices, _customers(settlement)
        price_labels, count_labels = [f"{price:,.2f}" for price in prices], [f"{count:,.0f}" for count in counts]
        for m in np.flatnonzero(settlement.hours_per_model):
            count_labels[m] += f" · {settlement.hours_per_model[m]:,.1f} h"
        headline = "profit of the seller {}, of the customers {}".format(*_profits(settlement))
    figure.text(0.02, 0.93, _clock(market, state, settlement), size=_LARGE, weight="bold", parse_math=False)
    figure.text(0.02, 0.87, headline, size=_NORMAL, parse_math=False)

    axes = figure.add_axes((0.13, 0.48, 0.33, 0.30))
    axes.set_xlim(0.0, 1.35 * max(market.scenario.price_cap, float(prices.max())))
    _style(axes, "Price, $ per hour", bold=True)
    _bars(axes, names, prices, colours, price_labels)
    axes = figure.add_axes((0.13, 0.04, 0.33, 0.36))
    axes.set_xlim(0.0, 1.35 * size)
    _style(axes, "Customers · hours rented", bold=True)
    _bars(axes, [*names, "no model"], counts, colours, count_labels)
    axes = figure.add_axes((0.54, 0.12, 0.43, 0.66))
    _batteries(axes, market, state, settlement)
    axes.set_xlabel("distance to the base station, m", size=_SMALL)
    _style(axes, "Batteries, % (size: hours; hollow: no model)", bold=True)
    return _picture(figure)


def side_by_side(market: Market, days: Mapping[str, SoldDay], periods: int) -> NDArray[np.uint8]:
    """Return a picture of sellers on the same day after some of its periods, (640, 960, 3).

    Each seller has a column: prices, customers and batteries of the last period. Below is the profit of the day so far,
    and how far each seller is from the first one. Scales are those of the whole day, the same in all its pictures.

    Parameters
    ----------
    market : Market
    days : mapping of str to SoldDay
        One to three sellers by name.
    periods : int
        How many periods have been sold, 0 to H.

    Raises
    ------
    gymnasium.error.DependencyNotInstalled
        If matplotlib is missing.
    ValueError
        If the number of sellers or of periods is refused.
    """
    most = market.scenario.periods
    if not 1 <= len(days) <= len(SELLERS):
        raise ValueError(f"days hold {len(days)} sellers, they must hold 1 to {len(SELLERS)}")
    if not 0 <= periods <= most:
        raise ValueError(f"periods = {periods} must be in 0..{most}")
    figure = _figure(9.6, 6.4, dpi=100)
    profits = {name: sold.profit_so_far for name, sold in days.items()}
    first = next(iter(profits.values()))
    digits = 0 if max(profit.max() for profit in profits.values()) >= 100.0 else 2
    for column, (name, sold) in enumerate(days.items()):
        left, width = column / len(days), 1.0 / len(days)
        state, settlement = sold.states[periods], sold.settlements[periods - 1] if periods else None
        if column == 0:
            figure.text(0.015, 0.952, _clock(market, state, settlement), size=_LARGE, weight="bold", parse_math=False)
        heading, gained = f"{_short(name, 18)}  {profits[name][periods]:z,.{digits}f} $", profits[name] - first
        heading += f"  ({gained[periods]:+z,.{digits}f} $)" if column else ""
        place, colour = (left + 0.015, 0.892), SELLERS[column]
        figure.text(*place, heading, size=_LARGE - 1.5, weight="bold", color=colour, parse_math=False)
        bars = left + 0.085, width - 0.11  # the models' names are left of them
        _sales(figure, market, settlement, bars)
        axes = figure.add_axes((left + 0.05, 0.345, width - 0.075, 0.185))
        _batteries(axes, market, state, settlement)
        _style(axes, "Batteries, %, by distance in m", bold=True)

    panels = [(profits, "Profit of the day so far, $, by hour")]
    if len(days) > 1:
        ahead = {name: profit - first for name, profit in profits.items()}
        panels.append((ahead, f"Ahead of {_short(next(iter(days)), 18)}, $, by hour"))
    for part, (lines, title) in enumerate(panels):
        axes = figure.add_axes((part / len(panels) + 0.06, 0.06, 1.0 / len(panels) - 0.085, 0.185))
        for line, colour in zip(lines.values(), SELLERS, strict=False):
            axes.plot(line[: periods + 1], color=colour, lw=2.0)
            axes.plot(periods, line[periods], "o", color=colour, ms=4.5, clip_on=False)
        ends = np.array([*lines.values()])
        margin = 0.06 * max(float(np.ptp(ends)), 1.0)
        axes.set(xlim=(0.0, 1.01 * most), ylim=(ends.min() - margin, ends.max() + margin))
        axes.locator_params("x", nbins=8, steps=[1, 2, 3, 6, 10], integer=True)
        axes.locator_params("y", nbins=4)
        axes.grid(axis="y", color="#E0E0E0")
        _style(axes, title, bold=True)
    return _picture(figure)


def comparison(
    days: Mapping[str, Days], models: Sequence[str], intervals: Mapping[str, tuple[float, float]] | None = None
) -> Figure:
    """Draw sellers side by side: profit per day, prices, customers and batteries over the day.

    Parameters
    ----------
    days : mapping of str to Days
        The days of each seller by its name, all of one market.
    models : sequence of str
        Names of the models, as in the catalogue.
    intervals : mapping of str to (low, high), optional
        Of each seller's mean profit per day, $.

    Raises
    ------
    gymnasium.error.DependencyNotInstalled
        If matplotlib is missing.
    ValueError
        If no seller is given or the days hold another number of models.
    """
    if not days or any(sold.prices.shape[-1] != len(models) for sold in days.values()):
        raise ValueError(f"days must hold at least one seller, each with the {len(models)} models {list(models)}")
    figure = _figure(max(10.0, 2.4 * len(models)), 9.0 + 0.3 * max(0, len(days) - 6), dpi=150)
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
    names = sorted(days, key=lambda name: -days[name].day_profit.mean())  # best first
    sold = [days[name] for name in names]
    colour_of = dict(zip(days, itertools.cycle(COLOURS), strict=False))
    colours = [colour_of[name] for name in names]
    grid = figure.add_gridspec(3, 1, height_ratios=(1.1, 1.0, 1.0))
    top, middle, bottom = (figure.add_subfigure(grid[row]) for row in range(3))

    def over_the_day(axes: Axes, values: Sequence[FloatArray], start: float) -> None:
        """Draw each seller's mean day as a line, or a single period as a bar."""
        for row, (mean, colour) in enumerate(zip([value.mean(axis=0) for value in values], colours, strict=True)):
            if len(mean) == 1:
                axes.bar(row, mean[0], color=colour)
                axes.set_xticks([])
            else:
                axes.plot(start + np.arange(len(mean)), mean, color=colour, lw=2.0)
                axes.set_xlim(0.0, len(mean) - 1 + 2.0 * start)
                axes.locator_params("x", nbins=5, steps=[1, 2, 3, 6, 10], integer=True)
        axes.grid(axis="y", color="#E0E0E0")
        axes.set_axisbelow(True)

    def by_model(part: SubFigure, title: str, values: Sequence[FloatArray]) -> None:
        """Draw one panel per model, all on one scale."""
        panels: list[Axes] = part.subplots(1, len(models), sharey=True, squeeze=False)[0].tolist()
        for m, axes in enumerate(panels):
            over_the_day(axes, [value[..., m] for value in values], start=0.5)
            _style(axes, _short(models[m], 20))
        panels[0].set_ylim(bottom=0.0)
        part.suptitle(title, x=0.01, ha="left", size=_NORMAL, weight="bold", parse_math=False)

    left, right = top.subplots(1, 2, width_ratios=(1.3, 1.0))
    means = [float(record.day_profit.mean()) for record in sold]
    _style(left, f"(a) Seller's profit, $ per day{' (mean, 95 % interval)' if intervals else ''}", bold=True)
    _profit_bars(left, names, means, [(intervals or {}).get(name, (np.nan, np.nan)) for name in names], colours)
    over_the_day(right, [100.0 * record.charge for record in sold], start=0.0)
    right.set_ylim(0.0, 103.0)
    right.set_xlabel("hour of the day", size=_SMALL)
    _style(right, "(b) Mean battery, % of capacity", bold=True)
    by_model(middle, "(c) Price by model, $ per hour; colours as in (a)", [record.prices for record in sold])
    by_model(bottom, "(d) Customers by model; colours as in (a)", [record.customers_per_model for record in sold])
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # what is laid out stays, however often it is saved
    return figure


def learning(
    curves: Mapping[str, Sequence[FloatArray]], shares: FloatArray, profiles: Mapping[str, FloatArray]
) -> Figure:
    """Draw learning curves in steps and in wall time, and performance profiles.

    Parameters
    ----------
    curves : mapping of str to arrays (3, T)
        Of each way to train, one array per training seed: steps, seconds, profit on tuning days in $ a day.
    shares : (S,)
        Of the reference's profit on the same day.
    profiles : mapping of str to (S, 3)
        The share of seeds and days on which a seller earns more than that, with the ends of its interval.

    Raises
    ------
    gymnasium.error.DependencyNotInstalled
        If matplotlib is missing.
    """
    figure = _figure(13.0, 4.6, dpi=150)
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
    by_step, by_time, above = figure.subplots(1, 3)
    colour_of = dict(zip(dict.fromkeys([*curves, *profiles]), itertools.cycle(COLOURS), strict=False))
    for name, runs in curves.items():
        for i, (steps, seconds, profit) in enumerate(runs):
            label = f"{name} ({len(runs)} seeds)" if i == 0 else None
            by_step.plot(steps / 1e3, profit, color=colour_of[name], lw=1.2, alpha=0.8, label=label)
            by_time.plot(seconds / 60.0, profit, color=colour_of[name], lw=1.2, alpha=0.8)
    dashed = list(colour_of)[len(COLOURS) :]  # their colours are those of the first ones again
    for name, profile in profiles.items():
        above.plot(shares, profile[:, 0], "--" if name in dashed else "-", color=colour_of[name], lw=1.8, label=name)
        above.fill_between(shares, profile[:, 1], profile[:, 2], color=colour_of[name], alpha=0.25, lw=0.0)
    inside = [share for it in profiles.values() for share, level in zip(shares, it[:, 0], strict=True) if 0 < level < 1]
    if inside:
        above.set_xlim(min(inside) - 0.02, max(inside) + 0.02)
    for axes, label, title in (
        (by_step, "thousand steps", "(a) Profit on tuning days, $ per day"),
        (by_time, "minutes of training", "(b) The same by wall time"),
        (above, "share of IMP's profit on the same day", "(c) Share of seeds and days that earn more"),
    ):
        axes.set_xlabel(label, size=_SMALL)
        axes.grid(color="#E0E0E0")
        _style(axes, title, bold=True)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=_SMALL, frameon=False)
    return figure


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG or SVG, by the path's suffix, whole or not at all; the same figure gives the same bytes.

    Raises
    ------
    ValueError
        If the suffix is neither ``.png`` nor ``.svg``.
    """
    import matplotlib

    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in _METADATA:
        raise ValueError(f"path = {os.fspath(path)!r} must end in .png or .svg")
    drawn = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "lmaas"}):
        figure.savefig(drawn, format=suffix[1:], metadata=_METADATA[suffix])
    write_whole(target, drawn.getvalue())


def _figure(width: float, height: float, dpi: float) -> Figure:
    """Return an empty figure; sizes in inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise gym.error.DependencyNotInstalled('figures need matplotlib: pip install "lmaas[train]"') from error
    return Figure((width, height), dpi=dpi, facecolor="white")


def _style(axes: Axes, title: str, *, bold: bool = False) -> None:
    weight = "bold" if bold else "normal"
    axes.set_title(title, size=_NORMAL, loc="left", y=1.0, weight=weight, parse_math=False)  # a set y saves a search
    axes.tick_params(labelsize=_SMALL)
    axes.spines[["top", "right"]].set_visible(False)


def _picture(figure: Figure) -> NDArray[np.uint8]:
    """Return a figure's pixels, (H, W, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _model_names(market: Market) -> list[str]:
    return [_short(name, 14) for name in market.catalogue.names]


def _model_colours(market: Market) -> list[str]:
    """Return a colour per model and the one of no model at the end."""
    return [*itertools.islice(itertools.cycle(COLOURS), market.catalogue.size), _GREY]


def _customers(settlement: Settlement) -> FloatArray:
    """Return the number of customers of each model and of none, (M + 1,)."""
    return np.append(settlement.customers_per_model, np.sum(settlement.choice < 0)).astype(np.float64)


def _sales(figure: Figure, market: Market, settlement: Settlement | None, span: tuple[float, float]) -> None:
    """Draw prices and customers per model beside each other, within a span (left, width) of the figure."""
    names, (left, width) = [*_model_names(market), "no model"], span
    prices, customers = np.zeros((2, len(names)))
    price_labels, labels = ["–"] * len(names), ["–"] * len(names)
    if settlement is not None:
        prices[:-1], customers = settlement.prices, _customers(settlement)
        price_labels, labels = [f"{price:,.2f}" for price in settlement.prices], [f"{n:,.0f}" for n in customers]
    room = 1.0 / (1.0 - 0.044 / (0.47 * width))  # for the numbers, which are as wide in narrow panels
    panels = (
        (names, prices, price_labels, room * market.scenario.price_cap, "Price, $/h"),
        ([""] * len(names), customers, labels, room * market.population.size, "Customers"),
    )
    for part, (texts, values, shown, most, title) in enumerate(panels):
        axes = figure.add_axes((left + part * 0.53 * width, 0.615, 0.47 * width, 0.22))
        axes.set_xlim(0.0, most)
        _style(axes, title, bold=True)
        _bars(axes, texts, values, _model_colours(market), [*shown, ""][: len(names)])


def _batteries(axes: Axes, market: Market, state: MarketState, settlement: Settlement | None) -> None:
    """Draw each customer's battery by its distance, in the colour of its model and as large as its rental."""
    from matplotlib.ticker import LogLocator

    size = market.population.size
    choice = np.full(size, -1) if settlement is None else settlement.choice
    hours = np.zeros(size) if settlement is None else settlement.hours.sum(axis=1)
    edge = np.array(_model_colours(market))[choice].tolist()  # grey, the last one, for -1
    face = np.where(choice < 0, "white", edge).tolist()
    area = np.clip(4000.0 / size, 8.0, 120.0) * (0.25 + hours)
    charge = 100.0 * _battery(market, state)
    axes.scatter(market.population.distance, charge, area, face, edgecolors=edge, alpha=0.8, clip_on=False)
    axes.set(xscale="log", ylim=(-4.0, 106.0))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()


def _bars(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[float] | FloatArray,
    colours: Sequence[str],
    labels: Sequence[str],
    ends: Sequence[float] | None = None,
) -> None:
    """Draw horizontal bars, the first on top, each with a label behind it (or behind its entry of ``ends``)."""
    rows = range(len(names))
    row_height = 72.0 * axes.bbox.height / axes.figure.dpi / len(names)  # points
    size = min(_SMALL, 0.8 * row_height)
    axes.barh(rows, values, color=colours)
    for row, end, label in zip(rows, values if ends is None else ends, labels, strict=True):
        axes.annotate(
            label, (end, row), (6, 0), textcoords="offset points", va="center_baseline", size=size, parse_math=False
        )
    axes.vlines(0.0, -0.5, len(names) - 0.5, color="black", lw=0.8)
    axes.set_ylim(max(len(names), 4) - 0.5, -0.5)  # few bars do not get thicker
    axes.xaxis.set_visible(False)
    axes.set_yticks(rows, [_short(name, 20) for name in names], parse_math=False)
    axes.tick_params("y", length=0, labelsize=size)
    axes.spines[["bottom", "left"]].set_visible(False)


def _profit_bars(
    axes: Axes,
    names: Sequence[str],
    means: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    colours: Sequence[str],
) -> None:
    """Draw each seller's mean profit per day, with its interval where that is known and not a point."""
    digits = 0 if max(map(abs, means)) >= 100.0 else 2
    labels = [f"{mean:z,.{digits}f}" for mean in means]
    ends = [max(mean, 0.0) for mean in means]
    for row, (low, high) in enumerate(intervals):
        if low < high:
            axes.plot([low, high], [row, row], color="black", lw=1.5, marker="|")
            labels[row] += f"  [{low:z,.{digits}f}, {high:z,.{digits}f}]"
            ends[row] = max(high, 0.0)
    _bars(axes, names, means, colours, labels, ends)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + 0.6 * (high - low))  # room for the numbers


def _clock(market: Market, state: MarketState, settlement: Settlement | None) -> str:
    """Return the scenario and the period that the settlement brought, or that is to come."""
    title, periods, hour = f"LMaaS {_short(market.scenario.name, 24)}", market.scenario.periods, int(state.hour)
    if settlement is None:
        return f"{title}: {hour % 24:02d}:00, before period {hour + 1} of {periods}"
    return f"{title}: {(hour - 1) % 24:02d}:00 to {hour % 24:02d}:00, period {hour} of {periods}"


def _profits(settlement: Settlement) -> tuple[str, str]:
    """Return the seller's and the customers' profit as text."""
    return f"{float(settlement.profit):z,.2f} $", f"{float(settlement.customer_profit.sum()):z,.2f} $"


def _battery(market: Market, state: MarketState) -> FloatArray:
    """Return each customer's charge as a share of its capacity, (N,)."""
    return state.charge / market.population.capacity


def _short(name: str, length: int) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"
