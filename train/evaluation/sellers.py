"""Sellers by name: the built-in ones, shipped policies and run folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from lmaas_agents import (
    IMP,
    CostPlus,
    ExactSeller,
    FixedPrice,
    LookaheadIMP,
    PublicIMP,
    PublicLookaheadIMP,
    RandomPrice,
    Seller,
    load_policy,
)
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_agents.learned.policy_file import shipped_policies

from lmaas_env import Market
from lmaas_env.fields import close_match

NamedSeller: TypeAlias = LearnedSeller | Callable[[Market], Seller]
"""A policy that is ready to sell, or a class that makes a seller for a market."""

SELLERS: dict[str, Callable[[Market], Seller]] = {
    "imp": IMP,
    "lookahead": LookaheadIMP,
    "public-imp": PublicIMP,
    "public-lookahead": PublicLookaheadIMP,
    "fixed": FixedPrice,
    "cost-plus": CostPlus,
    "random": RandomPrice,
    "exact": ExactSeller,
}


def seller_of(name: str, market: Market) -> NamedSeller:
    """Return the seller of a name: an entry of `SELLERS`, or a policy, loaded and checked against the market.

    Raises
    ------
    ValueError
        If the name is neither a seller, nor a shipped policy, nor a folder with a policy that fits the market.
    """
    if name in SELLERS:
        return SELLERS[name]
    known = [*SELLERS, *shipped_policies()]
    if name not in known and not Path(name).is_dir():
        hint = close_match(name, known)
        raise ValueError(f"seller {name!r} is unknown{hint}; sellers: {', '.join(known)}, or a run folder")
    policy = load_policy(name)
    policy.check(market)
    return policy


def sellers_of(names: Iterable[str], market: Market) -> dict[str, NamedSeller]:
    """Return sellers by the name that tables show: their own, or that of their folder.

    Raises
    ------
    ValueError
        As `seller_of`, or if two sellers have the same name.
    """
    sellers: dict[str, NamedSeller] = {}
    for name in dict.fromkeys(names):
        if Path(name).name in sellers:
            raise ValueError(f"seller {name!r} has the same name as another, {Path(name).name!r}: rename its folder")
        sellers[Path(name).name] = seller_of(name, market)
    return sellers
