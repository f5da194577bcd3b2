"""`lmaas bench scale`, small."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from lmaas_train.__main__ import main
from lmaas_train.bench.scale import Row, growth


@pytest.mark.heavy
def test_it_measures_every_task_in_a_process_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "bench"
    command = ["bench", "scale", "--customers", "1000", "--tasks", "solve", "day", "--out", str(out)]
    assert main(command) == 0
    rows = list(csv.DictReader((out / "scale.csv").read_text().splitlines()))
    assert [(row["task"], row["customers"]) for row in rows] == [("solve", "1000"), ("day", "1000")]
    assert all(float(row["seconds"]) > 0.0 and float(row["peak"]) >= float(row["before"]) > 2e7 for row in rows)
    assert "| solve |" in (out / "summary.md").read_text()
    assert (out / "scale.png").stat().st_size > 0
    assert "bytes each" in capsys.readouterr().out


def test_the_exponent_is_that_of_the_larger_sizes() -> None:
    rows = [Row("solve", size, 1e-6 * size**1.5, 0.0, 0.0) for size in (10, 100, 1000)]
    assert growth(rows, "solve") == pytest.approx(1.5)
    assert math.isnan(growth(rows[:1], "solve"))


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--customers", "10"], "customers = 10 must be >= 1000"), (["--tasks", "sing"], "tasks = 'sing' must be one of")],
)
def test_bad_options_are_refused(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "scale", *options, "--out", str(tmp_path / "x")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
