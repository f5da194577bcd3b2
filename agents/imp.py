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

Where few customers make a rugged profit, one start ends at prices that only a move of several at once would improve. So
IMP then scales the prices it found, iterates again, and keeps what is better, until none of its moves is.
"""

from __future__ import annotations

import itertools
import time

import numpy as np
from numpy.typing import ArrayLike

from agents.line_search import (
    EXACT,
    TOLERANCE,
    Anticipation,
    SellerConstants,
    anticipated_profit,
    iterate,
    personalised_bound,
)
from agents.seller import PricingSeller, SearchResult
from lmaas_env.kernels import worst_fades
from lmaas_env.market import Market, MarketState
from lmaas_env.spaces import assumed_state
from lmaas_env.terms import RentalTerms
from lmaas_env.types import FloatArray

MAX_SWEEPS = 100  # of one start
SCENARIOS = 16  # fade scenarios of the expectation
SCALES = (1.05, 0.95, 1.1, 0.9)  # of all prices, from where IMP starts again; compared in benchmarks/seller
FEW = 64  # customers up to which starting again pays: at 100 one start is within 0.1 % of many


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
    moves : (K, M), optional
        Factors, > 0. When no price moves alone any more, all prices are multiplied by a row and iterated from there,
        row after row until none has gained; no rows: one start. Default: all prices by `SCALES` up to 64 customers,
        no rows beyond. `pair_moves` are an alternative.

    Attributes
    ----------
    anticipation : fade patterns and their weights
    constants : the seller's constants, as kernels take them
    max_sweeps : of all prices in turn, in one start

    Raises
    ------
    ValueError
        If ``anticipate`` is neither, or a number is out of its range.
    """

    max_sweeps = MAX_SWEEPS
    _exact = EXACT

    def __init__(
        self,
        market: Market,
        anticipate: str | None = None,
        fade_probability: float | None = None,
        moves: ArrayLike | None = None,
    ) -> None:
        super().__init__(market)
        default = "worst_case" if market.scenario.settlement == "plan" else "expected"
        self.anticipate = default if anticipate is None else anticipate
        if self.anticipate not in ("expected", "worst_case"):
            raise ValueError(f"anticipate = {anticipate!r} must be 'expected' or 'worst_case'")
        probability = market.scenario.fade_probability if fade_probability is None else fade_probability
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"fade_probability = {probability} must be in [0, 1]")
        models = market.catalogue.size
        n, slots = market.population.task_value.shape
        if moves is None:
            self.moves = scale_moves(models) if n <= FEW else np.ones((0, models))
        else:
            self.moves = np.array(moves, dtype=np.float64).reshape(-1, models)
        if not ((self.moves > 0.0) & (self.moves < np.inf)).all():
            raise ValueError(f"moves must be finite factors > 0, got {moves}")
        if self.anticipate == "expected":
            self.anticipation = common_scenarios(n, slots, probability)
        else:
            patterns = np.array([[worst_fades(budget, slots) for budget in market.population.fade_budget]])
            self.anticipation = Anticipation(patterns, np.ones((1, n)))
        scenario, catalogue = market.scenario, market.catalogue
        self._order = np.argsort(catalogue.serving_cost, kind="stable")  # so that the models' order does not matter
        self.constants = SellerConstants(
            np.tile(catalogue.serving_cost, (n, 1)),
            catalogue.adaptation_cost,
            float(catalogue.training_cost.sum()),
            scenario.price_floor,
            scenario.price_cap,
        )

    def prices(self, state: MarketState) -> FloatArray:
        """Return the prices for one market's state, (M,) $/h."""
        return self._search(*self._period(state)).prices

    def solve(self, state: MarketState, start: FloatArray | None = None) -> SearchResult:
        """Search the prices of one period, and bound what any prices could earn.

        Starts from the price cap. From a ``start`` (M,), $/h, prices are iterated until none moves alone, no further.
        """
        terms, constants = self._period(state)
        result = self._search(terms, constants, start)
        return result._replace(bound=float(personalised_bound(terms.arrays, self.anticipation, constants)))

    def solve_terms(self, terms: RentalTerms, start: FloatArray | None = None) -> SearchResult:
        """As `solve`, for rental terms of the market's customers, without the bound."""
        return self._search(terms, self.constants, start)

    def profit(self, terms: RentalTerms, prices: FloatArray) -> float:
        """Return the anticipated profit of one period at given prices, $: what IMP maximises."""
        return float(anticipated_profit(terms.arrays, self.anticipation, self.constants, np.array(prices, float)))

    def bound(self, terms: RentalTerms) -> float:
        """Return the personalised-price bound, $: what one price per customer and model would earn, an upper bound."""
        return float(personalised_bound(terms.arrays, self.anticipation, self.constants))

    def _period(self, state: MarketState) -> tuple[RentalTerms, SellerConstants]:
        """Return the terms of a period and the constants that the seller counts with."""
        return self.market.terms(state), self.constants

    def _search(self, terms: RentalTerms, constants: SellerConstants, start: FloatArray | None = None) -> SearchResult:
        began = time.perf_counter()

        def settle(first: FloatArray) -> tuple[FloatArray, FloatArray, int]:
            settings = self._order, self.max_sweeps, self._exact
            return iterate(terms.arrays, self.anticipation, constants, first, *settings)

        first = np.full(self.market.catalogue.size, constants.price_cap) if start is None else np.array(start, float)
        prices, reached, evaluations = settle(first)
        # The kernel has no clock: its sweeps are taken to last equally long.
        times = list(np.linspace(0.0, time.perf_counter() - began, len(reached)))
        history, sweeps = list(reached), [len(reached) - 1]
        moves = self.moves if start is None else self.moves[:0]
        move, failed = 0, 0
        while failed < len(moves):
            moved = (prices * moves[move]).clip(constants.price_floor, constants.price_cap)
            other, reached, looked = settle(moved)
            evaluations += looked
            sweeps.append(len(reached) - 1)
            move, failed = (move + 1) % len(moves), failed + 1
            if reached[-1] > history[-1] + TOLERANCE * max(1.0, abs(history[-1])):
                prices, failed = other, 0
                history.append(reached[-1])
                times.append(time.perf_counter() - began)
        return SearchResult(
            prices=prices,
            profit=float(history[-1]),
            bound=np.inf,
            status="converged" if max(sweeps) < self.max_sweeps else "sweep limit",
            evaluations=int(evaluations),
            seconds=time.perf_counter() - began,
            history=np.array(history),
            times=np.array(times),
            sweeps=sum(sweeps),
        )


class PublicIMP(IMP):
    """IMP that sees only the clock and assumes the rest of the state (`lmaas_env.spaces.assumed_state`)."""

    def __init__(self, market: Market, anticipate: str | None = None) -> None:
        super().__init__(market, anticipate)
        self._by_hour: dict[int, FloatArray] = {}

    def prices(self, state: MarketState) -> FloatArray:
        """Return the prices for the hour of the state, (M,) $/h."""
        hour = int(state.hour)
        if hour not in self._by_hour:
            self._by_hour[hour] = super().prices(assumed_state(self.market, hour))
        return self._by_hour[hour].copy()


def scale_moves(models: int) -> FloatArray:
    """Return the default moves of `IMP`: all prices by one factor, (4, M)."""
    return np.array([[scale] * models for scale in SCALES])


def pair_moves(models: int) -> FloatArray:
    """Return moves of two prices at once by one factor, (M (M - 1), M): slower than the default, seldom better."""
    rows = [np.ones(models) for _ in range(models * (models - 1))]
    pairs = itertools.product(itertools.combinations(range(models), 2), (1.1, 0.9))
    for row, (pair, scale) in zip(rows, pairs, strict=True):
        row[list(pair)] = scale
    return np.array(rows).reshape(-1, models)


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
