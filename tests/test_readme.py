"""What the README shows runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "example.py").write_text(example, encoding="utf-8")
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_files_that_it_names_are_there() -> None:
    named = [
        *re.findall(r"\]\(([^)#:]+)\)", README),
        *re.findall(r"`((?:lmaas_env|agents|train|tests|benchmarks|docs)/)`", README),
    ]
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
