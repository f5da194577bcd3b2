"""Tutorial 6: PPO of RLlib. Ray pins its own Gymnasium and needs a separate environment; see the docs page.

Run: python tutorials/6_rllib.py, or with --iterations 2 --days 2 for a short trial. With --out FOLDER it writes the
learning curve and what `lmaas compare` writes.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from lmaas_agents import IMP
from lmaas_train import batched, evaluate
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.runs import csv_text, results_folder, versions
from ray import __version__ as ray_version
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.tune.registry import register_env

from lmaas_env.env import LMaaSEnv
from lmaas_env.files import write_whole
from lmaas_env.seeds import tuning_seeds

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--scenario", default="scarce", help="preset with four models")
parser.add_argument("--iterations", type=int, default=50, help="of 4032 steps each")
parser.add_argument("--days", type=int, default=40, help="held-out days")
parser.add_argument("--out", type=Path, help="new folder for the results")
args = parser.parse_args()
torch.set_num_threads(1)  # more threads slow down networks of this size

register_env("LMaaS", lambda config: LMaaSEnv(**config))  # workers import this file: no gym.make needed there
config = (
    PPOConfig()
    .environment("LMaaS", env_config={"scenario": args.scenario})
    .env_runners(num_env_runners=0, num_envs_per_env_runner=8)  # all in this process
    .training(train_batch_size_per_learner=4032, minibatch_size=504, num_epochs=10, lr=1e-3, gamma=0.95, lambda_=0.8)
    .debugging(seed=1, log_level="ERROR")
)
algorithm = config.build_algo()


@batched
def policy(observation):
    """Return the means of the actions (K, 4) at observations (K, D)."""
    with torch.no_grad():
        out = algorithm.get_module().forward_inference({Columns.OBS: torch.as_tensor(np.asarray(observation))})
    return out[Columns.ACTION_DIST_INPUTS][:, :4].numpy().clip(-1.0, 1.0)  # followed by log standard deviations


market, curve, minutes = LMaaSEnv(args.scenario).market, [], 0.0
days = tuning_seeds(16)
reference = rollout(market, IMP(market), days).day_profit.mean()
for iteration in range(1, args.iterations + 1):
    began = time.process_time()
    result = algorithm.train()
    minutes += (time.process_time() - began) / 60.0
    if iteration % max(1, args.iterations // 10) == 0:
        steps = int(result["env_runners"]["num_env_steps_sampled_lifetime"])
        share = rollout(market, policy, days).day_profit.mean() / reference
        curve.append([steps, minutes, share])
        print(f"{steps:8d} steps, {minutes:4.1f} minutes of processor: {share:.3f} of IMP on tuning days", flush=True)

found = evaluate({"rllib-ppo": policy}, args.scenario, days=args.days, sell_anchors=False, progress=False)
print(found)
if args.out is not None:
    with results_folder(args.out, "") as results:
        write_whole(results.folder / "curve.csv", csv_text(["steps", "processor_minutes", "share_of_imp"], curve))
        write_whole(results.folder / "versions.json", json.dumps({**versions(), "ray": ray_version}, indent=2) + "\n")
        found.write(results.folder)
own = found["rllib-ppo"]
print(f"{args.days} held-out days: RLlib {own.profit.mean:.0f} $, ratio {own.share_of_imp:.3f}")
algorithm.stop()
