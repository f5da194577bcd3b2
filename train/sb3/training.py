"""`lmaas train sb3`: a PPO seller of Stable-Baselines3, its run folder, and its export to a policy without torch."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_agents.learned.policy_file import save_policy
from lmaas_agents.learned.residual import Residual, feature_sizes, plan_of, residual_of
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.networks import ACTIVATIONS
from lmaas_train.runs import CHECKPOINTS, CONFIG, MODEL
from lmaas_train.sb3 import snapshots
from lmaas_train.sb3.config import SB3Config
from lmaas_train.sb3.export import export
from lmaas_train.sb3.imitation import imitate
from lmaas_train.sb3.networks import CustomerFeatures
from lmaas_train.sb3.vec_env import MONITORED, LMaaSVecEnv, ResidualVecEnv
from lmaas_train.snapshots import FILE, save_snapshot
from lmaas_train.tracking import LOGS, check_tracker, start_wandb
from lmaas_train.training import (
    check_options,
    ctrl_c,
    finish,
    forget_evaluations,
    interrupted,
    run_folder,
    score_of,
    write_evaluation,
    write_settings,
)
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, configure
from stable_baselines3.common.monitor import ResultsWriter
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecMonitor, VecNormalize
from tqdm import tqdm

from lmaas_env.files import TEMPORARY
from lmaas_env.market import Market
from lmaas_env.scenario import Scenario
from lmaas_env.seeds import TRAINING_STRIDE, training_seeds, tuning_seeds
from lmaas_env.vector_env import LMaaSVectorEnv

MONITOR = "monitor.csv"


@dataclasses.dataclass
class TrainSB3:
    """Train with Stable-Baselines3, by default guided by look-ahead IMP; Ctrl-C keeps what was learned.

    The run folder gets the policy, checkpoints, evaluations.csv, monitor.csv, TensorBoard logs and all settings, and
    report.html, in which the policy is compared with IMP on held-out days.

    Examples
    --------
      lmaas train sb3
      lmaas train sb3 scarce --seed 2 --steps 1000000
      lmaas train sb3 --config ppo-wide --steps 700000
      lmaas train sb3 --resume runs/my-run
      lmaas compare --sellers fixed runs/my-run
    """

    scenario: str = "day"
    """Preset or YAML file."""
    population_seed: int = 0
    """Which customers; 0 reads those that ship with the package."""
    steps: int = 300_000
    """Periods to train on, in all lanes together (rounded up to whole updates)."""
    seed: int = 1
    """Training seed, 1 to 499: its days are no other training seed's."""
    config: Path | None = None
    """Hyper-parameters: a name (ppo-flat, ...), a YAML file, or a run's config.yaml; by default as the market needs."""
    out: Path | None = None
    """New run folder; default runs/SCENARIO-sb3-seedSEED-TIME."""
    eval_every: int = 20_000
    """Steps between two evaluations on tuning days."""
    tuning_days: int = 16
    """Tuning days per evaluation."""
    checkpoint_every: int = 100_000
    """Steps between two checkpoints, each a policy that can be loaded."""
    eval_days: int = 40
    """Held-out days of the final score."""
    resume: Path | None = None
    """Run folder that was interrupted: goes on from its last checkpoint, with the settings that it was started with."""
    track: Literal["tensorboard", "wandb"] = "tensorboard"
    """Where the learning curves go: TensorBoard logs, or Weights & Biases as well (needs the extra `wandb`)."""
    progress: bool = True
    """Show a progress bar when the output is a terminal."""

    def main(self) -> Path:
        """Train and return the run folder."""
        return train(self)


