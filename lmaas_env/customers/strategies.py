"""The customers that RSR is compared with, all with one interface: select before the fades are known, rent after.

A strategy holds constants only. `Strategy.select` returns what each customer commits to and what that guarantees;
`Strategy.rent` returns what it does once it knows which slots faded (docs/market.md).
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lmaas_env.customers import static_robust
from lmaas_env.engine import rsr
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.recourse import fade_patterns, serve
from lmaas_env.engine.recourse_simd import solve_recourse
from lmaas_env.engine.terms import Terms
from lmaas_env.fields import close_match
from lmaas_env.types import BoolArray, FloatArray, IntArray

PATTERNS = 64  # fade patterns that the stochastic customer averages over


class Selection(NamedTuple):
    """What R customers commit to before the fades are known.

    Attributes
    ----------
    choice : (R,) int, the selected model, -1 for none
    worst_case_profit : (R,), $, the least that the commitment can bring over all fade patterns of the budget, exactly
    planned_hours : (L, R), hours booked, or planned for the worst case by those that rent with recourse
    """

    choice: IntArray
    worst_case_profit: FloatArray
    planned_hours: FloatArray


class Rented(NamedTuple):
    """What R customers do once the fades are known.

    Attributes
    ----------
    choice : (R,) int, the model that is rented
    hours : (L, R), hours that are paid
    profit : (R,), $, net of the setup cost
    energy : (R,), Wh
    """

    choice: IntArray
    hours: FloatArray
    profit: FloatArray
    energy: FloatArray


@dataclasses.dataclass(frozen=True)
class Strategy(ABC):
    """How R customers select and rent, at prices (M, R) that each of them sees."""

    @abstractmethod
    def select(self, terms: Terms, price: FloatArray, choice_uniform: FloatArray) -> Selection:
        """Select models; ``choice_uniform`` (R,) in [0, 1) is for customers that choose at random."""

    def rent(self, terms: Terms, price: FloatArray, selection: Selection, faded: BoolArray) -> Rented:
        """Rent when the fades (L, R) are known: RSR's recourse, unless a strategy says otherwise."""
        return Rented(selection.choice, *rsr.rent(terms, selection.choice, price, faded))


class RSR(Strategy):
    """Select by the worst case, rent with recourse."""

    def select(self, terms: Terms, price: FloatArray, choice_uniform: FloatArray) -> Selection:
        """Select the model of largest worst-case profit."""
        worst, planned = _plans(terms, price)
        return _selection(_best(terms, worst), worst, planned)


class NominalRecourse(Strategy):
    """Select as if no slot faded, rent with recourse."""

    def select(self, terms: Terms, price: FloatArray, choice_uniform: FloatArray) -> Selection:
        """Select the model of largest profit without fades."""
        return _with_recourse(terms, price, _best(terms, _nominal(terms, price)[0]))


class Nominal(Strategy):
    """Plan model and hours as if no slot faded, and keep the plan."""

    def select(self, terms: Terms, price: FloatArray, choice_uniform: FloatArray) -> Selection:
        """Select the model of largest profit without fades and book its hours."""
        profit, planned = _nominal(terms, price)
        choice = _best(terms, profit)
        booked = _chosen_hours(planned, choice)
        return Selection(choice, _worst_of_plans(terms, choice, price, booked), booked)

    def rent(self, terms: Terms, price: FloatArray, selection: Selection, faded: BoolArray) -> Rented:
        """Pay the booked hours, use what fades and battery leave of them."""
        return keep_plan(terms, price, selection, faded)


class StaticRobust(Strategy):
    """Fix model and hours in advance so that the worst case is best, and keep the plan."""

    def select(self, terms: Terms, price: FloatArray, choice_uniform: FloatArray) -> Selection:
        """Select the model whose best plan promises most, and book that plan."""
        plans = static_robust.robust_plans(terms, price)
        return _selection(_best(terms, plans.worst), plans.worst, plans.hours)

    def rent(self, terms: Terms, price: FloatArray, selection: Selection, faded: BoolArray) -> Rented:
        """Pay the booked hours, use what fades and battery leave of them."""
        return keep_plan(terms, price, selection, faded)


@dataclasses.dataclass(frozen=True)
class Stochastic(Strategy):
    """Select by mean profit over drawn fade patterns, rent with recourse.

    Parameters
    ----------
    fade_probability : float
        Of each slot, independently.
    """

    fade_probability: float

    def select(self, terms: Terms, price: FloatArray, choice_uniform: FloatArray) -> Selection:
        """Select the model of largest mean profit; all customers average over the same patterns."""
        slots = len(terms.task_value)
        drawn = np.random.default_rng(0).random((PATTERNS, slots)) < self.fade_probability
        patterns = (np.repeat(pattern[:, None], price.shape[1], axis=1) for pattern in drawn)
        mean: FloatArray = np.mean([_profit_under(terms, price, pattern) for pattern in patterns], axis=0)
        return _with_recourse(terms, price, _best(terms, mean))


class GreedyQuality(Strategy):
    """Select the model of best nominal quality, whatever it costs; rent with recourse."""

    def select(self, terms: Terms, price: FloatArray, choice_uniform: FloatArray) -> Selection:
        """Select by quality."""
        return _with_recourse(terms, price, terms.quality[0].argmax(axis=0))


class Cheapest(Strategy):
    """Select the model of lowest price, whatever it brings; rent with recourse."""

    def select(self, terms: Terms, price: FloatArray, choice_uniform: FloatArray) -> Selection:
        """Select by price."""
        return _with_recourse(terms, price, price.argmin(axis=0))


