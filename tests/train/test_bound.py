"""`lmaas bound`: files, shares, resuming, and refusals."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from lmaas_train.cli.bound import Bound, bound

QUICK = {"days": 2, "sellers": ("random",), "charges": 4, "prices": 16, "proof_prices": 64, "steps": 4, "start_days": 1}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_bounds_are_written_resumed_and_exceed_every_seller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bound"
    with monkeypatch.context() as stopped:
        stopped.setattr("lmaas_train.cli.bound.bound_figure", None)
        with pytest.raises(TypeError):
            bound(Bound("mini", out=out, **QUICK))
    with pytest.raises(ValueError, match=r"other settings \(effort\)"):
        bound(Bound("mini", out=out, **{**QUICK, "steps": 5}))
    with monkeypatch.context() as again:  # no day is bounded again
        again.setattr("lmaas_train.cli.bound.dynamic_bound", None)
        again.setattr("lmaas_train.cli.bound.mean_energy_value", None)
        found = bound(Bound("mini", out=out, **QUICK))
    assert [row.seller for row in found] == ["imp", "random"]
    assert "no seller earns more than" in capsys.readouterr().out
    days = rows_of(out / "days.csv")
    assert len(days) == 2
    for row in days:
        assert float(row["random"]) <= float(row["imp"]) <= float(row["clairvoyant"]) <= float(row["bound"])
    shares = {row["seller"]: float(row["share"]) for row in rows_of(out / "sellers.csv")}
    expected = np.mean([float(row["imp"]) for row in days]) / np.mean([float(row["bound"]) for row in days])
    assert shares["imp"] == pytest.approx(expected, rel=1e-12)
    assert {row["day_seed"] for row in rows_of(out / "descent.csv")} == {row["day_seed"] for row in days}
    assert "share of the bound" in (out / "summary.md").read_text()
    with pytest.raises(ValueError, match="exists already"):
        bound(Bound("mini", out=out, **QUICK))


def test_folders_and_numbers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    with pytest.raises(ValueError, match="exists already"):
        bound(Bound("mini", out=tmp_path / "other", **QUICK))
    with pytest.raises(ValueError, match="jobs = 0 must be at least 1"):
        bound(Bound("mini", out=tmp_path / "new", jobs=0, **QUICK))
    with pytest.raises(ValueError, match=r"power of two"):
        bound(Bound("mini", out=tmp_path / "new", **{**QUICK, "prices": 3}))
    assert not (tmp_path / "new").exists()
