"""The sellers that an environment brings along: who posts prices beside the first seller, and from what they know."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np

from lmaas_env.fields import close_match
from lmaas_env.market import Market
from lmaas_env.reply import REPLY_SCENARIOS, fade_scenarios, replies
from lmaas_env.spaces import action_from_prices, first_sale, observation_of_batch, sale_of, shown_constants
from lmaas_env.state import State
from lmaas_env.transition import StepResult
from lmaas_env.types import BoolArray, FloatArray

# Tuned against "imp" on 16 tuning days of `rivals` (docs/rivals.md).
FIXED_PRICE = 2.7  # $/h of every model
MARKUP = 2.2  # $/h on the serving cost


class Pricing(Protocol):
    """How a built-in rival prices: from the market, its state, the last posted prices (K, S * M) and its own number."""

    def __call__(self, market: Market, state: State, posted: FloatArray, seller: int) -> FloatArray:
        """Return the prices of K lanes, (K, M) $/h, within floor and cap."""
        ...


class Predictor(Protocol):
    """A rival that prices by what a seller observes, as sellers and Stable-Baselines3's policies do.

    One whose class has ``takes_batches = True`` gets the observations of all lanes at once, others one after the other.
    """

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Return (action, state) for one observation (D,) or a batch (K, D)."""
        ...


Rival = str | Predictor


def imp(market: Market, state: State, posted: FloatArray, seller: int) -> FloatArray:
    """Reply best, in this hour, to the last prices of the others (`lmaas_env.reply`)."""
    return replies(market, state, seller, posted, fade_scenarios(market, REPLY_SCENARIOS))


def fixed(market: Market, state: State, posted: FloatArray, seller: int) -> FloatArray:
    """Post one price for every model in every hour."""
    return np.tile(fixed_prices(market), (len(posted), 1))


def cost_plus(market: Market, state: State, posted: FloatArray, seller: int) -> FloatArray:
    """Post the serving cost plus one markup."""
    return np.tile(cost_plus_prices(market, MARKUP), (len(posted), 1))


def fixed_prices(market: Market, price: float = FIXED_PRICE) -> FloatArray:
    """Return one price for every model, kept within the price range, (M,) $/h."""
    scenario = market.scenario
    return np.full(market.catalogue.size, min(max(price, scenario.price_floor), scenario.price_cap))


def cost_plus_prices(market: Market, markup: float = MARKUP) -> FloatArray:
    """Return serving cost plus markup, kept within the price range, (M,) $/h."""
    scenario = market.scenario
    return np.clip(market.catalogue.serving_cost + markup, scenario.price_floor, scenario.price_cap)


RIVALS: dict[str, Pricing] = {
    "imp": imp,
    "fixed": fixed,
    "cost-plus": cost_plus,
}


class Rivals:
    """The sellers 1, ..., S - 1 of K lanes.

    Parameters
    ----------
    market : Market
    rival : str or object with `predict`, or a sequence of S - 1 of them
        A name of `RIVALS`, or a seller, for every rival (an object is copied for each) or for each of them. None:
        ``"imp"``, or nothing where there is one seller only.
    lanes : int

    Attributes
    ----------
    posted : (K, S * M), $/h, what all sellers posted last; the cap before an episode's first hour

    Raises
    ------
    ValueError
        If there are no rivals in the scenario but one is named, or a rival is unknown, or there are too few.
    """

    def __init__(self, market: Market, rival: Rival | Sequence[Rival] | None, lanes: int) -> None:
        count = market.scenario.sellers - 1
        if rival is not None and count == 0:
            raise ValueError(f"rival = {rival!r} needs a scenario with sellers >= 2, it has sellers = 1")
        each = rival if isinstance(rival, list | tuple) else ["imp" if rival is None else rival] * count
        chosen = cast("Sequence[Rival]", each)
        if len(chosen) != count:
            raise ValueError(f"rival names {len(chosen)} sellers, the scenario has {count} beside the first")
        self._priced = [_Priced(market, who, s, lanes) for s, who in enumerate(chosen, start=1)]
        self.posted = np.full((lanes, market.offers), market.scenario.price_cap)

    def start(self, market: Market, lanes: BoolArray) -> None:
        """Forget, in some of the lanes (K,), the episode before."""
        self.posted[lanes] = market.scenario.price_cap
        for priced in self._priced:
            priced.start(market, lanes)

    def joint_actions(self, market: Market, state: State, actions: FloatArray) -> FloatArray:
        """Return the actions of all sellers, (K, S * M), when the first takes ``actions`` (K, M) in a state."""
        if not self._priced:
            return actions
        others = [priced.actions(market, state, self.posted) for priced in self._priced]
        return np.concatenate([actions, *others], axis=1)

    def remember(self, market: Market, result: StepResult) -> None:
        """Let rivals see what a step brought."""
        if self._priced:
            self.posted = result.prices.copy()  # `start` changes it in place
            for priced in self._priced:
                priced.remember(market, result)


