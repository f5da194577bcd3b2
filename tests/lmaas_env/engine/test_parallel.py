"""Work shared out among threads: which parts, whose results, whose errors."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from lmaas_env.engine.parallel import in_threads, thread_count


def test_threads_are_as_many_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmaas_env.engine.parallel.thread_count", lambda: 3)
    parts = in_threads(lambda first, last: (first, last), 10, 2)
    assert parts[0] == (0, 3)
    assert sorted(parts) == [(0, 3), (3, 6), (6, 10)]
    assert sorted(in_threads(lambda first, last: (first, last), 40, 8)) == [(0, 14), (14, 27), (27, 40)]
    assert in_threads(lambda first, last: (first, last), 10, 6) == [(0, 10)]
    for wanted in ("0", "many", "-1"):
        monkeypatch.setenv("LMAAS_THREADS", wanted)
        with pytest.raises(ValueError, match=f"LMAAS_THREADS = '{wanted}' must be a whole number >= 1"):
            thread_count.__wrapped__()
    monkeypatch.setenv("LMAAS_THREADS", "1")
    assert thread_count.__wrapped__() == 1


def test_what_goes_wrong_in_a_thread_is_raised_and_the_next_call_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmaas_env.engine.parallel.thread_count", lambda: 2)

    def fails(first: int, last: int) -> int:
        if first > 0:
            raise ArithmeticError(f"from {first} on")
        return last

    with pytest.raises(ArithmeticError, match="from 5 on"):
        in_threads(fails, 10, 2)
    assert in_threads(lambda first, last: last - first, 10, 2) == [5, 5]


def test_callers_in_several_threads_get_their_own_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmaas_env.engine.parallel.thread_count", lambda: 2)

    def of_caller(caller: int) -> set[int]:
        found = [in_threads(lambda first, last: caller, 10, 2) for _ in range(200)]
        return {result for results in found for result in results}

    with ThreadPoolExecutor(4) as callers:
        assert list(callers.map(of_caller, range(4))) == [{0}, {1}, {2}, {3}]


def test_all_parts_have_ended_before_a_fault_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmaas_env.engine.parallel.thread_count", lambda: 3)
    ended = Event()

    def work(first: int, last: int) -> None:
        if first == 0:
            raise RuntimeError("first part")
        if last == 30:
            time.sleep(0.05)
            ended.set()

    with pytest.raises(RuntimeError, match="first part"):
        in_threads(work, 30, 8)
    assert ended.is_set()
