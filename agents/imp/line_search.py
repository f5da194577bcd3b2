"""The line search of IMP: the exact best price of one model while the others stay (see `lmaas_agents.imp.imp`).

Branch and bound over the price. A rising price loses the customers one by one, at their thresholds. What a sale of
model m earns, h(beta) = (beta - s) T(beta) - G, has a second-order bound between two prices because **h is concave
wherever no slot opens or fills the wrong way**. Write c, g for airtime cost and power by fade state (g_1 >= g_0), V
for the value of the open slots by state, and let beta >= s and s + c_0 >= 0.

- Energy to spare: an open slot earns (beta - s) (V / (beta + c) - const), and (beta - s) / (beta + c) is concave.
- Energy short, open slots in both states: with x_s = mu + (beta + c_s) / g_s, d = x_1 - x_0 falls in beta at the rate
  k = 1 / g_0 - 1 / g_1, and the energy u = V_0 / x_0 of the nominal slots obeys d(u) = V_1 / (R - u) - V_0 / u, while
  T = k u + const. Then h'' = -k^2 (2 d'^2 + (beta - s) k d'') / d'^3, d' = x_0^2 / V_0 + x_1^2 / V_1 and
  d'' >= -2 x_0^3 / V_0^2, so h'' <= 0 as x_0 >= (beta + c_0) / g_0 >= k (beta - s). In one state only, T is constant.
- A full slot that opens as the price rises, and energy that ceases to bind, only bend h down. A slot that closes bends
  it up; so does, while energy is short, a faded slot that becomes full (a rising price moves hours to faded slots).

So `anticipated_hours` counts what bends h up. Where the count is the same at both prices, h lies below its tangents at
both; elsewhere below (beta - s) T(left) - G, as T never rises with the price.

**Below cost**, beta < s, which a seller that looks ahead may charge a customer, what bends T up bends h down, and the
reverse: `anticipated_hours` counts the bends of both kinds. Where there is none, h is concave if energy is to spare, as
T is convex; and with open slots in both states if (s - beta) k <= x_1, as d'' <= 2 x_1^3 / V_1^2 and
d'^2 >= x_1^4 / V_1^2, for which (s - beta) (g_1 - g_0) <= g_0 (beta + c_1) at the left end is enough. Elsewhere
h <= (beta - s) T(right) - G.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from lmaas_agents.imp.demand import Demand, anticipated_hours, find_concavity, find_threshold, in_order
from lmaas_agents.imp.problem import Problem, least_unit, offered_elsewhere

from lmaas_env.engine.jit import kernel
from lmaas_env.types import FloatArray, IntArray

MARGIN = 1e-6  # relative; a price stays this far from a threshold, so that float32 actions do not lose the customer
EXACT = 1e-10  # relative gain that the line search may miss
NARROWEST = 1e-9  # relative width of blocks of prices, below which their profits differ by less than EXACT
EDGE = 0.1  # a block is split at least this share of its width from its ends
MOST_POINTS = 1_000_000  # that a search looks at; it takes hundreds unless numbers are extreme
DEPTH = 256  # of splits, enough for NARROWEST: 0.9^256 < 1e-11


class Points(NamedTuple):
    """Prices looked at (rows) and what each customer (columns, as in `Demand`) would rent there."""

    price: FloatArray
    hours: FloatArray
    slope: FloatArray
    bends: IntArray  # of h, upwards, at prices above cost
    kinks: IntArray  # of T, of both kinds


class Block(NamedTuple):
    """The prices between two points; customers before ``first`` have gone, those from ``last`` on stay throughout."""

    left: int  # row of `Points`
    right: int
    first: int
    last: int
    depth: int
    bound: float
    peak: float  # the price where the bound is attained


@kernel
def _gone(demand: Demand, price: float) -> int:
    """Count the customers that do not buy at a price."""
    return int(np.searchsorted(demand.threshold, price, side="right"))


@kernel
def _look(
    demand: Demand,
    points: Points,
    row: int,
    price: float,
    first: int,
) -> float:
    """Look at a price: fill its row for customers from ``first`` on, and return the seller's profit."""
    points.price[row] = price
    buying = _gone(demand, price)
    profit = float(demand.elsewhere[buying])
    for k in range(first, demand.customer.shape[0]):
        hours, slope, bends, kinks = anticipated_hours(demand.terms, demand.anticipation, k, 0, price)
        points.hours[row, k], points.slope[row, k] = hours, slope
        points.bends[row, k], points.kinks[row, k] = bends, kinks
        if k >= buying:
            profit += (price - demand.serving_cost[k]) * hours - demand.adaptation_cost
    return profit


