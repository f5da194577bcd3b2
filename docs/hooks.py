"""MkDocs hooks: convert formulas to MathML, serve the results, generate tables from the code and the results.

A line ``{{ name argument }}`` of a page is replaced by the output of the function of that name in `GENERATED`. Links to
``../benchmarks`` work in the repository and on the site: the site serves the results from where they are.
"""

from __future__ import annotations

import ast
import csv
import dataclasses
import html
import importlib.util
import inspect
import json
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lmaas_train.__main__ import COMMANDS
from lmaas_train.bench.scale import TASKS
from lmaas_train.bench.sweep import Costs, costs_table
from lmaas_train.cli.leaderboard import Entry
from lmaas_train.markdown import markdown_table
from lmaas_train.ppo_config import PPOConfig
from math_core import LatexToMathML
from mkdocs.structure.files import File, Files

from lmaas_env.env import LMaaSEnv
from lmaas_env.scenario import MODEL_FIELDS, PRESETS, Scenario
from lmaas_env.scenario_text import SECTIONS

ROOT = Path(__file__).parent.parent
SERVED = (".csv", ".json", ".png", ".sh", ".yaml", ".md")
AT_ROOT = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}  # pages beside the README
SCENARIOS = ("day", "scarce", "abundant", "public")  # those with a folder of `lmaas compare` under benchmarks/
HEADLINE = (  # row of the main table: label, kind, seller by scenario
    (
        "`lookahead`, on `public` `public-lookahead`",
        "planned",
        ("lookahead", "lookahead", "lookahead", "public-lookahead"),
    ),
    (
        "`day-guided`, `scarce-guided`, …",
        "guided RL",
        ("day-guided", "scarce-guided", "abundant-guided", "public-guided"),
    ),
    ("`day-ppo`, `scarce-ppo`, …", "RL from scratch", ("day-ppo", "scarce-ppo", "abundant-ppo", "public-ppo")),
    ("`imp`", "optimised hour by hour", ("imp",) * 4),
    ("`fixed`", "tuned constant prices", ("fixed",) * 4),
    ("`cost-plus`", "tuned markup", ("cost-plus",) * 4),
    ("`random`", "", ("random",) * 4),
)
ABLATION = {  # row of benchmarks/learned/ablation: what it is
    "ppo": "shipped recipe: plan, imitation, PPO",
    "imitation": "plan, imitation, no PPO",
    "set-scratch": "plan, no imitation, PPO",
    "untrained": "plan only, no learning",
    "no-shaping": "shipped recipe without the energy value in the reward",
    "no-critic-first": "shipped recipe, actor and critic start together",
    "no-snapping": "shipped recipe without snapping to thresholds",
    "flat": "no plan, no imitation: PPO from scratch",
}
SCRATCH = (  # policy trained from scratch: label, table, its row
    ("PPO, 2,000,000 steps (`lmaas train`)", "learned/scratch-day/table.csv", "ppo"),
    ("PPO of SB3, 32 environments, 10 epochs, 200,000 steps (`ppo-flat.yaml`)", "wide/table.csv", "flat"),
    ("PPO of SB3, 256 environments, 2 epochs, 700,000 steps (`ppo-wide.yaml`)", "wide/table.csv", "wide"),
)
ENCODERS = {  # scenarios of benchmarks/learned/encoders-*: the seller there that looks ahead
    **dict.fromkeys(("day", "scarce", "abundant", "population"), "lookahead"),
    "public": "public-lookahead",
}
ZOO = {  # way to sell of benchmarks/sweeps/zoo.yaml: what it is
    "perceptron": "PPO, perceptron",
    "set": "PPO, set",
    "attention": "PPO, attention",
    "reinforce": "REINFORCE",
    "recurrent-ppo": "recurrent PPO",
    "sac": "SAC",
    "tqc": "TQC",
    "crossq": "CrossQ",
    "cma-es": "CMA-ES",
    "cloning": "cloning",
    "iql": "IQL",
}
SCRATCH_ABLATION = {  # row of benchmarks/learned/scratch-ablation: what it is
    "short": "`lmaas train --steps 600000`",
    "no-copies": "every lane sells a day of its own",
    "middle-price": "starts in the middle of the price range",
    "large-batches": "large batches, four epochs",
}
SPEED = (  # faster loop, slower loop, label
    ("vector environment", "SyncVectorEnv", "256 environments in one call, over `SyncVectorEnv`"),
    (
        "vector environment",
        "plain compiled step, one core",
        "256 environments in one call, over a plain compiled loop on one core",
    ),
    ("scalar environment", "CartPole", "one environment, over CartPole"),
    ("PPO", "PPO on DummyVecEnv", "PPO with 32 environments, over PPO on `DummyVecEnv`"),
    ("PPO", "PPO on a free environment", "PPO with 32 environments, over PPO on an environment that costs nothing"),
    ("wide PPO", "wide PPO on DummyVecEnv", "PPO with 256 environments, over PPO on `DummyVecEnv`"),
    (
        "wide PPO",
        "wide PPO on a free environment",
        "PPO with 256 environments, over PPO on an environment that costs nothing",
    ),
)
EXTRAS = {  # optional dependencies: what they are for
    "cli": "the `lmaas` command without training",
    "train": "training with PPO, and the `lmaas` command",
    "datasets": "logged days as Minari datasets (`lmaas dataset`)",
    "search": "the search for settings with Optuna (tutorial 8)",
    "wandb": "learning curves in Weights & Biases (`lmaas train --track wandb`)",
    "sweep": "many trainings and scores in one table (`lmaas sweep`)",
    "ray": "the same on a Ray cluster (`lmaas sweep --engine ray`)",
    "rivals": "the base class of the PettingZoo environment (`lmaas_env.parallel_env`)",
    "view": "windows and the interactive page (`lmaas watch --window`, `lmaas explore`)",
    "bench": "solvers that RSR and IMP are compared with (`lmaas study seller`, `lmaas bench rsr`)",
    "test": "the tests",
    "browser": "the tests of the pages in a browser",
    "docs": "this site",
    "dev": "development: tests, linter, type checker, site",
}
WAYS = {  # row of benchmarks/energy-value/ways.csv: how the energy value is estimated
    "exact": "exact cost of the energy that a sale drains, in expectation",
    "bound": "energy values that prove the certified bound, mean of three days",
    "own days, round 1": "estimated on look-ahead IMP's own days",
    "own days, round 2": "estimated again on the days sold with that estimate",
    "own days, by state, round 1": "by shadowing and demand as well",
    "own days, by state, round 2": "by shadowing and demand, estimated again",
}
NO_BREAK = "\u00a0"  # no line break inside a number with its interval
MATH = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the results and the pages that are kept elsewhere in the repository."""
    for path in sorted((ROOT / "benchmarks").rglob("*")):
        if path.suffix in SERVED and path.name != "README.md":
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    for page, source in AT_ROOT.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill in generated tables and point links at the served results."""
    if page.file.src_uri.startswith("benchmarks/"):
        return markdown + _beside((ROOT / page.file.src_uri).parent)
    if page.file.src_uri in AT_ROOT:
        return markdown.replace("](benchmarks/README.md)", "](results.md)").replace("](docs/", "](")
    text = re.sub(r"^( *)\{\{ (\w+)(?: (\S+))? \}\}$", _generated, markdown, flags=re.MULTILINE)
    return re.sub(r"\]\(\.\./((?:\.\./)*benchmarks/)", r"](\1", text)


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """Convert formulas to MathML, which browsers draw without a script; an unknown command fails the build."""
    if page.file.src_uri.startswith("api/") or page.file.src_uri in ("environment.md", "commands.md"):
        content = MATH.sub(lambda found: re.sub(r"\\[()]", "$", found[2]), content)  # docstrings: $ stands for money
        return re.sub(r'–\s*<div class="doc-md-description">\s*</div>', "", content)  # drop empty descriptions
    converter = LatexToMathML(fancy_error=False)

    def mathml(found: re.Match[str]) -> str:
        latex = html.unescape(found[2].strip())[2:-2]  # without \( \) or \[ \]
        return converter.convert_with_local_state(latex, displaystyle=found[1] == "div")

    return MATH.sub(mathml, content)


