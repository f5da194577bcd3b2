"""The sweeps of IMP: one price after another moves to its best, until no price moves alone (see `lmaas_agents.imp.imp`).

A price moves by the line search of `lmaas_agents.imp.line_search`; the result of a sweep is never worse than that of the one
before, as a move is taken only if the profit of the whole market rises.
"""

from __future__ import annotations

import numpy as np
from lmaas_agents.imp.line_search import (
    TOLERANCE,
    Anticipation,
    SellerConstants,
    demand_for,
    fill_column,
    new_points,
    nothing_known,
    search_price,
)

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.recourse import TermArrays, select
from lmaas_env.types import BoolArray, FloatArray, IntArray


@kernel
def iterate(
    terms: TermArrays,
    anticipation: Anticipation,
    seller: SellerConstants,
    start: FloatArray,
    order: IntArray,
    max_sweeps: int,
    exact: float,
) -> tuple[FloatArray, FloatArray, int]:
    """Move one price at a time, in ``order`` (M,), while that gains.

    Models that nobody rents can together hold down the price of one that somebody rents. So once no price moves alone
    they are withdrawn, and the search goes on; if that brings nothing, they keep their prices.
    Returns the prices, the profit before and after each sweep, and the points looked at.
    """
    prices = start.copy()
    customers, models = terms.setup_cost.shape
    worst = np.empty((customers, models))
    sale = np.empty((customers, models))
    for m in range(models):
        fill_column(terms, anticipation, seller, m, prices[m], worst, sale)
    points = new_points(customers)
    history = np.empty(max_sweeps + 1)
    history[0] = _total(worst, sale, seller.training_cost)
    evaluations, settled = 0, 0  # settled: models whose price is known to be best among the others as they are
    known = nothing_known(customers, models)
    kept, kept_profit = prices, -np.inf  # before models were withdrawn
    withdrawn = np.zeros(models, dtype=np.bool_)
    for sweep in range(1, max_sweeps + 1):
        profit = history[sweep - 1]
        for turn in range(models):
            if settled == models:
                break
            m = int(order[turn])
            settled += 1
            if withdrawn[m]:  # searched again once a price gains
                continue
            demand = demand_for(terms, seller, m, prices[m], worst, sale, known)
            sold = profit + seller.training_cost
            price, _, looked = search_price(terms, anticipation, seller, m, prices[m], sold, demand, points, exact)
            evaluations += looked
            if price == prices[m]:
                continue
            before = worst[:, m].copy(), sale[:, m].copy()
            fill_column(terms, anticipation, seller, m, price, worst, sale)
            trial = _total(worst, sale, seller.training_cost)
            if trial > profit + TOLERANCE * max(1.0, abs(profit)):
                prices[m], profit, settled = price, trial, 1
                withdrawn[:] = False
            else:
                worst[:, m], sale[:, m] = before
        history[sweep] = profit
        if settled == models:
            if profit <= kept_profit:
                return kept, history[: sweep + 1], evaluations
            if sweep == max_sweeps:  # nothing is withdrawn that could not be put back
                break
            kept, kept_profit, settled = prices.copy(), profit, 0
            withdrawn = _withdraw(terms, anticipation, seller, prices, worst, sale)
            if not withdrawn.any():
                return prices, history[: sweep + 1], evaluations
    return prices, history, evaluations


@kernel
def _withdraw(
    terms: TermArrays,
    anticipation: Anticipation,
    seller: SellerConstants,
    prices: FloatArray,
    worst: FloatArray,
    sale: FloatArray,
) -> BoolArray:
    """Raise to the cap, in place, the prices of models that nobody rents; return which these are, (M,).

    No customer chooses otherwise, as W falls in the price: the profit stays as it is.
    """
    raised = prices < seller.price_cap
    for n in range(worst.shape[0]):
        choice = select(worst[n])
        if choice >= 0:
            raised[choice] = False
    for m in range(prices.shape[0]):
        if raised[m]:
            prices[m] = seller.price_cap
            fill_column(terms, anticipation, seller, m, seller.price_cap, worst, sale)
    return raised


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


@kernel
def _total(worst: FloatArray, sale: FloatArray, training_cost: float) -> float:
    profit = -training_cost
    for n in range(worst.shape[0]):
        m = select(worst[n])
        if m >= 0:
            profit += sale[n, m]
    return profit
