"""Draw the picture of the README: `python docs/learning_figure.py` writes docs/learning.png.

It shows the learning curves of ten PPO sellers, trained from scratch, from benchmarks/learned/scratch-day and
scratch-scarce, beside look-ahead IMP, which it sells on the same tuning days (a minute).
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from lmaas_agents import IMP, LookaheadIMP
from lmaas_train.evaluation.rollout import rollout
from matplotlib.figure import Figure

from lmaas_env import Market
from lmaas_env.seeds import tuning_seeds

ROOT = Path(__file__).parents[1]
SCENARIOS, TUNING_DAYS = ("day", "scarce"), 40
WIDTH, HEIGHT, DPI = 8.0, 3.9, 200  # inches, dots per inch: 800 x 390 px on the page, twice that in the file
BLACK, ORANGE, BLUE = "#000000", "#D55E00", "#0072B2"


def curves(scenario: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the seconds (T,), mean over runs, and the share of IMP's profit (R, T) of all runs of `ppo`."""
    runs: dict[str, list[tuple[float, float]]] = {}
    with (ROOT / f"benchmarks/learned/scratch-{scenario}/curves.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["way"] == "ppo":
                runs.setdefault(row["run"], []).append((float(row["seconds"]), float(row["share_of_imp"])))
    points = np.array(list(runs.values()))
    return points[:, :, 0].mean(axis=0), points[:, :, 1]


def lookahead(scenario: str) -> float:
    """Return look-ahead IMP's share of IMP's profit on the tuning days of the curves."""
    market, seeds = Market(scenario), tuning_seeds(TUNING_DAYS)
    planned, hourly = (rollout(market, seller(market), seeds).day_profit.mean() for seller in (LookaheadIMP, IMP))
    return float(planned / hourly)


def draw(found: dict[str, tuple[np.ndarray, np.ndarray]], planned: dict[str, float]) -> Figure:
    """Draw a panel per scenario; the title states when the median run passes IMP."""
    seconds, shares = found[SCENARIOS[0]]
    passed = seconds[np.argmax(np.median(shares, axis=0) > 1.0)]
    figure = Figure((WIDTH, HEIGHT), dpi=DPI, layout="constrained", facecolor="white")
    title = f"PPO from scratch passes the paper's IMP after {passed:.0f} seconds"
    figure.suptitle(title, x=0.01, ha="left", size=17)
    for axes, (scenario, (seconds, shares)) in zip(figure.subplots(1, 2), found.items(), strict=True):
        end = seconds[-1]
        axes.fill_between(seconds, 100 * shares.min(axis=0), 100 * shares.max(axis=0), color=ORANGE, alpha=0.25, lw=0)
        axes.plot(seconds, 100.0 * np.median(shares, axis=0), color=ORANGE, lw=2.6)
        for level, name, colour in ((1.0, "IMP", BLACK), (planned[scenario], "look-ahead IMP (planned)", BLUE)):
            axes.axhline(100.0 * level, color=colour, ls="--", lw=2.0)
            above = name != "IMP"
            va, place = ("bottom", 100.4 * level) if above else ("top", 99.6 * level)
            axes.text(end, place, name, color=colour, size=12.5, ha="right", va=va)
        median = 100.0 * np.median(shares[:, -1])
        axes.text(end, median + 0.3, f"PPO: {median:.0f} %", color=ORANGE, size=12.5, ha="right", va="bottom")
        axes.set_title(f"{scenario}: profit, % of IMP's", loc="left", size=13.5)
        axes.set_xlabel("seconds of training on two cores", size=12)
        axes.set_xlim(0.0, end)
        axes.set_ylim(100.0 * min(shares.min(), 0.98), 100.0 * planned[scenario] + 6.0)
        axes.tick_params(labelsize=12)
        axes.grid(axis="y", color="#E4E4E4")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    path = Path(__file__).parent / "learning.png"
    figure = draw({name: curves(name) for name in SCENARIOS}, {name: lookahead(name) for name in SCENARIOS})
    figure.savefig(path, metadata={"Software": None})
    print(path)
