"""`lmaas study fluid`: what becomes of markets and sellers as the number of customers grows.

Every day has customers of its own, drawn as in the scenario ``population``. Profits are per customer and before
pre-training, which costs the same whatever the number of customers and would favour large markets. At the prices of one
plan, customers do not affect each other, so that the mean profit per customer is the same in markets of all sizes and
its standard deviation falls as one over the square root of their number: large markets are fluid.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from lmaas_agents import IMP, LookaheadIMP, PublicLookaheadIMP, load_policy
from lmaas_agents.learned.residual import plan_of
from lmaas_agents.planning import Plan, plan_day, sampled_plan
from lmaas_train.evaluation.rollout import rollout_each
from lmaas_train.evaluation.sellers import NamedSeller
from lmaas_train.evaluation.statistics import Estimate, mean_estimate
from lmaas_train.markdown import markdown_table
from lmaas_train.runs import csv_text, results_folder
from lmaas_train.sweeps.parts import EngineOptions, rows_of
from rich.console import Console

from lmaas_env import Market, Scenario
from lmaas_env.files import write_whole
from lmaas_env.seeds import held_out_seeds, of_one_day, open_days
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = (24, 100, 1000, 10**4)
LARGE = 10**5  # customers of the largest market that is sold at the prices of the typical plan only
SAMPLE = 384  # customers on whom days are planned
LEAST, MOST = 2, 40  # days of a size
SPREAD_DAYS = 12  # on which the standard deviation is measured
REFERENCE, AHEAD, PLANNED, TYPICAL = "imp", "lookahead", "public-lookahead", "typical-plan"
WHOLE_PLAN, GUIDED, SCRATCH = "lookahead-whole-plan", "population-guided", "population-ppo"


@dataclasses.dataclass
class StudyFluid(EngineOptions):
    """Sell held-out days of markets of growing size with IMP, look-ahead IMP, its plan and learned policies.

    Writes days.csv, summary.md, fluid.png and fluid-dark.png.

    Examples
    --------
      lmaas study fluid
      lmaas study fluid --customers 1000 --customer-days 200
    """

    customers: int = SIZES[-1]
    """Largest number of customers that all sellers price."""
    large: int = LARGE
    """Largest number of customers that are sold at the prices of one plan."""
    whole: int = 0
    """Largest number of customers that look-ahead IMP also plans days of without a sample."""
    customer_days: int = 500
    """Customers times days that are sold at every size, with 2 to 40 days each."""
    out: Path | None = None
    """New folder for the results; default runs/study-fluid-TIME."""

    def main(self) -> list[Row]:
        """Run the study and return its rows."""
        return study(self)


class Row(NamedTuple):
    """One seller on one day of a market: its profit, and its profit per customer before pre-training, $."""

    customers: int
    day_seed: int
    seller: str
    profit: float
    per_customer: float


def study(args: StudyFluid) -> list[Row]:
    """Run the study as `StudyFluid` says and return its rows."""
    for name in ("customers", "large"):
        if getattr(args, name) < SIZES[1]:
            raise ValueError(f"{name} = {getattr(args, name)} must be >= {SIZES[1]}, for two sizes")
    if args.customer_days < 1:
        raise ValueError(f"customer_days = {args.customer_days} must be >= 1")
    parts: list[tuple[int, int, bool] | tuple[int, int, bool, bool]] = []
    for size in (*SIZES, LARGE):
        days = min(MOST, max(LEAST, args.customer_days // size)) if size <= args.customers else 0
        more = SPREAD_DAYS if size <= args.large else 0
        for day, seed in enumerate(held_out_seeds(MOST)[: max(days, more)]):
            is_whole = day < days and SAMPLE < size <= args.whole
            parts.append((size, seed, day < days, True) if is_whole else (size, seed, day < days))
    engine = args.new_engine()
    with results_folder(args.out, "study-fluid", {"study": "fluid"}) as results:
        out = results.folder
        found = rows_of(results, engine, _sold, {json.dumps(part): part for part in parts}, Console(), "days", "days")
        rows = [Row(*row) for own in found for row in own]
        write_whole(out / "days.csv", csv_text(Row._fields, rows))
        text = summary(rows)
        write_whole(out / "summary.md", text)
        from lmaas_env.render import drawing

        drawing.save_both(figure(rows), out / "fluid.png")
    print(f"{text}\nfiles in {out}: days.csv, summary.md, fluid.png, fluid-dark.png")
    return rows


def _sold(customers: int, seed: int, by_all: bool, whole: bool = False) -> list[Row]:
    """Return the rows of one day, of all sellers or of the typical plan alone; ``whole`` plans without a sample too."""
    scenario = dataclasses.replace(Scenario.preset("population"), customers=customers)
    market = Market(scenario)
    sellers: dict[str, NamedSeller] = {TYPICAL: _with_plan(PublicLookaheadIMP, _typical_plan())}
    if by_all:
        own = of_one_day(open_days(market, [seed]).market)
        plan = sampled_plan(own, SAMPLE)
        sellers |= {
            REFERENCE: IMP,
            AHEAD: _with_plan(LookaheadIMP, plan),
            PLANNED: _with_plan(PublicLookaheadIMP, plan),
            GUIDED: load_policy(GUIDED),
            SCRATCH: load_policy(SCRATCH),
        }
        if whole:
            sellers[WHOLE_PLAN] = _with_plan(LookaheadIMP, plan_day(own))
    training = scenario.periods * float(market.catalogue.training_cost.sum())
    rows: list[Row] = []
    for name, seller in sellers.items():
        profit = float(rollout_each(market, seller, [seed], name=name).day_profit[0])
        rows.append(Row(customers, seed, name, profit, (profit + training) / customers))
    return rows


@functools.cache
def _typical_plan() -> Plan:
    """Return the plan of typical customers, whatever the market."""
    return plan_of(Market("population"))


def _with_plan(kind: type[LookaheadIMP], plan: Plan) -> NamedSeller:
    """Return what makes sellers of a kind for the market of a day."""
    return functools.partial(kind, plan=plan)


def profits(rows: list[Row], customers: int, seller: str) -> FloatArray:
    """Return a seller's profit per customer and day in markets of a size, before pre-training, (days,) $."""
    return np.array([row.per_customer for row in rows if (row.customers, row.seller) == (customers, seller)])


