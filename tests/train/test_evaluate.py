"""`lmaas evaluate`: runs of several seeds on the days of IMP; other customers every day; what is refused."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from lmaas_agents import IMP
from lmaas_agents.learned.policy_file import SHIPPED
from lmaas_train.__main__ import main
from lmaas_train.cli.evaluate import Evaluate, evaluate, score_table
from lmaas_train.evaluation.rollout import rollout, rollout_each
from lmaas_train.evaluation.scores import Score, load_runs
from lmaas_train.evaluation.statistics import Estimate
from lmaas_train.report.report import report
from rich.console import Console

from lmaas_env import Market, Scenario
from lmaas_env.seeds import held_out_seeds, of_one_day, open_days
from tests.days import periods_of


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs that differ in their training seed only, of which one has a learning curve."""
    folder = tmp_path / "ppo"
    for seed in (1, 2):
        shutil.copytree(SHIPPED / "day-guided", folder / f"seed{seed}")
        spec = json.loads((folder / f"seed{seed}" / "policy.json").read_text())
        (folder / f"seed{seed}" / "policy.json").write_text(json.dumps(spec | {"training_seed": seed}))
    curve = "step,seconds,mean_day_profit,standard_error\n0,0.1,1700,5\n20000,9.0,1750,5\n"
    (folder / "seed1" / "evaluations.csv").write_text(curve)
    return folder


