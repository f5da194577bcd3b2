"""`lmaas study customers`: what robust selection with recourse is worth to customers, condition by condition.

Every cell is one leasing period (hour 12) of N customers, at the prices that IMP posts there. For each strategy it
holds the exact worst case over the uncertainty set, and mean, 5 % quantile and CVaR of the realised profit: exactly,
from all 2^L fade patterns with their probabilities, given that the budget holds (in the set) or not (out of it).
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from lmaas_agents import IMP
from lmaas_train.evaluation.statistics import mean_estimate
from lmaas_train.markdown import markdown_table
from lmaas_train.runs import csv_text, results_folder
from lmaas_train.sweeps.parts import EngineOptions, rows_of
from rich.console import Console

from lmaas_env import Market, Population, Scenario, State
from lmaas_env.customers.strategies import STRATEGIES, strategy
from lmaas_env.engine.recourse import fade_patterns
from lmaas_env.files import write_whole
from lmaas_env.terms import checked_prices
from lmaas_env.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOUR = 12
PAPER_GAIN = 43.96  # %, "up to", arXiv 2401.02675
CONDITIONS: dict[str, tuple[float, ...]] = {
    "distance, m": (100.0, 200.0, 400.0, 700.0, 1000.0),
    "fade depth, dB": (3.0, 8.0, 14.0, 20.0, 25.0),
    "fade budget, slots": (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0),
    "battery, Wh": (5.0, 15.0, 30.0, 60.0, 120.0),
    "price, of IMP's": (0.5, 0.75, 1.0, 1.5, 2.0),
    "slot concentration": (0.25, 1.0, 4.0, 16.0, 64.0),  # of the Dirichlet split: low is dispersed
    "harsh corner, Wh": (5.0, 15.0, 30.0),  # 1000 m, fades of 25 dB, budget 3, this battery
}
MEASURES = ("worst", "mean", "in_mean", "in_q05", "in_cvar05", "out_mean", "out_q05", "out_cvar05")


@dataclasses.dataclass
class StudyCustomers(EngineOptions):
    """Compare RSR with its rivals from the customers' side, conditions varied one at a time and in a harsh corner.

    Writes cells.csv, summary.md, gains.png and lines.png.

    Examples
    --------
      lmaas study customers
      lmaas study customers --populations 3 --customers 50
    """

    populations: int = 10
    """Populations per cell (seeds 1, 2, ...)."""
    customers: int = 200
    """Customers per population."""
    out: Path | None = None
    """New folder for the results; default runs/study-customers-TIME."""

    def main(self) -> list[Row]:
        """Run the study and return its rows."""
        return study(self)


class Row(NamedTuple):
    """One strategy in one cell of one population; the measures are sums over the customers, $."""

    condition: str
    value: float
    population: int
    strategy: str
    measures: FloatArray


def study(args: StudyCustomers) -> list[Row]:
    """Run the study as `StudyCustomers` says and return its rows."""
    if args.populations < 2:
        raise ValueError(f"populations = {args.populations} must be at least 2, for intervals")
    scenario = dataclasses.replace(Scenario(), customers=args.customers)
    cells = [(c, v, p) for c, values in CONDITIONS.items() for v in values for p in range(1, args.populations + 1)]
    parts = {json.dumps(cell): (scenario, *cell) for cell in cells}
    engine = args.new_engine()
    with results_folder(args.out, "study-customers", {"study": "customers", "scenario": scenario.to_dict()}) as results:
        out = results.folder
        found = rows_of(results, engine, _cell, parts, Console(), "cells", "cells")
        rows = [Row(row[0], row[1], row[2], row[3], np.array(row[4])) for own in found for row in own]
        headings = ("condition", "value", "population", "strategy", *MEASURES)
        write_whole(out / "cells.csv", csv_text(headings, ([*row[:4], *row.measures.tolist()] for row in rows)))
        text = summary(rows, args)
        write_whole(out / "summary.md", text)
        from lmaas_env.render import drawing

        drawing.save(_heat_map(rows), out / "gains.png")
        drawing.save(_lines(rows), out / "lines.png")
    print(f"{text}\nfiles in {out}: cells.csv, summary.md, gains.png, lines.png")
    return rows


def _cell(scenario: Scenario, condition: str, value: float, population: int) -> list[Row]:
    """Return every strategy's row of one cell."""
    market, state, level = _market(scenario, condition, value, population)
    terms = market.terms(state)
    posted = np.clip(level * IMP(market).solve_terms(terms).prices, scenario.price_floor, scenario.price_cap)
    price = checked_prices(terms.arrays, posted)
    patterns = fade_patterns(scenario.slots, scenario.slots)
    by_customer = [np.repeat(pattern[:, None], terms.size, axis=1) for pattern in patterns]  # (L, N) each
    faded_slots = patterns.sum(axis=1)
    probability = scenario.fade_probability
    chance = probability**faded_slots * (1.0 - probability) ** (scenario.slots - faded_slots)
    inside = faded_slots[:, None] <= terms.fade_budget
    choice_uniform = np.random.default_rng(population).random(terms.size)
    rows: list[Row] = []
    for name in STRATEGIES:
        it = strategy(name, probability)
        selection = it.select(terms.arrays, price, choice_uniform)
        profit = np.stack([it.rent(terms.arrays, price, selection, faded).profit for faded in by_customer])
        measures = [selection.worst_case_profit.sum(), chance @ profit.sum(axis=1)]
        for where in (inside, ~inside):
            measures += _risk(profit, np.where(where, chance[:, None], 0.0))
        rows.append(Row(condition, value, population, name, np.array(measures)))
    return rows


