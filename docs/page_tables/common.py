"""What tables of the pages share: committed results, and how their numbers are shown."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from lmaas_train.markdown import markdown_table

ROOT = Path(__file__).parents[2]
SCENARIOS = ("day", "scarce", "abundant", "public")  # those with a folder of `lmaas compare` under benchmarks/
NO_BREAK = "\u00a0"  # no line break inside a number with its interval


def table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table."""
    return "\n".join(markdown_table(list(headings), [[str(cell) for cell in row] for row in rows]))


def rows_of(name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file under benchmarks/."""
    with (ROOT / "benchmarks" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sellers_of(name: str) -> dict[str, dict[str, str]]:
    """Return the rows of a table by seller."""
    return {row["seller"]: row for row in rows_of(name)}


def profit_and_share(row: Mapping[str, str], best: float) -> tuple[str, str]:
    """Return a row's profit in $, and as a share of the best."""
    return f"{float(row['profit']):.0f}", f"{float(row['profit']) / best:.3f}"


def mean_bound(scenario: str) -> float:
    """Return the mean certified bound on any seller's day; it does not depend on what sellers see."""
    bounds = [float(row["bound"]) for row in rows_of(f"bound/{'day' if scenario == 'public' else scenario}/days.csv")]
    return sum(bounds) / len(bounds)


def interval(row: Mapping[str, str], name: str, form: str) -> str:
    """Return a mean with its interval, which stays on one line."""
    mean, low, high = (form.format(float(row[key])) for key in (name, f"{name}_low", f"{name}_high"))
    return f"{mean} [{low}, {high}]".replace(" ", NO_BREAK)
