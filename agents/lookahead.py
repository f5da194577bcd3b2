"""Look-ahead IMP: IMP that charges each Wh a rental drains, since an empty battery buys nothing at the evening peak.

A Wh costs the seller what it expects to earn with it later (`lmaas_agents.energy`) at the prices of a plan for the
hours to come (`lmaas_agents.planning`).
"""

from __future__ import annotations

from lmaas_agents.energy import charged_costs, shadow_prices
from lmaas_agents.imp.imp import IMP
from lmaas_agents.imp.problem import SellerConstants
from lmaas_agents.planning import Plan, check_plan, plan_day

from lmaas_env.market import Market
from lmaas_env.state import State
from lmaas_env.terms import RentalTerms
from lmaas_env.types import FloatArray


class LookaheadIMP(IMP):
    """IMP that charges each Wh a rental drains at what the seller expects to earn with it later.

    Parameters
    ----------
    market : Market
    anticipate : {"expected", "worst_case"}, optional
        As in `IMP`.
    plan : Plan, optional
        Default: `plan_day` of the market, which takes seconds.

    Raises
    ------
    ValueError
        As `IMP`, or if the plan does not fit the market (`check_plan`).
    """

    def __init__(self, market: Market, anticipate: str | None = None, plan: Plan | None = None) -> None:
        super().__init__(market, anticipate)
        self.plan = plan_day(market, anticipate) if plan is None else check_plan(market.scenario, plan)

    def shadow_price(self, state: State) -> FloatArray:
        """Return what a Wh costs the seller, by customer and model, (N, M) $/Wh."""
        power = self.market.terms(state).arrays.power[0]
        return shadow_prices(self.market.constants, self.market.as_batch(state), self.plan.energy_value, power).T

    def _period(self, state: State, posted: FloatArray | None = None) -> tuple[RentalTerms, SellerConstants]:
        """Return the terms, and constants whose serving costs hold the charge on energy: profits are net of it."""
        terms = self.market.terms(state)
        return terms, charged_costs(self.constants, terms.arrays, self.market, self.plan.energy_value, state)


class PublicLookaheadIMP(LookaheadIMP):
    """The open-loop form of look-ahead IMP: it sees only the clock and posts its plan."""

    def prices(self, state: State) -> FloatArray:
        """Return the plan's prices for the hour of the state, (M,) $/h; after the day's end those of its last hour."""
        hour = int(self.market.as_batch(state).hour[0])
        return self.plan.prices[min(hour, len(self.plan.prices) - 1)].copy()
