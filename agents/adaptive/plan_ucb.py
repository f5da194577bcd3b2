"""GP-UCB: a bandit over scale and tilt of the prior plan, with a Gaussian process and upper confidence bounds.

Srinivas et al., 2010. An arm multiplies the prior plan's prices by exp(scale + tilt x), where x runs from -1 for the
first model to 1 for the last. It is posted for a block of some hours, and its reward is the block's profit relative to
what the prior plan expects of these hours. Mean and covariance of the arms are those over hypotheses about the region,
simulated once. Where the market drifts, old blocks are forgotten.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple, cast

import numpy as np
from lmaas_agents.adaptive.adaptive_seller import AdaptiveSeller
from lmaas_agents.adaptive.plan_library import hypotheses, load_library, still
from lmaas_agents.planning import sold_days

from lmaas_env.market import Market
from lmaas_env.types import FloatArray, IntArray

BLOCK = 4  # hours for which one arm is posted
SCALES = np.linspace(-1.2, 1.2, 9)
TILTS = np.array([-0.25, 0.0, 0.25])
HYPOTHESES = 128  # whose customers give the arms' mean and covariance
NOISE_STD = 0.5  # of the relative profit of a block that holds the mean profit of its kind; more of smaller ones
OPTIMISM = 0.1  # standard deviations that are added to the mean
WINDOW = 20  # blocks that are remembered where the market drifts


class Bandit(NamedTuple):
    """What one episode has shown: the arm and relative profit of each block, and the profit of the present one."""

    arms: IntArray
    rewards: FloatArray
    noise: FloatArray  # variance of each reward
    arm: int
    earned: float


class PlanUCB(AdaptiveSeller[Bandit]):
    """Try scales and tilts of the prior plan, and post the most promising.

    Parameters
    ----------
    market : Market
        Customers differ between episodes and are hidden.

    Raises
    ------
    ValueError
        If customers are seen or do not change.
    """

    def __init__(self, market: Market) -> None:
        super().__init__(market)
        self.prior = load_library(market.scenario).plans[0]
        self.arms = np.array(list(itertools.product(SCALES, TILTS)))
        models = market.catalogue.size
        tilt = np.linspace(-1.0, 1.0, models) if models > 1 else np.zeros(1)
        self._factors = np.exp(self.arms[:, :1] + self.arms[:, 1:] * tilt)
        drawn = hypotheses(market, HYPOTHESES)
        possible = still(drawn.market)
        low, high = market.scenario.price_floor, market.scenario.price_cap
        profits = [
            sold_days(possible, np.clip(self.prior * factor, low, high), drawn.state, drawn.draws)[0]
            for factor in self._factors
        ]
        hourly = profits[self._middle].mean(axis=1)[: len(self.prior)]
        self._expected = np.abs(hourly) / market.scenario.customers
        relative = np.stack([profit.sum(axis=0) for profit in profits])
        relative = relative / relative[self._middle].mean() - 1.0
        self._mean, self._covariance = relative.mean(axis=1), np.atleast_2d(np.cov(relative))

    def first(self) -> Bandit:
        """Return the bandit before the first block."""
        nothing = np.empty(0)
        return Bandit(nothing.astype(np.int64), nothing, nothing, self._best(None), 0.0)

    def prices(self, memory: Bandit, hour: int) -> FloatArray:
        """Return the prices of an hour by the arm that is posted, (M,) $/h."""
        return self.prior[hour % len(self.prior)] * self._factors[memory.arm]

    def updated(self, memory: Bandit, observation: FloatArray, hour: int) -> Bandit:
        """Return the bandit after the profit per customer with which an observation (D,) ends."""
        bandit = memory._replace(earned=memory.earned + float(observation[-1]))
        if hour % BLOCK:
            return bandit
        expected = max(float(self._expected[np.arange(hour - BLOCK, hour) % len(self._expected)].sum()), 1e-9)
        usual = BLOCK * float(self._expected.mean())
        kept = slice(-WINDOW, None) if self.market.scenario.drifts else slice(None)
        bandit = Bandit(
            np.append(bandit.arms, bandit.arm)[kept],
            np.append(bandit.rewards, bandit.earned / expected - 1.0)[kept],
            np.append(bandit.noise, NOISE_STD**2 * usual / expected)[kept],
            0,
            0.0,
        )
        return bandit._replace(arm=self._best(bandit))

    @property
    def _middle(self) -> int:
        """The arm that is the prior plan itself."""
        return int(np.argmin(np.abs(self.arms).sum(axis=1)))

    def _best(self, bandit: Bandit | None) -> int:
        """Return the arm of the highest upper confidence bound."""
        mean, variance = self._mean, np.diag(self._covariance)
        if bandit is not None:
            cross = self._covariance[:, bandit.arms]
            known = cross[bandit.arms] + np.diag(bandit.noise)
            weights = cast("FloatArray", np.linalg.solve(known, cross.T))
            mean = mean + (bandit.rewards - mean[bandit.arms]) @ weights
            variance = variance - (cross * weights.T).sum(axis=1)
        return int(np.argmax(mean + OPTIMISM * np.sqrt(np.maximum(variance, 0.0))))
