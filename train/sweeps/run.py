"""Runs a sweep: lets an engine run the cells that are missing, keeps those that end, and writes the tables."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from lmaas_train.runs import csv_text, versions
from lmaas_train.sweeps.cell import run_cell
from lmaas_train.sweeps.engines import Engine
from lmaas_train.sweeps.folder import Entry, Progress, SweepFolder, SweepState
from lmaas_train.sweeps.normalised import normalised, write_normalised
from lmaas_train.sweeps.plan import Planned, SweepPlan
from lmaas_train.sweeps.search import Search
from lmaas_train.sweeps.table import HEADINGS, SUMMARY, Way, cell_rows, ways, write_table

from lmaas_env.files import write_whole

Report = Callable[[Planned | None, Progress], Any]
"""Gets the cell that has ended, None before the first of a round, and the progress."""


def run_plan(plan: SweepPlan, engine: Engine, folder: SweepFolder, report: Report) -> SweepState:
    """Run every cell of a plan that is not finished yet, and write the tables, also where it is stopped.

    Failed cells are tried again by the next run. A search goes on with the next batch when all cells have ended.

    Parameters
    ----------
    plan : SweepPlan
    engine : Engine
    folder : SweepFolder
        Given to this process alone (`lmaas_train.runs.in_use`).
    report : function

    Returns
    -------
    SweepState
        With the failed cells.
    """
    searches = [Search(plan, space) for space in plan.searches]
    state, wanted = SweepState([], slots=engine.slots), versions()
    cells = [*plan.grid, *_asked(searches)]
    try:
        while cells:
            added = {it.cell.key: it for it in cells if it.cell.key not in {entry.key for entry in state.planned}}
            state.planned += [Entry.of(it) for it in added.values()]
            state.later = sum(search.left for search in searches)
            missing = {key: it for key, it in added.items() if folder.record(key) is None}
            folder.write(state)
            report(None, folder.progress(state, True))
            tasks = {key: (it.cell, wanted) for key, it in missing.items()}
            with contextlib.closing(engine.run(run_cell, tasks)) as outcomes:  # ends the workers if this is stopped
                for outcome in outcomes:
                    if outcome.error:
                        state.failed[outcome.key] = outcome.error
                    else:
                        folder.keep(outcome.key, outcome.value)
                    state.slots = engine.slots
                    folder.write(state)
                    report(missing[outcome.key], folder.progress(state, True))
            for search in searches:
                search.tell(folder.record)
            cells = _asked(searches)
        state.later = 0  # the last trials may have been refused
        folder.write(state)
    finally:
        write_tables(folder, state)
    return state


def _asked(searches: Sequence[Search]) -> list[Planned]:
    """Return the next cells of all searches; a search goes on if all trials of a batch were refused at once."""
    cells: list[Planned] = []
    for search in searches:
        own: list[Planned] = []
        while not own and search.left:
            own = search.ask()
        cells += own
    return cells


def write_tables(folder: SweepFolder, state: SweepState) -> list[Way]:
    """Write table.parquet, summary.csv, normalised profits and the folder ``runs``; return the rows of the summary."""
    found = ways(folder, state)
    write_table(folder, cell_rows(folder, state))
    write_whole(folder.path / SUMMARY, csv_text(HEADINGS, [it.cells_of_table for it in found]))
    write_normalised(folder, normalised(folder, state))
    folder.link_runs(state.planned)
    return found
