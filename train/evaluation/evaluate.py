"""Evaluation of any policy: held-out days beside references, paired differences, a score, tables and the report."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import io
import os
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lmaas_train.evaluation.certified_bounds import BOUND, certified_bounds
from lmaas_train.evaluation.days import REFERENCE, Days
from lmaas_train.evaluation.results import (
    DAYS,
    TABLE,
    Row,
    day_rows,
    kept_days,
    read_results,
    summary,
    write_results,
)
from lmaas_train.evaluation.rollout import Keep, sell
from lmaas_train.evaluation.sellers import Policies, Policy, identities, rival_identity, rival_of, sellers_of
from lmaas_train.evaluation.statistics import Estimate
from lmaas_train.extras import require
from lmaas_train.markdown import markdown_table
from lmaas_train.runs import market_settings, results_folder

from lmaas_env import Market
from lmaas_env.render.drawing import milliseconds, seller_label
from lmaas_env.scenario import Scenario
from lmaas_env.seeds import check_size, held_out_seeds

if TYPE_CHECKING:
    from rich.console import Console, Group

WIDTH = 80  # columns of a printed evaluation


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Evaluation:
    """What several sellers earned on the same held-out days; printed, a table.

    Attributes
    ----------
    market : Market
    days : mapping of str to Days
        The record of each seller by name, hour by hour.
    reference : str
        The seller that differences and ratios are taken to.
    anchors : (str, str)
        What scores 0 and 1: sellers, or ``"bound"``, the certified bound.
    """

    market: Market
    days: Mapping[str, Days]
    reference: str
    anchors: tuple[str, str]

    @functools.cached_property
    def rows(self) -> list[Row]:
        """One row per seller, best first: profit, difference, ratio, customers' profit, time, score."""
        return self._summary(self.reference)

    def _summary(self, reference: str) -> list[Row]:
        bounds = certified_bounds(self.market, self.days[REFERENCE].seeds.tolist())
        return summary(self.days, reference, self.anchors, bounds)

    def __getitem__(self, seller: str) -> Row:
        """Return a seller's row."""
        return next(row for row in self.rows if row.seller == self._known(seller))

    def __repr__(self) -> str:
        from rich.console import Console

        text = io.StringIO()
        console = Console(file=text, width=WIDTH, color_system=None, force_jupyter=False)
        console.print(self.table(console))
        return "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines())

    def table(self, console: Console) -> Group:
        """Return the table that `lmaas compare` prints, as wide as a console of `rich`."""
        from lmaas_train.evaluation.tables import comparison_table

        count = len(self.days[self.reference].seeds)
        return comparison_table(self.rows, self.market.scenario.name, count, console, self.reference, self.anchors)

    def to_dataframe(self, per: Literal["seller", "day"] = "seller") -> Any:
        """Return a pandas DataFrame with the columns of table.csv (one row per seller) or days.csv (and day).

        Raises
        ------
        ValueError
            If pandas is not installed.
        """
        require("pandas")
        frame = importlib.import_module("pandas").DataFrame
        if per == "day":
            return frame(day_rows(self.days), columns=list(DAYS))
        return frame([row.cells for row in self.rows], columns=self._columns)

    def to_markdown(self) -> str:
        """Return the table in Markdown."""
        reference = seller_label(self.reference)
        heads = ["seller", "profit, $ a day", f"minus {reference}", f"/ {reference}", "score", "customers", "ms"]
        rows: list[list[str]] = []
        for row in self.rows:
            difference = "" if row.seller == self.reference else _shown(row.difference, "+,.0f")
            rows.append(
                [
                    f"`{row.seller}`",
                    _shown(row.profit, ",.0f"),
                    difference,
                    f"{row.share_of_imp:.3f}",
                    _shown(row.score, ".2f"),
                    f"{row.customer_profit:,.0f}",
                    milliseconds(row.milliseconds_per_decision),
                ]
            )
        return "\n".join(markdown_table(heads, rows, has_numbers=True)) + "\n"

    def save(self, folder: str | os.PathLike[str] | None = None) -> Path:
        """Write tables, records, figure and report.html into a new folder and return it.

        By default it is runs/compare-SCENARIO-TIME. The files are those of `lmaas compare`: their differences are to
        IMP, whatever the reference.

        Raises
        ------
        ValueError
            If the folder exists already, or matplotlib or plotly is missing.
        """
        require("matplotlib", "plotly")
        path = None if folder is None else Path(folder)
        with results_folder(path, f"compare-{self.market.scenario.name}") as results:
            self.write(results.folder)
        return results.folder

    def write(self, folder: Path) -> None:
        """Write tables, records, figure and report.html into a folder that exists."""
        write_results(folder, self.market, self.days, self._summary(REFERENCE))

    def report(self, folder: str | os.PathLike[str] | None = None, show: bool = False) -> Path:
        """Save the evaluation as `save` does and return the path of its report.html, also shown in a browser."""
        path = self.save(folder) / "report.html"
        if show:
            webbrowser.open(path.resolve().as_uri())
        return path

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], reference: str = REFERENCE, anchors: tuple[str, str] | None = None
    ) -> Evaluation:
        """Read an evaluation that `save` or `lmaas compare` has written.

        Raises
        ------
        ValueError
            If a file is missing or broken, or the reference is not among the sellers.
        """
        market, days = read_results(Path(folder))
        loaded = cls(market, days, reference, anchors or default_anchors(market, days[REFERENCE].seeds.tolist()))
        loaded._known(reference)
        return loaded

    def _known(self, seller: str) -> str:
        if seller not in self.days:
            raise ValueError(f"seller {seller!r} is not in this evaluation; sellers: {', '.join(self.days)}")
        return seller

    @property
    def _columns(self) -> list[str]:
        """The columns of table.csv, named after the reference."""
        return [name.replace("imp", self.reference) for name in TABLE]


