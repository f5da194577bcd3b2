"""Sellers that do not look at the state: random, cost-plus and the best fixed prices."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from lmaas_agents.seller import MemorylessSeller, PricingSeller, check_alone
from numpy.typing import ArrayLike
from scipy.optimize import minimize, minimize_scalar

from lmaas_env.market import Market
from lmaas_env.rivals import MARKUP, cost_plus_prices, fixed_prices
from lmaas_env.seeds import draw_days, tuning_seeds
from lmaas_env.spaces import Float32Array, clipped_observation, observation_size
from lmaas_env.state import Draws, State
from lmaas_env.types import FloatArray

TUNING_DAYS = 48
Progress = Callable[[], None]


class RandomPrice(MemorylessSeller):
    """Post log-uniform prices between floor and cap, drawn anew every period.

    Parameters
    ----------
    market : Market
    seed : int
        Two sellers of one seed post the same prices.
    """

    def __init__(self, market: Market, seed: int = 0) -> None:
        self.market = market
        self._rng = np.random.default_rng(seed)

    def __copy__(self) -> RandomPrice:
        """Return a seller that draws the same from here on, by itself."""
        copied = RandomPrice(self.market)
        copied._rng = copy.deepcopy(self._rng)
        return copied

    def actions(self, observation: ArrayLike) -> Float32Array:
        """Return random actions, as many as there are observations."""
        lanes = clipped_observation(observation, observation_size(self.market)).shape[:-1]
        return self._rng.uniform(-1.0, 1.0, (*lanes, self.market.catalogue.size)).astype(np.float32)


class FixedPrice(PricingSeller):
    """Post the same prices in every period.

    Parameters
    ----------
    market : Market
    prices : (M,) array_like, optional
        $/h within the scenario's range; left out, the best on tuning days (`tune_prices`, some seconds). With rivals
        one price for every model, the best against ``"imp"`` (`lmaas_env.rivals`).

    Raises
    ------
    ValueError
        If there is not one finite price per model, or one lies outside the price range.
    """

    def __init__(self, market: Market, prices: ArrayLike | None = None) -> None:
        super().__init__(market)
        if prices is None:
            self._prices = tune_prices(market) if market.scenario.sellers == 1 else fixed_prices(market)
        else:
            self._prices = np.array(prices, dtype=np.float64)
        scenario = market.scenario
        low, high = scenario.price_floor, scenario.price_cap
        inside = (self._prices >= low) & (self._prices <= high)
        if self._prices.shape != (market.catalogue.size,) or not inside.all():
            raise ValueError(f"prices = {self._prices.tolist()} must be {market.catalogue.size} in [{low}, {high}] $/h")

    def prices(self, state: State) -> FloatArray:
        """Return the prices, whatever the state."""
        return self._prices.copy()


class CostPlus(FixedPrice):
    """Post each model's serving cost plus one markup.

    Parameters
    ----------
    market : Market
    markup : float, optional
        $/h; left out, the best on tuning days (`tune_markup`), with rivals the best against ``"imp"``.

    Raises
    ------
    ValueError
        If the markup is not finite.
    """

    def __init__(self, market: Market, markup: float | None = None) -> None:
        if markup is None:
            self.markup = tune_markup(market) if market.scenario.sellers == 1 else MARKUP
        else:
            self.markup = float(markup)
        if not np.isfinite(self.markup):
            raise ValueError(f"markup = {markup} must be finite ($/h)")
        super().__init__(market, cost_plus_prices(market, self.markup))


def mean_day_profit(market: Market, prices: FloatArray, state: State, draws: Draws) -> float:
    """Return the seller's mean profit per day, $, of fixed prices on the days of `lmaas_env.seeds.draw_days`.

    Raises
    ------
    ValueError
        If the market has several sellers.
    """
    check_alone(market, "prices are tuned")
    posted = np.broadcast_to(prices, (len(state.charge), market.catalogue.size))
    total = 0.0
    for hour in range(market.scenario.periods):
        settlement, state = market.settle(posted, state, draws.at(hour))
        total += settlement.profit.mean()
    return float(total)


def tune_markup(market: Market, days: int = TUNING_DAYS) -> float:
    """Return the markup in $/h of largest mean day profit on tuning days."""
    state, draws = draw_days(market, tuning_seeds(days))

    def loss(log_markup: float) -> float:
        return -mean_day_profit(market, cost_plus_prices(market, float(np.exp(log_markup))), state, draws)

    low, high = np.log(market.scenario.price_floor), np.log(market.scenario.price_cap)
    step = (high - low) / 11.0
    coarse: list[float] = [low + i * step for i in range(12)]
    best = min(coarse, key=loss)
    bounds = (max(best - step, low), min(best + step, high))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3}).x))


def tune_prices(market: Market, days: int = TUNING_DAYS, progress: Progress | None = None) -> FloatArray:
    """Return the fixed prices of largest mean day profit on tuning days, (M,) $/h.

    Nelder and Mead's simplex on log prices, from the best cost-plus prices and again from where it ends.
    """
    state, draws = draw_days(market, tuning_seeds(days))
    floor, cap = market.scenario.price_floor, market.scenario.price_cap

    def loss(log_prices: FloatArray) -> float:
        if progress is not None:
            progress()
        return -mean_day_profit(market, np.clip(np.exp(log_prices), floor, cap), state, draws)

    best = np.log(cost_plus_prices(market, tune_markup(market, days)))
    for size in (0.5, 0.15):
        corners = np.diag(np.where(best + size <= np.log(cap), size, -size))
        options: Any = {"initial_simplex": best + np.vstack([0.0 * best, corners]), "xatol": 1e-3, "fatol": 1e-3}
        best = np.asarray(minimize(loss, best, method="Nelder-Mead", options=options).x, dtype=np.float64)
    return np.clip(np.exp(best), floor, cap)
