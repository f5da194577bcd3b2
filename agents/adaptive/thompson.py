"""Thompson-IMP: a belief over hypotheses about the region, updated from one's own sales, and the plan that fits it.

Every hypothesis, the customers of one region (`lmaas_agents.adaptive.plan_library`), is simulated forward at the prices
that were posted. The closer its hours and customers per model come to those of the last sale, the more it weighs. The
next prices are those of the library's plan that earns most in the mean of the belief, or for one hypothesis drawn from
it. Where the market drifts, weight also moves between hypotheses overnight, as regions do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from lmaas_agents.adaptive.adaptive_seller import AdaptiveSeller
from lmaas_agents.adaptive.plan_library import hypotheses, load_library, still

from lmaas_env.engine.period import state_after
from lmaas_env.market import Market
from lmaas_env.scenario import HOURS_A_DAY
from lmaas_env.spaces import prices_from_action
from lmaas_env.state import Draws, State
from lmaas_env.types import FloatArray

CUSTOMERS_TOLERANCE = 0.10  # of customers per model over N, of a hypothesis that is true but for who its customers are
HOURS_TOLERANCE = 0.05  # h, of hours per model over N
EVIDENCE = 0.2  # weight of an hour's sale, as those of consecutive hours err alike


class Belief(NamedTuple):
    """What is believed after some hours of one episode.

    Attributes
    ----------
    log_weight : (J,), of the hypotheses, up to a constant
    state : State
        Of J lanes, the hypotheses simulated forward.
    """

    log_weight: FloatArray
    state: State

    @property
    def weight(self) -> FloatArray:
        """Probability of each hypothesis, (J,)."""
        weight = np.exp(self.log_weight - self.log_weight.max())
        return weight / weight.sum()


class ThompsonIMP(AdaptiveSeller[Belief]):
    """Learn who the customers are from public sales, and post the plan that fits.

    Parameters
    ----------
    market : Market
        Customers differ between episodes and are hidden (scenarios ``unknown`` and ``drift``).
    choose : {"mean", "sample"}
        The plan that earns most in the mean of the belief, or the best for one hypothesis drawn from it every day.
    seed : int
        Of what is simulated and drawn.

    Raises
    ------
    ValueError
        If customers are seen or do not change, or ``choose`` is neither.
    """

    def __init__(self, market: Market, choose: str = "mean", seed: int = 0) -> None:
        super().__init__(market)
        if choose not in ("mean", "sample"):
            raise ValueError(f"choose = {choose!r} must be 'mean' or 'sample'")
        self.choose, self.seed = choose, seed
        self.plan_library = load_library(market.scenario)
        drawn = hypotheses(market)
        self.region = drawn.region
        self._possible, self._start = still(drawn.market), drawn.state
        self._overnight = _transition(market, drawn.region) if market.scenario.drifts else None

    def first(self) -> Belief:
        """Return the belief before the first sale: every hypothesis is as likely."""
        return Belief(np.zeros(len(self.region)), self._start)

    def prices(self, memory: Belief, hour: int) -> FloatArray:
        """Return the prices of an hour by the plan for a belief, (M,) $/h."""
        return self.plan(memory, hour)[hour % HOURS_A_DAY]

    def updated(self, memory: Belief, observation: FloatArray, hour: int) -> Belief:
        """Return the belief after the sale that an observation (D,) at the start of an hour shows."""
        scenario, models = self.market.scenario, self.market.catalogue.size
        posted, hours, customers = observation[3 : 3 + 3 * models].reshape(3, models)
        lanes = len(self.region)
        record = self._possible.new_record(lanes)
        prices = np.tile(prices_from_action(self.market, posted), (lanes, 1))
        self._possible.settle_batch(prices, memory.state, self._draws(hour - 1), record)
        size = scenario.customers
        miss = ((record.customers_per_model / size - customers) / CUSTOMERS_TOLERANCE) ** 2
        miss += ((record.hours_per_model / size - hours) / HOURS_TOLERANCE) ** 2
        log_weight = memory.log_weight - 0.5 * EVIDENCE * miss.sum(axis=1)
        log_weight -= log_weight.max()
        if self._overnight is not None and hour % HOURS_A_DAY == 0:
            log_weight = np.log(np.maximum(np.exp(log_weight) @ self._overnight, 1e-300))
        return Belief(log_weight, state_after(record))

    def plan(self, belief: Belief, hour: int) -> FloatArray:
        """Return the plan for a belief, (P, M) $/h."""
        if self.choose == "sample":
            uniform = np.random.default_rng([self.seed, hour // HOURS_A_DAY, 1]).random()
            drawn = min(int(np.searchsorted(np.cumsum(belief.weight), uniform)), len(self.region) - 1)
            return self.plan_library.plans[int(np.argmax(self.plan_library.payoff[drawn]))]
        return self.plan_library.plans[int(np.argmax(belief.weight @ self.plan_library.payoff))]

    def _draws(self, hour: int) -> Draws:
        """Draw a period of every hypothesis, (1, J), the same in every episode."""
        scenario, rng = self.market.scenario, np.random.default_rng([self.seed, hour, 0])
        shape = 1, len(self.region), scenario.customers
        low, high = 1.0 - scenario.harvest_spread, 1.0 + scenario.harvest_spread
        return Draws(
            rng.random((*shape, scenario.slots)) < scenario.fade_probability,
            rng.standard_normal(shape),
            rng.standard_normal(shape),
            rng.uniform(low, high, shape),
            np.zeros(shape),
        )


def _transition(market: Market, region: FloatArray) -> FloatArray:
    """Return the probability that one hypothesis is another the day after, (J, J), where the market drifts.

    The value factor moves for everybody at once. The other three reach newcomers only, so that what they are in the
    mean of all customers moves by the share of customers who are replaced.
    """
    scenario = market.scenario
    share = np.array([1.0, *[scenario.churn] * 3])
    memory = 1.0 - share * (1.0 - scenario.region_memory)
    spread = np.maximum(share * np.sqrt(1.0 - scenario.region_memory**2), 0.1)
    miss = (region[None] - memory * region[:, None]) / spread
    # Hypotheses are drawn from the standard normal distribution, so a transition is its density relative to that.
    log = -0.5 * (miss**2).sum(axis=2) + 0.5 * (region[None] ** 2).sum(axis=2)
    weight = np.exp(log - log.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)
