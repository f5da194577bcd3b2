"""`lmaas study fluid`, small."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from lmaas_train.__main__ import main
from lmaas_train.studies import fluid
from lmaas_train.studies.fluid import Row, ratio, spread_exponent

import lmaas_env
from lmaas_env import Scenario
from lmaas_env.seeds import held_out_seeds, open_days

TRAINING = 24 * sum(Scenario().training_cost)


@pytest.mark.heavy
def test_every_seller_sells_the_same_days_of_every_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LEAST", 2), ("SPREAD_DAYS", 3), ("SAMPLE", 24)):
        monkeypatch.setattr(fluid, name, value)
    out, sizes = tmp_path / "study", ["--customers", "100", "--large", "100", "--customer-days", "1", "--whole", "100"]
    assert main(["study", "fluid", *sizes, "--out", str(out)]) == 0
    rows = list(csv.DictReader((out / "days.csv").read_text().splitlines()))
    for size, more in (("24", set[str]()), ("100", {"lookahead-whole-plan"})):
        own = [row for row in rows if row["customers"] == size]
        assert {row["seller"] for row in own} - {"typical-plan"} == {
            "imp",
            "lookahead",
            "public-lookahead",
            "population-guided",
            "population-ppo",
            *more,
        }
        for seller in {row["seller"] for row in own}:
            seeds = [row["day_seed"] for row in own if row["seller"] == seller]
            assert len(seeds) == len(set(seeds)) == (3 if seller == "typical-plan" else 2)
        for row in own:
            before = (float(row["profit"]) + TRAINING) / float(size)
            assert float(row["per_customer"]) == pytest.approx(before)
    assert (out / "fluid.png").stat().st_size > 0
    assert (out / "summary.md").read_text() in capsys.readouterr().out


def test_ratios_are_paired_and_deviations_those_of_the_typical_plan() -> None:
    rng, rows = np.random.default_rng(0), list[Row]()
    for size in (100, 10_000):
        for seed in range(200):
            typical = float(rng.normal(50.0, 30.0 / size**0.5))
            rows.append(Row(size, seed, "typical-plan", 0.0, typical))
            if seed < 3:
                rows += [Row(size, seed, "imp", 0.0, typical), Row(size, seed, "lookahead", 0.0, 1.1 * typical)]
    assert ratio(rows, 100, "lookahead", "imp").mean == pytest.approx(1.1)
    assert ratio(rows, 100, "typical-plan", "imp") == pytest.approx((1.0, 1.0, 1.0))
    assert spread_exponent(rows) == pytest.approx(-0.5, abs=0.05)


def test_customers_of_large_markets_are_drawn_as_those_of_the_scenario() -> None:
    market = lmaas_env.Market(Scenario.from_dict({"base": "population", "customers": 3000}))
    first, second = (open_days(market, [seed]).market.population for seed in held_out_seeds(2))
    assert not np.array_equal(first.distance, second.distance)
    assert np.median(first.distance) == pytest.approx((60.0 * 1000.0) ** 0.5, rel=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--customers", "24"], "customers = 24 must be >= 100"),
        (["--large", "10"], "large = 10 must be >= 100"),
        (["--customer-days", "0"], "customer_days = 0 must be >= 1"),
    ],
)
def test_bad_options_are_refused(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "fluid", *options, "--out", str(tmp_path / "x")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
