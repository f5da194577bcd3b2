"""The README is short, its code runs, its links lead somewhere and its numbers stand in the committed results."""

from __future__ import annotations

import csv
import re
import struct
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
from lmaas_agents import ExactSeller

from lmaas_env import Market

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
README = (ROOT / "README.md").read_text(encoding="utf-8")
ON_THE_HOST = "../../actions/"  # pages of the repository's host, relative to where it shows the README


def rows(path: str) -> list[dict[str, str]]:
    with (BENCHMARKS / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(path: str) -> dict[str, dict[str, str]]:
    return {row["seller"]: row for row in rows(path)}


def cells(start: str) -> list[str]:
    (line,) = [line for line in README.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def bounded(scenario: str) -> float:
    """Return the mean certified bound on a day's profit; it does not depend on what sellers see."""
    bounds = [float(row["bound"]) for row in rows(f"bound/{'day' if scenario == 'public' else scenario}/days.csv")]
    return sum(bounds) / len(bounds)


def test_it_is_short() -> None:
    lines = README.splitlines()
    assert len(lines) <= 130
    assert [line for line in lines if len(line) > 100] == []


def test_the_python_example_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    quick = example.replace("days=40", "days=2")
    assert quick != example
    (tmp_path / "example.py").write_text(quick, encoding="utf-8")
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    title, heads, _, *sellers = done.stdout.splitlines()
    assert title.startswith("day: seller's profit in $ per day, 2 held-out days")
    assert heads.split()[:2] == ["seller", "profit"]
    assert {line.split()[0] for line in sellers} >= {"imp", "mine"}


def test_files_that_it_names_are_there() -> None:
    named = [
        *re.findall(r"\]\(([^)#:]+)\)", README),
        *re.findall(r"^\[[\w-]+\]: ([^:]+)$", README, flags=re.MULTILINE),
        *re.findall(r'src="([^"]+)"', README),
    ]
    assert len(named) > 8
    assert [path for path in named if not path.startswith(ON_THE_HOST) and not (ROOT / path).exists()] == []
    assert (ROOT / ".github/workflows" / re.findall(r"workflows/([\w.]+)$", README, flags=re.MULTILINE)[0]).exists()


def test_references_are_defined_and_used() -> None:
    defined = set(re.findall(r"^\[([\w-]+)\]: ", README, flags=re.MULTILINE))
    assert defined == set(re.findall(r"\]\[([\w-]+)\]", README))


def test_the_picture_is_at_most_400_pixels_high() -> None:
    ((path, shown),) = re.findall(r'<img src="([^"]+)" width="(\d+)"', README)
    width, height = struct.unpack(">2I", (ROOT / path).read_bytes()[16:24])
    assert height * int(shown) / width <= 400


def test_the_expected_output_is_the_committed_table() -> None:
    found = table("day/table.csv")
    (output,) = re.findall(r"```text\n(.*?)```", README, flags=re.DOTALL)
    shown = [line for line in output.splitlines()[2:] if line]
    assert [line.split()[0] for line in shown] == list(found)
    for line in shown:
        row = found[line.split()[0]]
        numbers = [float(number.replace(",", "")) for number in re.findall(r"[-+]?\d[\d,]*(?:\.\d+)?(?!\d)", line[18:])]
        expected = [row[key] for key in ("profit", "profit_low", "profit_high")]
        if row["seller"] != "imp":
            expected += [row[key] for key in ("minus_imp", "minus_imp_low", "minus_imp_high")]
        assert numbers[: len(expected)] == [round(float(value)) for value in expected]
        assert numbers[len(expected)] == round(float(row["share_of_imp"]), 3)
        assert numbers[len(expected) + 1] == round(float(row["customer_profit"]))


@pytest.mark.parametrize(
    ("row", "sellers"),
    [
        ("`lookahead`", ("lookahead", "lookahead", "lookahead", "public-lookahead")),
        ("`day-guided`", ("day-guided", "scarce-guided", "abundant-guided", "public-guided")),
        ("`day-ppo`", ("day-ppo", "scarce-ppo", "abundant-ppo", "public-ppo")),
        ("`imp`", ("imp",) * 4),
        ("`fixed`", ("fixed",) * 4),
    ],
)
def test_the_results_are_the_committed_tables(row: str, sellers: tuple[str, ...]) -> None:
    shown = cells(row)[2:]
    for cell, scenario, seller in zip(shown, ("day", "scarce", "abundant", "public"), sellers, strict=True):
        found = table(f"{scenario}/table.csv")[seller]
        assert cell == f"{float(found['profit']):.0f} ({float(found['share_of_imp']):.3f})"


@pytest.mark.parametrize("scenario", ["day", "scarce", "abundant", "public"])
def test_the_reference_returns_are_the_committed_ones(scenario: str) -> None:
    name = {"day": "LMaaS-v0"}.get(scenario, f"LMaaS-{scenario.capitalize()}-v0")
    profit = {seller: float(row["profit"]) for seller, row in table(f"{scenario}/table.csv").items()}
    expected = [profit["random"], profit["imp"], max(profit.values()), bounded(scenario)]
    assert cells(f"`{name}`")[3:] == [f"{value:.0f}" for value in expected]


def test_the_other_reference_returns_are_the_committed_ones() -> None:
    static = {seller: float(row["profit"]) for seller, row in table("static/table.csv").items()}
    shown = [static["random"], static["imp"], max(static.values()), bounded("static")]
    assert cells("`LMaaS-Static-v0`")[3:] == [f"{value:.1f}" for value in shown]
    for scenario in ("population", "city"):
        profit = {seller: float(row["profit"]) for seller, row in table(f"{scenario}/table.csv").items()}
        expected = [profit["random"], profit["imp"], max(profit.values())]
        assert cells(f"`LMaaS-{scenario.capitalize()}-v0`")[3:6] == [f"{value:.0f}" for value in expected]
    mini = {seller: float(row["profit"]) for seller, row in table("mini/table.csv").items()}
    shown = [mini["random"], mini["imp"], max(mini.values()), ExactSeller(Market("mini")).value()]
    assert cells("`LMaaS-Mini-v0`")[3:] == [f"{value:.1f}" for value in shown]


def test_the_reasons_quote_the_committed_results() -> None:
    instances = [row for row in rows("seller/instances.csv") if row["scenario"] == "static"]
    shares = [100.0 * float(row["profit"]) / float(row["bound"]) for row in instances if row["search"] == "imp"]
    assert "In each of 100 one-shot markets IMP earns at least 99.4 % of an upper" in README
    assert (len(shares), round(min(shares), 1), round(median(shares), 1)) == (100, 99.4, 99.9)

    ahead = float(table("scarce/table.csv")["lookahead"]["share_of_imp"])
    assert f"looking ahead earns {100.0 * ahead - 100.0:.0f} % more than IMP" in README
    assert f"{100.0 * float(table('scarce/table.csv')['lookahead']['profit']) / bounded('scarce'):.0f} % of a" in README

    (speed,) = [row for row in rows("speed/speed.csv") if row["name"] == "vector environment"]
    assert f"{round(float(speed['steps_per_second']), -3):,.0f} steps per second" in README
