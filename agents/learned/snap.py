"""Undercutting: move every price to just below the nearest price at which a customer switches.

The seller's profit jumps where a customer switches to or from a model (see `lmaas_agents.imp.imp`), so that the best prices lie
just below such thresholds, and a price a little too high loses a whole sale. A policy need only say roughly how dear a
model is: from W_nm and its slope, the planned hours, Newton's step gives every customer's threshold. It never passes
the root, since W_nm is convex and decreasing in the price, so that the customer still buys.
"""

from __future__ import annotations

import math

import numpy as np
from lmaas_agents.imp.line_search import MARGIN

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.parallel import in_threads
from lmaas_env.engine.period import lanes_at_once
from lmaas_env.engine.recourse import TermArrays, recourse, some
from lmaas_env.engine.recourse_simd import solve_rows
from lmaas_env.market import LEAST_LANES, Market
from lmaas_env.types import FloatArray, IntArray

STEPS = 3  # of Newton's method to the nearest threshold, after the first; the error of one of 10 % is then below 1e-6


def undercut(market: Market, terms: TermArrays, prices: FloatArray, reach: float) -> FloatArray:
    """Return prices (K, M), $/h, each just below the nearest threshold within about a factor of exp(``reach``), if any.

    Models move in turn, the dearest to serve first: most customers rent the cheapest, whose thresholds depend on the
    other prices.

    Parameters
    ----------
    market : Market
    terms : TermArrays
        Of the K * N customers of K lanes.
    prices : (K, M), $/h
    reach : float
    """
    order = np.argsort(-market.catalogue.serving_cost, kind="stable")
    limits = market.scenario.price_floor, market.scenario.price_cap
    found = np.array(prices, dtype=np.float64)

    def move_some(first: int, last: int) -> None:
        _undercut(terms, found, order, reach, *limits, first, last)

    in_threads(move_some, len(found), LEAST_LANES)
    return found


@kernel
def _undercut(
    terms: TermArrays,
    prices: FloatArray,
    order: IntArray,
    reach: float,
    floor: float,
    cap: float,
    first: int,
    last: int,
) -> None:
    """Move the prices of the lanes first, ..., last - 1."""
    models, slots = prices.shape[1], terms.task_value.shape[1]
    customers = terms.task_value.shape[0] // prices.shape[0]
    worst, scratch = np.empty(slots, dtype=np.bool_), np.empty(slots)
    at_once = lanes_at_once(customers)
    for low in range(first, last, at_once):
        high = min(low + at_once, last)
        block = some(terms, low * customers, high * customers)
        for m in order:
            _, profit, hours = solve_rows(block, prices[low:high])
            for lane in range(low, high):
                price = prices[lane, m]
                nearest, who, offered, found = reach, -1, 0.0, price
                for n in range((lane - low) * customers, (lane - low + 1) * customers):
                    rented = hours[n, m].sum()
                    if rented > 0.0:
                        offer = 0.0
                        for other in range(models):
                            if other != m:
                                offer = max(offer, profit[n, other])
                        threshold = price + (profit[n, m] - offer) / rented
                        if floor < threshold <= cap and abs(math.log(threshold / price)) < nearest:
                            nearest, who, offered = abs(math.log(threshold / price)), n, offer
                            found = threshold
                if who >= 0:
                    for slot in range(slots):
                        worst[slot] = slot < block.fade_budget[who]  # Theorem 1
                    for _ in range(STEPS):
                        gain, rented, _ = recourse(block, who, m, found, worst, scratch)
                        if gain <= offered:  # up to rounding, it is there
                            break
                        found = min(cap, found + (gain - offered) / rented)
                    prices[lane, m] = max(floor, found * (1.0 - MARGIN))
