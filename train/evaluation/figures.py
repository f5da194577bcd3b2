"""Figures of sold days and of training, from data.

matplotlib is imported with the first figure, without pyplot and its global state.
"""

# matplotlib's stubs leave keyword arguments untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from lmaas_train.evaluation import findings
from lmaas_train.evaluation.days import Days

from lmaas_env.render.drawing import (
    GREY,
    GRID,
    LARGE,
    NORMAL,
    SMALL,
    SellerStyle,
    bars,
    digits_for,
    dollars,
    grid,
    new_figure,
    seller_label,
    seller_styles,
    short,
    style,
)
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


def comparison(
    days: Mapping[str, Days],
    models: Sequence[str],
    intervals: Mapping[str, tuple[float, float]] | None = None,
    scenario: str = "",
) -> Figure:
    """Draw sellers side by side: profit per day, batteries, prices and customers over the day.

    Random prices, and sellers that lose far more than the others, appear in the first two panels only.

    Parameters
    ----------
    days : mapping of str to Days
        The days of each seller by its name, all of one market.
    models : sequence of str
        Names of the models, as in the catalogue.
    intervals : mapping of str to (low, high), optional
        Of each seller's mean profit per day, $.
    scenario : str
        Named in the title, which states who earns most.

    Raises
    ------
    gymnasium.error.DependencyNotInstalled
        If matplotlib is missing.
    ValueError
        If no seller is given or the days hold another number of models.
    """
    if not days or any(sold.prices.shape[-1] != len(models) for sold in days.values()):
        raise ValueError(f"days must hold at least one seller, each with the {len(models)} models {list(models)}")
    figure = new_figure(max(10.0, 2.4 * len(models)), 9.6 + 0.3 * max(0, len(days) - 6), dpi=150)
    from matplotlib.lines import Line2D

    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
    styles = seller_styles(days)
    means = {name: float(sold.day_profit.mean()) for name, sold in days.items()}
    names = sorted(days, key=lambda name: -means[name])  # best first
    off_axis: list[str] = []
    if findings.REFERENCE in means:
        off_axis = findings.off_axis({name: mean - means[findings.REFERENCE] for name, mean in means.items()})
    near = [name for name in names if name not in off_axis]
    rows = figure.add_gridspec(3, 1, height_ratios=(1.1, 1.0, 1.0))
    top, middle, bottom = (figure.add_subfigure(rows[row]) for row in range(3))

    count = len(next(iter(days.values())).seeds)
    about = f"{short(scenario, 24)}, {count} day{'' if count == 1 else 's'}: " if scenario else ""
    title = f"{about}{findings.headline(means)}"
    figure.suptitle(title, x=0.01, ha="left", size=LARGE, weight="bold", parse_math=False)
    left, right = top.subplots(1, 2, width_ratios=(1.3, 1.0))
    profits = [means[name] for name in names]
    between = [(intervals or {}).get(name, (np.nan, np.nan)) for name in names]
    interval = " (mean, 95 % interval)" if any(low < high for low, high in between) else ""
    style(left, f"(a) Seller's profit, $ a day{interval}", bold=True)
    _profit_bars(left, [seller_label(name) for name in names], profits, between, [styles[it].colour for it in names])
    _over_the_day(right, {name: 100.0 * days[name].charge for name in names}, styles, start=0.0)
    right.set_ylim(0.0, 103.0)
    right.set_ylabel("% of capacity", size=SMALL)
    right.set_xlabel("hour of the day, h", size=SMALL)
    style(right, "(b) Mean battery", bold=True)
    missing = f" (without {', '.join(short(name, 20) for name in off_axis)})" if off_axis else ""
    prices = {name: days[name].prices for name in near}
    _by_model(middle, f"(c) Mean price by model{missing}", "price, $/h", models, prices, styles)
    counts = {name: days[name].customers_per_model for name in near}
    _by_model(bottom, f"(d) Mean customers by model{missing}", "customers", models, counts, styles)
    lines = [
        Line2D([], [], ls=styles[name].line, color=styles[name].colour, label=short(seller_label(name), 20))
        for name in names
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=min(len(lines), 6), fontsize=SMALL, frameon=False)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the layout stays, however often the figure is saved
    return figure


def _over_the_day(
    axes: Axes, values: Mapping[str, FloatArray], styles: Mapping[str, SellerStyle], start: float
) -> None:
    """Draw each seller's mean day (K, H) as a line from hour ``start`` on, or a single period as a bar."""
    periods = 1
    for row, (name, value) in enumerate(values.items()):
        mean = value.mean(axis=0)
        periods = len(mean)
        if periods == 1:
            axes.bar(row, mean[0], color=styles[name].colour)
            axes.set_xticks([])
            continue
        order = 3.0 - 0.01 * row  # the best on top
        axes.plot(start + np.arange(periods), mean, styles[name].line, color=styles[name].colour, lw=1.8, zorder=order)
    if periods > 1:
        axes.set_xlim(0.0, periods - 1 + 2.0 * start)
        axes.locator_params("x", nbins=5, steps=[1, 2, 3, 6, 10], integer=True)
        axes.set_xlabel("hour of the day, h", size=SMALL)
    grid(axes)


