"""LMaaSVecEnv: the native vector environment as Stable-Baselines3 wants it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from lmaas_env.vector_env import LMaaSVectorEnv

DAY_TOTALS = ("profit", "revenue", "cost", "customer_profit", "worst_case_profit")
MONITORED = tuple(f"day_{name}" for name in DAY_TOTALS)


class LMaaSVecEnv(VecEnv):
    """Step all lanes in one call; equal to a ``DummyVecEnv`` of scalar environments, only faster.

    The info of a day's last period holds ``terminal_observation`` and the day's totals ``day_profit``,
    ``day_revenue``, ``day_cost``, ``day_customer_profit`` and ``day_worst_case_profit`` ($); other infos are empty,
    since a dictionary per lane and step would cost more than the market.

    Parameters
    ----------
    env : LMaaSVectorEnv
        In the autoreset mode ``SameStep``, SB3's convention.

    Raises
    ------
    ValueError
        If the autoreset mode is another.
    """

    def __init__(self, env: LMaaSVectorEnv) -> None:
        if env.autoreset_mode.value != "SameStep":
            raise ValueError(f"autoreset_mode = {env.autoreset_mode.value!r} must be 'SameStep', SB3's convention")
        self.env = env
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._actions: np.ndarray | None = None

    def reset(self) -> np.ndarray:
        """Start a day in every lane, from the seeds of the last `seed`."""
        seeds = self._seeds if any(seed is not None for seed in self._seeds) else None
        observation, _ = self.env.reset(seed=seeds)
        self._reset_seeds()
        self._reset_options()
        self._totals = {name: np.zeros(self.num_envs) for name in DAY_TOTALS}
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions of the next step."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step all lanes."""
        assert self._actions is not None
        observation, reward, done, _, info = self.env.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        values = info["final_info"] if done.any() else info
        for name, total in self._totals.items():
            total += values[name]
        for lane in np.flatnonzero(done):
            totals = {f"day_{name}": round(float(total[lane]), 6) for name, total in self._totals.items()}
            infos[lane] = {"terminal_observation": info["final_obs"][lane], "TimeLimit.truncated": False, **totals}
            for total in self._totals.values():
                total[lane] = 0.0
        return observation, reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Release the environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the environment, once per lane."""
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuse: lanes share one environment."""
        raise NotImplementedError("the lanes share one environment, whose attributes do not change")

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Refuse: lanes are not environments of their own."""
        raise NotImplementedError("the lanes are not environments of their own")

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Return False for every lane."""
        return [False for _ in self._get_indices(indices)]
