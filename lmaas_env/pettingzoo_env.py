"""LMaaSParallelEnv: several sellers in one market, as a PettingZoo ParallelEnv (a thin shell, no formulas)."""

# PettingZoo is optional: without it the class has no base, but everything else
# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownVariableType=false

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmaas_env.env import market_of
from lmaas_env.lanes import Lanes
from lmaas_env.market import Market
from lmaas_env.scenario import Scenario
from lmaas_env.spaces import (
    Float32Array,
    action_space,
    checked_action,
    first_sale,
    observation_of_batch,
    observation_space,
    sale_of,
    shown_constants,
)
from lmaas_env.state import Settlement, State
from lmaas_env.transition import info_of
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    Base = object
else:
    try:
        from pettingzoo import ParallelEnv as Base
    except ImportError:
        Base = object


class LMaaSParallelEnv(Base):
    """The sellers of one market post their prices at the same time; customers choose among all offers.

    Agents are ``seller_0``, ``seller_1``, ...; each acts, observes and is rewarded as in `lmaas_env.env.LMaaSEnv`, from
    its own site. All of a day's randomness is drawn at reset, and seller 0 meets the day of the environment with one
    seller and the same seed.

    Parameters
    ----------
    scenario, population_seed, observation, customers
        As in `lmaas_env.env.LMaaSEnv`.
    render_mode : {"ansi", "rgb_array"}, optional
        A table or a picture of the period.

    Attributes
    ----------
    market : Market
    possible_agents : list of str
    agents : list of str
        Empty before the first reset and after the last period.

    Raises
    ------
    ValueError
        If the scenario, an argument or the mode is refused.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "lmaas_rivals_v0",
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 2,
        "is_parallelizable": True,
    }

    def __init__(
        self,
        scenario: Scenario | str | os.PathLike[str] = "rivals",
        population_seed: int = 0,
        observation: str | None = None,
        customers: str = "rsr",
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(f"render_mode = {render_mode!r} must be one of {', '.join(self.metadata['render_modes'])}")
        self._lanes = Lanes(market_of(scenario, population_seed, observation, customers), 1)
        self.render_mode = render_mode
        self.possible_agents = [f"seller_{s}" for s in range(self.market.scenario.sellers)]
        self.agents: list[str] = []
        self.observation_spaces = {agent: observation_space(self.market) for agent in self.possible_agents}
        self.action_spaces = {agent: action_space(self.market) for agent in self.possible_agents}
        self._rng = np.random.default_rng()

    @property
    def market(self) -> Market:
        """The market, with the customers of the day."""
        return self._lanes.market

    def observation_space(self, agent: str) -> gym.spaces.Box:
        """Return the space of an agent's observations."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.spaces.Box:
        """Return the space of an agent's actions."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Float32Array], dict[str, dict[str, Any]]]:
        """Start a day; without a seed the stream of the day before goes on. Options are not used."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        info = self._lanes.open_one(self._rng)
        self.agents = self.possible_agents[:]
        sales = [first_sale(self.market, 1)] * len(self.agents)
        return self._observations(sales), {agent: dict(info) for agent in self.agents}

    def step(
        self, actions: Mapping[str, ArrayLike]
    ) -> tuple[dict[str, Float32Array], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Post every seller's prices for one period.

        Raises
        ------
        ValueError
            If there is not one action per agent, or one has a wrong shape or is not finite.
        gymnasium.error.ResetNeeded
            Before the first reset and after the last period.
        """
        if not self.agents:
            raise gym.error.ResetNeeded("Call reset() before step(): no day has started, or it is over")
        if set(actions) != set(self.agents):
            raise ValueError(f"actions are of {sorted(actions)}, they must be of {', '.join(self.agents)}")
        size = (self.market.catalogue.size,)
        joint = np.concatenate([checked_action(actions[agent], size) for agent in self.agents])[None]
        result = self._lanes.post(joint)
        sales = [sale_of(self.market, result.prices, result.record, s) for s in range(len(self.agents))]
        seen, agents = self._observations(sales), self.agents
        infos = {agent: info_of(result, 0, s) for s, agent in enumerate(agents)}
        rewards = {agent: info["profit"] / self.market.population.size for agent, info in infos.items()}
        is_over = bool(result.state.hour[0] >= self.market.scenario.periods)
        self.agents = [] if is_over else agents
        return seen, rewards, dict.fromkeys(agents, is_over), dict.fromkeys(agents, False), infos

    def _observations(self, sales: list[FloatArray]) -> dict[str, Float32Array]:
        state = self._lanes.state
        assert state is not None
        return {
            agent: observation_of_batch(self.market, shown_constants(self.market, s), state, sales[s], s)[0]
            for s, agent in enumerate(self.agents)
        }

    @property
    def market_state(self) -> State | None:
        """The market's state, None before the first reset."""
        return None if self._lanes.state is None else self._lanes.state.lane(0)

    @property
    def settlement(self) -> Settlement | None:
        """What the last period brought, None at the start of a day."""
        return None if self._lanes.last is None else self._lanes.last.settlement.lane(0)

    @property
    def num_agents(self) -> int:
        """Number of sellers that are selling."""
        return len(self.agents)

    @property
    def max_num_agents(self) -> int:
        """Number of sellers S."""
        return len(self.possible_agents)

    @property
    def unwrapped(self) -> LMaaSParallelEnv:
        """The environment itself."""
        return self

    def render(self) -> str | NDArray[np.uint8] | None:
        """Return a table (``ansi``) or a picture (``rgb_array``, (H, W, 3) uint8) of the last period."""
        state = self.market_state
        if self.render_mode is None:
            gym.logger.warn('render() does nothing without a render_mode, e.g. parallel_env(render_mode="ansi")')
            return None
        if state is None:
            raise gym.error.ResetNeeded("Call reset() before render()")
        from lmaas_env.render import viewer

        draw = viewer.table if self.render_mode == "ansi" else viewer.frame
        return draw(self.market, state, self.settlement)

    def close(self) -> None:
        """Do nothing: there is no window."""
