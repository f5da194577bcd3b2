"""Encoders of customers: what a policy makes of any number of them, before the perceptron that prices."""

from __future__ import annotations

import math

import numpy as np
from lmaas_agents.learned.spec import ACTIVATIONS
from lmaas_agents.learned.weights import Weights
from scipy.special import softmax

from lmaas_env.types import FloatArray

HEADS = 4  # of the attention between customers


class CustomerMean:
    """The mean over customers of what is seen of each.

    Parameters
    ----------
    own, clock : int
        How many numbers F are seen of a customer, and C of the hour.

    Attributes
    ----------
    size : how many numbers it makes
    """

    def __init__(self, own: int, clock: int) -> None:
        self.size = own + clock

    def __call__(self, customers: FloatArray, clock: FloatArray) -> FloatArray:
        """Return the mean over customers (K, N, F), and the hour (K, C), as (K, F + C)."""
        return np.concatenate([customers.mean(axis=1), clock], axis=1)


class CustomerEncoder:
    """The mean over customers of an encoding of each, by a network that they share, with attention between them or not.

    Parameters
    ----------
    weights : Weights
    own, clock : int
        As in `CustomerMean`.
    activation : str
        A name of `ACTIVATIONS`.
    customers : int or None
        How many customers have a bias of their own; None where they share one.
    has_attention : bool

    Attributes
    ----------
    size : how many numbers it makes

    Raises
    ------
    ValueError
        If an array is missing or does not fit.
    """

    def __init__(
        self, weights: Weights, own: int, clock: int, activation: str, customers: int | None, has_attention: bool
    ) -> None:
        self._activation = ACTIVATIONS[activation]
        self._bias = weights.array("customer.bias", (None,) if customers is None else (customers, None))
        width = self._bias.shape[-1]
        self._by_customer = weights.array("customer.weight", (width, own))
        self._by_clock = weights.array("clock.weight", (width, clock))
        self._second = weights.array("encoder.weight", (width, width))
        self._second_bias = weights.array("encoder.bias", (width,))
        self._attention: tuple[FloatArray, FloatArray] | None = None
        if has_attention:
            if width % HEADS:
                raise ValueError(f"customer.bias makes {width} numbers of a customer, not a multiple of {HEADS}")
            into = weights.array("attention.weight", (3 * width, width))
            self._attention = into, weights.array("attended.weight", (width, width))
        self.size = width + clock

    def __call__(self, customers: FloatArray, clock: FloatArray) -> FloatArray:
        """Return the mean encoding of customers (K, N, F), and the hour (K, C), as (K, E + C)."""
        by_clock = (clock @ self._by_clock.T)[:, None]
        hidden = self._activation(customers @ self._by_customer.T + by_clock + self._bias)
        if self._attention is not None:
            hidden = hidden + attended(hidden, *self._attention)
        encoded = self._activation(hidden @ self._second.T + self._second_bias)
        return np.concatenate([encoded.mean(axis=1), clock], axis=1)


def attended(hidden: FloatArray, weight: FloatArray, out: FloatArray) -> FloatArray:
    """Return what customers (K, N, E) learn from each other, by dot products of `HEADS` heads (Vaswani et al., 2017).

    Parameters
    ----------
    hidden : (K, N, E)
    weight : (3 E, E), of queries, keys and values
    out : (E, E), of what the heads give together
    """
    lanes, customers, width = hidden.shape
    heads = (hidden @ weight.T).reshape(lanes, customers, 3, HEADS, width // HEADS)
    query, key, value = np.moveaxis(heads, (2, 3), (0, 2))  # each (K, heads, N, E / heads)
    shares = softmax(query @ key.swapaxes(-1, -2) / math.sqrt(width // HEADS), axis=-1)
    return (shares @ value).swapaxes(1, 2).reshape(hidden.shape) @ out.T
