"""IMP, iterative model pricing: the seller's reference algorithm, which reasons through the customers' choices.

One price moves at a time. With the other prices fixed, customer n selects model m exactly while its price is below
the threshold theta_n at which W_nm (convex and decreasing in the price) falls to the best other offer. Between sorted
thresholds the set of buyers is fixed and the profit is continuous and piecewise smooth; at a threshold it jumps: down
where the seller loses a sale, up where the customer's next choice earns it more. The line search is a branch and bound
over blocks of prices: it evaluates the left and the right of thresholds and the inside of intervals, wherever its bound
does not exclude that (`line_search`).

**Theorem 2.** A price moves only for a gain, and profit is bounded, so IMP stops after finitely many moves, at prices
that no single price improves by more than the tolerance (plus what the margin beside a threshold costs). Proof:
docs/theorem-2.md.

At such prices, models without customers may together hold down the price of one that has some, where raising either
alone changes nothing. So IMP then withdraws them all, at the cap, and goes on if that lets a price gain
(`coordinate_ascent`).

Where few customers make a rugged profit, one start still ends at prices that only a move of several at once would
improve. So IMP starts again where local searches over a table of sales end highest, and keeps the best (`multistart`).
"""

from __future__ import annotations

import time

import numpy as np
from lmaas_agents.imp.coordinate_ascent import anticipated_profit, ascend
from lmaas_agents.imp.line_search import EXACT, personalised_hour_bound
from lmaas_agents.imp.multistart import starting_prices
from lmaas_agents.imp.problem import NO_OFFERS, Anticipation, Problem, SellerConstants
from lmaas_agents.seller import PricingSeller, SearchResult
from numpy.typing import ArrayLike

from lmaas_env.checks import array_in, check_seller
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.reply import promised_by_others
from lmaas_env.engine.terms import slice_offers
from lmaas_env.fades import SCENARIOS, drawn_fades, worst_fades_of
from lmaas_env.market import Market, unstack
from lmaas_env.spaces import (
    Float32Array,
    action_from_prices,
    assumed_state,
    posted_from_observation,
    state_from_observation,
)
from lmaas_env.state import State
from lmaas_env.terms import RentalTerms, check_payable
from lmaas_env.types import BoolArray, FloatArray, IntArray

