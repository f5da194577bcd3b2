"""The coordinate ascent of IMP: one price after another moves to its best, until no price moves alone.

A price moves by `line_search`. The profit never falls from one sweep over all prices to the next, as a move is taken
only if the profit of the whole market rises.
"""

from __future__ import annotations

import numpy as np
from lmaas_agents.imp.demand import demand_for, fill_model, nothing_known
from lmaas_agents.imp.line_search import new_points, search_price
from lmaas_agents.imp.problem import Problem, least_promise, least_unit

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.rsr import chosen, select
from lmaas_env.types import BoolArray, FloatArray, IntArray

TOLERANCE = 1e-7  # gain for which a price moves, relative to the profit or `least_unit`


@kernel
def ascend(
    problem: Problem, start: FloatArray, order: IntArray, max_sweeps: int, exact: float
) -> tuple[FloatArray, FloatArray, int]:
    """Move one price at a time, in ``order`` (M,), while that gains.

    Models without customers can together hold down the price of one that has some. So once no price moves alone
    they are withdrawn, and the search goes on; if that brings nothing, they keep their prices.
    Returns the prices, the profit before and after each sweep, and the points looked at.
    """
    prices = start.copy()
    models, customers = problem.terms.setup_cost.shape
    worst, sale = np.empty((models, customers)), np.empty((models, customers))
    training_cost = problem.seller.training_cost
    for m in range(models):
        fill_model(problem, m, prices[m], worst, sale)
    points, unit = new_points(customers), least_unit(problem.terms)
    history = np.empty(max_sweeps + 1)
    history[0] = _total(problem, worst, sale)
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
            demand = demand_for(problem, m, prices[m], worst, sale, known)
            sold = profit + training_cost
            price, _, looked = search_price(problem, prices[m], sold, demand, points, exact, unit)
            evaluations += looked
            if price == prices[m]:
                continue
            before = worst[m].copy(), sale[m].copy()
            fill_model(problem, m, price, worst, sale)
            trial = _total(problem, worst, sale)
            if trial > profit + TOLERANCE * max(unit, abs(profit)):
                prices[m], profit, settled = price, trial, 1
                withdrawn[:] = False
            else:
                worst[m], sale[m] = before
        history[sweep] = profit
        if settled == models:
            if profit <= kept_profit:
                return kept, history[: sweep + 1], evaluations
            if sweep == max_sweeps:  # nothing is withdrawn that could not be put back
                break
            kept, kept_profit, settled = prices.copy(), profit, 0
            withdrawn = _withdraw(problem, prices, worst, sale)
            if not withdrawn.any():
                return prices, history[: sweep + 1], evaluations
    return prices, history, evaluations


@kernel
def _withdraw(problem: Problem, prices: FloatArray, worst: FloatArray, sale: FloatArray) -> BoolArray:
    """Raise to the cap, in place, the prices of models without customers; return which these are, (M,).

    No customer chooses otherwise, as W falls in the price: the profit stays as it is.
    """
    cap = problem.seller.price_cap
    raised = prices < cap
    for choice in select(worst, least_promise(problem)):
        if choice >= 0:
            raised[choice] = False
    for m in range(prices.shape[0]):
        if raised[m]:
            prices[m] = cap
            fill_model(problem, m, cap, worst, sale)
    return raised


@kernel
def anticipated_profit(problem: Problem, prices: FloatArray) -> float:
    """Return the profit of a period at given prices, $."""
    worst, sale = np.empty(problem.terms.setup_cost.shape), np.empty(problem.terms.setup_cost.shape)
    for m in range(prices.shape[0]):
        fill_model(problem, m, prices[m], worst, sale)
    return _total(problem, worst, sale)


@kernel
def _total(problem: Problem, worst: FloatArray, sale: FloatArray) -> float:
    """Return the seller's profit when every customer selects by ``worst`` (M, N)."""
    return chosen(sale, select(worst, least_promise(problem))).sum() - problem.seller.training_cost
