"""Episodes in progress: what every environment and every rollout steps, one market or many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmaas_env.episode import Drift, Episode, open_episodes, start_day, starts_day
from lmaas_env.market import Market
from lmaas_env.rivals import Rival, Rivals
from lmaas_env.spaces import Float32Array, first_sale, observation_of_batch, shown_constants
from lmaas_env.state import Draws, State
from lmaas_env.transition import StepResult, transition
from lmaas_env.types import BoolArray, FloatArray


class Lanes:
    """K episodes of a market, side by side, from the state of one hour to that of the next.

    Parameters
    ----------
    market : Market
    count : int
        Number of lanes K.
    rival : Rival or sequence of them, optional
        Who sells beside the first seller, as in `lmaas_env.rivals.Rivals`.

    Attributes
    ----------
    market : Market
        With the customers of each lane's day, where they change.
    state : State or None
        Of all lanes; None before the first episode.
    draws : Draws
        Of the episodes, with axes (H, K).
    last : StepResult or None
        What the last step brought; None at the start of an episode.

    Raises
    ------
    ValueError
        If a rival is refused.
    """

    draws: Draws

    def __init__(self, market: Market, count: int, rival: Rival | Sequence[Rival] | None = None) -> None:
        self.market = market
        self.state: State | None = None
        self.last: StepResult | None = None
        self._count = count
        self._rivals = Rivals(market, rival, count)
        self._shown = shown_constants(market)
        self._sale = first_sale(market, count)
        self._drift: Drift | None = None

    def open(self, rngs: Sequence[np.random.Generator], lanes: BoolArray) -> FloatArray:
        """Draw an episode for each of some lanes (K,), and start it there; return their regions (`Episode.region`)."""
        episode = open_episodes(self.market, rngs)
        self.start(episode, lanes)
        return episode.region

    def open_one(self, rng: np.random.Generator) -> dict[str, Any]:
        """As `open` where there is one lane; its customers have no lane axis. Return the info of the environment."""
        episode = open_episodes(self.market, [rng])
        if episode.market is not self.market:
            episode = episode._replace(market=self.market.with_population(episode.market.population.lane(0)))
        self.start(episode)
        return {"region": episode.region[0]} if episode.region.size else {}

    def start(self, episode: Episode, lanes: BoolArray | None = None) -> None:
        """Start the episodes of all lanes, or of some (K,); the others keep theirs."""
        market, state, draws, _, drift = episode
        lanes = np.ones(self._count, dtype=np.bool_) if lanes is None else lanes
        sale = first_sale(market, len(state.charge))
        if lanes.all():
            self.market, self.state, self.draws, self._sale, self._drift = market, state, draws, sale, drift
        else:
            assert self.state is not None, "some lanes have no episode"
            if market is not self.market:
                population = self.market.population.with_rows(market.population, np.flatnonzero(lanes))
                self.market = self.market.with_population(population)
            _set_lanes(self.draws, draws, lanes)
            _set_lanes(self._drift, drift, lanes)
            self.state = State(*(_with_lanes(own, new, lanes) for own, new in zip(self.state, state, strict=True)))
            self._sale = _with_lanes(self._sale, sale, lanes)
        self.last = None
        self._shown = shown_constants(self.market)
        self._rivals.start(self.market, lanes)

    def observe(self) -> Float32Array:
        """Return what the first seller sees in every lane, (K, D)."""
        assert self.state is not None, "no episode has started"
        return observation_of_batch(self.market, self._shown, self.state, self._sale)

    def step(self, actions: FloatArray) -> StepResult:
        """Let the first seller take actions (K, M) for one period, and its rivals theirs; shapes are not checked."""
        assert self.state is not None, "no episode has started"
        result = self.post(self._rivals.joint_actions(self.market, self.state, actions))
        self._rivals.remember(self.market, result)
        return result

    def post(self, actions: FloatArray) -> StepResult:
        """Post actions (K, S * M) of all sellers for one period.

        Lanes whose episode is over sell its last hour again; their result means nothing.
        """
        assert self.state is not None, "no episode has started"
        result = transition(self.market, self._shown, actions, self.state, self.draws)
        if self._drift is not None:
            result = self._with_new_customers(result, self._drift)
        self.last, self.state, self._sale = result, result.state, result.sale
        return result

    def _with_new_customers(self, result: StepResult, drift: Drift) -> StepResult:
        """Let customers leave and others come where a day starts, and return what the step brings with them."""
        lanes = starts_day(self.market, result.state)
        if not lanes.any():
            nothing = np.zeros(self._count)
            return result._replace(removed=nothing, added=nothing)
        day = start_day(self.market, result.state, drift, lanes)
        self.market, self._shown = day.market, shown_constants(day.market)
        seen = observation_of_batch(day.market, self._shown, day.state, result.sale)
        return result._replace(state=day.state, observation=seen, removed=day.removed, added=day.added)


def _with_lanes(values: ArrayLike, new: ArrayLike, lanes: BoolArray) -> NDArray[Any]:
    """Return a copy of values (K, ...) with others in some lanes."""
    copy = np.array(values)
    copy[lanes] = new
    return copy


def _set_lanes(values: Any, new: Any, lanes: BoolArray) -> None:
    """Set some lanes of an array (H, K, ...), or of arrays in named tuples, in place; nothing where there is None."""
    if isinstance(values, tuple):
        columns: Any = zip(values, new, strict=True)  # pyright: ignore
        for own, other in columns:
            _set_lanes(own, other, lanes)
    elif values is not None:
        values[:, lanes] = new
