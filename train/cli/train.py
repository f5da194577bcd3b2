"""`lmaas train`: PPO from scratch, its run folder with the learning curve, and its score on held-out days."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any, Literal

import torch
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_agents.learned.policy_file import save_policy
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.ppo import PPO
from lmaas_train.ppo_config import PPOConfig
from lmaas_train.runs import CONFIG
from lmaas_train.settings import from_yaml
from lmaas_train.snapshots import FILE, save_snapshot
from lmaas_train.tracking import Tracker, check_tracker, start_wandb
from lmaas_train.training import (
    check_options,
    ctrl_c,
    finish,
    forget_evaluations,
    imp_profit,
    interrupted,
    run_folder,
    score_of,
    write_evaluation,
    write_settings,
)
from tqdm import tqdm

from lmaas_env.market import Market
from lmaas_env.scenario import Scenario
from lmaas_env.seeds import tuning_seeds


@dataclasses.dataclass
class Train:
    """Train PPO from scratch: no plan, no teacher, no search. Ctrl-C stops it and keeps what was learned.

    The run folder gets the policy, its learning curve on tuning days (evaluations.csv), TensorBoard logs, all settings,
    and report.html, in which the policy is compared with IMP on held-out days.

    Examples
    --------
      lmaas train
      lmaas train scarce --seed 2 --steps 4000000
      lmaas train --resume runs/my-run
      lmaas train --track wandb
      lmaas compare --sellers lookahead fixed runs/my-run
    """

    scenario: str = "day"
    """Preset or YAML file."""
    population_seed: int = 0
    """Which customers; 0 reads those that ship with the package."""
    steps: int = 2_000_000
    """Periods to train on, in all lanes together (rounded up to whole updates)."""
    seed: int = 1
    """Training seed, 1 to 499: its days are no other training seed's."""
    config: Path | None = None
    """Hyper-parameters: a YAML file, or a run's config.yaml; by default those that were chosen on `day`."""
    out: Path | None = None
    """New run folder; default runs/SCENARIO-ppo-seedSEED-TIME."""
    eval_every: int = 60_000
    """Steps between two evaluations on tuning days."""
    tuning_days: int = 40
    """Tuning days per evaluation."""
    checkpoint_every: int = 100_000
    """Steps between two snapshots, from which an interrupted run goes on; the first comes at once."""
    eval_days: int = 40
    """Held-out days of the final score."""
    resume: Path | None = None
    """Run folder that was interrupted: goes on from its last snapshot, with the settings that it was started with."""
    track: Literal["tensorboard", "wandb"] = "tensorboard"
    """Where the learning curves go: TensorBoard logs, or Weights & Biases as well (needs the extra `wandb`)."""
    progress: bool = True
    """Show a progress bar when the output is a terminal."""

    def main(self) -> Path:
        """Train and return the run folder."""
        return train(self)


def train(args: Train) -> Path:
    """Train as `Train` says and return the run folder; nothing is written unless every setting is valid."""
    torch.set_num_threads(1)  # more threads make networks of this size slower, and results differ between machines
    snapshot: dict[str, Any] | None = None
    if args.resume is not None:
        args, market, config, snapshot = interrupted(args, PPOConfig, "ppo", ("learner", "beside"))
    else:
        check_options(args)
        market = Market(Scenario.load(args.scenario), seed=args.population_seed)
        config = PPOConfig() if args.config is None else from_yaml(PPOConfig, args.config, "ppo")
    check_tracker(args.track)
    learner = PPO(market, config, args.seed)
    name = f"{market.scenario.name}-ppo-seed{args.seed}"
    with run_folder(args, name, lambda new: write_settings(new, args, market, ppo=config)) as folder:
        run = _Run(args, learner, folder)
        if args.resume is not None:
            run.resume(snapshot)
        with ctrl_c(run.stop):
            run.train()
        if run.stopped:
            print(f"stopped after {learner.steps} steps; saving the policy as it is", flush=True)
            print(f"go on from the last snapshot with: lmaas train --resume {folder}", flush=True)

        def save(score: dict[str, Any]) -> None:
            run.scores["held_out"] = score
            save_policy(folder, run.seller())

        finish(folder, run.seller(), market, args.eval_days, save, complete=not run.stopped)
    return folder