def _by_model(
    part: SubFigure,
    title: str,
    unit: str,
    models: Sequence[str],
    values: Mapping[str, FloatArray],
    styles: Mapping[str, SellerStyle],
) -> None:
    """Draw one panel per model, all on one scale; values are (K, H, M)."""
    panels: list[Axes] = part.subplots(1, len(models), sharey=True, squeeze=False)[0].tolist()
    for m, axes in enumerate(panels):
        _over_the_day(axes, {name: value[..., m] for name, value in values.items()}, styles, start=0.5)
        style(axes, short(models[m], 20))
    panels[0].set_ylim(bottom=0.0)
    panels[0].set_ylabel(unit, size=SMALL)
    part.suptitle(title, x=0.01, ha="left", size=NORMAL, weight="bold", parse_math=False)


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
    figure = new_figure(13.0, 4.8, dpi=150)
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
    by_step, by_time, above = figure.subplots(1, 3)
    styles = seller_styles(dict.fromkeys([*curves, *profiles]))
    for name, runs in curves.items():
        for i, (steps, seconds, profit) in enumerate(runs):
            seller, line = styles[name], {"lw": 1.4, "alpha": 0.8}
            label = f"{name} ({len(runs)} seeds)" if i == 0 else None
            by_step.plot(steps / 1e3, profit, seller.line, color=seller.colour, label=label, **line)
            by_time.plot(seconds / 60.0, profit, seller.line, color=seller.colour, **line)
    for name, profile in profiles.items():
        seller = styles[name]
        above.plot(shares, 100.0 * profile[:, 0], seller.line, color=seller.colour, lw=1.8, label=name)
        above.fill_between(shares, *(100.0 * profile[:, 1:].T), color=seller.colour, alpha=0.25, lw=0.0)
    inside = [share for it in profiles.values() for share, level in zip(shares, it[:, 0], strict=True) if 0 < level < 1]
    if inside:
        above.set_xlim(min(inside) - 0.02, max(inside) + 0.02)
    for axes, label, unit, title in (
        (by_step, "environment steps, thousands", "profit on tuning days, $ a day", _best_learner(curves)),
        (by_time, "training time, minutes", "profit on tuning days, $ a day", "(b) The same by training time"),
        (above, "share of IMP's profit on the same day", "days that earn more, %", _best_profile(shares, profiles)),
    ):
        axes.set_xlabel(label, size=SMALL)
        axes.set_ylabel(unit, size=SMALL)
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
        style(axes, title, bold=True)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=SMALL, frameon=False)
    return figure


def _best_learner(curves: Mapping[str, Sequence[FloatArray]]) -> str:
    """Return which way to train ends with the highest mean profit on tuning days."""
    last = {name: float(np.mean([run[2, -1] for run in runs])) for name, runs in curves.items() if len(runs)}
    if not last:
        return "(a) No learning curves"
    best = max(last, key=lambda name: last[name])
    return f"(a) {short(best, 20)} reaches {dollars(last[best], digits_for(last.values()))} a day"


def _best_profile(shares: FloatArray, profiles: Mapping[str, FloatArray]) -> str:
    """Return which seller earns more than IMP on the largest share of days."""
    if not profiles:
        return "(c) No performance profiles"
    at = int(np.argmin(np.abs(np.asarray(shares) - 1.0)))
    best = max(profiles, key=lambda name: profiles[name][at, 0])
    return f"(c) {short(best, 20)} beats IMP on {100.0 * profiles[best][at, 0]:.0f} % of days"


def _profit_bars(
    axes: Axes,
    names: Sequence[str],
    means: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    colours: Sequence[str],
) -> None:
    """Draw each seller's mean profit per day, with its interval where there is one."""
    digits = digits_for(means)
    labels = [dollars(mean, digits) for mean in means]
    ends = [max(mean, 0.0) for mean in means]
    for row, (low, high) in enumerate(intervals):
        if low < high:
            axes.plot([low, high], [row, row], color=GREY, lw=1.5, marker="|")
            labels[row] += f"  [{dollars(low, digits)}, {dollars(high, digits)}]"
            ends[row] = max(high, 0.0)
    bars(axes, names, means, colours, labels, ends)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + 0.7 * (high - low))  # room for the numbers


def score_by_day(rows: Sequence[Sequence[object]], scenario: str) -> Figure:
    """Draw the score of each seller by day of the episode, from the rows of by_day.csv of `lmaas study unknown`.

    Sellers that score below -0.5 on any day are left out, and named below the axis.
    """
    curves: dict[str, list[tuple[float, ...]]] = {}
    for name, *numbers in rows:
        curves.setdefault(str(name), []).append(tuple(float(str(value)) for value in numbers))
    shown = {name: points for name, points in curves.items() if min(point[2] for point in points) > -0.5}
    adaptive = [name for name in shown if name not in ("prior-plan", "own-plan", "informed-lookahead")]
    title = scenario
    if adaptive:
        best = max(adaptive, key=lambda name: np.mean([point[2] for point in shown[name]]))
        first, last = shown[best][0][2], shown[best][-1][2]
        ends = f"{first:.0%} of the gap on the first day, {last:.0%} on the last"
        title = f"{scenario}: {seller_label(best)} closes {ends}"
    figure = new_figure(7.5, 4.0, 120)
    axes = figure.subplots()
    styles = seller_styles(curves)
    for name, points in sorted(shown.items(), key=lambda item: -item[1][-1][2]):
        day, _, score, low, high = np.array(points).T
        look = styles[name]
        axes.plot(day, score, marker="o", color=look.colour, linestyle=look.line, label=seller_label(name))
        axes.fill_between(day, low, high, color=look.colour, alpha=0.15, linewidth=0)
    axes.set_xticks(range(1, 1 + max(len(points) for points in shown.values())))
    left_out = ", ".join(seller_label(name) for name in curves if name not in shown)
    axes.set_xlabel("day of the episode" + (f" (far below the axis: {left_out})" if left_out else ""), size=SMALL)
    axes.set_ylabel("score: 0 prior plan, 1 own plan", size=SMALL)
    style(axes, title, bold=True)
    grid(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=SMALL)
    figure.tight_layout()
    return figure
