"""Tables of Markdown pages."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]], has_numbers: bool = False) -> list[str]:
    """Return the lines of a table; all columns but the first are aligned to the right if they hold numbers."""
    rules = ["---", *["--:" if has_numbers else "---"] * (len(headings) - 1)]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in (headings, rules, *rows)]
