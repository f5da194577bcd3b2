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

So `_hours` counts what bends h up. Where the count is the same at both prices, h lies below its tangents at both;
elsewhere below (beta - s) T(left) - G, as T never rises with the price.

**Below cost**, beta < s, which a seller that looks ahead may charge a customer, what bends T up bends h down, and the
reverse: `_hours` counts the bends of both kinds. Where there is none, h is concave if energy is to spare, as T is
convex; and with open slots in both states if (s - beta) k <= x_1, as d'' <= 2 x_1^3 / V_1^2 and d'^2 >= x_1^4 / V_1^2,
for which (s - beta) (g_1 - g_0) <= g_0 (beta + c_1) at the left end is enough. Elsewhere h <= (beta - s) T(right) - G.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.recourse import energy_price, recourse, slot_hours, worst_fades
from lmaas_env.engine.rsr import select, selection_threshold, worst_case
from lmaas_env.engine.terms import Terms
from lmaas_env.types import BoolArray, FloatArray, IntArray

MARGIN = 1e-6  # relative; a price stays this far from a threshold, so that float32 actions do not lose the customer
TOLERANCE = 1e-7  # gain for which a price moves, relative to the profit or `least_unit`
EXACT = 1e-10  # relative gain that the line search may miss
NARROWEST = 1e-9  # relative width of blocks of prices, below which their profits differ by less than EXACT
EDGE = 0.1  # a block is split at least this share of its width from its ends
MOST_POINTS = 1_000_000  # that a search looks at; it takes hundreds unless numbers are extreme
DEPTH = 256  # of splits, enough for NARROWEST: 0.9^256 < 1e-11


class Anticipation(NamedTuple):
    """The fade patterns under which the seller anticipates each customer's hours: (P, N, L), weights (P, N)."""

    patterns: BoolArray
    weights: FloatArray


class SellerConstants(NamedTuple):
    """The seller's constants, as kernels take them.

    ``serving_cost`` (M, N) is what an hour costs, by customer since a seller that looks ahead also charges the battery;
    ``adaptation_cost`` is (M,).
    """

    serving_cost: FloatArray
    adaptation_cost: FloatArray
    training_cost: float
    price_floor: float
    price_cap: float


NO_OFFERS: FloatArray = np.empty(0)


class Problem(NamedTuple):
    """The seller's problem in one period: prices of M models for N customers.

    ``outside`` (N,) is the worst-case profit that the best offer of other sellers promises each customer, $; (0,) where
    there are none.
    """

    terms: Terms
    anticipation: Anticipation
    seller: SellerConstants
    outside: FloatArray = NO_OFFERS


@kernel
def offered_elsewhere(problem: Problem, n: int) -> float:
    """Return what other sellers promise a customer, 0 if that is nothing, $."""
    return max(problem.outside[n], 0.0) if problem.outside.shape[0] > 0 else 0.0


@kernel
def least_promise(problem: Problem) -> FloatArray:
    """Return what each customer (N,) must be promised more than to select a model of the seller, $."""
    least = selection_threshold(problem.terms)
    for n in range(problem.outside.shape[0]):
        least[n] = max(least[n], problem.outside[n])
    return least


class Demand(NamedTuple):
    """How customers answer the price of one model while the others stay, in the order in which it loses them."""

    customer: IntArray  # (N,)
    threshold: FloatArray  # the customer buys below this price; inf if it still does at the cap
    elsewhere: FloatArray  # (N + 1,) the seller's profit from the first k customers once they have gone
    serving_cost: FloatArray
    concave: BoolArray  # whether s + c_0 >= 0
    concave_above: FloatArray  # the price from which h is concave below cost, where T does not bend
    adaptation_cost: float
    terms: Terms  # of the model alone
    anticipation: Anticipation


