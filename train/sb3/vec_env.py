"""LMaaSVecEnv: the native vector environment with the interface of Stable-Baselines3's VecEnv."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from lmaas_agents.learned.residual import Residual, customer_features, feature_sizes, potential, residual_prices
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from lmaas_env.market import Market
from lmaas_env.spaces import action_from_prices
from lmaas_env.state import State
from lmaas_env.types import FloatArray
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
        over = np.flatnonzero(done)
        totals = np.round([total[over] for total in self._totals.values()], 6).T.tolist()
        for lane, values in zip(over, totals, strict=True):
            infos[lane] = {"terminal_observation": info["final_obs"][lane], "TimeLimit.truncated": False}
            infos[lane].update(zip(MONITORED, values, strict=True))
        for total in self._totals.values():
            total[over] = 0.0
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


class ResidualVecEnv(VecEnvWrapper):
    """What a residual policy sees and does: features of customers, and outputs that move a plan's prices.

    Parameters
    ----------
    venv : VecEnv
        Lanes of an LMaaSVecEnv, perhaps wrapped.
    env : LMaaSVectorEnv
        The environment inside, whose state the seller's observation shows.
    residual : lmaas_agents.learned.residual.Residual
    over_customers : bool
        Whether the policy sees features of customers instead of the observation.
    shaping : bool
        Whether the change of the batteries' energy value is added to the rewards, in $ per customer.
    """

    def __init__(
        self, venv: VecEnv, env: LMaaSVectorEnv, residual: Residual, over_customers: bool, shaping: bool = False
    ) -> None:
        self.env, self.residual, self.over_customers, self.shaping = env, residual, over_customers, shaping
        space = venv.observation_space
        if over_customers:
            customer, clock = feature_sizes(env.market)
            size = customer * env.market.population.size + clock
            space = gym.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        super().__init__(venv, observation_space=space)

    def reset(self) -> np.ndarray:
        """Start a day in every lane."""
        observation = np.asarray(self.venv.reset())
        self._potential = self._potential_now()
        return self._seen(observation)

    def step_async(self, actions: np.ndarray) -> None:
        """Take the outputs of the next step."""
        prices = residual_prices(self.env.market, self.residual, self._state, np.asarray(actions, dtype=np.float64))
        self.venv.step_async(action_from_prices(self.env.market, prices))

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step all lanes."""
        seen, reward, done, infos = self.venv.step_wait()
        before, self._potential = self._potential, self._potential_now()
        # The potential is 0 after a day's last period; the state is the next day's already.
        reward = reward + (np.where(done, 0.0, self._potential) - before).astype(np.float32)
        if self.over_customers:
            for lane in np.flatnonzero(done):  # not used for learning: a day's end is no truncation
                infos[lane]["terminal_observation"] = np.zeros(self.observation_space.shape or (), np.float32)
        return self._seen(np.asarray(seen)), reward, done, infos

    @property
    def _state(self) -> State:
        assert self.env.state is not None
        return self.env.state

    def _seen(self, observation: np.ndarray) -> np.ndarray:
        return encoded(self.env.market, self.residual, self._state) if self.over_customers else observation

    def _potential_now(self) -> FloatArray:
        if not self.shaping:
            return np.zeros(self.num_envs)
        value = potential(self.env.market, self.residual.plan.energy_value, self._state)
        return value / self.env.market.population.size


def encoded(market: Market, residual: Residual, state: State) -> np.ndarray:
    """Return what a policy over customers sees in the form that torch takes: (K, N * F + C)."""
    customers, clock = customer_features(market, residual, state)
    return np.concatenate([customers.reshape(len(customers), -1), clock], axis=1, dtype=np.float32)
