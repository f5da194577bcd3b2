"""Tutorial 3: your own market from a YAML file, and IMP in it (python tutorials/3_own_market.py)."""

from pathlib import Path

import gymnasium as gym
import numpy as np
from lmaas_agents import IMP

import lmaas_env  # registers the environments

file = Path(__file__).with_name("3_own_market.yaml")
env = gym.make("LMaaS-v0", scenario=file, population_seed=1)
market = env.unwrapped.market
print(f"{market}: an observation has {env.observation_space.shape[0]} numbers, an action {env.action_space.shape[0]}")

seller = IMP(market)
observation, _ = env.reset(seed=0)
profit, customers, terminated = 0.0, np.zeros(market.catalogue.size), False
while not terminated:
    action, _ = seller.predict(observation)
    observation, _, terminated, _, info = env.step(action)
    profit += info["profit"]
    customers += info["customers_per_model"]
rented = ", ".join(f"{name} {count:.0f}" for name, count in zip(market.catalogue.names, customers, strict=True))
print(f"IMP earns {profit:.2f} $ on this day; rentals: {rented}")

try:  # errors name the field (in a file, also the line)
    lmaas_env.Scenario.from_dict({"base": "day", "harvst": 0.06})
except ValueError as error:
    print(f"a typing error: {error}")
