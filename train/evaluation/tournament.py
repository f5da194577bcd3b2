"""Tournaments: every ordered pair of sellers on the same held-out days of a market with two sellers (docs/rivals.md).

The sites differ, so the seller at site 0 and its rival at site 1 play different roles: payoffs are a bimatrix game, and
its equilibria say which sellers would be chosen by two owners who each know the table.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from lmaas_train.evaluation.days import REFERENCE, Days
from lmaas_train.evaluation.evaluate import Evaluation, default_anchors
from lmaas_train.evaluation.games import MOST_STRATEGIES, Equilibrium, nash_equilibria
from lmaas_train.evaluation.results import kept_days
from lmaas_train.evaluation.rollout import sell
from lmaas_train.evaluation.sellers import SELLERS, Policies, identities, rival_of, sellers_of
from lmaas_train.evaluation.statistics import Estimate, mean_estimate
from lmaas_train.extras import require
from lmaas_train.runs import Results, csv_text, market_settings, results_folder

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.rivals import RIVALS
from lmaas_env.seeds import check_size, held_out_seeds
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from rich.console import Console, Group

PAYOFFS, MIXTURE = "payoffs.csv", "mixture.csv"
PAYOFF_COLUMNS = (
    "seller", "rival", "profit", "profit_low", "profit_high", "rival_profit", "rival_profit_low", "rival_profit_high",
    "customer_profit",
)  # fmt: skip
MIXTURE_COLUMNS = ("equilibrium", "site", "seller", "probability", "profit")


class Payoff(NamedTuple):
    """What a seller at site 0 and its rival at site 1 earn, $ a day."""

    seller: str
    rival: str
    profit: Estimate
    rival_profit: Estimate
    customer_profit: float

    @property
    def cells(self) -> list[Any]:
        """The cells of the columns `PAYOFF_COLUMNS`."""
        return [self.seller, self.rival, *self.profit, *self.rival_profit, self.customer_profit]


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Tournament:
    """What every ordered pair of sellers earns on the same held-out days.

    Attributes
    ----------
    market : Market
    days : mapping of str to mapping of str to Days
        By rival, then by seller.
    """

    market: Market
    days: Mapping[str, Mapping[str, Days]]

    @property
    def sellers(self) -> list[str]:
        """The sellers' names."""
        return list(self.days)

    @functools.cached_property
    def payoffs(self) -> list[Payoff]:
        """One row per ordered pair."""
        return [
            Payoff(
                seller,
                rival,
                mean_estimate(sold.day_profit),
                mean_estimate(sold.rival_day_profit),
                float(sold.customer_profit.sum(axis=1).mean()),
            )
            for seller in self.sellers
            for rival in self.sellers
            for sold in [self.days[rival][seller]]
        ]

    @functools.cached_property
    def matrices(self) -> tuple[FloatArray, FloatArray]:
        """Mean profits of the seller at site 0 (row) and of its rival at site 1 (column), (P, P) each, $ a day."""
        count = len(self.sellers)
        own, other = ([getattr(row, name).mean for row in self.payoffs] for name in ("profit", "rival_profit"))
        return np.array(own).reshape(count, count), np.array(other).reshape(count, count)

    @functools.cached_property
    def equilibria(self) -> list[Equilibrium]:
        """The Nash equilibria of the mean profits (`lmaas_train.evaluation.games.nash_equilibria`)."""
        return nash_equilibria(*self.matrices)

    @functools.cached_property
    def evaluation(self) -> Evaluation:
        """The evaluation of all sellers beside the rival ``imp``."""
        sold = self.days[REFERENCE]
        return Evaluation(self.market, sold, REFERENCE, default_anchors(self.market, sold[REFERENCE].seeds.tolist()))

    def table(self, console: Console) -> Group:
        """Return the payoff matrix as a table that fits the console."""
        from lmaas_train.evaluation.tables import Column, table

        own, other = self.matrices
        count = len(self.days[REFERENCE][REFERENCE].seeds)
        return table(
            console,
            Column("site 0", self.sellers),
            [
                Column(rival, [f"{own[i, j]:,.0f}/{other[i, j]:,.0f}" for i in range(len(self.sellers))], drop=j)
                for j, rival in enumerate(self.sellers)
            ],
            title=f"{self.market.scenario.name}: $ a day of the row / of the column at site 1, {count} held-out days",
        )

    def mixtures(self) -> list[str]:
        """Return the equilibria in words, the largest total profit first."""
        return [
            f"equilibrium {i}: site 0 {self._mixed(it.row)} earns {it.row_payoff:,.0f} $ a day, "
            f"site 1 {self._mixed(it.column)} {it.column_payoff:,.0f} $"
            for i, it in enumerate(self.equilibria, start=1)
        ]

    def _mixed(self, weights: FloatArray) -> str:
        parts = [(name, weight) for name, weight in zip(self.sellers, weights, strict=True) if weight > 0.0]
        return " + ".join(name if weight > 1.0 - 1e-9 else f"{weight:.2f} {name}" for name, weight in parts)

    def write(self, folder: Path) -> None:
        """Write payoffs.csv and mixture.csv, and the results of `evaluation` with their report, into a folder."""
        write_whole(folder / PAYOFFS, csv_text(PAYOFF_COLUMNS, [row.cells for row in self.payoffs]))
        rows = [
            [i, site, name, weight, profit]
            for i, it in enumerate(self.equilibria, start=1)
            for site, weights, profit in ((0, it.row, it.row_payoff), (1, it.column, it.column_payoff))
            for name, weight in zip(self.sellers, weights.tolist(), strict=True)
        ]
        write_whole(folder / MIXTURE, csv_text(MIXTURE_COLUMNS, rows))
        self.evaluation.write(folder)


