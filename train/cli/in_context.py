"""`lmaas train in-context`: a recurrent policy that imitates the plans of customers whom it does not know."""

from __future__ import annotations

import csv
import dataclasses
import time
from pathlib import Path

import torch
from lmaas_agents.adaptive import PriorPlan
from lmaas_agents.learned.policy_file import save_policy
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.in_context import InContext, InContextConfig
from lmaas_train.runs import EVALUATIONS, in_use, mark_complete, new_folder
from lmaas_train.settings import from_yaml
from lmaas_train.training import score_of, write_settings
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
    progress: bool = True
    """Show a progress bar when the output is a terminal."""

    def main(self) -> Path:
        """Train and return the run folder."""
        return train(self)


def train(args: TrainInContext) -> Path:
    """Train as `TrainInContext` says and return the run folder; nothing is written unless every setting is valid."""
    torch.set_num_threads(1)
    if args.eval_every < 1:
        raise ValueError(f"eval_every = {args.eval_every} must be at least 1")
    market, seeds = Market(Scenario.load(args.scenario)), tuning_seeds(args.tuning_days)
    config = InContextConfig() if args.config is None else from_yaml(InContextConfig, args.config, "in_context")
    learner = InContext(market, config, args.seed)
    folder = new_folder(args.out, f"{market.scenario.name}-in-context-seed{args.seed}")
    with in_use(folder):
        _train(args, folder, market, seeds, config, learner)
    return folder


def _train(
    args: TrainInContext, folder: Path, market: Market, seeds: range, config: InContextConfig, learner: InContext
) -> None:
    write_settings(folder, args, market, in_context=config)
    print(f"training in {folder}", flush=True)
    prior = float(rollout(market, PriorPlan(market), seeds).day_profit.mean())
    scores, began = {}, time.perf_counter()
    with (
        (folder / EVALUATIONS).open("w", encoding="utf-8", newline="") as file,
        tqdm(total=config.rounds, unit="round", disable=None if args.progress else True) as bar,
    ):
        curve = csv.writer(file, lineterminator="\n")
        curve.writerow(COLUMNS)
        for done in range(1, config.rounds + 1):
            error = learner.round()
            bar.update()
            if done % args.eval_every == 0 or done == config.rounds:
                score = score_of(rollout(market, learner.seller({}), seeds))
                scores = {"tuning": {"first_day_seed": seeds[0], **score}}
                mean, share = score["mean_day_profit"], score["mean_day_profit"] / prior
                seconds = round(time.perf_counter() - began, 1)
                curve.writerow([done, seconds, mean, score["standard_error"], round(share, 5), round(error, 6)])
                file.flush()
                bar.set_postfix_str(f"{share:.3f} of the prior plan")
    save_policy(folder, learner.seller(scores))
    mark_complete(folder)
    print(f"policy  {folder} (load_policy, or: lmaas compare {market.scenario.name} --sellers {folder})")
