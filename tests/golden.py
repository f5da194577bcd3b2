"""Golden rollouts: profits and choices of fixed days, kept in ``golden.json``, which every platform has to give again.

``python -m tests.golden`` writes the file anew (`make golden`), after a change that is meant to change results;
``python -m tests.golden check`` compares the cheap part of it, as the tests do without numba's compiler.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from lmaas_agents import IMP, LookaheadIMP, PredictiveIMP, PublicIMP, Seller, load_policy
from lmaas_agents.learned.policy_file import shipped_policies

from lmaas_env import ENVIRONMENTS, Market
from lmaas_env.env import LMaaSEnv
from lmaas_env.files import write_whole
from lmaas_env.types import FloatArray
from lmaas_env.vector_env import LMaaSVectorEnv

FILE = Path(__file__).with_name("golden.json")
TOLERANCE = 1e-9  # of profits, relative and in $
SEEDS = (3, 4)
PERIODS = 26  # at most: more than a day, so that customers leave and come in `LMaaS-Drift-v0`
FEW_PERIODS = {"LMaaS-City-v0": 2}  # it has 1000 customers
SELLERS: dict[str, tuple[str, Callable[[Market], Seller]]] = {
    "imp": ("LMaaS-v0", IMP),
    "imp on static": ("LMaaS-Static-v0", IMP),
    "imp on scarce": ("LMaaS-Scarce-v0", IMP),
    "public-imp": ("LMaaS-Public-v0", PublicIMP),
    "predictive-imp": ("LMaaS-Rival-v0", PredictiveIMP),
    "lookahead": ("LMaaS-Mini-v0", LookaheadIMP),
}
IDS = {scenario: env_id for env_id, scenario in ENVIRONMENTS.items()}
POLICIES = {name: IDS[load_policy(name).spec.scenario["name"]] for name in shipped_policies()}
CHEAP = ("LMaaS-v0", "LMaaS-Static-v0", "LMaaS-Unknown-v0")  # environments that are quick without the compiler


def actions_of(seed: int, periods: int, models: int) -> FloatArray:
    """Random actions (H, M), at which most customers rent."""
    return np.random.default_rng(seed).uniform(-1.1, 0.2, (periods, models)).astype(np.float32)


def periods_of(env_id: str, market: Market) -> int:
    return min(FEW_PERIODS.get(env_id, PERIODS), market.scenario.periods)


def row(profit: float, customer_profit: float, choice: Sequence[int]) -> list[Any]:
    """One period: the seller's and the customers' profit in $, and a digit per customer, "-" for no model."""
    return [float(profit), float(customer_profit), "".join("-" if m < 0 else str(m) for m in choice)]


def scalar_rollout(env_id: str, seed: int) -> list[Any]:
    env: LMaaSEnv = gym.make(env_id).unwrapped  # pyright: ignore
    env.reset(seed=seed)
    rows = []
    for action in actions_of(seed, periods_of(env_id, env.market), env.market.catalogue.size):
        info = env.step(action)[4]
        assert env.settlement is not None
        rows.append(row(info["profit"], info["customer_profit"], env.settlement.choice))
    return rows


def seller_rollout(env_id: str, make: Callable[[Market], Seller]) -> list[Any]:
    env: LMaaSEnv = gym.make(env_id).unwrapped  # pyright: ignore
    seen, _ = env.reset(seed=SEEDS[0])
    seller, memory, rows = make(env.market), None, []
    for hour in range(periods_of(env_id, env.market)):
        action, memory = seller.predict(seen, state=memory, episode_start=np.array([hour == 0]), deterministic=True)
        seen, _, _, _, info = env.step(action)
        assert env.settlement is not None
        rows.append(row(info["profit"], info["customer_profit"], env.settlement.choice))
    return rows


def vector_rollouts(env_id: str, copies: int) -> Iterator[tuple[int, list[float]]]:
    """Yield seed and profits of every lane of an environment that runs each seed so many times, side by side."""
    seeds = SEEDS * copies
    env: LMaaSVectorEnv = gym.make_vec(env_id, len(seeds), vectorization_mode="vector_entry_point").unwrapped  # pyright: ignore
    env.reset(seed=seeds)
    periods = periods_of(env_id, env.market)
    actions = np.stack([actions_of(seed, periods, env.market.catalogue.size) for seed in seeds], axis=1)
    profits = np.array([env.step(action)[4]["profit"] for action in actions])
    yield from zip(seeds, profits.T.tolist(), strict=True)


def rollouts_of(name: str) -> list[Any]:
    """What the file holds by a name: an environment and a seed, a seller, or a shipped policy."""
    if name in SELLERS:
        return seller_rollout(*SELLERS[name])
    if name in POLICIES:
        return seller_rollout(POLICIES[name], lambda _: load_policy(name))
    env_id, seed = name.split(" ")
    return scalar_rollout(env_id, int(seed))


def names() -> list[str]:
    return [*(f"{env_id} {seed}" for env_id in ENVIRONMENTS for seed in SEEDS), *SELLERS, *POLICIES]


def golden() -> dict[str, list[Any]]:
    return json.loads(FILE.read_text(encoding="utf-8"))


def check(name: str, expected: list[Any]) -> None:
    """Raise an AssertionError if choices differ, or profits by more than the tolerance."""
    found = rollouts_of(name)
    assert [choice for *_, choice in found] == [choice for *_, choice in expected], name
    profits = ([numbers for *numbers, _ in rows] for rows in (found, expected))
    np.testing.assert_allclose(*profits, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)


def main(arguments: list[str]) -> None:
    if arguments == ["check"]:
        known = golden()
        for env_id in CHEAP:
            check(f"{env_id} {SEEDS[0]}", known[f"{env_id} {SEEDS[0]}"])
        return
    lines = [f"{json.dumps(name)}: {json.dumps(rollouts_of(name))}" for name in names()]
    write_whole(FILE, "{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    with np.errstate(all="ignore"):  # `where` computes both of its branches
        main(sys.argv[1:])
