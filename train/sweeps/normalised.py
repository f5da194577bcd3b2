"""Normalised profits of a sweep over all its scenarios (Agarwal et al., 2021): 0 is random prices, 1 look-ahead IMP.

Only ways to sell that ran in every scenario, of at least two, with the same number of training seeds have one.
"""

# matplotlib's stubs leave keyword arguments untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from lmaas_train.evaluation.statistics import Estimate, iqm, performance_profile, stratified
from lmaas_train.runs import csv_text
from lmaas_train.sweeps.folder import Entry, SweepFolder, SweepState

from lmaas_env.files import write_whole
from lmaas_env.render import drawing
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NORMALISED, PROFILES, PICTURE = "normalised.csv", "profiles.csv", "normalised.png"
ZERO, ONE = "random", "lookahead"  # sellers at 0 and 1
PUBLIC_ONE = "public-lookahead"  # stands for the latter where the observation is public
MOST_BANDS = 4  # profiles that are drawn with their intervals; more would hide each other
LEVELS = np.linspace(0.0, 1.05, 211)


class WayNormalised(NamedTuple):
    """A way to sell over all scenarios: training seeds, its normalised profit (interquartile mean, mean), and profile.

    Intervals are over training seeds, with the scenarios fixed. ``profile`` is (T, 3): the share of runs above each of
    `LEVELS`, with its interval.
    """

    way: str
    seeds: int
    iqm: Estimate
    mean: Estimate
    profile: FloatArray


def normalised(folder: SweepFolder, state: SweepState) -> list[WayNormalised]:
    """Return the ways to sell, the best first; none unless random prices and look-ahead IMP sell in every scenario."""
    runs: dict[str, dict[tuple[str, int], list[float]]] = {}
    for it in state.planned:
        record = folder.record(it.key)
        if record is not None:
            place = it.scenario, it.population_seed
            runs.setdefault(_name(it), {}).setdefault(place, []).append(float(np.mean(record["profit"])))
    places = list(dict.fromkeys((it.scenario, it.population_seed) for it in state.planned))
    if len(places) < 2 or any(set(runs.get(name, ())) != set(places) for name in (ZERO, ONE)):
        return []
    low, high = (np.array([runs[name][place][0] for place in places]) for name in (ZERO, ONE))
    if not (high > low).all():
        return []
    found: list[WayNormalised] = []
    for name, earned in runs.items():
        counts = {len(earned.get(place, ())) for place in places}
        if len(counts) > 1 or 0 in counts:
            continue
        profit = (np.array([earned[place] for place in places]).T - low) / (high - low)
        estimates = stratified(profit, iqm), stratified(profit, np.mean)
        found.append(WayNormalised(name, len(profit), *estimates, performance_profile(profit, LEVELS)))
    return sorted(found, key=lambda it: -it.iqm.mean)


def _name(entry: Entry) -> str:
    return ONE if entry.way == PUBLIC_ONE else entry.way


def write_normalised(folder: SweepFolder, found: list[WayNormalised]) -> None:
    """Write normalised.csv, profiles.csv and normalised.png, or delete old ones where there is nothing to show."""
    if not found:
        for name in (NORMALISED, PROFILES, PICTURE, Path(PICTURE).stem + "-dark.png"):
            (folder.path / name).unlink(missing_ok=True)
        return
    heads = ["way", "seeds", *("iqm", "iqm_low", "iqm_high"), *("mean", "mean_low", "mean_high")]
    write_whole(folder.path / NORMALISED, csv_text(heads, [[it.way, it.seeds, *it.iqm, *it.mean] for it in found]))
    rows = [[it.way, level, *share] for it in found for level, share in zip(LEVELS, it.profile.tolist(), strict=True)]
    write_whole(
        folder.path / PROFILES, csv_text(["way", "normalised_profit", "above", "above_low", "above_high"], rows)
    )
    drawing.save_both(figure(found), folder.path / PICTURE)


def figure(found: list[WayNormalised]) -> Figure:
    """Draw the interquartile means with their intervals, and the performance profiles of trained sellers."""
    drawn = drawing.new_figure(11.0, 0.27 * len(found) + 1.7, dpi=150)
    drawn.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
    means, above = drawn.subplots(1, 2, width_ratios=[1.0, 1.1])
    styles = drawing.seller_styles([it.way for it in found])
    trained = [it for it in found if it.seeds > 1]
    for row, it in enumerate(reversed(found)):
        colour = styles[it.way].colour
        means.plot(it.iqm.mean, row, "o", color=colour, ms=5)
        if it.seeds > 1:
            means.plot([it.iqm.low, it.iqm.high], [row, row], color=colour, lw=2.5)
    means.set_yticks(range(len(found)), [drawing.seller_label(it.way) for it in reversed(found)], size=drawing.SMALL)
    means.set_xlabel("normalised profit, interquartile mean: 0 random prices, 1 look-ahead IMP", size=drawing.SMALL)
    for it in trained:
        line = styles[it.way]
        above.plot(LEVELS, 100.0 * it.profile[:, 0], line.line, color=line.colour, lw=1.8, label=it.way)
        if len(trained) <= MOST_BANDS:
            above.fill_between(LEVELS, *(100.0 * it.profile[:, 1:].T), color=line.colour, alpha=0.2, lw=0.0)
    above.set_xlabel("normalised profit", size=drawing.SMALL)
    above.set_ylabel("runs above it, %", size=drawing.SMALL)
    if trained:
        inside = LEVELS[np.any([(it.profile[:, 0] > 0.0) & (it.profile[:, 0] < 1.0) for it in trained], axis=0)]
        if len(inside):
            above.set_xlim(max(0.0, inside[0] - 0.02), inside[-1] + 0.02)
        above.legend(fontsize=drawing.SMALL, frameon=False)
    title = (
        f"(a) The best trained seller, {drawing.short(trained[0].way, 20)}, reaches {trained[0].iqm.mean:.3f}"
        if trained
        else "(a) No trained seller"
    )
    for axes, text in ((means, title), (above, "(b) The runs of every training seed and scenario")):
        axes.grid(color=drawing.GRID)
        axes.set_axisbelow(True)
        drawing.style(axes, text, bold=True)
    return drawn
