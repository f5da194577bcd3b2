"""RentalTerms: what one leasing period costs and yields, per customer, model and fade state."""

from __future__ import annotations

import dataclasses

import numpy as np

from lmaas_env.engine.recourse import TermArrays, first_offence
from lmaas_env.types import FloatArray, IntArray

_SHAPES = {
    "task_value": "NL",
    "fade_budget": "N",
    "saturation": "N",
    "energy": "N",
    "setup_cost": "NM",
    "quality": "NM2",
    "airtime_cost": "NM2",
    "power": "NM2",
    "max_hours": "NM2",
}

# Codes of kernels.first_offence: the field, the fade state shown (None: not by state) and the rule that it breaks.
_RULES: dict[int, tuple[str, str]] = {
    1: ("fade_budget", "must be >= 0"),
    2: ("saturation", "must be finite, > 0 and <= 1e15 (1/h)"),
    3: ("energy", "must be finite, >= 0 and <= 1e15 (Wh)"),
    4: ("task_value", "must be finite, >= 0 and <= 1e15 ($)"),
    5: ("task_value", "must be sorted descending along the slots"),
    6: ("setup_cost", "must be finite, >= 0 and <= 1e15 ($)"),
    7: ("quality", "must be finite, > 0 and <= 1e15"),
    8: ("airtime_cost", "must be finite, within -1e15 and 1e15 ($/h)"),
    9: ("power", "must be finite, > 0 and <= 1e15 (W)"),
    10: ("max_hours", "must be finite, >= 0 and <= 1e15 (h)"),
    11: ("quality", "must not rise in a fade (nominal, faded)"),
    12: ("airtime_cost", "must not fall in a fade (nominal, faded)"),
    13: ("power", "must not fall in a fade (nominal, faded)"),
    14: ("max_hours", "must not rise in a fade (nominal, faded)"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class RentalTerms:
    """Everything that a customer's problem depends on, but the prices; checked on construction.

    Arrays are float64 unless said; the last axis of length 2 is the fade state, 0 nominal and 1 faded.

    Attributes
    ----------
    task_value : (N, L), $, sorted descending along L
    fade_budget : (N,) int, how many slots may fade at once in the worst case, >= 0
    saturation : (N,), kappa in 1/h
    energy : (N,), charge in the battery, Wh
    setup_cost : (N, M), $ per period for committing to a model
    quality : (N, M, 2), semantic similarity q
    airtime_cost : (N, M, 2), c in $ per rented hour
    power : (N, M, 2), g in W while renting
    max_hours : (N, M, 2), longest useful rental of one slot, h
    arrays : all of these in the form that kernels take

    Raises
    ------
    ValueError
        If shapes disagree, a number is out of range, or a fade helps; the message names the field and its index.
    """

    task_value: FloatArray
    fade_budget: IntArray
    saturation: FloatArray
    energy: FloatArray
    setup_cost: FloatArray
    quality: FloatArray
    airtime_cost: FloatArray
    power: FloatArray
    max_hours: FloatArray
    arrays: TermArrays = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        arrays: list[np.ndarray] = []
        for name, axes in _SHAPES.items():
            array = _array(name, getattr(self, name))
            if array.ndim != len(axes):
                raise ValueError(f"{name} has shape {array.shape}, it must have the axes ({', '.join(axes)})")
            object.__setattr__(self, name, array)
            arrays.append(array)
        n, slots = self.task_value.shape
        sizes = {"N": n, "L": slots, "M": self.setup_cost.shape[1], "2": 2}
        for (name, axes), array in zip(_SHAPES.items(), arrays, strict=True):
            expected = tuple(sizes[axis] for axis in axes)
            if array.shape != expected or not array.size:
                raise ValueError(f"{name} has shape {array.shape}, it must be {expected} and not empty")
        object.__setattr__(self, "arrays", TermArrays(*arrays))
        code, row, column = first_offence(self.arrays)
        if code:
            name, rule = _RULES[code]
            index = (row,) if len(_SHAPES[name]) == 1 else (row, column)
            raise ValueError(f"{name}[{', '.join(map(str, index))}] = {getattr(self, name)[index]} {rule}")

    @property
    def size(self) -> int:
        """Number of customers N."""
        return self.task_value.shape[0]


def _array(name: str, value: object) -> np.ndarray:
    try:
        array = np.ascontiguousarray(value)
        if array.dtype.kind == "c":
            raise TypeError("it holds complex numbers")
        if name != "fade_budget":
            return array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be read as an array of numbers: {error}") from error
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} has dtype {array.dtype}, it must be an integer array")
    return array.astype(np.int64, copy=False)
