"""Every tutorial runs and prints the output that its page shows."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lmaas_train.ppo_config import PPOConfig
from lmaas_train.settings import from_yaml

ROOT = Path(__file__).parent.parent
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def run(name: str, folder: Path, *options: str, warnings: str = "error") -> str:
    """Return what a tutorial prints when it runs in another folder."""
    command = [sys.executable, "-W", warnings, str(ROOT / "tutorials" / name), *options]
    environment = os.environ | {"COLUMNS": "100"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def shown(page: str) -> str:
    """Return the output that the page shows: its last block of text."""
    text = (ROOT / "docs" / "tutorials" / page).read_text(encoding="utf-8")
    return re.findall(r"```text\n(.*?)\n```", text, flags=re.DOTALL)[-1]


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("1_first_seller.py", "first-seller.md"),
        ("3_own_market.py", "own-market.md"),
        ("4_rsr_on_own_terms.py", "rsr-on-own-terms.md"),
    ],
)
def test_a_tutorial_prints_what_its_page_shows(name: str, page: str, tmp_path: Path) -> None:
    printed, expected = run(name, tmp_path), shown(page)
    assert NUMBER.sub("0", printed) == NUMBER.sub("0", expected)
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (printed, expected)]
    assert numbers[0] == pytest.approx(numbers[1], rel=2e-3, abs=1e-8)  # processors round differently
    assert list(tmp_path.iterdir()) == []


def test_the_first_seller_earns_more_than_imp(tmp_path: Path) -> None:
    found = re.findall(r"(yours|imp) +(\d+) \$ a day", shown("first-seller.md"))
    profit = {name: int(dollars) for name, dollars in found}
    assert profit["yours"] > 1.02 * profit["imp"]


@pytest.mark.heavy
def test_train_and_compare_writes_a_run_and_a_comparison(tmp_path: Path) -> None:
    printed = run("2_train_and_compare.py", tmp_path, "--steps", "3072", "--days", "2", "--out", "results")
    (share,) = re.findall(r"3072 steps\) earns (\d\.\d+) of IMP", printed)
    assert 0.3 < float(share) < 1.1
    assert (tmp_path / "results" / "ppo" / "policy.safetensors").exists()
    table = (tmp_path / "results" / "compare" / "table.csv").read_text(encoding="utf-8").splitlines()
    assert {line.split(",")[0] for line in table[1:]} == {"imp", "ppo", "day-guided", "random"}


@pytest.mark.heavy
def test_cleanrl_style_learns_from_decisions_only(tmp_path: Path) -> None:
    printed = run("5_cleanrl_style.py", tmp_path, "--total-timesteps", "16000", "--eval-days", "2")
    steps = re.findall(r"step +(\d+), decision +(\d+): last days +(\d+) \$", printed)
    assert [(int(step), int(decision)) for step, decision, _ in steps][-1] == (16000, 16000 * 24 // 25)
    assert int(steps[-1][2]) > int(steps[0][2]) + 50  # it learns
    (ratio,) = re.findall(r"2 held-out days: PPO \d+ \$, IMP \d+ \$, ratio (\d\.\d+)", printed)
    assert 0.6 < float(ratio) < 1.1


@pytest.mark.heavy
def test_behaviour_cloning_prints_a_share_of_the_teacher(tmp_path: Path) -> None:
    pytest.importorskip("minari")
    options = ["--teacher", "fixed", "--size", "tiny", "--epochs", "60", "--days", "2"]
    printed = run("7_behaviour_cloning.py", tmp_path, *options)
    (share,) = re.findall(r"The clone of fixed earns (\d\.\d+) of its teacher's profit, from 10 logged days", printed)
    assert 0.9 < float(share) < 1.1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.heavy
def test_the_search_writes_settings_that_lmaas_train_reads(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    options = ["--scenario", "static", "--trials", "2", "--steps", "128", "--days", "2"]
    printed = run("8_search_settings.py", tmp_path, *options)
    assert re.search(r"best: +\d+ \$ a day on tuning days, \+\d+ over the default settings", printed)
    found = from_yaml(PPOConfig, tmp_path / "settings.yaml", "ppo")
    assert found.batches in (4, 8, 16, 32)
    assert (
        dataclasses.replace(
            found,
            learning_rate=PPOConfig.learning_rate,
            gae_lambda=PPOConfig.gae_lambda,
            batches=PPOConfig.batches,
        )
        == PPOConfig()
    )
    assert [path.name for path in tmp_path.iterdir()] == ["settings.yaml"]


@pytest.mark.heavy
def test_the_belief_about_strangers_narrows(tmp_path: Path) -> None:
    printed = run("9_selling_to_strangers.py", tmp_path, "--episodes", "2", "--figures", str(tmp_path))
    ranges = re.findall(r"^ *(\d+) +\d+\.\d+ \((\d+\.\d+) to (\d+\.\d+)\)", printed, flags=re.MULTILINE)
    width = {int(hour): float(high) / float(low) for hour, low, high in ranges}
    assert width[24] < 0.5 * width[0]
    scores = {name: float(score) for name, score in re.findall(r"([\w-]+): .*score (-?\d\.\d+)", printed)}
    assert scores["plan"] == 1.0  # printed last: the own plan
    assert scores["Thompson-IMP"] > 0.3
    assert {path.name for path in tmp_path.iterdir()} == {
        f"strangers-{name}.png" for name in ("belief", "belief-dark", "episode", "episode-dark")
    }


def test_a_seller_that_leads_its_rival_earns_more(tmp_path: Path) -> None:
    printed = run("10_leading_a_rival.py", tmp_path, "--days", "2", "--figures", str(tmp_path))
    found = re.findall(r"^ *(imp|predictive-imp|planner|rival-ppo) +(\d+) +(\d+) +(\d+)$", printed, flags=re.MULTILINE)
    own = {name: int(dollars) for name, dollars, _, _ in found}
    assert own["planner"] > own["predictive-imp"] > own["imp"]
    assert own["rival-ppo"] > 1.4 * own["imp"]
    assert {path.name for path in tmp_path.iterdir()} == {"rivals-day.png", "rivals-day-dark.png"}


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["quick_start", "your_own_policy"])
def test_a_notebook_runs_and_holds_no_output(name: str, tmp_path: Path) -> None:
    cells = json.loads((ROOT / "tutorials" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    (tmp_path / "cells.py").write_text("\n\n".join("".join(cell["source"]) for cell in code), encoding="utf-8")
    command = [sys.executable, "-W", "error", "cells.py"]
    environment = os.environ | {"MPLBACKEND": "Agg"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "5 held-out days" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["cells.py"]


@pytest.mark.parametrize(("name", "needs"), [("6_rllib.py", "ray.rllib"), ("6_pettingzoo.py", "pettingzoo")])
def test_recipes_for_other_libraries_run_where_those_are_installed(name: str, needs: str, tmp_path: Path) -> None:
    pytest.importorskip(needs, exc_type=ImportError)
    options = ["--iterations", "1", "--days", "2"] if name == "6_rllib.py" else []
    last = run(name, tmp_path, *options, warnings="default").splitlines()[-1]
    assert re.search(r"ratio \d\.\d+$" if name == "6_rllib.py" else r"45\.0452 \$ per customer$", last)
