"""`lmaas study seller`, small."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from lmaas_train.__main__ import main
from lmaas_train.studies.seller import with_model_count

from lmaas_env import Scenario


@pytest.mark.heavy
def test_no_search_passes_the_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "study"
    arguments = ["--populations", "1", "--day-populations", "0", "--seconds", "1", "--gap", "0.01"]
    arguments += ["--growth-populations", "1", "--largest", "24"]
    assert main(["study", "seller", *arguments, "--out", str(out)]) == 0
    rows = list(csv.DictReader((out / "instances.csv").read_text().splitlines()))
    assert {row["search"] for row in rows} >= {
        "imp",
        "imp, one start",
        "imp, 10 restarts",
        "exhaustive",
        "differential evolution",
        "branch and bound",
    }
    assert all(0.0 < float(row["profit"]) <= float(row["bound"]) for row in rows)
    growth = list(csv.DictReader((out / "growth.csv").read_text().splitlines()))
    assert [int(row["models"]) for row in growth] == [1, 2, 4, 5, 6, 8, 16]
    assert all(float(row["best_known"]) <= float(row["proven_bound"]) for row in growth)
    assert all(float(row["one_start"]) <= float(row["shipped"]) <= float(row["personalised_bound"]) for row in growth)
    assert min((out / name).stat().st_size for name in ("curves.png", "landscape.png")) > 10_000
    assert (out / "summary.md").read_text() in capsys.readouterr().out


def test_bad_counts_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "seller", "--populations", "0", "--out", str(tmp_path / "x")]) == 2
    assert "populations = 0 must be >= 1" in capsys.readouterr().err


def test_models_in_between_leave_the_scenarios_own_at_their_places() -> None:
    own = Scenario.preset("static")
    seven = with_model_count(own, 7)
    assert seven.quality_high[::2] == pytest.approx(own.quality_high)
    assert list(seven.serving_cost) == sorted(seven.serving_cost)
    assert with_model_count(own, 2).training_cost == own.training_cost[:2]
