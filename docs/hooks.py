"""MkDocs hooks: convert formulas to MathML, serve the results, generate tables from the code and the results.

A line ``{{ name argument }}`` of a page is replaced by the output of the function of that name in `page_tables`. Links
to ``../benchmarks`` work in the repository and on the site: the site serves the results from where they are.
"""

from __future__ import annotations

import html
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from math_core import LatexToMathML
from mkdocs.structure.files import File, Files
from page_tables import GENERATED
from page_tables.common import ROOT

SERVED = (".csv", ".json", ".png", ".sh", ".yaml", ".md")
AT_ROOT = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}  # pages beside the README
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


def _beside(folder: Path) -> str:
    """Return the end of a summary page: its figures, the command that made it and its files."""
    figures = [f"![{path.stem} of this study]({path.name})" for path in sorted(folder.glob("*.png"))]
    command = json.loads((folder / "origin.json").read_text(encoding="utf-8"))["command"].split(" --out ")[0]
    files = ", ".join(f"[{path.name}]({path.name})" for path in sorted(folder.glob("*.[cj]s*")))
    return "\n\n".join(["", *figures, f"Made by `{command}`. Files: {files}.", ""])
