"""LMaaS: pricing large models as a service, as a reinforcement-learning benchmark.

Importing the package registers its environments with Gymnasium.
"""

from __future__ import annotations

import gymnasium as gym

from lmaas_env.catalogue import Catalogue
from lmaas_env.market import Market
from lmaas_env.population import Population
from lmaas_env.scenario import Scenario
from lmaas_env.state import Draws, Settlement, State
from lmaas_env.terms import RentalTerms

__version__ = "0.1.0"
__all__ = ["Catalogue", "Draws", "Market", "Population", "RentalTerms", "Scenario", "Settlement", "State"]

ENVIRONMENTS = {
    "LMaaS-v0": "day",  # 24 customers, 4 models, 24 hours: batteries couple the hours
    "LMaaS-Static-v0": "static",  # the paper's one-shot game
    "LMaaS-Scarce-v0": "scarce",  # half the harvest: looking ahead pays most
    "LMaaS-Abundant-v0": "abundant",  # batteries never run out: looking ahead pays nothing
    "LMaaS-Public-v0": "public",  # the seller sees the clock and its own sales only
    "LMaaS-City-v0": "city",  # 1000 customers
    "LMaaS-Population-v0": "population",  # other customers every day: the seller sees who they are
}


def _register() -> None:
    for env_id, scenario in ENVIRONMENTS.items():
        if env_id not in gym.registry:
            gym.register(  # pyright: ignore
                env_id,
                entry_point="lmaas_env.env:LMaaSEnv",
                vector_entry_point="lmaas_env.vector_env:LMaaSVectorEnv",
                kwargs={"scenario": scenario},
            )


_register()