class _Run:
    """A training with its progress bar, learning curve, TensorBoard logs and snapshots."""

    def __init__(self, args: Train, learner: PPO, folder: Path) -> None:
        self.args, self.learner, self.folder = args, learner, folder
        self.scores: dict[str, Any] = {}
        self.stopped = False
        self._seconds, self._next_evaluation, self._next_snapshot = 0.0, 0, 0  # the first snapshot comes at once
        self._tuning = tuning_seeds(args.tuning_days)
        self._imp = imp_profit(learner.market, self._tuning)

    def resume(self, snapshot: dict[str, Any] | None) -> None:
        """Go on from a snapshot, or from the start if there is none; evaluations after it are made again."""
        if snapshot is None:
            forget_evaluations(self.folder, after=-1)
            return
        self.learner.restore(snapshot["learner"])
        beside = json.loads(snapshot["beside"])
        self._seconds, self.scores = beside["seconds"], beside["scores"]
        self._next_evaluation, self._next_snapshot = beside["next_evaluation"], beside["next_snapshot"]
        forget_evaluations(self.folder, after=self.learner.steps)

    def stop(self) -> None:
        """End the training after the update that is under way."""
        self.stopped = True

    def train(self) -> None:
        """Update until the steps are done or `stop` is called."""
        learner, args = self.learner, self.args
        total = -(-args.steps // learner.steps_per_update) * learner.steps_per_update
        began = time.perf_counter() - self._seconds
        # disable=None turns the bar off where the output is no terminal
        bar = tqdm(
            total=total, initial=learner.steps, unit="step", unit_scale=True, disable=None if args.progress else True
        )
        tracked = start_wandb(self.folder, self.folder / CONFIG) if args.track == "wandb" else None
        with Tracker(self.folder, tracked) as log, bar:
            while learner.steps < total and not self.stopped:
                if learner.steps >= self._next_evaluation:
                    self._next_evaluation += args.eval_every
                    bar.set_postfix_str(self._evaluate(time.perf_counter() - began, log))
                if learner.steps >= self._next_snapshot:
                    self._next_snapshot += args.checkpoint_every
                    self._write_snapshot(time.perf_counter() - began)
                for name, value in learner.update(learner.steps / total).items():
                    log.add_scalar(f"train/{name}", value, learner.steps)
                bar.update(learner.steps_per_update)
            self._evaluate(time.perf_counter() - began, log)

    def seller(self) -> LearnedSeller:
        """Return the policy as it is now."""
        return self.learner.seller(self.args.population_seed, self.scores)

    def _evaluate(self, seconds: float, log: Tracker) -> str:
        """Add a point to the learning curve and return it in words."""
        score = score_of(rollout(self.learner.market, self.seller(), self._tuning))
        self.scores["tuning"] = {"first_day_seed": self._tuning[0], "step": self.learner.steps, **score}
        write_evaluation(self.folder, self.learner.steps, seconds, score, self._imp)
        share = score["mean_day_profit"] / self._imp
        log.add_scalar("tuning/day_profit", score["mean_day_profit"], self.learner.steps)
        log.add_scalar("tuning/share_of_imp", share, self.learner.steps)
        return f"{share:.3f} of IMP"

    def _write_snapshot(self, seconds: float) -> None:
        """Write all that it takes to go on, whole or not at all."""
        beside = {
            "seconds": seconds,
            "scores": self.scores,
            "next_evaluation": self._next_evaluation,
            "next_snapshot": self._next_snapshot,
        }
        save_snapshot(self.folder / FILE, {"learner": self.learner.snapshot(), "beside": json.dumps(beside)})
