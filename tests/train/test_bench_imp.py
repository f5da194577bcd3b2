"""`lmaas bench imp`, small."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from lmaas_agents import IMP
from lmaas_train.__main__ import main
from lmaas_train.bench.imp import grid_line_search

from lmaas_env import Market


def test_it_times_every_size_and_imp_earns_what_the_grid_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench"
    assert main(["bench", "imp", "--customers", "24", "--repeats", "1", "--out", str(out)]) == 0
    rows = list(csv.DictReader((out / "imp.csv").read_text().splitlines()))
    assert [(row["models"], row["anticipate"]) for row in rows] == [
        (models, how) for models in ("4", "1", "8", "16") for how in ("worst_case", "expected")
    ]
    assert all(float(row["profit_over_grid"]) > 0.97 for row in rows)
    assert "IMP on static markets" in capsys.readouterr().out


def test_the_grid_line_search_reports_a_profit_that_its_grid_has() -> None:
    market = Market("static", seed=1)
    imp, terms = IMP(market), market.terms(market.initial_state(np.random.default_rng(1)))
    coarse, fine = grid_line_search(imp, terms, 20)[0], grid_line_search(imp, terms, 400)[0]
    assert coarse < fine <= imp.bound(terms)


def test_bad_counts_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "imp", "--repeats", "0", "--out", str(tmp_path / "x")]) == 2
    assert "repeats = 0 must be >= 1" in capsys.readouterr().err
