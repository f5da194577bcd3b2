"""`lmaas train in-context`: a recurrent policy that imitates the plans of customers whom it does not know."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import torch
from lmaas_agents.adaptive import PriorPlan
from lmaas_agents.learned.policy_file import save_policy
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.in_context import InContext, InContextConfig
from lmaas_train.runs import mark_complete
from lmaas_train.settings import from_yaml
from lmaas_train.snapshots import FILE, save_snapshot
from lmaas_train.training import (
    append_evaluation,
    check_options,
    forget_evaluations,
    interrupted,
    run_folder,
    score_of,
    write_settings,
)
from tqdm import tqdm

from lmaas_env.market import Market
from lmaas_env.scenario import Scenario
from lmaas_env.seeds import tuning_seeds

COLUMNS = ("round", "seconds", "mean_profit", "standard_error", "share_of_prior_plan", "error")


@dataclasses.dataclass
class TrainInContext:
    """Train a recurrent policy for unknown customers, guided by the plans of those who know them.

    The run folder gets the policy, its learning curve on tuning episodes (evaluations.csv) and all settings.

    Examples
    --------
      lmaas train in-context
      lmaas train in-context unknown-hard --seed 2
      lmaas train in-context --resume runs/my-run
      lmaas compare unknown --sellers prior-plan thompson runs/my-run
    """

    scenario: str = "unknown"
    """Preset or YAML file whose customers are hidden."""
    seed: int = 1
    """Training seed, 1 to 498: its episodes are no other training seed's."""
    config: Path | None = None
    """Settings: a YAML file, or a run's config.yaml; by default those that were chosen on `unknown`."""
    out: Path | None = None
    """New run folder; default runs/SCENARIO-in-context-seedSEED-TIME."""
    eval_every: int = 10
    """Rounds between two evaluations on tuning episodes."""
    tuning_days: int = 40
    """Tuning episodes per evaluation."""
    resume: Path | None = None
    """Run folder that was interrupted: goes on from its last evaluation, with the settings that it was started with."""
    progress: bool = True
    """Show a progress bar when the output is a terminal."""

    def main(self) -> Path:
        """Train and return the run folder."""
        return train(self)


def train(args: TrainInContext) -> Path:
    """Train as `TrainInContext` says and return the run folder; nothing is written unless every setting is valid."""
    torch.set_num_threads(1)
    snapshot: dict[str, Any] | None = None
    if args.resume is not None:
        args, market, config, snapshot = interrupted(args, InContextConfig, "in_context", ("learner", "beside"))
    else:
        check_options(args)
        market = Market(Scenario.load(args.scenario))
        config = InContextConfig() if args.config is None else from_yaml(InContextConfig, args.config, "in_context")
    learner = InContext(market, config, args.seed)
    name = f"{market.scenario.name}-in-context-seed{args.seed}"

    def write(new: Path) -> None:
        write_settings(new, args, market, in_context=config)

    with run_folder(args, name, write, logs=False) as folder:
        _train(args, folder, learner, snapshot)
    return folder


def _train(args: TrainInContext, folder: Path, learner: InContext, snapshot: dict[str, Any] | None) -> None:
    """Do all rounds, or those after a snapshot; evaluations after it are made again."""
    market, config, seeds = learner.market, learner.config, tuning_seeds(args.tuning_days)
    prior = float(rollout(market, PriorPlan(market), seeds).day_profit.mean())
    scores: dict[str, Any] = {}
    began = time.perf_counter()
    if snapshot is not None:
        learner.restore(snapshot["learner"])
        beside = json.loads(snapshot["beside"])
        scores, began = beside["scores"], began - beside["seconds"]
    forget_evaluations(folder, after=learner.rounds if snapshot is not None else -1)

    def write_snapshot() -> None:
        beside = {"scores": scores, "seconds": time.perf_counter() - began}
        save_snapshot(folder / FILE, {"learner": learner.snapshot(), "beside": json.dumps(beside)})

    if snapshot is None:
        write_snapshot()
    hides = None if args.progress else True
    with tqdm(total=config.rounds, initial=learner.rounds, unit="round", disable=hides) as bar:
        while learner.rounds < config.rounds:
            error = learner.round()
            bar.update()
            if learner.rounds % args.eval_every and learner.rounds < config.rounds:
                continue
            score = score_of(rollout(market, learner.seller({}), seeds))
            scores = {"tuning": {"first_day_seed": seeds[0], **score}}
            mean, share = score["mean_day_profit"], score["mean_day_profit"] / prior
            seconds = round(time.perf_counter() - began, 1)
            row = [learner.rounds, seconds, mean, score["standard_error"], round(share, 5), round(error, 6)]
            append_evaluation(folder, COLUMNS, row)
            write_snapshot()
            bar.set_postfix_str(f"{share:.3f} of the prior plan")
    save_policy(folder, learner.seller(scores))
    mark_complete(folder)
    print(f"policy  {folder} (load_policy, or: lmaas compare {market.scenario.name} --sellers {folder})")
