"""The open boxes of a branch and bound: a binary heap, the largest bound on top."""

from __future__ import annotations

from typing import NamedTuple

from lmaas_env.engine.jit import kernel
from lmaas_env.types import FloatArray, IntArray


class Frontier(NamedTuple):
    """Room for B boxes: their bounds (B,), and what describes each, (B, ...)."""

    bounds: FloatArray
    boxes: IntArray


@kernel
def push(frontier: Frontier, size: int, bound: float, box: IntArray) -> None:
    """Add a box to a heap of ``size`` boxes."""
    at = size
    while at > 0 and frontier.bounds[(at - 1) // 2] < bound:
        parent = (at - 1) // 2
        _move(frontier, parent, at)
        at = parent
    frontier.bounds[at] = bound
    frontier.boxes[at] = box


@kernel
def drop_top(frontier: Frontier, size: int) -> None:
    """Remove the top of a heap of ``size`` boxes."""
    last = size - 1
    bound, at = frontier.bounds[last], 0
    while True:
        child = 2 * at + 1
        if child >= last:
            break
        if child + 1 < last and frontier.bounds[child + 1] > frontier.bounds[child]:
            child += 1
        if frontier.bounds[child] <= bound:
            break
        _move(frontier, child, at)
        at = child
    _move(frontier, last, at)


@kernel
def _move(frontier: Frontier, source: int, target: int) -> None:
    """Copy a box to another place of the heap."""
    frontier.bounds[target] = frontier.bounds[source]
    frontier.boxes[target] = frontier.boxes[source]