class Random(Strategy):
    """Select any model, each as likely; rent with recourse."""

    def select(self, terms: Terms, price: FloatArray, choice_uniform: FloatArray) -> Selection:
        """Select by the uniform draw."""
        return _with_recourse(terms, price, (choice_uniform * len(price)).astype(np.int64))


class PerfectForesight(Strategy):
    """Know the fades before selecting: an upper reference, with exactly RSR's worst case (docs/theorem-1.md)."""

    def select(self, terms: Terms, price: FloatArray, choice_uniform: FloatArray) -> Selection:
        """Guarantee what RSR guarantees; the choice may still change."""
        return RSR().select(terms, price, choice_uniform)

    def rent(self, terms: Terms, price: FloatArray, selection: Selection, faded: BoolArray) -> Rented:
        """Select the best model for the fades that come, and rent it."""
        choice = _best(terms, _profit_under(terms, price, faded))
        return Rented(choice, *rsr.rent(terms, choice, price, faded))


STRATEGIES: dict[str, Callable[[float], Strategy]] = {
    "rsr": lambda fade_probability: RSR(),
    "nominal": lambda fade_probability: Nominal(),
    "nominal-recourse": lambda fade_probability: NominalRecourse(),
    "static-robust": lambda fade_probability: StaticRobust(),
    "stochastic": Stochastic,
    "greedy-quality": lambda fade_probability: GreedyQuality(),
    "cheapest": lambda fade_probability: Cheapest(),
    "random": lambda fade_probability: Random(),
    "perfect-foresight": lambda fade_probability: PerfectForesight(),
}


def strategy(name: str, fade_probability: float) -> Strategy:
    """Return the customers' strategy of a name; the probability of a fade goes to those that need it."""
    if name not in STRATEGIES:
        raise ValueError(
            f"customers = {name!r} are unknown{close_match(name, STRATEGIES)}; strategies: {', '.join(STRATEGIES)}"
        )
    return STRATEGIES[name](fade_probability)


def keep_plan(terms: Terms, price: FloatArray, selection: Selection, faded: BoolArray) -> Rented:
    """Pay the planned hours and use min(planned, useful) of them, in slot order until the battery is empty."""
    profit, energy = _serve_plans(terms, selection.choice, price, selection.planned_hours, faded)
    return Rented(selection.choice, selection.planned_hours, profit, energy)


def _best(terms: Terms, profit: FloatArray) -> IntArray:
    """Return the model (R,) of largest profit (M, R), -1 if none promises any."""
    return rsr.select(profit, rsr.selection_threshold(terms))


def _plans(terms: Terms, price: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Worst-case profit (M, R) and the hours planned for the worst case (L, M, R)."""
    hours = np.empty((len(terms.task_value), *price.shape))
    return rsr.worst_case(terms, np.arange(len(price)), price, hours), hours


def _nominal(terms: Terms, price: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Profit (M, R) and planned hours (L, M, R) of customers that expect no fade."""
    return _plans(terms._replace(fade_budget=0 * terms.fade_budget), price)


def _profit_under(terms: Terms, price: FloatArray, faded: BoolArray) -> FloatArray:
    """Profit (M, R) of renting each model with recourse under one fade pattern per customer (L, R)."""
    return solve_recourse(terms, np.arange(len(price)), price, faded, np.empty((0, *price.shape)))[0]


def _with_recourse(terms: Terms, price: FloatArray, choice: IntArray) -> Selection:
    """Complete a choice whose hours are rented with recourse: its worst case is that of RSR for the same model."""
    return _selection(choice, *_plans(terms, price))


def _selection(choice: IntArray, worst_case_profit: FloatArray, hours: FloatArray) -> Selection:
    """Return a choice with its entries of worst-case profits (M, R) and hours (L, M, R)."""
    return Selection(choice, rsr.chosen(worst_case_profit, choice), _chosen_hours(hours, choice))


def _chosen_hours(hours: FloatArray, choice: IntArray) -> FloatArray:
    """Return each customer's hours (L, R) of its choice in hours (L, M, R), 0 for none."""
    return np.where(choice < 0, 0.0, hours[:, choice, np.arange(len(choice))])


@kernel
def _serve_plans(
    terms: Terms, choice: IntArray, price: FloatArray, booked: FloatArray, faded: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Profit (R,) and energy (R,) of booked hours (L, R) once the fades (L, R) are known."""
    profit, energy = np.zeros(choice.shape[0]), np.zeros(choice.shape[0])
    for n in range(choice.shape[0]):
        m = choice[n]
        if m >= 0:
            profit[n], energy[n] = serve(terms, n, m, price[m, n], booked[:, n].copy(), faded[:, n].copy())
    return profit, energy


@kernel
def _worst_of_plans(terms: Terms, choice: IntArray, price: FloatArray, booked: FloatArray) -> FloatArray:
    """Least profit (R,) of booked hours (L, R) over the fade patterns that the budget allows."""
    worst = np.zeros(choice.shape[0])
    for n in range(choice.shape[0]):
        m = choice[n]
        if m >= 0:
            worst[n] = np.inf
            patterns = fade_patterns(terms.fade_budget[n], booked.shape[0])
            plan = booked[:, n].copy()
            for p in range(patterns.shape[0]):
                worst[n] = min(worst[n], serve(terms, n, m, price[m, n], plan, patterns[p])[0])
    return worst
