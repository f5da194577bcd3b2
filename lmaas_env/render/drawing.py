"""Colours, line styles, sizes and files that all figures share.

Figures are built for light paper. `on_dark` gives the counterpart of each colour on dark paper: the report's page
applies it in the browser, `save_both` to a finished figure. matplotlib is imported with the first figure, without
pyplot and its global state.
"""

# matplotlib's stubs leave keyword arguments untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

import gymnasium as gym
import numpy as np

from lmaas_env.files import write_whole
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GRID, PAPER = "#000000", "#E0E0E0", "#FFFFFF"
GREY = "#8A8A8A"  # what belongs to no model and no seller
# Okabe and Ito's palette, for what is neither a model nor a seller
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
MODELS = ("#4C9F38", "#0E9490", "#8A63D2", "#C0399F", "#7F9A00", "#2F6F4F", "#6C7BD9", "#A9746E")
SMALL, NORMAL, LARGE = 9.5, 11.0, 14.0  # points
_METADATA = {".png": {"Software": None}, ".svg": {"Date": None}}  # nothing that changes from run to run


class SellerStyle(NamedTuple):
    """A seller's colour on light paper, and its line style: "solid", "dash", "dot" or "dashdot", as in plotly."""

    colour: str
    dash: str = "solid"

    @property
    def line(self) -> str:
        """The line style as matplotlib writes it."""
        return {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}[self.dash]


SELLERS = {
    "imp": SellerStyle(INK),
    "public-imp": SellerStyle("#4D4D4D", "dash"),
    "lookahead": SellerStyle("#0072B2"),
    "public-lookahead": SellerStyle("#3F97D0", "dash"),
    "informed-lookahead": SellerStyle("#00507D", "dot"),
    "own-plan": SellerStyle("#5B7FB0", "dashdot"),
    "thompson": SellerStyle("#00796B"),
    "gp-ucb": SellerStyle("#558B2F", "dash"),
    "prior-plan": SellerStyle("#6A6A6A", "dashdot"),
    "planner": SellerStyle("#5E35B1"),
    "predictive-imp": SellerStyle("#455A64", "dashdot"),
    "fixed": SellerStyle("#767676"),
    "cost-plus": SellerStyle("#858585", "dash"),
    "random": SellerStyle("#949494", "dot"),
}
LEARNED = ("#C98500", "#D55E00", "#8D5524", "#E5705C", "#B71C1C")  # policies and run folders
_DASHES = ("solid", "dash", "dot", "dashdot")
_DARK = {
    INK: "#E8E8E8",
    PAPER: "#16181C",
    GRID: "#3A3D43",
    "#4D4D4D": "#C8C8C8",
    "#767676": "#ADADAD",
    "#858585": "#9A9A9A",
    "#949494": "#878787",
    "#0072B2": "#4DA6E8",
    "#3F97D0": "#93CFF5",
    "#00507D": "#2F8FD0",
    "#5B7FB0": "#8FB3E0",
    "#00796B": "#4DB6AC",
    "#558B2F": "#9CCC65",
    "#6A6A6A": "#B5B5B5",
    "#5E35B1": "#B39DDB",
    "#455A64": "#B0BEC5",
    "#B71C1C": "#F05A5A",
    "#8D5524": "#C08552",
    "#2F6F4F": "#5FA583",
}


