"""Sellers: everything that turns a market's observations into prices."""

from __future__ import annotations

from lmaas_agents.exact import ExactSeller
from lmaas_agents.fixed import CostPlus, FixedPrice, RandomPrice
from lmaas_agents.imp.imp import IMP, PublicIMP
from lmaas_agents.learned.policy_file import load_policy
from lmaas_agents.lookahead import LookaheadIMP, PublicLookaheadIMP
from lmaas_agents.seller import PricingSeller, SearchResult, Seller
from lmaas_agents.strategic import JointIMP, Planner, PredictiveIMP, RivalLookahead

__all__ = [
    "IMP",
    "CostPlus",
    "ExactSeller",
    "FixedPrice",
    "JointIMP",
    "LookaheadIMP",
    "Planner",
    "PredictiveIMP",
    "PricingSeller",
    "PublicIMP",
    "PublicLookaheadIMP",
    "RandomPrice",
    "RivalLookahead",
    "SearchResult",
    "Seller",
    "load_policy",
]
