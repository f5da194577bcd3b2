"""Results folders: opened, filled part by part, continued and completed; tables as CSV; what made them.

A folder that is being filled is locked and holds the folder ``unfinished``: the settings, and a file for every part
that is finished. A command that was stopped, also by kill -9, goes on from there if it is given again with this folder.
Once all is written, ``unfinished`` is deleted and origin.json says ``"complete": true``.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import importlib.metadata
import io
import json
import math
import os
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from lmaas_env import Market
from lmaas_env.files import (
    TEMPORARY,
    locked,
    new_whole_folder,
    read_bytes,
    read_text,
    remove_leftovers,
    sealed,
    unsealed,
    write_whole,
)

CONFIG = "config.yaml"  # what a training run was started with
CUSTOMERS = "scenario-customers.csv"  # beside it, where they come from a file
MODEL = "model.zip"  # of Stable-Baselines3
EVALUATIONS = "evaluations.csv"  # the learning curve of a training run
CHECKPOINTS = "checkpoints"  # its folder of policies on the way
UNFINISHED, SETTINGS, ORIGIN = "unfinished", "settings.json", "origin.json"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for the start of a formula
_PACKAGES = ("lmaas", "numpy", "scipy", "numba", "gymnasium", "stable-baselines3", "sb3-contrib", "cma", "torch")


def default_folder(name: str) -> Path:
    """Return the folder for results of that name, runs/NAME-TIME."""
    word = re.sub(r"[^\w.-]+", "-", name)[:100]
    return Path("runs") / f"{word}-{datetime.now():%Y%m%d-%H%M%S}"


def new_folder(path: Path | None, name: str) -> Path:
    """Create the folder ``path``, by default runs/NAME-TIME, and return it; an empty folder is used again.

    Raises
    ------
    ValueError
        If the path exists already; it stays as it is.
    """
    path = path or default_folder(name)
    try:
        if path.is_dir() and all(it.name.startswith(TEMPORARY) for it in path.iterdir()):
            return path
        path.mkdir(parents=True)
    except FileExistsError as error:
        raise ValueError(f"folder {str(path)!r} exists already; name a new one, nothing was changed") from error
    except OSError as error:
        raise ValueError(f"folder {str(path)!r} cannot be created: {error.strerror}") from error
    return path


class Results:
    """A results folder that is being filled, and its parts that are finished.

    Parameters
    ----------
    folder : Path
    keeps_parts : bool
        Whether parts are written, so that a command that is stopped can go on.
    """

    def __init__(self, folder: Path, keeps_parts: bool) -> None:
        self.folder, self._keeps_parts = folder, keeps_parts

    def rows(self, part: str, make: Callable[[], Sequence[Sequence[Any]]]) -> list[list[Any]]:
        """Return the rows of a part, as they are kept in JSON: from the folder, or made now and written."""

        def pack(rows: Sequence[Sequence[Any]]) -> bytes:
            return json.dumps(rows, default=lambda it: it.tolist()).encode()

        return self._part(part, make, pack, json.loads)

    def kept_rows(self, part: str) -> list[list[Any]] | None:
        """Return the rows of a part that the folder holds, None if it does not."""
        return self._kept(part, json.loads)

    def arrays(self, part: str, make: Callable[[], Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
        """Return the arrays of a part by name: from the folder, or made now and written."""

        def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
            return save({name: np.asarray(array, order="C") for name, array in arrays.items()})

        return self._part(part, make, pack, load)

    @property
    def has_parts(self) -> bool:
        """Whether a part is finished."""
        return any((self.folder / UNFINISHED).glob("*.part"))

    def _part(self, part: str, make: Callable[[], Any], pack: Callable[[Any], bytes], unpack: Any) -> Any:
        kept = self._kept(part, unpack)
        if kept is not None:
            return kept
        content = pack(make())
        if self._keeps_parts:
            write_whole(self._path(part), sealed(content))
        return unpack(content)

    def _kept(self, part: str, unpack: Any) -> Any:
        path = self._path(part)
        if path.exists():
            with contextlib.suppress(ValueError, SafetensorError):  # a damaged part is made again
                return unpack(unsealed(read_bytes(path)))
        return None

    def _path(self, part: str) -> Path:
        name = hashlib.sha256(part.encode("utf-8", "surrogateescape")).hexdigest()[:24]
        return self.folder / UNFINISHED / f"{name}.part"


@contextlib.contextmanager
def results_folder(
    path: Path | None, name: str, settings: Mapping[str, Any] | None = None, is_named: bool = True
) -> Generator[Results]:
    """Give a new results folder, or one that a command with the same settings left unfinished, to this process alone.

    At the end it is marked as complete. If something is raised before a part is finished, nothing is left behind.

    Parameters
    ----------
    path : Path, optional
        By default runs/NAME-TIME.
    name : str
    settings : mapping, optional
        Numbers and texts that all parts depend on. Without them parts are not kept.
    is_named : bool
        Whether a command that goes on has to be given the folder with ``--out``.

    Raises
    ------
    ValueError
        If the folder is in use, is complete, holds something else, or was started with other settings.
    """
    text = None if settings is None else json.dumps({**settings, "versions": versions()}, indent=2, default=str) + "\n"
    goes_on = path is not None and text is not None and (path / UNFINISHED / SETTINGS).exists()
    folder = path if goes_on and path is not None else new_folder(path, name)
    with in_use(folder):
        if goes_on:
            _check_same(folder / UNFINISHED / SETTINGS, text or "")
        else:
            with new_whole_folder(folder / UNFINISHED) as unfinished:
                write_whole(unfinished / SETTINGS, text or "{}\n")
        if not goes_on or not (folder / ORIGIN).exists():
            write_origin(folder, complete=False)
        results = Results(folder, text is not None)
        try:
            yield results
        except BaseException:
            if results.has_parts:
                again = f" with --out {folder}" if is_named else ""
                print(f"finished parts are in {folder}: the same command{again} goes on", file=sys.stderr)
            elif not goes_on:
                shutil.rmtree(folder, ignore_errors=True)  # it was empty before, and is locked
            raise
        mark_complete(folder)


def _check_same(path: Path, text: str) -> None:
    """Raise a ValueError that names the first setting of an unfinished folder that differs from those of a command."""
    try:
        ours, theirs = json.loads(text), json.loads(read_text(path))
        differ = next((key for key in {**theirs, **ours} if ours.get(key) != theirs.get(key)), None)
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{path}: does not hold settings: {error}") from error
    if differ is not None:
        said = f"{str(path.parents[1])!r} holds an unfinished run with other settings ({differ})"
        raise ValueError(f"folder {said}; name a new one, nothing was changed")


@contextlib.contextmanager
def in_use(folder: Path) -> Generator[None]:
    """Keep a folder for this process, and delete what others that were killed had half-written in it.

    Raises
    ------
    ValueError
        If another process uses it.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder))
        except BlockingIOError as error:
            raise ValueError(f"folder {str(folder)!r} is in use by another process; nothing was changed") from error
        for place in (folder, folder / UNFINISHED, folder / CHECKPOINTS):
            remove_leftovers(place)
        yield


