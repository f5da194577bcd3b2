"""Tables of a sweep: one row per cell as Parquet, and one row per way to sell, over its training seeds, as CSV."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from lmaas_train.evaluation.certified_bounds import certified_bounds
from lmaas_train.evaluation.days import REFERENCE
from lmaas_train.evaluation.statistics import Estimate, iqm, mean_estimate, normalised_score, seeds_and_days
from lmaas_train.evaluation.tables import Column, days, dollars, table, with_interval
from lmaas_train.sweeps.folder import Entry, SweepFolder, SweepState
from rich.console import Console, Group

from lmaas_env import Market, Scenario
from lmaas_env.files import write_whole
from lmaas_env.seeds import held_out_seeds

TABLE, SUMMARY = "table.parquet", "summary.csv"
BOUNDED_DAYS = 40  # held-out days whose certified bound is known
UNKNOWN = Estimate(np.nan, np.nan, np.nan)


class Way(NamedTuple):
    """A way to sell in a scenario, over its training seeds and all held-out days; money in $ a day.

    Intervals are as in `lmaas_train.evaluation.scores.Score`; ``tuning_profit`` is what settings are chosen on.
    ``profit_iqm`` is the interquartile mean over seeds and days. ``score`` is 0 for IMP and 1 for the certified bound,
    on the first `BOUNDED_DAYS` held-out days, NaN where no bound is known or IMP is within 2 % of it; its interval is
    over days alone.
    """

    scenario: str
    population_seed: int
    way: str
    settings: str
    cells: int
    tuning_profit: float
    profit: Estimate
    profit_iqm: float
    minus_imp: Estimate
    share_of_imp: Estimate
    score: Estimate
    customer_profit: float
    training_seconds: float

    @property
    def cells_of_table(self) -> list[Any]:
        """The cells of the columns `HEADINGS`."""
        return [
            *(*self[:6], *self.profit, self.profit_iqm, *self.minus_imp, *self.share_of_imp, *self.score),
            *(self.customer_profit, self.training_seconds),
        ]


HEADINGS = (
    *("scenario", "population_seed", "way", "settings", "cells", "tuning_profit", "profit", "profit_low"),
    *("profit_high", "profit_iqm", "minus_imp", "minus_imp_low", "minus_imp_high", "share_of_imp", "share_of_imp_low"),
    *("share_of_imp_high", "score", "score_low", "score_high", "customer_profit", "training_seconds"),
)


def cell_rows(folder: SweepFolder, state: SweepState) -> list[dict[str, Any]]:
    """Return one row per planned cell: what it is, whether it is done, scores paired with IMP's, times, versions."""
    rows: list[dict[str, Any]] = []
    for it in state.planned:
        record, imp = folder.record(it.key), _imp(folder, state.planned, it)
        row: dict[str, Any] = {
            "key": it.key,
            "status": "failed" if it.key in state.failed else "waiting" if record is None else "done",
            "error": state.failed.get(it.key, ""),
            "scenario": it.scenario,
            "population_seed": it.population_seed,
            "way": it.way,
            "trial": it.trial,
            "varied": json.dumps(it.varied),
            "seller": it.seller,
            "train": it.train,
            "training_seed": it.seed,
        }
        if record is not None:
            profit = np.array(record["profit"])
            minus = UNKNOWN if imp is None else mean_estimate(profit - imp["profit"])
            row |= {
                "settings": json.dumps(record["cell"]["settings"]),
                "options": json.dumps(record["cell"]["options"]),
                "days": len(profit),
                "tuning_profit": float(np.mean(record["tuning_profit"])),
                **_columns("profit", mean_estimate(profit)),
                **_columns("minus_imp", minus),
                "share_of_imp": np.nan if imp is None else float(profit.mean() / np.mean(imp["profit"])),
                "customer_profit": float(np.mean(record["customer_profit"])),
                "day_profit": record["profit"],
                "milliseconds_per_decision": record["milliseconds_per_decision"],
                "training_seconds": record["training_seconds"],
                "selling_seconds": record["selling_seconds"],
                "started": record["started"],
                **{f"version_{name}": version for name, version in record["versions"].items()},
            }
        rows.append(row)
    return rows


