"""What a seller anticipates of one period at given prices, customer by customer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from lmaas_agents.imp.imp import IMP
from numpy.typing import ArrayLike

from lmaas_env.checks import array_in
from lmaas_env.rsr import rent, solve
from lmaas_env.terms import RentalTerms
from lmaas_env.types import FloatArray, IntArray


class Forecast(NamedTuple):
    """One period at posted prices; money in $, expectations over the fades that IMP anticipates.

    Attributes
    ----------
    prices : (M,), $/h
    choice : (N,) int, selected model, -1 for none
    hours : (N,), expected rented hours
    customer_profit : (N,), expected, net of the setup cost; 0 without a model
    worst_case_profit : (N, M), what each model guarantees each customer, setup cost taken off
    sale : (N,), what the seller expects from each customer, serving and adaptation taken off
    profit : the seller's, pre-training taken off too: what IMP maximises
    """

    prices: FloatArray
    choice: IntArray
    hours: FloatArray
    customer_profit: FloatArray
    worst_case_profit: FloatArray
    sale: FloatArray
    profit: float

    @property
    def guaranteed_profit(self) -> FloatArray:
        """What each customer's selection guarantees it, (N,) $; 0 without a model."""
        chosen = np.take_along_axis(self.worst_case_profit, np.maximum(self.choice, 0)[:, None], axis=1)[:, 0]
        return np.where(self.choice < 0, 0.0, chosen)

    def per_model(self, values: ArrayLike) -> FloatArray:
        """Sum values (N,) of customers by the model that they selected, (M,)."""
        chosen = self.choice >= 0
        amounts = np.broadcast_to(np.asarray(values, dtype=np.float64), chosen.shape)
        return np.bincount(self.choice[chosen], amounts[chosen], minlength=len(self.prices)).astype(np.float64)


def forecast(imp: IMP, terms: RentalTerms, prices: ArrayLike) -> Forecast:
    """Return what the period brings at prices (M,), $/h.

    Parameters
    ----------
    imp : IMP
        Gives the costs, and the fades over which to expect.
    terms : RentalTerms
        Of the market's customers.

    Raises
    ------
    ValueError
        If the terms have other sizes than the market, or the prices are refused as in `lmaas_env.rsr.solve`.
    """
    imp.problem(terms)  # refuses terms of other sizes
    posted = array_in("prices", prices, (terms.setup_cost.shape[1],), unit="$/h")
    selection = solve(terms, posted)
    choice = selection.choice
    hours, customer_profit = np.zeros((2, terms.size))
    for pattern, weight in zip(imp.anticipation.patterns, imp.anticipation.weights, strict=True):
        rental = rent(terms, choice, posted, pattern)
        hours += weight * rental.hours.sum(axis=1)
        customer_profit += weight * rental.profit
    constants, chosen, rows = imp.constants, choice >= 0, np.arange(terms.size)
    margin = posted[choice] - constants.serving_cost[choice, rows]
    sale = np.where(chosen, margin * hours - constants.adaptation_cost[choice], 0.0)
    profit = float(sale.sum()) - constants.training_cost
    return Forecast(posted, choice, hours, customer_profit, selection.worst_case_profit, sale, profit)
