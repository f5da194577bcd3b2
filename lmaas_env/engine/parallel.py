"""Sharing out the lanes of a batch among threads: kernels run without the interpreter's lock."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

Result = TypeVar("Result")


def in_threads(work: Callable[[int, int], Result], size: int, least: int) -> list[Result]:
    """Share out range(size) among threads, at least ``least`` items each: call work(first, last) for every part.

    As many threads as this process may use cores; fewer if the environment variable LMAAS_THREADS says so. The calling
    thread does the first part itself: were it to sleep, both threads may be woken on the core that it leaves. Its part
    is larger by ``least`` / 4, about what others lose until they start and it would lose if it had to be woken. Its
    result comes first, those of the others in any order.
    """
    if thread_count() == 1 or size < 2 * least:
        return [work(0, size)]
    parts = min(thread_count(), size // least)
    more = least // 4
    ends = [0, *(more + (size - more) * part // parts for part in range(1, parts + 1))]
    tasks, done = _tasks(os.getpid(), thread_count() - 1), SimpleQueue[tuple[Any, BaseException | None]]()
    for first, last in itertools.pairwise(ends[1:]):
        tasks.put((work, first, last, done))
    results: list[Result] = []
    try:
        results.append(work(0, ends[1]))
    finally:
        others = [done.get() for _ in range(1, parts)]  # until all have ended, they write into the caller's arrays
    for result, error in others:
        if error is not None:
            raise error
        results.append(result)
    return results


@functools.cache
def thread_count() -> int:
    """Return how many threads a batch is shared out to.

    Raises
    ------
    ValueError
        If LMAAS_THREADS is set, but not to a whole number >= 1.
    """
    wanted = os.environ.get("LMAAS_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not wanted:
        return cores
    if not wanted.isdecimal() or int(wanted) < 1:
        raise ValueError(f"LMAAS_THREADS = {wanted!r} must be a whole number >= 1")
    return min(int(wanted), cores)


@functools.cache
def _tasks(process: int, threads: int) -> SimpleQueue[Any]:
    """Return the tasks of this process's threads; a forked child does not inherit its parent's threads.

    Bare queues, as the futures of a ThreadPoolExecutor take 40 us more a call, 4 % of a step of 256 lanes.
    """
    tasks: SimpleQueue[Any] = SimpleQueue()
    for _ in range(threads):
        Thread(target=_serve, args=(tasks,), name="lmaas", daemon=True).start()
    return tasks


def _serve(tasks: SimpleQueue[Any]) -> None:
    """Do one task after another: (work, first, last, where (result, error) is put)."""
    while True:
        work, first, last, done = tasks.get()
        try:
            done.put((work(first, last), None))
        except BaseException as error:
            done.put((None, error))
        del work, done  # they may hold arrays
