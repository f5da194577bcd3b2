"""IMP, the seller's reference algorithm: iterate prices by reasoning through the customers' choices.

One price moves at a time. With the other prices fixed, customer n selects model m exactly while its price is below
the threshold theta_n at which W_nm (convex and decreasing in the price) falls to the best other offer. Between sorted
thresholds the set of buyers is fixed and the profit is continuous and piecewise smooth; at a threshold it jumps: down
where the seller loses a sale, up where the customer's next choice earns it more. The line search is a branch and bound
over blocks of prices: it looks at the left and the right of thresholds and inside intervals, wherever its bound does
not exclude that (see `agents.line_search`).

**Theorem 2.** A price moves only for a gain, and profit is bounded, so IMP stops after finitely many moves, at prices
that no single price improves by more than the tolerance (plus what the margin beside a threshold costs). Proof:
docs/theorem-2.md.
"""

from __future__ import annotations

import time

import numpy as np

from agents.line_search import MAX_SWEEPS, Anticipation, SellerConstants, anticipated_profit, iterate
from agents.seller import PricingSeller, SearchResult
from lmaas_env.kernels import worst_fades
from lmaas_env.market import Market, MarketState
from lmaas_env.spaces import assumed_state
from lmaas_env.terms import RentalTerms
from lmaas_env.types import FloatArray

SCENARIOS = 16  # fade scenarios of the expectation


class IMP(PricingSeller):
    """Price every hour as if it were the last, exactly.

    Parameters
    ----------
    market : Market
    anticipate : {"expected", "worst_case"}, optional
        Whether hours are anticipated in expectation over 16 common fade scenarios or as the customers plan them for the
        worst case. Default: "worst_case" where the plan is what is rented (``static``), else "expected".
    fade_probability : float, optional
        Of each slot in the scenarios; default the scenario's.

    Attributes
    ----------
    anticipation : fade patterns and their weights
    constants : the seller's constants, as kernels take them

    Raises
    ------
    ValueError
        If ``anticipate`` is neither.
    """

    def __init__(self, market: Market, anticipate: str | None = None, fade_probability: float | None = None) -> None:
        super().__init__(market)
        default = "worst_case" if market.scenario.settlement == "plan" else "expected"
        self.anticipate = default if anticipate is None else anticipate
        if self.anticipate not in ("expected", "worst_case"):
            raise ValueError(f"anticipate = {anticipate!r} must be 'expected' or 'worst_case'")
        probability = market.scenario.fade_probability if fade_probability is None else fade_probability
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"fade_probability = {probability} must be in [0, 1]")
        n, slots = market.population.task_value.shape
        if self.anticipate == "expected":
            self.anticipation = common_scenarios(n, slots, probability)
        else:
            patterns = np.array([[worst_fades(budget, slots) for budget in market.population.fade_budget]])
            self.anticipation = Anticipation(patterns, np.ones((1, n)))
        scenario, catalogue = market.scenario, market.catalogue
        self.constants = SellerConstants(
            np.tile(catalogue.serving_cost, (n, 1)),
            catalogue.adaptation_cost,
            float(catalogue.training_cost.sum()),
            scenario.price_floor,
            scenario.price_cap,
        )

    def prices(self, state: MarketState) -> FloatArray:
        """Return the prices for one market's state, (M,) $/h."""
        return self.solve(state).prices

    def solve(self, state: MarketState, start: FloatArray | None = None) -> SearchResult:
        """Iterate the prices of one period from the price cap (or from ``start``) until none moves."""
        return self.solve_terms(self.market.terms(state), start)

    def solve_terms(self, terms: RentalTerms, start: FloatArray | None = None) -> SearchResult:
        """As `solve`, for rental terms of the market's customers."""
        return self._search(terms, self.constants, start)

    def _search(self, terms: RentalTerms, constants: SellerConstants, start: FloatArray | None = None) -> SearchResult:
        began = time.perf_counter()
        first = (
            np.full(self.market.catalogue.size, self.constants.price_cap) if start is None else np.array(start, float)
        )
        prices, history, evaluations = iterate(terms.arrays, self.anticipation, constants, first)
        return SearchResult(
            prices=prices,
            profit=float(history[-1]),
            bound=np.inf,
            status="converged" if len(history) <= MAX_SWEEPS else "sweep limit",
            evaluations=int(evaluations),
            seconds=time.perf_counter() - began,
            history=history,
        )

    def profit(self, terms: RentalTerms, prices: FloatArray) -> float:
        """Return the anticipated profit of one period at given prices, $: what IMP maximises."""
        return float(anticipated_profit(terms.arrays, self.anticipation, self.constants, np.array(prices, float)))


class PublicIMP(IMP):
    """IMP that sees only the clock and assumes the rest of the state (`lmaas_env.spaces.assumed_state`)."""

    def __init__(self, market: Market, anticipate: str | None = None) -> None:
        super().__init__(market, anticipate)
        self._by_hour: dict[int, FloatArray] = {}

    def prices(self, state: MarketState) -> FloatArray:
        """Return the prices for the hour of the state, (M,) $/h."""
        hour = int(state.hour)
        if hour not in self._by_hour:
            self._by_hour[hour] = self.solve(assumed_state(self.market, hour)).prices
        return self._by_hour[hour].copy()


def common_scenarios(customers: int, slots: int, fade_probability: float, count: int = SCENARIOS) -> Anticipation:
    """Return fade scenarios that are the same for every price, market and day; equal patterns are merged."""
    rng = np.random.default_rng(0)
    drawn = rng.random((count, customers, slots)) < fade_probability
    weights = np.full((count, customers), 1.0 / count)
    for n in range(customers):
        _, first, inverse = np.unique(drawn[:, n], axis=0, return_index=True, return_inverse=True)
        weights[:, n] = 0.0
        np.add.at(weights[:, n], first[inverse.reshape(-1)], 1.0 / count)
    return Anticipation(drawn, weights)
