"""Tutorial 6: PPO of RLlib. Ray pins its own Gymnasium and needs a separate environment; see the docs page.

Run: python tutorials/6_rllib.py, or with --iterations 2 for a short trial.
"""

import argparse

import numpy as np
import torch
from lmaas_agents import IMP
from lmaas_train.evaluation.rollout import rollout
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.tune.registry import register_env

from lmaas_env.env import LMaaSEnv
from lmaas_env.seeds import held_out_seeds

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--iterations", type=int, default=25, help="of 4032 steps each")
parser.add_argument("--days", type=int, default=20, help="held-out days")
args = parser.parse_args()
torch.set_num_threads(1)  # more threads slow down networks of this size

register_env("LMaaS", lambda config: LMaaSEnv(**config))  # workers import this file: no gym.make needed there
config = (
    PPOConfig()
    .environment("LMaaS", env_config={"scenario": "day"})
    .env_runners(num_env_runners=0, num_envs_per_env_runner=8)
    .training(train_batch_size_per_learner=4032, minibatch_size=504, num_epochs=10, lr=1e-3, gamma=0.95, lambda_=0.8)
    .debugging(seed=1, log_level="ERROR")
)
algorithm = config.build_algo()
for iteration in range(args.iterations):
    result = algorithm.train()
    if iteration % max(1, args.iterations // 5) == 0:
        mean = result["env_runners"]["episode_return_mean"]  # $ per customer
        print(f"iteration {iteration:3d}  mean day {24 * mean:6.0f} $", flush=True)


class RLlibSeller:
    """RLlib's policy with the `predict` of a seller."""

    def __init__(self) -> None:
        self.module = algorithm.get_module()

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        """Return the means of the policy's actions."""
        with torch.no_grad():
            out = self.module.forward_inference({Columns.OBS: torch.as_tensor(np.atleast_2d(observation))})
        means = out[Columns.ACTION_DIST_INPUTS][:, :4].numpy()  # followed by the log standard deviations
        return means.reshape(*np.shape(observation)[:-1], 4), state


market = LMaaSEnv("day").market
seeds = held_out_seeds(args.days)
earned = rollout(market, RLlibSeller(), seeds).day_profit.mean()
reference = rollout(market, IMP(market), seeds).day_profit.mean()
print(f"{args.days} held-out days: RLlib {earned:.0f} $, IMP {reference:.0f} $, ratio {earned / reference:.3f}")
algorithm.stop()
