"""Stored weights, checked as they are taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmaas_env.fields import close_match
from lmaas_env.types import FloatArray


class Weights:
    """Stored arrays, each checked as it is taken, so that unexpected ones can be named."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = weights
        self._names: set[str] = set()

    def array(self, name: str, shape: tuple[int | None, ...]) -> FloatArray:
        """Return one array as float64, or say what is wrong with it; None in a shape stands for any size."""
        self._names.add(name)
        if name not in self._arrays:
            raise ValueError(f"{name} is missing")
        array = self._arrays[name]
        fits = array.ndim == len(shape)
        fits = fits and all(want in (None, size) for want, size in zip(shape, array.shape, strict=True))
        if not fits or array.size == 0:
            wanted = tuple("any" if want is None else want for want in shape)
            raise ValueError(f"{name} has shape {array.shape}, it must be {wanted}")
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(f"{name} must hold finite floating-point numbers")
        return array.astype(np.float64)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def check_all_known(self) -> None:
        """Raise a ValueError if there are arrays that nothing took."""
        for name in self._arrays:
            if name not in self._names:
                raise ValueError(f"{name} is unexpected{close_match(name, self._names)}")


def layers_of(weights: Weights, inputs: int, outputs: int) -> list[tuple[FloatArray, FloatArray]]:
    """Return the perceptron's (weight, bias) pairs, each fitting the one before it."""
    layers: list[tuple[FloatArray, FloatArray]] = []
    while not layers or f"layer{len(layers)}.weight" in weights:
        weight = weights.array(f"layer{len(layers)}.weight", (None, inputs))
        layers.append((weight, weights.array(f"layer{len(layers)}.bias", (len(weight),))))
        inputs = len(weight)
    if inputs != outputs:
        raise ValueError(f"layer{len(layers) - 1} has {inputs} outputs, it must have {outputs}, one per model")
    return layers
