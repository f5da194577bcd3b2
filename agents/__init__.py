"""Sellers: everything that turns a market's observations into prices."""

from __future__ import annotations

from agents.fixed import CostPlus, FixedPrice, RandomPrice
from agents.imp import IMP, PublicIMP
from agents.learned import load_policy
from agents.lookahead import LookaheadIMP, PublicLookaheadIMP
from agents.seller import PricingSeller, SearchResult, Seller

__all__ = [
    "IMP",
    "CostPlus",
    "FixedPrice",
    "LookaheadIMP",
    "PricingSeller",
    "PublicIMP",
    "PublicLookaheadIMP",
    "RandomPrice",
    "SearchResult",
    "Seller",
    "load_policy",
]
