"""The line search of IMP: the exact best price of one model while the others stay, compiled (see `agents.imp`)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

import lmaas_env
from lmaas_env.compiled import drop_stale_kernels, kernel
from lmaas_env.kernels import TermArrays, energy_price, recourse, select, slot_hours, worst_fades
from lmaas_env.types import BoolArray, FloatArray, IntArray

MARGIN = 1e-6  # relative; a price stays this far from a threshold, so that float32 actions do not lose the customer
TOLERANCE = 1e-7  # relative gain for which a price moves
LEAF = 5e-3  # relative width below which an interval is taken to hold one peak at most
MAX_SWEEPS = 100

drop_stale_kernels(Path(__file__).parent, Path(lmaas_env.__file__).parent)


class Anticipation(NamedTuple):
    """The fade patterns under which the seller anticipates each customer's hours: (P, N, L), weights (P, N)."""

    patterns: BoolArray
    weights: FloatArray


class SellerConstants(NamedTuple):
    """The seller's constants, as kernels take them.

    ``serving_cost`` (N, M) is what an hour costs, by customer since a seller that looks ahead also charges the battery;
    ``adaptation_cost`` is (M,).
    """

    serving_cost: FloatArray
    adaptation_cost: FloatArray
    training_cost: float
    price_floor: float
    price_cap: float


@kernel
def _hours(terms: TermArrays, anticipation: Anticipation, n: int, m: int, price: float) -> tuple[float, float]:
    """Anticipated hours T of customer n renting model m, and their slope dT/dbeta."""
    total, slope = 0.0, 0.0
    for p in range(anticipation.weights.shape[0]):
        weight = anticipation.weights[p, n]
        if weight == 0.0:
            continue
        faded = anticipation.patterns[p, n]
        mu = energy_price(terms, n, m, price, faded)
        rented = 0.0
        # Of the slots neither closed nor full: sums of V/d^2, g V/d^2 and g^2 V/d^2, d the marginal cost.
        by_price, by_energy, by_both = 0.0, 0.0, 0.0
        for slot in range(faded.shape[0]):
            s = 1 if faded[slot] else 0
            power, cap = terms.power[n, m, s], terms.max_hours[n, m, s]
            marginal = price + terms.airtime_cost[n, m, s] + mu * power
            tau = slot_hours(terms.task_value[n, slot], terms.saturation[n] * terms.quality[n, m, s], marginal, cap)
            rented += tau
            if 0.0 < tau < cap:
                curvature = terms.task_value[n, slot] / (marginal * marginal)
                by_price += curvature
                by_both += power * curvature
                by_energy += power * power * curvature
        total += weight * rented
        if mu > 0.0 and by_energy > 0.0:
            by_price -= by_both * by_both / by_energy  # mu moves so that the energy stays used up
        slope -= weight * by_price
    return total, slope


@kernel
def _threshold(
    terms: TermArrays, n: int, m: int, faded: BoolArray, offer: float, floor: float, cap: float, scratch: FloatArray
) -> float:
    """Price at which W_nm falls to the best other offer: cap if it stays above, 0 if it never gets above.

    Newton from the left never passes the root of a convex decreasing function, and a chord never falls short of it.
    """
    if recourse(terms, n, m, cap, faded, scratch)[0] > offer:
        return cap
    low, high = floor, cap
    gain_low, hours, _ = recourse(terms, n, m, low, faded, scratch)
    gain_low -= offer
    if gain_low <= 0.0:
        return 0.0
    for _ in range(60):
        step = gain_low / hours
        if hours <= 0.0 or low + step >= high or step <= 1e-14 * low:
            break
        low += step
        gain_low, hours, _ = recourse(terms, n, m, low, faded, scratch)
        gain_low -= offer
        if gain_low <= 0.0:  # only by rounding: the root is here
            break
    return low


@kernel
def fill_column(
    terms: TermArrays,
    anticipation: Anticipation,
    seller: SellerConstants,
    m: int,
    price: float,
    worst: FloatArray,
    sale: FloatArray,
) -> None:
    """Fill column m of W (N, M) and of the seller's anticipated profit from each sale (N, M)."""
    slots = terms.task_value.shape[1]
    scratch = np.empty(slots)
    for n in range(worst.shape[0]):
        worst[n, m] = recourse(terms, n, m, price, worst_fades(terms.fade_budget[n], slots), scratch)[0]
        sale[n, m] = 0.0
        if worst[n, m] > 0.0:
            hours, _ = _hours(terms, anticipation, n, m, price)
            sale[n, m] = (price - seller.serving_cost[n, m]) * hours - seller.adaptation_cost[m]


