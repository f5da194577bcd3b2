"""Sellers beside rivals: predictive IMP and a planner, which know how rivals reply, look-ahead IMP, and a monopolist.

A rival that replies best to the last prices of the others (`lmaas_env.rivals.imp`) is predictable: its next prices
follow from the present state and what was posted. Predictive IMP uses that within the hour. The planner also considers
the next hour, since its prices of now decide the rival's reply then: to prices that nobody pays, the rival replies as a
monopolist, and is then easily undercut at a high level. Look-ahead IMP expects rivals to keep their last prices. The
monopolist sells at all sites.
"""

from __future__ import annotations

import numpy as np
from lmaas_agents.energy import charged_costs, energy_value
from lmaas_agents.imp.imp import IMP
from lmaas_agents.imp.problem import SellerConstants
from lmaas_agents.seller import MemorylessSeller, SearchResult, check_rivals
from numpy.typing import ArrayLike

from lmaas_env.checks import array_in, check_seller
from lmaas_env.engine.terms import slice_offers
from lmaas_env.market import Market
from lmaas_env.reply import REPLY_SCENARIOS, expected_draws, fade_scenarios, replies
from lmaas_env.spaces import Float32Array, action_from_prices, posted_from_observation, state_from_observation
from lmaas_env.state import State
from lmaas_env.terms import RentalTerms
from lmaas_env.types import BoolArray, FloatArray

LASTING_DRAWS = 4  # states and draws per hour and battery level of the energy value beside rivals


class PredictiveIMP(IMP):
    """IMP that replies to the next prices of its rivals instead of their last, if they reply to what was posted last.

    Parameters
    ----------
    market : Market
        With at least two sellers.
    seller : int
        Which of them it is.

    Raises
    ------
    ValueError
        If there is one seller only, or as `IMP`.
    """

    def __init__(self, market: Market, seller: int = 0) -> None:
        check_rivals(market, "predictive IMP")
        super().__init__(market, seller=seller)
        self._faded = fade_scenarios(market, REPLY_SCENARIOS)

    def reply(self, state: State, posted: ArrayLike, start: FloatArray | None = None) -> SearchResult:
        """As `IMP.reply`, to the prices with which the others reply to ``posted``."""
        scenario = self.market.scenario
        given = array_in("posted", posted, (self.market.offers,), scenario.price_floor, scenario.price_cap, "$/h")
        expected = _others_next(self.market, self.market.as_batch(state), given[None], self.seller, self._faded)
        return super().reply(state, expected[0], start)


class RivalLookahead(IMP):
    """Look-ahead IMP beside rivals: it charges each Wh a rental drains, and expects the others to keep their prices.

    What a Wh is worth later follows from the last prices of the others and its own reply to them, posted from then on.

    Parameters
    ----------
    market : Market
        With at least two sellers.
    seller : int
        Which of them it is.

    Raises
    ------
    ValueError
        If there is one seller only, or as `IMP`.
    """

    def __init__(self, market: Market, seller: int = 0) -> None:
        check_rivals(market, "look-ahead IMP beside rivals")
        super().__init__(market, seller=seller)
        self._faded = fade_scenarios(market, REPLY_SCENARIOS)

    def _period(self, state: State, posted: FloatArray | None = None) -> tuple[RentalTerms, SellerConstants]:
        market, models = self.market, self.market.catalogue.size
        last = np.full(market.offers, market.scenario.price_cap) if posted is None else posted
        own = replies(market, market.as_batch(state), self.seller, last[None], self._faded)
        lasting = _with_own(last[None], own, self.seller)
        value = energy_value(market, lasting, LASTING_DRAWS, self.seller)
        terms = market.terms(state)
        first = self.seller * models
        charged = slice_offers(terms.arrays, first, first + models)
        return terms, charged_costs(self.constants, charged, market, value, state)


