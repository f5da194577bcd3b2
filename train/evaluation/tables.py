"""Tables and numbers of the terminal: the same rounding everywhere, and columns that fit its width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from lmaas_train.evaluation.days import REFERENCE
from lmaas_train.evaluation.results import Row
from lmaas_train.evaluation.statistics import Estimate
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from lmaas_env.render.drawing import milliseconds, seller_label

NARROWEST = 8  # characters of a name that is folded
GAP = 2  # characters between two columns


class Column(NamedTuple):
    """A heading, its cells, and a note for the caption.

    A narrow table leaves out the columns of the highest ``drop`` first, those of 0 never.
    """

    heading: str
    cells: Sequence[str]
    drop: int = 0
    note: str = ""

    @property
    def width(self) -> int:
        """Number of characters of the widest line."""
        return max(len(line) for cell in (self.heading, *self.cells) for line in cell.split("\n"))


def table(console: Console, names: Column, numbers: Sequence[Column], title: str = "", note: str = "") -> Group:
    """Return a table that fits the console: least important columns are left out, then names are folded.

    Parameters
    ----------
    console : Console
    names : Column
        The first column, aligned to the left.
    numbers : sequence of Column
        Aligned to the right, never cut.
    title, note : str
        Text above, and below it with the notes of the columns, wrapped to the console.
    """
    kept = fitting(console.width - min(names.width, 20) - 1, numbers)
    space = console.width - 1 - sum(column.width + GAP for column in kept)
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    shown.add_column(names.heading, overflow="fold", max_width=max(NARROWEST, space))
    for column in kept:
        shown.add_column(column.heading, justify="right", no_wrap=True)
    for row in zip(names.cells, *(column.cells for column in kept), strict=True):
        shown.add_row(*(Text(cell) for cell in row))
    notes = "; ".join(dict.fromkeys(it for it in (*(column.note for column in kept), note) if it))
    parts: list[RenderableType] = [Text(title, style="bold")] if title else []
    return Group(*parts, shown, *([Text(notes, style="dim")] if notes else []))


def comparison_table(
    rows: Sequence[Row],
    scenario: str,
    count: int,
    console: Console,
    reference: str = REFERENCE,
    anchors: tuple[str, str] | None = None,
) -> Group:
    """Return the rows of a comparison as a table that fits the console; ``anchors`` score 0 and 1."""
    minus = ["" if row.seller == reference else with_interval(row.difference, "+,.0f") for row in rows]
    scores = [f"{row.score.mean:z.2f}" if math.isfinite(row.score.mean) else "" for row in rows]
    known, (low, high) = seller_label(reference), map(seller_label, anchors or ("", ""))
    return table(
        console,
        Column("seller", [row.seller for row in rows]),
        [
            Column("profit", [with_interval(row.profit, "z,.0f") for row in rows]),
            Column(f"minus {known}", minus, note=f"minus {known}: paired by day"),
            Column(f"/ {known}", [f"{row.share_of_imp:.3f}" for row in rows], drop=1),
            Column(
                "cust.",
                [dollars(row.customer_profit) for row in rows],
                drop=2,
                note="cust.: customers' profit, $ per day",
            ),
            *([Column("score", scores, drop=3, note=f"score: {low} 0, {high} 1")] if any(scores) else []),
            Column(
                "ms", [milliseconds(row.milliseconds_per_decision) for row in rows], drop=4, note="ms: per decision"
            ),
        ],
        title=f"{scenario}: seller's profit in $ per day, {days(count)}",
    )


def fitting(width: int, columns: Sequence[Column]) -> list[Column]:
    """Return the columns that fit, without those of the highest ``drop`` where they do not."""
    kept = list(columns)
    while sum(column.width + GAP for column in kept) > width and any(column.drop for column in kept):
        last = max(column.drop for column in kept)
        kept = [column for column in kept if column.drop != last]
    return kept


def lines(console: Console, rows: Sequence[tuple[str, str]]) -> Table:
    """Return labelled lines of text; a text that does not fit continues below itself."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(max_width=console.width - max(len(label) for label, _ in rows) - 2)
    for label, text in rows:
        grid.add_row(Text(label), Text(text))
    return grid


def dollars(value: float, signed: bool = False) -> str:
    """Return dollars a day, without cents."""
    return f"{value:+,.0f}" if signed else f"{value:z,.0f}"


def cents(value: float, signed: bool = False) -> str:
    """Return dollars of one period, with cents."""
    return f"{value:+,.2f}" if signed else f"{value:z,.2f}"


def with_interval(estimate: Estimate, form: str) -> str:
    """Return an estimate with its interval, or without one where there is none."""
    mean, low, high = (format(value, form) for value in estimate)
    return f"{mean} [{low}, {high}]" if math.isfinite(estimate.low) else mean


def days(count: int) -> str:
    """Return a number of held-out days, and that the table holds intervals where there are several."""
    return "1 held-out day" if count == 1 else f"{count:,} held-out days [95 % interval]"