def _generated(found: re.Match[str]) -> str:
    indent, name, argument = found.groups()
    return textwrap.indent(GENERATED[name](*([argument] if argument else [])), indent)


def table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table."""
    return "\n".join(markdown_table(list(headings), [[str(cell) for cell in row] for row in rows]))


def scenario_numbers() -> str:
    """Return one table per section of a scenario file, with every number of a scenario."""
    sections: list[tuple[str, list[list[object]]]] = []
    for field in dataclasses.fields(Scenario):
        if field.name in SECTIONS:
            sections.append((SECTIONS[field.name], []))
        about = field.metadata
        allowed = ", ".join(f"`{option}`" for option in about.get("options", ()))
        if "low" in about:
            allowed = f"{_plain(float(about['low']))} to {_plain(float(about['high']))}"
        unit = about.get("unit", "").replace("1", "", about.get("unit") == "1")
        sections[-1][1].append([f"`{field.name}`", _shown(field.default), unit, allowed, about["meaning"]])
    headings = ("number", "default", "unit", "allowed", "meaning")
    return "\n\n".join(f"### {name}\n\n{table(headings, rows)}" for name, rows in sections)


def presets() -> str:
    """Return a table of the numbers that each preset changes."""
    rows = [
        [
            f"`{name}`",
            ", ".join(f"`{key}: {_plain(value)}`" for key, value in changes.items() if key not in MODEL_FIELDS)
            or "nothing",
        ]
        for name, changes in PRESETS.items()
    ]
    return table(("preset", "changes"), rows)


def environment() -> str:
    """Return the docstring of the environment with its doctest as a code block."""
    text = inspect.cleandoc(LMaaSEnv.__doc__ or "")
    return re.sub(r"^>>> .*?(?=^$)", lambda block: f"```pycon\n{block[0]}```\n", text, flags=re.MULTILINE | re.DOTALL)


def commands() -> str:
    """Return one section per command: purpose, examples and options, read from the source."""
    return "\n\n".join(_command(name, module, options) for name, (module, options, _) in COMMANDS.items())


def source(name: str) -> str:
    """Return a file of the repository as a code block."""
    language = {".py": "python", ".yaml": "yaml"}[Path(name).suffix]
    return f"```{language}\n{(ROOT / name).read_text(encoding='utf-8')}```"


def compared(name: str) -> str:
    """Return a table.csv of `lmaas compare` as Markdown."""
    rows = [
        [
            row["seller"],
            _interval(row, "profit", "{:.0f}"),
            "" if row["seller"] == "imp" else _interval(row, "minus_imp", "{:+.0f}"),
            f"{float(row['share_of_imp']):.3f}",
            f"{float(row['customer_profit']):.0f}",
        ]
        for row in _csv(f"{name}/table.csv")
    ]
    return table(("seller", "profit, $ a day", "minus IMP", "/ IMP", "customers' profit"), rows)


def evaluated(names: str) -> str:
    """Return the tables of `lmaas evaluate` as one Markdown table, a row per folder and seller."""
    rows = [
        [
            f"`{name}`",
            row["seller"],
            row["seeds"],
            f"{float(row['profit']):.{0 if float(row['profit']) > 100.0 else 1}f}",
            "" if row["seller"] == "imp" else _interval(row, "share_of_imp", "{:.3f}"),
            f"{float(row['customer_profit']):.0f}",
        ]
        for name in names.split(",")
        for row in _csv(f"learned/{name}/table.csv")
    ]
    return table(("scenario", "seller", "training seeds", "profit, $ a day", "/ IMP", "customers' profit"), rows)


def headline() -> str:
    """Return the main table: profit and ratio to IMP by seller and scenario."""
    found = {name: _sellers(f"{name}/table.csv") for name in SCENARIOS}
    rows: list[list[str]] = []
    for label, kind, sellers in HEADLINE:
        shown = [found[name].get(seller) for name, seller in zip(SCENARIOS, sellers, strict=True)]
        cells = (
            f"{float(row['profit']):.0f}{NO_BREAK}({float(row['share_of_imp']):.3f})" if row else "–" for row in shown
        )
        rows.append([label, kind, *cells])
    return table(("seller", "kind", *(f"`{name}`" for name in SCENARIOS)), rows)


def returns() -> str:
    """Return reference returns of an episode, in $ per customer: random prices, IMP, best known seller, bound."""
    rows: list[list[str]] = []
    for name in SCENARIOS:
        profit = {seller: float(row["profit"]) for seller, row in _sellers(f"{name}/table.csv").items()}
        values = (profit["random"], profit["imp"], max(profit.values()), _bound(name))
        rows.append([f"`{name}`", *(f"{value / Scenario.preset(name).customers:.1f}" for value in values)])
    return table(("scenario", "random", "IMP", "best known", "bound"), rows)


def bounded() -> str:
    """Return each scenario's bounds, in $ a day, and the shares of the certified one that sellers earn."""
    rows: list[list[str]] = []
    for folder in sorted((ROOT / "benchmarks/bound").iterdir()):
        found = _sellers(f"bound/{folder.name}/sellers.csv")
        days = _csv(f"bound/{folder.name}/days.csv")
        shares = [_interval(found[seller], "share", "{:.3f}") for seller in ("lookahead", "imp", "fixed")]
        personalised = [float(row["personalised"]) for row in days if row["personalised"]]  # none for a single hour
        bound = _bound(folder.name)
        shown = f"{bound:,.0f}" if bound >= 1000.0 else f"{bound:.1f}"
        mean = f"{sum(personalised) / len(personalised):,.0f}" if personalised else ""
        name, _, seed = folder.name.partition("-population-")
        label = f"`{name}`, population {seed}" if seed else f"`{name}`"
        rows.append([label, str(len(days)), shown, *shares, mean])
    headings = ("scenario", "days", "bound, $ a day", "look-ahead IMP", "IMP", "fixed", "personalised bound")
    return table(headings, rows)


