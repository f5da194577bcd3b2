"""Sellers for unknown markets: references that know the customers, and sellers that learn who they are."""

from __future__ import annotations

from lmaas_agents.adaptive.ladder import InformedLookahead, OwnPlan, PriorPlan
from lmaas_agents.adaptive.plan_ucb import PlanUCB
from lmaas_agents.adaptive.thompson import ThompsonIMP

__all__ = ["InformedLookahead", "OwnPlan", "PlanUCB", "PriorPlan", "ThompsonIMP"]
