"""`lmaas study ahead`, small."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from lmaas_train.__main__ import main


@pytest.mark.heavy
def test_sellers_are_paired_with_imp_day_by_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "study"
    small = ["--scenarios", "scarce", "public", "--populations", "0", "--days", "2"]
    assert main(["study", "ahead", *small, "--out", str(out)]) == 0
    rows = list(csv.DictReader((out / "days.csv").read_text().splitlines()))
    for scenario, sellers in (
        ("scarce", {"imp", "lookahead", "public-lookahead"}),
        ("public", {"imp", "public-lookahead"}),
    ):
        own = [row for row in rows if row["scenario"] == scenario]
        assert {row["seller"] for row in own} == sellers
        assert len(own) == 2 * len(sellers)
    assert (out / "summary.md").read_text() in capsys.readouterr().out


def test_bad_counts_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "ahead", "--days", "1", "--out", str(tmp_path / "x")]) == 2
    assert "days = 1 must be >= 2" in capsys.readouterr().err
