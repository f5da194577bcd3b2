"""Regions, churn and drift: what an episode draws, in which order, and what nights change."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmaas_env import Market, Population, Scenario
from lmaas_env.env import LMaaSEnv
from lmaas_env.population import REGION_DISTANCES
from lmaas_env.scenario import REGION_SIGMAS
from lmaas_env.seeds import open_days
from lmaas_env.vector_env import LMaaSVectorEnv

UNKNOWN, DRIFT = Scenario.preset("unknown"), Scenario.preset("drift")


def still(scenario: Scenario, **changes: Any) -> Scenario:
    """The scenario without regions."""
    return dataclasses.replace(scenario, **dict.fromkeys(REGION_SIGMAS, 0.0), **changes)


def reference_population(scenario: Scenario, rng: np.random.Generator, z: np.ndarray) -> Population:
    """Draw customers as docs/unknown.md says, number by number."""
    value, distance, capacity, saturation = np.exp([getattr(scenario, s) for s in REGION_SIGMAS] * z)
    n = scenario.customers
    low, high = np.clip(distance * np.array([scenario.distance_min, scenario.distance_max]), *REGION_DISTANCES)
    distances = np.exp(rng.uniform(np.log(low), np.log(high), n))
    bandwidth = rng.uniform(scenario.bandwidth_min, scenario.bandwidth_max, n)
    capacities = rng.uniform(capacity * scenario.capacity_min, capacity * scenario.capacity_max, n)
    total = value * scenario.task_value_median * np.exp(scenario.task_value_sigma * rng.standard_normal(n))
    split = rng.dirichlet(np.full(scenario.slots, scenario.slot_concentration), n)
    saturations = rng.uniform(saturation * scenario.saturation_min, saturation * scenario.saturation_max, n)
    depth = rng.uniform(scenario.fade_depth_min, scenario.fade_depth_max, n)
    budget = rng.choice(np.array(scenario.fade_budgets), n)
    values = -np.sort(-total[:, None] * split, axis=1)
    return Population(distances, bandwidth, capacities, saturations, depth, budget, values)


def assert_same(one: Population, other: Population) -> None:
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_the_region_is_drawn_first_then_customers_then_the_day() -> None:
    env = LMaaSEnv("unknown")
    _, info = env.reset(seed=7)
    rng = np.random.default_rng(7)
    z = rng.standard_normal(4)
    assert info["region"].tolist() == z.tolist()
    assert_same(env.market.population, reference_population(UNKNOWN, rng, z))
    state, draws = env.market.days([rng])
    assert env.state is not None
    assert (env.state.charge == state.charge[0]).all()
    assert (env._lanes.draws.faded == draws.faded).all()


def test_every_later_day_draws_innovations_replacements_and_newcomers_in_this_order() -> None:
    episode = open_days(Market("drift"), [11])
    rng = np.random.default_rng(11)
    z, n, drift = rng.standard_normal(4), DRIFT.customers, episode.drift
    assert drift is not None
    base = reference_population(DRIFT, rng, np.array([0.0, *z[1:]]))
    assert_same(
        Population._make(column[0] for column in episode.market.population),
        base._replace(task_value=np.exp(DRIFT.region_value_sigma * z[0]) * base.task_value),
    )
    for day in range(1, 10):
        z = 0.8 * z + 0.6 * rng.standard_normal(4)
        replaced = rng.random(n) < 0.1
        new = reference_population(DRIFT, rng, np.array([0.0, *z[1:]]))
        share, shadowing, demand = rng.uniform(0.3, 1.0, n), rng.standard_normal(n), rng.standard_normal(n)
        base = base.with_rows(new, replaced)
        np.testing.assert_allclose(episode.region[0, day], z, rtol=1e-12)
        assert (drift.replaced[day - 1, 0] == replaced).all()
        np.testing.assert_allclose(drift.charge[day - 1, 0], share * new.capacity, rtol=1e-12)
        np.testing.assert_allclose(drift.shadowing[day - 1, 0], DRIFT.shadowing_sigma * shadowing, rtol=1e-12)
        np.testing.assert_allclose(drift.demand[day - 1, 0], DRIFT.demand_sigma * demand, rtol=1e-12)
        today = base._replace(task_value=np.exp(DRIFT.region_value_sigma * z[0]) * base.task_value)
        assert_same(Population._make(column[day - 1, 0] for column in drift.population), today)
    state, draws = episode.market.days([rng])
    assert (episode.state.charge == state.charge).all()
    assert (episode.draws.harvest == draws.harvest).all()


def test_without_regions_the_same_numbers_are_drawn_as_before_there_were_any() -> None:
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    scenario = Scenario.preset("population")
    assert_same(Population.sample(scenario, rng), reference_population(scenario, again, np.zeros(4)))
    assert rng.bit_generator.state == again.bit_generator.state


@pytest.mark.parametrize("scenario", ["unknown", "drift"])
@pytest.mark.parametrize("observation", ["public", "full"])
def test_lanes_are_scalar_environments_through_nights_and_resets(scenario: str, observation: str) -> None:
    lanes, rng = 3, np.random.default_rng(0)
    vector = LMaaSVectorEnv(lanes, scenario=scenario, observation=observation)
    scalars = [LMaaSEnv(scenario, observation=observation) for _ in range(lanes)]
    seen, info = vector.reset(seed=5)
    first = [env.reset(seed=5 + i) for i, env in enumerate(scalars)]
    assert (seen == np.stack([it[0] for it in first])).all()
    assert (info["region"] == np.stack([it[1]["region"] for it in first])).all()
    periods = vector.market.scenario.periods
    for step in range(periods + 30):
        if step == 40:  # lanes are at different hours from here on
            seen, _ = vector.reset(options={"reset_mask": np.array([True, False, False])})
            assert np.allclose(seen[0], scalars[0].reset()[0], rtol=0.0, atol=1e-6)
        actions = rng.uniform(-0.6, 0.4, (lanes, 4))
        seen, reward, terminated, _, info = vector.step(actions)
        for lane, env in enumerate(scalars):
            assert env.state is not None
            if env.state.hour == periods:
                expected, gain, over = env.reset()[0], 0.0, False
            else:
                expected, gain, over, _, own = env.step(actions[lane])
                assert all(np.allclose(info[name][lane], value, rtol=1e-12) for name, value in own.items())
            assert np.allclose(seen[lane], expected, rtol=0.0, atol=1e-6)
            assert reward[lane] == pytest.approx(gain, abs=1e-12)
            assert terminated[lane] == over


def test_who_leaves_and_comes_overnight_is_booked_and_nobody_else_changes() -> None:
    env = LMaaSEnv(dataclasses.replace(DRIFT, churn=0.3, periods=72))
    env.reset(seed=2)
    nights = 0
    for hour in range(72):
        before, customers = env.state, env.market.population
        assert before is not None
        _, _, _, _, info = env.step([0.0, 0.1, 0.2, 0.3])
        after, sold = env.state, env.settlement
        assert after is not None
        assert sold is not None
        harvest = DRIFT.harvest * customers.capacity * env._lanes.draws.harvest[hour, 0]
        kept = before.charge + harvest - sold.spilled - sold.energy_used
        replaced = env.market.population.distance != customers.distance
        assert after.charge.sum() == pytest.approx(kept.sum() - info["removed"] + info["added"], rel=1e-12)
        assert info["removed"] == pytest.approx(kept[replaced].sum(), rel=1e-12)
        np.testing.assert_allclose(after.charge[~replaced], kept[~replaced], rtol=1e-12)
        assert replaced.any() == (hour in (23, 47))
        nights += replaced.any()
    assert nights == 2


@settings(max_examples=25, deadline=None)
@given(z=st.lists(st.floats(-8.0, 8.0), min_size=4, max_size=4), seed=st.integers(0, 100))
def test_any_region_has_customers_that_a_market_takes(z: list[float], seed: int) -> None:
    hard = Scenario.preset("unknown-hard")
    from lmaas_env.population import sample_in_region, value_factor

    customers = sample_in_region(hard, np.array(z), np.random.default_rng(seed))
    customers = customers._replace(task_value=value_factor(hard, np.array(z)) * customers.task_value)
    market = Market(dataclasses.replace(hard, resample_population="never"), population=customers)
    assert market.population.distance.min() >= REGION_DISTANCES[0] * (1.0 - 1e-12)
    assert market.population.distance.max() <= REGION_DISTANCES[1] * (1.0 + 1e-12)


def test_regions_of_training_tuning_and_held_out_episodes_are_disjoint() -> None:
    from lmaas_env.seeds import held_out_seeds, training_seeds, tuning_seeds

    market = Market("unknown")
    seeds = [*training_seeds(499, 50), *training_seeds(1, 50), *tuning_seeds(50), *held_out_seeds(50)]
    regions = open_days(market, seeds).region
    assert len(np.unique(regions, axis=0)) == len(seeds)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"churn": 0.1}, r"churn = 0.1 needs resample_population = 'episode', not 'never'"),
        ({"region_memory": 0.5}, r"region_memory = 0.5 needs resample_population"),
        ({"churn": 0.1, "resample_population": "episode"}, r"periods = 24 must exceed 24"),
        ({"churn": 1.5}, r"churn = 1.5 must be a number in \[0, 1\]"),
        ({"region_value_sigma": -0.1}, r"region_value_sigma = -0.1 must be a number in \[0, 5\]"),
        ({"region_value_sigma": 0.1, "customers_file": "mine.csv"}, r"customers of a file have no region"),
    ],
)
def test_contradictions_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scenario(**changes)


def test_the_region_is_in_the_info_of_reset_only() -> None:
    env = LMaaSEnv("unknown")
    _, info = env.reset(seed=1)
    assert list(info) == ["region"]
    assert "region" not in env.step([0.0] * 4)[4]
    assert LMaaSEnv(still(UNKNOWN)).reset(seed=1)[1] == {}
