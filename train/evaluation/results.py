"""The results of a comparison and their folder: tables, records, one hour's choices, a figure and the report."""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lmaas_train.evaluation.certified_bounds import BOUND
from lmaas_train.evaluation.days import REFERENCE, Days
from lmaas_train.evaluation.statistics import Estimate, mean_estimate, normalised_score
from lmaas_train.runs import Results, check_complete, csv_text, write_market
from numpy.typing import NDArray

from lmaas_env import Market, Scenario
from lmaas_env.fields import one_line
from lmaas_env.files import LARGEST, read_bytes, write_whole
from lmaas_env.population import Population
from lmaas_env.rsr import solve
from lmaas_env.scenario import HOURS_A_DAY
from lmaas_env.seeds import of_one_day, open_days
from lmaas_env.types import FloatArray

RECORDS = "days.npz"  # every number of `Days`, and the customers
MOST = LARGEST  # bytes of all records, unpacked
EXPLAINED = 100  # customers whose choice is written, at most
TABLE = (
    "seller", "profit", "profit_low", "profit_high", "minus_imp", "minus_imp_low", "minus_imp_high",
    "share_of_imp", "customer_profit", "milliseconds_per_decision", "score", "score_low", "score_high",
)  # fmt: skip
DAYS = ("seller", "day_seed", "profit", "customer_profit")
HOURS = ("seller", "hour", "profit", "customer_profit", "worst_case_profit", "charge_share")
MODELS = ("seller", "hour", "model", "price", "customers", "rented_hours")


class Row(NamedTuple):
    """One seller's row of the table; amounts in $ per day.

    ``difference`` is to the reference on the same days, ``share_of_imp`` the ratio to it, and ``score`` the place
    between two anchors (`lmaas_train.evaluation.statistics.normalised_score`), NaN where they are not known.
    """

    seller: str
    profit: Estimate
    difference: Estimate
    share_of_imp: float
    customer_profit: float
    milliseconds_per_decision: float
    score: Estimate = Estimate(np.nan, np.nan, np.nan)

    @property
    def cells(self) -> list[Any]:
        """The cells of the columns `TABLE`."""
        return [self.seller, *self.profit, *self.difference, *self[3:6], *self.score]


def summary(
    days: Mapping[str, Days],
    reference: str = REFERENCE,
    anchors: tuple[str, str] | None = None,
    bounds: FloatArray | None = None,
) -> list[Row]:
    """Return one row per seller, best first, with differences to the reference paired by day.

    ``anchors`` names the sellers that score 0 and 1; ``bounds`` are the certified bounds of the days, (K,), which an
    anchor may name, too.
    """
    theirs = days[reference].day_profit
    profits = {name: sold.day_profit for name, sold in days.items()} | ({} if bounds is None else {BOUND: bounds})
    low, high = (profits.get(name) for name in anchors or ("", ""))
    rows = [
        Row(
            seller=name,
            profit=mean_estimate(sold.day_profit),
            difference=mean_estimate(sold.day_profit - theirs),
            share_of_imp=float(sold.day_profit.mean() / theirs.mean()),
            customer_profit=float(sold.customer_profit.sum(axis=1).mean()),
            milliseconds_per_decision=1e3 * sold.seconds_per_decision,
            score=Row._field_defaults["score"]
            if low is None or high is None
            else normalised_score(sold.day_profit, low, high),
        )
        for name, sold in days.items()
    ]
    return sorted(rows, key=lambda row: -row.profit.mean)


def write_results(out: Path, market: Market, days: Mapping[str, Days], rows: list[Row]) -> None:
    """Write the results of sellers on the same days, IMP among them, into a folder, and their report."""
    from lmaas_train.evaluation import figures
    from lmaas_train.report.page import page

    from lmaas_env.render import drawing

    models, scenario = market.catalogue.names, market.scenario
    write_whole(out / "table.csv", csv_text(TABLE, [row.cells for row in rows]))
    write_whole(out / "days.csv", csv_text(DAYS, day_rows(days)))
    write_whole(out / "hours.csv", csv_text(HOURS, _hours(days)))
    write_whole(out / "models.csv", csv_text(MODELS, _models(days, models)))
    if scenario.sellers == 1:  # the prices of rivals are not kept
        write_whole(out / "choices.json", json.dumps(choices(market, days[REFERENCE])) + "\n")
    write_market(out / "scenario.yaml", market)
    write_whole(out / RECORDS, _packed(market, days))
    intervals = {row.seller: (row.profit.low, row.profit.high) for row in rows}
    drawing.save_both(figures.comparison(days, models, intervals, scenario.name), out / "figure.png")
    write_whole(out / "report.html", page(out))


