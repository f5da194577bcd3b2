"""Rollouts stay what they were: profits to 1e-9 and choices exactly, on every platform and Python.

A change that is meant to change results writes them anew: `make golden`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lmaas_env import ENVIRONMENTS
from lmaas_env.engine import parallel
from lmaas_env.market import LEAST_LANES
from tests.golden import TOLERANCE, check, golden, names, vector_rollouts

ROOT = Path(__file__).parents[2]


def test_every_environment_and_shipped_policy_has_a_golden_rollout() -> None:
    assert list(golden()) == names()
    assert all(rows for rows in golden().values())


@pytest.mark.parametrize("name", names())
def test_a_rollout_is_the_golden_one(name: str) -> None:
    check(name, golden()[name])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("env_id", list(ENVIRONMENTS))
def test_lanes_are_golden_in_one_thread_and_in_two(env_id: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "thread_count", lambda: threads)
    for seed, profits in vector_rollouts(env_id, LEAST_LANES if env_id in ("LMaaS-v0", "LMaaS-Mini-v0") else 1):
        expected = [profit for profit, *_ in golden()[f"{env_id} {seed}"]]
        np.testing.assert_allclose(profits, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_rollouts_are_golden_without_the_compiler() -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-m", "tests.golden", "check"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