def ways(folder: SweepFolder, state: SweepState) -> list[Way]:
    """Return the ways to sell of each scenario, those that earn most first."""
    by_way: dict[tuple[str, int, str], list[Entry]] = {}
    for it in state.planned:
        if folder.record(it.key) is not None:
            by_way.setdefault((it.scenario, it.population_seed, it.way), []).append(it)
    found: list[Way] = []
    for (scenario, population_seed, way), cells in by_way.items():
        records = [record for it in cells if (record := folder.record(it.key)) is not None]
        profit, imp = np.array([it["profit"] for it in records]), _imp(folder, state.planned, cells[0])
        minus = UNKNOWN if imp is None else seeds_and_days(profit - imp["profit"])
        of_imp = np.nan if imp is None else float(np.mean(imp["profit"]))
        found.append(
            Way(
                *(scenario, population_seed, way, json.dumps(cells[0].varied), len(cells)),
                tuning_profit=float(np.mean([it["tuning_profit"] for it in records])),
                profit=seeds_and_days(profit),
                profit_iqm=float(iqm(profit)),
                minus_imp=minus,
                # A ratio of means: its interval is that of the difference, on the same days.
                share_of_imp=Estimate(*(1.0 + it / of_imp for it in minus)),
                score=UNKNOWN
                if imp is None or way == REFERENCE
                else _score(records[0], profit, np.array(imp["profit"])),
                customer_profit=float(np.mean([it["customer_profit"] for it in records])),
                training_seconds=float(np.mean([it["training_seconds"] for it in records])),
            )
        )
    order = {(it.scenario, it.population_seed): i for i, it in reversed([*enumerate(state.planned)])}
    return sorted(found, key=lambda it: (order[it.scenario, it.population_seed], -it.profit.mean))


def write_table(folder: SweepFolder, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows of all cells as Parquet."""
    pyarrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    buffer = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(columns), buffer)
    write_whole(folder.path / TABLE, buffer.getvalue().to_pybytes())


def printed(found: Sequence[Way], held_out: int, console: Console) -> Group:
    """Return the ways as a table that fits the console."""
    several = len({(it.scenario, it.population_seed) for it in found}) > 1
    names = [f"{_place(it)}/{it.way}" if several else it.way for it in found]
    minus = ["" if it.way == REFERENCE else with_interval(it.minus_imp, "+,.0f") for it in found]
    title = "" if several or not found else f"{_place(found[0])}: "
    return table(
        console,
        Column("way", names),
        [
            Column("n", [str(it.cells) for it in found], drop=1, note="n: training seeds"),
            Column("tuning", [dollars(it.tuning_profit) for it in found], drop=2, note="tuning: on tuning days"),
            Column("profit", [with_interval(it.profit, "z,.0f") for it in found]),
            Column("minus IMP", minus, note="minus IMP: over seeds and days, paired by day"),
            Column("/ IMP", [f"{it.share_of_imp.mean:.3f}" for it in found], drop=3),
        ],
        title=f"{title}seller's profit in $ per day, {days(held_out)}",
    )


def _place(way: Way) -> str:
    return f"{way.scenario}-{way.population_seed}" if way.population_seed else way.scenario


def _score(record: dict[str, Any], profit: np.ndarray, imp: np.ndarray) -> Estimate:
    """Return the score of a way's profits (seeds, days) between IMP's and the certified bound, where that is known."""
    cell, days = record["cell"], min(profit.shape[1], BOUNDED_DAYS)
    if cell["scenario"].get("customers_file"):
        return UNKNOWN
    market = Market(Scenario(**cell["scenario"]), seed=cell["population_seed"])
    bounds = certified_bounds(market, held_out_seeds(days))
    return UNKNOWN if bounds is None else normalised_score(profit[:, :days].mean(axis=0), imp[:days], bounds)


def _columns(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.mean, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _imp(folder: SweepFolder, planned: Sequence[Entry], cell: Entry) -> dict[str, Any] | None:
    """Return the record of IMP in the same market, None if it is not there."""
    place = cell.scenario, cell.population_seed
    same = (it for it in planned if it.seller == REFERENCE and (it.scenario, it.population_seed) == place)
    return next((folder.record(it.key) for it in same), None)
