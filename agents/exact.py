"""The exact optimum of a small market: backward induction over every state that a day can reach.

It needs a menu of prices and a market in which fades are all that is random. Then a day has finitely many states. Given
the posted prices, customers do not affect each other, so a period is settled once for each charge of each customer,
each price vector and each fade pattern of that customer; a state of the market is one charge of every customer:

    V_t(b) = max_p { sum_n E[r_n(b_n, p)] - sum_m F_m + E[ V_{t+1}(b') ] },    V_H = 0

with the charges b, the price vector p on the menu, the seller's profit r_n from a customer, the training costs F_m and
the next charges b', which depend on p and on the fades. No seller that does not know the fades earns more in
expectation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from lmaas_agents.energy import profit_per_customer
from lmaas_agents.seller import PricingSeller, Seller, check_alone

from lmaas_env.customers.strategies import Random
from lmaas_env.market import Market
from lmaas_env.spaces import menu_prices, observation_from_state, prices_from_action
from lmaas_env.state import Draws, State
from lmaas_env.types import BoolArray, FloatArray, IntArray

MOST_STATES = 4_000_000  # of a day; as many take some seconds and 1 GB
LANES = 1 << 16  # settled at once
TERMS = 1 << 22  # of expectations, summed at once
SAME_CHARGE = 1e-6  # of capacity: charges that a float32 observation does not tell apart
QUIET = {  # what has to be 0 for fades to be all that is random
    "shadowing_sigma": "the standard deviation of the shadowing",
    "demand_sigma": "the standard deviation of the log demand",
    "harvest_spread": "the spread of the harvest",
}


class Fades(NamedTuple):
    """The fade patterns that are possible in one period, and their probabilities."""

    patterns: BoolArray  # (W, L) of one customer, or (W, N, L) of all
    probabilities: FloatArray  # (W,)


class Stage(NamedTuple):
    """One hour of the day: its reachable states, in lexicographic order, and what is best in each."""

    charges: list[FloatArray]  # of each customer, the distinct charges, ascending, Wh
    states: IntArray  # (S, N), the place of each customer's charge in ``charges``
    value: FloatArray  # (S,), expected profit from this hour on, $
    best: IntArray  # (S,), the best price vector

    def charge(self, states: IntArray) -> FloatArray:
        """Return the charges (..., N), Wh, of states given by places (..., N)."""
        return np.stack([own[states[..., n]] for n, own in enumerate(self.charges)], axis=-1)


class ExactSeller(PricingSeller):
    """Post the prices of the largest expected profit over the rest of the day.

    Parameters
    ----------
    market : Market
        Of a scenario with a ``price_menu`` in which only fades are random, such as ``mini``.
    most_states : int
        Markets that might have more states are refused.

    Attributes
    ----------
    vectors : (P, M), every price vector on the menu, $/h
    stages : what is best in every reachable state, by hour

    Raises
    ------
    ValueError
        Before anything is computed: if there is no menu, if anything but the fades is random or hidden, or if there
        might be too many states.
    """

    def __init__(self, market: Market, most_states: int = MOST_STATES) -> None:
        super().__init__(market)
        check_exact(market)
        count = state_count(market)
        if count > most_states:
            raise ValueError(
                f"the market may have {count:,} states, more than most_states = {most_states:,}: "
                "lower periods, price_menu, slots, customers or the number of models"
            )
        menu, models = menu_prices(market), market.catalogue.size
        self.vectors = np.stack(np.meshgrid(*[menu] * models, indexing="ij"), axis=-1).reshape(-1, models)
        self._fades = possible_fades(market)
        self.stages = self._solve(0, market.scenario.charge_start_min * market.population.capacity)
        self._other: dict[bytes, list[Stage]] = {}  # from the last state that no day reaches

    def value(self, state: State | None = None) -> float:
        """Return the expected profit from a state on under the best policy, $; by default of the whole day."""
        if state is None:
            return float(self.stages[0].value[0])
        stage, row = self._find(state)
        return 0.0 if stage is None else float(stage.value[row])

    def prices(self, state: State) -> FloatArray:
        """Return the best prices, (M,) $/h."""
        stage, row = self._find(state)
        return self.vectors[0 if stage is None else stage.best[row]].copy()

    def _find(self, state: State) -> tuple[Stage | None, int]:
        """Return the stage and row of a state; one that no day reaches is solved from there. None after the day."""
        hour, charge = int(state.hour), np.asarray(state.charge, dtype=np.float64)
        if hour >= self.market.scenario.periods:
            return None, 0
        capacity = self.market.population.capacity
        stage = self.stages[hour]
        near = SAME_CHARGE * capacity[0]
        places = np.searchsorted(stage.charges[0], [charge[0] - near, charge[0] + near])
        first, last = np.searchsorted(stage.states[:, 0], places)
        if first < last:
            distance = np.abs(stage.charge(stage.states[first:last]) - charge) / capacity
            row = int(np.argmin(distance.max(axis=1)))
            if distance[row].max() <= SAME_CHARGE:
                return stage, int(first) + row
        key = hour.to_bytes(8, "little") + charge.tobytes()
        if key not in self._other:
            self._other = {key: self._solve(hour, charge)}
        return self._other[key][0], 0

    def _solve(self, hour: int, charge: FloatArray) -> list[Stage]:
        """Return the stages from an hour and its charges (N,) on."""
        charges = [np.array([own]) for own in charge]
        states = np.zeros((1, len(charge)), dtype=np.int64)
        stages, sales, follows = list[Stage](), list[list[FloatArray]](), list[IntArray]()
        for period in range(hour, self.market.scenario.periods):
            sale, after = self._settle(period, charges)
            none = np.empty(0)
            stages.append(Stage(charges, states, none, none.astype(np.int64)))
            sales.append(sale)
            if period + 1 < self.market.scenario.periods:
                found = [np.unique(own, return_inverse=True) for own in after]
                charges = [distinct for distinct, _ in found]
                places = [place.reshape(own.shape) for (_, place), own in zip(found, after, strict=True)]
                states, follow = _joint(states, places, [len(own) for own in charges])
                follows.append(follow)
        later: FloatArray | None = None
        for t in range(len(stages) - 1, -1, -1):
            value, best = self._best(stages[t].states, sales[t], follows[t] if later is not None else None, later)
            stages[t] = stages[t]._replace(value=value, best=best)
            later = value
        return stages

    def _settle(self, hour: int, charges: Sequence[FloatArray]) -> tuple[list[FloatArray], list[FloatArray]]:
        """Return what each customer brings (K_n, P), $ in expectation, and its next charge (K_n, P, W), by own charge.

        All customers of a lane have the same fade pattern, as no customer's fades affect another.
        """
        patterns, probabilities = self._fades
        most, customers = max(len(own) for own in charges), len(charges)
        padded = np.stack([np.pad(own, (0, most - len(own)), mode="edge") for own in charges], axis=1)
        each = len(self.vectors) * len(patterns)
        profit, after = np.empty((2, most, len(self.vectors), len(patterns), customers))
        step = max(1, LANES // each)
        for first in range(0, most, step):
            part = padded[first : first + step]
            prices = np.tile(np.repeat(self.vectors, len(patterns), axis=0), (len(part), 1))
            faded = np.tile(patterns[:, None, :], (len(part) * len(self.vectors), customers, 1))
            period = period_of(hour, np.repeat(part, each, axis=0), faded)
            settlement, state = self.market.settle(prices, *period)
            shape = (len(part), len(self.vectors), len(patterns), customers)
            profit[first : first + step] = profit_per_customer(self.market, settlement).reshape(shape)
            after[first : first + step] = state.charge.reshape(shape)
        sale = np.einsum("kpwn,w->kpn", profit, probabilities)
        sizes = [len(own) for own in charges]
        return [sale[:k, :, n] for n, k in enumerate(sizes)], [after[:k, ..., n] for n, k in enumerate(sizes)]

    def _best(
        self, states: IntArray, sale: Sequence[FloatArray], follow: IntArray | None, later: FloatArray | None
    ) -> tuple[FloatArray, IntArray]:
        """Return the value (S,) and the best price vector (S,) of states (S, N); ``follow`` (S, P, W ** N)."""
        value, best = np.empty(len(states)), np.empty(len(states), dtype=np.int64)
        probabilities = self._fades.probabilities
        joint = probabilities
        for _ in range(states.shape[1] - 1):
            joint = np.multiply.outer(joint, probabilities).reshape(-1)
        training = self.market.catalogue.training_cost.sum()
        step = max(1, TERMS // (len(self.vectors) * len(joint)))
        for first in range(0, len(states), step):
            rows = slice(first, first + step)
            total = sum((own[states[rows, n]] for n, own in enumerate(sale)), -training)
            if follow is not None and later is not None:
                total = total + later[follow[rows]] @ joint
            best[rows] = total.argmax(axis=1)
            value[rows] = total.max(axis=1)
        return value, best


def _joint(states: IntArray, places: Sequence[IntArray], sizes: Sequence[int]) -> tuple[IntArray, IntArray]:
    """Return the states (S', N) that follow states (S, N), in order, and which one does, (S, P, W ** N).

    ``places[n]`` (K_n, P, W) is the place of customer n's next charge among ``sizes[n]``.
    """
    key = np.zeros((*states.shape[:1], places[0].shape[1], 1), dtype=np.int64)
    for n, size in enumerate(sizes):
        key = (key[..., None] * size + places[n][states[:, n]][:, :, None, :]).reshape(*key.shape[:2], -1)
    distinct, follow = np.unique(key, return_inverse=True)
    return np.stack(np.unravel_index(distinct, tuple(sizes)), axis=1), follow.reshape(key.shape)


def check_exact(market: Market) -> None:
    """Check that a market can be solved exactly but for its size.

    Raises
    ------
    ValueError
        If it has rivals or no menu of prices, or if anything but the fades is random or hidden.
    """
    check_alone(market, "the exact optimum is known")
    scenario = market.scenario
    needed = "the exact seller needs"
    if scenario.price_menu == 0:
        raise ValueError(f"price_menu = 0, {needed} a menu of prices (scenario mini has one)")
    for name, meaning in QUIET.items():
        if getattr(scenario, name) != 0.0:
            raise ValueError(f"{name} = {getattr(scenario, name)}, {needed} 0: {meaning} is noise other than fades")
    low, high = scenario.charge_start_min, scenario.charge_start_max
    if low != high:
        raise ValueError(f"charge_start_min = {low} and charge_start_max = {high}, {needed} a known charge: equal ones")
    if scenario.resample_population != "never":
        raise ValueError(f"resample_population = {scenario.resample_population!r}, {needed} 'never'")
    if scenario.observation != "full":
        raise ValueError(f"observation = {scenario.observation!r}, {needed} 'full'")
    if isinstance(market.customers, Random):
        raise ValueError(f"customers = 'random', {needed} customers that do not choose at random")


def state_count(market: Market) -> int:
    """Return an upper bound on the states of a day, from sizes alone.

    After one period a customer has one of at most 1 + M * menu * W charges (none rented, or a model at a price in a
    fade pattern), and the market one of at most menu^M * W^N states for each state before.
    """
    scenario, customers, models = market.scenario, market.population.size, market.catalogue.size
    patterns = 2**scenario.slots if 0.0 < scenario.fade_probability < 1.0 else 1
    own = 1 + models * scenario.price_menu * patterns
    each = min(scenario.price_menu**models * patterns**customers, own**customers)
    return sum(each**hour for hour in range(scenario.periods))


def possible_fades(market: Market, customers: int | None = None) -> Fades:
    """Return the fade patterns of positive probability: of one customer, (W, L), or of some, (W, N, L)."""
    scenario = market.scenario
    cells = scenario.slots * (1 if customers is None else customers)
    chance = {False: 1.0 - scenario.fade_probability, True: scenario.fade_probability}
    patterns = list(itertools.product(*[[fade for fade in chance if chance[fade] > 0.0]] * cells))
    probabilities = np.array([math.prod(chance[fade] for fade in pattern) for pattern in patterns])
    shape = (len(patterns), scenario.slots) if customers is None else (len(patterns), customers, scenario.slots)
    return Fades(np.array(patterns, dtype=np.bool_).reshape(shape), probabilities)


def period_of(hour: int, charge: FloatArray, faded: BoolArray) -> tuple[State, Draws]:
    """Return the state of K lanes at an hour, and the draws of its period, where fades (K, N, L) are all the noise."""
    zeros = np.zeros(charge.shape)
    return _state_of(hour, charge), Draws(faded, zeros, zeros, zeros + 1.0, zeros)


def _state_of(hour: int, charge: FloatArray) -> State:
    """Return the state of K lanes at an hour, without shadowing and at mean demand."""
    zeros = np.zeros(charge.shape)
    return State(np.full(len(charge), hour), zeros, zeros, charge)


def expected_profit(market: Market, seller: Seller) -> float:
    """Return a seller's expected profit of a day, $, exactly: the mean over every course of the fades.

    For sellers that remember nothing, in a market as `ExactSeller` takes it; courses grow by 2^(N L) an hour.

    Raises
    ------
    ValueError
        If anything but the fades is random or hidden.
    """
    check_exact(market)
    patterns, probabilities = possible_fades(market, market.population.size)
    charge = market.scenario.charge_start_min * market.population.capacity[None]
    weight, total = np.ones(1), 0.0
    for hour in range(market.scenario.periods):
        action, _ = seller.predict(observation_from_state(market, _state_of(hour, charge)), deterministic=True)
        prices = np.repeat(prices_from_action(market, action), len(patterns), axis=0)
        faded = np.tile(patterns, (len(charge), 1, 1))
        settlement, after = market.settle(prices, *period_of(hour, np.repeat(charge, len(patterns), axis=0), faded))
        weight, charge = np.multiply.outer(weight, probabilities).reshape(-1), after.charge
        total += float(settlement.profit @ weight)
    return total