@kernel
def _interval(demand: Demand, k: int) -> tuple[float, float]:
    """Return the ends of the prices at which exactly the customers from k on buy, a margin away from thresholds.

    An interval with no room for both margins keeps its right end.
    """
    high = demand.threshold[k] * (1.0 - MARGIN) if k < demand.customer.shape[0] else np.inf
    if k == 0:
        return 0.0, high
    before = demand.threshold[k - 1]
    low = before * (1.0 + MARGIN)
    return (high if low > high > before else low), high


@kernel
def _bound(demand: Demand, points: Points, a: int, b: int, first: int, last: int, depth: int) -> Block:
    """Bound the profit at the prices between the points of rows a and b, but those beside a threshold."""
    left, right = points.price[a], points.price[b]
    customers = demand.customer.shape[0]
    # Those who stay earn at most ``fixed`` and the lower of two lines, one through each end.
    value_left, slope_left, value_right, slope_right, fixed = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(last, customers):
        cost, hours = demand.serving_cost[k], points.hours[a, k]
        concave = demand.concave[k] and points.bends[a, k] == points.bends[b, k]
        if left < cost:
            concave = concave and points.kinks[a, k] == points.kinks[b, k] and left >= demand.concave_above[k]
            if not concave and right > cost:
                fixed += (right - cost) * hours
                continue
            if not concave:
                hours = points.hours[b, k]
        value_left += (left - cost) * hours
        slope_left += hours
        if concave:
            slope_left += (left - cost) * points.slope[a, k]
            hours = points.hours[b, k]
            slope_right += (right - cost) * points.slope[b, k]
        value_right += (right - cost) * hours
        slope_right += hours
    fixed -= demand.adaptation_cost * (customers - last)
    crossing = right
    if slope_left != slope_right:
        crossing = (value_right - value_left + slope_left * left - slope_right * right) / (slope_left - slope_right)

    # Interval by interval from the right, so that each customer lost on the way stays one interval more.
    bound, peak = -np.inf, left
    for k in range(last, first - 1, -1):
        if k < last:
            cost, top = demand.serving_cost[k], min(right, demand.threshold[k])
            fixed += (top - cost) * (points.hours[a, k] if top > cost else points.hours[b, k]) - demand.adaptation_cost
        low, high = _interval(demand, k)
        low, high = max(low, left), min(high, right)
        if low > high:
            continue
        for price in (low, min(max(crossing, low), high), high):
            line_left = value_left + slope_left * (price - left)
            line_right = value_right + slope_right * (price - right)
            profit = demand.elsewhere[k] + fixed + min(line_left, line_right)
            if profit > bound:
                bound, peak = profit, price
    return Block(a, b, first, last, depth, bound, peak)


@kernel
def _split(demand: Demand, left: float, right: float, block: Block) -> float:
    """Price to look at next: near the bound's peak but not near an end, just left of a threshold if one is close."""
    edge = EDGE * (right - left)
    price = min(max(block.peak, left + edge), right - edge)
    k = _gone(demand, price)
    if k < block.last:
        high = demand.threshold[k] * (1.0 - MARGIN)
        if left < high <= right - edge:
            return high
    return price


@kernel
def new_points(customers: int) -> Points:
    """Return room for the points that one line search looks at."""
    rows = DEPTH + 2  # most of them are never touched, so that they cost no memory
    return Points(
        np.empty(rows),
        np.empty((rows, customers)),
        np.empty((rows, customers)),
        np.empty((rows, customers), np.int64),
        np.empty((rows, customers), np.int64),
    )