@kernel
def _total(worst: FloatArray, sale: FloatArray, training_cost: float) -> float:
    profit = -training_cost
    for n in range(worst.shape[0]):
        m = select(worst[n])
        if m >= 0:
            profit += sale[n, m]
    return profit


@kernel
def _buyers(
    terms: TermArrays, anticipation: Anticipation, seller: SellerConstants, m: int, price: float, buyers: IntArray
) -> tuple[float, float, float, float]:
    """Profit, its slope, hours and serving costs of the sales of model m to a set of buyers."""
    hours, costs, slope = 0.0, 0.0, 0.0
    for n in buyers:
        rented, change = _hours(terms, anticipation, n, m, price)
        hours += rented
        costs += seller.serving_cost[n, m] * rented
        slope += rented + (price - seller.serving_cost[n, m]) * change
    return price * hours - costs - seller.adaptation_cost[m] * buyers.shape[0], slope, hours, costs


@kernel
def _peak(
    terms: TermArrays,
    anticipation: Anticipation,
    seller: SellerConstants,
    m: int,
    buyers: IntArray,
    left: float,
    slope_left: float,
    right: float,
    slope_right: float,
) -> tuple[float, float, int]:
    """Climb between a rising and a falling end: the price where the slope changes sign (Illinois), and the profit."""
    profit, price, evaluations = -np.inf, left, 0
    while right - left > 1e-8 * right and evaluations < 60:
        price = left + (right - left) * slope_left / (slope_left - slope_right)
        if not left < price < right:
            price = 0.5 * (left + right)
        profit, slope, _, _ = _buyers(terms, anticipation, seller, m, price, buyers)
        evaluations += 1
        if slope == 0.0:
            break
        if slope > 0.0:
            left, slope_left = price, slope
            slope_right *= 0.5
        else:
            right, slope_right = price, slope
            slope_left *= 0.5
    return price, profit, evaluations


@kernel
def _best_price(
    terms: TermArrays, anticipation: Anticipation, seller: SellerConstants, m: int, worst: FloatArray, sale: FloatArray
) -> tuple[float, int]:
    """Line search over the price of model m, the others fixed: the best price and the points looked at."""
    customers, models = worst.shape
    slots = terms.task_value.shape[1]
    floor, cap = seller.price_floor, seller.price_cap
    scratch = np.empty(slots)
    others = np.empty(models)
    threshold = np.empty(customers)
    elsewhere = np.empty(customers)  # the seller's profit from a customer that does not buy m
    for n in range(customers):
        others[:] = worst[n]
        others[m] = -np.inf
        other = select(others)
        elsewhere[n] = sale[n, other] if other >= 0 else 0.0
        offer = others[other] if other >= 0 else 0.0
        faded = worst_fades(terms.fade_budget[n], slots)
        threshold[n] = _threshold(terms, n, m, faded, offer, floor, cap, scratch)
    order = np.argsort(threshold)
    first = np.searchsorted(threshold[order], floor, side="right")
    best_price, best = cap, float(elsewhere.sum())  # nobody buys m
    if threshold[order[-1]] == cap:
        best = -np.inf
    evaluations = 0

    # Every threshold from the left; an interval's profit is at most its right end's price times its left end's hours,
    # less the costs of the hours at its right end.
    rest = elsewhere[order[:first]].sum()
    left = floor
    hours_left = _buyers(terms, anticipation, seller, m, floor, order[first:])[2]
    starts = np.empty(customers, dtype=np.int64)
    lefts = np.empty(customers)
    bounds = np.empty(customers)
    rests = np.empty(customers)
    count = 0
    k = first
    while k < customers:
        right = float(threshold[order[k]])
        buyers = order[k:]
        price = max(floor, right * (1.0 - MARGIN)) if right < cap else cap
        profit, _, hours, costs = _buyers(terms, anticipation, seller, m, price, buyers)
        evaluations += 1
        if rest + profit > best:
            best, best_price = rest + profit, price
        bound = right * hours_left - costs - seller.adaptation_cost[m] * buyers.shape[0]
        starts[count], lefts[count], rests[count], bounds[count] = k, left, rest, rest + bound
        count += 1
        left, hours_left = right, hours
        while k < customers and threshold[order[k]] == right:
            hours_left -= _hours(terms, anticipation, order[k], m, price)[0]
            rest += elsewhere[order[k]]
            k += 1

    for i in np.argsort(-bounds[:count]):
        tolerance = 1e-10 * max(1.0, abs(best))
        if bounds[i] <= best + tolerance:
            break
        buyers = order[starts[i] :]
        right = float(threshold[buyers[0]])
        right = right * (1.0 - MARGIN) if right < cap else cap
        left, rest = float(lefts[i]) * (1.0 + MARGIN), float(rests[i])
        target = float(best + tolerance - rest)
        price, profit, looked = _best_inside(terms, anticipation, seller, m, buyers, left, right, target)
        evaluations += looked
        if rest + profit > best:
            best, best_price = rest + profit, price
    return best_price, evaluations


