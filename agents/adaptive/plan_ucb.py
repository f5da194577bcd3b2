"""GP-UCB: a bandit over scale and tilt of the prior plan, with a Gaussian process and upper confidence bounds.

Srinivas et al., 2010. An arm multiplies the prior plan's prices by exp(scale + tilt x), where x runs from -1 for the
first model to 1 for the last. It is posted for a block of some hours, and its reward is the block's profit relative to
what the prior plan expects of these hours. Where the market drifts, old blocks fade out of the posterior.
"""

from __future__ import annotations

import itertools
from typing import Any, ClassVar, NamedTuple

import numpy as np
from lmaas_agents.adaptive.library import hypotheses, load_library, still
from lmaas_agents.planning import sold_days
from numpy.typing import ArrayLike

from lmaas_env.market import Market
from lmaas_env.scenario import HOURS_A_DAY
from lmaas_env.spaces import Float32Array, action_from_prices, clipped_observation, observation_size
from lmaas_env.types import FloatArray, IntArray

BLOCK = 4  # hours for which one arm is posted
SCALES = np.linspace(-1.2, 1.2, 13)
TILTS = np.linspace(-0.3, 0.3, 5)
LENGTH = np.array([0.6, 0.4])  # of the kernel, in scale and tilt
PRIOR_STD = 1.0  # of the relative profit of an arm
NOISE_STD = 0.5  # of a block's relative profit
OPTIMISM = 1.0  # standard deviations that are added to the mean
WINDOW = 20  # blocks that are remembered where the market drifts


class Bandit(NamedTuple):
    """What one episode has shown: the arm and relative profit of each block, and the profit of the present one."""

    arms: IntArray
    rewards: FloatArray
    arm: int
    earned: float


class PlanUCB:
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

    takes_batches: ClassVar[bool] = True

    def __init__(self, market: Market) -> None:
        if not market.scenario.hides_customers:
            raise ValueError(f"scenario {market.scenario.name!r} does not hide its customers: nothing is to be learned")
        self.market = market
        self.prior = load_library(market.scenario).plans[0]
        drawn = hypotheses(market, 64)
        profit = sold_days(still(drawn.market), self.prior, drawn.state, drawn.draws)[0].mean(axis=1)
        self._expected = profit[:HOURS_A_DAY] / market.scenario.customers
        self.arms = np.array(list(itertools.product(SCALES, TILTS)))
        gap = (self.arms[:, None] - self.arms[None]) / LENGTH
        self._kernel = PRIOR_STD**2 * np.exp(-0.5 * (gap**2).sum(axis=2))
        models = market.catalogue.size
        tilt = np.linspace(-1.0, 1.0, models) if models > 1 else np.zeros(1)
        self._factors = np.exp(self.arms[:, :1] + self.arms[:, 1:] * tilt)

    def predict(
        self,
        observation: ArrayLike,
        state: Any = None,
        episode_start: ArrayLike | None = None,
        deterministic: bool = True,
    ) -> tuple[Float32Array, Any]:
        """Return (action, bandits) for one observation (D,) or a batch (K, D); ``state`` is what a call returned."""
        seen = clipped_observation(observation, observation_size(self.market))
        rows, periods = np.atleast_2d(seen), self.market.scenario.periods
        first = np.broadcast_to(
            np.asarray(False if episode_start is None else episode_start, dtype=np.bool_), len(rows)
        )
        prices, bandits = np.empty((len(rows), self.market.catalogue.size)), list[Bandit]()
        for lane, row in enumerate(rows):
            hour = int(np.clip(np.rint(periods * (1.0 - row[2])), 0, periods - 1))
            bandit = None if state is None or first[lane] or hour == 0 else state[lane]
            bandits.append(self._after(bandit, float(row[-1]), hour))
            plan = self.prior[hour % len(self.prior)]
            prices[lane] = plan * self._factors[bandits[-1].arm]
        actions = action_from_prices(self.market, prices)
        return (actions if seen.ndim > 1 else actions[0]), bandits

    def _after(self, bandit: Bandit | None, profit: float, hour: int) -> Bandit:
        """Return the bandit at the start of an hour, after the last hour's profit per customer."""
        if bandit is None:
            return Bandit(np.empty(0, dtype=np.int64), np.empty(0), self._middle, 0.0)
        bandit = bandit._replace(earned=bandit.earned + profit)
        if hour % BLOCK:
            return bandit
        hours = np.arange(hour - BLOCK, hour) % HOURS_A_DAY
        expected = float(np.abs(self._expected[hours]).sum())
        arms = np.append(bandit.arms, bandit.arm)
        rewards = np.append(bandit.rewards, bandit.earned / max(expected, 1e-9) - 1.0)
        if self.market.scenario.drifts:
            arms, rewards = arms[-WINDOW:], rewards[-WINDOW:]
        return Bandit(arms, rewards, self._best(arms, rewards), 0.0)

    @property
    def _middle(self) -> int:
        """The arm that is the prior plan itself."""
        return int(np.argmin(np.abs(self.arms).sum(axis=1)))

    def _best(self, arms: IntArray, rewards: FloatArray) -> int:
        """Return the arm of the highest upper confidence bound."""
        known = self._kernel[np.ix_(arms, arms)] + NOISE_STD**2 * np.eye(len(arms))
        cross = self._kernel[:, arms]
        weights: FloatArray = np.linalg.solve(known, cross.T)
        mean = rewards @ weights
        variance = np.diag(self._kernel) - (cross * weights.T).sum(axis=1)
        return int(np.argmax(mean + OPTIMISM * np.sqrt(np.maximum(variance, 0.0))))