def learning(scenario: str) -> str:
    """Return the scores of sellers where customers are hidden."""
    rows = [
        [
            f"`{row['seller']}`",
            row["seeds"],
            f"{float(row['profit']):,.0f}",
            _interval(row, "score", "{:.2f}"),
            f"{float(row['milliseconds_per_decision']):.2g}",
        ]
        for row in _csv(f"{scenario}/table.csv")
    ]
    return table(("seller", "training seeds", "profit, $ an episode", "score", "ms per decision"), rows)


def suite() -> str:
    """Return what each environment leaves to learning and planning, from `lmaas suite check`."""
    rows = [
        [
            f"`{row['environment']}`",
            row["tests"],
            f"`{row['clock_only_seller']}` {float(row['share_clock_only']):.3f}",
            "–" if row["adaptive_seller"] == row["informed_seller"] else _closed(row),
            f"{float(row['planning']):.2f}",
            f"`{row['informed_seller']}` {float(row['informed']):,.{0 if float(row['informed']) > 100.0 else 1}f}",
            f"{float(row['share_of_bound']):.3f}" if row["bound"] else "–",
            row["class"],
        ]
        for row in _csv("suite/table.csv")
    ]
    heads = (
        "environment",
        "what is hard",
        "clock only",
        "closed",
        "planning",
        "informed, $ an episode",
        "/ bound",
        "class",
    )
    return table(heads, rows)


