"""`lmaas study energy-value`, small."""

from __future__ import annotations

import csv
import functools
from pathlib import Path

import pytest
from lmaas_agents.bounds import Effort, mean_energy_value
from lmaas_train.studies import energy_value
from lmaas_train.studies.energy_value import StudyEnergyValue


@pytest.mark.heavy
def test_days_are_paired_with_look_ahead_imp(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, quick = tmp_path / "out", Effort(charges=8, prices=64, steps=4, renewals=1)
    monkeypatch.setattr(energy_value, "mean_energy_value", functools.partial(mean_energy_value, effort=quick))
    rows = StudyEnergyValue(
        scenarios=("scarce",), days=2, sold_days=4, rounds=1, bounded_days=1, rollouts=4, evaluations=8, out=out
    ).main()
    first, *ways = csv.DictReader((out / "ways.csv").read_text().splitlines())
    assert len(rows) == 1 + len(ways)
    assert [row["way"] for row in ways] == [
        "exact",
        "bound",
        "rollouts",
        "searched",
        "own days, round 1",
        "own days, by state, round 1",
    ]
    for row in ways:
        assert float(row["profit"]) - float(first["profit"]) == pytest.approx(float(row["added"]), abs=1e-9)
        assert 0.9 < float(row["ratio"]) < 1.1
        assert float(row["added"]) != 0.0
    assert (out / "origin.json").exists()
    assert "scarce, exact:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"days": 1}, "days = 1 and rollouts = 64 must be >= 2"),
        ({"rounds": 0}, "rounds = 0, bounded_days = 3 and evaluations = 120 >= 1"),
        ({"scenarios": ()}, "at least one"),
    ],
)
def test_bad_options_are_refused_before_anything_is_sold(
    tmp_path: Path, wrong: dict[str, object], message: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=message):
        StudyEnergyValue(**{"out": out, **wrong}).main()  # pyright: ignore[reportArgumentType]
    assert not out.exists()
