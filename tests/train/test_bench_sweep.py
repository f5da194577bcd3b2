"""`lmaas bench sweep`, small."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from lmaas_train.__main__ import main
from lmaas_train.bench import sweep
from lmaas_train.bench.sweep import Costs


@pytest.mark.heavy
def test_costs_are_measured_and_a_sweep_is_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sweep, "LANES", (16, 64))
    out = tmp_path / "bench"
    command = ["bench", "sweep", "static", "--cells", "2", "--steps", "20", "--seconds", "0.01", "--jobs", "1"]
    assert main([*command, "--out", str(out)]) == 0
    (row,) = csv.DictReader((out / "costs.csv").read_text().splitlines())
    assert row["engine"] == "local"
    assert all(float(row[name]) > 0.0 for name in ("start", "transfer", "cell", "step", "learner", "measured"))
    for name in ("throughput.csv", "learner.csv"):
        assert [row["lanes"] for row in csv.DictReader((out / name).read_text().splitlines())] == ["16", "64"]
    text = (out / "summary.md").read_text()
    assert "512 cells of 2,000,000 steps" in text
    assert "predicted" in capsys.readouterr().out


def test_a_sweep_takes_its_start_and_then_as_many_rounds_as_workers_need() -> None:
    costs = Costs("local", 2, start=10.0, transfer=0.5, cell=3.5, step=1e-5, learner=3e-5, predicted=0.0, measured=0.0)
    assert costs.of_sweep(cells=4, steps=100_000, workers=2) == pytest.approx(10.0 + 2 * (4.0 + 4.0))
    assert costs.of_sweep(cells=4, steps=100_000, workers=2, started=True) == pytest.approx(2 * 8.0)
    assert costs.of_sweep(cells=5, steps=100_000, workers=2) == pytest.approx(10.0 + 3 * 8.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cells", "0"], "cells = 0 must be >= 1"),
        (["--seconds", "0"], "seconds = 0.0 must be above 0, and finite"),
        (["--jobs", "0"], "jobs = 0 must be at least 1"),
        (["--address", "here:1"], "address = 'here:1' needs engine = 'ray'"),
    ],
)
def test_bad_options_are_refused(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "sweep", *options, "--out", str(tmp_path / "x")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
