"""The figure of `lmaas study collusion`: the collusion index of sessions, and prices after a forced deviation."""

# matplotlib's stubs leave keyword arguments untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lmaas_env.render.drawing import COLOURS, GREY, LARGE, SMALL, grid, new_figure, style
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def collusion_figure(
    sessions: Mapping[tuple[int, float], FloatArray],
    deviations: Mapping[int, FloatArray],
    references: Mapping[str, Sequence[float]],
) -> Figure:
    """Draw the distribution of the collusion index over sessions, and prices after a deviation.

    Parameters
    ----------
    sessions : mapping of (hour, discount) to (K,)
        The index of each session; dotted where the discount is 0.
    deviations : mapping of hour to (T, 2)
        Prices of the deviator and the other seller after 0, 1, ... hours, relative to those without a deviation.
    references : mapping of "imp" and "planner" to indices
        Of two sellers of that kind in each hour.
    """
    figure = new_figure(11.0, 4.2, 110)
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
    left, right = figure.subplots(1, 2)
    colours = dict(zip(sorted({hour for hour, _ in sessions}), itertools.cycle(COLOURS)))
    for (hour, discount), index in sessions.items():
        share = 100.0 * np.arange(1, len(index) + 1) / len(index)
        name, dash = f"{hour}:00, discount {discount:g}", "-" if discount > 0.0 else ":"
        left.step(np.sort(index), share, where="post", label=name, color=colours[hour], ls=dash, lw=1.8)
    for hour, prices in deviations.items():
        look = {"color": colours[hour], "ms": 4}
        right.plot(prices[:, 0], "o-", label=f"{hour}:00, deviator", **look)
        right.plot(prices[:, 1], "s--", label=f"{hour}:00, the other", **look)
    for name, dash in (("imp", "--"), ("planner", "-.")):
        for index in references[name]:
            left.axvline(index, color=GREY, ls=dash, lw=1.0)
    left.set_xlabel("collusion index: 0 the best equilibrium, 1 the joint monopolist", size=SMALL)
    left.set_ylabel("sessions with at most this index, %", size=SMALL)
    right.axhline(1.0, color=GREY, lw=1.0)
    right.set_xlabel("hours after one forced hour of the best reply", size=SMALL)
    right.set_ylabel("price, relative to that without", size=SMALL)
    style(left, "Index of both sellers (grey: IMP beside IMP, dash-dotted: planner)")
    style(right, "Prices after a deviation")
    for axes in (left, right):
        grid(axes)
        axes.legend(frameon=False, fontsize=SMALL, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=2)
    patient, control = (
        np.concatenate([index for (_, discount), index in sessions.items() if (discount > 0.0) == is_patient]).mean()
        for is_patient in (True, False)
    )
    title = f"Q-learners reach a collusion index of {patient:.2f}, or {control:.2f} if they do not value later hours"
    figure.suptitle(title, x=0.01, ha="left", size=LARGE, weight="bold")
    return figure
