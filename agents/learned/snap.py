"""Snapping: move every price to just below the nearest price at which a customer switches.

The seller's profit jumps where a customer switches to or from a model (see `lmaas_agents.imp.imp`), so the best prices
lie just below such thresholds, and a price a little too high loses a whole sale. A policy need only say roughly how
dear a model is: from W_nm and its slope, the planned hours, Newton's step gives every customer's threshold. It never
passes the root, since W_nm is convex and decreasing in the price, so the customer still buys.
"""

from __future__ import annotations

import math

import numpy as np
from lmaas_agents.imp.line_search import MARGIN

from lmaas_env.checks import array_in
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.parallel import in_threads
from lmaas_env.engine.recourse import recourse, worst_fades
from lmaas_env.engine.rsr import worst_case
from lmaas_env.engine.terms import Terms, price_per_customer, slice_terms
from lmaas_env.market import LEAST_LANES, Market
from lmaas_env.types import FloatArray, IntArray

STEPS = 3  # of Newton's method to the nearest threshold, after the first; the error of one of 10 % is then below 1e-6


def snap_to_threshold(market: Market, terms: Terms, prices: FloatArray, radius: float) -> FloatArray:
    """Return prices (K, M), $/h, each just below the nearest threshold within a factor of exp(``radius``), if any.

    Models move in turn, the dearest to serve first: most customers rent the cheapest, whose thresholds depend on the
    other prices.

    Parameters
    ----------
    market : Market
    terms : Terms
        Of the K * N customers of K lanes.
    prices : (K, M), $/h
    radius : float

    Raises
    ------
    ValueError
        If prices are not one per model between floor and cap, or the terms are not those of as many lanes.
    """
    limits = market.scenario.price_floor, market.scenario.price_cap
    found = array_in("prices", prices, (None, market.catalogue.size), *limits, "$/h").copy()
    expected = (market.scenario.slots, len(found) * market.population.size)
    if terms.task_value.shape != expected or len(terms.setup_cost) != market.catalogue.size:
        raise ValueError(f"terms have (slots, customers) = {terms.task_value.shape}, the lanes have {expected}")
    order = np.argsort(-market.catalogue.serving_cost, kind="stable")

    def snap_some(first: int, last: int) -> None:
        _snap_lanes(terms, found, order, radius, *limits, first, last)

    in_threads(snap_some, len(found), LEAST_LANES)
    return found


@kernel
def _snap_lanes(
    terms: Terms, prices: FloatArray, order: IntArray, radius: float, floor: float, cap: float, first: int, last: int
) -> None:
    """Move the prices (K, M) of the lanes first, ..., last - 1 in place."""
    customers = terms.energy.shape[0] // prices.shape[0]
    for lane in range(first, last):
        own = slice_terms(terms, lane * customers, (lane + 1) * customers)
        _snap(own, prices[lane], order, radius, floor, cap)


@kernel
def _snap(terms: Terms, prices: FloatArray, order: IntArray, radius: float, floor: float, cap: float) -> None:
    """Move the prices (M,) of one market in place."""
    (models, customers), slots = terms.setup_cost.shape, terms.task_value.shape[0]
    hours, scratch, every = np.empty((slots, models, customers)), np.empty(slots), np.arange(models, dtype=np.int64)
    for m in order:
        profit = worst_case(terms, every, price_per_customer(prices.reshape(1, models), customers), hours)
        price = float(prices[m])
        nearest, who, offered, found = radius, -1, 0.0, price
        for n in range(customers):
            rented = hours[:, m, n].sum()
            if rented > 0.0:
                offer = 0.0
                for other in range(models):
                    if other != m:
                        offer = max(offer, profit[other, n])
                threshold = price + float((profit[m, n] - offer) / rented)
                if floor < threshold <= cap and abs(math.log(threshold / price)) < nearest:
                    nearest, who, offered = abs(math.log(threshold / price)), n, offer
                    found = threshold
        if who >= 0:
            faded = worst_fades(terms.fade_budget[who], slots)
            for _ in range(STEPS):
                gain, rented, _ = recourse(terms, who, m, found, faded, scratch)
                if gain <= offered:  # up to rounding, it is there
                    break
                found = min(cap, found + float((gain - offered) / rented))
            prices[m] = max(floor, found * (1.0 - MARGIN))
