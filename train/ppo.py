"""`lmaas train`: a PPO seller (Stable-Baselines3), its run folder and its export to a policy that needs no torch."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize
from torch import nn
from tqdm import tqdm

from agents.learned import About, LearnedSeller, save_policy
from lmaas_env.days import held_out_seeds, training_seeds, tuning_seeds
from lmaas_env.files import write_whole
from lmaas_env.market import Market
from lmaas_env.scenario import Scenario
from lmaas_env.spaces import CLIP
from lmaas_env.vector_env import LMaaSVectorEnv
from train.evaluate import rollout
from train.ppo_config import PPOConfig
from train.runs import command_line, new_folder, versions, write_origin
from train.sb3 import MONITORED, LMaaSVecEnv

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


@dataclasses.dataclass
class Train:
    """Train a PPO seller; Ctrl-C stops it and keeps what it has learned.

    The run folder gets the policy, checkpoints, evaluations.csv, monitor.csv, TensorBoard logs and all settings.

    Examples
    --------
      lmaas train
      lmaas train --scenario scarce --seed 2 --steps 1000000
      lmaas compare --sellers fixed runs/my-run
    """

    scenario: str = "day"
    """Preset (day, static, scarce, abundant, public, city) or YAML file."""
    population_seed: int = 0
    """Which customers; 0 reads those that ship with the package."""
    steps: int = 300_000
    """Periods to train on, in all lanes together (rounded up to whole updates)."""
    seed: int = 1
    """Training seed, 1 to 499: its days are no other training seed's."""
    config: Path | None = None
    """YAML file of hyper-parameters; default train/configs/ppo-SCENARIO.yaml, else ppo-default.yaml."""
    out: Path | None = None
    """New run folder; default runs/SCENARIO-ppo-seedSEED-TIME."""
    eval_every: int = 20_000
    """Steps between two evaluations on tuning days."""
    tuning_days: int = 16
    """Tuning days per evaluation."""
    checkpoint_every: int = 100_000
    """Steps between two checkpoints, each a policy that can be loaded."""
    eval_days: int = 40
    """Held-out days of the final score."""
    progress: bool = True
    """Show a progress bar when the output is a terminal."""

    def main(self) -> None:
        """Train."""
        train(self)


def train(args: Train) -> Path:
    """Train as `Train` says and return the run folder; nothing is written unless every setting is valid."""
    torch.set_num_threads(1)  # more threads make networks of this size slower, and results differ between machines
    for name, least in [("steps", 1), ("eval_every", 1), ("checkpoint_every", 1), ("tuning_days", 2), ("eval_days", 2)]:
        if getattr(args, name) < least:
            raise ValueError(f"{name} = {getattr(args, name)} must be at least {least}")
    market = Market(Scenario.load(args.scenario), seed=args.population_seed)
    config = PPOConfig.from_yaml(args.config) if args.config else PPOConfig.for_scenario(market.scenario.name)
    seeds = training_seeds(args.seed, config.n_envs)
    tuning, held_out = tuning_seeds(args.tuning_days), held_out_seeds(args.eval_days)
    folder = new_folder(args.out, f"{market.scenario.name}-ppo-seed{args.seed}")
    _write_settings(folder, args, market, config)
    print(f"training in {folder}\n  tensorboard --logdir {folder / 'tensorboard'}", flush=True)

    environments = _environments(market, config, folder)
    model = build_model(environments, config, args.seed)
    environments.seed(seeds[0])  # lane i gets seeds[i]; PPO's constructor has just seeded them with the bare seed
    model.set_logger(configure(str(folder / "tensorboard"), ["tensorboard"]))
    run = Run(args, market, folder, tuning)
    try:
        with _ctrl_c_stops(run):
            model.learn(args.steps, callback=run)
    finally:
        run.bar.close()
        model.logger.close()
        environments.close()
    if run.stopped:
        print(f"stopped after {model.num_timesteps} steps; saving the policy as it is", flush=True)
    score = _score(market, run.seller(), held_out)
    run.scores["held_out"] = {"first_day_seed": held_out[0], **score}
    run.save(folder)
    print(
        f"policy  {folder} (load_policy, or: lmaas compare --sellers {folder})\n"
        f"scores  {folder / 'evaluations.csv'}\n"
        f"held-out days: {score['mean_day_profit']:.2f} $ per day, standard error {score['standard_error']:.2f}, "
        f"{score['days']} days"
    )
    return folder