def _same_days(rows: list[Row], customers: int, seller: str) -> FloatArray:
    """As `profits`, on the days that all sellers have sold, which come first."""
    return profits(rows, customers, seller)[: len(profits(rows, customers, REFERENCE))]


def ratio(rows: list[Row], customers: int, seller: str, reference: str) -> Estimate:
    """Return a seller's profit as a share of another's, on the days that both have sold, with its 95 % interval."""
    own, other = (profits(rows, customers, name) for name in (seller, reference))
    difference = mean_estimate(own[: len(other)] - other)
    return Estimate(*(1.0 + it / float(other.mean()) for it in difference))


def spread(rows: list[Row], customers: int) -> float:
    """Return the standard deviation of the profit per customer from day to day at the prices of the typical plan, $."""
    return float(profits(rows, customers, TYPICAL).std(ddof=1))


def spread_exponent(rows: list[Row]) -> float:
    """Return the exponent of the standard deviation in the number of customers."""
    sizes = list(dict.fromkeys(row.customers for row in rows))
    return float(np.polyfit(np.log(sizes), np.log([spread(rows, size) for size in sizes]), 1)[0])


def _sizes(rows: list[Row], seller: str) -> list[int]:
    return list(dict.fromkeys(row.customers for row in rows if row.seller == seller))


