"""The documentation's figures are drawn, and show what their page says."""

from __future__ import annotations

import runpy
from pathlib import Path

FIGURES = Path(__file__).parent.parent / "docs" / "figures.py"


def test_the_figure_of_theorem_1_shows_the_most_valuable_slots_as_the_worst(tmp_path: Path) -> None:
    figure = runpy.run_path(str(FIGURES))["theorem_1"]()
    left, right = figure.axes
    cost_of_a_fade = left.lines[2].get_ydata()
    assert (cost_of_a_fade[1:] >= cost_of_a_fade[:-1] - 1e-12).all()
    assert right.get_xticklabels()[0].get_text() == "1\n2"
    heights = [bar.get_height() for bar in right.patches]
    assert heights == sorted(heights)
    figure.savefig(tmp_path / "figure.png")
