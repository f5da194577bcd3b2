"""Every tutorial runs and prints the output that its page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_train_and_compare_writes_a_run_and_a_comparison(tmp_path: Path) -> None:
    printed = run("2_train_and_compare.py", tmp_path, "--steps", "3072", "--days", "2", "--out", "results")
    (share,) = re.findall(r"3072 steps\) earns (\d\.\d+) of IMP", printed)
    assert 0.3 < float(share) < 1.1
    assert (tmp_path / "results" / "ppo" / "policy.safetensors").exists()
    table = (tmp_path / "results" / "compare" / "table.csv").read_text(encoding="utf-8").splitlines()
    assert {line.split(",")[0] for line in table[1:]} == {"imp", "ppo", "day-guided", "random"}


def test_cleanrl_style_learns_from_decisions_only(tmp_path: Path) -> None:
    printed = run("5_cleanrl_style.py", tmp_path, "--total-timesteps", "16000", "--eval-days", "2")
    steps = re.findall(r"step +(\d+), decision +(\d+): last days +(\d+) \$", printed)
    assert [(int(step), int(decision)) for step, decision, _ in steps][-1] == (16000, 16000 * 24 // 25)
    assert int(steps[-1][2]) > int(steps[0][2]) + 50  # it learns
    (ratio,) = re.findall(r"2 held-out days: PPO \d+ \$, IMP \d+ \$, ratio (\d\.\d+)", printed)
    assert 0.6 < float(ratio) < 1.1


@pytest.mark.parametrize(("name", "needs"), [("6_rllib.py", "ray"), ("6_pettingzoo.py", "pettingzoo")])
def test_recipes_for_other_libraries_run_where_those_are_installed(name: str, needs: str, tmp_path: Path) -> None:
    pytest.importorskip(needs)
    options = ["--iterations", "1", "--days", "1"] if needs == "ray" else []
    last = run(name, tmp_path, *options, warnings="default").splitlines()[-1]
    assert re.search(r"ratio \d\.\d+$" if needs == "ray" else r"45\.0452 \$ per customer$", last)