def _closed(row: Mapping[str, str]) -> str:
    """Return which adaptive seller closes how much of the gap, `none` where it earns less than without adapting."""
    closed = float(row["gap_closed"])
    return f"`{row['adaptive_seller']}` {closed:.2f}" if closed > 0.0 else "none"


def ablation() -> str:
    """Return the learned sellers of `day` with parts of the recipe left out, with and without the local search."""
    refined, plain = (_sellers(f"learned/{folder}/table.csv") for folder in ("ablation", "ablation-no-search"))
    best = float(refined["lookahead"]["profit"])
    rows: list[list[str]] = []
    for name, label in ABLATION.items():
        pairs = [("–", "–") if name == "flat" else _shares(refined[name], best), _shares(plain[name], best)]
        rows.append([label, refined[name]["seeds"], *pairs[0], *pairs[1]])
    heads = ("with search, $ a day", "/ look-ahead IMP", "without, $ a day", "/ look-ahead IMP")
    return table(("`day`", "training seeds", *heads), rows)


def from_scratch() -> str:
    """Return the policies of `day` that are trained without plan, imitation and search."""
    rows = [
        [label, row["seeds"], f"{float(row['profit']):.0f}", _interval(row, "share_of_imp", "{:.3f}")]
        for label, path, name in SCRATCH
        for row in [_sellers(path)[name]]
    ]
    return table(("trained from scratch", "training seeds", "profit, $ a day", "/ IMP"), rows)


