"""Figures of sold days and of training, side by side, from data.

matplotlib is imported when something is drawn, without pyplot and its global state.
"""

# matplotlib's stubs leave keyword arguments untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from lmaas_train.evaluation.days import Days

from lmaas_env.render.drawing import COLOURS, NORMAL, SMALL, bars, new_figure, short, style
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


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
    figure = new_figure(max(10.0, 2.4 * len(models)), 9.0 + 0.3 * max(0, len(days) - 6), dpi=150)
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
            style(axes, short(models[m], 20))
        panels[0].set_ylim(bottom=0.0)
        part.suptitle(title, x=0.01, ha="left", size=NORMAL, weight="bold", parse_math=False)

    left, right = top.subplots(1, 2, width_ratios=(1.3, 1.0))
    means = [float(record.day_profit.mean()) for record in sold]
    style(left, f"(a) Seller's profit, $ per day{' (mean, 95 % interval)' if intervals else ''}", bold=True)
    _profit_bars(left, names, means, [(intervals or {}).get(name, (np.nan, np.nan)) for name in names], colours)
    over_the_day(right, [100.0 * record.charge for record in sold], start=0.0)
    right.set_ylim(0.0, 103.0)
    right.set_xlabel("hour of the day", size=SMALL)
    style(right, "(b) Mean battery, % of capacity", bold=True)
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
    figure = new_figure(13.0, 4.6, dpi=150)
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
        (above, "share of IMP's profit on the same day", "(c) Share of days that earn more"),
    ):
        axes.set_xlabel(label, size=SMALL)
        axes.grid(color="#E0E0E0")
        style(axes, title, bold=True)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=SMALL, frameon=False)
    return figure


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
    bars(axes, names, means, colours, labels, ends)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + 0.6 * (high - low))  # room for the numbers
