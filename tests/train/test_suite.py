"""The admission rule of the suite: its classes, the table, and the command that makes a plan library beforehand."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from lmaas_agents.adaptive import PriorPlan, plan_library
from lmaas_agents.adaptive.plan_library import found_library, load_library
from lmaas_train.cli.plan_library import Library
from lmaas_train.evaluation.statistics import Estimate
from lmaas_train.studies.suite import CONTROL, LEARNING, PLANNING, SUITE, SuiteCheck, classify

from lmaas_env import ENVIRONMENTS, Market, Scenario

SMALL = dataclasses.replace(Scenario.preset("unknown"), name="small", customers=4, periods=48)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Libraries take a moment and are kept in a cache of their own."""
    for name, number in (("HYPOTHESES", 8), ("PLANS", 2), ("PRIOR_EPISODES", 2)):
        monkeypatch.setattr(plan_library, name, number)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    load_library.cache_clear()
    yield
    load_library.cache_clear()


def test_every_environment_is_in_the_suite() -> None:
    assert set(ENVIRONMENTS.values()) <= set(SUITE)


@pytest.mark.parametrize(
    ("share", "closed", "planning", "expected"),
    [
        (0.85, 0.5, 1.0, LEARNING),
        (0.851, 1.0, 1.2, PLANNING),
        (0.8, 0.49, 1.2, PLANNING),
        (0.8, 0.49, 1.049, CONTROL),
        (0.97, float("nan"), 1.0, CONTROL),
    ],
)
def test_the_admission_rule(share: float, closed: float, planning: float, expected: str) -> None:
    nan = float("nan")
    assert classify(Estimate(share, nan, nan), Estimate(closed, nan, nan), planning) == expected


def test_the_check_writes_one_row_per_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    SuiteCheck(environments=("static", "mini"), days=2, out=tmp_path / "suite").main()
    with (tmp_path / "suite/table.csv").open(encoding="utf-8", newline="") as file:
        static, mini = csv.DictReader(file)
    assert (static["class"], static["informed_seller"], static["bound"]) == (CONTROL, "lookahead", "")
    assert float(mini["share_of_bound"]) == 1.0
    assert float(mini["informed"]) >= max(float(mini["adaptive"]), float(mini["clock_only"]))
    assert "control" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"environments": ("dya",)}, "environment 'dya' is unknown, did you mean 'day'"),
        ({"days": 1}, "days = 1 must be at least 2"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        SuiteCheck(**options, out=tmp_path / "suite").main()
    assert not (tmp_path / "suite").exists()


def test_a_library_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "small.yaml"
    SMALL.to_yaml(path)
    assert found_library(SMALL) is None
    made = Library(scenario=str(path)).main()
    monkeypatch.setattr(plan_library, "make_library", None)  # from here on nothing is made
    assert found_library(SMALL) == made
    assert Library(scenario=str(path)).main() == made
    assert PriorPlan(Market(SMALL)).plan.shape == (24, 4)


def test_a_library_needs_hidden_customers() -> None:
    with pytest.raises(ValueError, match="its customers are known"):
        Library(scenario="day").main()
    with pytest.raises(ValueError, match="jobs = 0 must be at least 1"):
        Library(jobs=0).main()


def test_without_a_home_libraries_are_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert load_library(SMALL).plans.shape == (3, 24, 4)
    assert list(tmp_path.iterdir()) == []
    SMALL.to_yaml(tmp_path / "small.yaml")
    with pytest.raises(OSError, match="no absolute path"):
        Library(scenario="small.yaml").main()