def time_to_score() -> str:
    """Return how many seconds PPO from scratch takes to shares of IMP's profit on tuning days."""
    rows: list[list[str]] = []
    for name in ("day", "scarce"):
        levels = _csv(f"learned/scratch-{name}/time_to_score.csv")
        cells = [
            f"{float(row['seconds']):.0f} [{float(row['fastest']):.0f}, {float(row['slowest'] or 'inf'):.0f}]".replace(
                "inf", "–"
            )
            if row["seconds"]
            else f"{row['reached']} of {row['runs']} runs"
            for row in levels
        ]
        rows.append([f"`{name}`", *cells])
    shares = [f"{float(row['share_of_imp']):.2f}" for row in _csv("learned/scratch-day/time_to_score.csv")]
    return table(("seconds to a share of IMP's profit", *shares), rows)


def encoders() -> str:
    """Return what PPO from scratch earns with each encoder of customers, by scenario."""
    rows: list[list[str]] = []
    for name, ahead in ENCODERS.items():
        found = _sellers(f"learned/encoders-{name}/table.csv")
        for seller in ("perceptron", "set", "attention"):
            if row := found.get(seller):
                profit, share = _shares(row, float(found[ahead]["profit"]))
                over_imp = _interval(row, "share_of_imp", "{:.3f}")
                rows.append([f"`{name}`", seller, row["seeds"], profit, over_imp, share])
    headings = ("scenario", "customers seen by", "training seeds", "profit, $ a day", "/ IMP", "/ look-ahead IMP")
    return table(headings, rows)


def zoo() -> str:
    """Return what each algorithm of the zoo earns by scenario and over all of them, the best first."""
    found = {(row["scenario"], row["way"]): row for row in _csv("zoo/summary.csv")}
    scenarios = list(dict.fromkeys(name for name, _ in found))
    rows: list[list[str]] = []
    for row in _csv("zoo/normalised.csv"):
        cells: list[str] = []
        for name in scenarios:
            own = found[name, row["way"]]
            ratio = _interval(own, "share_of_imp", "{:.3f}") if row["way"] != "imp" else "1"
            cells += [ratio, f"{float(own['score']):.2f}" if own["score"] else ""]
        trained = int(row["seeds"]) > 1
        seconds = [float(found[name, row["way"]]["training_seconds"]) for name in scenarios]
        took = f"{sum(seconds) / len(seconds):.0f}" if trained else ""
        over = _interval(row, "iqm", "{:.2f}") if trained else f"{float(row['iqm']):.2f}"
        rows.append([ZOO.get(row["way"], f"`{row['way']}`"), *cells, over, took])
    heads = [head for name in scenarios for head in (f"`{name}` / IMP", "score")]
    return table(("seller", *heads, "IQM", "s"), rows)


def scratch_ablation() -> str:
    """Return what the choices of PPO from scratch contribute."""
    found = _sellers("learned/scratch-ablation/table.csv")
    rows = [
        [
            label,
            found[way]["seeds"],
            f"{float(found[way]['profit']):.0f}",
            _interval(found[way], "share_of_imp", "{:.3f}"),
        ]
        for way, label in SCRATCH_ABLATION.items()
    ]
    return table(("`day`", "training seeds", "profit, $ a day", "/ IMP"), rows)


def ppo_settings() -> str:
    """Return a table of PPO's hyper-parameters."""
    rows = [
        [f"`{field.name}`", _shown(field.default), field.metadata["meaning"]] for field in dataclasses.fields(PPOConfig)
    ]
    return table(("setting", "default", "meaning"), rows)


