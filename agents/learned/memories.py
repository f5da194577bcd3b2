"""Memories of policies: what they keep of the observations of an episode."""

from __future__ import annotations

import numpy as np
from lmaas_agents.learned.weights import Weights
from scipy.special import expit

from lmaas_env.types import FloatArray


class Stack:
    """The last observations, one beside the other.

    Parameters
    ----------
    weights : Weights
    observation : int
        How many numbers D are seen.

    Attributes
    ----------
    size : how many numbers it keeps, as many observations as the first layer sees

    Raises
    ------
    ValueError
        If the first layer sees no whole number of observations.
    """

    def __init__(self, weights: Weights, observation: int) -> None:
        self.size = weights.array("layer0.weight", (None, None)).shape[1]
        if self.size % observation:
            raise ValueError(
                f"layer0.weight sees {self.size} numbers, not a multiple of the observation's {observation}"
            )

    def __call__(self, before: FloatArray, seen: FloatArray) -> FloatArray:
        """Return what is kept after a batch of observations (K, D), from what was kept before, both (K, size)."""
        return np.concatenate([before[:, seen.shape[1] :], seen], axis=1)


class GRU:
    """The state of a gated recurrent unit, its gates in torch's order.

    Parameters
    ----------
    weights : Weights
    observation : int
        How many numbers D are seen.

    Attributes
    ----------
    size : width E of the state

    Raises
    ------
    ValueError
        If an array is missing or does not fit.
    """

    def __init__(self, weights: Weights, observation: int) -> None:
        rows, self.size = weights.array("gru.hidden.weight", (None, None)).shape
        if rows != 3 * self.size:
            shape = rows, self.size
            raise ValueError(f"gru.hidden.weight has shape {shape}, its rows must be three times its columns")
        self._by_input = weights.array("gru.input.weight", (rows, observation))
        self._by_hidden = weights.array("gru.hidden.weight", (rows, self.size))
        self._input_bias = weights.array("gru.input.bias", (rows,))
        self._hidden_bias = weights.array("gru.hidden.bias", (rows,))

    def __call__(self, before: FloatArray, seen: FloatArray) -> FloatArray:
        """Return the state (K, E) after a batch of observations (K, D), from the one before."""
        reset, update, new = np.split(seen @ self._by_input.T + self._input_bias, 3, axis=1)
        own_reset, own_update, own_new = np.split(before @ self._by_hidden.T + self._hidden_bias, 3, axis=1)
        kept = expit(update + own_update)
        return (1.0 - kept) * np.tanh(new + expit(reset + own_reset) * own_new) + kept * before
