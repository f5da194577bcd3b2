"""`lmaas bench kernel`, small: files are whole, and the references that it times give the kernel's answers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from lmaas_train.__main__ import main
from lmaas_train.bench import kernel as bench_kernel
from numpy.testing import assert_allclose

from lmaas_env import Market
from lmaas_env.engine.terms import price_per_customer


@pytest.mark.heavy
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_kernel, "SIZES", {"slots": (1, 2, 3), "customers": (10, 20, 10**6), "models": (1, 4)})
    out = tmp_path / "bench"
    assert main(["bench", "kernel", "--days", "1", "--customers", "20", "--out", str(out)]) == 0
    assert [row["hour"] for row in csv.DictReader((out / "kernel.csv").read_text().splitlines())] == ["3", "12", "15"]
    growth = list(csv.DictReader((out / "growth.csv").read_text().splitlines()))
    assert [row["size"] for row in growth] == ["1", "2", "3", "10", "20", "1", "4"]
    assert (out / "growth.png").stat().st_size > 10_000
    assert "of limit" in capsys.readouterr().out


def test_bisection_gives_the_same_answers() -> None:
    market = Market("scarce", seed=2)
    terms = market.terms(market.initial_state(np.random.default_rng(2))._replace(hour=15)).arrays
    price = price_per_customer(bench_kernel.PRICES[None], market.population.size)
    expected, planned = bench_kernel.solve_in_lockstep(terms, price)
    for reference in (bench_kernel.solve_by_bisection, bench_kernel.solve_one_by_one):
        worst, hours = reference(terms, price)
        assert_allclose(worst, expected, rtol=1e-10)
        assert_allclose(hours, planned, atol=1e-10)
