"""Sellers of unknown markets: the library, the references, Thompson-IMP and GP-UCB."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lmaas_agents.adaptive import InformedLookahead, OwnPlan, PlanUCB, PriorPlan, ThompsonIMP, plan_library
from lmaas_agents.adaptive.plan_library import Library, hypotheses, key, load_library, make_library, read_library
from lmaas_agents.planning import plan_day, sold_days
from lmaas_train.evaluation.rollout import on_day, rollout, rollout_each, sell
from rich.console import Console

from lmaas_env import Market, Scenario
from lmaas_env.seeds import open_days, training_seeds, tuning_seeds
from lmaas_env.spaces import action_from_prices

SMALL = dataclasses.replace(Scenario.preset("unknown"), name="small", customers=4, periods=48)


@contextlib.contextmanager
def small_library(cache: Path) -> Iterator[Scenario]:
    """A scenario whose library takes a moment, with a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, number in (("HYPOTHESES", 12), ("PLANS", 3), ("PRIOR_EPISODES", 4)):
            patch.setattr(plan_library, name, number)
        patch.setenv("XDG_CACHE_HOME", str(cache))
        load_library.cache_clear()
        yield SMALL
        load_library.cache_clear()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Scenario]:
    """The scenario, without a library yet."""
    with small_library(tmp_path) as scenario:
        yield scenario


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def small(cache: Path) -> Iterator[Scenario]:
    """The scenario with one library for all tests."""
    with small_library(cache) as scenario:
        yield scenario


