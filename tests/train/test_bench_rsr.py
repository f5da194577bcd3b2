"""`lmaas bench rsr`, small: every peer gives RSR's answer; times are not tested."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from lmaas_train.__main__ import main


def test_every_peer_agrees_with_rsr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "bench"
    assert main(["bench", "rsr", "--customers", "2", "--slots", "2", "--out", str(out)]) == 0
    rows = list(csv.DictReader((out / "peers.csv").read_text().splitlines()))
    assert {row["method"] for row in rows} >= {"RSR", "enumeration, SLSQP", "enumeration, Clarabel"}
    assert max(float(row["largest_relative_deviation"]) for row in rows) < 1e-6
    assert "RSR" in capsys.readouterr().out
