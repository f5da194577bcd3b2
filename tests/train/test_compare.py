"""`lmaas compare`: the same days for all, paired, written whole; and the statistics behind it."""

from __future__ import annotations

import csv
import io
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from lmaas_agents import IMP, FixedPrice
from lmaas_train.__main__ import main
from lmaas_train.cli.compare import Compare, compare
from lmaas_train.evaluation.results import Row, summary
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.evaluation.sellers import sellers_of
from lmaas_train.evaluation.statistics import Estimate, mean_estimate
from lmaas_train.evaluation.tables import comparison_table
from rich.console import Console

from lmaas_env import Market
from lmaas_env.seeds import held_out_seeds


def test_rollout_sells_the_days_that_the_environment_gives() -> None:
    import gymnasium as gym

    market = Market("day")
    seller = IMP(market)
    seeds = held_out_seeds(2)
    days = rollout(market, seller, seeds)
    env = gym.make("LMaaS-v0")
    for lane, seed in enumerate(seeds):
        observation, _ = env.reset(seed=seed)
        profit, terminated = [], False
        while not terminated:
            observation, _, terminated, _, info = env.step(seller.predict(observation)[0])
            profit.append(info["profit"])
        assert days.profit[lane] == pytest.approx(profit, rel=1e-12)


def test_compare_writes_table_days_figure_and_origin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = tmp_path / "result"
    arguments = ["--scenario", "static", "--days", "3", "--sellers", "random", "public-imp", "--out", str(out)]
    assert main(["compare", *arguments]) == 0
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines() if str(out) not in line) <= 60
    table = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert {row["seller"] for row in table} == {"imp", "random", "public-imp"}
    per_day = list(csv.DictReader((out / "days.csv").read_text().splitlines()))
    for row in table:
        mine = [float(day["profit"]) for day in per_day if day["seller"] == row["seller"]]
        assert float(row["profit"]) == pytest.approx(np.mean(mine))
    assert (out / "figure.png").stat().st_size > 10_000
    origin = json.loads((out / "origin.json").read_text())
    assert {"command", "versions"} <= set(origin)
    assert not list(out.glob(".*"))


def test_differences_are_paired_by_day() -> None:
    market = Market("day")
    seeds = held_out_seeds(6)
    days = {"imp": rollout(market, FixedPrice(market, [14.0, 22.0, 40.0, 40.0]), seeds)}
    days["dearer"] = rollout(market, FixedPrice(market, [14.2, 22.0, 40.0, 40.0]), seeds)
    row = next(row for row in summary(days) if row.seller == "dearer")
    paired = days["dearer"].day_profit - days["imp"].day_profit
    assert row.difference == mean_estimate(paired)
    assert row.difference.high - row.difference.low < 0.5 * (row.profit.high - row.profit.low)


def test_sellers_that_would_have_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmaas_train.evaluation.sellers.seller_of", lambda name, *_: name)
    market, runs = Market("static"), [str(tmp_path / folder / "ppo") for folder in ("one", "other")]
    assert sellers_of(["imp", "imp", runs[0]], market) == {"imp": "imp", "ppo": runs[0]}
    for names in (runs, ["imp", str(tmp_path / "imp")]):
        with pytest.raises(ValueError, match=r"seller '.*(ppo|imp)' has the same name as another, '(ppo|imp)'"):
            sellers_of(names, market)


def test_a_folder_that_exists_is_refused_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    assert main(["compare", "--scenario", "static", "--days", "2", "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "--scenario", "dya"], "scenario = 'dya' is unknown, did you mean 'day'?"),
        (["compare", "--sellers", "ipm"], "seller 'ipm' is unknown, did you mean 'imp'?"),
        (["compare", "--days", "0"], "number of days = 0 must be in"),
        (["comapre"], "command 'comapre' is unknown, did you mean 'compare'?"),
    ],
)
def test_bad_input_is_one_line_on_stderr(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert "train" in printed
    assert "compare" in printed


def test_interval_covers_the_mean_of_a_known_distribution_about_95_percent() -> None:
    rng = np.random.default_rng(1)
    estimates = [mean_estimate(rng.normal(3.0, 2.0, 40)) for _ in range(200)]
    covered = np.mean([estimate.low <= 3.0 <= estimate.high for estimate in estimates])
    assert 0.88 <= covered <= 0.99
    assert mean_estimate(np.arange(5.0)) == mean_estimate(np.arange(5.0))


def test_a_sample_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_estimate(np.array([1.0, np.nan]))


def test_a_seller_that_is_named_twice_sells_once(tmp_path: Path) -> None:
    found = compare(Compare(scenario="static", sellers=("imp", "random", "random"), days=2, out=tmp_path / "run"))
    assert list(found.days) == ["imp", "random"]


def test_one_day_has_no_interval_in_table_csv_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["compare", "static", "--days", "1", "--sellers", "random", "--out", str(out), "--json"]) == 0
    printed = capsys.readouterr()
    assert "1 held-out day\n" in printed.err
    assert "nan" not in printed.err
    assert "[" not in printed.err
    imp, random = json.loads(printed.out)
    assert imp["profit"]["low"] is None
    assert random["difference"] == {"mean": random["difference"]["mean"], "low": None, "high": None}
    for row in csv.DictReader((out / "table.csv").read_text().splitlines()):
        assert [row[f"{name}_{end}"] for name in ("profit", "minus_imp") for end in ("low", "high")] == [""] * 4


@pytest.mark.parametrize("width", [50, 60, 70, 80])
def test_the_table_fits_the_terminal_and_leaves_columns_out(width: int) -> None:
    text, names = io.StringIO(), ["imp", "public-lookahead"]
    estimates = Estimate(1690.2, 1650.4, 1730.9), Estimate(-36.2, -42.4, -30.1)
    rows = [
        Row(name, *estimates, share_of_imp=0.979, customer_profit=2110.0, milliseconds_per_decision=44.0)
        for name in names
    ]
    console = Console(file=text, width=width)
    console.print(comparison_table(rows, "day", 40, console))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    (heading,) = [line for line in lines if line.startswith("seller ")]
    left = {
        50: "seller profit minus IMP",
        60: "seller profit minus IMP",
        70: "seller profit minus IMP / IMP cust.",
        80: "seller profit minus IMP / IMP cust. ms",
    }
    assert " ".join(heading.split()) == left[width]
    assert ("ms: per decision" in text.getvalue()) == (width == 80)
    assert "1,690 [1,650, 1,731]" in text.getvalue()
    assert "…" not in text.getvalue()


def test_results_are_written_before_the_table_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("lmaas_train.cli.compare.Console.print", closed)
    with pytest.raises(BrokenPipeError):
        compare(Compare(scenario="static", sellers=(), days=2, out=tmp_path / "run"))
    assert (tmp_path / "run" / "report.html").exists()
