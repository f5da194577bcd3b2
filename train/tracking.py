"""Where the scalars of a training go: TensorBoard logs in the run folder and, if wanted, Weights & Biases."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from lmaas_train.extras import require
from torch.utils.tensorboard import SummaryWriter

from lmaas_env import lined_yaml
from lmaas_env.files import read_text, write_whole

TRACKERS = ("tensorboard", "wandb")
LOGS = "tensorboard"  # folder of TensorBoard's logs in a run folder
RUN_ID = "wandb.txt"  # in a run folder: the run of Weights & Biases that a training goes on with
PROJECT = "lmaas"  # unless the environment variable WANDB_PROJECT names another


def check_tracker(track: str) -> None:
    """Raise a ValueError if there is no such tracker, or its package is missing."""
    if track not in TRACKERS:
        raise ValueError(f"track = {track!r} must be one of {', '.join(TRACKERS)}")
    if track == "wandb":
        require("wandb")


def start_wandb(folder: Path, settings: Path) -> Any:
    """Start a run of Weights & Biases for a run folder, or go on with the folder's, and return it.

    Its environment variables apply: ``WANDB_PROJECT``, ``WANDB_MODE=offline`` and others.

    Raises
    ------
    ValueError
        If Weights & Biases refuses, for example without a key.
    """
    wandb: Any = importlib.import_module("wandb")
    known = folder / RUN_ID
    run_id = read_text(known) if known.exists() else None
    config, _ = lined_yaml.load(settings, "config")
    project = os.environ.get("WANDB_PROJECT", PROJECT)
    try:
        run = wandb.init(project=project, name=folder.name, dir=str(folder), id=run_id, resume="allow", config=config)
    except wandb.Error as error:
        raise ValueError(f"track = 'wandb': {error}") from error
    write_whole(known, run.id)
    return run


class Tracker:
    """Writes scalars of a training while it is open, as ``SummaryWriter`` does.

    Parameters
    ----------
    folder : Path
        Of the run.
    run : optional
        Of Weights & Biases (`start_wandb`), which gets the same scalars.
    """

    def __init__(self, folder: Path, run: Any = None) -> None:
        self._writer, self._run = SummaryWriter(str(folder / LOGS)), run

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Write a scalar."""
        self._writer.add_scalar(name, value, step)
        if self._run is not None:
            self._run.log({name: value}, step=step)

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        if self._run is not None:
            self._run.finish(exit_code=int(kind is not None))
