"""Snapshot files of trainings, from which an interrupted run goes on; loading one runs no code.

A file starts with the digest of the rest, as PyTorch loads most tensors with flipped bits without a word.
"""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from lmaas_env.files import read_bytes, sealed, unsealed, write_whole

FILE = "snapshot.pt"


def save_snapshot(path: Path, snapshot: dict[str, Any]) -> None:
    """Write a snapshot, whole or not at all."""
    file = io.BytesIO()
    torch.save(snapshot, file)
    write_whole(path, sealed(file.getvalue()))


def load_snapshot(path: Path, parts: Collection[str]) -> dict[str, Any]:
    """Read a snapshot with the given parts.

    Raises
    ------
    ValueError
        If there is none, it is damaged or it is no snapshot; the message names the file.
    """
    if not path.exists():
        raise ValueError(f"folder {str(path.parent)!r} has no checkpoint to go on from")
    data = read_bytes(path, "snapshot")
    try:
        snapshot: Any = torch.load(io.BytesIO(unsealed(data)), weights_only=True)
    except ValueError as error:
        raise ValueError(f"{path}: is no snapshot of a training run: {error}") from error
    except Exception as error:  # torch and pickle raise many kinds for a broken file
        raise ValueError(f"{path}: is no snapshot of a training run: {type(error).__name__}") from error
    missing = set(parts) - set(snapshot if isinstance(snapshot, dict) else ())
    if missing:
        raise ValueError(f"{path}: is no snapshot of a training run: {', '.join(sorted(missing))} is missing")
    return snapshot
