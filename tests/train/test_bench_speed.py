"""`lmaas bench speed`, small, and its references."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from lmaas_train.__main__ import main
from lmaas_train.bench.plain_step import plain_steps
from lmaas_train.bench.speed import NATIVE, TARGETS, SpeedRow, changed, read_rows

from lmaas_env import Market
from lmaas_env.engine.period import state_after
from lmaas_env.market import settlement_of
from lmaas_env.seeds import draw_days
from lmaas_env.state import Draws

SMALL = ["bench", "speed", "--lanes", "2", "--seconds", "0.01", "--customers", "100", "--memory-steps", "100"]


@pytest.mark.heavy
def test_it_times_every_row_and_compares_itself_with_an_older_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmaas_train.bench.speed.SIZES", {"customers": (10, 100), "lanes": (1, 2)})
    monkeypatch.setattr("lmaas_train.bench.speed.UPDATES", 1)
    first, older = tmp_path / "first", tmp_path / "older.csv"
    older.write_text(f"{','.join(SpeedRow._fields)}\n{NATIVE},2,1.5,1.0,2.0,5\n")
    assert main([*SMALL, "--against", str(older), "--out", str(first)]) == 0
    names = [row["name"] for row in csv.DictReader((first / "speed.csv").read_text().splitlines())]
    assert {name for target in TARGETS for name in target[:2]} <= set(names)
    assert (first / "growth.png").stat().st_size > 10_000
    page = (first / "summary.md").read_text()
    assert "steps/s of" in page
    assert "KiB of arrays per lane" in page
    assert {row.name for row in read_rows(first / "speed.csv")} == set(names)
    table = capsys.readouterr().out.partition("against the older run")[2]
    assert "faster" in next(line for line in table.splitlines() if NATIVE in line)


@pytest.mark.heavy
def test_the_plain_step_settles_as_the_market_does() -> None:
    market, lanes = Market("day"), 5
    state, days = draw_days(market, range(lanes))
    prices = np.random.default_rng(0).uniform(4.0, 30.0, (lanes, 4))
    draws, record = Draws(*(np.empty_like(array[:1]) for array in days)), market.new_record(lanes)
    plain_steps(market.constants, prices, state, draws, np.random.default_rng(3), record)
    settlement, after = market.settle(prices, state, draws.at(0))
    plain = settlement_of(prices, draws.faded[0], record)
    assert (plain.choice == settlement.choice).all()
    assert plain.hours == pytest.approx(settlement.hours, abs=1e-9)
    assert plain.profit == pytest.approx(settlement.profit, abs=1e-8)
    assert state_after(record).charge == pytest.approx(after.charge, abs=1e-9)


def test_only_quartiles_that_do_not_overlap_are_beyond_noise() -> None:
    before = SpeedRow("x", 1, 100.0, 90.0, 110.0, 5)
    assert changed(before, before._replace(low=80.0, high=89.0)) == "slower"
    assert changed(before, before._replace(low=111.0, high=120.0)) == "faster"
    assert changed(before, before._replace(low=80.0, high=95.0)) == ""


@pytest.mark.parametrize(
    "text", ["", "name,lanes\nx,1\n", "name,lanes,steps_per_second,low,high,timings\nx,1,a,1,1,1\n"]
)
def test_a_file_that_is_not_a_speed_csv_is_refused_before_anything_is_timed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    old = tmp_path / "old.csv"
    old.write_text(text)
    out = tmp_path / "out"
    assert main([*SMALL, "--against", str(old), "--out", str(out)]) == 2
    assert "is not a speed.csv of this command" in capsys.readouterr().err
    assert not out.exists()
    assert main([*SMALL[:2], "--lanes", "0", "--out", str(out)]) == 2
    assert "lanes = 0 must be >= 1" in capsys.readouterr().err


def test_rows_survive_writing_and_reading(tmp_path: Path) -> None:
    row = SpeedRow("a, b", 2, 1.5, 1.25, 2.0, 7)
    path = tmp_path / "speed.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([SpeedRow._fields, row])
    assert read_rows(path) == [row]
