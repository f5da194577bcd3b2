"""`lmaas study seller`, small."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from train.__main__ import main


def test_no_search_passes_the_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "study"
    arguments = ["--populations", "1", "--day-populations", "0", "--seconds", "1", "--gap", "0.01"]
    assert main(["study", "seller", *arguments, "--out", str(out)]) == 0
    rows = list(csv.DictReader((out / "instances.csv").read_text().splitlines()))
    assert {row["search"] for row in rows} >= {"imp", "exhaustive", "differential evolution", "branch and bound"}
    assert all(0.0 < float(row["profit"]) <= float(row["bound"]) for row in rows)
    assert (out / "summary.md").read_text() in capsys.readouterr().out


def test_bad_counts_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "seller", "--populations", "0", "--out", str(tmp_path / "x")]) == 2
    assert "populations = 0 must be >= 1" in capsys.readouterr().err
