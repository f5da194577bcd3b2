"""What all tests share: one torch thread, and hypothesis examples that are the same on every run and machine."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Read by torch when a test first imports it (small networks crawl on more threads); subprocesses inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

settings.register_profile("lmaas", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("lmaas")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--browser", action="store_true", help="run the tests that look at pages in a headless Chromium")
