"""Tabular Q-learning by two sellers at once, each with a memory of one period (Calvano et al., 2020)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmaas_env.checks import array_in
from lmaas_env.engine.jit import kernel
from lmaas_env.types import FloatArray, IntArray

PATIENCE = 100_000  # periods without a change of either strategy after which both have settled
MOST_PERIODS = 20_000_000  # of a session that does not settle


class Learned(NamedTuple):
    """What two sellers have learned.

    Attributes
    ----------
    strategy : (2, A, A), each seller's next action by the last actions of both, the first seller's first
    last : (2,), the actions of the last period
    periods : how many were played
    settled : whether no strategy had changed for `PATIENCE` periods
    """

    strategy: IntArray
    last: IntArray
    periods: int
    settled: bool


def learn(payoffs: FloatArray, learning_rate: float, decay: float, discount: float, seed: int) -> Learned:
    """Let two Q-learners play a repeated game until their strategies have settled.

    The state is the pair of last actions. With probability exp(-decay t) in period t a seller takes any action, else
    the best of its values. A seller's values start at what each action would earn if the other took all actions alike.

    Parameters
    ----------
    payoffs : (2, A, A)
        Of each seller by the actions of both, the first seller's first.
    learning_rate : float
        In (0, 1].
    decay : float
        Of exploration per period, > 0.
    discount : float
        Of a period, in [0, 1).
    seed : int

    Raises
    ------
    ValueError
        If the payoffs have another shape or are not finite, or a number is out of range.
    """
    count = np.shape(payoffs)[-1] if np.ndim(payoffs) else 0
    game = array_in("payoffs", payoffs, (2, count, count))
    if not 0.0 < learning_rate <= 1.0:
        raise ValueError(f"learning_rate = {learning_rate} must be in (0, 1]")
    if not decay > 0.0:
        raise ValueError(f"decay = {decay} must be positive")
    if not 0.0 <= discount < 1.0:
        raise ValueError(f"discount = {discount} must be in [0, 1)")
    alike = np.stack([game[0].mean(axis=1), game[1].mean(axis=0)]) / (1.0 - discount)
    values = np.repeat(alike[:, None], count * count, axis=1)
    strategy, last = values.argmax(axis=2), np.zeros(2, dtype=np.int64)
    periods, settled = _play(game, learning_rate, decay, discount, np.random.default_rng(seed), values, strategy, last)
    return Learned(strategy.reshape(2, count, count), last, int(periods), bool(settled))


@kernel
def _play(
    payoffs: FloatArray,
    learning_rate: float,
    decay: float,
    discount: float,
    rng: np.random.Generator,
    values: FloatArray,
    strategy: IntArray,
    last: IntArray,
) -> tuple[int, bool]:
    """Update values (2, A * A, A), strategy (2, A * A) and last actions (2,) in place; return (periods, settled)."""
    count, unchanged = payoffs.shape[1], 0
    last[0], last[1] = int(rng.random() * count), int(rng.random() * count)
    actions = np.empty(2, dtype=np.int64)
    for period in range(MOST_PERIODS):
        state, explores = last[0] * count + last[1], math.exp(-decay * period)
        for i in range(2):
            drawn = rng.random()
            actions[i] = min(int(drawn / explores * count), count - 1) if drawn < explores else strategy[i, state]
        after, changed = actions[0] * count + actions[1], False
        for i in range(2):
            own, action = values[i, state], actions[i]
            target = payoffs[i, actions[0], actions[1]] + discount * values[i, after, strategy[i, after]]
            own[action] += learning_rate * (target - own[action])
            best = strategy[i, state]
            if action == best:
                for other in range(count):  # its value may have fallen below another
                    if own[other] > own[best]:
                        best = other
            elif own[action] > own[best]:
                best = action
            if best != strategy[i, state]:
                strategy[i, state], changed = best, True
        unchanged = 0 if changed else unchanged + 1
        last[0], last[1] = actions[0], actions[1]
        if unchanged >= PATIENCE:
            return period + 1, True
    return MOST_PERIODS, False
