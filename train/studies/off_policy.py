"""`lmaas study off-policy`: SAC and TQC from scratch beside IMP, on the held-out days of the other tables.

Stable-Baselines3's SAC and sb3-contrib's TQC train a flat perceptron on the days of each training seed. Differences to
IMP are paired by day.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from lmaas_agents import IMP
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.evaluation.statistics import seeds_and_days
from lmaas_train.runs import csv_text, market_settings, results_folder
from lmaas_train.sweeps.parts import EngineOptions, rows_of
from rich.console import Console

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.seeds import held_out_seeds, training_seeds
from lmaas_env.vector_env import LMaaSVectorEnv

if TYPE_CHECKING:
    from sb3_contrib import TQC
    from stable_baselines3 import SAC

ALGORITHMS = ("sac", "tqc")
HEADINGS = (
    *("seller", "seeds", "steps", "profit", "profit_low", "profit_high", "minus_imp", "minus_imp_low"),
    *("minus_imp_high", "share_of_imp", "share_of_imp_low", "share_of_imp_high", "minutes_per_seed"),
)


@dataclasses.dataclass
class StudyOffPolicy(EngineOptions):
    """Train SAC and TQC from several seeds and compare them with IMP on held-out days.

    Writes table.csv and runs.csv. TQC needs `pip install sb3-contrib`.

    Examples
    --------
      lmaas study off-policy
      lmaas study off-policy --algorithms sac --seeds 1 --steps 10000
    """

    scenario: str = "day"
    """Preset or YAML file."""
    algorithms: tuple[str, ...] = ALGORITHMS
    """Of sac, tqc."""
    seeds: int = 3
    """Number of training seeds: 1, 2, ..."""
    steps: int = 100_000
    """Training steps of all environments together."""
    lanes: int = 16
    """Environments that are stepped together."""
    updates: int = 8
    """Gradient steps after each of their steps."""
    days: int = 200
    """Held-out days."""
    out: Path | None = None
    """New folder for the results; default runs/study-off-policy-TIME."""

    def main(self) -> list[list[object]]:
        """Run the study and return the rows of its table."""
        return study(self)


def study(args: StudyOffPolicy) -> list[list[object]]:
    """Run the study as `StudyOffPolicy` says and return the rows of its table."""
    unknown = [name for name in args.algorithms if name not in ALGORITHMS]
    if unknown or not args.algorithms:
        raise ValueError(f"algorithms = {args.algorithms} must be of {', '.join(ALGORITHMS)}")
    for name in ("seeds", "steps", "lanes", "updates", "days"):
        if getattr(args, name) < 1:
            raise ValueError(f"{name} = {getattr(args, name)} must be >= 1")
    if "tqc" in args.algorithms and importlib.util.find_spec("sb3_contrib") is None:
        raise ValueError("sb3_contrib is not installed, which tqc needs: pip install sb3-contrib")
    market, held_out = Market(args.scenario), held_out_seeds(args.days)
    names = "steps", "lanes", "updates", "days"
    settings = {**market_settings(market), **{name: getattr(args, name) for name in names}}
    rows: list[list[object]] = []
    runs: list[list[object]] = []
    pairs, engine = [*itertools.product(args.algorithms, range(1, args.seeds + 1))], args.new_engine()
    parts = {f"{name} {seed}": (name, market, seed, args) for name, seed in pairs}
    with results_folder(args.out, "study-off-policy", {"study": "off-policy", **settings}) as results:
        imp = rollout(market, IMP(market), held_out).day_profit
        found = dict(zip(pairs, rows_of(results, engine, _sold, parts, Console(), "trainings", "runs"), strict=True))
        for name in args.algorithms:
            profits, seconds = list[np.ndarray](), 0.0
            for seed in range(1, args.seeds + 1):
                ((took, *earned),) = found[name, seed]
                profits.append(np.array(earned))
                seconds += took
                mean = profits[-1].mean()
                runs.append([name, seed, args.steps, mean])
                print(f"{name} seed {seed}: {mean:.1f} $ a day, {mean / imp.mean():.3f} of IMP")
            profit = np.stack(profits)
            minus = seeds_and_days(profit - imp)
            share = [profit.mean() / imp.mean(), *(1.0 + end / imp.mean() for end in (minus.low, minus.high))]
            minutes = seconds / 60.0 / args.seeds
            rows.append([name, args.seeds, args.steps, *seeds_and_days(profit), *minus, *share, minutes])
        write_whole(results.folder / "table.csv", csv_text(HEADINGS, rows))
        write_whole(results.folder / "runs.csv", csv_text(["seller", "training_seed", "steps", "profit"], runs))
    print(f"files in {results.folder}: table.csv, runs.csv")
    return rows


def _sold(name: str, market: Market, seed: int, args: StudyOffPolicy) -> list[list[float]]:
    """Return a row: the seconds that training and selling took, then the profit of each held-out day."""
    import torch

    torch.set_num_threads(1)
    began = time.perf_counter()
    profit = rollout(market, trained(name, market, seed, args), held_out_seeds(args.days)).day_profit
    return [[time.perf_counter() - began, *profit.tolist()]]


def trained(name: str, market: Market, seed: int, args: StudyOffPolicy) -> SAC | TQC:
    """Return a model trained on the days of a training seed."""
    from lmaas_train.sb3.vec_env import LMaaSVecEnv
    from stable_baselines3 import SAC
    from stable_baselines3.common.vec_env import VecMonitor

    algorithm: type[SAC] | type[TQC] = SAC
    if name == "tqc":
        from sb3_contrib import TQC

        algorithm = TQC
    lanes = VecMonitor(LMaaSVecEnv(LMaaSVectorEnv(args.lanes, market=market, autoreset_mode="SameStep")))
    model = algorithm(
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
