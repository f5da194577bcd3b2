"""Snapshot files of trainings, from which an interrupted run goes on; loading one runs no code."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

FILE = "snapshot.pt"


def save_snapshot(path: Path, snapshot: dict[str, Any]) -> None:
    """Write a snapshot, whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    torch.save(snapshot, temporary)
    os.replace(temporary, path)


def load_snapshot(path: Path, parts: Collection[str]) -> dict[str, Any]:
    """Read a snapshot with the given parts.

    Raises
    ------
    ValueError
        If there is none, or it is no snapshot; the message names the file.
    """
    try:
        snapshot: dict[str, Any] = torch.load(path, weights_only=True)
        missing = set(parts) - set(snapshot)
    except FileNotFoundError as error:
        raise ValueError(f"folder {str(path.parent)!r} has no checkpoint to go on from") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error
    except Exception as error:  # torch and pickle raise many kinds for a broken file
        raise ValueError(f"{path}: is no snapshot of a training run: {type(error).__name__}") from error
    if missing:
        raise ValueError(f"{path}: is no snapshot of a training run: {', '.join(sorted(missing))} is missing")
    return snapshot
