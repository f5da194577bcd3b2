"""Viewer: one period of a market, or a day of several sellers side by side, drawn from data.

matplotlib is imported with the first picture, without pyplot and its global state.
"""

# matplotlib's stubs leave keyword arguments untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmaas_env.market import Market
from lmaas_env.render.drawing import (
    GREY,
    LARGE,
    NORMAL,
    PAPER,
    SMALL,
    bars,
    digits_for,
    dollars,
    grid,
    model_colours,
    new_figure,
    seller_label,
    seller_styles,
    short,
    style,
)
from lmaas_env.state import Settlement, State
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SELLERS = 3  # side by side


class SoldDay(NamedTuple):
    """A day of one seller, H periods.

    Attributes
    ----------
    states : H + 1 states of one market, before each period and at the end
    settlements : H, one per period
    """

    states: Sequence[State]
    settlements: Sequence[Settlement]

    @property
    def profit_so_far(self) -> FloatArray:
        """The seller's profit up to each state, (H + 1,) $."""
        return np.cumsum([0.0, *(float(settlement.profit) for settlement in self.settlements)])


def table(market: Market, state: State, settlement: Settlement | None) -> str:
    """Return the last period as text of at most 78 columns, one row per model.

    Parameters
    ----------
    market : Market
    state : State
        The state after the period.
    settlement : Settlement, optional
        Of the period; None before the first one, its entries are then ``-``.
    """
    row = "{:<18}{:>12}{:>12}{:>14}{:>20}".format
    names = _offer_names(market, 18)
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
    who = "seller's profit" if market.scenario.sellers == 1 else "sellers' profits"
    return "\n".join(
        [
            _clock(market, state, settlement),
            row("model", "price $/h", "customers", "hours", "revenue $"),
            *rows,
            totals(who, seller, "customers' profit", customers),
            totals("mean battery", f"{_battery(market, state).mean():.1%}", "faded slots", faded),
        ]
    )


def frame(market: Market, state: State, settlement: Settlement | None) -> NDArray[np.uint8]:
    """Return a picture of the last period, (540, 960, 3): prices, customers and hours per model, all batteries.

    Parameters are those of `table`.

    Raises
    ------
    gymnasium.error.DependencyNotInstalled
        If matplotlib is missing.
    """
    figure = new_figure(9.6, 5.4, dpi=100)
    names, size, colours = _offer_names(market, 14), market.population.size, _model_colours(market)
    if settlement is None:
        prices, counts = np.zeros(len(names)), np.zeros(len(names) + 1)
        price_labels, count_labels = ["–"] * len(prices), ["–"] * len(counts)
        headline = "Nothing sold yet"
    else:
        prices, counts = settlement.prices, _customers(settlement)
        price_labels, count_labels = [f"{price:,.2f}" for price in prices], [f"{count:,.0f}" for count in counts]
        for m in np.flatnonzero(settlement.hours_per_model):
            count_labels[m] += f" · {settlement.hours_per_model[m]:,.1f} h"
        who = "The seller earns {}, its customers earn {}"
        if market.scenario.sellers > 1:
            who = "The sellers earn {}, their customers earn {}"
        headline = who.format(*_profits(settlement))
    figure.text(0.02, 0.93, _clock(market, state, settlement), size=LARGE, weight="bold", parse_math=False)
    figure.text(0.02, 0.87, headline, size=NORMAL, parse_math=False)

    axes = figure.add_axes((0.13, 0.48, 0.33, 0.30))
    axes.set_xlim(0.0, 1.35 * max(market.scenario.price_cap, float(prices.max())))
    style(axes, "Price, $/h", bold=True)
    bars(axes, names, prices, colours, price_labels)
    axes = figure.add_axes((0.13, 0.04, 0.33, 0.36))
    axes.set_xlim(0.0, 1.35 * size)
    style(axes, "Customers · hours rented", bold=True)
    bars(axes, [*names, "no model"], counts, colours, count_labels)
    axes = figure.add_axes((0.54, 0.12, 0.43, 0.66))
    _batteries(axes, market, state, settlement)
    axes.set_xlabel("distance to the base station, m", size=SMALL)
    axes.set_ylabel("% of capacity", size=SMALL)
    style(axes, "Batteries (size: hours rented; hollow: no model)", bold=True)
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
        If the number of sellers or of periods is out of range.
    """
    most = market.scenario.periods
    if not 1 <= len(days) <= MOST_SELLERS:
        raise ValueError(f"days hold {len(days)} sellers, they must hold 1 to {MOST_SELLERS}")
    if not 0 <= periods <= most:
        raise ValueError(f"periods = {periods} must be in 0..{most}")
    figure = new_figure(9.6, 6.4, dpi=100)
    profits = {name: sold.profit_so_far for name, sold in days.items()}
    first = next(iter(profits.values()))
    digits, styles = digits_for(float(np.abs(profit).max()) for profit in profits.values()), seller_styles(days)
    for column, (name, sold) in enumerate(days.items()):
        left, width = column / len(days), 1.0 / len(days)
        state, settlement = sold.states[periods], sold.settlements[periods - 1] if periods else None
        if column == 0:
            figure.text(0.015, 0.952, _clock(market, state, settlement), size=LARGE, weight="bold", parse_math=False)
        heading = f"{short(seller_label(name), 18)}  {dollars(profits[name][periods], digits)}"
        heading += f"  ({dollars(profits[name][periods] - first[periods], digits, '+')})" if column else ""
        place, colour = (left + 0.015, 0.892), styles[name].colour
        figure.text(*place, heading, size=LARGE - 1.5, weight="bold", color=colour, parse_math=False)
        span = left + 0.085, width - 0.11  # the models' names are left of them
        _sales(figure, market, settlement, span)
        axes = figure.add_axes((left + 0.05, 0.345, width - 0.075, 0.185))
        _batteries(axes, market, state, settlement)
        style(axes, "Batteries, %, by distance in m", bold=True)

    panels = [(profits, "Profit of the day so far, $, by hour")]
    if len(days) > 1:
        ahead = {name: profit - first for name, profit in profits.items()}
        panels.append((ahead, f"Ahead of {short(seller_label(next(iter(days))), 18)}, $, by hour"))
    for part, (lines, title) in enumerate(panels):
        axes = figure.add_axes((part / len(panels) + 0.06, 0.06, 1.0 / len(panels) - 0.085, 0.185))
        for name, line in lines.items():
            colour = styles[name].colour
            axes.plot(line[: periods + 1], styles[name].line, color=colour, lw=2.0)
            axes.plot(periods, line[periods], "o", color=colour, ms=4.5, clip_on=False)
        ends = np.array([*lines.values()])
        margin = 0.06 * max(float(np.ptp(ends)), 1.0)
        axes.set(xlim=(0.0, 1.01 * most), ylim=(ends.min() - margin, ends.max() + margin))
        axes.locator_params("x", nbins=8, steps=[1, 2, 3, 6, 10], integer=True)
        axes.locator_params("y", nbins=4)
        grid(axes)
        style(axes, title, bold=True)
    return _picture(figure)


def _picture(figure: Figure) -> NDArray[np.uint8]:
    """Return a figure's pixels, (H, W, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _offer_names(market: Market, width: int) -> list[str]:
    """Return the names of the models of every seller, numbered where there are several."""
    names = market.catalogue.names
    if market.scenario.sellers == 1:
        return [short(name, width) for name in names]
    return [f"{s} {short(name, width - 3)}" for s in range(market.scenario.sellers) for name in names]


