"""`lmaas study energy-value`, small."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from lmaas_train.studies.energy_value import StudyEnergyValue


def test_days_are_paired_with_look_ahead_imp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    rows = StudyEnergyValue(scenarios=("scarce",), days=2, sold_days=4, rounds=1, out=out).main()
    first, *ways = csv.DictReader((out / "ways.csv").read_text().splitlines())
    assert len(rows) == 1 + len(ways)
    assert [row["way"] for row in ways] == ["exact", "own days, round 1", "own days, by state, round 1"]
    for row in ways:
        assert float(row["profit"]) - float(first["profit"]) == pytest.approx(float(row["added"]), abs=1e-9)
        assert 0.9 < float(row["ratio"]) < 1.1
        assert float(row["added"]) != 0.0
    assert (out / "origin.json").exists()
    assert "scarce, exact:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"days": 1}, "days = 1 must be >= 2"), ({"rounds": 0}, "rounds = 0 >= 1"), ({"scenarios": ()}, "at least one")],
)
def test_bad_options_are_refused_before_anything_is_sold(
    tmp_path: Path, wrong: dict[str, object], message: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=message):
        StudyEnergyValue(**{"out": out, **wrong}).main()  # pyright: ignore[reportArgumentType]
    assert not out.exists()
