"""The progress bar of every command: count, rate and remaining time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

Item = TypeVar("Item")
WIDE = 78  # columns of a terminal that hold all parts of the bar


class Rate(ProgressColumn):
    """Steps per second, or seconds per step where they are slow."""

    def render(self, task: Task) -> Text:
        """Return the rate, nothing before it is known."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1.0 else f"{1.0 / speed:.1f} s each")


def bars(console: Console) -> Progress:
    """Return progress bars, whose tasks have a field ``unit``; they show on terminals only and leave nothing behind."""
    wide = console.width >= WIDE
    columns: list[ProgressColumn] = [TextColumn(f"{{task.description:<{28 if wide else 20}}}")]
    columns += [BarColumn(bar_width=16)] if wide else []
    columns += [MofNCompleteColumn(), TextColumn("{task.fields[unit]}"), Rate(), TimeRemainingColumn()]
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def track(items: Sequence[Item], description: str, unit: str, console: Console) -> Iterable[Item]:
    """Iterate over items with a progress bar."""
    with bars(console) as progress:
        task = progress.add_task(description, total=len(items), unit=unit)
        for item in items:
            yield item
            progress.advance(task)
