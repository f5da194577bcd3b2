"""Dataclass fields that know their unit, range and meaning: declaring them, and checking values against them."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

LONGEST_TEXT = 200  # characters of a text, unless its field says otherwise
LONGEST_MESSAGE = 4000  # characters of what a message quotes
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 100
_SHORT.maxtuple = _SHORT.maxlist = _SHORT.maxdict = 12


def number(default: Any, unit: str, low: float, high: float, meaning: str, *, customers: bool = False) -> Any:
    """Declare a field with its unit and valid range (``customers``: it shapes the drawn population)."""
    metadata = {"unit": unit, "low": low, "high": high, "meaning": meaning, "customers": customers}
    return dataclasses.field(default=default, metadata=metadata)


def option(default: str, options: tuple[str, ...], meaning: str) -> Any:
    """Declare a field that takes one of several words."""
    return dataclasses.field(default=default, metadata={"options": options, "meaning": meaning, "customers": False})


def text(default: str, meaning: str, *, customers: bool = False, longest: int = LONGEST_TEXT) -> Any:
    """Declare a field that takes any text of printable characters, at most so many."""
    metadata = {"meaning": meaning, "customers": customers, "longest": longest}
    return dataclasses.field(default=default, metadata=metadata)


def shown(value: Any) -> str:
    """Return a value as messages show it: shortened, on one line."""
    try:
        return one_line(_SHORT.repr(value))
    except ValueError:  # a whole number of thousands of digits
        return f"a {type(value).__name__} too long to show"


def one_line(said: str) -> str:
    """Return a text with every character that is not printable, such as a line break, as an escape; cut if it is long.

    Other libraries quote damaged files in their messages, which may be megabytes.
    """
    text = "".join(it if it.isprintable() else repr(it)[1:-1] for it in said)
    half = LONGEST_MESSAGE // 2
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:half]} ... {text[-half:]}"


def close_match(name: str, known: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" for the known name closest to a misspelt one, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def checked(field: dataclasses.Field[Any], value: Any) -> Any:
    """Return the value in the type of the field.

    Raises
    ------
    ValueError
        If it has another type or lies outside the field's range; the message names field, value and range.
    """
    if "options" in field.metadata:
        if not isinstance(value, str) or value not in field.metadata["options"]:
            raise ValueError(f"{field.name} = {shown(value)} must be one of {', '.join(field.metadata['options'])}")
        return value
    longest = field.metadata.get("longest", LONGEST_TEXT)
    if field.type == "str":
        is_default = isinstance(value, str) and value == field.default
        return value if is_default else _text(field.name, value, longest)
    if field.type == "tuple[str, ...]":
        return _each(field.name, value, functools.partial(_text, longest=longest))
    kind = int if "int" in str(field.type) else float
    low, high, unit = field.metadata["low"], field.metadata["high"], field.metadata["unit"]

    def number(name: str, entry: Any) -> int | float:
        return in_range(name, entry, kind, low, high, unit)

    return _each(field.name, value, number) if str(field.type).startswith("tuple") else number(field.name, value)


def _each(name: str, values: Any, check: Callable[[str, Any], Any]) -> tuple[Any, ...]:
    is_list = hasattr(values, "__iter__") and not isinstance(values, str | bytes | Mapping)
    entries: tuple[Any, ...] = tuple(cast("Any", values)) if is_list else ()
    if not entries:
        raise ValueError(f"{name} = {shown(values)} must be a list with at least one entry")
    return tuple(check(f"{name}[{i}]", entry) for i, entry in enumerate(entries))


def _text(name: str, value: Any, longest: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} = {shown(value)} must be a text that is not empty")
    if len(value) > longest or not value.isprintable():
        raise ValueError(f"{name} = {shown(value)} must be a text of at most {longest} printable characters")
    return value


def in_range(name: str, value: Any, kind: type, low: float, high: float, unit: str) -> int | float:
    """Return a number of a kind (int or float) within a range; raise ValueError otherwise."""
    kinds = "a whole number" if kind is int else "a number"
    expected = f"{name} = {shown(value)} must be {kinds} in [{low:g}, {high:g}] {'' if unit == '1' else unit}".rstrip()
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise ValueError(expected)
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        raise ValueError(expected) from None
    if not math.isfinite(number) or not low <= number <= high or (kind is int and number != int(number)):
        raise ValueError(expected)
    return kind(number)