MAX_SWEEPS = 100  # of one start
RESTARTS = 2  # compared in benchmarks/seller
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
    restarts : int, optional
        How often IMP starts again, >= 0. Default: 2 up to 64 customers, 0 beyond.
    seller : int
        Which of the market's sellers it is; with rivals it replies to their last prices (`reply`).

    Attributes
    ----------
    anticipation : fade patterns and their weights
    constants : the seller's constants, as kernels take them
    order : of the models in which their prices move, (M,)
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
        restarts: int | None = None,
        seller: int = 0,
    ) -> None:
        super().__init__(market)
        check_seller(seller, market.scenario.sellers)
        self.seller = seller
        default = "worst_case" if market.scenario.settlement == "plan" else "expected"
        self.anticipate = default if anticipate is None else anticipate
        if self.anticipate not in ("expected", "worst_case"):
            raise ValueError(f"anticipate = {anticipate!r} must be 'expected' or 'worst_case'")
        probability = market.scenario.fade_probability if fade_probability is None else fade_probability
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"fade_probability = {probability} must be in [0, 1]")
        if market.population.task_value.ndim != 2:
            raise ValueError("market: its lanes have customers of their own, IMP prices for those of one lane")
        n, slots = market.population.task_value.shape
        self.restarts = (RESTARTS if n <= FEW else 0) if restarts is None else restarts
        if self.restarts < 0:
            raise ValueError(f"restarts = {restarts} must be >= 0")
        if self.anticipate == "expected":
            self.anticipation = common_scenarios(n, slots, probability)
        else:
            self.anticipation = worst_case_only(market.population.fade_budget, slots)
        scenario, catalogue = market.scenario, market.catalogue
        self.order = np.argsort(catalogue.serving_cost, kind="stable")  # so that the models' order does not matter
        self.constants = SellerConstants(
            np.tile(catalogue.serving_cost[:, None], (1, n)),
            catalogue.adaptation_cost,
            float(catalogue.training_cost.sum()),
            scenario.price_floor,
            scenario.price_cap,
        )

    def prices(self, state: State) -> FloatArray:
        """Return the prices for one market's state, (M,) $/h; with rivals, if they post the cap."""
        if self.market.scenario.sellers > 1:
            return self.reply(state, np.full(self.market.offers, self.market.scenario.price_cap)).prices
        return self._search(self._problem(*self._period(state))).prices

    def reply(self, state: State, posted: ArrayLike, start: FloatArray | None = None) -> SearchResult:
        """Search the best prices of one period against those of the other sellers.

        `lmaas_env.reply.best_reply` is as good to 0.5 % in the median, and a thousand times as fast.

        Parameters
        ----------
        state : State
        posted : (S * M,), prices of all sellers, $/h; one's own are not used
        start : (M,), optional
            As in `solve`.

        Raises
        ------
        ValueError
            If the state is not one of the market, or prices have another shape or leave the range from floor to cap.
        """
        return self._search(self.reply_problem(state, posted), start)

    def reply_problem(self, state: State, posted: ArrayLike) -> Problem:
        """Return the pricing problem of one period beside the others' prices; refuses what `reply` does."""
        scenario, models = self.market.scenario, self.market.catalogue.size
        given = array_in("posted", posted, (self.market.offers,), scenario.price_floor, scenario.price_cap, "$/h")
        offers, constants = self._period(state, given)
        own = self.seller * models
        terms = RentalTerms.from_arrays(slice_offers(offers.arrays, own, own + models))
        return self._problem(terms, constants, promised_by_others(offers.arrays, given, own, models))

    def profit_of(self, problem: Problem, prices: ArrayLike) -> float:
        """Return the anticipated profit of a problem at given prices (M,), $."""
        posted = array_in("prices", prices, self.order.shape, unit="$/h")
        check_payable(problem.terms, posted)
        return float(anticipated_profit(problem, posted))

    def actions(self, observation: ArrayLike) -> Float32Array:
        """Return the actions that post `prices`, or with rivals the `reply` to their prices, in the state observed."""
        market = self.market
        if market.scenario.sellers == 1:
            return super().actions(observation)
        seen = state_from_observation(market, observation, self.seller)
        posted = posted_from_observation(market, observation, self.seller)
        if seen.charge.ndim == 1:
            return action_from_prices(market, self.reply(seen, posted).prices)
        replies = [self.reply(lane, rows).prices for lane, rows in zip(unstack(seen), posted, strict=True)]
        return action_from_prices(market, np.stack(replies))

    def solve(self, state: State, start: FloatArray | None = None) -> SearchResult:
        """Search the prices of one period, and bound what any prices could earn.

        Starts from the price cap. From a ``start`` (M,), $/h, prices are iterated until none moves alone, and
        withdrawing models without customers brings nothing, no further.

        Raises
        ------
        ValueError
            If the state is not one of the market, or the start is not one price per model between floor and cap.
        """
        problem = self._problem(*self._period(state))
        return self._search(problem, start)._replace(bound=self.bound_of(problem))

    def solve_terms(self, terms: RentalTerms, start: FloatArray | None = None) -> SearchResult:
        """As `solve`, for rental terms of the market's customers, without the bound; other sizes are refused.

        Terms say nothing of the hours to come, so a seller that looks ahead prices them without its charge on energy.
        """
        return self._search(self.problem(terms), start)

    def profit(self, terms: RentalTerms, prices: FloatArray) -> float:
        """Return the anticipated profit of one period at given prices, $: what IMP maximises."""
        return self.profit_of(self.problem(terms), prices)

    def bound(self, terms: RentalTerms) -> float:
        """Return the personalised-price bound, $: what one price per customer and model would earn, an upper bound."""
        return self.bound_of(self.problem(terms))

    def bound_of(self, problem: Problem) -> float:
        """Return the personalised-price bound on what any prices earn in a problem, $."""
        return float(personalised_hour_bound(problem))

    def problem(self, terms: RentalTerms) -> Problem:
        """Return the pricing problem of one period by itself, as the searches take it.

        Raises
        ------
        ValueError
            If the terms have other customers, slots or models than the market.
        """
        return self._problem(terms, self.constants)

    def _problem(self, terms: RentalTerms, constants: SellerConstants, outside: FloatArray = NO_OFFERS) -> Problem:
        """Return the problem with these constants; its kernels take all sizes from the terms."""
        given = (*terms.task_value.shape, terms.setup_cost.shape[1])
        known = (*self.anticipation.patterns.shape[1:], len(self.constants.serving_cost))
        if given != known:
            raise ValueError(f"terms have (customers, slots, models) = {given}, the market of this seller has {known}")
        return Problem(terms.arrays, self.anticipation, constants, outside)

    def _period(self, state: State, posted: FloatArray | None = None) -> tuple[RentalTerms, SellerConstants]:
        """Return the terms of a period and the constants that the seller counts with; all sellers posted (S * M,)."""
        return self.market.terms(state), self.constants

    def _search(self, problem: Problem, start: FloatArray | None = None) -> SearchResult:
        began, constants = time.perf_counter(), problem.seller

        def climb(first: FloatArray) -> tuple[FloatArray, FloatArray, int]:
            return ascend(problem, first, self.order, self.max_sweeps, self._exact)

        if start is None:
            first = np.full(len(self.order), constants.price_cap)
        else:
            limits = constants.price_floor, constants.price_cap
            first = array_in("start", start, self.order.shape, *limits, "$/h")
        prices, reached, evaluations = climb(first)
        # The kernel has no clock: its sweeps are taken to last equally long.
        times = list(np.linspace(0.0, time.perf_counter() - began, len(reached)))
        history, sweeps = list(reached), [len(reached) - 1]
        again = self.restarts if start is None else 0
        for first in starting_prices(problem, prices, self.order, again) if again else ():
            other, reached, looked = climb(first)
            evaluations += looked
            sweeps.append(len(reached) - 1)
            if reached[-1] > history[-1]:
                prices = other
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
    """IMP that sees only the clock, and the last prices of rivals, and assumes the rest of the state.

    The state is that of `lmaas_env.spaces.assumed_state`.
    """

    def __init__(self, market: Market, anticipate: str | None = None, seller: int = 0) -> None:
        super().__init__(market, anticipate, seller=seller)
        self._by_hour: dict[int, FloatArray] = {}

    def prices(self, state: State) -> FloatArray:
        """Return the prices for the hour of the state, (M,) $/h."""
        hour = int(state.hour)
        if hour not in self._by_hour:
            self._by_hour[hour] = super().prices(state)
        return self._by_hour[hour].copy()

    def _period(self, state: State, posted: FloatArray | None = None) -> tuple[RentalTerms, SellerConstants]:
        """As `IMP._period`, in the state that is assumed at the hour of the state."""
        return super()._period(assumed_state(self.market, int(state.hour)), posted)


def common_scenarios(customers: int, slots: int, fade_probability: float, count: int = SCENARIOS) -> Anticipation:
    """Return fade scenarios that are the same for every price, market and day; equal patterns are merged."""
    drawn = drawn_fades(customers, slots, fade_probability, count)
    return Anticipation(drawn, _merged_weights(drawn))


@kernel
def _merged_weights(drawn: BoolArray) -> FloatArray:
    """Return the weights (P, N) of equally likely patterns (P, N, L): the first of equal ones has that of all."""
    count, customers, slots = drawn.shape
    weights = np.zeros((count, customers))
    for n in range(customers):
        for p in range(count):
            for first in range(p + 1):
                differ = 0
                for slot in range(slots):
                    differ += drawn[first, n, slot] != drawn[p, n, slot]
                if differ == 0:
                    weights[first, n] += 1.0 / count
                    break
    return weights


def worst_case_only(fade_budget: IntArray, slots: int) -> Anticipation:
    """Return the worst fades of customers with these budgets (N,) as the only pattern."""
    return Anticipation(worst_fades_of(fade_budget, slots)[None], np.ones((1, len(fade_budget))))