@kernel
def _best_inside(
    terms: TermArrays,
    anticipation: Anticipation,
    seller: SellerConstants,
    m: int,
    buyers: IntArray,
    left: float,
    right: float,
    target: float,
) -> tuple[float, float, int]:
    """Best price of an interval with fixed buyers, but its right end, if it beats a target; else profit -inf.

    Halves the interval while its bound (as in `_best_price`) beats the target, down to narrow leaves.
    """
    if not left < right:
        return right, -np.inf, 0
    stack = np.empty((64, 6))  # left, its slope and hours, right, its slope and serving costs
    best, slope, hours, _ = _buyers(terms, anticipation, seller, m, left, buyers)
    best_price, best = (left, best) if best > target else (right, -np.inf)
    _, slope_right, _, costs_right = _buyers(terms, anticipation, seller, m, right, buyers)
    _push(stack, 0, left, slope, hours, right, slope_right, costs_right)
    evaluations, size = 2, 1
    adaptation = seller.adaptation_cost[m] * buyers.shape[0]
    while size > 0:
        size -= 1
        left, slope_left, hours_left, right, slope_right, costs_right = stack[size]
        if right * hours_left - costs_right - adaptation <= max(best, target):
            continue
        if right - left <= LEAF * right:
            if slope_left > 0.0 > slope_right:
                price, profit, looked = _peak(
                    terms, anticipation, seller, m, buyers, left, slope_left, right, slope_right
                )
                evaluations += looked
                if profit > max(best, target):
                    best_price, best = price, profit
            continue
        middle = 0.5 * (left + right)
        profit, slope, hours, costs = _buyers(terms, anticipation, seller, m, middle, buyers)
        evaluations += 1
        if profit > max(best, target):
            best_price, best = middle, profit
        _push(stack, size, left, slope_left, hours_left, middle, slope, costs)
        _push(stack, size + 1, middle, slope, hours, right, slope_right, costs_right)
        size += 2
    return best_price, best, evaluations


@kernel
def _push(
    stack: FloatArray,
    size: int,
    left: float,
    slope_left: float,
    hours_left: float,
    right: float,
    slope_right: float,
    costs_right: float,
) -> None:
    stack[size, 0], stack[size, 1], stack[size, 2] = left, slope_left, hours_left
    stack[size, 3], stack[size, 4], stack[size, 5] = right, slope_right, costs_right


@kernel
def iterate(
    terms: TermArrays, anticipation: Anticipation, seller: SellerConstants, start: FloatArray
) -> tuple[FloatArray, FloatArray, int]:
    """Move one price at a time while that gains; returns prices, profit before and after each sweep, evaluations."""
    prices = start.copy()
    customers, models = terms.setup_cost.shape
    worst = np.empty((customers, models))
    sale = np.empty((customers, models))
    for m in range(models):
        fill_column(terms, anticipation, seller, m, prices[m], worst, sale)
    history = np.empty(MAX_SWEEPS + 1)
    history[0] = _total(worst, sale, seller.training_cost)
    evaluations = 0
    for sweep in range(1, MAX_SWEEPS + 1):
        profit = history[sweep - 1]
        moved = False
        for m in range(models):
            price, looked = _best_price(terms, anticipation, seller, m, worst, sale)
            evaluations += looked
            if price == prices[m]:
                continue
            before = worst[:, m].copy(), sale[:, m].copy()
            fill_column(terms, anticipation, seller, m, price, worst, sale)
            trial = _total(worst, sale, seller.training_cost)
            if trial > profit + TOLERANCE * max(1.0, abs(profit)):
                prices[m], profit, moved = price, trial, True
            else:
                worst[:, m], sale[:, m] = before
        history[sweep] = profit
        if not moved:
            return prices, history[: sweep + 1], evaluations
    return prices, history, evaluations


@kernel
def anticipated_profit(
    terms: TermArrays, anticipation: Anticipation, seller: SellerConstants, prices: FloatArray
) -> float:
    """Return the profit of a period at given prices, $."""
    worst = np.empty(terms.setup_cost.shape)
    sale = np.empty(terms.setup_cost.shape)
    for m in range(prices.shape[0]):
        fill_column(terms, anticipation, seller, m, prices[m], worst, sale)
    return _total(worst, sale, seller.training_cost)