def test_a_library_is_made_once_then_read_and_holds_what_plans_earn(
    fresh: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = load_library(fresh)
    assert made.plans.shape == (4, 24, 4)
    assert made.payoff.shape == (12, 4)
    drawn = hypotheses(Market(fresh), 12)
    other = drawn.market.days([np.random.default_rng(s) for s in training_seeds(499, 12, skip=12)])
    for q, plan in enumerate(made.plans):
        first = sold_days(drawn.market, plan, drawn.state, drawn.draws)[0].sum(axis=0)
        second = sold_days(drawn.market, plan, *other)[0].sum(axis=0)
        np.testing.assert_allclose(made.payoff[:, q], 0.5 * (first + second), rtol=1e-4, atol=1e-3)
    load_library.cache_clear()
    monkeypatch.setattr(plan_library, "make_library", None)  # it would raise
    again = load_library(fresh)
    assert all(np.array_equal(one, two) for one, two in zip(made, again, strict=True))


@pytest.mark.heavy
def test_a_broken_or_foreign_library_is_made_again(fresh: Scenario, tmp_path: Path) -> None:
    made = load_library(fresh)
    file = next(tmp_path.rglob("*.safetensors"))
    assert file.stem == key(fresh)
    whole = file.read_bytes()
    for broken in (b"", whole[:-5], whole[:3] + b"x" + whole[4:]):
        file.write_bytes(broken)
        assert read_library(file, fresh) is None
    file.write_bytes(whole)
    assert read_library(file, dataclasses.replace(fresh, models=("a", "b", "c", "d"))) is not None
    assert read_library(file, dataclasses.replace(fresh, periods=12)) is None
    assert made.plans.min() >= fresh.price_floor * (1.0 - 1e-6)


def test_the_key_depends_on_numbers_not_on_names_and_drift_shares_the_plans_of_unknown() -> None:
    unknown = Scenario.preset("unknown")
    assert key(unknown) == key(dataclasses.replace(unknown, name="mine")) == key(Scenario.preset("drift"))
    assert key(unknown) != key(Scenario.preset("unknown-easy"))
    assert key(unknown) != key(dataclasses.replace(unknown, serving_cost=(0.05, 0.15, 0.45, 1.3)))


@pytest.mark.parametrize(("name", "least"), [("unknown", 1.15), ("unknown-easy", 1.1), ("unknown-hard", 1.15)])
def test_libraries_ship_with_the_presets_and_their_plans_fit_those_they_are_made_for(name: str, least: float) -> None:
    scenario = Scenario.preset(name)
    found = read_library(plan_library.SHIPPED / f"{key(scenario)}.safetensors", scenario)
    assert found is not None
    assert found.payoff.max(axis=1).mean() > least * found.payoff[:, 0].mean()
    own = found.payoff[np.arange(plan_library.PLANS), 1 + np.arange(plan_library.PLANS)]
    assert own.mean() > 0.99 * found.payoff[: plan_library.PLANS].max(axis=1).mean()


def test_known_customers_need_no_library() -> None:
    with pytest.raises(ValueError, match="resample_population = 'never'"):
        load_library(Scenario.preset("day"))
    for seller in (ThompsonIMP, PlanUCB):
        with pytest.raises(ValueError, match="does not hide its customers"):
            seller(Market("population"))


def test_a_plan_repeats_its_day_and_is_the_better_the_more_it_knows() -> None:
    market = Market(dataclasses.replace(SMALL, resample_population="never"), seed=3)
    plan = plan_day(market)
    assert plan.prices.shape == (48, 4)
    assert (plan.prices[:24] == plan.prices[24:]).all()
    assert plan.energy_value.shape == (49, 4, 9)
    state, draws = market.days([np.random.default_rng(s) for s in tuning_seeds(32)])
    earned = sold_days(market, plan.prices[:24], state, draws)[0].sum()
    for factor in (0.7, 1.4):
        prices = np.clip(factor * plan.prices[:24], 1.0, 40.0)
        assert sold_days(market, prices, state, draws)[0].sum() < earned


@pytest.mark.heavy
def test_who_knows_the_customers_gets_the_episode_and_others_do_not(small: Scenario) -> None:
    market = Market(small)
    made: dict[str, Any] = {}

    class Spy(PriorPlan):
        def __init__(self, market: Market) -> None:
            made["market"] = market
            super().__init__(market)

        def predict(self, *args: Any, **kwargs: Any) -> Any:
            made.setdefault("args", (args, kwargs))
            return super().predict(*args, **kwargs)

    seeds = list(tuning_seeds(2))
    days = sell(market, {"spy": Spy, "own": OwnPlan}, seeds, Console(quiet=True))
    assert made["market"] is market  # which holds no episode's customers
    (observation,), options = made["args"]
    assert observation.shape == (2, 16)
    assert options.keys() == {"state", "episode_start", "deterministic"}
    assert (days["own"].seeds == days["spy"].seeds).all()
    episode, seller = on_day(OwnPlan, open_days(market, seeds[:1]))
    assert (episode.market.population.distance == open_days(market, seeds[:1]).market.population.distance[0]).all()
    assert isinstance(seller, OwnPlan)


@pytest.mark.heavy
def test_informed_lookahead_earns_at_least_its_plan(small: Scenario) -> None:
    market, seeds = Market(small), tuning_seeds(6)
    plan = rollout_each(market, OwnPlan, seeds).day_profit.mean()
    assert rollout_each(market, InformedLookahead, seeds).day_profit.mean() > plan


def test_own_plan_is_made_anew_for_every_day_where_customers_change(small: Scenario) -> None:
    drift = dataclasses.replace(small, churn=0.5, region_memory=0.5)
    _, seller = on_day(OwnPlan, open_days(Market(drift), [1]))
    assert isinstance(seller, OwnPlan)
    assert len(seller.plans) == 2
    assert not np.array_equal(*seller.plans)
    with pytest.raises(ValueError, match="customers change"):
        on_day(InformedLookahead, open_days(Market(drift), [1]))


class TestThompson:
    def test_sells_lanes_as_one_after_the_other(self, small: Scenario) -> None:
        market, seeds = Market(small), tuning_seeds(3)
        seller = ThompsonIMP(market)
        together, alone = rollout(market, seller, seeds), rollout_each(market, seller, seeds)
        assert np.array_equal(together.prices, alone.prices)
        assert np.array_equal(together.profit, alone.profit)

    def test_comes_to_believe_in_the_customers_that_it_meets(self) -> None:
        market = Market("unknown")
        seller = ThompsonIMP(market)
        drawn = hypotheses(market)
        truth = 5  # the episode's customers are those of one hypothesis
        state, draws = drawn.market.days([np.random.default_rng(s) for s in range(len(drawn.region))])
        own = drawn.market
        belief = seller.first()
        assert belief.weight == pytest.approx(1.0 / len(drawn.region))
        ranks: list[int] = []
        for hour in range(24):
            prices = np.tile(seller.plan(belief, hour)[hour], (len(drawn.region), 1))
            sale, state = own.settle(prices, state, draws.at(hour))
            posted = action_from_prices(market, prices[truth])
            size = market.scenario.customers
            shown = [0.0, 0.0, 1.0 - (hour + 1) / 72, *posted, *sale.hours_per_model[truth] / size]
            seen = np.array([*shown, *sale.customers_per_model[truth] / size, sale.profit[truth] / size])
            belief = seller.updated(belief, seen, hour + 1)
            ranks.append(int((belief.weight > belief.weight[truth]).sum()))
        assert ranks[-1] < 20
        assert 1.0 / (belief.weight**2).sum() < 0.2 * len(drawn.region)

    def test_forgets_overnight_where_the_market_drifts(self, small: Scenario) -> None:
        drift = ThompsonIMP(Market(dataclasses.replace(small, churn=0.1, region_memory=0.5, periods=72)))
        sure = drift.first()._replace(log_weight=np.where(np.arange(12) == 3, 0.0, -50.0))
        seen = np.zeros(16)
        night, noon = drift.updated(sure, seen, 24).weight, drift.updated(sure, seen, 12).weight
        assert noon.max() > 0.999
        assert np.sort(night)[-2] > 100.0 * np.sort(noon)[-2]

    def test_samples_one_hypothesis_a_day(self, small: Scenario) -> None:
        seller = ThompsonIMP(Market(small), choose="sample")
        plans = [seller.plan(seller.first(), hour) for hour in range(48)]
        assert all(np.array_equal(plan, plans[0]) for plan in plans[:24])
        assert all(any(np.array_equal(plan, own) for own in seller.plan_library.plans) for plan in plans)
        with pytest.raises(ValueError, match="choose = 'best' must be 'mean' or 'sample'"):
            ThompsonIMP(Market(small), choose="best")


class TestPlanUCB:
    def test_sells_lanes_as_one_after_the_other(self, small: Scenario) -> None:
        market, seeds = Market(small), tuning_seeds(3)
        seller = PlanUCB(market)
        assert np.array_equal(rollout(market, seller, seeds).prices, rollout_each(market, seller, seeds).prices)

    def test_moves_to_the_arm_that_pays(self, small: Scenario) -> None:
        seller = PlanUCB(Market(small))
        bandit = seller.first()
        best = int(np.argmax(seller._covariance.diagonal()))
        paid = bandit._replace(arms=np.full(50, best), rewards=np.full(50, 5.0), noise=np.full(50, 0.01))
        assert seller._best(paid) == best or seller._covariance[best, seller._best(paid)] > 0.0
        assert seller._best(paid._replace(rewards=np.full(50, -5.0))) != best


def test_a_library_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="its customers are known"):
        make_library(Scenario.preset("scarce"))
    assert Library._fields == ("plans", "payoff")
