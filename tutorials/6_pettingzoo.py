"""Tutorial 6: the market as a PettingZoo environment with one agent (python tutorials/6_pettingzoo.py)."""

from typing import ClassVar

from pettingzoo import ParallelEnv
from pettingzoo.test import parallel_api_test

from lmaas_env.env import LMaaSEnv


class LMaaSParallelEnv(ParallelEnv):
    """The seller is the only agent: customers respond to prices by RSR, exactly, and do not learn."""

    metadata: ClassVar = {"name": "lmaas_v0", "is_parallelizable": True}
    possible_agents: ClassVar = ["seller"]

    def __init__(self, **kwargs) -> None:
        self.env = LMaaSEnv(**kwargs)
        self.agents: list[str] = []
        self.render_mode = self.env.render_mode

    def observation_space(self, agent):
        """Return the seller's observation space."""
        return self.env.observation_space

    def action_space(self, agent):
        """Return the seller's action space."""
        return self.env.action_space

    def reset(self, seed=None, options=None):
        """Start a day."""
        self.agents = ["seller"]
        observation, info = self.env.reset(seed=seed, options=options)
        return {"seller": observation}, {"seller": info}

    def step(self, actions):
        """Post prices for one hour."""
        results = self.env.step(actions["seller"])
        if results[2]:  # the day is over
            self.agents = []
        return tuple({"seller": result} for result in results)


env = LMaaSParallelEnv(scenario="day")
parallel_api_test(env, num_cycles=100)
observations, _ = env.reset(seed=0)
total = 0.0
while env.agents:
    observations, rewards, *_ = env.step({"seller": [0.2, 0.2, 0.2, 0.2]})
    total += rewards["seller"]
print(f"one day at constant prices: {total:.4f} $ per customer")