def tournament(
    policies: Policies,
    market: Market,
    *,
    days: int = 40,
    trusted: bool = False,
    out: Path | None = None,
    progress: bool = True,
) -> Tournament:
    """Sell the same held-out days with every ordered pair of sellers, IMP among them.

    Parameters
    ----------
    policies : policy, list of them, or mapping of str to policy
        As in `lmaas_train.evaluate`; at site 1, ``imp``, ``fixed`` and ``cost-plus`` are the built-in rivals.
    market : Market
        Of two sellers.
    days : int
    trusted : bool
        Whether SB3 zips may be loaded.
    out : Path, optional
        New folder for the results. If all policies are given by name, a tournament that was stopped goes on there.
    progress : bool
        Whether to show progress bars if standard error is a terminal.

    Raises
    ------
    ValueError
        If the market has not two sellers, there are more than 8 policies with IMP, or as `lmaas_train.evaluate`.
    """
    require("rich", *(("matplotlib", "plotly") if out is not None else ()))
    from rich.console import Console

    if market.scenario.sellers != 2:
        raise ValueError(f"scenario {market.scenario.name!r} has sellers = {market.scenario.sellers}, it must have 2")
    seeds, beside = held_out_seeds(days), [REFERENCE]
    check_size(market, days)
    sellers = sellers_of(policies, market, trusted, beside)
    if len(sellers) > MOST_STRATEGIES:
        raise ValueError(f"sellers: {len(sellers)} with imp, a tournament has at most {MOST_STRATEGIES}")
    is_built_in = {name: name in RIVALS and seller is SELLERS[name] for name, seller in sellers.items()}
    rivals = {name: rival_of(name if is_built_in[name] else seller, market) for name, seller in sellers.items()}
    keys = identities(policies, sellers, beside)
    console = Console(file=sys.stderr if progress else io.StringIO(), force_jupyter=False)

    def played(results: Results | None = None) -> Tournament:
        sold: dict[str, dict[str, Days]] = {}
        for name, rival in rivals.items():
            pairs = {seller: key and f"{key} against {keys[name]}" for seller, key in keys.items()}
            keep = None if results is None else functools.partial(kept_days, results, pairs)
            sold[name] = sell(market, sellers, seeds, console, keep, rival)
        return Tournament(market, sold)

    if out is None:
        return played()
    settings = {"command": "tournament", **market_settings(market), "days": days}
    with results_folder(out, "", settings if all(keys.values()) else None) as results:
        found = played(results)
        found.write(results.folder)
    return found
