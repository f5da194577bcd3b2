"""Training, tuning and held-out days are disjoint, and a lane's day is the environment's."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from lmaas_env import Market
from lmaas_env.env import LMaaSEnv
from lmaas_env.market import unstack
from lmaas_env.seeds import draw_days, held_out_seeds, training_seeds, tuning_seeds
from tests.days import periods_of

STRIDE, TUNING, HELD_OUT = 10**6, 5 * 10**8, 9 * 10**8


def test_the_seed_ranges_start_where_the_architecture_says() -> None:
    assert training_seeds(1, 3) == range(STRIDE, STRIDE + 3)
    assert training_seeds(17, 2) == range(17 * STRIDE, 17 * STRIDE + 2)
    assert tuning_seeds(3) == range(TUNING, TUNING + 3)
    assert held_out_seeds(40) == range(HELD_OUT, HELD_OUT + 40)


def test_the_longest_allowed_ranges_are_disjoint() -> None:
    longest = [
        training_seeds(1, STRIDE),
        training_seeds(2, STRIDE),
        training_seeds(499, STRIDE),
        tuning_seeds(HELD_OUT - TUNING),
        held_out_seeds(2**31 - HELD_OUT),
    ]
    assert all(earlier.stop <= later.start for earlier, later in itertools.pairwise(longest))
    assert longest[0].start > 0


@pytest.mark.parametrize(
    ("seeds", "most"),
    [
        (lambda count: training_seeds(3, count), STRIDE),
        (tuning_seeds, HELD_OUT - TUNING),
        (held_out_seeds, 2**31 - HELD_OUT),
    ],
    ids=["training", "tuning", "held-out"],
)
def test_a_range_refuses_fewer_than_one_day_and_more_than_it_owns(seeds: Callable[[int], range], most: int) -> None:
    assert len(seeds(1)) == 1
    assert len(seeds(most)) == most
    for count in (0, -1, most + 1):
        with pytest.raises(ValueError, match=rf"number of days = {count} must be in 1\.\.{most}"):
            seeds(count)


@pytest.mark.parametrize("seed", [0, -1, 500, 900])
def test_a_training_seed_that_would_reach_other_days_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=rf"training seed = {seed} must be in 1\.\.499"):
        training_seeds(seed, 1)


@pytest.mark.parametrize("scenario", ["day", "static", "scarce", "public"])
def test_a_lanes_day_is_exactly_the_environments_day_of_its_seed(scenario: str) -> None:
    market, seeds = Market(scenario), [HELD_OUT, 7, STRIDE + 1]
    first, draws = draw_days(market, seeds)
    assert draws.faded.shape == (market.scenario.periods, len(seeds), 24, 6)
    for lane, seed in enumerate(seeds):
        env = LMaaSEnv(scenario)
        env.reset(seed=seed)
        state = unstack(first)[lane]
        for period in periods_of(draws):
            assert env.state is not None
            assert all(np.array_equal(a, b) for a, b in zip(state, env.state, strict=True))
            env.step([0.1, 0.2, 0.3, 0.4])
            assert env.settlement is not None
            settlement, state = market.settle(env.settlement.prices, state, period.at(lane))
            assert (env.settlement.faded == period.faded[lane]).all()
            assert all(np.array_equal(a, b) for a, b in zip(settlement, env.settlement, strict=True))
        assert all(np.array_equal(a, b) for a, b in zip(state, env.state, strict=True))


def test_days_of_one_seed_are_equal_in_every_lane_and_of_different_seeds_are_not() -> None:
    state, draws = draw_days(Market("day"), [3, 4, 3])
    assert (state.shadowing[0] == state.shadowing[2]).all()
    assert (state.shadowing[0] != state.shadowing[1]).any()
    assert (draws.faded[:, 0] == draws.faded[:, 2]).all()