class Run(BaseCallback):
    """What happens beside learning: the bar, evaluations, checkpoints and the day totals in TensorBoard."""

    def __init__(self, args: Train, market: Market, folder: Path, tuning: range) -> None:
        super().__init__()
        self.args, self.market, self.folder, self.tuning = args, market, folder, tuning
        self.scores: dict[str, Any] = {}
        self.bar = tqdm(disable=True)
        self.stopped = False
        self._next_evaluation = self._next_checkpoint = 0

    def _on_training_start(self) -> None:
        assert isinstance(self.model, PPO)
        update = self.training_env.num_envs * self.model.n_steps
        total = -(-self.args.steps // update) * update
        # disable=None turns the bar off where the output is no terminal
        self.bar = tqdm(total=total, unit="step", disable=None if self.args.progress else True)
        self._began = time.perf_counter()
        self._next_checkpoint = self.args.checkpoint_every
        _append(self.folder / "evaluations.csv", ["step", "seconds", "mean_day_profit", "standard_error"])

    def _on_rollout_start(self) -> None:  # the policy has learned from all steps so far
        if self.num_timesteps >= self._next_evaluation:
            self._next_evaluation += self.args.eval_every
            self._evaluate()
        if self.num_timesteps >= self._next_checkpoint:
            self._next_checkpoint += self.args.checkpoint_every
            self.save(self.folder / "checkpoints" / f"step-{self.num_timesteps:09d}")

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
        score = _score(self.market, self.seller(), self.tuning)
        self.scores["tuning"] = {"first_day_seed": self.tuning[0], "step": self.num_timesteps, **score}
        seconds = round(time.perf_counter() - self._began, 3)
        mean, error = score["mean_day_profit"], score["standard_error"]
        _append(self.folder / "evaluations.csv", [self.num_timesteps, seconds, mean, error])
        self.logger.record("evaluation/day_profit", mean)
        self.logger.dump(self.num_timesteps)
        self.bar.set_postfix_str(f"{mean:.0f} $ per day")

    def seller(self) -> LearnedSeller:
        """Return the policy as it is now."""
        assert isinstance(self.model, PPO)
        return export(self.model, self.market.scenario, self.args.population_seed, self.args.seed, self.scores)

    def save(self, folder: Path) -> None:
        """Write policy, model and normaliser into a folder, whole or not at all."""
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".saving-") as temporary:
            new = Path(temporary) / "new"
            save_policy(new, self.seller())
            self.model.save(new / "model.zip")
            normaliser = self.model.get_vec_normalize_env()
            if normaliser is not None:
                normaliser.save(str(new / "vecnormalize.pkl"))
            if not folder.exists():
                os.replace(new, folder)
                return
            for file in sorted(new.iterdir()):
                os.replace(file, folder / file.name)


@contextlib.contextmanager
def _ctrl_c_stops(run: Run) -> Iterator[None]:
    """Let the first Ctrl-C end the training at its next step, and a second one at once.

    A KeyboardInterrupt would not do: raised inside a compiled kernel it comes out as a SystemError.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield
        return

    def stop(*_: object) -> None:
        run.stopped = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def export(model: PPO, scenario: Scenario, population_seed: int, seed: int, scores: dict[str, Any]) -> LearnedSeller:
    """Return the actor of an SB3 model, with its observation normaliser, as a seller that needs neither SB3 nor torch.

    Raises
    ------
    ValueError
        If the policy is not a perceptron with a diagonal Gaussian, or its activation is neither tanh nor ReLU.
    """
    policy: Any = model.policy
    hidden = list(policy.mlp_extractor.policy_net)
    layers = [*hidden[::2], policy.action_net]
    kinds = {type(module) for module in hidden[1::2]} or {nn.Tanh}
    activation = next((name for name, kind in ACTIVATIONS.items() if kinds == {kind}), None)
    if (
        model.use_sde
        or activation is None
        or not isinstance(policy.features_extractor, FlattenExtractor)
        or not all(isinstance(layer, nn.Linear) for layer in layers)
    ):
        raise ValueError("only SB3's MlpPolicy with tanh or ReLU and without state-dependent exploration is exported")
    size = int(np.prod(model.observation_space.shape or ()))
    weights = {"log_std": policy.log_std}
    for i, layer in enumerate(layers):
        weights |= {f"layer{i}.weight": layer.weight, f"layer{i}.bias": layer.bias}
    arrays = {name: tensor.detach().cpu().numpy().copy() for name, tensor in weights.items()}
    normaliser: Any = model.get_vec_normalize_env()
    clip = CLIP
    mean, variance = np.zeros(size), np.ones(size)  # observations that are not normalised are clipped to CLIP already
    if normaliser is not None and normaliser.norm_obs:
        mean, variance = normaliser.obs_rms.mean.copy(), normaliser.obs_rms.var + normaliser.epsilon
        clip = float(normaliser.clip_obs)
    about = About(
        scenario=scenario.to_dict(),
        population_seed=population_seed,
        observation_size=size,
        action_size=int(np.prod(model.action_space.shape or ())),
        activation=activation,
        observation_clip=clip,
        algorithm="PPO",
        steps=model.num_timesteps,
        training_seed=seed,
        command=command_line(),
        versions=versions(),
        scores=scores,
    )
    return LearnedSeller({**arrays, "observation_mean": mean, "observation_variance": variance}, about)


def _environments(market: Market, config: PPOConfig, folder: Path) -> VecNormalize:
    lanes = LMaaSVecEnv(LMaaSVectorEnv(config.n_envs, market=market, autoreset_mode="SameStep"))
    monitored = VecMonitor(lanes, str(folder / "monitor.csv"), info_keywords=MONITORED)  # one file for all lanes
    return VecNormalize(monitored, norm_obs=config.norm_obs, norm_reward=config.norm_reward, gamma=config.gamma)


def build_model(environments: VecNormalize, config: PPOConfig, seed: int) -> PPO:
    """Return a new PPO of the settings."""
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
            "activation_fn": ACTIVATIONS[config.activation],
            "log_std_init": config.log_std_init,
        },
        seed=seed,
        device="cpu",
    )


def _score(market: Market, seller: LearnedSeller, seeds: range) -> dict[str, Any]:
    profit = rollout(market, seller, seeds).day_profit
    error = profit.std(ddof=1) / np.sqrt(len(profit))
    return {"days": len(profit), "mean_day_profit": round(float(profit.mean()), 4), "standard_error": round(error, 4)}


def _write_settings(folder: Path, args: Train, market: Market, config: PPOConfig) -> None:
    train_args = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
    settings = {"train": train_args, "ppo": dataclasses.asdict(config), "scenario": market.scenario.to_dict()}
    settings["ppo"]["net_arch"] = list(config.net_arch)
    write_whole(folder / "config.yaml", yaml.safe_dump(settings, sort_keys=False))
    write_origin(folder)


def _append(path: Path, row: list[Any]) -> None:
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(row)
