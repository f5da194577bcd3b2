"""A second way to every number of RSR: enumerate the fades, solve each recourse generally, certify the answer.

Nothing here uses Theorem 1 or `lmaas_env.engine`; only `RentalTerms` is shared. `dual_bound` maximises over the hours
slot by slot, as any dual function does, and searches its multiplier numerically.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from lmaas_env.terms import RentalTerms
from lmaas_env.types import BoolArray, FloatArray

CERTIFIED = 1e-9  # largest gap, relative to max(1, |value|), that the oracle accepts from its own solver


class Recourse(NamedTuple):
    """Maximise sum_l V_l log(1 + kq_l tau_l) - cost_l tau_l - setup over 0 <= tau <= cap, power . tau <= energy."""

    value: FloatArray
    kq: FloatArray
    cost: FloatArray
    power: FloatArray
    cap: FloatArray
    energy: float
    setup: float

    def profit(self, hours: FloatArray) -> float:
        """The objective in $, net of the setup cost."""
        return float(np.sum(self.value * np.log1p(self.kq * hours) - self.cost * hours) - self.setup)


def recourse_problem(terms: RentalTerms, n: int, m: int, price: float, faded: BoolArray) -> Recourse:
    """What customer n solves when it has selected model m and knows its fades (L,)."""
    state = faded.astype(int)
    return Recourse(
        value=terms.task_value[n],
        kq=terms.saturation[n] * terms.quality[n, m, state],
        cost=price + terms.airtime_cost[n, m, state],
        power=terms.power[n, m, state],
        cap=terms.max_hours[n, m, state],
        energy=float(terms.energy[n]),
        setup=float(terms.setup_cost[n, m]),
    )


def fade_patterns(slots: int, budget: int | None = None) -> list[BoolArray]:
    """Every fade pattern, or those with at most ``budget`` fades."""
    patterns = [np.array(pattern, dtype=np.bool_) for pattern in itertools.product((False, True), repeat=slots)]
    return [pattern for pattern in patterns if budget is None or pattern.sum() <= budget]


def best_profit(problem: Recourse) -> float:
    """The recourse's optimal value by SLSQP, certified to `CERTIFIED`.

    The variables are shares of the caps, so that a dead link (caps of 1e-7 h) is as well scaled as a live one.
    """
    value, cap = problem.value, problem.cap
    rate, cost, weight = problem.kq * cap, problem.cost * cap, problem.power * cap
    total = max(float(weight.sum()), 1e-300)

    def loss(share: FloatArray) -> float:
        return float(np.sum(cost * share - value * np.log1p(rate * share)))

    def slope(share: FloatArray) -> FloatArray:
        return cost - value * rate / (1.0 + rate * share)

    share = np.full(value.size, 0.5 * min(1.0, problem.energy / total))
    for _ in range(5):
        share = minimize(
            loss,
            share,
            jac=slope,
            method="SLSQP",
            bounds=[(0.0, 1.0)] * value.size,
            constraints={
                "type": "ineq",
                "fun": lambda x: (problem.energy - weight @ x) / total,
                "jac": lambda _: -weight / total,
            },
            options={"ftol": 1e-16, "maxiter": 200},
        ).x.clip(0.0, 1.0)
        if weight @ share > problem.energy:  # SLSQP may end a rounding outside
            share *= problem.energy / (weight @ share)
        # The loss bends at least as much as at full caps, everywhere in the box.
        gap = optimality_gap(-slope(share), value * (rate / (1.0 + rate)) ** 2, share, weight, problem.energy)
        if gap <= CERTIFIED * max(1.0, abs(loss(share) + problem.setup)):
            return -loss(share) - problem.setup
    raise AssertionError(f"SLSQP left a gap of {gap} on {problem}")


def optimality_gap(
    gradient: FloatArray, curvature: FloatArray, share: FloatArray, weight: FloatArray, energy: float
) -> float:
    """By how much any feasible y in [0, 1]^L can beat ``share`` at most: a bound, whichever solver found the share.

    f(y) - f(share) <= gradient . d - curvature . d^2 / 2 with d = y - share, and weight . y <= energy is relaxed with a
    multiplier. Every multiplier >= 0 gives a bound; with no curvature the best is one of those tried (linear duality).
    """
    candidates = np.divide(gradient, weight, out=np.zeros_like(gradient), where=weight > 0.0).clip(min=0.0)
    bounds = []
    for multiplier in (0.0, *candidates):
        rest = gradient - multiplier * weight
        step = np.divide(rest, curvature, out=np.copysign(np.inf, rest), where=curvature > 0.0)
        step = step.clip(-share, 1.0 - share)
        bounds.append(
            multiplier * (energy - weight @ share) + float(np.sum(rest * step - 0.5 * curvature * step * step))
        )
    return min(bounds)


def dual_bound(problem: Recourse) -> float:
    """An upper bound of the recourse's value: min over mu >= 0 of the dual function, by scalar minimisation."""

    def dual(mu: float) -> float:
        slope = problem.cost + mu * problem.power
        hours = (problem.value / slope - 1.0 / problem.kq).clip(0.0, problem.cap)
        return mu * problem.energy + problem.profit(hours) - mu * float(problem.power @ hours)

    highest = float(np.max(problem.value * problem.kq / problem.power))  # from here on nothing is rented
    # In log(1 + mu): a nearly dead link and a live one put the multiplier decades apart.
    found = minimize_scalar(
        lambda x: dual(float(np.expm1(x))),
        bounds=(0.0, float(np.log1p(highest))),
        method="bounded",
        options={"xatol": 1e-12, "maxiter": 500},
    )
    return min(dual(0.0), dual(highest), float(found.fun))