class Known(NamedTuple):
    """Thresholds found so far, (M, N), and the best other offers that they hold for: most outlive a sweep."""

    offer: FloatArray
    threshold: FloatArray


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
def _hours(terms: Terms, anticipation: Anticipation, n: int, m: int, price: float) -> tuple[float, float, int, int]:
    """Anticipated hours T of customer n renting model m, their slope dT/dbeta, and two counts.

    The counts never fall as the price rises. The first rises where (beta - s) T may bend up at prices above s, the
    second where T bends at all (see the module).
    """
    slots, energy = terms.task_value.shape[0], terms.energy[n]
    power = (terms.power[0, m, n], terms.power[1, m, n])
    cap = (terms.max_hours[0, m, n], terms.max_hours[1, m, n])
    cost = (price + terms.airtime_cost[0, m, n], price + terms.airtime_cost[1, m, n])
    kappa_q = (terms.saturation[n] * terms.quality[0, m, n], terms.saturation[n] * terms.quality[1, m, n])
    total, slope, bends, kinks = 0.0, 0.0, 0, 0
    for p in range(anticipation.weights.shape[0]):
        weight = anticipation.weights[p, n]
        if weight == 0.0:
            continue
        faded = anticipation.patterns[p, n]
        mu = 0.0
        for short in (False, True):  # first as if energy were free
            marginal = (cost[0] + mu * power[0], cost[1] + mu * power[1])
            rented, used, count, others = 0.0, 0.0, 0, 0
            # Of the slots neither closed nor full: sums of V/d^2, g V/d^2 and g^2 V/d^2, d the marginal cost.
            by_price, by_energy, by_both = 0.0, 0.0, 0.0
            for slot in range(slots):
                s, value = 1 if faded[slot] else 0, terms.task_value[slot, n]
                tau = slot_hours(value, kappa_q[s], marginal[s], cap[s])
                rented += tau
                used += power[s] * tau
                if 0.0 < tau < cap[s]:
                    curvature = value / (marginal[s] * marginal[s])
                    by_price += curvature
                    by_both += power[s] * curvature
                    by_energy += power[s] * power[s] * curvature
                elif (tau == 0.0) != (short and s == 1):  # closed, or a faded one that is full
                    count += 1
                others += tau > 0.0 if short and s == 1 else tau < cap[s]
            if not short:
                if used <= energy:
                    count += slots + 1  # more than each count may fall by when energy ceases to bind
                    others += slots + 1
                    break
                mu = energy_price(terms, n, m, price, faded)
        total += weight * rented
        if mu > 0.0 and by_energy > 0.0:
            by_price -= by_both * by_both / by_energy  # mu moves so that the energy stays used up
        slope -= weight * by_price
        bends += count
        kinks += count + others
    return total, slope, bends, kinks


@kernel
def _threshold(problem: Problem, n: int, m: int, offer: float, start: float, scratch: FloatArray) -> float:
    """Price at which W_nm falls to the best other offer: inf if it stays above up to the cap, 0 if never above.

    Newton's step on a convex decreasing function never passes the root, from whichever side.
    """
    terms, floor, cap = problem.terms, problem.seller.price_floor, problem.seller.price_cap
    faded = worst_fades(terms.fade_budget[n], scratch.shape[0])
    price = start
    profit, hours, _ = recourse(terms, n, m, price, faded, scratch)
    if profit <= offer:
        price = max(floor, price + (profit - offer) / hours) if hours > 0.0 else floor
        profit, hours, _ = recourse(terms, n, m, price, faded, scratch)
        if profit <= offer and price == floor:
            return 0.0
    for _ in range(60):
        if profit <= offer:  # only by rounding: the root is here
            break
        step = (profit - offer) / hours
        if price + step > cap:
            return np.inf
        if step <= 1e-14 * price:
            break
        price += step
        profit, hours, _ = recourse(terms, n, m, price, faded, scratch)
    return price


@kernel
def fill_model(problem: Problem, m: int, price: float, worst: FloatArray, sale: FloatArray) -> None:
    """Fill row m of W (M, N) and of the seller's anticipated profit from each sale (M, N)."""
    terms, seller = problem.terms, problem.seller
    customers = worst.shape[1]
    prices, no_hours = np.full((1, customers), price), np.empty((0, 1, customers))
    worst[m] = worst_case(terms, np.full(1, m), prices, no_hours)[0]
    for n in range(customers):
        sale[m, n] = 0.0
        if worst[m, n] > 0.0:
            hours, _, _, _ = _hours(terms, problem.anticipation, n, m, price)
            sale[m, n] = (price - seller.serving_cost[m, n]) * hours - seller.adaptation_cost[m]


@kernel
def nothing_known(customers: int, models: int) -> Known:
    """Return what is remembered of thresholds before the first of them is found."""
    return Known(np.full((models, customers), np.nan), np.zeros((models, customers)))