def test_evaluate_writes_scores_profiles_curves_and_figures(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result"
    assert main(["evaluate", "--runs", str(runs), "--sellers", "random", "--days", "3", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines() if str(out) not in line) <= 80
    table = {row["seller"]: row for row in csv.DictReader((out / "table.csv").read_text().splitlines())}
    assert set(table) == {"imp", "random", "ppo"}
    market = Market("day")
    imp = rollout(market, IMP(market), held_out_seeds(3)).day_profit.mean()
    assert float(table["imp"]["profit"]) == pytest.approx(imp)
    assert float(table["ppo"]["share_of_imp"]) == pytest.approx(float(table["ppo"]["profit"]) / imp)
    assert float(table["ppo"]["probability_of_improvement"]) == 1.0
    assert table["ppo"]["seeds"] == "2"
    scored = list(csv.DictReader((out / "runs.csv").read_text().splitlines()))
    assert [row["training_seed"] for row in scored] == ["1", "2"]
    assert np.mean([float(row["profit"]) for row in scored]) == pytest.approx(float(table["ppo"]["profit"]))
    profile = [row for row in csv.DictReader((out / "profiles.csv").read_text().splitlines()) if row["seller"] == "ppo"]
    assert [float(row["above"]) for row in (profile[0], profile[-1])] == [1.0, 0.0]
    assert (out / "curves.csv").read_text().splitlines()[1] == "ppo,seed1,0.0,0.1,1700.0,"
    assert (out / "time_to_score.csv").read_text().count("\n") == 1  # shares of IMP are not known
    for figure in ("learning.png", "learning-dark.png", "days.png", "days-dark.png"):
        assert (out / figure).stat().st_size > 10_000
    assert {"command", "versions"} <= set(json.loads((out / "origin.json").read_text()))
    page = (out / "report.html").read_text()
    assert page == report(out)
    for said in ("Scenario day: ppo wins with $", "ppo <small>2 seeds</small>", "ppo: profit on tuning days goes from"):
        assert said in page
    for name in ("earnings", "differences", "profiles", "steps", "time"):
        assert f'id="{name}-figure"' in page


@pytest.mark.parametrize("folder", ["day", "population", "ablation"])
def test_committed_evaluations_have_a_report(folder: str) -> None:
    evaluation = Path(__file__).parents[2] / "benchmarks" / "learned" / folder
    table = csv.DictReader((evaluation / "table.csv").read_text().splitlines())
    page = report(evaluation)
    assert all(f"</span>{'IMP' if row['seller'] == 'imp' else row['seller']}" in page for row in table)


def test_one_run_on_one_day_has_no_interval(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = tmp_path / "result"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arguments = ["day", "--runs", str(runs / "seed1"), "--sellers", "--days", "1", "--out", str(out), "--json"]
        assert main(["evaluate", *arguments]) == 0
    printed = capsys.readouterr()
    shown = printed.err.replace(str(out), "")
    assert max(map(len, shown.splitlines())) <= 60
    assert not any(mark in shown for mark in ("nan", "[", "…"))
    assert json.loads(printed.out)[0]["profit"]["low"] is None
    for file in ("table.csv", "profiles.csv"):
        assert "nan" not in (out / file).read_text()


@pytest.mark.parametrize("width", [50, 60, 80])
def test_the_table_fits_the_terminal_and_leaves_columns_out(width: int) -> None:
    text = io.StringIO()
    profit, share = Estimate(1690.2, 1650.4, 1730.9), Estimate(1.051, 1.032, 1.078)
    scores = [Score(name, 10, profit, profit, profit, share, share, 1.0, 1.0, 0.7, 12.3) for name in ("imp", "learned")]
    console = Console(file=text, width=width)
    console.print(score_table(scores, "day", 200, console))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    (heading,) = [line for line in lines if line.startswith("seller ")]
    left = {
        50: "seller n profit / IMP P",
        60: "seller n profit IQM / IMP P",
        80: "seller n profit IQM / IMP P ms alone",
    }
    assert " ".join(heading.split()) == left[width]
    assert ("ms: per decision" in text.getvalue()) == (width == 80)
    assert "1.051 [1.032, 1.078]" in text.getvalue()
    assert "…" not in text.getvalue()


@pytest.mark.heavy
def test_local_searches_can_be_left_out(runs: Path, tmp_path: Path) -> None:
    market, seeds = Market("day"), held_out_seeds(2)
    shipped, same, without = (
        np.mean([rollout(market, it, seeds).day_profit for it in load_runs(runs, market, searches).values()])
        for searches in (None, 32, 0)
    )
    assert shipped == same > without
    scores = evaluate(Evaluate(runs=(runs,), sellers=(), days=2, searches=0, out=tmp_path / "result"))
    assert next(score for score in scores if score.seller == "ppo").profit.mean == pytest.approx(without, rel=1e-12)


def test_a_training_seed_counts_once(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "seed1", runs / "again")
    with pytest.raises(ValueError, match=r"training seeds \[1, 1, 2\], each must be there once"):
        evaluate(Evaluate(runs=(runs,), days=2, out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runs": (Path("tests"),)}, "holds no run of lmaas train"),
        ({"runs": (SHIPPED / "day-guided",), "searches": -1}, "searches = -1 must be in"),
        ({"days": 0}, "number of days = 0 must be in"),
        ({"customers": 12}, "customers = 12 needs a scenario in which they change daily"),
        ({"scenario": "scarce", "runs": (SHIPPED / "public-guided",)}, "sees 16 numbers"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(dataclasses.replace(Evaluate(out=tmp_path / "out"), **change))  # pyright: ignore[reportArgumentType]
    assert not (tmp_path / "out").exists()


def test_sellers_that_know_customers_meet_those_of_the_day() -> None:
    market = Market(dataclasses.replace(Scenario.load("population"), customers=4, periods=3))
    seeds = held_out_seeds(2)
    sold = rollout_each(market, IMP, seeds)
    for lane, seed in enumerate(seeds):
        opened, state, draws, *_ = open_days(market, [seed])
        own = of_one_day(opened)
        assert own.scenario.resample_population == "never"
        imp = IMP(own)
        for hour, period in enumerate(periods_of(draws)):
            now = type(state)(*(np.asarray(it)[0] for it in state))
            settlement, state = opened.settle(imp.prices(now)[None], state, period)
            assert sold.profit[lane, hour] == pytest.approx(float(settlement.profit[0]), rel=1e-5)


def test_a_market_whose_customers_stay_is_its_own() -> None:
    market = Market("static")
    assert of_one_day(market) is market
    each = rollout_each(market, IMP, held_out_seeds(3))
    assert np.allclose(each.profit, rollout(market, IMP(market), held_out_seeds(3)).profit)
