"""The figure of `lmaas bound`: each day's sellers below the bound, and the bound as the descent's time grows."""

# matplotlib's stubs leave keyword arguments untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from lmaas_train.evaluation.shares import DayRow

from lmaas_env.render.drawing import (
    GREY,
    INK,
    LARGE,
    NORMAL,
    SMALL,
    grid,
    new_figure,
    seller_label,
    seller_styles,
    short,
    style,
)
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def bound_figure(
    scenario: str, profits: Mapping[str, FloatArray], rows: Sequence[DayRow], paths: Sequence[FloatArray]
) -> Figure:
    """Draw sellers' days as shares of the certified bound, and the best seller's share as the descent goes on.

    Parameters
    ----------
    scenario : str
        Named in the title, which states how near the best seller comes.
    profits : mapping of str to (K,), $
        Of each seller by day; the best three are drawn.
    rows : K DayRows
    paths : K arrays (steps, 2)
        Seconds and estimate ($) of each day's descent.
    """
    bound, personalised = (np.array([getattr(row, name) for row in rows]) for name in ("bound", "personalised"))
    names = sorted(profits, key=lambda name: -profits[name].mean())[:3]
    best = names[0]
    share = profits[best].sum() / bound.sum()
    figure = new_figure(10.0, 4.4, dpi=150)
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
    title = (
        f"{short(scenario, 24)}: {seller_label(best)} earns at least {100 * share:.1f} % of the best possible profit"
    )
    figure.suptitle(title, x=0.01, ha="left", size=LARGE, weight="bold", parse_math=False)
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1.0))

    order, styles = np.argsort(-profits[best] / bound), seller_styles(names)
    days = np.arange(1, len(bound) + 1)
    left.axhline(100.0, color=INK, lw=1.5)
    left.annotate(
        "certified bound", (days[-1], 100.0), (0, -4), textcoords="offset points", ha="right", va="top", size=SMALL
    )
    if np.isfinite(personalised).all():
        left.plot(days, 100.0 * (personalised / bound)[order], "_", color=GREY, label="bound with personalised prices")
    for name in names:
        left.plot(
            days, 100.0 * (profits[name] / bound)[order], "o", ms=4, color=styles[name].colour, label=seller_label(name)
        )
    left.set_xlabel("held-out days, by the best seller's share", size=SMALL)
    left.set_ylabel("% of the bound", size=SMALL)
    style(left, "(a) Profit of each day", bold=True)
    grid(left)

    longest = max(path[-1, 0] for path in paths)
    seconds = np.linspace(0.0, longest, 100)
    shares = [
        100.0 * earned / np.interp(seconds, path[:, 0], np.minimum.accumulate(path[:, 1]))
        for earned, path in zip(profits[best], paths, strict=True)
    ]
    middle, low, high = np.median(shares, axis=0), *np.percentile(shares, (10, 90), axis=0)
    right.plot(seconds, middle, color=styles[best].colour)
    right.fill_between(seconds, low, high, color=styles[best].colour, alpha=0.2, lw=0)
    right.axhline(100.0 * share, color=INK, lw=0.8, ls="--")
    right.annotate("certified", (longest, 100.0 * share), (0, 3), textcoords="offset points", ha="right", size=SMALL)
    right.set_xlabel("seconds of one core, descent", size=SMALL)
    right.set_ylabel(f"{seller_label(best)}, % of the estimate", size=SMALL)
    style(right, "(b) Median day, 80 % of days shaded", bold=True)
    grid(right)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=SMALL, frameon=False)
    for axes in (left, right):
        axes.xaxis.label.set_size(SMALL)
        axes.title.set_size(NORMAL)
    return figure
