"""`lmaas study ahead`, small."""

from __future__ import annotations

import csv
import subprocess
import sys
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


def test_the_benchmark_of_other_worths_of_charge_pairs_days_with_look_ahead_imp(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "worth.py"
    small = ["--scenarios", "scarce", "--days", "2", "--sold-days", "4", "--rounds", "1", "--out", "out"]
    done = subprocess.run([sys.executable, script, *small], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, *ways = csv.DictReader((tmp_path / "out" / "ways.csv").read_text().splitlines())
    assert [row["way"] for row in ways] == ["exact", "own days, round 1", "own days, by state, round 1"]
    for row in ways:
        assert float(row["profit"]) - float(first["profit"]) == pytest.approx(float(row["added"]), abs=1e-9)
        assert 0.9 < float(row["ratio"]) < 1.1
        assert float(row["added"]) != 0.0