def read_results(folder: Path) -> tuple[Market, dict[str, Days]]:
    """Return the market and the days of each seller that `write_results` has written into a folder.

    Raises
    ------
    ValueError
        If the folder is not complete, or a file is missing or broken.
    """
    check_complete(folder)
    scenario = Scenario.load(folder / "scenario.yaml")
    data = read_bytes(folder / RECORDS)
    try:
        stored = _arrays(data)
        one_site = "population/other_distance" not in stored
        columns = Population._fields[:-1] if one_site else Population._fields
        population = Population(*(stored[f"population/{name}"] for name in columns))
        days = {
            str(name): _days({field: stored[f"days/{i}/{field}"] for field in Days._fields if _has(stored, i, field)})
            for i, name in enumerate(stored["sellers"])
        }
        strategy = str(stored["strategy"][0]) if "strategy" in stored else "rsr"  # older records lack it
        return Market(scenario, population=population, customers=strategy), days
    except (OSError, EOFError, KeyError, RuntimeError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"file {str(folder / RECORDS)!r} cannot be read: {one_line(str(error))}") from error


def kept_days(results: Results, keys: Mapping[str, str | None], name: str, sell: Callable[[], Days]) -> Days:
    """Return a seller's days: those that a results folder keeps under its key, else sold now, and kept if it has one.

    ``keys`` say what each seller is (`lmaas_train.evaluation.sellers.identity`).
    """
    key = keys.get(name)
    return sell() if key is None else _days(results.arrays(f"{name}: {key}", lambda: _fields(sell())))


def _has(stored: Mapping[str, NDArray[Any]], day: int, field: str) -> bool:
    """Return whether a field must be stored: all but those with a default, which older records lack."""
    return field not in Days._field_defaults or f"days/{day}/{field}" in stored


def _fields(days: Days) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(array) for name, array in days._asdict().items()}


def _days(arrays: Mapping[str, NDArray[Any]]) -> Days:
    days = Days(**arrays)  # pyright: ignore[reportArgumentType]
    return days._replace(seconds_per_decision=float(days.seconds_per_decision))


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an archive, each only once its size is known to be that of its bytes.

    Raises
    ------
    ValueError
        If a size is another one than its header says, or all together are larger than `MOST`.
    """
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(it.file_size for it in archive.infolist()) > MOST:
            raise ValueError(f"its arrays have more than {MOST:,} bytes")
        for entry in archive.infolist():
            with archive.open(entry) as file:
                version = np.lib.format.read_magic(file)
                read_header = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }.get(version)
                if read_header is None:
                    raise ValueError(f"array {entry.filename!r} has the unknown format {version}")
                shape, in_columns, dtype = read_header(file)
                if dtype.hasobject or math.prod(shape) * dtype.itemsize != entry.file_size - file.tell():
                    raise ValueError(f"array {entry.filename!r} has another size than its header says")
                array = np.frombuffer(bytearray(file.read()), dtype)
                name = entry.filename.removesuffix(".npy")
                arrays[name] = array.reshape(shape, order="F" if in_columns else "C")
    return arrays


def _packed(market: Market, days: Mapping[str, Days]) -> bytes:
    """Return the customers and the records of every day as an archive of arrays."""
    arrays: dict[str, Any] = {"sellers": np.array(list(days)), "strategy": np.array([market.strategy])}
    arrays |= {f"population/{name}": array for name, array in market.population._asdict().items()}
    for i, sold in enumerate(days.values()):
        arrays |= {f"days/{i}/{name}": array for name, array in _fields(sold).items()}
    written = io.BytesIO()
    np.savez_compressed(written, **arrays)
    return written.getvalue()


def day_rows(days: Mapping[str, Days]) -> list[list[Any]]:
    """Return the totals of every day."""
    return [
        [name, seed, profit, customer_profit]
        for name, sold in days.items()
        for seed, profit, customer_profit in zip(
            sold.seeds.tolist(), sold.day_profit.tolist(), sold.customer_profit.sum(axis=1).tolist(), strict=True
        )
    ]


def _hours(days: Mapping[str, Days]) -> list[list[Any]]:
    """Return means over the days, hour by hour; the charge is the one before the hour."""
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
    """Return what customers chose, and why, in the hour of the first 24 in which a seller earned most.

    Replays the seller's prices up to that hour. Lists run over customers (at most `EXPLAINED`), models and slots;
    amounts in $, durations in h.
    """
    opened, state, draws, *_ = open_days(market, [int(sold.seeds[0])])
    hour = int(np.argmax(sold.profit[0, :HOURS_A_DAY]))
    for earlier in range(hour):
        _, state = opened.settle(sold.prices[:1, earlier], state, draws.at(earlier))
    settlement, _ = opened.settle(sold.prices[:1, hour], state, draws.at(hour))
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
