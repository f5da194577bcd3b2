"""What MkDocs does on the way: formulas become MathML, results join the pages, tables are generated from the code.

A line ``{{ name argument }}`` of a page is replaced by what `GENERATED` makes of it. Links to ``../benchmarks`` work in
the repository and on the site: results are served from where they lie, no file is stored twice.
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
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lmaas_train.__main__ import COMMANDS
from math_core import LatexToMathML
from mkdocs.structure.files import File, Files

from lmaas_env.env import LMaaSEnv
from lmaas_env.scenario import PRESETS, Scenario
from lmaas_env.scenario_file import SECTIONS

ROOT = Path(__file__).parent.parent
SERVED = (".csv", ".json", ".png", ".sh", ".yaml", ".md")
AT_ROOT = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}  # pages that lie beside the README
MATH = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the results, and the pages that lie elsewhere in the repository."""
    for path in sorted((ROOT / "benchmarks").rglob("*")):
        if path.suffix in SERVED and path.name != "README.md":
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    for page, source in AT_ROOT.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Generate what is generated, and point links at where results are served."""
    if page.file.src_uri.startswith("benchmarks/"):
        return markdown + _beside((ROOT / page.file.src_uri).parent)
    if page.file.src_uri in AT_ROOT:
        return markdown.replace("](benchmarks/README.md)", "](results.md)").replace("](docs/", "](")
    text = re.sub(r"^( *)\{\{ (\w+)(?: (\S+))? \}\}$", _generated, markdown, flags=re.MULTILINE)
    return re.sub(r"\]\(\.\./((?:\.\./)*benchmarks/)", r"](\1", text)


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """Turn formulas into MathML, which browsers draw without a script; an unknown command fails the build."""
    if page.file.src_uri.startswith("api/") or page.file.src_uri in ("environment.md", "commands.md"):
        content = MATH.sub(lambda found: re.sub(r"\\[()]", "$", found[2]), content)  # docstrings: $ stands for money
        return re.sub(r'–\s*<div class="doc-md-description">\s*</div>', "", content)  # of what is not described
    converter = LatexToMathML(fancy_error=False)

    def mathml(found: re.Match[str]) -> str:
        latex = html.unescape(found[2].strip())[2:-2]  # without \( \) or \[ \]
        return converter.convert_with_local_state(latex, displaystyle=found[1] == "div")

    return MATH.sub(mathml, content)


def _generated(found: re.Match[str]) -> str:
    indent, name, argument = found.groups()
    return textwrap.indent(GENERATED[name](*([argument] if argument else [])), indent)


def table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table; what holds the separator is escaped."""
    lines = [list(headings)]
    lines += [["---"] * len(lines[0]), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def scenario_numbers() -> str:
    """Return a table of every number of a scenario for each section of a scenario file."""
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
    """Return a table of what every preset changes."""
    rows = [
        [f"`{name}`", ", ".join(f"`{key}: {_plain(value)}`" for key, value in changes.items()) or "nothing"]
        for name, changes in PRESETS.items()
    ]
    return table(("preset", "changes"), rows)


def environment() -> str:
    """Return the docstring of the environment, its doctest as a block of code."""
    text = inspect.cleandoc(LMaaSEnv.__doc__ or "")
    return re.sub(r"^>>> .*?(?=^$)", lambda block: f"```pycon\n{block[0]}```\n", text, flags=re.MULTILINE | re.DOTALL)


def commands() -> str:
    """Return a section for each command: what it does, its examples and its options, read from the source."""
    return "\n\n".join(_command(name, module, options) for name, (module, options, _) in COMMANDS.items())


def source(name: str) -> str:
    """Return a file of the repository as a block of code."""
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
    """Return tables of `lmaas evaluate` as Markdown, one line for each folder and seller."""
    rows = [
        [
            f"`{name}`",
            row["seller"],
            row["seeds"],
            f"{float(row['profit']):.1f}",
            "" if row["seller"] == "imp" else _interval(row, "share_of_imp", "{:.3f}"),
            f"{float(row['customer_profit']):.0f}",
        ]
        for name in names.split(",")
        for row in _csv(f"learned/{name}/table.csv")
    ]
    return table(("scenario", "seller", "training seeds", "profit, $ a day", "/ IMP", "customers' profit"), rows)


GENERATED: Mapping[str, Callable[..., str]] = {
    "scenario_numbers": scenario_numbers,
    "presets": presets,
    "environment": environment,
    "commands": commands,
    "source": source,
    "compared": compared,
    "evaluated": evaluated,
}


def _beside(folder: Path) -> str:
    """Return what a summary is followed by: its figures, the command that made it and its files."""
    figures = [f"![{path.stem} of this study]({path.name})" for path in sorted(folder.glob("*.png"))]
    command = json.loads((folder / "origin.json").read_text(encoding="utf-8"))["command"].split(" --out ")[0]
    files = ", ".join(f"[{path.name}]({path.name})" for path in sorted(folder.glob("*.[cj]s*")))
    return "\n\n".join(["", *figures, f"Made by `{command}`. Files: {files}.", ""])


def _command(name: str, module: str, options: str) -> str:
    """Return the section of a command; the class that holds its options is parsed, not imported."""
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


def _interval(row: Mapping[str, str], name: str, form: str) -> str:
    mean, low, high = (form.format(float(row[key])) for key in (name, f"{name}_low", f"{name}_high"))
    return f"{mean} [{low}, {high}]"


def _shown(value: object) -> str:
    """Return a default as code, a number for each model one after the other."""
    values = value if isinstance(value, tuple) else (value,)
    return ", ".join(f"`{_plain(it)}`" for it in values) if value != "" else ""


def _plain(value: object) -> str:
    return re.sub(r"e([+-])0*", r"e\1", f"{value:g}").replace("e+", "e") if isinstance(value, float) else str(value)
