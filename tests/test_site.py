"""What the pages of the site show runs and holds, and its figures show what their pages say (built by `make docs`)."""

from __future__ import annotations

import csv
import itertools
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from lmaas_env import Scenario
from lmaas_env.scenario import MODEL_FIELDS

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = r"^```{}\n(.*?)^```"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(BLOCK.format(language), text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "after"),
    [
        ("index.md", "assert info['profit'] > 0.0"),
        ("sellers.md", "assert seller.about.algorithm == 'PPO'"),
        ("how-to/scenario.md", "assert windy.harvest == 0.08"),
        (
            "how-to/seller.md",
            "from lmaas_env import Market\nassert MySeller(Market()).predict(np.zeros((2, 75)))[0].shape == (2, 4)",
        ),
        (
            "how-to/customers.md",
            "import numpy as np\nrng = np.random.default_rng(0)\nstate = market.initial_state(rng)\n"
            "sale, _ = market.settle([5.0, 5.0, 5.0, 5.0], state, market.draws(rng))\nassert (sale.choice == 0).all()",
        ),
    ],
)
def test_python_on_the_pages_runs(page: str, after: str, tmp_path: Path) -> None:
    (code,) = blocks(page, "python")
    (tmp_path / "page.py").write_text(f"{code}\n{after}\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_models_of_the_page_are_those_that_a_market_takes(tmp_path: Path) -> None:
    (text,) = blocks("how-to/model.md", "yaml")
    (tmp_path / "market.yaml").write_text(text, encoding="utf-8")
    scenario = Scenario.from_yaml(tmp_path / "market.yaml")
    assert scenario.models == (*Scenario().models, "giant")
    assert scenario.serving_cost == (*Scenario().serving_cost, 2.5)
    assert scenario.bit_rate[-1] == 7e4
    assert tuple(yaml.safe_load(text)["models"]["giant"]) == MODEL_FIELDS


def test_every_page_is_in_the_navigation() -> None:
    navigation = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    assert len(pages) > 20
    assert [page for page in pages if page not in navigation] == []


def test_pages_quote_the_committed_results() -> None:
    """Numbers that the learned sellers' page gives in its text are those of the files that it names."""
    with (DOCS.parent / "benchmarks/learned/day/table.csv").open(encoding="utf-8", newline="") as file:
        profit = {row["seller"]: float(row["profit"]) for row in csv.DictReader(file)}
    text = (DOCS / "learned-sellers.md").read_text(encoding="utf-8")
    assert f"Look-ahead IMP earns {profit['lookahead']:.1f} on these days, IMP {profit['imp']:.1f}." in text
    assert f"| {profit['ppo']:.1f} |" in text


def test_the_figure_of_theorem_1_shows_the_most_valuable_slots_as_the_worst(tmp_path: Path) -> None:
    figure = runpy.run_path(str(DOCS / "figures.py"))["theorem_1"]()
    left, right = figure.axes
    cost_of_a_fade = left.lines[2].get_ydata()
    assert (cost_of_a_fade[1:] >= cost_of_a_fade[:-1] - 1e-12).all()
    assert right.get_xticklabels()[0].get_text() == "1\n2"
    heights = [bar.get_height() for bar in right.patches]
    assert heights == sorted(heights)
    figure.savefig(tmp_path / "figure.png")


def test_the_figure_of_theorem_2_shows_jumps_and_imps_price_as_the_best() -> None:
    figure = runpy.run_path(str(DOCS / "figures.py"))["theorem_2"]()
    (axes,) = figure.axes
    *pieces, posted = axes.lines
    assert len(pieces) > 10
    best = max(piece.get_ydata().max() for piece in pieces)
    assert posted.get_ydata()[0] >= best - 1e-9
    jumps = [after.get_ydata()[0] - before.get_ydata()[-1] for before, after in itertools.pairwise(pieces)]
    steps = [np.abs(np.diff(piece.get_ydata())).max(initial=0.0) for piece in pieces]
    assert min(jumps) < -0.3
    assert max(jumps) > 0.05
    assert max(steps) < 0.02


def test_generated_tables_hold_every_number_and_command() -> None:
    pytest.importorskip("mkdocs", reason="the site's tools are not installed (make docs)")
    hooks = runpy.run_path(str(DOCS / "hooks.py"))
    table = hooks["scenario_numbers"]()
    assert all(f"`{name}`" in table for name in Scenario.__dataclass_fields__)
    assert "| `harvest` | `0.04` | of capacity per h | 0 to 10 | mean harvested energy |" in table
    assert "| `bit_rate` | `400000`, `250000`, `160000`, `100000` | bit/s | 1 to 1e12 | semantic bit rate D |" in table
    commands = hooks["commands"]()
    assert "## lmaas compare" in commands
    assert "| `--days` | `40` | Number of held-out days. |" in commands
    assert "```pycon\n>>> import gymnasium as gym" in hooks["environment"]()


def test_formulas_become_mathml_and_a_wrong_one_is_refused() -> None:
    pytest.importorskip("math_core", reason="the site's tools are not installed (make docs)")
    hooks = runpy.run_path(str(DOCS / "hooks.py"))

    class Page:
        class file:  # noqa: N801
            src_uri = "market.md"

    shown = hooks["on_page_content"]('<p><span class="arithmatex">\\(a &lt; b\\)</span></p>', Page)
    assert re.fullmatch(r"<p><math>.*<mi>a</mi>.*&lt;.*<mi>b</mi>.*</math></p>", shown)
    with pytest.raises(Exception, match="unknwn"):
        hooks["on_page_content"]('<div class="arithmatex">\\[\\unknwn\\]</div>', Page)
