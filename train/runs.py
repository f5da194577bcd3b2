"""Results folders: a new folder, tables as CSV, and the command line and versions that made them."""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import io
import json
import math
import os
import platform
import shlex
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from lmaas_env.files import write_whole

EVALUATIONS = "evaluations.csv"  # the learning curve of a training run
_PACKAGES = ("lmaas", "numpy", "scipy", "numba", "gymnasium", "stable-baselines3", "torch")


def default_folder(name: str) -> Path:
    """Return the folder for results of that name, runs/NAME-TIME."""
    return Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"


def new_folder(path: Path | None, name: str) -> Path:
    """Create the folder ``path``, by default runs/NAME-TIME, and return it; an empty folder is used again.

    Raises
    ------
    ValueError
        If the path exists already; it stays as it is.
    """
    path = path or default_folder(name)
    if path.is_dir() and not any(path.iterdir()):
        return path
    try:
        path.mkdir(parents=True)
    except FileExistsError as error:
        raise ValueError(f"folder {str(path)!r} exists already; name a new one, nothing was changed") from error
    except OSError as error:
        raise ValueError(f"folder {str(path)!r} cannot be created: {error.strerror}") from error
    return path


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def csv_text(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table as CSV; cells of NaN are empty."""
    text = io.StringIO()
    cells = (["" if isinstance(cell, float) and math.isnan(cell) else cell for cell in row] for row in rows)
    csv.writer(text, lineterminator="\n").writerows([headings, *cells])
    return text.getvalue()


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


def write_origin(folder: Path) -> None:
    """Write the command and the versions into a results folder."""
    write_whole(
        folder / "origin.json", json.dumps({"command": command_line(), "versions": versions()}, indent=2) + "\n"
    )
