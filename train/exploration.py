"""How a policy explores: actions drawn around the outputs of an actor, and how probable they are.

Independent noise on every price finds no way to move all prices at once. Beside rivals that pays: a seller that gives
up its sales for an hour lets the others raise their prices. So a withdrawal is a choice of its own: with a probability
that the actor learns, every price is the cap for this hour, else prices are drawn.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import expit
from torch import nn

from lmaas_env.spaces import Float32Array

STEEP = 1e6  # of the withdrawal in a stored policy: an output above 2e-6 posts the cap


class Exploration:
    """Draw actions of M models, with a number after them that is 1 where the seller withdraws, if it may.

    Parameters
    ----------
    models : int
        M.
    withdraw : float
        Probability of a withdrawal before learning, below 1; 0 for a seller that may not.

    Attributes
    ----------
    outputs : int
        Of the actor: a mean for every model; then, if it may withdraw, the log-odds of a withdrawal.
    """

    def __init__(self, models: int, withdraw: float = 0.0) -> None:
        self._models, self._withdraw = models, withdraw
        self.outputs = models + (withdraw > 0.0)

    def start(self, bias: torch.Tensor) -> None:
        """Set the log-odds of a withdrawal among the biases (outputs,) of an actor's last layer."""
        if self._withdraw > 0.0:
            bias[self._models] = math.log(self._withdraw / (1.0 - self._withdraw))

    def draw(self, outputs: Float32Array, std: float, rng: np.random.Generator) -> Float32Array:
        """Return what is drawn for outputs (K, outputs): actions with a standard deviation, and the withdrawals."""
        lanes, models = len(outputs), self._models
        noise = rng.standard_normal((lanes, models), dtype=np.float32)
        drawn = outputs[:, :models] + std * noise
        if self._withdraw > 0.0:
            drawn = np.concatenate([drawn, rng.random((lanes, 1)) < expit(outputs[:, models:])], axis=1)
        return drawn.astype(np.float32, copy=False)

    def posted(self, drawn: Float32Array) -> Float32Array:
        """Return the actions (K, M) to post: those drawn, or 1 for every model, the cap."""
        models = self._models
        return drawn if self._withdraw == 0.0 else np.where(drawn[:, models:] > 0.0, 1.0, drawn[:, :models])

    def log_probability(self, drawn: torch.Tensor, outputs: torch.Tensor, std: float) -> torch.Tensor:
        """Return the log-probability (density) of what was drawn, (..., outputs), up to a constant."""
        models = self._models
        density = -0.5 * ((drawn[..., :models] - outputs[..., :models]) / std).square().sum(dim=-1)
        if self._withdraw == 0.0:
            return density
        odds, withdrawn = outputs[..., models], drawn[..., models]
        log = nn.functional.logsigmoid
        return withdrawn * log(odds) + (1.0 - withdrawn) * (log(-odds) + density)

    def store(self, arrays: dict[str, Float32Array]) -> None:
        """Turn the outputs of stored layers, with ReLU between them, into actions: 1 where the log-odds are positive.

        A layer is added after the last: relu(mean + 1) - 1 is the mean or the floor, and `STEEP` times relu(log-odds)
        lifts every action to 1 or above.
        """
        if self._withdraw == 0.0:
            return
        count, models = sum(name.endswith(".weight") and name.startswith("layer") for name in arrays), self._models
        arrays[f"layer{count - 1}.bias"][:models] += 1.0
        lifted = np.full((models, 1), STEEP)
        arrays[f"layer{count}.weight"] = np.concatenate([np.eye(models), lifted], axis=1).astype(np.float32)
        arrays[f"layer{count}.bias"] = np.full(models, -1.0, dtype=np.float32)
