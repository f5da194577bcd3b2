"""`lmaas study customers`, small: RSR guarantees most in every cell, and the report says what the cells say."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from lmaas_train.__main__ import main
from lmaas_train.studies import customers as study_customers

SOME = {"distance, m": (100.0, 1000.0), "fade budget, slots": (0.0, 6.0), "price, of IMP's": (1.0,)}


def test_the_study_runs_and_rsr_guarantees_most_in_every_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(study_customers, "CONDITIONS", SOME)
    out = tmp_path / "study"
    assert main(["study", "customers", "--populations", "2", "--customers", "20", "--out", str(out)]) == 0
    assert {"cells.csv", "summary.md", "gains.png", "lines.png", "origin.json"} == {path.name for path in out.iterdir()}
    worst: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for row in csv.DictReader((out / "cells.csv").read_text().splitlines()):
        worst[row["condition"], row["value"], row["population"]][row["strategy"]] = float(row["worst"])
        values = [float(row[name]) for name in study_customers.MEASURES]
        assert np.isfinite(values).all()
        assert float(row["in_cvar05"]) <= float(row["in_q05"]) + 1e-9
    assert len(worst) == 10
    for by_strategy in worst.values():
        assert by_strategy["rsr"] == by_strategy["perfect-foresight"]
        assert all(by_strategy["rsr"] >= other - 1e-9 for other in by_strategy.values())
    text = (out / "summary.md").read_text()
    assert text in capsys.readouterr().out
    assert "43.96" in text


def test_risk_of_a_known_distribution() -> None:
    profit = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [4.0, 5.0]])
    weight = np.array([[0.02, 0.0], [0.08, 0.0], [0.4, 0.0], [0.5, 0.0]])
    mean, quantile, cvar = study_customers._risk(profit, weight)
    assert mean == pytest.approx(0.02 + 0.16 + 1.2 + 2.0)
    assert quantile == 2.0
    assert cvar == pytest.approx((0.02 * 1.0 + 0.03 * 2.0) / 0.05)


def test_one_population_has_no_interval_and_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "customers", "--populations", "1", "--out", str(tmp_path / "x")]) == 2
    assert "populations = 1 must be at least 2" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
