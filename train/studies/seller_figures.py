"""The figures of `lmaas study seller`: how searches approach the best profit, and the profit over two prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from lmaas_agents import SearchResult

from lmaas_env.scenario import Scenario
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALLEST_GAP = 1e-3  # %


class Curve(NamedTuple):
    """How a search went: its best profit, its time, and the best profits at some times."""

    profit: float
    seconds: float
    times: FloatArray
    history: FloatArray


class ProfitMap(NamedTuple):
    """The profit (V, H) at prices of the first model (H,) and of the second (V,), $ and $/h."""

    horizontal: FloatArray
    vertical: FloatArray
    profit: FloatArray


class Landscape(NamedTuple):
    """A market of two models: two maps, IMP's way from the cap (K, 2), the prices of IMP as it ships, the optimum."""

    maps: tuple[ProfitMap, ProfitMap]
    way: FloatArray
    shipped: FloatArray
    optimum: SearchResult


def curves_figure(game: str, instances: list[dict[str, Curve]]) -> Figure:
    """Return the gap to the best known profit against time, median over instances."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="time, ms", ylabel="gap to the best known profit, %", xscale="log", yscale="log")
    best = [max(it.profit for it in found.values()) for found in instances]
    grid = np.geomspace(1e-4, 60.0, 400)
    for name in instances[0]:
        gaps = np.empty((len(instances), grid.size))
        for row, found, top in zip(gaps, instances, best, strict=True):
            it = found[name]
            reached = np.searchsorted(it.times, grid, side="right") - 1
            row[:] = np.where(reached < 0, np.nan, 100.0 * (1.0 - it.history[reached] / top))
        known = np.isfinite(gaps).mean(axis=0) > 0.5
        middle = np.nanmedian(gaps[:, known], axis=0)
        ends = np.median([found[name].seconds for found in instances])
        drawn = grid[known] <= 1.2 * ends
        shown = 1e3 * grid[known][drawn], np.maximum(middle[drawn], SMALLEST_GAP)
        style = {"linewidth": 2.5 if name.startswith("imp") else 1.2, "markersize": 5}
        axes.plot(*shown, marker="o", markevery=[-1], label=name, **style)
    axes.set_ylim(0.8 * SMALLEST_GAP, 100.0)
    axes.set_title(f"{game}: median over {len(instances)} populations (at most {SMALLEST_GAP} %: at the bottom)")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def landscape_figure(game: str, landscape: Landscape) -> Figure:
    """Return the profit over all prices and near the optimum, with IMP's way to it."""
    from matplotlib.figure import Figure

    names, way, optimum = Scenario().models, landscape.way, landscape.optimum
    figure = Figure(figsize=(10.0, 4.8), layout="constrained")
    figure.suptitle(f"{game}, 8 customers, 2 models: profit jumps where a customer changes its mind")
    for panel, (horizontal, vertical, profit) in enumerate(landscape.maps):
        axes = figure.add_subplot(1, 2, 1 + panel, xscale="log", yscale="log")
        least = max(float(profit.min()), 0.5 * optimum.profit)
        drawn = axes.pcolormesh(horizontal, vertical, profit, shading="nearest", rasterized=True, vmin=least)
        figure.colorbar(drawn, label="profit of the period, $", extend="min" if least > profit.min() else "neither")
        axes.plot(way[:, 0], way[:, 1], "o-", color="black", markersize=4, label="IMP, one start")
        axes.plot(*landscape.shipped, "s", color="tab:red", markersize=12, fillstyle="none", label="IMP, as shipped")
        axes.plot(*optimum.prices, "*", color="tab:red", markersize=8, label="certified optimum")
        axes.set(xlim=horizontal[[0, -1]], ylim=vertical[[0, -1]])
        axes.set(xlabel=f"price of {names[0]}, $/h", ylabel=f"price of {names[1]}, $/h")
        for axis, prices in ((axes.xaxis, horizontal), (axes.yaxis, vertical)):
            ticks = [5, 10, 20, 40] if panel == 0 else np.linspace(prices[0], prices[-1], 5).round(2)[1:-1].tolist()
            axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
            axis.set_ticks([], minor=True)
        if panel == 0:
            axes.legend(loc="upper right")
    return figure
