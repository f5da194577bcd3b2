"""Files of a results folder, as the report reads them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from lmaas_train.runs import written_text

from lmaas_env.fields import one_line
from lmaas_env.files import read_text

Rows = list[dict[str, Any]]
TEXTS = ("seller", "rival", "model", "way", "run")  # columns that are not numbers


def table(path: Path) -> Rows:
    """Return the rows of a CSV file, numbers as floats; none where the file is missing."""

    def row(line: int, cells: dict[Any, Any]) -> dict[str, Any]:
        try:
            return {
                column: written_text(cell) if column in TEXTS else float(cell or "nan")
                for column, cell in cells.items()
            }
        except (TypeError, ValueError, AttributeError) as error:
            said = one_line(str(error))[:200]
            raise ValueError(f"file {str(path)!r}, line {line}: {said}") from error

    if not path.exists():
        return []
    try:
        return [row(i + 2, cells) for i, cells in enumerate(csv.DictReader(read_text(path).splitlines()))]
    except csv.Error as error:
        raise ValueError(f"file {str(path)!r} is not valid CSV: {error}") from error


def json_object(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file; an empty one where the file is missing."""
    if not path.exists():
        return {}
    try:
        content: Any = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"file {str(path)!r} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"file {str(path)!r} must hold an object")
    return content