def mark_complete(folder: Path) -> None:
    """Say in origin.json that all results are written, and delete the parts."""
    origin = json.loads(read_text(folder / ORIGIN))
    write_whole(folder / ORIGIN, json.dumps({**origin, "complete": True}, indent=2) + "\n")
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


def check_complete(folder: Path) -> None:
    """Raise a ValueError if a command that fills a results folder was stopped before its end."""
    if (folder / UNFINISHED).exists():
        raise ValueError(f"folder {str(folder)!r} is not complete: the command that fills it goes on with --out")


def market_settings(market: Market) -> dict[str, Any]:
    """Return what a market is, for the settings of `results_folder`."""
    digest = hashlib.sha256()
    for array in market.population:
        digest.update(np.ascontiguousarray(array).tobytes())
    customers = {"customers_sha256": digest.hexdigest(), "strategy": market.strategy}
    return {"scenario": market.scenario.to_dict(), **customers}


def write_market(path: Path, market: Market) -> None:
    """Write a market's scenario to a YAML file, and beside it the customers if they come from a file."""
    scenario = market.scenario
    if scenario.customers_file:
        customers = path.with_name(f"{path.stem}-customers.csv")
        market.population.to_csv(customers)
        scenario = dataclasses.replace(scenario, customers_file=customers.name)
    scenario.to_yaml(path)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def check_versions(wanted: Mapping[str, str]) -> None:
    """Raise a ValueError if this process has other versions than those that a command runs with."""
    found = versions()
    for name, version in wanted.items():
        if found.get(name) != version:
            raise ValueError(f"this worker has {name} {found.get(name)}, the command runs with {version}")


def csv_text(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table as CSV; cells of NaN are empty.

    A text that a spreadsheet would take for a formula gets an apostrophe in front (`written_text` takes it off).
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([headings, *([_cell(cell) for cell in row] for row in rows)])
    return text.getvalue()


def _cell(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith((*_FORMULA, "'")):
        return f"'{cell}"
    return "" if isinstance(cell, float) and math.isnan(cell) else cell


def written_text(cell: str) -> str:
    """Return the text that `csv_text` has written as a cell."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith((*_FORMULA, "'")) else cell


def machine() -> str:
    """Return the processor, its cores and its load in one line; timings count on an idle machine only."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    idle = "idle" if load < 0.5 else "NOT IDLE, timings do not count"
    return f"{model}, {os.cpu_count()} cores, load {load:.2f} before the start: {idle}"


def command_line() -> str:
    """Return the running command as typed in a shell."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def write_origin(folder: Path, complete: bool = True) -> None:
    """Write the command and the versions into a results folder, and whether all results are there."""
    origin = {"command": command_line(), "versions": versions(), "complete": complete}
    write_whole(folder / ORIGIN, json.dumps(origin, indent=2) + "\n")
