"""`lmaas report`: one page of a results folder, with interactive figures, that works offline."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro
from lmaas_train.runs import check_complete

from lmaas_env.files import write_whole


@dataclasses.dataclass
class Report:
    """Write report.html into a folder of results: one page with interactive figures that works offline.

    `lmaas compare`, `lmaas evaluate` and `lmaas train` write it; this command writes it again.

    Examples
    --------
      lmaas report runs/compare-day-20260101-120000
      lmaas report benchmarks/day
    """

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of a comparison, evaluation or training run."""

    def main(self) -> dict[str, str]:
        """Write the page."""
        page = report(self.folder)
        write_whole(self.folder / "report.html", page)
        print(f"report {self.folder / 'report.html'} ({len(page) / 1e6:.1f} MB)")
        return {"report": str(self.folder / "report.html")}


def report(folder: Path) -> str:
    """Return the page of a results folder.

    Raises
    ------
    ValueError
        If the folder holds no results or is not complete, or a file of it cannot be read.
    """
    from lmaas_train.report.page import page

    check_complete(folder)
    return page(folder)
