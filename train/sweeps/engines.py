"""Engines: run a function for many tasks, here or on a Ray cluster, and survive lost workers.

An engine takes a function of a module and its arguments by key, and yields an outcome per key as soon as it is known.
A task whose worker is lost, by a kill, a lack of memory or a lost node, is run again, `ATTEMPTS` times in all; a task
that raises is not. Engines know nothing of what they run, so their results cannot differ.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

from lmaas_env.engine.parallel import thread_count
from lmaas_env.fields import one_line

ATTEMPTS = 3
THREADS = "LMAAS_THREADS"  # of one worker; by default the cores are shared out


class Outcome(NamedTuple):
    """What became of a task: its value or, if it failed, the error in words."""

    key: str
    value: Any = None
    error: str = ""


class Engine(Protocol):
    """Runs tasks; ``slots`` says how many at a time."""

    @property
    def slots(self) -> int:
        """Number of tasks that run at the same time."""
        ...

    def run(self, work: Callable[..., Any], tasks: Mapping[str, tuple[Any, ...]]) -> Generator[Outcome]:
        """Run a function of a module for every task, in any order.

        Parameters
        ----------
        work : function
        tasks : mapping of str to tuple
            Arguments by key; they are started in this order.

        Yields
        ------
        Outcome
            One per key.
        """
        ...


class InProcess:
    """Runs tasks in this process, one after the other; what a task raises is raised as it is."""

    slots = 1

    def run(self, work: Callable[..., Any], tasks: Mapping[str, tuple[Any, ...]]) -> Generator[Outcome]:
        """Run tasks as `Engine.run` says."""
        for key, task in tasks.items():
            yield Outcome(key, work(*task))


class LocalEngine:
    """Runs tasks in processes of this machine, each worker one task after the other.

    Parameters
    ----------
    jobs : int
        Number of workers.

    Raises
    ------
    ValueError
        If it is less than 1.
    """

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise ValueError(f"jobs = {jobs} must be at least 1")
        self.slots = jobs

    def run(self, work: Callable[..., Any], tasks: Mapping[str, tuple[Any, ...]]) -> Generator[Outcome]:
        """Run tasks as `Engine.run` says; workers end with this process, however it ends."""
        waiting = deque((key, 1) for key in tasks)
        threads = max(1, thread_count() // self.slots)
        idle = [_Worker(threads) for _ in range(min(self.slots, len(tasks)))]
        running: dict[Future[Any], tuple[str, int, _Worker]] = {}
        try:
            while waiting or running:
                while waiting and idle:
                    key, attempt = waiting.popleft()
                    worker = idle.pop()
                    try:
                        future = worker.submit(work, tasks[key])
                    except BrokenProcessPool:  # it died while it had nothing to do
                        worker.kill()
                        idle.append(_Worker(threads))
                        waiting.appendleft((key, attempt))
                        continue
                    running[future] = key, attempt, worker
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    key, attempt, worker = running[future]
                    try:
                        outcome = Outcome(key, future.result())
                    except BrokenProcessPool:
                        worker.kill()
                        worker = _Worker(threads)
                        outcome = None if attempt < ATTEMPTS else Outcome(key, error=lost(attempt))
                    except Exception as error:
                        outcome = Outcome(key, error=said(error))
                    del running[future]
                    idle.append(worker)
                    if outcome is None:
                        waiting.appendleft((key, attempt + 1))
                    else:
                        yield outcome
        finally:
            for _, _, worker in running.values():
                worker.kill()
            for worker in idle:
                worker.close()


class _Worker:
    """A process that ends, also in the middle of a task, when it is killed here or the driver is gone.

    It has a pool of its own, so that a process that dies takes no task of another worker along.
    """

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._watched, self._held = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(
            1, mp_context=context, initializer=_start_worker, initargs=(self._watched, threads)
        )

    def submit(self, work: Callable[..., Any], task: tuple[Any, ...]) -> Future[Any]:
        return self._pool.submit(work, *task)

    def kill(self) -> None:
        self._held.close()
        self.close()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._held.close()
        self._watched.close()


def _start_worker(watched: Connection, threads: int) -> None:
    """Prepare a worker: its threads, no Ctrl-C from the terminal, and an end when the driver closes the pipe."""
    os.environ.setdefault(THREADS, str(threads))
    if hasattr(os, "setsid"):
        os.setsid()  # a training that gets Ctrl-C would end early, as if it were finished

    def end_with_driver() -> None:
        with contextlib.suppress(EOFError, OSError):
            watched.recv()
        os._exit(1)

    threading.Thread(target=end_with_driver, daemon=True).start()


class RayEngine:
    """Runs tasks on a Ray cluster, which every node has this package installed on.

    Parameters
    ----------
    address : str
        Of the cluster, or ``auto`` for the one that this machine belongs to; empty: a cluster of this machine alone.

    Raises
    ------
    ValueError
        If the cluster cannot be reached.
    """

    def __init__(self, address: str = "") -> None:
        _check_reachable(address)
        self._ray: Any = importlib.import_module("ray")
        here: dict[str, Any] = {"address": address} if address else {"include_dashboard": False}
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to third parties
        environment = {"env_vars": {THREADS: os.environ.get(THREADS, "1")}}
        try:
            if not self._ray.is_initialized():
                self._ray.init(**here, runtime_env=environment, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ValueError(f"address = {address!r}: {said(error)}") from error

    @property
    def slots(self) -> int:
        """Number of cores that the cluster has now; a task takes one."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def run(self, work: Callable[..., Any], tasks: Mapping[str, tuple[Any, ...]]) -> Generator[Outcome]:
        """Run tasks as `Engine.run` says; Ray moves those of a lost worker or node to another."""
        ray = self._ray
        remote = ray.remote(work).options(num_cpus=1, max_retries=ATTEMPTS - 1)
        running: dict[Any, str] = {remote.remote(*task): key for key, task in tasks.items()}
        try:
            while running:
                for done in ray.wait(list(running), num_returns=1)[0]:
                    key = running.pop(done)
                    try:
                        outcome = Outcome(key, ray.get(done))
                    except ray.exceptions.RayTaskError as error:
                        outcome = Outcome(key, error=said(error.cause))
                    except ray.exceptions.RayError:
                        outcome = Outcome(key, error=lost(ATTEMPTS))
                    yield outcome
        finally:
            for left in running:
                ray.cancel(left, force=True)


def _check_reachable(address: str) -> None:
    """Raise a ValueError if nothing answers at a host and port; Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=10.0).close()
        except (OSError, OverflowError) as error:
            raise ValueError(f"address = {address!r} cannot be reached: {said(error)}") from error


def said(error: BaseException) -> str:
    """Return an error in one line, with its kind unless it is bad input."""
    text = one_line(str(error))
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}".removesuffix(": ")


def lost(attempts: int) -> str:
    """Return what to say of a task whose worker was lost so often."""
    return f"its worker was lost {attempts} times, as for lack of memory"