def _market(scenario: Scenario, condition: str, value: float, population: int) -> tuple[Market, State, float]:
    """Return the market and state of a cell, and the price level."""
    if condition.startswith("slot"):
        scenario = dataclasses.replace(scenario, slot_concentration=value)
    people = Population.for_scenario(scenario, population)
    corner = condition.startswith("harsh")
    if corner or condition.startswith("distance"):
        people = people._replace(distance=np.full(people.size, 1000.0 if corner else value))
    if corner or condition.startswith("fade depth"):
        people = people._replace(fade_depth=np.full(people.size, 25.0 if corner else value))
    if corner or condition.startswith("fade budget"):
        people = people._replace(fade_budget=np.full(people.size, 3 if corner else int(value)))
    if corner or condition.startswith("battery"):
        people = people._replace(capacity=np.full(people.size, value))
    market = Market(scenario, population=people)
    state = market.initial_state(np.random.default_rng(population))._replace(hour=HOUR)
    if corner or condition.startswith("battery"):
        state = state._replace(charge=people.capacity)
    return market, state, value if condition.startswith("price") else 1.0


def _risk(profit: FloatArray, weight: FloatArray, share: float = 0.05) -> list[float]:
    """Mean, quantile and CVaR of each customer's profit (P, N) under weights (P, N), summed over the customers.

    Customers whose weights are all zero (a budget that cannot be exceeded) count zero.
    """
    total = weight.sum(axis=0)
    probability = weight / np.where(total > 0.0, total, 1.0)
    order = np.argsort(profit, axis=0)
    sorted_profit = np.take_along_axis(profit, order, axis=0)
    cumulative = np.cumsum(np.take_along_axis(probability, order, axis=0), axis=0)
    quantile = np.take_along_axis(sorted_profit, (cumulative < share).sum(axis=0).clip(max=len(profit) - 1)[None], 0)[0]
    tail = np.diff(np.minimum(cumulative, share), axis=0, prepend=0.0)
    cvar = (tail * sorted_profit).sum(axis=0) / share
    known: BoolArray = total > 0.0
    return [float(x[known].sum()) for x in ((probability * profit).sum(axis=0), quantile, cvar)]


def totals(rows: list[Row], measure: str) -> dict[str, dict[tuple[str, float], float]]:
    """Return each strategy's sum over populations in each cell, $."""
    column = MEASURES.index(measure)
    found: dict[str, dict[tuple[str, float], float]] = {name: {} for name in STRATEGIES}
    for row in rows:
        cell = row.condition, row.value
        found[row.strategy][cell] = found[row.strategy].get(cell, 0.0) + float(row.measures[column])
    return found


def gains(rows: list[Row], measure: str) -> dict[str, dict[tuple[str, float], float]]:
    """Return RSR's gain in % over each rival in each cell, from sums over populations (NaN where the rival loses)."""
    by_strategy = totals(rows, measure)
    ours = by_strategy.pop("rsr")
    return {
        rival: {cell: 100.0 * (ours[cell] / sum_ - 1.0) if sum_ > 0.0 else np.nan for cell, sum_ in theirs.items()}
        for rival, theirs in by_strategy.items()
    }