def summary(rows: list[Row]) -> str:
    """Return the Markdown page: profits per customer, ratios to IMP and to look-ahead IMP, standard deviations."""
    lines = [
        "# Large markets: profit per customer and day before pre-training, $",
        "",
        "Held-out days of `population`, each with customers of its own. Prices are planned on "
        f"{SAMPLE} of them at most ({WHOLE_PLAN}: on all), {GUIDED} and {SCRATCH} were trained with 24. Ratios with "
        "95 % bootstrap intervals, paired by day: of two days the interval is no more than their range.",
        "",
    ]
    cells: list[list[str]] = []
    for size in _sizes(rows, REFERENCE):
        for name in (REFERENCE, AHEAD, WHOLE_PLAN, PLANNED, GUIDED, SCRATCH, TYPICAL):
            own = _same_days(rows, size, name)
            if own.size:
                shares = [_interval(ratio(rows, size, name, other)) for other in (REFERENCE, AHEAD)]
                shares = ["" if name == other else it for it, other in zip(shares, (REFERENCE, AHEAD), strict=True)]
                cells.append([f"{size:,}", str(own.size), name, f"{own.mean():.2f}", *shares])
    lines += [
        *markdown_table(["customers", "days", "seller", "profit", f"/ {REFERENCE}", f"/ {AHEAD}"], cells),
        "",
        f"At the prices of the typical plan, on {SPREAD_DAYS} days or more; the standard deviation grows with the "
        f"exponent {spread_exponent(rows):.2f} in the number of customers.",
        "",
    ]
    cells = []
    for size in _sizes(rows, TYPICAL):
        own, deviation = profits(rows, size, TYPICAL), spread(rows, size)
        measured = [f"{own.mean():.2f}", f"{deviation:.3f}", f"{deviation * size**0.5:.1f}"]
        cells.append([f"{size:,}", str(own.size), *measured])
    headings = ["customers", "days", "profit", "standard deviation", "times the root of customers"]
    lines += markdown_table(headings, cells)
    return "\n".join([*lines, ""])


def _interval(it: Estimate) -> str:
    return f"{it.mean:.3f} [{it.low:.3f}, {it.high:.3f}]"


def figure(rows: list[Row]) -> Figure:
    """Return the figure: profits per customer, ratios to look-ahead IMP, and the standard deviation, by customers."""
    from matplotlib.figure import Figure

    from lmaas_env.render.drawing import GREY, GRID, seller_styles

    names = (REFERENCE, AHEAD, PLANNED, GUIDED, SCRATCH, TYPICAL)
    styles, sizes = seller_styles(names), _sizes(rows, REFERENCE)
    drawn = Figure((14.5, 4.2), dpi=130, layout="constrained")
    left, middle, right = drawn.subplots(1, 3)
    for name in names:
        colour, line = styles[name].colour, styles[name].line
        means = [_same_days(rows, size, name).mean() for size in sizes]
        left.plot(sizes, means, color=colour, ls=line, marker="o", ms=4, label=name)
        shares = 100.0 * np.array([ratio(rows, size, name, AHEAD) for size in sizes])
        middle.plot(sizes, shares[:, 0], color=colour, ls=line, marker="o", ms=4)
        middle.fill_between(sizes, shares[:, 1], shares[:, 2], color=colour, alpha=0.15)
    large = _sizes(rows, TYPICAL)
    deviations = np.array([spread(rows, size) for size in large])
    right.plot(large, deviations, color=styles[TYPICAL].colour, marker="o", ms=4, label=TYPICAL)
    right.plot(large, deviations[0] * (np.array(large) / large[0]) ** -0.5, color=GREY, ls="--", label="exponent -0.5")
    right.set_yscale("log")
    left.set_ylabel("profit per customer and day, $")
    middle.set_ylabel("share of look-ahead IMP's profit, %")
    right.set_ylabel("standard deviation over days, $ per customer")
    for axes in (left, middle, right):
        axes.set_xscale("log")
        axes.set_xlabel("customers")
        axes.grid(color=GRID)
        axes.spines[["top", "right"]].set_visible(False)
    right.legend(frameon=False)
    drawn.legend(*left.get_legend_handles_labels(), frameon=False, loc="outside right center")
    planned, scratch = (100.0 * ratio(rows, sizes[-1], name, AHEAD).mean for name in (PLANNED, SCRATCH))
    drawn.suptitle(
        f"With {sizes[-1]:,} customers PPO from scratch, trained with 24, earns {scratch:.1f} % of look-ahead IMP's "
        f"profit, the plan alone {planned:.1f} %; standard deviations fall with exponent {spread_exponent(rows):.2f}",
        fontsize=10.5,
    )
    return drawn
