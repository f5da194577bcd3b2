"""What a comparison of sellers leaves in its folder: tables, the day hour by hour, one hour's choices, a figure.

`lmaas_train.report.report` reads these files, nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lmaas_train.evaluation.days import Days
from lmaas_train.evaluation.statistics import Estimate, mean_estimate
from lmaas_train.report.report import report
from lmaas_train.runs import csv_text, write_origin

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.rsr import solve
from lmaas_env.seeds import of_one_day, open_days

REFERENCE = "imp"
EXPLAINED = 100  # customers whose choice is explained, at most


class Row(NamedTuple):
    """One seller's line of the table; $ per day but the share and the milliseconds."""

    seller: str
    profit: Estimate
    difference: Estimate
    share_of_imp: float
    customer_profit: float
    milliseconds_per_decision: float


def summary(days: Mapping[str, Days]) -> list[Row]:
    """Return one row per seller, best first, with differences paired by day."""
    reference = days[REFERENCE].day_profit
    rows = [
        Row(
            seller=name,
            profit=mean_estimate(sold.day_profit),
            difference=mean_estimate(sold.day_profit - reference),
            share_of_imp=float(sold.day_profit.mean() / reference.mean()),
            customer_profit=float(sold.customer_profit.sum(axis=1).mean()),
            milliseconds_per_decision=1e3 * sold.seconds_per_decision,
        )
        for name, sold in days.items()
    ]
    return sorted(rows, key=lambda row: -row.profit.mean)


def write_results(out: Path, market: Market, days: Mapping[str, Days], rows: list[Row]) -> None:
    """Write the results of sellers, IMP among them, on the same days into a folder, and the report of it."""
    from lmaas_train.evaluation import figures

    from lmaas_env.render import drawing

    headings = ["seller", "profit", "profit_low", "profit_high", "minus_imp", "minus_imp_low", "minus_imp_high"]
    headings += ["share_of_imp", "customer_profit", "milliseconds_per_decision"]
    write_whole(out / "table.csv", csv_text(headings, [[r[0], *r[1], *r[2], *r[3:]] for r in rows]))
    per_day = [
        [name, seed, profit, customers]
        for name, sold in days.items()
        for seed, profit, customers in zip(
            sold.seeds.tolist(), sold.day_profit.tolist(), sold.customer_profit.sum(axis=1).tolist(), strict=True
        )
    ]
    write_whole(out / "days.csv", csv_text(["seller", "day_seed", "profit", "customer_profit"], per_day))
    write_whole(out / "hours.csv", csv_text(HOURS, _hours(days)))
    write_whole(out / "models.csv", csv_text(MODELS, _models(days, market.catalogue.names)))
    write_whole(out / "choices.json", json.dumps(choices(market, days[REFERENCE])) + "\n")
    market.scenario.to_yaml(out / "scenario.yaml")
    intervals = {row.seller: (row.profit.low, row.profit.high) for row in rows}
    drawing.save(figures.comparison(days, market.catalogue.names, intervals), out / "figure.png")
    if not (out / "origin.json").exists():
        write_origin(out)
    write_whole(out / "report.html", report(out))


HOURS = ("seller", "hour", "profit", "customer_profit", "worst_case_profit", "charge_share")
MODELS = ("seller", "hour", "model", "price", "customers", "rented_hours")


def _hours(days: Mapping[str, Days]) -> list[list[Any]]:
    """Return means over the days, hour by hour; the charge is that before the hour."""
    rows: list[list[Any]] = []
    for name, sold in days.items():
        columns = sold.profit, sold.customer_profit, sold.worst_case_profit, sold.charge[:, :-1]
        means = np.stack([column.mean(axis=0) for column in columns], axis=1)
        rows += [[name, hour, *mean] for hour, mean in enumerate(means.tolist())]
    return rows


def _models(days: Mapping[str, Days], models: tuple[str, ...]) -> list[list[Any]]:
    """Return means over the days, hour by hour and model by model."""
    rows: list[list[Any]] = []
    for name, sold in days.items():
        columns = sold.prices, sold.customers_per_model, sold.hours_per_model
        means = np.stack([column.mean(axis=0) for column in columns], axis=-1).tolist()
        for hour, at in enumerate(means):
            rows += [[name, hour, model, *mean] for model, mean in zip(models, at, strict=True)]
    return rows


def choices(market: Market, sold: Days) -> dict[str, Any]:
    """Return what customers chose, and why, in the first day's best hour of a seller.

    Its prices are posted again, so the state is the one that they led to. Lists run over customers (at most
    `EXPLAINED`), models and slots; money in $, hours in h.
    """
    opened, state, draws = open_days(market, [int(sold.seeds[0])])
    hour = int(np.argmax(sold.profit[0]))
    for earlier in range(hour):
        _, state = opened.settle(sold.prices[:1, earlier], state, draws[earlier])
    settlement, _ = opened.settle(sold.prices[:1, hour], state, draws[hour])
    terms, shown = opened.terms(state), slice(0, EXPLAINED)
    selection = solve(terms, sold.prices[0, hour])
    choice = settlement.choice[0]
    planned = selection.planned_hours[np.arange(len(choice)), choice] * (choice >= 0)[:, None]
    population = of_one_day(opened).population
    return {
        "day_seed": int(sold.seeds[0]),
        "hour": hour,
        "models": list(market.catalogue.names),
        "prices": sold.prices[0, hour].tolist(),
        "distance": population.distance[shown].tolist(),
        "charge": state.charge[0][shown].tolist(),
        "choice": choice[shown].tolist(),
        "guaranteed": selection.worst_case_profit[shown].tolist(),
        "realised": settlement.customer_profit[0][shown].tolist(),
        "fade_budget": population.fade_budget[shown].tolist(),
        "task_value": terms.task_value[shown].tolist(),
        "faded": settlement.faded[0][shown].tolist(),
        "planned_hours": planned[shown].tolist(),
        "rented_hours": settlement.hours[0][shown].tolist(),
    }
