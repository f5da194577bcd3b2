"""Checks of arrays that callers pass in: kernels have none, so whatever reaches one goes through here first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmaas_env.types import FloatArray


def array_in(
    name: str,
    values: ArrayLike,
    shape: tuple[int | None, ...],
    low: FloatArray | float = -np.inf,
    high: FloatArray | float = np.inf,
    unit: str = "",
) -> FloatArray:
    """Return numbers as a contiguous float64 array, or say which one is wrong.

    Parameters
    ----------
    name : str
        Of the array, for messages.
    values : array_like
    shape : tuple
        None stands for any size.
    low, high : array or float
        The range, ends included, by entry or one for all; infinite ends leave finite numbers.
    unit : str
        Of the range, for messages.

    Raises
    ------
    ValueError
        If the values are not numbers, have another shape, are not finite or leave the range; the message names the
        field, the value and what is allowed.
    """
    try:
        array = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be read as an array of numbers: {error}") from error
    array = array.reshape(np.shape(values))  # a single number gets an axis above
    if array.ndim != len(shape) or any(want not in (None, size) for want, size in zip(shape, array.shape, strict=True)):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(f"{name} has shape {array.shape}, it must be ({wanted}{',' if len(shape) == 1 else ''})")
    check_range(name, array, low, high, unit)
    return array


def check_range(
    name: str, array: NDArray[Any], low: FloatArray | float = -np.inf, high: FloatArray | float = np.inf, unit: str = ""
) -> None:
    """Raise ValueError, with index, value and range, if a number is not finite or lies outside [low, high]."""
    inside = (array >= low) & (array <= high) & (np.abs(array) < np.inf)
    if inside.all():
        return
    place = tuple(int(i) for i in np.argwhere(~inside)[0])
    least, most = (float(np.broadcast_to(end, array.shape)[place]) for end in (low, high))
    index = f"[{', '.join(map(str, place))}]" if place else ""
    if np.isinf(least) and np.isinf(most):
        allowed = "finite"
    elif np.isinf(most):
        allowed = f"finite and >= {least:g}"
    else:
        allowed = f"in [{least:.9g}, {most:.9g}]"
    raise ValueError(f"{name}{index} = {array[place]} must be {allowed} {unit}".rstrip())


def check_seller(seller: int, sellers: int) -> None:
    """Raise a ValueError unless a seller is one of 0, ..., S - 1."""
    if np.asarray(seller).dtype.kind not in "iu" or not 0 <= seller < sellers:
        raise ValueError(f"seller = {seller} must be in [0, {sellers - 1}]")
