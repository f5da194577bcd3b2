"""Sellers in every form that evaluations take, by the name that tables show."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import inspect
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard, cast

from lmaas_agents import (
    IMP,
    CostPlus,
    ExactSeller,
    FixedPrice,
    LookaheadIMP,
    Planner,
    PredictiveIMP,
    PublicIMP,
    PublicLookaheadIMP,
    RandomPrice,
    RivalLookahead,
    Seller,
    load_policy,
)
from lmaas_agents.adaptive import InformedLookahead, OwnPlan, PlanUCB, PriorPlan, ThompsonIMP
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_agents.learned.policy_file import shipped_policies
from lmaas_train.evaluation.adapters import (
    NORMALISER,
    FunctionSeller,
    adapted,
    constructed,
    imported,
    load_zip,
    makes_sellers,
)

from lmaas_env import Market
from lmaas_env.fields import LONGEST_TEXT, close_match, shown
from lmaas_env.files import read_bytes
from lmaas_env.rivals import RIVALS, Rivals
from lmaas_env.spaces import observation_size

NamedSeller: TypeAlias = Seller | Callable[[Market], Seller]
"""A seller that is ready, or a class that makes one for a market."""

Policy: TypeAlias = Seller | Callable[[Any], Any] | str | os.PathLike[str]
"""A seller in any form: an object with ``predict``, a function from observation to action, a class, or a name.

A name is an entry of `SELLERS`, a shipped policy, a policy's folder, ``module:name``, ``path/to/file.py:name`` or an
SB3 zip.
"""

Policies: TypeAlias = Policy | Sequence[Policy] | Mapping[str, Policy]
"""One policy or several, by name or in a list."""

SELLERS: dict[str, Callable[[Any], Any]] = {
    "imp": IMP,
    "lookahead": LookaheadIMP,
    "public-imp": PublicIMP,
    "public-lookahead": PublicLookaheadIMP,
    "fixed": FixedPrice,
    "cost-plus": CostPlus,
    "random": RandomPrice,
    "exact": ExactSeller,
    "prior-plan": PriorPlan,
    "own-plan": OwnPlan,
    "informed-lookahead": InformedLookahead,
    "thompson": ThompsonIMP,
    "gp-ucb": PlanUCB,
    "predictive-imp": PredictiveIMP,
    "planner": Planner,
}


def is_ready(seller: NamedSeller) -> TypeGuard[Seller]:
    """Return whether this is a seller, not a class that makes one."""
    return hasattr(seller, "predict") and not isinstance(seller, type)


def is_informed(seller: NamedSeller) -> bool:
    """Return whether a class makes sellers that know the customers of an episode even where others may not.

    It declares ``informed = True`` and is made with a `lmaas_env.episode.Episode` of one lane.
    """
    return bool(getattr(seller, "informed", False))


def seller_of(policy: Policy, market: Market, trusted: bool = False) -> NamedSeller:
    """Return the seller of a policy in any form, checked against the market.

    Parameters
    ----------
    policy : Policy
    market : Market
    trusted : bool
        Whether SB3 zips may be loaded, which can run code that they hold.

    Raises
    ------
    ValueError
        If there is no such seller, or it does not fit the market.
    """
    named = isinstance(policy, str | os.PathLike)
    found: Any = _loaded(os.fspath(policy), trusted) if named else policy
    if found is IMP and market.scenario.observation == "public":
        found = PublicIMP  # the same prices: what IMP then assumes of the state depends on the hour only
    if found is LookaheadIMP and market.scenario.sellers > 1:
        found = RivalLookahead
    if makes_sellers(found):
        return found
    seller = adapted(found)
    if isinstance(seller, LearnedSeller):
        seller.check(market)
    else:
        _check_spaces(found, market, name_of(policy))
    return seller


def sellers_of(
    policies: Policies, market: Market, trusted: bool = False, beside: Sequence[str] = ()
) -> dict[str, NamedSeller]:
    """Return sellers by the name that tables show: their key, their own name, or that of their file or folder.

    Those of ``beside`` come first. Objects of a list that have one name are numbered.

    Raises
    ------
    ValueError
        As `seller_of`, or if two sellers have the same name.
    """
    named: dict[str, Policy] = {}
    for name, policy in [*_entries(beside), *_entries(policies)]:
        if not isinstance(name, str) or not name.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"name {shown(name)} of a seller must be a text that is not empty")
        if len(name) > LONGEST_TEXT or not name.isprintable():
            raise ValueError(f"name {shown(name)} of a seller must have at most {LONGEST_TEXT} printable characters")
        same = name in named and (policy is named[name] or policy is SELLERS.get(name) or _is_text(policy, named[name]))
        if name in named and not same:
            if isinstance(policies, Mapping) or isinstance(policy, str | os.PathLike):
                raise ValueError(f"seller {policy!r} has the same name as another, {name!r}: rename it or its folder")
            name = next(free for i in range(2, len(named) + 3) if (free := f"{name}-{i}") not in named)
        named.setdefault(name, policy)
    return {name: seller_of(policy, market, trusted) for name, policy in named.items()}


def rival_of(policy: Policy | None, market: Market, trusted: bool = False) -> Any:
    """Return who sells at the sites 1, ..., S - 1, as `lmaas_env.rivals.Rivals` takes it.

    Parameters
    ----------
    policy : Policy, optional
        A name of `lmaas_env.rivals.RIVALS`, or a policy in any form; a class that takes ``seller``, or else
        ``seed``, gets the number of its site. None: "imp", where there are rivals.

    Raises
    ------
    ValueError
        As `seller_of`, or if the scenario has one seller only, or its customers differ between episodes and the rival
        is made for those of one.
    """
    scenario = market.scenario
    if policy is None or (isinstance(policy, str) and policy in RIVALS):
        Rivals(market, policy, lanes=1)  # refuses a rival where there is no place for one
        return policy
    if scenario.sellers == 1:
        raise ValueError(f"rival = {shown(policy)} needs a scenario with sellers >= 2, {scenario.name!r} has one")
    made = seller_of(policy, market, trusted)
    if is_ready(made):
        return [made] * (scenario.sellers - 1)
    if is_informed(made) or not (scenario.resample_population == "never" or scenario.hides_customers):
        raise ValueError(f"rival = {shown(policy)} is made for one episode's customers; in this scenario they differ")
    return [constructed(_at_site(made, s), market) for s in range(1, scenario.sellers)]


def _at_site(make: Any, seller: int) -> Any:
    """Return a class that makes sellers as one that sells at a seller's site, or else draws on its own."""
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):
        return make
    name = next((it for it in ("seller", "seed") if it in parameters), None)
    return make if name is None else functools.partial(make, **{name: seller})


