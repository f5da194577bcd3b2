"""The customers that RSR is compared with, all with one interface: select before the fades are known, rent after.

A strategy holds constants only. `Strategy.select` answers what each customer commits to and what that guarantees;
`Strategy.rent` answers what it does once it knows which slots faded (market.md, section 4).
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lmaas_env.customers import static_robust
from lmaas_env.engine import recourse as kernels
from lmaas_env.engine import recourse_simd as waterfilling
from lmaas_env.engine.recourse import SELECTION_THRESHOLD, TermArrays
from lmaas_env.scenario import close_match
from lmaas_env.types import BoolArray, FloatArray, IntArray

PATTERNS = 64  # fade patterns that the stochastic customer averages over


class Selection(NamedTuple):
    """What customers commit to before the fades are known.

    Attributes
    ----------
    choice : (N,) int, the selected model, -1 for none
    worst_case_profit : (N,), $, the least that the commitment can bring over all fade patterns of the budget, exactly
    planned_hours : (N, L), hours booked, or planned for the worst case by those that rent with recourse
    """

    choice: IntArray
    worst_case_profit: FloatArray
    planned_hours: FloatArray


class Outcome(NamedTuple):
    """What customers do once the fades are known.

    Attributes
    ----------
    choice : (N,) int, the model that is rented
    hours : (N, L), hours that are paid
    profit : (N,), $, net of the setup cost
    energy : (N,), Wh
    """

    choice: IntArray
    hours: FloatArray
    profit: FloatArray
    energy: FloatArray


@dataclasses.dataclass(frozen=True)
class Strategy(ABC):
    """How customers select and rent; rows of ``prices`` (K, M) price N / K consecutive customers each."""

    @abstractmethod
    def select(self, terms: TermArrays, prices: FloatArray, taste: FloatArray) -> Selection:
        """Select models; ``taste`` (N,) in [0, 1) is what customers that choose at random go by."""

    def rent(self, terms: TermArrays, prices: FloatArray, selection: Selection, faded: BoolArray) -> Outcome:
        """Rent when the fades (N, L) are known: RSR's recourse, unless a strategy says otherwise."""
        return Outcome(selection.choice, *waterfilling.rent_rows(terms, selection.choice, prices, faded))


class RSR(Strategy):
    """Select by the worst case, rent with recourse."""

    def select(self, terms: TermArrays, prices: FloatArray, taste: FloatArray) -> Selection:
        """Select the model of largest worst-case profit."""
        choice, worst_case_profit, planned_hours = waterfilling.solve_rows(terms, prices)
        return Selection(choice, _chosen(worst_case_profit, choice), _chosen(planned_hours, choice))


class NominalRecourse(Strategy):
    """Select as if no slot faded, rent with recourse."""

    def select(self, terms: TermArrays, prices: FloatArray, taste: FloatArray) -> Selection:
        """Select the model of largest profit without fades."""
        return _with_recourse(terms, prices, _nominal(terms, prices)[0])


class Nominal(Strategy):
    """Plan model and hours as if no slot faded, and keep the plan."""

    def select(self, terms: TermArrays, prices: FloatArray, taste: FloatArray) -> Selection:
        """Select the model of largest profit without fades and book its hours."""
        choice, planned_hours = _nominal(terms, prices)
        booked = _chosen(planned_hours, choice)
        return Selection(choice, kernels.worst_of_plan_rows(terms, choice, prices, booked), booked)

    def rent(self, terms: TermArrays, prices: FloatArray, selection: Selection, faded: BoolArray) -> Outcome:
        """Pay the booked hours, use what fades and battery leave of them."""
        return keep_plan(terms, prices, selection, faded)


class StaticRobust(Strategy):
    """Fix model and hours in advance so that the worst case is best, and keep the plan."""

    def select(self, terms: TermArrays, prices: FloatArray, taste: FloatArray) -> Selection:
        """Select the model whose best plan promises most, and book that plan."""
        plans = static_robust.plan_rows(terms, prices)
        choice = _best(plans.worst)
        return Selection(choice, _chosen(plans.worst, choice), _chosen(plans.plan, choice))

    def rent(self, terms: TermArrays, prices: FloatArray, selection: Selection, faded: BoolArray) -> Outcome:
        """Pay the booked hours, use what fades and battery leave of them."""
        return keep_plan(terms, prices, selection, faded)


