"""`lmaas study ahead`, small."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from lmaas_train.__main__ import main


def test_sellers_stay_below_the_bound_day_by_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "study"
    small = ["--scenarios", "scarce", "public", "--populations", "0", "--days", "2", "--bounded-days", "1"]
    assert main(["study", "ahead", *small, "--levels", "16", "--cells", "16", "--out", str(out)]) == 0
    rows = list(csv.DictReader((out / "days.csv").read_text().splitlines()))
    for scenario, sellers in (
        ("scarce", {"imp", "lookahead", "public-lookahead"}),
        ("public", {"imp", "public-lookahead"}),
    ):
        own = [row for row in rows if row["scenario"] == scenario]
        assert {row["seller"] for row in own} == sellers | {"bound"}
        bound = next(row for row in own if row["seller"] == "bound")
        first = [row for row in own if row["day_seed"] == bound["day_seed"]]
        assert all(float(row["profit"]) <= float(bound["profit"]) for row in first)
    assert (out / "summary.md").read_text() in capsys.readouterr().out


def test_bad_counts_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "ahead", "--days", "2", "--bounded-days", "3", "--out", str(tmp_path / "x")]) == 2
    assert "bounded_days = 3 in 0..2" in capsys.readouterr().err
