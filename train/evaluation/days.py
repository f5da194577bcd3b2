"""The record of days that one seller sold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmaas_env.types import FloatArray, IntArray

REFERENCE = "imp"  # the seller that others are compared with


class Days(NamedTuple):
    """K days of one seller on one market; money in $, H periods, M models.

    Attributes
    ----------
    seeds : (K,), day seeds
    profit, revenue : (K, H), the seller's
    customer_profit, worst_case_profit : (K, H), summed over customers
    prices : (K, H, M), $/h
    customers_per_model, hours_per_model : (K, H, M)
    charge : (K, H + 1), mean charge of the batteries as a share of their capacity, before each period and at the end
    seconds_per_decision : float, time that the seller took for one market, median over periods (the first one compiles)
    other_profit : (K, H, S - 1), of the sellers beside it, where there are several
    """

    seeds: IntArray
    profit: FloatArray
    revenue: FloatArray
    customer_profit: FloatArray
    worst_case_profit: FloatArray
    prices: FloatArray
    customers_per_model: FloatArray
    hours_per_model: FloatArray
    charge: FloatArray
    seconds_per_decision: float
    other_profit: FloatArray = np.empty((0, 0, 0))

    @property
    def day_profit(self) -> FloatArray:
        """The seller's profit of each day, (K,) $."""
        return self.profit.sum(axis=1)

    @property
    def rival_day_profit(self) -> FloatArray:
        """The profit of all other sellers of each day, (K,) $."""
        return self.other_profit.sum(axis=(1, 2))
