"""The stylesheet of the site in a headless Chromium: figures can be read on light and on dark pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FIGURES = ("benchmarks/fluid/fluid.png#only-light", "benchmarks/fluid/fluid-dark.png#only-dark", "docs/learning.png")


@pytest.mark.parametrize("scheme", ["default", "slate"])
def test_only_figures_without_a_dark_variant_are_inverted_on_dark_pages(
    scheme: str, tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    images = "".join(f'<img width="200" src="{ROOT.as_uri()}/{path}">' for path in FIGURES)
    style = f'<link rel="stylesheet" href="{(ROOT / "docs" / "site.css").as_uri()}">'
    page_file = tmp_path / "page.html"
    page_file.write_text(f'<body data-md-color-scheme="{scheme}">{style}<div class="md-typeset">{images}</div></body>')
    page = open_page(page_file.as_uri())
    page.wait_for_function("[...document.images].every(image => image.naturalWidth > 0)")
    filters = page.evaluate("[...document.images].map(image => getComputedStyle(image).filter)")
    inverted = [it.startswith("invert") for it in filters]
    assert inverted[1:] == [False, scheme == "slate"]  # the first is hidden on dark pages
    papers = page.evaluate("[...document.images].map(image => getComputedStyle(image).backgroundColor)")
    assert papers[1:] == ["rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"]
