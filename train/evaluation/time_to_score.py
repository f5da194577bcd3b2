"""Time to score: how soon trainings reach a share of IMP's profit on tuning days."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from lmaas_train.evaluation import result_files
from lmaas_train.evaluation.tables import Column, table
from lmaas_train.runs import csv_text
from rich.console import Console, Group

from lmaas_env.files import write_whole

LEVELS = (1.0, 1.03, 1.05, 1.07)  # shares of IMP's profit
FILE = "time_to_score.csv"


class Reached(NamedTuple):
    """How soon the runs of one way to train reach a share of IMP.

    Steps and seconds are medians over all runs, infinite where fewer than half of them reach it; ``fastest`` and
    ``slowest`` are seconds.
    """

    way: str
    share_of_imp: float
    runs: int
    reached: int
    steps: float
    seconds: float
    fastest: float
    slowest: float


def times_to_score(curves: Mapping[str, Sequence[np.ndarray]]) -> list[Reached]:
    """Return how soon runs reach each of `LEVELS`.

    Parameters
    ----------
    curves : mapping of str to arrays (3, T)
        Of each way to train, one array per run: steps, seconds, and the share of IMP's profit on the same tuning days,
        NaN where it is not known. Ways of which it is not known are left out.
    """
    found: list[Reached] = []
    for way, runs in curves.items():
        known = [run for run in runs if np.isfinite(run[2]).any()]
        for level in LEVELS if known else ():
            first = [run[:2, run[2] >= level] for run in known]
            steps, seconds = np.array([it[:, 0] if it.size else (math.inf, math.inf) for it in first]).T
            reached = int(np.isfinite(seconds).sum())
            ends = float(seconds.min()), float(seconds.max())
            found.append(Reached(way, level, len(known), reached, _median(steps), _median(seconds), *ends))
    return found


def _median(values: np.ndarray) -> float:
    """Return the upper median, which is infinite where half of the values are; numpy's would be NaN."""
    return float(np.sort(values)[len(values) // 2])


def write_times(out: Path, times: Sequence[Reached]) -> None:
    """Write time_to_score.csv; cells are empty where a level is not reached."""
    rows = [["" if isinstance(cell, float) and math.isinf(cell) else cell for cell in row] for row in times]
    write_whole(out / FILE, csv_text(Reached._fields, rows))


def read_curve(path: Path) -> np.ndarray:
    """Return steps, seconds, profit on tuning days and share of IMP's of a learning curve, (4, T), NaN for unknown."""
    names = ("step", "seconds", "mean_day_profit", "share_of_imp")
    return np.array([[row.get(name, math.nan) for name in names] for row in result_files.table(path)]).T


def time_table(times: Sequence[Reached], console: Console) -> Group:
    """Return the seconds to each level as a table that fits the console."""
    ways = list(dict.fromkeys(it.way for it in times))
    columns = [Column(f"{level:.2f}", [_seconds(it) for it in times if it.share_of_imp == level]) for level in LEVELS]
    title = "Seconds of training to a share of IMP's profit on tuning days"
    return table(console, Column("trained", ways), columns, title=title, note="median [fastest, slowest] run")


def _seconds(reached: Reached) -> str:
    if math.isinf(reached.seconds):
        return f"{reached.reached} of {reached.runs} runs"
    ends = f"{reached.fastest:.0f}, " + ("never" if math.isinf(reached.slowest) else f"{reached.slowest:.0f}")
    return f"{reached.seconds:.0f} [{ends}]"
