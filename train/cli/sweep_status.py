"""`lmaas sweep status`: how far a sweep is, from its folder; it starts fast, without the packages that cells need."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro
from lmaas_train.sweeps.folder import Progress, SweepFolder
from rich.console import Console


@dataclasses.dataclass
class SweepStatus:
    """Show how far a sweep is: cells done, running and failed, the time left, and the best so far on tuning days.

    Examples
    --------
      lmaas sweep status runs/my-sweep
    """

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of a sweep."""

    def main(self) -> Progress:
        """Print the progress and return it."""
        folder = SweepFolder(self.folder)
        state, is_running = folder.read(), folder.is_running
        progress, console = folder.progress(state, is_running), Console()
        lines = [f"{progress}{'' if is_running else ' (no process works on it)'}"]
        lines += [f"failed {name}: {error}" for name, error in progress.failed.items()]
        lines += [f"best   {it}" for it in progress.best.values()]
        for line in lines:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        return progress
