"""The plain compiled step that `lmaas bench speed` compares with: one lane, customer and model after another.

Shadow prices of energy are found by bisection. What customers select and rent is what the market's kernels find.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from lmaas_env import Market
from lmaas_env.engine.draws import fill_day
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.period import Constants, Record, Rentals, record_lanes, state_after, terms_of_lanes
from lmaas_env.engine.recourse import worst_fades
from lmaas_env.engine.rsr import chosen, select, selection_threshold
from lmaas_env.engine.terms import Terms
from lmaas_env.spaces import prices_from_action
from lmaas_env.state import Draws, State
from lmaas_env.types import BoolArray, FloatArray

BISECTIONS = 80  # per customer and model


def plain_days(market: Market, lanes: int, action: np.ndarray) -> Callable[[], object]:
    """Return a function that takes all lanes through a day by `plain_steps`; only the first state is drawn before."""
    prices, record, rng = prices_from_action(market, action), market.new_record(lanes), np.random.default_rng(0)
    first, days = market.days([np.random.default_rng(lane) for lane in range(lanes)])
    draws = days.at(slice(1))

    def day() -> None:
        state = first
        for _ in range(market.scenario.periods):
            plain_steps(market.constants, prices, state, draws, rng, record)
            state = State(*(array.copy() for array in state_after(record)))

    return day


@kernel
def _bisected(
    terms: Terms, n: int, m: int, price: float, faded: BoolArray, hours: FloatArray, scratch: FloatArray
) -> tuple[float, float]:
    """Return customer n's profit and energy with model m, mu by bisection; fills ``hours`` (L,); scratch is (5, L)."""
    value, cost, power, closed, cap = scratch
    low, high = 0.0, 1e-9
    for slot in range(hours.size):
        s = 1 if faded[slot] else 0
        value[slot], power[slot], cap[slot] = terms.task_value[slot, n], terms.power[s, m, n], terms.max_hours[s, m, n]
        cost[slot] = price + terms.airtime_cost[s, m, n]
        closed[slot] = 1.0 / (terms.saturation[n] * terms.quality[s, m, n])
        high = max(high, (value[slot] / closed[slot] - cost[slot]) / power[slot])
    for _ in range(BISECTIONS):
        mu, used = 0.5 * (low + high), 0.0
        for slot in range(hours.size):
            tau = value[slot] / (cost[slot] + mu * power[slot]) - closed[slot]
            used += power[slot] * min(max(tau, 0.0), cap[slot])
        if used > terms.energy[n]:
            low = mu
        else:
            high = mu
    used, profit = 0.0, -terms.setup_cost[m, n]
    for slot in range(hours.size):
        tau = value[slot] / (cost[slot] + high * power[slot]) - closed[slot]
        tau = min(max(tau, 0.0), cap[slot])
        hours[slot] = tau
        used += power[slot] * tau
        profit += value[slot] * math.log1p(tau / closed[slot]) - cost[slot] * tau
    return profit, min(used, terms.energy[n])


@kernel
def plain_steps(
    constants: Constants,
    prices: FloatArray,
    state: State,
    draws: Draws,
    rng: np.random.Generator,
    record: Record,
) -> None:
    """Step all lanes by plain loops: one lane, one customer and one model after another.

    ``draws`` (1, K, ...) is filled with the period's draws, ``record`` with the result.
    """
    (lanes, models), (customers, slots) = prices.shape, draws.faded.shape[2:]
    no_start = np.empty((3, lanes, 0))
    hours, scratch = np.empty(slots), np.empty((5, slots))
    for k in range(lanes):
        fill_day(rng, k, constants, no_start, draws)
        terms = terms_of_lanes(constants, state, k, k + 1)
        worst, rented = np.empty((models, customers)), np.zeros((slots, customers))
        profit, used = np.zeros(customers), np.zeros(customers)
        for n in range(customers):
            faded = worst_fades(terms.fade_budget[n], slots)
            for m in range(models):
                worst[m, n] = _bisected(terms, n, m, prices[k, m], faded, hours, scratch)[0]
        choice = select(worst, selection_threshold(terms))
        for n in range(customers):
            m = choice[n]
            if m >= 0:
                profit[n], used[n] = _bisected(terms, n, m, prices[k, m], draws.faded[0, k, n], hours, scratch)
                rented[:, n] = hours
        rentals = Rentals(choice, rented, profit, chosen(worst, choice), used)
        record_lanes(constants, prices, state, draws, k, rentals, record)
