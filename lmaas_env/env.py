"""LMaaSEnv: the market as a Gymnasium environment (a thin shell, no formulas)."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmaas_env.lanes import Lanes
from lmaas_env.market import Market
from lmaas_env.rivals import Rival
from lmaas_env.scenario import Scenario
from lmaas_env.spaces import Float32Array, action_space, checked_action, observation_space
from lmaas_env.state import Settlement, State
from lmaas_env.transition import info_of

if TYPE_CHECKING:
    from lmaas_env.render.window import Window


class LMaaSEnv(gym.Env[Any, Any]):
    """A seller posts hourly prices for several large models; customers on fading links and batteries rent them.

    ## Description
    Each period (one hour) the seller posts a price per rented hour for each of M large models. Each of N customers
    then selects one model, or none, by a two-stage robust optimisation (RSR): it knows its own channel, battery and
    tasks but not which of the period's L slots will be in deep fade. Nature reveals the fades, the customers rent the
    hours that are best for them, payoffs are booked, batteries drain and recharge, shadowing and demand move on. An
    hour sold now drains a battery that cannot buy at the evening peak: selling well means looking ahead. The market is
    that of arXiv 2401.02675, fully specified in the project's documentation.

    ## Action Space
    `Box(-1, 1, (M,), float32)`, one number per model: the price, log-linear from the price floor (-1) to the price cap
    (+1). Numbers outside are clipped (the clipped share is in info); NaN and wrong shapes are refused. Where the
    scenario has a menu of prices (`price_menu`, as in `LMaaS-Mini-v0`), the nearest price on the menu is posted.

    ## Observation Space
    `Box(-10, 10, (D,), float32)`, clipped. With `observation="full"`, D = 3 N + 3:

    | Index | Meaning | Min | Max |
    |---|---|---|---|
    | 0 .. N-1 | shadowing of each customer, in standard deviations (0 where that is 0) | -10 | 10 |
    | N .. 2N-1 | battery of each customer, from empty (-1) to full (1) | -1 | 1 |
    | 2N .. 3N-1 | log demand of each customer, in standard deviations (0 where that is 0) | -10 | 10 |
    | 3N, 3N+1 | sine and cosine of the hour of day | -1 | 1 |
    | 3N+2 | share of the day that is left | 0 | 1 |

    With S sellers (`LMaaS-Rival-v0` has two), D = (S + 2) N + 3 + S M: the shadowing at one's own site comes first,
    that at the others' sites next, and the observation ends with the last prices of all sellers as actions, one's own
    first (1, the cap, before the first hour).

    With `observation="public"`, D = 3 M + 4, zeros before the first sale (with S sellers, S M actions instead of M):

    | Index | Meaning | Min | Max |
    |---|---|---|---|
    | 0, 1 | sine and cosine of the hour of day | -1 | 1 |
    | 2 | share of the day that is left | 0 | 1 |
    | 3 .. M+2 | last action, clipped | -1 | 1 |
    | M+3 .. 2M+2 | hours last rented of each model, divided by N | 0 | 1 |
    | 2M+3 .. 3M+2 | customers of each model in the last period, divided by N | 0 | 1 |
    | 3M+3 | last profit, divided by N | -10 | 10 |

    Where the population is resampled every episode (scenario ``resample_population="episode"``, as in
    ``LMaaS-Population-v0``) a full observation ends with the customers' constants, 6 + L numbers per customer:
    logarithms of distance / 250 m, bandwidth / 250 kHz, battery capacity / 60 Wh and kappa / (25 per h); fade depth /
    10 dB; fade budget / 10; logarithms of the L task values / 1 $. `lmaas_env.spaces.observed_market` inverts this.

    ## Rewards
    The seller's profit of the period divided by N, in $ per customer: revenue less the costs of serving, adapting and
    pre-training. The sum over a day is the day's profit per customer.

    ## Starting State
    Hour 0; shadowing and demand from their stationary distributions; batteries at U(0.3, 1) of their capacity (the
    scenario holds these numbers). All of the day's randomness is drawn at reset: two sellers on one seed meet the same
    day.

    ## Episode End
    - Termination: after the last period of the selling day (24; one for `LMaaS-Static-v0`, four for `LMaaS-Mini-v0`,
      72 for `LMaaS-Unknown-v0` and 240 for `LMaaS-Drift-v0`, whose episodes have three and ten days).
      The horizon is part of the task and the observation shows it.
    - Truncation: never.

    ## Arguments
    >>> import gymnasium as gym
    >>> import lmaas_env
    >>> env = gym.make("LMaaS-v0")
    >>> observation, info = env.reset(seed=0)
    >>> observation.shape
    (75,)
    >>> observation, reward, terminated, truncated, info = env.step([0.2, 0.2, 0.2, 0.2])
    >>> round(float(reward), 6), info["customers_per_model"].tolist()
    (0.7943, [0, 0, 2, 10])

    | Name | Type | Default | Meaning |
    |---|---|---|---|
    | `scenario` | str, path or `Scenario` | `"day"` | a preset's name, a YAML file or a Scenario |
    | `population_seed` | int | `0` | which customers; 0 reads those that ship with the package |
    | `observation` | `"full"`, `"public"` or None | None | what the seller sees; None: as the scenario says |
    | `customers` | str | `"rsr"` | how customers select and rent; rivals for comparison |
    | `rival` | str, seller or a sequence | None | the other sellers of `LMaaS-Rival-v0`; None: `"imp"` |
    | `render_mode` | `"human"`, `"ansi"`, `"rgb_array"` or None | None | a window, a table or a picture of the period |

    With `human`, `reset` and `step` show every period in a window, two a second; closing it does not stop the day.

    A rival is `"imp"` (every hour the best reply, at the current state, to the prices that the others posted last),
    `"fixed"`, `"cost-plus"` or any object with `predict`, which then observes the market from its own site.

    Presets are `day`, `static`, `scarce`, `abundant`, `public`, `city`, `population`, `rivals`, `unknown` (with
    `unknown-easy` and `unknown-hard`), `drift` and `mini`; customers are `rsr`, `nominal`, `nominal-recourse`,
    `static-robust`, `stochastic`, `greedy-quality`, `cheapest`, `random` or `perfect-foresight`.

    `info` holds, of the period that ended, `profit`, `revenue`, `cost` ($), `prices` ($/h), `customers_per_model`,
    `hours_per_model`, `customer_profit` and `worst_case_profit` ($, summed over customers), `faded_share` (of slots)
    and `clipped_share` (of the action's entries). Where customers are drawn in a region, the info of `reset` names it,
    for analysis only: `region`, the standard normal z of task value, distance, capacity and saturation, (4,), or (D, 4)
    for the D days of `LMaaS-Drift-v0`, where a step's info also holds `removed` and `added`, the Wh in the batteries of
    customers who left and came after the period. With several sellers all of this is one's own, and
    `posted` holds the prices of all S M offers (model m of seller s is offer s M + m), `profits` those of all sellers.

    ## Vectorized environment
    `gym.make_vec("LMaaS-v0", num_envs=256, vectorization_mode="vector_entry_point")` settles all lanes in one call;
    lane i, reset with seed s, is this environment reset with seed s + i (`lmaas_env.vector_env.LMaaSVectorEnv`).

    ## Version History
    - v0: first version.
    """

    metadata: ClassVar[dict[str, Any]] = {  # pyright: ignore
        "render_modes": ["human", "ansi", "rgb_array"],
        "render_fps": 2,
    }

    def __init__(
        self,
        scenario: Scenario | str | os.PathLike[str] = "day",
        population_seed: int = 0,
        observation: str | None = None,
        customers: str = "rsr",
        render_mode: str | None = None,
        rival: Rival | Sequence[Rival] | None = None,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(f"render_mode = {render_mode!r} must be one of {', '.join(self.metadata['render_modes'])}")
        market = market_of(scenario, population_seed, observation, customers)
        self.observation_space = observation_space(market)
        self.action_space = action_space(market)
        self.render_mode = render_mode
        self._window: Window | None = None
        self._lanes = Lanes(market, 1, rival)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Start a day; options are not used."""
        super().reset(seed=seed)
        info = self._lanes.open_one(self.np_random)
        self._show()
        return self._lanes.observe()[0], info

    def step(self, action: ArrayLike) -> tuple[Float32Array, float, bool, bool, dict[str, Any]]:
        """Post prices for one period.

        Raises
        ------
        ValueError
            If the action has a wrong shape or is not finite.
        gymnasium.error.ResetNeeded
            Before the first reset and after the last period.
        """
        lanes, scenario = self._lanes, self.market.scenario
        checked = checked_action(action, (self.market.catalogue.size,))
        if lanes.state is None or lanes.state.hour[0] >= scenario.periods:
            raise gym.error.ResetNeeded("Call reset() before step(): no day has started, or it is over")
        result = lanes.step(checked[None])
        self._show()
        info, is_over = info_of(result, 0), bool(result.state.hour[0] >= scenario.periods)
        return result.observation[0], info["profit"] / scenario.customers, is_over, False, info

    @property
    def market(self) -> Market:
        """The market, with the customers of the day."""
        return self._lanes.market

    @property
    def state(self) -> State | None:
        """The market's state, None before the first reset."""
        return None if self._lanes.state is None else self._lanes.state.lane(0)

    @property
    def settlement(self) -> Settlement | None:
        """What the last period brought, None at the start of a day."""
        return None if self._lanes.last is None else self._lanes.last.settlement.lane(0)

    def render(self) -> str | NDArray[np.uint8] | None:  # pyright: ignore
        """Return a table (``ansi``) or a picture (``rgb_array``, (H, W, 3) uint8) of the last period.

        With ``human`` it returns None: `reset` and `step` show the picture themselves.
        """
        if self.render_mode is None:
            gym.logger.warn(
                'render() does nothing without a render_mode, e.g. gym.make("LMaaS-v0", render_mode="ansi")'
            )
            return None
        if self.state is None:
            raise gym.error.ResetNeeded("Call reset() before render()")
        if self.render_mode == "human":
            return None
        from lmaas_env.render import viewer

        draw = viewer.table if self.render_mode == "ansi" else viewer.frame
        return draw(self.market, self.state, self.settlement)

    def _show(self) -> None:
        """Show the period in the window, if there is to be one and the user has not closed it."""
        if self.render_mode != "human":
            return
        from lmaas_env.render import viewer
        from lmaas_env.render.window import Window

        if self._window is None:
            self._window = Window(f"LMaaS {self.market.scenario.name}", self.metadata["render_fps"])
        if not self._window.is_closed:
            assert self.state is not None
            self._window.show(viewer.frame(self.market, self.state, self.settlement))

    def close(self) -> None:
        """Close the window, if there is one, once its last picture has had its time."""
        if self._window is not None:
            self._window.wait()
            self._window.close()
            self._window = None


def market_of(
    scenario: Scenario | str | os.PathLike[str], population_seed: int, observation: str | None, customers: str
) -> Market:
    """Return the market that an environment's arguments describe."""
    numbers = Scenario.load(scenario)
    if observation is not None:
        numbers = dataclasses.replace(numbers, observation=observation)
    return Market(numbers, seed=population_seed, customers=customers)
