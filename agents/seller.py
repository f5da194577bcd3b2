"""What sellers share: the protocol of Stable-Baselines3's ``predict``, and a base for sellers that price a state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from lmaas_env.market import Market, unstack
from lmaas_env.spaces import Float32Array, action_from_prices, state_from_observation
from lmaas_env.state import State
from lmaas_env.types import FloatArray


class Seller(Protocol):
    """Anything that turns observations into actions; SB3's policies do too.

    A seller whose class has ``takes_batches = True`` sells many days in lockstep, any other one day after the other.
    """

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Return (action, state) for one observation (D,) or a batch (K, D)."""
        ...


class MemorylessSeller(ABC):
    """A seller that acts on the present observation alone."""

    takes_batches: ClassVar[bool] = True

    @abstractmethod
    def actions(self, observation: ArrayLike) -> Float32Array:
        """Return the action (M,) for one observation (D,), or the actions (K, M) for a batch (K, D)."""

    def predict(
        self,
        observation: ArrayLike,
        state: Any = None,
        episode_start: ArrayLike | None = None,
        deterministic: bool = True,
    ) -> tuple[Float32Array, Any]:
        """Return (action, state) for one observation (D,) or a batch (K, D), as SB3's policies do."""
        return self.actions(observation), state


class PricingSeller(MemorylessSeller):
    """A seller that knows the market's constants and prices the state that its observation shows."""

    def __init__(self, market: Market) -> None:
        self.market = market

    @abstractmethod
    def prices(self, state: State) -> FloatArray:
        """Return the prices for one market's state, (M,) $/h."""

    def actions(self, observation: ArrayLike) -> Float32Array:
        """Return the actions that post `prices` in the state of the observation."""
        seen = state_from_observation(self.market, observation)
        if seen.charge.ndim == 1:
            return action_from_prices(self.market, self.prices(seen))
        return action_from_prices(self.market, np.stack([self.prices(lane) for lane in unstack(seen)]))


def check_alone(market: Market, what: str) -> None:
    """Raise a ValueError that says what is done for a market of one seller only, if this one has rivals."""
    scenario = market.scenario
    if scenario.sellers > 1:
        raise ValueError(
            f"scenario {scenario.name!r} has sellers = {scenario.sellers}: {what} for a market of one seller; "
            "with rivals use imp, lookahead, predictive-imp, planner, public-imp, fixed, cost-plus, random or a policy "
            "trained there"
        )


def check_rivals(market: Market, what: str) -> None:
    """Raise a ValueError that says what prices beside rivals only, if this market has one seller."""
    scenario = market.scenario
    if scenario.sellers == 1:
        raise ValueError(f"scenario {scenario.name!r} has sellers = 1: {what} needs rivals (scenario rivals has one)")


class SearchResult(NamedTuple):
    """What a search over the prices of one period found.

    Attributes
    ----------
    prices : (M,), $/h
    profit : anticipated profit of the period, $
    bound : proven upper bound on it, $ (inf if none)
    status : how the search ended
    evaluations : profits looked at (for IMP: points of its line searches)
    seconds : wall time of the search, that of the bound apart
    history : profit after each sweep or improvement, $
    times : seconds after which it was reached, as long as ``history``
    sweeps : of all prices in turn (0 but for IMP)
    """

    prices: FloatArray
    profit: float
    bound: float
    status: str
    evaluations: int
    seconds: float
    history: FloatArray
    times: FloatArray
    sweeps: int = 0
