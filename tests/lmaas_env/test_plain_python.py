"""Without numba's compiler the kernels are plain Python functions: they give what the compiled ones give.

Run as a program, this file writes what the checks compare; the tests run it once with the compiler and once without.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from lmaas_env import ENVIRONMENTS, Market
from lmaas_env.rsr import rent, solve

CITY = "LMaaS-City-v0"
PERIODS = {  # of which the first are compared; a night, in which customers leave and come, ends the first day of drift
    **dict.fromkeys(ENVIRONMENTS, 6),
    "LMaaS-Drift-v0": 25,
    CITY: 2,  # 1000 customers
    "LMaaS-Rival-v0": 2,  # a rival searches its prices
}
EXACT = ("choice", "customers_per_model", "faded", "terminated")  # the rest may differ by rounding
Arrays = dict[str, np.ndarray]


def day_of(env_id: str, periods: int) -> Arrays:
    """What the first periods of a day at drawn actions bring, each as an array with a leading axis of periods."""
    env, rng = gym.make(env_id), np.random.default_rng(5)
    observation, _ = env.reset(seed=3)
    unwrapped: Any = env.unwrapped
    rows: list[dict[str, Any]] = []
    for _ in range(min(periods, unwrapped.market.scenario.periods)):
        seen, reward, terminated, _, info = env.step(rng.uniform(-1.1, 0.2, env.action_space.shape).astype(np.float32))
        row = {"observation": seen, "reward": reward, "terminated": terminated}
        rows.append(row | info | unwrapped.settlement._asdict() | unwrapped.state._asdict())
    return {"first_observation": observation} | {name: np.array([row[name] for row in rows]) for name in rows[0]}


def rsr_of_a_market() -> Arrays:
    """What `lmaas_env.rsr` answers for a day's terms with batteries from empty to full."""
    market, rng = Market("day", seed=1), np.random.default_rng(0)
    state = market.initial_state(rng)
    charge = market.population.capacity * rng.choice([0.0, 0.02, 0.1, 1.0], market.population.size)
    terms, prices = market.terms(state._replace(hour=15, charge=charge)), rng.uniform(2.0, 12.0, 4)
    result = solve(terms, prices)
    rental = rent(terms, result.choice, prices, rng.random((terms.size, 6)) < 0.3)
    return result._asdict() | rental._asdict()


def all_of(periods: dict[str, int]) -> Arrays:
    """Everything that is compared, by names like ``LMaaS-v0/reward``; ``periods`` says how many of each environment."""
    found = {f"rsr/{name}": array for name, array in rsr_of_a_market().items()}
    for env_id, count in periods.items():
        found |= {f"{env_id}/{name}": array for name, array in day_of(env_id, count).items()}
    return found


def assert_same_without_compiler(periods: dict[str, int], folder: Path) -> None:
    """Compare what this process computes with the compiler and another one without."""
    file = folder / "plain.npz"
    command = [sys.executable, __file__, str(file), json.dumps(periods)]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as without:
        compiled = all_of(periods)
        _, errors = without.communicate()
    assert without.returncode == 0, errors
    plain: Arrays = dict(np.load(file))
    assert compiled.keys() == plain.keys()
    for name, array in compiled.items():
        if name.split("/")[1] in EXACT:
            np.testing.assert_array_equal(plain[name], array, err_msg=name)
        else:
            np.testing.assert_allclose(plain[name], array, rtol=1e-9, atol=1e-9, err_msg=name)
    choices = [array for name, array in compiled.items() if name.endswith("/choice")]
    assert all(array.max() >= 0 for array in choices)
    assert any(array.min() == -1 for array in choices)


def test_rsr_and_every_environment_are_the_same_without_the_compiler(tmp_path: Path) -> None:
    assert_same_without_compiler(PERIODS, tmp_path)


@pytest.mark.heavy
def test_whole_days_are_the_same_without_the_compiler(tmp_path: Path) -> None:
    assert_same_without_compiler(dict.fromkeys(ENVIRONMENTS, 25), tmp_path)


if __name__ == "__main__":
    with np.errstate(all="ignore"):  # `where` computes both of its branches
        np.savez(sys.argv[1], **all_of(json.loads(sys.argv[2])))