def summary(rows: list[Row], args: StudyCustomers) -> str:
    """Return the Markdown summary: each rival's largest, median and smallest gap to RSR, and where."""
    lines = [
        "# What RSR is worth to customers",
        "",
        f"RSR's gain over each rival in %, sums over {args.populations} populations of {args.customers} customers; "
        f"{len({(r.condition, r.value) for r in rows})} conditions, hour {HOUR}, IMP's prices.",
        f"The paper claims up to {PAPER_GAIN} % over its state of the art.",
        "",
    ]
    titles = {
        "worst": "Worst case over the uncertainty set (exact)",
        "mean": "Mean realised profit (fades as they come)",
        "out_mean": "Mean realised profit when more slots fade than the budget allows",
    }
    for measure, title in titles.items():
        cells: list[list[str]] = []
        for rival, by_cell in gains(rows, measure).items():
            known = {cell: gain for cell, gain in by_cell.items() if np.isfinite(gain)}
            if known:
                top, low = max(known, key=lambda cell: known[cell]), min(known, key=lambda cell: known[cell])
                median = f"{np.median(list(known.values())):+.2f}"
                cells.append([rival, f"{known[top]:+.2f}", _where(top), median, f"{known[low]:+.2f}", _where(low)])
        headings = ["rival", "largest", "where", "median", "smallest", "where"]
        lines += [f"## {title}", "", *markdown_table(headings, cells), "", *_losses(rows, measure)]
    lines += ["## Paired differences in the default condition, $ per population [95 % interval]", ""]
    default = [row for row in rows if (row.condition, row.value) == ("price, of IMP's", 1.0)]
    ours = np.array([row.measures for row in default if row.strategy == "rsr"])
    paired_cells: list[list[str]] = []
    for rival in (name for name in STRATEGIES if name != "rsr"):
        paired = ours - np.array([row.measures for row in default if row.strategy == rival])
        texts = [mean_estimate(paired[:, MEASURES.index(measure)]) for measure in ("worst", "mean")]
        paired_cells.append([rival, *(f"{e.mean:+.2f} [{e.low:+.2f}, {e.high:+.2f}]" for e in texts)])
    return "\n".join([*lines, *markdown_table(["rival", "worst case", "mean realised"], paired_cells), ""])


def _losses(rows: list[Row], measure: str) -> list[str]:
    """Return a sentence for each rival with cells in which its sum is a loss, where a ratio means nothing."""
    by_strategy = totals(rows, measure)
    lines: list[str] = []
    for rival, theirs in by_strategy.items():
        ahead = [by_strategy["rsr"][cell] - sum_ for cell, sum_ in theirs.items() if sum_ < 0.0]
        if ahead:
            by = f"{min(ahead):.0f} to {max(ahead):.0f} $ in all populations together"
            lines += [f"In {len(ahead)} conditions {rival} makes a loss; RSR is ahead by {by}.", ""]
    return lines


def _where(cell: tuple[str, float]) -> str:
    condition, value = cell
    name, _, unit = condition.partition(", ")
    return f"{name} {value:g} {unit}".strip()


def _heat_map(rows: list[Row]) -> Figure:
    """Draw the gain in the worst case, rivals down, conditions across."""
    from matplotlib.figure import Figure

    by_rival = gains(rows, "worst")
    cells = list(next(iter(by_rival.values())))
    values = np.array([[by_rival[rival][cell] for cell in cells] for rival in by_rival])
    figure = Figure((14.0, 5.0), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    shown = axes.imshow(np.clip(values, 0.0, 100.0), cmap="viridis", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        dark = np.isfinite(value) and value < 60.0
        label = "loss" if not np.isfinite(value) else f"{value:.0f}" if value >= 10.0 else f"{value:.1f}"
        axes.text(column, row, label, ha="center", va="center", size=7.5, color="white" if dark else "black")
    axes.set_xticks(range(len(cells)), [_where(cell) for cell in cells], rotation=60, ha="right", size=8.5)
    axes.set_yticks(range(len(by_rival)), list(by_rival))
    axes.set_title(
        "RSR's gain in the worst case over each rival, % (loss: the rival's worst case is a loss)", loc="left"
    )
    figure.colorbar(shown, ax=axes, label="gain, % (colour ends at 100)")
    return figure


def _lines(rows: list[Row]) -> Figure:
    """Draw the gain in the mean realised profit along each condition."""
    from matplotlib.figure import Figure

    from lmaas_env.render.drawing import COLOURS

    by_rival = gains(rows, "mean")
    figure = Figure((14.0, 7.0), dpi=130, layout="constrained")
    panels = figure.subplots(2, 4, sharey=True).ravel()
    near = [rival for rival in by_rival if rival not in ("greedy-quality", "cheapest", "random")]
    for axes, (condition, values) in zip(panels, CONDITIONS.items(), strict=False):
        for colour, rival in zip(COLOURS, near, strict=False):
            gain = [by_rival[rival][condition, value] for value in values]
            axes.plot(range(len(values)), gain, marker="o", color=colour, label=rival)
        axes.axhline(0.0, color="black", lw=0.8)
        axes.set_xticks(range(len(values)), [f"{value:g}" for value in values])
        axes.set_title(condition, loc="left", size=10.5)
        axes.grid(axis="y", color="#E0E0E0")
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(CONDITIONS) :]:
        axes.axis("off")
    panels[-1].legend(*panels[0].get_legend_handles_labels(), loc="center", frameon=False, title="rival")
    figure.suptitle(
        "RSR's gain in the mean realised profit over its close rivals, % (below zero: the price of robustness)"
    )
    return figure