def leaderboard(scenario: str) -> str:
    """Return the entries of a scenario, the best first."""
    entries: list[tuple[Entry, dict[str, Any]]] = []
    for path in sorted((ROOT / "leaderboard").glob("*/score.json")):
        entry = Entry.load(path.parent)
        if entry.scenario == scenario:
            entries.append((entry, json.loads(path.read_text(encoding="utf-8"))))
    entries.sort(key=lambda it: -it[1]["profit"])
    rows = [
        [
            entry.name,
            entry.kind,
            _interval(score, "profit", "{:.0f}"),
            f"{score['share_of_imp']:.3f}",
            f"{score['profit'] / _bound(scenario):.3f}",
            f"{score['customer_profit']:.0f}",
        ]
        for entry, score in entries
    ]
    heads = ("seller", "kind", "profit, $ a day", "/ IMP", "/ bound", "customers' profit")
    methods = [
        f"- **{entry.name}** ({entry.who}). {entry.method} Training: {entry.training}."
        + "".join(f" [Link]({link})." for link in entry.links)
        for entry, _ in entries
    ]
    return "\n".join([table(heads, rows), "", *methods])


def welfare() -> str:
    """Return the customers' profit under each seller, realised and as planned for the worst case."""
    sellers = ("imp", "lookahead", "ppo", "fixed")
    rows: list[list[str]] = []
    for name in SCENARIOS:
        found = _sellers(f"learned/{name}/table.csv")
        found["lookahead"] = found.get("lookahead") or found["public-lookahead"]
        shown = [found.get(seller) for seller in sellers]
        keys = ("customer_profit", "worst_case_profit")
        rows.append(
            [f"`{name}`", *(", ".join(f"{float(row[key]):.0f}" for key in keys) if row else "" for row in shown)]
        )
    return table(("scenario", "IMP", "look-ahead IMP", "learned", "fixed"), rows)


def energy_value() -> str:
    """Return what other estimates of the energy value add to look-ahead IMP, in $ a day."""
    found = {(row["scenario"], row["way"]): row for row in _csv("energy-value/ways.csv")}
    rows = [
        [label, *(_interval(found[name, way], "added", "{:+.1f}") for name in ("day", "scarce"))]
        for way, label in WAYS.items()
    ]
    return table(("energy value", "`day`", "`scarce`"), rows)


def speed() -> str:
    """Return steps per second and their ratios."""
    found = {row["name"]: float(row["steps_per_second"]) for row in _csv("speed/speed.csv")}
    rows = [
        [label, f"{found[fast]:,.0f}", f"{found[slow]:,.0f}", f"{found[fast] / found[slow]:.2f}"]
        for fast, slow, label in SPEED
    ]
    return table(("what", "steps/s", "reference, steps/s", "ratio"), rows)


def scale() -> str:
    """Return processor seconds and memory of markets of up to a million customers."""
    meaning, found = {task.name: task.meaning for task in TASKS}, dict[str, dict[int, dict[str, str]]]()
    for row in _csv("scale/scale.csv"):
        found.setdefault(row["task"], {})[int(row["customers"])] = row
    sizes = sorted({size for own in found.values() for size in own})
    rows: list[list[str]] = []
    for task, own in found.items():
        last = own[max(own)]
        each = (float(last["peak"]) - float(last["before"])) / max(own)
        seconds = [f"{float(own[size]['seconds']):.3g}" if size in own else "" for size in sizes]
        rows.append([meaning[task], *seconds, f"{each:,.0f}", f"{float(last['peak']) / 2**30:.2f}"])
    headings = ("what", *(f"s, {size:,}" for size in sizes), "bytes a customer", "peak, GiB")
    return table(headings, rows)


def sweep_costs() -> str:
    """Return what a sweep costs on every engine, and how well that predicts how long it takes."""
    rows = [row for folder in ("sweep-costs", "sweep-costs/ray") for row in _csv(f"{folder}/costs.csv")]
    numbers = [{name: float(value) for name, value in row.items() if name not in ("engine", "workers")} for row in rows]
    costs = [Costs(row["engine"], int(row["workers"]), **own) for row, own in zip(rows, numbers, strict=True)]
    return table(*costs_table(costs))


