"""A transition by one kernel against the same put together from its parts, and its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmaas_env.customers.strategies import RSR
from lmaas_env.env import LMaaSEnv


class SettledByParts(RSR):
    """RSR's customers, settled by the code for customers of any strategy instead of one kernel."""


def day_of(env: LMaaSEnv) -> list[tuple[Any, ...]]:
    """What a seller sees and earns over a day at drawn prices, and what the market remembers and settled."""
    rng = np.random.default_rng(3)
    env.reset(seed=7)
    rows: list[tuple[Any, ...]] = []
    for _ in range(env.market.scenario.periods):
        step = env.step(rng.uniform(-1.2, 1.2, env.market.catalogue.size))
        assert env.state is not None
        assert env.settlement is not None
        rows.append((*step, env.state, env.settlement))
    return rows


@pytest.mark.parametrize("scenario", ["day", "scarce", "public", "population", "city"])
def test_one_kernel_gives_the_day_that_its_parts_give(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env, parts = LMaaSEnv(scenario), LMaaSEnv(scenario)
    monkeypatch.setattr(parts.market, "customers", SettledByParts())
    for whole, composed in zip(day_of(env), day_of(parts), strict=True):
        np.testing.assert_array_equal(whole[0], composed[0])
        assert whole[1:4] == pytest.approx(composed[1:4], rel=1e-12)
        assert whole[4].keys() == composed[4].keys()
        for values, others in ((whole[4].values(), composed[4].values()), *zip(whole[5:], composed[5:], strict=True)):
            for value, other in zip(values, others, strict=True):
                np.testing.assert_allclose(value, other, rtol=1e-12, atol=1e-12)
                assert np.shape(value) == np.shape(other)
                assert np.asarray(value).dtype == np.asarray(other).dtype


def test_an_impossible_state_is_refused_and_the_day_stays_where_it_was() -> None:
    env = LMaaSEnv("day")
    env.reset(seed=0)
    assert env.state is not None
    env.state.charge[3] = np.nan
    for _ in range(2):
        with pytest.raises(ValueError, match="energy"):
            env.step(np.zeros(4))
        assert env.state.hour == 0
    env.state.charge[3] = 10.0
    env.step(np.zeros(4))


@pytest.mark.parametrize("action", [[1e200, 0.0, 0.0, -1e200], [1.0, 1.0, 1.0, 7.0]])
def test_huge_actions_are_clipped_not_refused(action: list[float]) -> None:
    env = LMaaSEnv("day")
    env.reset(seed=0)
    *_, info = env.step(action)
    assert info["prices"].max() == 40.0
    assert info["clipped_share"] > 0.0