class _Priced:
    """One rival: by its name, or by what a seller at its place observes."""

    def __init__(self, market: Market, rival: Rival, seller: int, lanes: int) -> None:
        self._seller, self._lanes = seller, lanes
        self._pricing: Pricing | None = None
        if isinstance(rival, str):
            if rival not in RIVALS:
                raise ValueError(
                    f"rival = {rival!r} is unknown{close_match(rival, RIVALS)}; it must be one of {', '.join(RIVALS)}, "
                    "or a seller with predict"
                )
            self._pricing = RIVALS[rival]
            return
        if not callable(getattr(rival, "predict", None)):
            raise ValueError(f"rival = {rival!r} must be one of {', '.join(RIVALS)}, or a seller with predict")
        self._predictor = copy.copy(rival)
        self._is_batch = lanes == 1 or bool(getattr(type(rival), "takes_batches", False))
        self._memory: list[Any] = [None] * (1 if self._is_batch else lanes)
        self._starts = np.ones(lanes, dtype=np.bool_)
        self._sale = first_sale(market, lanes)

    def start(self, market: Market, lanes: BoolArray) -> None:
        if self._pricing is None:
            self._sale[lanes] = first_sale(market, int(lanes.sum()))
            self._starts |= lanes
            if lanes.all():
                self._memory = [None] * len(self._memory)
            elif not self._is_batch:
                self._memory = [None if over else own for own, over in zip(self._memory, lanes, strict=True)]

    def remember(self, market: Market, result: StepResult) -> None:
        if self._pricing is None:
            self._sale = sale_of(market, result.prices, result.record, self._seller)

    def actions(self, market: Market, state: State, posted: FloatArray) -> FloatArray:
        """Return the actions of K lanes, (K, M)."""
        if self._pricing is not None:
            prices = self._pricing(market, state, posted, self._seller)
            return action_from_prices(market, prices).astype(np.float64)
        seen = observation_of_batch(market, shown_constants(market, self._seller), state, self._sale, self._seller)
        wanted, starts = (self._lanes, market.catalogue.size), self._starts
        if self._is_batch:
            rows: list[Any] = [seen[0] if self._lanes == 1 and not _takes_batches(self._predictor) else seen]
            begins: list[Any] = [starts]
        else:
            rows, begins = [*seen], [starts[k : k + 1] for k in range(self._lanes)]
        found: list[Any] = []
        for i, (row, begin) in enumerate(zip(rows, begins, strict=True)):
            action, self._memory[i] = self._predictor.predict(
                row, state=self._memory[i], episode_start=begin, deterministic=True
            )
            found.append(np.asarray(action, dtype=np.float64))
        self._starts = np.zeros(self._lanes, dtype=np.bool_)
        actions = np.concatenate([np.atleast_2d(action) for action in found])
        if actions.shape != wanted or not np.isfinite(actions).all():
            raise ValueError(
                f"rival {self._seller}: predict returned {actions.tolist()}, it must return {wanted} finite numbers in "
                "[-1, 1]"
            )
        return actions


def _takes_batches(predictor: Predictor) -> bool:
    return bool(getattr(type(predictor), "takes_batches", False))
