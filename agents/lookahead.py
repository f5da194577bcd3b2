"""Look-ahead IMP: IMP that charges each Wh a rental drains, since an empty battery buys nothing at the evening peak."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar

from agents.imp import IMP
from agents.line_search import SellerConstants
from lmaas_env.days import draw_days, tuning_seeds
from lmaas_env.market import Market, MarketState, unstack
from lmaas_env.terms import RentalTerms

TUNED = Path(__file__).parent / "policies" / "lookahead.json"
TUNING_DAYS = 24


class LookaheadIMP(IMP):
    """IMP with a shadow price of energy that follows the hours that are left.

    In hour t each Wh costs lambda_t = nu * max(0, mean bracket of the hours left - half the bracket now) in $, at the
    device's nominal power; the bracket is the time-of-day factor on task values (market.md, section 5).

    Parameters
    ----------
    market : Market
    nu : float, optional
        $/Wh; left out, the value tuned for the scenario's preset that ships with the package.
    anticipate : {"expected", "worst_case"}, optional
        As in `IMP`.

    Raises
    ------
    ValueError
        If nu is negative or not finite, or is left out where no tuned value ships.
    """

    def __init__(self, market: Market, nu: float | None = None, anticipate: str | None = None) -> None:
        super().__init__(market, anticipate)
        self.nu = shipped_nu(market.scenario.name) if nu is None else float(nu)
        if not 0.0 <= self.nu < np.inf:
            raise ValueError(f"nu = {nu} must be finite and >= 0 ($/Wh)")

    def shadow_price(self, hour: int) -> float:
        """Return lambda of an hour, $/Wh."""
        left = np.arange(hour + 1, self.market.scenario.periods)
        if not left.size:
            return 0.0
        ahead = float(self.market.demand_factor(left).mean())
        return self.nu * max(0.0, ahead - 0.5 * float(self.market.demand_factor(hour)))

    def _period(self, state: MarketState) -> tuple[RentalTerms, SellerConstants]:
        """Return the terms, and constants whose serving costs hold the charge on energy: profits are net of it."""
        terms = self.market.terms(state)
        charge = self.shadow_price(int(state.hour)) * terms.power[:, :, 0]
        return terms, self.constants._replace(serving_cost=self.constants.serving_cost + charge)


def shipped_nu(scenario: str) -> float:
    """Return the nu tuned for a preset, $/Wh."""
    tuned = json.loads(TUNED.read_text(encoding="utf-8"))["nu"]
    if scenario not in tuned:
        raise ValueError(f"no tuned nu ships for scenario {scenario!r}, only for {', '.join(tuned)}; give nu")
    return float(tuned[scenario])


def tune_nu(market: Market, days: int = TUNING_DAYS, progress: Callable[[], None] | None = None) -> float:
    """Return the nu of largest mean day profit on tuning days, $/Wh."""
    first, draws = draw_days(market, tuning_seeds(days))

    def loss(nu: float) -> float:
        seller, state, total = LookaheadIMP(market, nu), first, 0.0
        for period in draws:
            prices = np.stack([seller.prices(lane) for lane in unstack(state)])
            settlement, state = market.settle(prices, state, period)
            total += float(settlement.profit.mean())
        if progress is not None:
            progress()
        return -total

    grid = [0.0, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0]
    best = grid.index(min(grid, key=loss))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    return float(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 0.01}).x)
