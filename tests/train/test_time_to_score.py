"""Time to score: first evaluations at or above a share of IMP, medians over runs, and levels that are not reached."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from lmaas_train.evaluation.time_to_score import (
    LEVELS,
    read_curve,
    time_table,
    times_to_score,
    write_times,
)
from rich.console import Console

STEPS, SECONDS = [0, 100, 200, 300], [0.0, 1.0, 2.0, 3.0]


def runs() -> list[np.ndarray]:
    """Three runs, which reach 1.00 after 1, 2 and 3 s, 1.03 after 2, 3 s and never, and 1.07 once, after 3 s."""
    shares = ([0.9, 1.0, 1.03, 1.08], [0.9, 0.99, 1.01, 1.04], [0.9, 0.95, 0.99, 1.0])
    return [np.array([STEPS, SECONDS, share]) for share in shares]


def test_a_level_is_reached_at_the_first_evaluation_at_or_above_it() -> None:
    found = {it.share_of_imp: it for it in times_to_score({"ppo": runs()})}
    assert list(found) == list(LEVELS)
    assert found[1.0][3:] == (3, 200, 2.0, 1.0, 3.0)
    assert found[1.03][3:] == (2, 300, 3.0, 2.0, math.inf)
    assert found[1.07][3:] == (1, math.inf, math.inf, 3.0, math.inf)


def test_half_of_the_runs_are_not_enough_for_a_median() -> None:
    found = times_to_score({"ppo": runs()[1:]})
    assert (found[1].reached, found[1].seconds) == (1, math.inf)


def test_ways_without_shares_are_left_out() -> None:
    assert times_to_score({"sb3": [np.array([STEPS, SECONDS, [math.nan] * 4])]}) == []


def test_the_table_and_the_file_say_what_is_not_reached(tmp_path: Path) -> None:
    found = times_to_score({"ppo": runs()})
    text = io.StringIO()
    Console(file=text, width=80).print(time_table(found, Console(file=text, width=80)))
    assert "2 [1, 3]" in text.getvalue()
    assert "3 [2, never]" in text.getvalue()
    assert "1 of 3 runs" in text.getvalue()
    write_times(tmp_path, found)
    assert (tmp_path / "time_to_score.csv").read_text().splitlines()[4] == "ppo,1.07,3,1,,,3.0,"


def test_a_curve_without_shares_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "evaluations.csv").write_text("step,seconds,mean_day_profit,standard_error\n96,2.5,12,1\n")
    curve = read_curve(tmp_path / "evaluations.csv")
    assert curve[:3].T.tolist() == [[96.0, 2.5, 12.0]]
    assert np.isnan(curve[3]).all()