def default_anchors(market: Market, seeds: Sequence[int]) -> tuple[str, str]:
    """Return what scores 0 and 1: IMP, and the certified bound or, where it is not known, look-ahead IMP.

    Where the observation is public, look-ahead IMP's plan stands for it; where customers are hidden, the best plan for
    the mean of regions scores 0, and the plan of those who know the customers 1. With rivals IMP, which
    replies to their last prices, scores 0, and the planner 1.
    """
    if market.scenario.sellers > 1:
        return REFERENCE, "planner"
    if market.scenario.hides_customers:
        return "prior-plan", "own-plan"
    if certified_bounds(market, seeds) is not None:
        return REFERENCE, BOUND
    return REFERENCE, "public-lookahead" if market.scenario.observation == "public" else "lookahead"


def evaluate(
    policies: Policies,
    scenario: str | os.PathLike[str] | Scenario | Market = "day",
    *,
    days: int = 40,
    population_seed: int = 0,
    reference: str = REFERENCE,
    anchors: tuple[str, str] | None = None,
    sell_anchors: bool = True,
    rival: Policy | None = None,
    trusted: bool = False,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Evaluation:
    """Sell held-out days with any policies and with references; return what they earned.

    Parameters
    ----------
    policies : policy, list of them, or mapping of str to policy
        A policy is an object with Stable-Baselines3's ``predict``; a function from an observation to an action; a
        class that makes such an object, for a market or without arguments; or a name: a seller of `lmaas compare`, a
        policy folder, ``module:name``, ``path/to/file.py:name`` or an SB3 zip. Days are sold one after the other, or in
        lockstep if the policy takes batches (policies of SB3, `lmaas_train.batched`, ``takes_batches = True``).
    scenario : str, path, Scenario or Market
        A preset, a YAML file, a scenario or a market.
    days : int
        Number of held-out days, the same as in `lmaas compare`.
    population_seed : int
        Seed of the customers; 0 selects those that ship with the package. Not used with a Market.
    reference : str
        A seller by name, to which differences are paired by day. IMP is sold in any case.
    anchors : (str, str), optional
        What scores 0 and 1: names of sellers, such as ``("random", "lookahead")``, or ``"bound"``, the certified bound.
        By default IMP and the bound, which is known for the first 40 held-out days of ``day``, ``scarce``, ``abundant``
        and ``public`` with the customers that ship; elsewhere look-ahead IMP, or its plan where the observation is
        public. Where customers are hidden, the prior plan and the own plan (docs/unknown.md). With rivals, IMP and the
        planner (docs/rivals.md).
    sell_anchors : bool
        Whether to sell the anchors if they are not among the policies. Without them there is no score, and look-ahead
        IMP does not plan first, which takes seconds, and where customers change daily, seconds for each day.
    rival : policy, optional
        Where the scenario has several sellers: who sells at every site but the first, ``"imp"`` by default. A name of
        `lmaas_env.rivals.RIVALS`, or a policy in any form.
    trusted : bool
        Whether SB3 zips may be loaded, which can run code that they hold.
    out : path, optional
        New folder to write the results into, as `Evaluation.save` does. If all policies are given by name, every
        seller that is finished is kept there, and an evaluation that was stopped goes on if it is called again.
    progress : bool
        Whether to show a progress bar if standard error is a terminal.

    Raises
    ------
    ValueError
        If a policy or setting is refused, or a policy raises or acts outside the range; no results are written then.

    Examples
    --------
    >>> from lmaas_train import evaluate
    >>> result = evaluate(lambda observation: 4 * [0.0], "static", days=2, sell_anchors=False)
    >>> round(result["policy"].share_of_imp, 1)
    0.7
    """
    require("rich", *(("matplotlib", "plotly") if out is not None else ()))
    from rich.console import Console

    market = scenario if isinstance(scenario, Market) else Market(Scenario.load(scenario), seed=population_seed)
    seeds = held_out_seeds(days)
    check_size(market, days)
    ends = anchors or default_anchors(market, seeds)
    if BOUND in ends and certified_bounds(market, seeds) is None:
        raise ValueError(f"anchors = {ends!r}: no certified bound is known for this market and {days} held-out days")
    beside = [REFERENCE, reference, *(it for it in ends if sell_anchors and it != BOUND)]
    sellers = sellers_of(policies, market, trusted, beside)
    first = sorted(sellers, key=lambda name: name in beside)  # a policy at fault stops before the references sell
    beside_them = rival_of(rival, market, trusted)
    console = Console(file=sys.stderr if progress else io.StringIO(), force_jupyter=False)

    def evaluated(keep: Keep | None = None) -> Evaluation:
        sold = sell(market, {name: sellers[name] for name in first}, seeds, console, keep, beside_them)
        return Evaluation(market, {name: sold[name] for name in sellers}, reference, ends)

    if out is None:
        return evaluated()
    keys = identities(policies, sellers, beside)
    settings = {**market_settings(market), "days": days}
    if rival is not None:
        settings["rival"] = rival_identity(rival, beside_them)
    is_known = all(keys.values()) and settings.get("rival", "") is not None
    with results_folder(Path(out), "", settings if is_known else None) as results:
        evaluation = evaluated(functools.partial(kept_days, results, keys))
        evaluation.write(results.folder)
    return evaluation


def _shown(estimate: Estimate, form: str) -> str:
    from lmaas_train.evaluation.tables import with_interval

    return with_interval(estimate, form)