def _model_colours(market: Market) -> list[str]:
    """Return the colour of each offer, and last that of no offer; a model has one colour, whoever offers it."""
    return [*(market.scenario.sellers * model_colours(market.catalogue.size)), GREY]


def _customers(settlement: Settlement) -> FloatArray:
    """Return the number of customers of each model and of none, (M + 1,)."""
    return np.append(settlement.customers_per_model, np.sum(settlement.choice < 0)).astype(np.float64)


def _sales(figure: Figure, market: Market, settlement: Settlement | None, span: tuple[float, float]) -> None:
    """Draw prices and customers per model beside each other, within a span (left, width) of the figure."""
    names, (left, width) = [*_offer_names(market, 14), "no model"], span
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
        style(axes, title, bold=True)
        bars(axes, texts, values, _model_colours(market), [*shown, ""][: len(names)])


def _batteries(axes: Axes, market: Market, state: State, settlement: Settlement | None) -> None:
    """Draw each customer's battery by its distance, in the colour of its model and as large as its rental."""
    from matplotlib.ticker import LogLocator

    size = market.population.size
    choice = np.full(size, -1) if settlement is None else settlement.choice
    hours = np.zeros(size) if settlement is None else settlement.hours.sum(axis=1)
    edge = np.array(_model_colours(market))[choice].tolist()  # grey, the last one, for -1
    face = np.where(choice < 0, PAPER, edge).tolist()
    area = np.clip(4000.0 / size, 8.0, 120.0) * (0.25 + hours)
    charge = 100.0 * _battery(market, state)
    axes.scatter(market.population.distance, charge, area, face, edgecolors=edge, alpha=0.8, clip_on=False)
    axes.set(xscale="log", ylim=(-4.0, 106.0))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()


def _clock(market: Market, state: State, settlement: Settlement | None) -> str:
    """Return the scenario and the settled period, or the one to come."""
    title, periods, hour = f"LMaaS {short(market.scenario.name, 24)}", market.scenario.periods, int(state.hour)
    if settlement is None:
        return f"{title}: {hour % 24:02d}:00, before period {hour + 1} of {periods}"
    return f"{title}: {(hour - 1) % 24:02d}:00 to {hour % 24:02d}:00, period {hour} of {periods}"


def _profits(settlement: Settlement) -> tuple[str, str]:
    """Return the profit of the seller, or of each, and that of the customers as text."""
    sellers = " and ".join(dollars(float(profit), 2) for profit in np.atleast_1d(settlement.profit))
    return sellers, dollars(float(settlement.customer_profit.sum()), 2)


def _battery(market: Market, state: State) -> FloatArray:
    """Return each customer's charge as a share of its capacity, (N,)."""
    return state.charge / market.population.capacity
