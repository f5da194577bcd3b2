"""Every seller answers every observation of its space: finite actions in [-1, 1], whatever the numbers.

`make fuzz` runs the same with FUZZ_CASES cases, and with kernels that check their indices if NUMBA_BOUNDSCHECK=1.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

import numpy as np
import pytest
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
from lmaas_agents.energy import SHARES
from lmaas_agents.learned.policy_file import shipped_policies
from lmaas_agents.planning import Plan
from lmaas_agents.seller import PricingSeller
from lmaas_train.evaluation.rollout import on_day
from lmaas_train.evaluation.sellers import SELLERS

from lmaas_env import Market
from lmaas_env.episode import Episode
from lmaas_env.scenario import PRESETS
from lmaas_env.seeds import open_days
from lmaas_env.spaces import CLIP, observation_size, shown_constants

CASES = int(os.environ.get("FUZZ_CASES", "1500"))  # in all, about
SLOW = {"city": 0.05}  # the share of a pair's cases that a large market gets


def plan_of(market: Market) -> Plan:
    """A plan of any market, as that of `plan_day` takes seconds: energy is worth more while the day is long."""
    scenario, left = market.scenario, np.arange(market.scenario.periods, -1.0, -1.0)
    prices = np.full((scenario.periods, market.catalogue.size), np.sqrt(scenario.price_floor * scenario.price_cap))
    return Plan(prices, np.tile(left[:, None, None] * np.sqrt(SHARES), (1, market.population.size, 1)))


MAKERS: dict[str, Callable[[Market], Seller]] = {
    "imp": IMP,
    "lookahead": lambda market: (
        RivalLookahead(market) if market.scenario.sellers > 1 else LookaheadIMP(market, plan=plan_of(market))
    ),
    "public-imp": PublicIMP,
    "public-lookahead": lambda market: PublicLookaheadIMP(market, plan=plan_of(market)),
    "fixed": lambda market: FixedPrice(market, np.full(market.catalogue.size, market.scenario.price_cap)),
    "cost-plus": lambda market: CostPlus(market, 1.0),
    "random": RandomPrice,
    "exact": ExactSeller,
    "prior-plan": PriorPlan,
    "thompson": ThompsonIMP,
    "gp-ucb": PlanUCB,
    "own-plan": lambda market: on_day(OwnPlan, open_days(market, [1]))[1],
    "predictive-imp": PredictiveIMP,
    "planner": Planner,
    "informed-lookahead": lambda market: on_day(quick_lookahead, open_days(market, [1]))[1],
}
ONLY = {  # scenarios of sellers that fit few
    "exact": ("mini",),
    **dict.fromkeys(("prior-plan", "thompson", "gp-ucb"), ("unknown", "drift")),
    **dict.fromkeys(("own-plan", "informed-lookahead"), ("unknown",)),
    **dict.fromkeys(("predictive-imp", "planner"), ("rivals",)),
}


class quick_lookahead(InformedLookahead):  # noqa: N801
    """With a plan that takes no time."""

    def __init__(self, episode: Episode) -> None:
        LookaheadIMP.__init__(self, episode.market, plan=plan_of(episode.market))


@functools.cache
def market_of(name: str) -> Market:
    return Market(name)


@functools.cache
def seller_of(scenario: str, name: str) -> Seller | None:
    """The seller of a name, None if it does not fit the scenario."""
    market = market_of(scenario)
    if name in MAKERS:
        return MAKERS[name](market) if scenario in ONLY.get(name, PRESETS) else None
    policy = load_policy(name)
    try:
        policy.check(market)
    except ValueError:
        return None
    return policy


def cases(market: Market, count: int, knows_customers: bool, rng: np.random.Generator) -> np.ndarray:
    """Samples and corners of the observation space and sparse ones; some ordinary but for a few numbers."""
    size, kind = observation_size(market), rng.integers(5, size=(count, 1))
    seen = rng.uniform(-CLIP, CLIP, (count, size))
    seen = np.where(kind == 1, CLIP * rng.choice([-1.0, 1.0], (count, size)), seen)
    seen = np.where(kind == 2, seen * (rng.random((count, size)) < 0.1), seen)
    seen = np.where(kind == 3, seen / CLIP, seen)
    seen = np.where(kind == 4, CLIP * rng.choice([-1.0, 1.0], (count, 1)), seen)
    shown = shown_constants(market)
    if knows_customers and shown.size:  # it refuses other customers
        seen[:, -shown.shape[1] :] = shown
    return seen.astype(np.float32)


def pairs() -> list[tuple[str, str]]:
    alone = [scenario for scenario in PRESETS if scenario != "rivals"]  # most sellers price for a market of their own
    able = ("imp", "lookahead", "public-imp", "predictive-imp", "planner", "random", "rival-ppo")
    beside = [("rivals", name) for name in able]
    return [(scenario, name) for scenario in alone for name in [*MAKERS, *shipped_policies()]] + beside


def test_every_kind_of_seller_is_tried() -> None:
    assert MAKERS.keys() == SELLERS.keys()
    fitting = {name for scenario, name in pairs() if seller_of(scenario, name) is not None}
    assert fitting == {*MAKERS, *shipped_policies()}


@pytest.mark.parametrize(("scenario", "name"), pairs())
def test_actions_are_finite_and_in_range_on_samples_and_corners(scenario: str, name: str) -> None:
    seller, market = seller_of(scenario, name), market_of(scenario)
    if seller is None:
        return
    if getattr(seller, "informed", False):
        assert isinstance(seller, PricingSeller)
        market = seller.market
    count = max(2, int(CASES / 60 * SLOW.get(scenario, 1.0)))
    seen = cases(market, count, name in MAKERS, np.random.default_rng(count))
    for given in (seen, seen[0]):
        action, _ = seller.predict(given)
        assert action.shape == (*given.shape[:-1], market.catalogue.size)
        assert action.dtype == np.float32
        assert (np.abs(action) <= 1.0).all()  # NaN is not


@pytest.mark.parametrize(("scenario", "name"), [pair for pair in pairs() if pair[0] in ("day", "public", "population")])
def test_larger_numbers_count_as_the_nearest_that_an_observation_holds(scenario: str, name: str) -> None:
    seller, market = seller_of(scenario, name), market_of(scenario)
    if seller is None or name == "random" or (name in MAKERS and shown_constants(market).size):
        return
    seen = cases(market, 3, False, np.random.default_rng(1)).astype(np.float64)
    far = np.where(np.abs(seen) == CLIP, seen * 1e10, seen)
    assert np.array_equal(seller.predict(far)[0], seller.predict(seen)[0])
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"observation\[4\] must be finite"):
            seller.predict(np.where(np.arange(seen.shape[1]) == 4, bad, seen))
    for wrong in (seen[:, 1:], seen[None], seen[:0], np.zeros(()), "text", [[1.0], [1.0, 2.0]]):
        with pytest.raises(ValueError, match="observation"):
            seller.predict(wrong)
