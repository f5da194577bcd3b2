"""A headless Chromium for the tests of this folder, which run with --browser only."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")  # else playwright's own
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--browser"):
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="needs --browser"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET, "--disable-sync"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open a URL; the test fails if a page logs an error, requests another origin, or scrolls sideways."""
    contexts, faults = [], []

    def opened(url: str, width: int = 1280, height: int = 900, scheme: str = "light") -> Any:
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        context.set_default_timeout(60_000)
        page = context.new_page()
        origin = urlsplit(url)[:2]

        def asked(request: Any) -> None:
            if not request.url.startswith(("data:", "blob:")) and urlsplit(request.url)[:2] != origin:
                faults.append(f"asked for {request.url}")

        page.on("request", asked)
        page.on("console", lambda message: message.type == "error" and faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        for page in context.pages:
            root = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
            if root[0] > root[1]:
                faults.append(f"{page.url} scrolls sideways: {root}")
        context.close()
    assert not faults
