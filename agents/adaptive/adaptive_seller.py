"""What sellers that learn while they sell share: a memory for each lane, kept in the state of ``predict``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from lmaas_env.market import Market
from lmaas_env.spaces import (
    Float32Array,
    action_from_prices,
    clipped_observation,
    observation_size,
    state_from_observation,
)
from lmaas_env.types import FloatArray

Memory = TypeVar("Memory")


class AdaptiveSeller(ABC, Generic[Memory]):
    """A seller that learns about hidden customers from its own sales.

    Parameters
    ----------
    market : Market
        Customers differ between episodes and are hidden (scenarios ``unknown`` and ``drift``).

    Raises
    ------
    ValueError
        If customers are seen or do not change.
    """

    takes_batches: ClassVar[bool] = True

    def __init__(self, market: Market) -> None:
        if not market.scenario.hides_customers:
            raise ValueError(f"scenario {market.scenario.name!r} does not hide its customers: nothing is to be learned")
        self.market = market

    @abstractmethod
    def first(self) -> Memory:
        """Return the memory before the first sale of an episode."""

    @abstractmethod
    def updated(self, memory: Memory, observation: FloatArray, hour: int) -> Memory:
        """Return the memory after the sale that an observation (D,) at the start of an hour shows."""

    @abstractmethod
    def prices(self, memory: Memory, hour: int) -> FloatArray:
        """Return the prices of an hour, (M,) $/h."""

    def predict(
        self,
        observation: ArrayLike,
        state: Any = None,
        episode_start: ArrayLike | None = None,
        deterministic: bool = True,
    ) -> tuple[Float32Array, Any]:
        """Return (action, state) for one observation (D,) or a batch (K, D), as SB3's recurrent policies do."""
        seen = clipped_observation(observation, observation_size(self.market))
        rows = np.atleast_2d(seen)
        started = np.asarray(False if episode_start is None else episode_start, dtype=np.bool_)
        is_first = np.broadcast_to(started, len(rows))
        hours = np.minimum(state_from_observation(self.market, rows).hour, self.market.scenario.periods - 1)
        before: list[Any] = [None] * len(rows) if state is None else state
        memories, prices = list[Memory](), np.empty((len(rows), self.market.catalogue.size))
        for lane, (row, hour) in enumerate(zip(rows, hours.tolist(), strict=True)):
            starts = before[lane] is None or is_first[lane] or hour == 0
            memories.append(self.first() if starts else self.updated(before[lane], row, hour))
            prices[lane] = self.prices(memories[lane], hour)
        actions = action_from_prices(self.market, prices)
        return (actions if seen.ndim > 1 else actions[0]), memories
