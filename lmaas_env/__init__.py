"""LMaaS: pricing large models as a service, as a reinforcement-learning benchmark.

Importing the package registers its environments with Gymnasium.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import gymnasium as gym

from lmaas_env.catalogue import Catalogue
from lmaas_env.env import LMaaSEnv
from lmaas_env.market import Market
from lmaas_env.population import Population
from lmaas_env.scenario import Scenario
from lmaas_env.state import Draws, Settlement, State
from lmaas_env.terms import RentalTerms
from lmaas_env.vector_env import LMaaSVectorEnv

if TYPE_CHECKING:
    from lmaas_env.pettingzoo_env import LMaaSParallelEnv

__version__ = "0.1.0"
__all__ = [
    "Catalogue",
    "Draws",
    "LMaaSEnv",
    "LMaaSVectorEnv",
    "Market",
    "Population",
    "RentalTerms",
    "Scenario",
    "Settlement",
    "State",
    "parallel_env",
]

ENVIRONMENTS = {
    "LMaaS-v0": "day",  # 24 customers, 4 models, 24 hours: batteries couple the hours
    "LMaaS-Static-v0": "static",  # the paper's one-shot game
    "LMaaS-Scarce-v0": "scarce",  # half the harvest: looking ahead pays most
    "LMaaS-Abundant-v0": "abundant",  # batteries never run out: looking ahead pays nothing
    "LMaaS-Public-v0": "public",  # the seller sees the clock and its own sales only
    "LMaaS-City-v0": "city",  # 1000 customers
    "LMaaS-Population-v0": "population",  # the population is resampled every episode, and seen
    "LMaaS-Rival-v0": "rivals",  # a second seller replies to the prices of the first
    "LMaaS-Unknown-v0": "unknown",  # strangers in a region that is hidden: the seller learns while it sells
    "LMaaS-Drift-v0": "drift",  # the region drifts, customers come and go
    "LMaaS-Mini-v0": "mini",  # small enough to be solved exactly: to debug learners
}

# Mean return of a good reference seller on 40 held-out days, $ per customer: look-ahead IMP, its plan on `public` and
# `city` (10 days), IMP on `static`, the exact optimum on `mini`, Thompson-IMP on `unknown` (200 episodes) and `drift`;
# on `rivals` the fast replies of IMP on 16 tuning days (docs/environment.md).
REWARD_THRESHOLDS = {
    "day": 74.0,
    "static": 3.37,
    "scarce": 69.7,
    "abundant": 81.9,
    "public": 71.0,
    "city": 66.3,
    "population": 61.5,
    "rivals": 15.5,
    "unknown": 232.0,
    "drift": 780.0,
    "mini": 41.3,
}
STEP_LIMIT = 8761  # beyond the longest day of any scenario: it never truncates, but TimeAwareObservation needs one


def parallel_env(
    scenario: Scenario | str | os.PathLike[str] = "rivals",
    population_seed: int = 0,
    observation: str | None = None,
    customers: str = "rsr",
    render_mode: str | None = None,
) -> LMaaSParallelEnv:
    """Return the market of several sellers as a PettingZoo ParallelEnv (`lmaas_env.pettingzoo_env`).

    Without PettingZoo installed the environment has the same methods, but is not an instance of its class.
    """
    from lmaas_env.pettingzoo_env import LMaaSParallelEnv

    return LMaaSParallelEnv(scenario, population_seed, observation, customers, render_mode)


def _register() -> None:
    for env_id, scenario in ENVIRONMENTS.items():
        if env_id not in gym.registry:
            gym.register(  # pyright: ignore
                env_id,
                entry_point="lmaas_env.env:LMaaSEnv",
                vector_entry_point="lmaas_env.vector_env:LMaaSVectorEnv",
                reward_threshold=REWARD_THRESHOLDS[scenario],
                max_episode_steps=STEP_LIMIT,
                kwargs={"scenario": scenario},
            )


_register()
