"""LMaaSVectorEnv: K markets at once as a native Gymnasium vector environment (a thin shell, no formulas)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from lmaas_env.env import market_of
from lmaas_env.lanes import Lanes
from lmaas_env.market import Market
from lmaas_env.rivals import Rival
from lmaas_env.scenario import Scenario
from lmaas_env.spaces import Float32Array, action_space, checked_action, observation_space
from lmaas_env.state import State
from lmaas_env.transition import info_of
from lmaas_env.types import BoolArray, FloatArray


class LMaaSVectorEnv(VectorEnv[Any, Any, Any]):
    """K independent days of one market, settled in one call.

    Lane i, reset with seed s, is the scalar environment of seed s + i, day after day (equal to 1e-12).

    Parameters
    ----------
    num_envs : int
        Number of lanes K.
    scenario, population_seed, observation, customers, rival
        As in `lmaas_env.env.LMaaSEnv`.
    autoreset_mode : AutoresetMode or str
        ``NextStep``: the step after a day's end ignores the action and starts the next day with reward 0.
        ``SameStep``: the step that ends a day returns the next day's first observation, with ``final_obs`` and
        ``final_info`` in info.
    market : Market, optional
        A market that exists, instead of the one that these arguments describe.
    max_episode_steps : int, optional
        Passed by Gymnasium; at least the periods of a day, as days are not cut short.

    Raises
    ------
    ValueError
        If a number of lanes, scenario or mode is refused.
    """

    metadata: ClassVar[dict[str, Any]] = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # pyright: ignore

    def __init__(
        self,
        num_envs: int = 1,
        scenario: Scenario | str | os.PathLike[str] = "day",
        population_seed: int = 0,
        observation: str | None = None,
        customers: str = "rsr",
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        market: Market | None = None,
        max_episode_steps: int | None = None,
        rival: Rival | Sequence[Rival] | None = None,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs = {num_envs} must be at least 1")
        modes = {mode.value: mode for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP)}
        mode = modes.get(autoreset_mode if isinstance(autoreset_mode, str) else autoreset_mode.value)
        if mode is None:
            raise ValueError(f"autoreset_mode = {autoreset_mode!r} must be one of {', '.join(modes)}")
        given = market_of(scenario, population_seed, observation, customers) if market is None else market
        self._lanes = Lanes(given, num_envs, rival)
        periods = self.market.scenario.periods
        if max_episode_steps is not None and max_episode_steps < periods:
            raise ValueError(f"max_episode_steps = {max_episode_steps} must be at least the {periods} periods of a day")
        self.num_envs = num_envs
        self.autoreset_mode = mode
        self.metadata = {**self.metadata, "autoreset_mode": mode}  # pyright: ignore
        self.single_observation_space = observation_space(self.market)
        self.single_action_space = action_space(self.market)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.render_mode = None
        self.rngs = [np.random.default_rng() for _ in range(num_envs)]

    @property
    def market(self) -> Market:
        """The market, with the customers of each lane's day."""
        return self._lanes.market

    @property
    def state(self) -> State | None:
        """The state of all lanes, None before the first reset."""
        return self._lanes.state

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Start a day in every lane, or in those of ``options={"reset_mask": (K,) bool}``.

        A seed s gives lane i the seed s + i; a sequence gives each lane its own.
        """
        lanes = np.ones(self.num_envs, dtype=np.bool_)
        if options is not None and "reset_mask" in options:
            lanes = np.asarray(options["reset_mask"])
            if lanes.shape != (self.num_envs,) or lanes.dtype != np.bool_ or not lanes.any():
                raise ValueError(f"reset_mask must hold {self.num_envs} booleans, at least one of them true")
            if self.state is None and not lanes.all():
                raise gym.error.ResetNeeded("Call reset() without a reset_mask first")
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int | np.integer) else seed
        if seeds is not None:
            if len(seeds) != self.num_envs:
                raise ValueError(f"seed must be one number or {self.num_envs}, it has {len(seeds)}")
            for lane, own in enumerate(seeds):
                if own is not None and lanes[lane]:
                    self.rngs[lane] = np.random.default_rng(own)
        info = self._start_days(lanes)
        return self._lanes.observe(), info

    def step(
        self, actions: ArrayLike
    ) -> tuple[Float32Array, FloatArray, NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Post prices (K, M) as actions for one period of every lane.

        Raises
        ------
        ValueError
            If the actions have a wrong shape or are not finite.
        gymnasium.error.ResetNeeded
            Before the first reset.
        """
        checked = checked_action(actions, (self.num_envs, self.market.catalogue.size))
        if self.state is None:
            raise gym.error.ResetNeeded("Call reset() before step()")
        periods = self.market.scenario.periods
        over = self.state.hour >= periods  # only in NextStep: these lanes start their next day
        if over.all():
            info = self._start_days(over)
            nothing = np.zeros(self.num_envs, dtype=np.bool_)
            return self._lanes.observe(), np.zeros(self.num_envs), nothing, nothing.copy(), info
        result = self._lanes.step(checked)
        seen, entries = result.observation, info_of(result)
        reward, started = entries["profit"] / self.market.population.size, {}
        if over.any():
            reward = np.where(over, 0.0, reward)
            started = self._start_days(over)
            seen = self._lanes.observe()
        terminated = self.state.hour >= periods
        if self.autoreset_mode is AutoresetMode.SAME_STEP and terminated.any():
            final = {
                "final_obs": _per_lane(seen, terminated),
                "final_info": _with_masks(entries, terminated),
            }
            info = _with_masks(entries, ~terminated) | _with_masks(final, terminated)
            info |= self._start_days(terminated)
            seen = self._lanes.observe()
        else:
            info = _with_masks(entries, ~over) | started
        return seen, reward, terminated, np.zeros(self.num_envs, dtype=np.bool_), info

    def _start_days(self, lanes: BoolArray) -> dict[str, Any]:
        """Draw a new day for some lanes and return its info; the others keep theirs."""
        rngs = [self.rngs[lane] for lane in np.flatnonzero(lanes)]
        region = self._lanes.open(rngs, lanes)
        if not region.size:
            return {}
        regions = np.zeros((self.num_envs, *region.shape[1:]))
        regions[lanes] = region
        return _with_masks({"region": regions}, lanes)


def _with_masks(info: dict[str, Any], lanes: BoolArray) -> dict[str, Any]:
    """Add Gymnasium's masks, ``_key`` says in which lanes ``key`` holds; nothing if it holds in none."""
    return info | {f"_{key}": lanes.copy() for key in info} if lanes.any() else {}


def _per_lane(observation: Float32Array, lanes: BoolArray) -> NDArray[np.object_]:
    """Return an object array (K,) with the observation of each of some lanes, None elsewhere."""
    found = np.full(len(lanes), None, dtype=object)
    for lane in np.flatnonzero(lanes):
        found[lane] = observation[lane]
    return found
