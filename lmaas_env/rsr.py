"""RSR, the customer's two-stage robust selection and rental.

A customer selects a model before it knows which slots will fade, and rents hours when it knows (docs/market.md):

    W(beta) = min_z max_tau sum_l [ V_l log(1 + kappa q(z_l) tau_l) - (beta + c(z_l)) tau_l ] - f

over the fade patterns z in {0, 1}^L with sum z <= Gamma (the cardinality budget of Bertsimas and Sim, 2004) and the
hours 0 <= tau_l <= cap(z_l) with sum_l g(z_l) tau_l <= E.

**Theorem 1.** The worst z puts min(Gamma, L) fades on the slots of largest V, whatever the model, the price, the energy
and its multiplier mu.

*Proof.* The inner problem is concave with affine constraints, so its value is
min_{mu >= 0} [ mu E + sum_l phi(V_l, mu, z_l) ] with
phi(V, mu, s) = max_{0 <= tau <= cap_s} V log(1 + kappa q_s tau) - p_s tau and p_s = beta + c_s + mu g_s.
Let Delta(V) = phi(V, mu, 0) - phi(V, mu, 1) >= 0. By the envelope theorem dDelta/dV = log(1 + u_0) - log(1 + u_1),
where u_s = clip(kappa q_s V / p_s - 1, 0, kappa q_s cap_s). A fade lowers q_s and cap_s and raises p_s, so u_0 >= u_1
and Delta does not decrease in V, for every mu. Fading the most valuable slots therefore minimises the bracket for every
mu at once, hence also its minimum over mu. QED.

So RSR is exact with one recourse per model: no enumeration and no solver.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lmaas_env.engine import rsr
from lmaas_env.terms import RentalTerms, checked_prices
from lmaas_env.types import BoolArray, FloatArray, IntArray


class RSRResult(NamedTuple):
    """What each customer selects and plans.

    Attributes
    ----------
    choice : (N,) int, the selected model, -1 for none
    worst_case_profit : (N, M), $, setup cost taken off
    planned_hours : (N, M, L), the rental of the worst fade pattern, h
    """

    choice: IntArray
    worst_case_profit: FloatArray
    planned_hours: FloatArray


class Rental(NamedTuple):
    """What each customer rents once the fades are known.

    Attributes
    ----------
    hours : (N, L), h
    profit : (N,), $, net of the setup cost; 0 for customers that selected none
    energy : (N,), Wh
    """

    hours: FloatArray
    profit: FloatArray
    energy: FloatArray


def solve(terms: RentalTerms, prices: ArrayLike) -> RSRResult:
    """Select a model for every customer, robustly.

    Parameters
    ----------
    terms : RentalTerms
        The period's terms of N customers and M models.
    prices : (M,) or (K, M) array_like
        $ per rented hour. K rows price K markets of N / K consecutive customers each.

    Raises
    ------
    ValueError
        If prices have another shape, are not finite, or a price plus its airtime cost is not positive.
    """
    price = checked_prices(terms.arrays, prices)
    hours = np.empty((terms.task_value.shape[1], *price.shape))
    worst = rsr.worst_case(terms.arrays, np.arange(len(price)), price, hours)
    choice = rsr.select(worst, rsr.selection_threshold(terms.arrays))
    return RSRResult(choice, worst.T, hours.T)


def rent(terms: RentalTerms, choice: ArrayLike, prices: ArrayLike, faded: ArrayLike) -> Rental:
    """Rent the hours of the selected models when the fades are known (the recourse).

    Parameters
    ----------
    terms, prices
        As in `solve`.
    choice : (N,) array_like of int
        The selected model of each customer, -1 for none.
    faded : (N, L) array_like of bool
        Which slots are in deep fade.

    Raises
    ------
    ValueError
        If shapes disagree, a choice is not a model, or prices are refused as in `solve`.
    """
    price = checked_prices(terms.arrays, prices)
    selected, pattern = _checked_choice(terms, choice), _checked_fades(terms, faded)
    hours, profit, energy = rsr.rent(terms.arrays, selected, price, np.ascontiguousarray(pattern.T))
    return Rental(hours.T, profit, energy)


def _checked_choice(terms: RentalTerms, choice: ArrayLike) -> IntArray:
    """Return the choice as an integer array, or say what is wrong with it."""
    chosen = np.ascontiguousarray(choice)
    models = terms.setup_cost.shape[1]
    if chosen.shape != (terms.size,) or chosen.dtype.kind not in "iu":
        raise ValueError(
            f"choice has shape {chosen.shape} and dtype {chosen.dtype}, it must be ({terms.size},) integers"
        )
    wrong = (chosen < -1) | (chosen >= models)
    if wrong.any():
        n = int(np.argmax(wrong))
        raise ValueError(f"choice[{n}] = {chosen[n]} must be -1 (none) or a model 0..{models - 1}")
    return chosen.astype(np.int64, copy=False)


def _checked_fades(terms: RentalTerms, faded: ArrayLike) -> BoolArray:
    """Return the fades as a boolean array, or say what is wrong with them."""
    pattern = np.ascontiguousarray(faded)
    if pattern.shape != terms.task_value.shape or pattern.dtype != np.bool_:
        raise ValueError(
            f"faded has shape {pattern.shape} and dtype {pattern.dtype}, it must be {terms.task_value.shape} booleans"
        )
    return pattern