@kernel
def search_price(
    problem: Problem,
    current: float,
    profit: float,
    demand: Demand,
    points: Points,
    exact: float,
    unit: float,
) -> tuple[float, float, int]:
    """Return the best price of the model of a demand, the profit there but for training, and the points looked at.

    ``profit`` is that of the ``current`` price, -inf if nothing is known; ``exact`` is the gain, relative to the profit
    (at least ``unit``, $), that may be missed. After `MOST_POINTS` it stops with the best so far.
    Depth first, the better half first. A row of ``points`` belongs to the depth whose split filled it, and is free once
    both halves are done.
    """
    floor, cap = problem.seller.price_floor, problem.seller.price_cap
    first = _gone(demand, floor)
    last = _gone(demand, cap)
    best_price, best = current, profit
    for row, price in ((0, floor), (1, cap)):
        profit = _look(demand, points, row, price, first)
        if profit > best:
            best_price, best = price, profit
    evaluations = 2
    blocks = [_bound(demand, points, 0, 1, first, last, 0)]
    while len(blocks) > 0 and evaluations < MOST_POINTS:
        block = blocks.pop()
        left, right = points.price[block.left], points.price[block.right]
        if not block.bound > best + exact * max(unit, abs(best)) or block.depth == DEPTH:  # NaN promises nothing
            continue
        if right - left <= NARROWEST * right:
            continue
        price, row = _split(demand, left, right, block), block.depth + 2
        profit = _look(demand, points, row, price, block.first)
        evaluations += 1
        buying = _gone(demand, price)
        low, high = _interval(demand, buying)
        if profit > best and low <= price <= high:
            best_price, best = price, profit
        after = buying  # who is left on the right: not those whose intervals end here
        while after < block.last and demand.threshold[after] * (1.0 - MARGIN) <= price:
            after += 1
        lower = _bound(demand, points, block.left, row, block.first, buying, block.depth + 1)
        upper = _bound(demand, points, row, block.right, after, block.last, block.depth + 1)
        blocks.append(lower if lower.bound < upper.bound else upper)
        blocks.append(upper if lower.bound < upper.bound else lower)
    return best_price, best, evaluations


@kernel
def personalised_hour_bound(problem: Problem) -> float:
    """Return what the seller would earn if every customer had its own price and no choice but that model or none, $.

    No common prices earn more (docs/theorem-2.md): a bound without a search over price vectors.
    """
    terms, seller = problem.terms, problem.seller
    models, customers = terms.setup_cost.shape
    slots = terms.task_value.shape[0]
    scratch, points, unit = np.empty(slots), new_points(1), least_unit(terms)
    total = -seller.training_cost
    for n in range(customers):
        most = 0.0
        for m in range(models):
            cost, adaptation = seller.serving_cost[m, n], seller.adaptation_cost[m]
            hours = slots * terms.max_hours[0, m, n]
            if (seller.price_cap - cost) * hours - adaptation <= most:
                continue
            threshold = find_threshold(problem, n, m, offered_elsewhere(problem, n), seller.price_floor, scratch)
            concave, above = find_concavity(terms, n, m, cost)
            alone = np.array([n])
            own, anticipation = in_order(terms, problem.anticipation, m, alone)
            demand = Demand(
                alone,
                np.array([threshold]),
                np.zeros(2),
                np.array([cost]),
                np.array([concave]),
                np.array([above]),
                adaptation,
                own,
                anticipation,
            )
            _, best, looked = search_price(problem, seller.price_cap, -np.inf, demand, points, EXACT, unit)
            if looked >= MOST_POINTS:
                best = (seller.price_cap - cost) * hours - adaptation
            missed = MARGIN * min(threshold, seller.price_cap) * hours + EXACT * max(unit, abs(best))
            most = max(most, best + missed)
        total += most
    return total