@dataclasses.dataclass(frozen=True)
class Stochastic(Strategy):
    """Select by mean profit over drawn fade patterns, rent with recourse.

    Parameters
    ----------
    fade_probability : float
        Of each slot, independently.
    """

    fade_probability: float

    def select(self, terms: TermArrays, prices: FloatArray, taste: FloatArray) -> Selection:
        """Select the model of largest mean profit; all customers go by the same patterns."""
        rows, slots = terms.task_value.shape
        drawn = np.random.default_rng(0).random((PATTERNS, 1, slots)) < self.fade_probability
        patterns = np.repeat(drawn, rows, axis=1)
        return _with_recourse(terms, prices, _best(kernels.mean_profit_rows(terms, prices, patterns)))


class GreedyQuality(Strategy):
    """Select the model of best nominal quality, whatever it costs; rent with recourse."""

    def select(self, terms: TermArrays, prices: FloatArray, taste: FloatArray) -> Selection:
        """Select by quality."""
        return _with_recourse(terms, prices, terms.quality[:, :, 0].argmax(axis=1))


class Cheapest(Strategy):
    """Select the model of lowest price, whatever it brings; rent with recourse."""

    def select(self, terms: TermArrays, prices: FloatArray, taste: FloatArray) -> Selection:
        """Select by price."""
        return _with_recourse(terms, prices, np.repeat(prices.argmin(axis=1), len(terms.energy) // len(prices)))


class Random(Strategy):
    """Select any model, each as likely; rent with recourse."""

    def select(self, terms: TermArrays, prices: FloatArray, taste: FloatArray) -> Selection:
        """Select by taste."""
        return _with_recourse(terms, prices, (taste * prices.shape[1]).astype(np.int64))


class PerfectForesight(Strategy):
    """Know the fades before selecting: an upper reference, with exactly RSR's worst case (Corollary v)."""

    def select(self, terms: TermArrays, prices: FloatArray, taste: FloatArray) -> Selection:
        """Guarantee what RSR guarantees; the choice may still change."""
        return RSR().select(terms, prices, taste)

    def rent(self, terms: TermArrays, prices: FloatArray, selection: Selection, faded: BoolArray) -> Outcome:
        """Select the best model for the fades that come, and rent it."""
        choice = _best(kernels.mean_profit_rows(terms, prices, faded[None]))
        return Outcome(choice, *waterfilling.rent_rows(terms, choice, prices, faded))


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


def keep_plan(terms: TermArrays, prices: FloatArray, selection: Selection, faded: BoolArray) -> Outcome:
    """Pay the planned hours and use min(planned, useful) of them, in slot order until the battery is empty."""
    profit, energy = kernels.serve_rows(terms, selection.choice, prices, selection.planned_hours, faded)
    return Outcome(selection.choice, selection.planned_hours, profit, energy)


def _nominal(terms: TermArrays, prices: FloatArray) -> tuple[IntArray, FloatArray]:
    """Choice (N,) and planned hours (N, M, L) of customers that expect no fade."""
    choice, _, planned_hours = waterfilling.solve_rows(terms._replace(fade_budget=0 * terms.fade_budget), prices)
    return choice, planned_hours


def _with_recourse(terms: TermArrays, prices: FloatArray, choice: IntArray) -> Selection:
    """Complete a choice whose hours are rented with recourse: its worst case is that of RSR for the same model."""
    _, worst_case_profit, planned_hours = waterfilling.solve_rows(terms, prices)
    return Selection(choice, _chosen(worst_case_profit, choice), _chosen(planned_hours, choice))


def _best(profit: FloatArray) -> IntArray:
    """Return the model of largest profit (N, M), the first of equals, -1 where none is positive."""
    return np.where(profit.max(axis=1) > SELECTION_THRESHOLD, profit.argmax(axis=1), -1)


def _chosen(values: FloatArray, choice: IntArray) -> FloatArray:
    """Return each customer's entry of its choice, (N, M, ...) to (N, ...), 0 for none."""
    picked = values[np.arange(len(choice)), choice]
    picked[choice < 0] = 0.0
    return picked
