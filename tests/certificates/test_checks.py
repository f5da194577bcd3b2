"""The checks that mutation tests run on plain Python, here on compiled kernels."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.certificates.checks import CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_check(check: Callable[[], None]) -> None:
    check()
