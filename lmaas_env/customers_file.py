"""CSV files of customers: one line per customer, units in the header."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence

import numpy as np

from lmaas_env.fields import in_range, shown
from lmaas_env.files import read_text
from lmaas_env.types import FloatArray

# Unit and range of a customer's numbers, by their names in `lmaas_env.Population`; a scenario draws them from the same.
LIMITS: dict[str, tuple[str, float, float]] = {
    "distance": ("m", 1.0, 1e5),
    "bandwidth": ("Hz", 1.0, 1e10),
    "capacity": ("Wh", 1e-9, 1e6),
    "saturation": ("1/h", 1e-6, 1e6),
    "fade_depth": ("dB", 0.0, 100.0),
    "fade_budget": ("slots", 0, 96),
    "task_value": ("$", 0.0, 1e30),
}
COLUMNS = ("distance_m", "bandwidth_hz", "capacity_wh", "saturation_per_h", "fade_depth_db", "fade_budget_slots")
OTHER_DISTANCE = "distance_m_{}"  # to the sites of sellers 2, 3, ...; these columns may be left out
SLOTS = 96  # at most, in one period
LARGEST = 2**30  # bytes of a file
_VALUE_COLUMN = "task_value_{}_usd"


def read(path: str | os.PathLike[str]) -> tuple[FloatArray, int]:
    """Return the numbers of a customers' file, (N, 6 + J + L), and J: `COLUMNS`, J `OTHER_DISTANCE`, L task values.

    Raises
    ------
    ValueError
        If a column is missing or a value is not a number in its range; the message names file, line and column.
    """
    return parse(read_text(path, "customers", LARGEST), os.fspath(path))


def parse(text: str, source: str) -> tuple[FloatArray, int]:
    """As `read`, of a file's text; ``source`` is its name in messages."""
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise ValueError(f"customers file {source!r} is not valid CSV: {error}") from error
    header = rows[0] if rows else []
    others = 0
    while header[len(COLUMNS) + others : len(COLUMNS) + others + 1] == [OTHER_DISTANCE.format(others + 2)]:
        others += 1
    expected = _header(min(max(len(header) - len(COLUMNS) - others, 1), SLOTS), others)
    if header != expected:
        wrong = next((i for i, pair in enumerate(zip(header, expected, strict=False)) if pair[0] != pair[1]), None)
        held = f"holds {len(header)}" if wrong is None else f"number {wrong + 1} is {shown(header[wrong])}"
        raise ValueError(f"customers file {source!r}, line 1: the columns must be {_named(expected)}; {held}")
    if len(rows) < 2:
        raise ValueError(f"customers file {source!r} has no customers")
    numbers = np.empty((len(rows) - 1, len(expected)))
    names = [*list(LIMITS)[: len(COLUMNS)], *["distance"] * others]
    names += ["task_value"] * (len(expected) - len(names))
    for i, row in enumerate(rows[1:]):
        if len(row) != len(expected):
            raise ValueError(f"customers file {source!r}, line {i + 2}: {len(row)} values, {len(expected)} columns")
        for j, entry in enumerate(row):
            numbers[i, j] = _parsed(entry, names[j], f"customers file {source!r}, line {i + 2}: {expected[j]}")
    return numbers, others


def _named(columns: list[str]) -> str:
    """Return columns in one line, of the task values the first and the last."""
    if len(columns) > len(COLUMNS) + 2:
        columns = [*columns[: len(COLUMNS) + 1], "...", columns[-1]]
    return ",".join(columns)


def text_of(slots: int, rows: Iterable[Sequence[int | float]], others: int = 0) -> str:
    """Return a customers' file as text; reading it back gives the same numbers."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_header(slots, others))
    writer.writerows(rows)
    return out.getvalue()


def sizes(path: str | os.PathLike[str]) -> dict[str, int]:
    """Return the numbers of customers and slots that a file holds, by their names in a scenario."""
    numbers, others = read(path)
    return {"customers": len(numbers), "slots": numbers.shape[1] - len(COLUMNS) - others}


def _header(slots: int, others: int) -> list[str]:
    elsewhere = [OTHER_DISTANCE.format(j + 2) for j in range(others)]
    return [*COLUMNS, *elsewhere, *(_VALUE_COLUMN.format(i + 1) for i in range(slots))]


def _parsed(entry: str, name: str, where: str) -> int | float:
    unit, low, high = LIMITS[name]
    kind = int if name == "fade_budget" else float
    try:
        return in_range(where, float(entry.replace("_", "?")), kind, low, high, unit)  # Python reads 1_00 as 100
    except ValueError:
        return in_range(where, entry, kind, low, high, unit)  # the message shows the text of the file
