"""Tutorial 8: search settings of PPO with Optuna, scored on tuning days, and write them for `lmaas train`.

Run: python tutorials/8_search_settings.py (minutes), or with --trials 2 --steps 6144 --days 2 for a short trial. It
needs the extra `search`. Held-out days are not used: settings that were chosen on them would be scored too well.
"""

import argparse
import dataclasses
from pathlib import Path

import optuna
import torch
import yaml
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.ppo import PPO, PPOConfig

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.seeds import tuning_seeds

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--scenario", default="scarce", help="preset or YAML file")
parser.add_argument("--trials", type=int, default=10, help="settings to try")
parser.add_argument("--steps", type=int, default=100_000, help="periods that each trial trains on")
parser.add_argument("--days", type=int, default=40, help="tuning days of each score")
parser.add_argument("--out", type=Path, default=Path("settings.yaml"), help="new file for the best settings")
args = parser.parse_args()
if args.out.exists():
    raise SystemExit(f"{args.out} exists already; name a new file")
torch.set_num_threads(1)  # more threads slow down networks of this size

market, seeds = Market(args.scenario), tuning_seeds(args.days)
default = PPOConfig()


def score(trial: optuna.Trial) -> float:
    """Train with the trial's settings and return the mean profit of a tuning day, $."""
    config = dataclasses.replace(
        default,
        learning_rate=trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
        gae_lambda=trial.suggest_float("gae_lambda", 0.8, 1.0),
        batches=trial.suggest_categorical("batches", [4, 8, 16, 32]),
    )
    learner = PPO(market, config, seed=1)
    updates = max(1, args.steps // learner.steps_per_update)
    profit = 0.0
    for update in range(updates):
        learner.update(update / updates)
        if (update + 1) % max(1, updates // 4) == 0:
            profit = float(rollout(market, learner.seller(0, {}), seeds).day_profit.mean())
            trial.report(profit, update)
            if trial.should_prune():  # far behind the other trials at this point
                raise optuna.TrialPruned
    return profit


def show(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """Print a trial's result."""
    settings = ", ".join(f"{name} {value:.2g}" for name, value in trial.params.items())
    profit = trial.intermediate_values[max(trial.intermediate_values)]
    note = "  (stopped early)" if trial.state == optuna.trial.TrialState.PRUNED else ""
    print(f"trial {trial.number:2d}  {profit:5.0f} $ a day  {settings}{note}")


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(
    direction="maximize", sampler=optuna.samplers.TPESampler(seed=1), pruner=optuna.pruners.MedianPruner()
)
names = ("learning_rate", "gae_lambda", "batches")
study.enqueue_trial({name: getattr(default, name) for name in names})  # the default settings come first
study.optimize(score, n_trials=args.trials, callbacks=[show])

write_whole(args.out, yaml.safe_dump(study.best_params, sort_keys=False))
gain = study.best_value - study.trials[0].value  # never pruned: there is nothing to compare it with
print(f"\nbest: {study.best_value:.0f} $ a day on tuning days, {gain:+.0f} over the default settings")
print(f"next: lmaas train {args.scenario} --config {args.out}")
