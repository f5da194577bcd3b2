"""What figures share: colours, sizes, styles, and files that are written whole.

matplotlib is imported when something is drawn, without pyplot and its global state.
"""

# matplotlib's stubs leave keyword arguments untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import gymnasium as gym

from lmaas_env.files import write_whole
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any colour vision, for the models of a frame and the sellers of a comparison
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
GREY = "#8A8A8A"  # customers without a model
SMALL, NORMAL, LARGE = 9.5, 11.0, 14.0  # points
_METADATA = {".png": {"Software": None}, ".svg": {"Date": None}}  # nothing that changes from run to run


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG or SVG, by the path's suffix, whole or not at all; the same figure gives the same bytes.

    Raises
    ------
    ValueError
        If the suffix is neither ``.png`` nor ``.svg``.
    """
    import matplotlib

    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in _METADATA:
        raise ValueError(f"path = {os.fspath(path)!r} must end in .png or .svg")
    drawn = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "lmaas"}):
        figure.savefig(drawn, format=suffix[1:], metadata=_METADATA[suffix])
    write_whole(target, drawn.getvalue())


def new_figure(width: float, height: float, dpi: float) -> Figure:
    """Return an empty figure; sizes in inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise gym.error.DependencyNotInstalled('figures need matplotlib: pip install "lmaas[train]"') from error
    return Figure((width, height), dpi=dpi, facecolor="white")


def style(axes: Axes, title: str, *, bold: bool = False) -> None:
    """Give axes their title and the size of their labels, and take two of their sides away."""
    weight = "bold" if bold else "normal"
    axes.set_title(title, size=NORMAL, loc="left", y=1.0, weight=weight, parse_math=False)  # a set y saves a search
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)


def bars(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[float] | FloatArray,
    colours: Sequence[str],
    labels: Sequence[str],
    ends: Sequence[float] | None = None,
) -> None:
    """Draw horizontal bars, the first on top, each with a label behind it (or behind its entry of ``ends``)."""
    rows = range(len(names))
    row_height = 72.0 * axes.bbox.height / axes.figure.dpi / len(names)  # points
    size = min(SMALL, 0.8 * row_height)
    axes.barh(rows, values, color=colours)
    for row, end, label in zip(rows, values if ends is None else ends, labels, strict=True):
        axes.annotate(
            label, (end, row), (6, 0), textcoords="offset points", va="center_baseline", size=size, parse_math=False
        )
    axes.vlines(0.0, -0.5, len(names) - 0.5, color="black", lw=0.8)
    axes.set_ylim(max(len(names), 4) - 0.5, -0.5)  # few bars do not get thicker
    axes.xaxis.set_visible(False)
    axes.set_yticks(rows, [short(name, 20) for name in names], parse_math=False)
    axes.tick_params("y", length=0, labelsize=size)
    axes.spines[["bottom", "left"]].set_visible(False)


def short(name: str, length: int) -> str:
    """Return a name cut to a length."""
    return name if len(name) <= length else f"{name[: length - 1]}…"
