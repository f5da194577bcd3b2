"""One off-policy line beside PPO: SB3's SAC and sb3-contrib's TQC, from scratch, a flat perceptron, fair days.

Trains on the days of each training seed, scores on the held-out days of all other tables, paired with IMP, and writes
table.csv, runs.csv and origin.json:

    python benchmarks/off_policy.py --algorithms sac --seeds 3 --out benchmarks/learned/off-policy/sac
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import torch
import tyro
from lmaas_agents import IMP
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.evaluation.statistics import seeds_and_days
from lmaas_train.ppo.vec_env import LMaaSVecEnv
from lmaas_train.runs import csv_text, new_folder, write_origin
from sb3_contrib import TQC
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import VecMonitor

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.seeds import held_out_seeds, training_seeds
from lmaas_env.vector_env import LMaaSVectorEnv

ALGORITHMS = {"sac": SAC, "tqc": TQC}


@dataclasses.dataclass
class OffPolicy:
    """Train SAC and TQC from several seeds and score them beside IMP on held-out days."""

    scenario: str = "day"
    """Preset or YAML file."""
    algorithms: tuple[str, ...] = ("sac", "tqc")
    """Of sac, tqc."""
    seeds: int = 3
    """Training seeds 1, 2, ..."""
    steps: int = 100_000
    """Of all lanes together."""
    lanes: int = 16
    """Environments that are stepped together."""
    updates: int = 8
    """Gradient steps after each of their steps."""
    days: int = 200
    """Held-out days."""
    out: Path | None = None
    """New folder for the results; default runs/off-policy-TIME."""


def main(args: OffPolicy) -> None:
    """Train and score."""
    torch.set_num_threads(1)
    out, market, held_out = new_folder(args.out, "off-policy"), Market(args.scenario), held_out_seeds(args.days)
    imp = rollout(market, IMP(market), held_out).day_profit
    rows, runs = [], []
    for name in args.algorithms:
        profits, began = [], time.perf_counter()
        for seed in range(1, args.seeds + 1):
            model = trained(name, market, seed, args)
            profits.append(rollout(market, model, held_out).day_profit)
            runs.append([name, seed, args.steps, profits[-1].mean()])
            print(f"{name} seed {seed}: {profits[-1].mean():.1f} $ a day, {profits[-1].mean() / imp.mean():.3f} of IMP")
        profit = np.stack(profits)
        minus = seeds_and_days(profit - imp)
        share = [profit.mean() / imp.mean(), *(1.0 + end / imp.mean() for end in (minus.low, minus.high))]
        minutes = (time.perf_counter() - began) / 60.0 / args.seeds
        rows.append([name, args.seeds, args.steps, *seeds_and_days(profit), *minus, *share, minutes])
    headings = ["seller", "seeds", "steps", "profit", "profit_low", "profit_high", "minus_imp", "minus_imp_low"]
    headings += ["minus_imp_high", "share_of_imp", "share_of_imp_low", "share_of_imp_high", "minutes_per_seed"]
    write_whole(out / "table.csv", csv_text(headings, rows))
    write_whole(out / "runs.csv", csv_text(["seller", "training_seed", "steps", "profit"], runs))
    write_origin(out)
    print(f"results {out}")


def trained(name: str, market: Market, seed: int, args: OffPolicy) -> SAC | TQC:
    """Return a model trained on the days of a training seed."""
    lanes = VecMonitor(LMaaSVecEnv(LMaaSVectorEnv(args.lanes, market=market, autoreset_mode="SameStep")))
    model = ALGORITHMS[name](
        "MlpPolicy",
        lanes,
        learning_rate=1e-3,
        buffer_size=max(args.steps, args.lanes),
        learning_starts=min(2_400, args.steps // 2),
        batch_size=256,
        gamma=0.95,
        train_freq=1,
        gradient_steps=args.updates,
        policy_kwargs={"net_arch": [64, 64]},
        seed=seed,
        device="cpu",
    )
    lanes.seed(training_seeds(seed, args.lanes)[0])  # lane i gets the seed + i; the constructor has just seeded them
    return model.learn(args.steps)


if __name__ == "__main__":
    main(tyro.cli(OffPolicy))
