"""`lmaas sweep`: run the cells of a sweep file on this machine or a Ray cluster, and write its tables."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro
from lmaas_train.progress import bars
from lmaas_train.runs import default_folder, in_use, new_folder, write_origin
from lmaas_train.sweeps.folder import Progress, SweepFolder, SweepState
from lmaas_train.sweeps.parts import EngineOptions
from lmaas_train.sweeps.plan import Planned
from lmaas_train.sweeps.run import run_plan, write_tables
from lmaas_train.sweeps.sweep_file import read_plan
from lmaas_train.sweeps.table import SUMMARY, TABLE, Way, printed, ways
from rich.console import Console

from lmaas_env.files import write_whole

FILE = "sweep.yaml"  # the sweep file, in the folder


@dataclasses.dataclass
class Sweep(EngineOptions):
    """Run a sweep file: scenario, algorithm, hyper-parameters and training seed, as a grid or as a search.

    Cells that are finished are not run again, also after a kill, if the folder is the same. Writes table.parquet (a row
    per cell), summary.csv (a row per way to sell) and the folder runs, which `lmaas evaluate` takes.

    Examples
    --------
      lmaas sweep my-sweep.yaml --jobs 2 --out runs/my-sweep
      lmaas sweep my-sweep.yaml --engine ray --address auto --out runs/my-sweep
    """

    file: Annotated[Path, tyro.conf.Positional]
    """Sweep file."""
    out: Path | None = None
    """Folder for the results, new or of a sweep; by default runs/sweep-FILE-TIME."""

    def main(self) -> list[Way]:
        """Run the sweep and return a row per way to sell."""
        return sweep(self)


@dataclasses.dataclass
class SweepReport:
    """Write the tables of a sweep from the cells that are finished, and print the ways to sell.

    Examples
    --------
      lmaas sweep report runs/my-sweep
    """

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of a sweep."""

    def main(self) -> list[Way]:
        """Write the tables and return a row per way to sell."""
        folder = SweepFolder(self.folder)
        state = folder.read()
        with in_use(self.folder):
            found = write_tables(folder, state)
        _print(folder, state, found, Console())
        return found


def sweep(args: Sweep) -> list[Way]:
    """Run a sweep as `Sweep` says and return a row per way to sell.

    Raises
    ------
    ValueError
        If anything is refused, before any cell runs; or at the end, if cells have failed.
    """
    args.check_engine()
    plan, console = read_plan(args.file), Console()
    engine = args.new_engine(in_process=False)  # so that a cell that runs out of memory does not end the sweep
    out = args.out or default_folder(f"sweep-{args.file.stem}")
    if not (out / FILE).exists():
        new_folder(out, "")
    folder = SweepFolder(out)
    with in_use(out), bars(console) as progress:
        task = progress.add_task("sweep", total=None, unit="cells")

        def report(ended: Planned | None, now: Progress) -> None:
            about = f"{now.running} running, {len(now.failed)} failed"
            progress.update(task, total=now.total, completed=now.done + len(now.failed), description=about)
            if ended is not None:
                progress.console.print(_said(ended, now), highlight=False, markup=False, soft_wrap=True)

        write_whole(out / FILE, plan.text)  # before anything else: a folder that holds it is a sweep's
        write_origin(out, complete=False)
        try:
            state = run_plan(plan, engine, folder, report)
        except BaseException:
            print(f"finished cells are in {out}: the same command with --out {out} goes on", file=sys.stderr)
            raise
        found = ways(folder, state)
        write_origin(out, complete=not state.failed)
    _print(folder, state, found, console)
    if state.failed:
        first = next(iter(state.failed.values()))
        raise ValueError(
            f"{len(state.failed)} of {len(state.planned)} cells failed, the first: {first}; "
            f"the same command with --out {out} tries them again"
        )
    return found


def _said(ended: Planned, now: Progress) -> str:
    """Return what became of a cell, whether it is the best so far, and how far the sweep is."""
    error, best = now.failed.get(ended.name), now.best.get(ended.place)
    if error is not None:
        return f"failed {ended.name}: {error}; {now}"
    note = f" (best so far: {best.earned})" if best is not None and best.name == ended.name else ""
    return f"done   {ended.name}{note}; {now}"


def _print(folder: SweepFolder, state: SweepState, found: list[Way], console: Console) -> None:
    records = (folder.record(it.key) for it in state.planned)
    held_out = next((len(it["profit"]) for it in records if it is not None), 0)
    if found:
        console.print(printed(found, held_out, console))
    console.print(f"files in {folder.path}: {TABLE}, {SUMMARY}", highlight=False, soft_wrap=True)