def train(args: TrainSB3) -> Path:
    """Train as `TrainSB3` says and return the run folder; nothing is written unless every setting is valid."""
    torch.set_num_threads(1)  # more threads make networks of this size slower, and results differ between machines
    snapshot: dict[str, Any] | None = None
    if args.resume is not None:
        args, market, config, snapshot = interrupted(args, SB3Config, "sb3", snapshots.PARTS)
    else:
        check_options(args)
        market = Market(Scenario.load(args.scenario), seed=args.population_seed)
        config = SB3Config.load(args.config) if args.config else SB3Config.for_scenario(market.scenario)
    check_tracker(args.track)
    if config.imitated_days and (
        market.scenario.observation == "public" or market.scenario.resample_population == "episode"
    ):
        raise ValueError(
            f"imitated_days = {config.imitated_days} must be 0 where the teacher cannot know the customers"
        )
    seeds = training_seeds(args.seed, config.n_envs)
    imitated = training_seeds(args.seed, max(1, config.imitated_days), skip=TRAINING_STRIDE // 2)
    tuning = tuning_seeds(args.tuning_days)
    name = f"{market.scenario.name}-sb3-seed{args.seed}"
    with run_folder(args, name, lambda new: write_settings(new, args, market, sb3=config)) as folder:
        residual: Residual | None = None
        if config.residual_scale > 0.0:
            scales = config.residual_scale, config.snap_radius, config.searches
            residual = residual_of(market, plan_of(market), *scales)
        lanes = LMaaSVectorEnv(config.n_envs, market=market, autoreset_mode="SameStep")
        monitor = Monitor(LMaaSVecEnv(lanes), folder / MONITOR)
        environments = _environments(monitor, lanes, config, residual)
        model = build_model(environments, config, args.seed)
        environments.seed(seeds[0])  # lane i gets seeds[i]; PPO's constructor has just seeded them with the bare seed
        model.set_logger(configure(str(folder / LOGS), ["tensorboard"]))
        if args.track == "wandb":
            model.logger.output_formats.append(WandbWriter(start_wandb(folder, folder / CONFIG)))
        run = Run(args, config, market, residual, lanes, monitor, folder, tuning)
        run.resume(None if snapshot is None else snapshots.restore(snapshot, model, lanes))
        if snapshot is None and config.imitated_days and residual is not None:
            imitate(model, market, residual, imitated)
        try:
            with ctrl_c(run.stop):
                model.learn(args.steps - model.num_timesteps, callback=run, reset_num_timesteps=snapshot is None)
        finally:
            run.bar.close()
            model.logger.close()
            environments.close()
        if run.stopped:
            print(f"stopped after {model.num_timesteps} steps; saving the policy as it is", flush=True)
            print(f"go on from the last checkpoint with: lmaas train sb3 --resume {folder}", flush=True)

        def save(score: dict[str, Any]) -> None:
            run.scores["held_out"] = score
            run.save(folder)

        finish(folder, run.seller(), market, args.eval_days, save, complete=not run.stopped)
    return folder


class Monitor(VecMonitor):
    """Appends a line for every finished day to a file, which a run that goes on does not start anew.

    Parameters
    ----------
    venv : VecEnv
    path : Path
    """

    def __init__(self, venv: VecEnv, path: Path) -> None:
        super().__init__(venv, info_keywords=MONITORED)
        self.path = path

    def open(self, size: int = 0, seconds: float = 0.0) -> None:
        """Open the file, cut to the ``size`` in bytes that it had after so many ``seconds`` of training."""
        if self.path.exists() and 0 < size <= self.path.stat().st_size:
            os.truncate(self.path, size)
        else:
            size = 0
        self.t_start = time.time() - seconds
        about = {"t_start": self.t_start, "env_id": "None"}
        self.results_writer = ResultsWriter(str(self.path), about, MONITORED, override_existing=size == 0)

    @property
    def size(self) -> int:
        """Bytes of the file; it is written line by line."""
        return self.path.stat().st_size


class WandbWriter(KVWriter):
    """Writes the scalars that SB3 writes for TensorBoard to a run of Weights & Biases."""

    def __init__(self, run: Any) -> None:
        self.run = run

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Write the scalars of a step."""
        names = [name for name in key_values if "tensorboard" not in (key_excluded[name] or ())]
        self.run.log({name: key_values[name] for name in names if np.isscalar(key_values[name])}, step=step)

    def close(self) -> None:
        """End the run."""
        self.run.finish()


class Run(BaseCallback):
    """What happens beside learning: the bar, evaluations, checkpoints and the day totals in TensorBoard."""

    def __init__(
        self,
        args: TrainSB3,
        config: SB3Config,
        market: Market,
        residual: Residual | None,
        lanes: LMaaSVectorEnv,
        monitor: Monitor,
        folder: Path,
        tuning: range,
    ) -> None:
        super().__init__()
        self.args, self.config, self.market, self.residual, self.lanes = args, config, market, residual, lanes
        self.monitor, self.folder, self.tuning = monitor, folder, tuning
        self.scores: dict[str, Any] = {}
        self.bar = tqdm(disable=True)
        self.stopped = False
        self._next_evaluation, self._next_checkpoint, self._earlier = 0, args.checkpoint_every, 0.0

    def resume(self, kept: dict[str, Any] | None) -> None:
        """Go on from what `_check_point` kept, or start; days and evaluations after it are made again."""
        if kept is None:
            self.monitor.open()
            forget_evaluations(self.folder, after=-1)
            return
        self.monitor.open(kept["monitor"], kept["seconds"])
        self._next_evaluation, self._next_checkpoint = kept["next_evaluation"], kept["next_checkpoint"]
        self._earlier, self.scores = kept["seconds"], kept["scores"]
        forget_evaluations(self.folder, after=kept["step"])

    def stop(self) -> None:
        """End the training at its next step."""
        self.stopped = True

    def _on_training_start(self) -> None:
        assert isinstance(self.model, PPO)
        update = self.training_env.num_envs * self.model.n_steps
        total = -(-self.args.steps // update) * update
        # disable=None turns the bar off where the output is no terminal
        self.bar = tqdm(total=total, unit="step", disable=None if self.args.progress else True)
        self.bar.update(self.num_timesteps)
        self._began = time.perf_counter() - self._earlier

    def _on_rollout_start(self) -> None:  # the policy has learned from all steps so far
        self._hold_actor(self.num_timesteps < self.config.critic_first)
        if self.num_timesteps >= self._next_evaluation:
            self._next_evaluation += self.args.eval_every
            self._evaluate()
        if self.num_timesteps >= self._next_checkpoint:
            self._next_checkpoint += self.args.checkpoint_every
            self._check_point()

    def _hold_actor(self, held: bool) -> None:
        policy: Any = self.model.policy
        parts = policy.pi_features_extractor, policy.mlp_extractor.policy_net, policy.action_net
        for parameter in [policy.log_std, *(it for part in parts for it in part.parameters())]:
            parameter.requires_grad_(not held)

    def _check_point(self) -> None:
        """Write the policy and a snapshot, and start new days as a run does that goes on from there."""
        assert isinstance(self.model, PPO)
        self.save(self.folder / CHECKPOINTS / f"step-{self.num_timesteps:09d}")
        kept = {
            "step": self.num_timesteps,
            "next_evaluation": self._next_evaluation,
            "next_checkpoint": self._next_checkpoint,
            "seconds": time.perf_counter() - self._began,
            "monitor": self.monitor.size,
            "scores": self.scores,
        }
        save_snapshot(self.folder / FILE, snapshots.take(self.model, self.lanes, kept))
        self.model._last_obs = self.training_env.reset()  # type: ignore[assignment]
        self.model._last_episode_starts = np.ones(self.training_env.num_envs, dtype=bool)

    def _on_step(self) -> bool:
        self.bar.update(self.training_env.num_envs)
        return not self.stopped

    def _on_rollout_end(self) -> None:
        for name in MONITORED:
            days = [day[name] for day in self.model.ep_info_buffer or []]
            if days:
                self.logger.record(f"day/{name.removeprefix('day_')}", float(np.mean(days)))

    def _on_training_end(self) -> None:
        self._evaluate()

    def _evaluate(self) -> None:
        score = score_of(rollout(self.market, self.seller(), self.tuning))
        self.scores["tuning"] = {"first_day_seed": self.tuning[0], "step": self.num_timesteps, **score}
        mean = score["mean_day_profit"]
        write_evaluation(self.folder, self.num_timesteps, time.perf_counter() - self._began, score, np.nan)
        self.logger.record("evaluation/day_profit", mean)
        self.logger.dump(self.num_timesteps)
        self.bar.set_postfix_str(f"{mean:.0f} $ per day")

    def seller(self) -> LearnedSeller:
        """Return the policy as it is now."""
        assert isinstance(self.model, PPO)
        return export(self.model, self.market, self.residual, self.args.population_seed, self.args.seed, self.scores)

    def save(self, folder: Path) -> None:
        """Write policy, model and normaliser into a folder, whole or not at all."""
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=TEMPORARY) as temporary:
            new = Path(temporary) / "new"
            save_policy(new, self.seller())
            self.model.save(new / MODEL)
            normaliser = self.model.get_vec_normalize_env()
            if normaliser is not None:
                normaliser.save(str(new / "vecnormalize.pkl"))
            if not folder.exists():
                os.replace(new, folder)
                return
            for file in sorted(new.iterdir()):
                os.replace(file, folder / file.name)


def _environments(
    monitor: Monitor, lanes: LMaaSVectorEnv, config: SB3Config, residual: Residual | None
) -> VecNormalize:
    environments: VecEnvWrapper = monitor
    if residual is not None:
        learning = residual._replace(searches=0)
        environments = ResidualVecEnv(environments, lanes, learning, config.policy == "set", config.shaping)
    return VecNormalize(environments, norm_obs=config.norm_obs, norm_reward=config.norm_reward, gamma=config.gamma)


def build_model(environments: VecNormalize, config: SB3Config, seed: int) -> PPO:
    """Return a new PPO of the settings."""
    activation = ACTIVATIONS[config.activation]
    network: dict[str, Any] = {}
    if config.policy == "set":
        customer, clock = feature_sizes(environments.get_attr("market")[0])
        network = {
            "features_extractor_class": CustomerFeatures,
            "features_extractor_kwargs": {
                "customer": customer,
                "clock": clock,
                "width": config.encoder,
                "activation": activation,
            },
            "share_features_extractor": False,
        }
    return PPO(
        "MlpPolicy",
        environments,
        n_steps=config.n_steps,
        batch_size=config.batch_size,
        n_epochs=config.n_epochs,
        learning_rate=LinearSchedule(config.learning_rate, config.learning_rate_end, 1.0),
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_range,
        ent_coef=config.ent_coef,
        vf_coef=config.vf_coef,
        max_grad_norm=config.max_grad_norm,
        policy_kwargs={
            "net_arch": list(config.net_arch),
            "activation_fn": activation,
            "log_std_init": config.log_std_init,
            **network,
        },
        seed=seed,
        device="cpu",
    )
