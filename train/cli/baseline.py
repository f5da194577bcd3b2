"""`lmaas train baseline`: a learner of an RL library, an offline or an evolutionary one, and its score."""

from __future__ import annotations

import dataclasses
import importlib
import io
import time
from pathlib import Path
from typing import Any

import torch
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_agents.learned.policy_file import save_policy
from lmaas_train.baselines.config import OFFLINE, ONLINE, BaselineConfig
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.runs import MODEL
from lmaas_train.settings import from_yaml
from lmaas_train.training import (
    check_options,
    finish,
    imp_profit,
    run_folder,
    score_of,
    write_evaluation,
    write_settings,
)
from tqdm import tqdm

from lmaas_env.files import write_whole
from lmaas_env.market import Market
from lmaas_env.scenario import Scenario
from lmaas_env.seeds import training_seeds, tuning_seeds


@dataclasses.dataclass
class TrainBaseline:
    """Train SAC, TQC, CrossQ, recurrent PPO, CMA-ES, behaviour cloning or IQL, for comparison with PPO from scratch.

    The run folder gets the policy, or the model of SB3 (model.zip), its learning curve on tuning days
    (evaluations.csv), all settings, and report.html, in which it is compared with IMP on held-out days.

    Examples
    --------
      lmaas train baseline
      lmaas train baseline scarce --seed 2 --steps 20000
      lmaas train baseline --config my-settings.yaml
    """

    scenario: str = "day"
    """Preset or YAML file."""
    population_seed: int = 0
    """Which customers; 0 reads those that ship with the package."""
    steps: int = 40_000
    """Periods to train on, in all lanes together (rounded up to whole updates); of bc and iql: gradient steps."""
    seed: int = 1
    """Training seed, 1 to 499: its days are no other training seed's."""
    config: Path | None = None
    """Algorithm and hyper-parameters: a YAML file, or a run's config.yaml; by default SAC."""
    out: Path | None = None
    """New run folder; default runs/SCENARIO-ALGORITHM-seedSEED-TIME."""
    eval_every: int = 10_000
    """Steps between two evaluations on tuning days."""
    tuning_days: int = 20
    """Tuning days per evaluation."""
    eval_days: int = 40
    """Held-out days of the final score."""
    progress: bool = True
    """Show a progress bar when the output is a terminal."""

    def main(self) -> Path:
        """Train and return the run folder."""
        return train(self)


def train(args: TrainBaseline) -> Path:
    """Train as `TrainBaseline` says and return the run folder; nothing is written unless every setting is valid."""
    torch.set_num_threads(1)
    check_options(args)
    config = BaselineConfig() if args.config is None else from_yaml(BaselineConfig, args.config, "baseline")
    training_seeds(args.seed, 1)
    market = Market(Scenario.load(args.scenario), seed=args.population_seed)
    config.check(market)
    part = "online" if config.algorithm in ONLINE else "offline" if config.algorithm in OFFLINE else "evolution"
    name = f"{market.scenario.name}-{config.algorithm}-seed{args.seed}"
    with run_folder(args, name, lambda new: write_settings(new, args, market, baseline=config), logs=False) as folder:
        learn = importlib.import_module(f"lmaas_train.baselines.{part}").learn
        with _Curve(args, market, folder) as curve:
            policy = learn(market, config, args.steps, args.seed, curve.report)
            curve.evaluate(policy)

        def save(score: dict[str, Any]) -> None:
            if isinstance(policy, LearnedSeller):
                known = {"scores": {**curve.scores, "held_out": score}, "population_seed": args.population_seed}
                save_policy(folder, LearnedSeller(policy.weights, dataclasses.replace(policy.spec, **known)))
            else:
                policy.save(model := io.BytesIO())
                write_whole(folder / MODEL, model.getvalue())

        finish(folder, policy, market, args.eval_days, save, complete=True)
    return folder


class _Curve(tqdm):
    """The learning curve on tuning days, and the progress bar."""

    def __init__(self, args: TrainBaseline, market: Market, folder: Path) -> None:
        super().__init__(total=args.steps, unit="step", unit_scale=True, disable=None if args.progress else True)
        self.scores: dict[str, Any] = {}
        self._args, self._market, self._folder, self._next = args, market, folder, args.eval_every
        self._tuning, self._began, self._step = tuning_seeds(args.tuning_days), time.perf_counter(), 0
        self._imp = imp_profit(market, self._tuning)

    def report(self, step: int, policy: Any) -> None:
        """Take note of the steps so far and evaluate the policy, a model or what makes a seller, where it is time."""
        self.total = max(self.total, step)
        self.update(step - self._step)
        self._step = step
        if self._next <= step < self._args.steps:
            self._next += self._args.eval_every
            self.evaluate(policy if hasattr(policy, "predict") else policy())

    def evaluate(self, policy: Any) -> None:
        """Add a point to the learning curve, at the steps so far."""
        score = score_of(rollout(self._market, policy, self._tuning))
        self.scores["tuning"] = {"first_day_seed": self._tuning[0], "step": self._step, **score}
        write_evaluation(self._folder, self._step, time.perf_counter() - self._began, score, self._imp)
        self.set_postfix_str(f"{score['mean_day_profit'] / self._imp:.3f} of IMP")