def extras() -> str:
    """Return the optional dependencies of the distribution."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    rows = [
        [f"`{name}`", EXTRAS.get(name, ""), ", ".join(re.split(r"[\s\[<>=!~;]", it)[0] for it in packages)]
        for name, packages in project["optional-dependencies"].items()
    ]
    return table(("extra", "for", "packages"), rows)


GENERATED: Mapping[str, Callable[..., str]] = {
    "scenario_numbers": scenario_numbers,
    "presets": presets,
    "environment": environment,
    "commands": commands,
    "source": source,
    "compared": compared,
    "evaluated": evaluated,
    "headline": headline,
    "returns": returns,
    "bounded": bounded,
    "learning": learning,
    "suite": suite,
    "ablation": ablation,
    "from_scratch": from_scratch,
    "encoders": encoders,
    "zoo": zoo,
    "scratch_ablation": scratch_ablation,
    "leaderboard": leaderboard,
    "ppo_settings": ppo_settings,
    "time_to_score": time_to_score,
    "welfare": welfare,
    "energy_value": energy_value,
    "speed": speed,
    "scale": scale,
    "sweep_costs": sweep_costs,
    "extras": extras,
}


def _beside(folder: Path) -> str:
    """Return the end of a summary page: its figures, the command that made it and its files."""
    figures = [f"![{path.stem} of this study]({path.name})" for path in sorted(folder.glob("*.png"))]
    command = json.loads((folder / "origin.json").read_text(encoding="utf-8"))["command"].split(" --out ")[0]
    files = ", ".join(f"[{path.name}]({path.name})" for path in sorted(folder.glob("*.[cj]s*")))
    return "\n\n".join(["", *figures, f"Made by `{command}`. Files: {files}.", ""])


def _command(name: str, module: str, options: str) -> str:
    """Return the section of a command; the class with its options is parsed, not imported."""
    code = Path(importlib.util.find_spec(module).origin or "").read_text(encoding="utf-8")  # pyright: ignore
    (found,) = [node for node in ast.parse(code).body if isinstance(node, ast.ClassDef) and node.name == options]
    about, _, examples = (ast.get_docstring(found) or "").partition("\nExamples\n--------\n")
    rows: list[list[object]] = []
    for field, text in zip(found.body, found.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            flag = f"--{ast.unparse(field.target).replace('_', '-')}"
            positional = "Positional" in ast.unparse(field.annotation)
            default = "" if field.value is None else ast.unparse(field.value)
            shown = "" if default in ("None", "''") else f"`{default}`" if default else "needed"
            rows.append([f"`{flag[2:].upper() if positional else flag}`", shown, text.value.value])
    shell = f"```sh\n{inspect.cleandoc(examples)}\n```" if examples else ""
    body = [f"## lmaas {name}", about, shell, table(("option", "default", "meaning"), rows)]
    return "\n\n".join(part for part in body if part)


def _csv(name: str) -> list[dict[str, str]]:
    with (ROOT / "benchmarks" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _sellers(name: str) -> dict[str, dict[str, str]]:
    """Return the rows of a table by seller."""
    return {row["seller"]: row for row in _csv(name)}


def _shares(row: Mapping[str, str], best: float) -> tuple[str, str]:
    return f"{float(row['profit']):.0f}", f"{float(row['profit']) / best:.3f}"


def _bound(scenario: str) -> float:
    """Return the mean certified bound on any seller's day; it does not depend on what sellers see."""
    bounds = [float(row["bound"]) for row in _csv(f"bound/{'day' if scenario == 'public' else scenario}/days.csv")]
    return sum(bounds) / len(bounds)


def _interval(row: Mapping[str, str], name: str, form: str) -> str:
    mean, low, high = (form.format(float(row[key])) for key in (name, f"{name}_low", f"{name}_high"))
    return f"{mean} [{low}, {high}]".replace(" ", NO_BREAK)


def _shown(value: object) -> str:
    """Return a default as code; per-model defaults are listed in the order of the models."""
    values = value if isinstance(value, tuple) else (value,)
    return ", ".join(f"`{_plain(it)}`" for it in values) if value != "" else ""


def _plain(value: object) -> str:
    return re.sub(r"e([+-])0*", r"e\1", f"{value:g}").replace("e+", "e") if isinstance(value, float) else str(value)
