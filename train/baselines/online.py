"""SAC, TQC, CrossQ and recurrent PPO of Stable-Baselines3 and sb3-contrib, on the native vector environment."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from lmaas_train.baselines.config import BaselineConfig
from lmaas_train.sb3.vec_env import LMaaSVecEnv
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

from lmaas_env.market import Market
from lmaas_env.seeds import training_seeds
from lmaas_env.vector_env import LMaaSVectorEnv

CLASSES = {
    "sac": ("stable_baselines3", "SAC"),
    "tqc": ("sb3_contrib", "TQC"),
    "crossq": ("sb3_contrib", "CrossQ"),
    "recurrent-ppo": ("sb3_contrib", "RecurrentPPO"),
}
LARGEST_BUFFER = 1_000_000  # steps that an off-policy algorithm replays
FIRST_STEPS = 2400  # at random prices, before an off-policy algorithm learns


def learn(
    market: Market, config: BaselineConfig, steps: int, seed: int, report: Callable[[int, Any], None]
) -> BaseAlgorithm:
    """Return a model that has learned for so many steps; ``report`` gets the steps so far and the model."""
    environments = VecMonitor(LMaaSVecEnv(LMaaSVectorEnv(config.lanes, market=market, autoreset_mode="SameStep")))
    package, name = CLASSES[config.algorithm]
    settings: dict[str, Any] = {"learning_rate": config.learning_rate, "gamma": config.gamma, "seed": seed}
    network: dict[str, Any] = {"net_arch": list(config.hidden)}
    if config.algorithm == "recurrent-ppo":
        policy, periods = "MlpLstmPolicy", market.scenario.periods
        network |= {"lstm_hidden_size": config.hidden[0], "log_std_init": -1.0}
        settings |= {"n_steps": periods, "n_epochs": config.updates, "gae_lambda": 0.9}
        settings |= {"batch_size": min(config.batch, periods * config.lanes)}
    else:
        policy = "MlpPolicy"
        settings |= {
            "buffer_size": max(config.lanes, min(steps, LARGEST_BUFFER)),
            "learning_starts": min(FIRST_STEPS, steps // 2),
        }
        settings |= {"train_freq": 1, "gradient_steps": config.updates, "batch_size": config.batch}
    kind = getattr(importlib.import_module(package), name)
    model: BaseAlgorithm = kind(policy, environments, policy_kwargs=network, device="cpu", **settings)
    environments.seed(training_seeds(seed, config.lanes)[0])  # lane i gets the seed + i, as the constructor did not
    return model.learn(steps, callback=_Reports(report))


class _Reports(BaseCallback):
    """Reports after every step of all lanes."""

    def __init__(self, report: Callable[[int, Any], None]) -> None:
        super().__init__()
        self._report = report

    def _on_step(self) -> bool:
        self._report(self.num_timesteps, self.model)
        return True
