"""How customers answer the price of one model while the others stay: from which price each leaves, and its hours."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from lmaas_agents.imp.problem import Anticipation, Problem, least_promise, offered_elsewhere

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.recourse import energy_price, recourse, slot_hours, worst_fades
from lmaas_env.engine.rsr import select, worst_case
from lmaas_env.engine.terms import Terms
from lmaas_env.types import BoolArray, FloatArray, IntArray


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


@kernel
def anticipated_hours(
    terms: Terms, anticipation: Anticipation, n: int, m: int, price: float
) -> tuple[float, float, int, int]:
    """Return the anticipated hours T of customer n renting model m, their slope dT/dbeta, and two counts.

    The counts never fall as the price rises. The first rises where (beta - s) T may bend up at prices above s, the
    second where T bends at all (see `lmaas_agents.imp.line_search`).
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
def find_threshold(problem: Problem, n: int, m: int, offer: float, start: float, scratch: FloatArray) -> float:
    """Return the price at which W_nm falls to the best other offer: inf if above it up to the cap, 0 if never above.

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
            hours, _, _, _ = anticipated_hours(terms, problem.anticipation, n, m, price)
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
            known.threshold[m, n] = find_threshold(problem, n, m, offer, start, scratch)
        threshold[n] = known.threshold[m, n]
    order = np.argsort(threshold)
    gone = np.zeros(customers + 1)
    gone[1:] = np.cumsum(elsewhere[order])
    serving_cost = seller.serving_cost[m][order]
    concave, concave_above = np.empty(customers, dtype=np.bool_), np.empty(customers)
    for k in range(customers):
        concave[k], concave_above[k] = find_concavity(terms, order[k], m, serving_cost[k])
    own, anticipation = in_order(terms, problem.anticipation, m, order)
    adaptation_cost = seller.adaptation_cost[m]
    return Demand(
        order, threshold[order], gone, serving_cost, concave, concave_above, adaptation_cost, own, anticipation
    )


@kernel
def in_order(terms: Terms, anticipation: Anticipation, m: int, customer: IntArray) -> tuple[Terms, Anticipation]:
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
def find_concavity(terms: Terms, n: int, m: int, cost: float) -> tuple[bool, float]:
    """Return whether h is concave above cost where nothing bends it up, and the price from which it is so below cost.

    Below cost T must not bend; h is the seller's profit from a customer (`lmaas_agents.imp.line_search`).
    """
    airtime = (terms.airtime_cost[0, m, n], terms.airtime_cost[1, m, n])
    power = (terms.power[0, m, n], terms.power[1, m, n])
    # (s - beta) (g_1 - g_0) <= g_0 (beta + c_1), solved for beta
    above = (cost * (power[1] - power[0]) - power[0] * airtime[1]) / power[1]
    return cost + airtime[0] >= 0.0, above
