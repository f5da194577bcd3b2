"""What a market remembers, what nature draws and what one period brings: plain arrays.

Shapes are for one market of N customers, L slots and S sellers of M models (one seller, unless the scenario says
otherwise). A batch of K markets has a leading axis of K.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lmaas_env.types import BoolArray, FloatArray, IntArray


class State(NamedTuple):
    """What the market remembers from one period to the next.

    Attributes
    ----------
    hour : int, periods since the start of the day; an int array (K,) for a batch
    shadowing : (S * N,), dB, of every customer at the site of seller after seller
    demand : (N,), logarithm of the demand factor
    charge : (N,), energy in the battery, Wh
    """

    hour: Any
    shadowing: FloatArray
    demand: FloatArray
    charge: FloatArray

    def lane(self, k: int) -> State:
        """Return the state of market k of a batch."""
        return State(int(self.hour[k]), self.shadowing[k], self.demand[k], self.charge[k])

    def repeated(self, count: int) -> State:
        """Return a batch of copies of the state of one market."""
        return State(*(np.repeat(np.asarray(column)[None], count, axis=0) for column in self))


class Draws(NamedTuple):
    """The randomness of one period, independent of prices; leading axes (H,) or (H, K) hold the H periods of days.

    Attributes
    ----------
    faded : (N, L) bool, slots in deep fade
    shadowing, demand : (S * N,) and (N,), standard normal innovations
    harvest : (N,), factor on the mean harvest
    choice_uniform : (N,), uniform on [0, 1), used by customers that choose at random
    """

    faded: BoolArray
    shadowing: FloatArray
    demand: FloatArray
    harvest: FloatArray
    choice_uniform: FloatArray

    def at(self, index: Any) -> Draws:
        """Return the draws at an index of the leading axes, such as the hour of a day's draws."""
        return Draws(
            self.faded[index],
            self.shadowing[index],
            self.demand[index],
            self.harvest[index],
            self.choice_uniform[index],
        )

    def lanes_at(self, hour: IntArray) -> tuple[IntArray, IntArray]:
        """Return the index into arrays (H, K, ...) of each lane's hour (K,), the last period's where it is beyond."""
        return np.minimum(hour, len(self.faded) - 1), np.arange(len(hour))


class Settlement(NamedTuple):
    """What one period brought; money in $.

    Attributes
    ----------
    prices : (S * M,), posted for every offer, $/h; model m of seller s is offer s * M + m
    choice : (N,) int, selected offer, -1 for none
    hours : (N, L), rented
    revenue, cost, profit : the seller's; (S,) where there are several
    customer_profit : (N,), realised
    worst_case_profit : (N,), what each customer's selection guaranteed
    energy_used, spilled : (N,), Wh drained by the rental, and harvested but not stored
    faded : (N, L) bool
    customers_per_model, hours_per_model : (S * M,), of every offer, the first int
    """

    prices: FloatArray
    choice: IntArray
    hours: FloatArray
    revenue: FloatArray
    cost: FloatArray
    profit: FloatArray
    customer_profit: FloatArray
    worst_case_profit: FloatArray
    energy_used: FloatArray
    spilled: FloatArray
    faded: BoolArray
    customers_per_model: IntArray
    hours_per_model: FloatArray

    def lane(self, k: int) -> Settlement:
        """Return what the period brought in market k of a batch."""
        return Settlement(*(array[k] for array in self))
