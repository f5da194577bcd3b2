"""Draw the picture of the home page: `python docs/looking_ahead_figure.py` writes docs/looking-ahead.png.

It sells 40 held-out days of `scarce` with IMP, look-ahead IMP and the shipped learned seller, and shows the mean day.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from lmaas_agents import IMP, LookaheadIMP, load_policy
from lmaas_train.evaluation.rollout import rollout
from matplotlib.figure import Figure

from lmaas_env import Market
from lmaas_env.seeds import held_out_seeds

SCENARIO, DAYS = "scarce", 40
WIDTH, HEIGHT, DPI = 8.0, 3.9, 200  # inches, dots per inch: 800 x 390 px on the page, twice that in the file
FIRST_HOUR = 6  # the sellers hardly differ before
BLACK, ORANGE, BLUE, GREY = "#000000", "#D55E00", "#0072B2", "#8A8A8A"


class Curve(NamedTuple):
    """A seller's mean day: `battery` (H + 1,) in % of capacity, `profit` (H + 1,) in $ since midnight."""

    name: str
    colour: str
    dash: str
    battery: np.ndarray
    profit: np.ndarray


def curves(days: int = DAYS) -> list[Curve]:
    """Return the mean held-out day of each seller, IMP first."""
    market = Market(SCENARIO)
    sellers = [
        ("IMP", BLACK, "-", IMP(market)),
        ("guided RL (scarce-guided)", ORANGE, "-", load_policy("scarce-guided")),
        ("planned (look-ahead IMP)", BLUE, "--", LookaheadIMP(market)),
    ]
    found: list[Curve] = []
    for name, colour, dash, seller in sellers:
        sold = rollout(market, seller, held_out_seeds(days))
        profit = np.concatenate([[0.0], sold.profit.mean(axis=0).cumsum()])
        found.append(Curve(name, colour, dash, 100.0 * sold.charge.mean(axis=0), profit))
    return found


def draw(found: list[Curve]) -> Figure:
    """Draw the batteries on the left and the profit since midnight on the right; the title states the gain."""
    imp, learned = found[0], found[1]
    gain = learned.profit[-1] / imp.profit[-1] - 1.0
    figure = Figure((WIDTH, HEIGHT), dpi=DPI, layout="constrained", facecolor="white")
    figure.suptitle(
        f"Saving the customers' batteries for the evening earns {100.0 * gain:.0f} % more", x=0.01, ha="left", size=17
    )
    left, right = figure.subplots(1, 2)
    for curve in found:
        hours = np.arange(len(curve.profit))
        left.plot(hours, curve.battery, curve.dash, color=curve.colour, lw=2.6)
        right.plot(hours, curve.profit, curve.dash, color=curve.colour, lw=2.6)
    left.set_title("Mean charge of the batteries, %", loc="left", size=13.5)
    right.set_title("Seller's profit since midnight, $", loc="left", size=13.5)
    left.set_ylim(0.0, 100.0)
    left.set_yticks(range(0, 101, 25))
    right.set_yticks(range(0, 2001, 500))
    right.set_ylim(0.0, 1.07 * max(curve.profit[-1] for curve in found))
    for curve, height in zip(found, (16.0, 88.0, 79.0), strict=True):
        left.text(len(imp.battery) - 1, height, curve.name, color=curve.colour, size=12.5, ha="right")
    for curve in (imp, learned):
        right.annotate(
            f"${curve.profit[-1]:,.0f}",
            (len(curve.profit) - 1, curve.profit[-1]),
            (5, 0),
            textcoords="offset points",
            va="center",
            size=13,
            color=curve.colour,
            annotation_clip=False,
        )
    for axes in (left, right):
        axes.set_xlim(FIRST_HOUR, len(imp.profit) - 1)
        axes.set_xticks(range(FIRST_HOUR, len(imp.profit), 6), [f"{hour}:00" for hour in range(FIRST_HOUR, 25, 6)])
        axes.tick_params(labelsize=12)
        axes.grid(axis="y", color="#E4E4E4")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    path = Path(__file__).parent / "looking-ahead.png"
    draw(curves()).savefig(path, metadata={"Software": None})
    print(path)
