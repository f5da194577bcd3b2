"""Reference sellers of unknown markets: one that adapts to nothing, and two that know the customers."""

from __future__ import annotations

from typing import ClassVar

from lmaas_agents.adaptive.plan_library import load_library, own_plan
from lmaas_agents.lookahead import LookaheadIMP
from lmaas_agents.seller import PricingSeller

from lmaas_env.episode import Episode
from lmaas_env.market import Market
from lmaas_env.population import Population
from lmaas_env.scenario import HOURS_A_DAY
from lmaas_env.state import State
from lmaas_env.types import FloatArray


class PriorPlan(PricingSeller):
    """Post the best plan for the mean of all customers that may come, day after day: the best that does not adapt.

    Parameters
    ----------
    market : Market
    plan : (P, M) array, optional
        By default that of the market's library; where customers are seen, from `prior_plan`.
    """

    def __init__(self, market: Market, plan: FloatArray | None = None) -> None:
        super().__init__(market)
        self.plan = load_library(market.scenario).plans[0] if plan is None else plan

    def prices(self, state: State) -> FloatArray:
        """Return the plan's prices for the hour of day, (M,) $/h."""
        return self.plan[int(state.hour) % len(self.plan)].copy()


class OwnPlan(PricingSeller):
    """Post the best plan for the episode's own customers, made anew for each day's where they change.

    Clairvoyant: it knows who the customers are, but sees the clock only. It is made with an episode of one lane.
    """

    informed: ClassVar[bool] = True

    def __init__(self, episode: Episode) -> None:
        super().__init__(episode.market)
        self.plans = [own_plan(episode.market)]
        if episode.drift is not None:
            for day in range(len(episode.drift.replaced)):
                population = Population._make(column[day, 0] for column in episode.drift.population)
                market = episode.market.with_population(population)
                self.plans.append(own_plan(market, start=self.plans[-1], rounds=2))

    def prices(self, state: State) -> FloatArray:
        """Return the day's plan for the hour of day, (M,) $/h."""
        day, hour = divmod(int(state.hour), HOURS_A_DAY)
        plan = self.plans[min(day, len(self.plans) - 1)]
        return plan[hour % len(plan)].copy()


class InformedLookahead(LookaheadIMP):
    """Look-ahead IMP that knows the episode's customers and sees their state: an upper reference, made with an episode.

    Raises
    ------
    ValueError
        If customers change during the episode.
    """

    informed: ClassVar[bool] = True

    def __init__(self, episode: Episode) -> None:
        if episode.drift is not None:
            raise ValueError("customers change during the episode: look-ahead IMP plans for customers who stay")
        super().__init__(episode.market)