@kernel
def demand_for(problem: Problem, m: int, price: float, worst: FloatArray, sale: FloatArray, known: Known) -> Demand:
    """Sort the customers by the price of model m from which they select another model, or none; fills ``known``."""
    terms, seller = problem.terms, problem.seller
    customers = worst.shape[1]
    scratch = np.empty(terms.task_value.shape[0])
    threshold, elsewhere = np.empty(customers), np.empty(customers)
    others = worst.copy()
    others[m] = -np.inf
    choice = select(others, least_promise(problem))
    for n in range(customers):
        other = choice[n]
        elsewhere[n] = sale[other, n] if other >= 0 else 0.0
        offer = others[other, n] if other >= 0 else offered_elsewhere(problem, n)
        if offer != known.offer[m, n]:
            before = known.threshold[m, n]
            known.offer[m, n] = offer
            start = before if 0.0 < before < np.inf else price
            known.threshold[m, n] = _threshold(problem, n, m, offer, start, scratch)
        threshold[n] = known.threshold[m, n]
    order = np.argsort(threshold)
    gone = np.zeros(customers + 1)
    gone[1:] = np.cumsum(elsewhere[order])
    serving_cost = seller.serving_cost[m][order]
    concave, concave_above = np.empty(customers, dtype=np.bool_), np.empty(customers)
    for k in range(customers):
        concave[k], concave_above[k] = _concave(terms, order[k], m, serving_cost[k])
    own, anticipation = _in_order(terms, problem.anticipation, m, order)
    adaptation_cost = seller.adaptation_cost[m]
    return Demand(
        order, threshold[order], gone, serving_cost, concave, concave_above, adaptation_cost, own, anticipation
    )


@kernel
def _in_order(terms: Terms, anticipation: Anticipation, m: int, customer: IntArray) -> tuple[Terms, Anticipation]:
    """Return the terms of model m and the anticipated fades of customers (C,), in their order.

    A line search reads them dozens of times: in large markets from memory, which is slow out of order.
    """
    count, (patterns, _, slots) = customer.shape[0], anticipation.patterns.shape
    own = Terms(
        _taken(terms.task_value, customer),
        terms.fade_budget[customer],
        terms.saturation[customer],
        terms.energy[customer],
        _taken(terms.setup_cost[m : m + 1], customer),
        _taken(terms.quality[:, m], customer).reshape(2, 1, count),
        _taken(terms.airtime_cost[:, m], customer).reshape(2, 1, count),
        _taken(terms.power[:, m], customer).reshape(2, 1, count),
        _taken(terms.max_hours[:, m], customer).reshape(2, 1, count),
    )
    faded = np.empty((patterns, count, slots), dtype=np.bool_)
    for p in range(patterns):
        for k in range(count):
            for slot in range(slots):
                faded[p, k, slot] = anticipation.patterns[p, customer[k], slot]
    return own, Anticipation(faded, _taken(anticipation.weights, customer))


@kernel
def _taken(rows: FloatArray, customer: IntArray) -> FloatArray:
    """Return the columns of customers (C,), in their order, of rows (B, N)."""
    found = np.empty((rows.shape[0], customer.shape[0]))
    for i in range(rows.shape[0]):
        for k in range(customer.shape[0]):
            found[i, k] = rows[i, customer[k]]
    return found


@kernel
def _concave(terms: Terms, n: int, m: int, cost: float) -> tuple[bool, float]:
    """Whether h is concave above cost, and the price from which it is so below, both where nothing bends it up."""
    airtime = (terms.airtime_cost[0, m, n], terms.airtime_cost[1, m, n])
    power = (terms.power[0, m, n], terms.power[1, m, n])
    # (s - beta) (g_1 - g_0) <= g_0 (beta + c_1), solved for beta
    above = (cost * (power[1] - power[0]) - power[0] * airtime[1]) / power[1]
    return cost + airtime[0] >= 0.0, above


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
        hours, slope, bends, kinks = _hours(demand.terms, demand.anticipation, k, 0, price)
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
def least_unit(terms: Terms) -> float:
    """Return what gaps and gains are relative to at least, $: 1 $, or the value of all tasks where that is less."""
    return min(1.0, terms.task_value.sum())


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
            threshold = _threshold(problem, n, m, offered_elsewhere(problem, n), seller.price_floor, scratch)
            concave, above = _concave(terms, n, m, cost)
            alone = np.array([n])
            own, anticipation = _in_order(terms, problem.anticipation, m, alone)
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
