"""RentalTerms: what one leasing period costs and yields, per customer, model and fade state."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from lmaas_env.engine.terms import LARGEST, LEAST, Terms, first_unpayable, first_violation, price_per_customer
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

# The range of each field, in words and as numbers, and what its order along slots or fade states must be.
_RANGES = {
    "task_value": ("finite, >= 0 and <= 1e45 ($)", 0.0),
    "fade_budget": (">= 0", 0),
    "saturation": ("finite, > 0 and <= 1e45 (1/h)", LEAST),
    "energy": ("finite, >= 0 and <= 1e45 (Wh)", 0.0),
    "setup_cost": ("finite, >= 0 and <= 1e45 ($)", 0.0),
    "quality": ("finite, > 0 and <= 1e45", LEAST),
    "airtime_cost": ("finite, within -1e45 and 1e45 ($/h)", -LARGEST),
    "power": ("finite, > 0 and <= 1e45 (W)", LEAST),
    "max_hours": ("finite, >= 0 and <= 1e45 (h)", 0.0),
}
_ORDERS = {
    "task_value": "must be sorted descending along the slots",
    "quality": "must not rise in a fade (nominal, faded)",
    "airtime_cost": "must not fall in a fade (nominal, faded)",
    "power": "must not fall in a fade (nominal, faded)",
    "max_hours": "must not rise in a fade (nominal, faded)",
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
    arrays : the same numbers as kernels take them, customers along the last axis

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
    arrays: Terms = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        given: list[np.ndarray] = []
        for name, axes in _SHAPES.items():
            array = _array(name, getattr(self, name))
            if array.ndim != len(axes):
                raise ValueError(f"{name} has shape {array.shape}, it must have the axes ({', '.join(axes)})")
            given.append(array)
        n, slots = given[0].shape
        sizes = {"N": n, "L": slots, "M": given[4].shape[1], "2": 2}
        for (name, axes), array in zip(_SHAPES.items(), given, strict=True):
            expected = tuple(sizes[axis] for axis in axes)
            if array.shape != expected or not array.size:
                raise ValueError(f"{name} has shape {array.shape}, it must be {expected} and not empty")
        self._take(Terms(*(np.ascontiguousarray(array.T) for array in given)))

    @classmethod
    def from_arrays(cls, arrays: Terms) -> RentalTerms:
        """Return the terms that these arrays hold, customers along the last axis, without a copy.

        Raises
        ------
        ValueError
            If shapes disagree, a number is out of range, or a fade helps.
        """
        sizes = {"L": len(arrays.task_value), "M": len(arrays.setup_cost), "N": len(arrays.energy), "2": 2}
        for (name, axes), array in zip(_SHAPES.items(), arrays, strict=True):
            expected = tuple(sizes[axis] for axis in reversed(axes))
            if array.shape != expected or not array.size:
                raise ValueError(f"{name} has shape {array.shape}, it must be {expected} and not empty")
        terms = cls.__new__(cls)
        terms._take(arrays)
        return terms

    def _take(self, arrays: Terms) -> None:
        """Check the arrays and set the fields as views of them."""
        check_terms(arrays)
        object.__setattr__(self, "arrays", arrays)
        for name, array in zip(_SHAPES, arrays, strict=True):
            object.__setattr__(self, name, array.T)

    @property
    def size(self) -> int:
        """Number of customers N."""
        return self.task_value.shape[0]


def check_terms(terms: Terms) -> None:
    """Raise ValueError, with field and index, if a number is out of range or a fade helps."""
    field, row, n = first_violation(terms)
    if field < 0:
        return
    name = Terms._fields[field]
    values = terms[field].T[(n,) if len(_SHAPES[name]) == 1 else (n, row)]
    words, low = _RANGES[name]
    is_in_range = bool(np.all((np.asarray(values) >= low) & (np.asarray(values) <= LARGEST)))
    rule = _ORDERS[name] if is_in_range else f"must be {words}"
    index = f"{n}" if len(_SHAPES[name]) == 1 else f"{n}, {row}"
    raise ValueError(f"{name}[{index}] = {values} {rule}")


def checked_prices(terms: Terms, prices: ArrayLike) -> FloatArray:
    """Return prices (M,) or (K, M) of K markets of R / K customers each as each customer sees them, (M, R).

    Raises
    ------
    ValueError
        If prices have another shape, are not finite, or a price plus its airtime cost is not positive.
    """
    try:
        given = np.ascontiguousarray(prices, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"prices cannot be read as an array of numbers: {error}") from error
    models, customers = terms.setup_cost.shape
    if given.ndim not in (1, 2) or given.shape[-1] != models:
        raise ValueError(f"prices have shape {given.shape}, they must be ({models},) or (markets, {models})")
    rows = given.reshape(-1, models)
    if not rows.shape[0] or customers % rows.shape[0]:
        raise ValueError(f"prices have {rows.shape[0]} rows, which do not divide the {customers} customers")
    return check_payable(terms, given)


def check_payable(terms: Terms, prices: FloatArray) -> FloatArray:
    """Return prices (M,) or (K, M) as each customer sees them, (M, R).

    Raises
    ------
    ValueError
        If a price is not finite, or not positive together with its airtime cost.
    """
    rows = prices.reshape(-1, prices.shape[-1])
    per_market = terms.energy.shape[0] // len(rows)
    price = price_per_customer(rows, per_market)
    m, n = first_unpayable(terms, price)
    if m >= 0:
        place = f"{m}" if prices.ndim == 1 else f"{n // per_market}, {m}"
        value = price[m, n]
        rule = (
            "plus the airtime cost must be > 0 $/h for every customer" if np.isfinite(value) else "must be finite ($/h)"
        )
        raise ValueError(f"prices[{place}] = {value} {rule}")
    return price


def _array(name: str, value: object) -> np.ndarray:
    try:
        array = np.asarray(value)
        if array.dtype.kind == "c":
            raise TypeError("it holds complex numbers")
        if name != "fade_budget":
            return array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be read as an array of numbers: {error}") from error
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} has dtype {array.dtype}, it must be an integer array")
    return array.astype(np.int64, copy=False)