class Planner(MemorylessSeller):
    """Look two hours ahead against rivals that reply best to the last prices.

    Of three price vectors it posts the one that earns most in this hour and the next, in which it replies best to what
    the rivals will then post: its best reply to their next prices; the cap, at which hardly anybody buys; and its best
    reply if all others posted the cap, a monopolist's prices. The next hour is the expected one: no innovations, mean
    harvests. The last hour of a day is the best reply.

    Rivals cycle: it undercuts them once or twice, and then withdraws for an hour, which lets them raise their prices.

    Parameters
    ----------
    market : Market
        With at least two sellers.
    seller : int
        Which of them it is.

    Raises
    ------
    ValueError
        If there is one seller only, it does not exist, or lanes have customers of their own.
    """

    def __init__(self, market: Market, seller: int = 0) -> None:
        check_rivals(market, "the planner")
        check_seller(seller, market.scenario.sellers)
        if market.population.task_value.ndim != 2:
            raise ValueError("market: its lanes have customers of their own, the planner prices for those of one lane")
        self.market, self.seller = market, seller
        self._faded = fade_scenarios(market, REPLY_SCENARIOS)

    def actions(self, observation: ArrayLike) -> Float32Array:
        """Return the actions that post `prices` in the state, and after the prices, of the observation."""
        seen = self.market.as_batch(state_from_observation(self.market, observation, self.seller))
        posted = posted_from_observation(self.market, observation, self.seller)
        prices = self.prices(seen, np.ascontiguousarray(posted.reshape(-1, self.market.offers)))
        return action_from_prices(self.market, prices if posted.ndim > 1 else prices[0])

    def prices(self, state: State, posted: FloatArray) -> FloatArray:
        """Return the prices of K lanes, (K, M) $/h, when all sellers posted (K, S * M) last; not checked."""
        market, lanes = self.market, len(posted)
        expected = _others_next(market, state, posted, self.seller, self._faded)
        alone = np.full_like(posted, market.scenario.price_cap)
        options = [replies(market, state, self.seller, prices, self._faded) for prices in (expected, alone)]
        options.append(alone[:, : market.catalogue.size])
        tried = [_with_own(expected, own, self.seller) for own in options]
        gain = self._two_hours(_repeated(state, len(options)), np.concatenate(tried)).reshape(len(options), lanes)
        return np.stack(options)[gain.argmax(axis=0), np.arange(lanes)]

    def _two_hours(self, state: State, posted: FloatArray) -> FloatArray:
        """Return the expected profit (K,), $, of posting prices (K, S * M) now, and the best reply in the next hour."""
        market, draws = self.market, expected_draws(self.market, self._faded[0], len(posted))
        settled, after = market.settle(posted, state, draws)
        is_last = after.hour >= market.scenario.periods
        now = settled.profit[:, self.seller]
        if is_last.all():
            return now
        expected = _others_next(market, after, posted, self.seller, self._faded)
        own = replies(market, after, self.seller, expected, self._faded)
        then = market.settle(_with_own(expected, own, self.seller), after, draws)[0].profit[:, self.seller]
        return now + np.where(is_last, 0.0, then)


class JointIMP(IMP):
    """IMP over the models of all sellers at once: a monopolist with all their sites, hour by hour.

    It has no place among the sellers of a market; ``prices`` are those of every offer, (S * M,) $/h.

    Raises
    ------
    ValueError
        As `IMP`, or if there is one seller only.
    """

    def __init__(self, market: Market) -> None:
        check_rivals(market, "the joint monopolist")
        super().__init__(market)
        sellers, catalogue = market.scenario.sellers, market.catalogue
        costs = np.tile(catalogue.serving_cost, sellers)
        self.order = np.argsort(costs, kind="stable")
        self.constants = self.constants._replace(
            serving_cost=np.tile(costs[:, None], (1, market.population.size)),
            adaptation_cost=np.tile(catalogue.adaptation_cost, sellers),
            training_cost=sellers * self.constants.training_cost,
        )

    def prices(self, state: State) -> FloatArray:
        """Return the prices of all offers, (S * M,) $/h."""
        return self.solve(state).prices

    def actions(self, observation: ArrayLike) -> Float32Array:
        """Refuse, since it prices the models of all sellers."""
        raise ValueError("the joint monopolist prices the models of all sellers; see `prices`")


def _others_next(market: Market, state: State, posted: FloatArray, seller: int, faded: BoolArray) -> FloatArray:
    """Return the prices (K, S * M) if all sellers but one reply to what was posted last; its own stay."""
    after = posted
    for other in range(market.scenario.sellers):
        if other != seller:
            after = _with_own(after, replies(market, state, other, posted, faded), other)
    return after


def _with_own(posted: FloatArray, own: FloatArray, seller: int) -> FloatArray:
    """Return posted prices (K, S * M) with a seller's own, (K, M)."""
    changed, models = posted.copy(), own.shape[1]
    changed[:, seller * models : (seller + 1) * models] = own
    return changed


def _repeated(state: State, times: int) -> State:
    """Return the lanes of a state several times, one after the other."""
    return State(*(np.concatenate([column] * times) for column in state))