def seller_styles(names: Iterable[str]) -> dict[str, SellerStyle]:
    """Return the style of each seller, the same in every artefact.

    IMP is black, look-ahead is blue and simple sellers are grey. Every other name is a learned seller: the last part of
    its name chooses a warm colour (so that ``day-guided`` and ``scarce-guided`` share one). Where names of one artefact
    collide, the later one in alphabetical order takes the next free colour, beyond five a dashed line.
    """
    names = list(names)
    styles = {name: SELLERS[name] for name in names if name in SELLERS}
    free: list[str] = []
    for number, name in enumerate(sorted(set(names) - set(SELLERS))):
        free = free or list(LEARNED)
        first = crc32(name.rpartition("-")[2].encode()) % len(LEARNED)
        colour = next(colour for colour in (*LEARNED[first:], *LEARNED[:first]) if colour in free)
        free.remove(colour)
        styles[name] = SellerStyle(colour, _DASHES[number // len(LEARNED) % len(_DASHES)])
    return {name: styles[name] for name in names}


def seller_label(name: str) -> str:
    """Return what figures and prose call a seller: its name, but IMP in capitals."""
    return "IMP" if name == "imp" else name


def model_colours(count: int) -> list[str]:
    """Return the colours of a catalogue's models, in its order; no seller has any of them."""
    return [*itertools.islice(itertools.cycle(MODELS), count)]


def on_dark(colour: str) -> str:
    """Return the counterpart on dark paper of a colour "#RRGGBB"; most stay as they are."""
    return _DARK.get(colour.upper(), colour)


def dark_colours() -> dict[str, str]:
    """Return all colours that differ on dark paper, each with its counterpart."""
    return dict(_DARK)


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG or SVG, by the path's suffix, whole or not at all; the same figure gives the same bytes.

    Raises
    ------
    ValueError
        If the suffix is neither ``.png`` nor ``.svg``.
    """
    _write(figure, Path(path), transparent=False)


def save_both(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure for light and for dark pages: ``NAME.png`` on white, and ``NAME-dark.png`` without paper.

    A page of the docs shows one of them: ``![...](NAME.png#only-light)![...](NAME-dark.png#only-dark)``. The figure
    keeps the colours of the dark one.

    Raises
    ------
    ValueError
        As `save`.
    """
    path = Path(path)
    save(figure, path)
    _darken(figure)
    _write(figure, path.with_stem(f"{path.stem}-dark"), transparent=True)


def _write(figure: Figure, path: Path, transparent: bool) -> None:
    import matplotlib

    suffix = path.suffix.lower()
    if suffix not in _METADATA:
        raise ValueError(f"path = {os.fspath(path)!r} must end in .png or .svg")
    drawn = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "lmaas"}):
        figure.savefig(drawn, format=suffix[1:], metadata=_METADATA[suffix], transparent=transparent)
    write_whole(path, drawn.getvalue())


def _darken(figure: Figure) -> None:
    """Replace every colour of a figure by its counterpart on dark paper; colour maps keep theirs."""
    from matplotlib.colors import to_hex, to_rgba, to_rgba_array
    from matplotlib.text import Text

    figure.draw_without_rendering()  # creates the ticks
    artists: list[Any] = [*figure.findobj()]
    artists += [box for artist in artists if isinstance(artist, Text) and (box := artist.get_bbox_patch())]
    for artist in artists:
        if getattr(artist, "get_array", lambda: None)() is not None:
            continue
        for name in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            get, replace = getattr(artist, f"get_{name}", None), getattr(artist, f"set_{name}", None)
            if get is None or replace is None:
                continue
            colours = get()
            if isinstance(colours, str) and colours in ("auto", "none"):
                continue
            dark = [to_rgba(on_dark(to_hex(rgba)), rgba[3]) for rgba in to_rgba_array(colours)]
            replace(dark if np.ndim(colours) == 2 else dark[0])


def new_figure(width: float, height: float, dpi: float) -> Figure:
    """Return an empty figure; sizes in inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise gym.error.DependencyNotInstalled(
            'figures need matplotlib: pip install ".[cli]" in a clone, pip install "lmaas[cli]" elsewhere'
        ) from error
    return Figure((width, height), dpi=dpi, facecolor=PAPER)


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
    axes.vlines(0.0, -0.5, len(names) - 0.5, color=INK, lw=0.8)
    axes.set_ylim(max(len(names), 4) - 0.5, -0.5)  # few bars do not get thicker
    axes.xaxis.set_visible(False)
    axes.set_yticks(rows, [short(name, 20) for name in names], parse_math=False)
    axes.tick_params("y", length=0, labelsize=size)
    axes.spines[["bottom", "left"]].set_visible(False)


def grid(axes: Axes) -> None:
    """Draw horizontal grid lines behind the data."""
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)


def digits_for(amounts: Iterable[float]) -> int:
    """Return how many digits after the point the dollars of one table or figure have: none from $100 on, else two."""
    return 0 if max(map(abs, amounts), default=0.0) >= 100.0 else 2


def dollars(amount: float, digits: int = 0, sign: str = "-") -> str:
    """Return an amount as text, such as "$1,728" or "−$30"; with the sign "+" gains have theirs, too."""
    number = f"{amount:{sign}z,.{digits}f}"
    before = {"-": "−", "+": "+"}.get(number[0], "")
    return f"{before}${number.lstrip('+-')}"


def milliseconds(value: float) -> str:
    """Return a time in ms as text of at most five characters."""
    return "<0.01" if value < 0.01 else f"{value:.2f}" if value < 10.0 else f"{value:.1f}"


def short(name: str, length: int) -> str:
    """Return a name cut to a length."""
    return name if len(name) <= length else f"{name[: length - 1]}…"
