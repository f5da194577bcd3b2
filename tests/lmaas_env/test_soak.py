"""Long and wide runs in little; `make soak` is the long way."""

from __future__ import annotations

import itertools
import sys

import pytest

from tests.soak import in_two_threads, many_environments, many_steps, wide_day

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def test_the_books_of_many_steps_balance_and_memory_stays() -> None:
    parts = list(many_steps(30_000, 10_000))
    assert [part.steps for part in parts] == sorted(part.steps for part in parts)
    assert parts[-1].steps >= 30_000
    for part in parts:
        assert max(part.energy, part.money) < 1e-12
        assert max(part.energy_drift, part.money_drift) < 1e-12
    for one, other in itertools.pairwise(parts):
        assert other.memory < one.memory + 20.0


def test_a_day_of_many_customers_balances() -> None:
    part = wide_day(5000)
    assert part.steps == 24
    assert max(part.energy, part.money) < 1e-12


def test_environments_that_are_closed_leave_nothing() -> None:
    left = many_environments(60)
    assert left.objects < 60  # less than one each
    assert left.memory < 20.0
    assert left.threads <= 0
    assert left.files <= 0


def test_environments_in_two_threads_earn_what_each_does_alone() -> None:
    assert in_two_threads(2)
