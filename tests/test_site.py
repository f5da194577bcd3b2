"""The code on the pages runs, their numbers stand in the committed results, and the figures show what the pages say."""

from __future__ import annotations

import contextlib
import csv
import importlib
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

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
BLOCK = r"^```{}\n(.*?)^```"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(BLOCK.format(language), text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "after"),
    [
        ("index.md", "assert info['profit'] > 0.0"),
        ("sellers.md", "assert seller.spec.algorithm == 'PPO'"),
        (
            "how-to/exact-optimum.md",
            "assert round(exact.value(), 2) == round(exact.value(state), 2) == 82.58\n"
            "assert round(expected_profit(market, IMP(market)), 2) == 75.50",
        ),
        ("how-to/scenario.md", "assert windy.harvest == 0.08"),
        (
            "how-to/seller.md",
            "from lmaas_env import Market\nassert MySeller(Market()).predict(np.zeros((2, 75)))[0].shape == (2, 4)",
        ),
        (
            "how-to/customers.md",
            "import numpy as np\nrng = np.random.default_rng(0)\nstate = market.initial_state(rng)\n"
            "sale, _ = market.settle([5.0, 5.0, 5.0, 5.0], state, market.draws(rng))\n"
            "assert set(sale.choice.tolist()) == {-1, 0} and (sale.choice == 0).sum() > 12",
        ),
    ],
)
def test_python_on_the_pages_runs(page: str, after: str, tmp_path: Path) -> None:
    (code,) = blocks(page, "python")
    (tmp_path / "page.py").write_text(f"{code}\n{after}\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_models_of_the_page_are_a_valid_market(tmp_path: Path) -> None:
    (text,) = blocks("how-to/model.md", "yaml")
    (tmp_path / "market.yaml").write_text(text, encoding="utf-8")
    scenario = Scenario.from_yaml(tmp_path / "market.yaml")
    assert scenario.models == (*Scenario().models, "giant")
    assert scenario.serving_cost == (*Scenario().serving_cost, 2.5)
    assert scenario.bit_rate[-1] == 7e4
    assert tuple(yaml.safe_load(text)["models"]["giant"]) == MODEL_FIELDS


def test_every_page_is_in_the_navigation_but_dated_notes() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    assert len(pages) > 20
    assert [page for page in pages if page not in navigation and not page.startswith("notes/")] == []
    assert all(re.match(r"notes/\d{4}-\d{2}-", page) for page in pages if page.startswith("notes/"))


def test_files_and_modules_that_the_pages_name_exist() -> None:
    paths = re.compile(r"`((?:lmaas_env|agents|train|tests|benchmarks|docs|tutorials)/[\w./-]+)`")
    modules = re.compile(r"`((?:lmaas_env|lmaas_agents|lmaas_train)(?:\.\w+)+)`")
    missing: list[str] = []
    for page in [*DOCS.rglob("*.md"), ROOT / "README.md"]:
        text = page.read_text(encoding="utf-8")
        missing += [f"{page.name}: {path}" for path in paths.findall(text) if not (ROOT / path).exists()]
        for name in modules.findall(text):
            first, *rest = name.split(".")
            value = importlib.import_module(first)
            for part in rest:
                if not hasattr(value, part) and hasattr(value, "__path__"):
                    with contextlib.suppress(ModuleNotFoundError):
                        importlib.import_module(f"{value.__name__}.{part}")
                if not hasattr(value, part):
                    missing.append(f"{page.name}: {name}")
                    break
                value = getattr(value, part)
    assert missing == []


def test_the_citation_is_the_same_everywhere() -> None:
    readme, page = ((path).read_text(encoding="utf-8") for path in (ROOT / "README.md", DOCS / "citation.md"))
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    (paper,) = cff["references"]
    for author in paper["authors"]:
        assert author["family-names"] in readme
        assert author["family-names"] in page
    for text in (readme, page):
        assert "10.1109/TMC.2024.3418881" in text
        assert "2401.02675" in text
    assert f"version = {{{cff['version']}}}" in page


def sellers_in(path: str) -> dict[str, dict[str, float]]:
    """Return the numbers of a committed table by seller."""
    with (ROOT / "benchmarks" / path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row.pop("seller"): {key: float(value or "nan") for key, value in row.items()} for row in rows}


def test_statements_about_sellers_agree_with_the_committed_results() -> None:
    """Sentences on the home page and on the learned sellers' page that round numbers of `benchmarks/`."""
    for scenario in ("day", "scarce", "abundant"):
        found = sellers_in(f"{scenario}/table.csv")
        assert 0.996 < found[f"{scenario}-guided"]["profit"] / found["lookahead"]["profit"] < 1.0
        found = sellers_in(f"learned/{scenario}/table.csv")
        assert 0.996 < found["ppo"]["profit"] / found["lookahead"]["profit"] < 0.998
    scratch = [sellers_in("wide/table.csv")[name] for name in ("flat", "wide")]
    assert [1.005 <= row["share_of_imp"] < 1.035 for row in scratch] == [True] * 2
    refined, plain = sellers_in("learned/ablation/table.csv"), sellers_in("learned/ablation-no-search/table.csv")
    assert round(refined["untrained"]["profit"] / refined["lookahead"]["profit"], 3) == 0.993
    assert round(plain["ppo"]["profit"] / plain["imitation"]["profit"], 3) == 1.008
    assert abs(refined["ppo"]["profit"] / refined["imitation"]["profit"] - 1.0) < 5e-4
    assert round(plain["no-shaping"]["profit"] / plain["imitation"]["profit"], 3) == 1.005
    assert round(plain["no-snapping"]["profit"] / plain["imitation"]["profit"], 3) == 1.002


def test_the_page_on_the_bound_gives_the_numbers_of_the_day_without_chance() -> None:
    with (ROOT / "benchmarks/bound/quiet-day/search.csv").open() as file:
        rows = list(csv.DictReader(file))
    lookahead, best = float(rows[0]["lookahead"]), max(float(row["improved"]) for row in rows)
    with (ROOT / "benchmarks/bound/quiet-day/days.csv").open() as file:
        bound = float(next(csv.DictReader(file))["bound"])
    page = (DOCS / "bound.md").read_text(encoding="utf-8")
    assert f"look-ahead IMP earns {lookahead / bound:.3f} of the bound" in page
    assert f"add ${best - lookahead:.0f} ({100.0 * (best / lookahead - 1.0):.1f} %) at" in page
    assert f"and ${bound - best:.0f} remain" in page


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


def test_the_picture_of_the_home_page_shows_the_gain() -> None:
    pytest.importorskip("matplotlib")
    picture = runpy.run_path(str(DOCS / "looking_ahead_figure.py"))
    hours = np.linspace(0.0, 1.0, 25)
    curves = [
        picture["Curve"](name, "black", "-", 100.0 * hours, gain * hours)
        for name, gain in zip("abc", (1.0, 1.25, 1.2), strict=True)
    ]
    figure = picture["draw"](curves)
    assert "earns 25 % more" in figure.get_suptitle()
    assert [len(axes.lines) for axes in figure.axes] == [3, 3]


def test_the_picture_of_the_readme_shows_when_ppo_passes_imp() -> None:
    pytest.importorskip("matplotlib")
    picture = runpy.run_path(str(DOCS / "learning_figure.py"))
    seconds, curves = picture["curves"]("day")
    assert curves.shape == (10, len(seconds))
    figure = picture["draw"](dict.fromkeys(("day", "scarce"), (seconds, curves)), {"day": 1.09, "scarce": 1.3})
    passed = seconds[np.argmax(np.median(curves, axis=0) > 1.0)]
    assert f"passes the paper's IMP after {passed:.0f} seconds" in figure.get_suptitle()
    assert [len(axes.lines) for axes in figure.axes] == [3, 3]


def test_generated_tables_hold_every_number_and_command(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mkdocs", reason="the site's tools are not installed (make docs)")
    monkeypatch.syspath_prepend(str(DOCS))
    generated = importlib.import_module("page_tables").GENERATED
    table = generated["scenario_numbers"]()
    assert all(f"`{name}`" in table for name in Scenario.__dataclass_fields__)
    assert "| `harvest` | `0.04` | of capacity per h | 0 to 10 | mean harvested energy |" in table
    assert "| `bit_rate` | `400000`, `250000`, `160000`, `100000` | bit/s | 1 to 1e12 | semantic bit rate D |" in table
    commands = generated["commands"]()
    assert "## lmaas compare" in commands
    assert "| `--days` | `40` | Number of held-out days. |" in commands
    assert "```pycon\n>>> import gymnasium as gym" in generated["environment"]()
    assert "| `train` | training with PPO" in generated["extras"]()
    imp = sellers_in("day/table.csv")["imp"]["profit"]
    assert f"| `imp` | optimised hour by hour | {imp:.0f}\u00a0(1.000) |" in generated["headline"]()
    assert (
        f"| `day` | {sellers_in('day/table.csv')['random']['profit'] / 24:.1f} | {imp / 24:.1f} |"
        in generated["returns"]()
    )
    for name in ("ablation", "from_scratch", "scratch_ablation", "welfare", "energy_value", "speed"):
        head, _, *rows = generated[name]().splitlines()
        assert len(rows) >= 3
        assert {row.count("|") for row in rows} == {head.count("|")}


def test_formulas_become_mathml_and_a_wrong_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("math_core", reason="the site's tools are not installed (make docs)")
    monkeypatch.syspath_prepend(str(DOCS))
    hooks = runpy.run_path(str(DOCS / "hooks.py"))

    class Page:
        class file:  # noqa: N801
            src_uri = "market.md"

    shown = hooks["on_page_content"]('<p><span class="arithmatex">\\(a &lt; b\\)</span></p>', Page)
    assert re.fullmatch(r"<p><math>.*<mi>a</mi>.*&lt;.*<mi>b</mi>.*</math></p>", shown)
    with pytest.raises(Exception, match="unknwn"):
        hooks["on_page_content"]('<div class="arithmatex">\\[\\unknwn\\]</div>', Page)


def test_the_pages_on_learners_give_the_numbers_of_the_zoo_on_population() -> None:
    with (ROOT / "benchmarks/zoo-population/summary.csv").open() as file:
        profit = {row["way"]: float(row["profit"]) for row in csv.DictReader(file)}
    zoo, learned = ((DOCS / page).read_text(encoding="utf-8") for page in ("zoo.md", "learned-sellers.md"))
    assert f"**Planning stays ahead** by {100.0 * (profit['lookahead'] / profit['set'] - 1.0):.1f} %" in zoo
    assert min(profit[way] for way in ("set", "attention", "mean", "perceptron")) > profit["fixed"] > profit["imp"]
    assert f"**, {profit['set'] - profit['perceptron']:.0f} $ a day on `population`" in learned
    assert f"On `population` it earns {profit['attention'] - profit['perceptron']:.0f} $ more than" in learned