def random_terms(rng: np.random.Generator, customers: int, models: int, slots: int) -> RentalTerms:
    """Rental terms around those of the market, many of them at an edge of what is allowed."""
    pair = (customers, models)
    value = rng.lognormal(0.0, 1.0, (customers, slots))
    rounded = rng.random(customers) < 0.3
    value[rounded] = np.round(value[rounded])  # ties and zeros
    quality, cost = rng.uniform(0.3, 1.0, pair), rng.uniform(0.0, 1.0, pair)
    power, cap = rng.uniform(4.0, 45.0, pair), rng.uniform(0.2, 1.0, pair) / slots
    faded_quality, faded_cost = quality * rng.uniform(0.1, 1.0, pair), cost + rng.uniform(0.0, 3.0, pair)
    faded_power, faded_cap = power * rng.uniform(1.0, 3.0, pair), cap * rng.uniform(0.0, 1.0, pair)
    dead = rng.random(pair) < 0.2  # as at the floor of 1 bit/s
    faded_cost[dead], faded_power[dead], faded_cap[dead] = 3.2e5, 8e4, 4e-7
    kind = rng.integers(0, 6, customers)  # 0: no energy, 1: little, 2 to 4: some, 5: plenty
    charge = np.where(kind == 0, 0.0, np.where(kind == 1, 0.05, np.where(kind == 5, 20.0, 1.0)))
    return RentalTerms(
        task_value=-np.sort(-value, axis=1),
        fade_budget=rng.integers(0, slots + 2, customers),  # slots + 1: more fades than slots
        saturation=rng.uniform(5.0, 40.0, customers),
        energy=charge * rng.uniform(0.0, 1.0, customers) * slots * (power * cap).mean(axis=1),
        setup_cost=rng.uniform(0.0, 0.3, pair) * rng.integers(0, 2, pair),
        quality=np.stack([quality, faded_quality], axis=-1),
        airtime_cost=np.stack([cost, faded_cost], axis=-1),
        power=np.stack([power, faded_power], axis=-1),
        max_hours=np.stack([cap, faded_cap], axis=-1),
    )


def random_prices(rng: np.random.Generator, models: int) -> FloatArray:
    """Prices in $/h from nearly free to prohibitive."""
    return 10.0 ** rng.uniform(-1.5, 2.0, models)