def rival_identity(policy: Policy, rival: Any) -> str | None:
    """Return a text that changes with the files of a rival, or None if it is an object."""
    return identity(policy, rival[0] if isinstance(rival, list) else rival)


def identities(
    policies: Policies, sellers: Mapping[str, NamedSeller], beside: Sequence[str] = ()
) -> dict[str, str | None]:
    """Return what each seller of `sellers_of` is, by name: a text that changes with its files.

    It is None where a policy is an object, as nothing tells whether another run has the same one.
    """
    given = dict([*_entries(beside), *_entries(policies)])
    return {name: identity(given.get(name), seller) for name, seller in sellers.items()}


def identity(policy: Any, seller: NamedSeller) -> str | None:
    """Return a text that changes with the files of a policy, or None if it is an object."""
    if not isinstance(policy, str | os.PathLike):
        return None
    digest, name = hashlib.sha256(), str(os.fspath(cast("str | os.PathLike[str]", policy)))
    if isinstance(seller, LearnedSeller):
        digest.update(json.dumps(dataclasses.asdict(seller.spec), sort_keys=True).encode())
        for key, array in sorted(seller.weights.items()):
            digest.update(key.encode() + array.tobytes())
        return digest.hexdigest()
    source = Path(name)
    if _is_code(name) and name not in SELLERS:
        found = _file_of(name.rpartition(":")[0])
        if found is None:
            return None
        source = found
    for file in (source, source.parent / NORMALISER):
        if source.suffix in (".py", ".zip") and file.exists():
            digest.update(read_bytes(file))
    return f"{name} {digest.hexdigest()}"


def _file_of(code: str) -> Path | None:
    """Return the file of Python code, a path or the name of a module; None for a module that is not one file."""
    if code.endswith(".py"):
        return Path(code)
    try:
        found = importlib.util.find_spec(code)
    except (ImportError, ValueError):  # such as __main__
        return None
    return Path(found.origin) if found and found.origin and found.has_location else None


def name_of(policy: Policy) -> str:
    """Return what tables call a policy that is given without a name."""
    if isinstance(policy, str | os.PathLike):
        text = str(os.fspath(cast("str | os.PathLike[str]", policy)))
        if _is_code(text):
            return text.rpartition(":")[2]
        path = Path(text).resolve() if Path(text).exists() else Path(text)
        return path.stem if path.suffix == ".zip" else path.name
    for name, seller in SELLERS.items():
        if policy is seller:
            return name
    if isinstance(policy, FunctionSeller | functools.partial):
        return name_of(policy.function if isinstance(policy, FunctionSeller) else policy.func)
    name = str(getattr(policy, "__name__", type(policy).__name__))
    return "policy" if name == "<lambda>" else name


def _is_text(policy: Any, other: Any) -> bool:
    return isinstance(policy, str) and isinstance(other, str) and policy == other


def _entries(policies: Policies) -> list[tuple[str, Policy]]:
    if isinstance(policies, Mapping):
        return list(cast("Mapping[str, Policy]", policies).items())
    several = cast("Sequence[Policy]", policies if isinstance(policies, list | tuple) else [policies])
    return [(name_of(policy), policy) for policy in several]


def _loaded(name: str, trusted: bool) -> Any:
    """Return what a name stands for."""
    if name in SELLERS:
        return SELLERS[name]
    path, shipped = Path(name), shipped_policies()
    if name in shipped or path.is_dir():
        return load_policy(name)
    if _is_code(name):
        return imported(name)
    if path.suffix == ".zip":
        if not trusted:
            raise ValueError(
                f"seller {name!r} is a zip of Stable-Baselines3, and loading one can run code that it holds: "
                "if you trust its origin, pass trusted=True, or --trust on the command line"
            )
        return load_zip(path)
    known = [*SELLERS, *shipped]
    raise ValueError(
        f"seller {name!r} is unknown{close_match(name, known)}; sellers: {', '.join(known)}, or a run folder, "
        "module:name, file.py:name or an SB3 zip"
    )


def _is_code(name: str) -> bool:
    """Return whether a name has the form ``module:name`` or ``path/to/file.py:name``."""
    source, _, attribute = name.rpartition(":")
    module = all(part.isidentifier() for part in source.split("."))
    return attribute.isidentifier() and (source.endswith(".py") or module)


def _check_spaces(seller: Any, market: Market, name: str) -> None:
    """Check the spaces that a policy of SB3 has against the market."""
    for space, shape in (("observation", (observation_size(market),)), ("action", (market.catalogue.size,))):
        own = getattr(getattr(seller, f"{space}_space", None), "shape", shape)
        if own != shape:
            raise ValueError(
                f"seller {name!r} has {space}s of shape {own}; this market (scenario {market.scenario.name!r}, "
                f"observation {market.scenario.observation!r}) has {shape}"
            )
