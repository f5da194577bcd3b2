"""Tables of the market, the commands and the settings, from the code."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import inspect
import re
import tomllib
from pathlib import Path

from lmaas_train.__main__ import COMMANDS
from lmaas_train.ppo_config import PPOConfig

from lmaas_env.env import LMaaSEnv
from lmaas_env.scenario import MODEL_FIELDS, PRESETS, Scenario
from lmaas_env.scenario_text import SECTIONS
from page_tables.common import ROOT, table

EXTRAS = {  # optional dependencies: what they are for
    "cli": "the `lmaas` command without training",
    "train": "training with PPO, and the `lmaas` command",
    "baselines": "other learning algorithms (`lmaas train baseline`)",
    "datasets": "logged days as Minari datasets (`lmaas dataset`)",
    "search": "the search for settings with Optuna (tutorial 8)",
    "wandb": "learning curves in Weights & Biases (`lmaas train --track wandb`)",
    "sweep": "many training runs in one table (`lmaas sweep`)",
    "ray": "the same on a Ray cluster (`lmaas sweep --engine ray`)",
    "rivals": "the base class of the PettingZoo environment (`lmaas_env.parallel_env`)",
    "view": "windows and the interactive page (`lmaas watch --window`, `lmaas explore`)",
    "bench": "solvers that RSR and IMP are compared with (`lmaas study seller`, `lmaas bench rsr`)",
    "test": "the tests",
    "browser": "the tests of the pages in a browser",
    "docs": "this site",
    "dev": "development: tests, linter, type checker, site",
}


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


def ppo_settings() -> str:
    """Return a table of PPO's hyper-parameters."""
    rows = [
        [f"`{field.name}`", _shown(field.default), field.metadata["meaning"]] for field in dataclasses.fields(PPOConfig)
    ]
    return table(("setting", "default", "meaning"), rows)


def extras() -> str:
    """Return the optional dependencies of the distribution."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    rows = [
        [f"`{name}`", EXTRAS.get(name, ""), ", ".join(re.split(r"[\s\[<>=!~;]", it)[0] for it in packages)]
        for name, packages in project["optional-dependencies"].items()
    ]
    return table(("extra", "for", "packages"), rows)


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


def _shown(value: object) -> str:
    """Return a default as code; per-model defaults are listed in the order of the models."""
    values = value if isinstance(value, tuple) else (value,)
    return ", ".join(f"`{_plain(it)}`" for it in values) if value != "" else ""


def _plain(value: object) -> str:
    return re.sub(r"e([+-])0*", r"e\1", f"{value:g}").replace("e+", "e") if isinstance(value, float) else str(value)
