"""Episodes: whose customers they have, how these change from day to day, and all other draws; made at reset.

Customers may be those of the market, or drawn anew every episode: in a region, hidden factors exp(sigma_i z_i) on the
ranges that they are drawn from, with z (4,) standard normal in the order of `lmaas_env.scenario.REGION_SIGMAS`. Where
the market drifts, some are replaced every night, and the region moves (docs/unknown.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmaas_env.market import Market
from lmaas_env.population import Population, draw_region, sample_in_region, value_factor
from lmaas_env.scenario import HOURS_A_DAY, REGION_SIGMAS, Scenario
from lmaas_env.state import Draws, State
from lmaas_env.types import BoolArray, FloatArray


class Drift(NamedTuple):
    """The customers of the later days 1, ..., D - 1 of K lanes; row d - 1 holds what changes at the start of day d.

    Attributes
    ----------
    replaced : (D - 1, K, N) bool, customers that leave after the day before
    population : with leading axes (D - 1, K), all customers of the day
    shadowing : (D - 1, K, S * N), of those who come, dB
    demand, charge : (D - 1, K, N), of those who come, as a logarithm and in Wh
    """

    replaced: BoolArray
    population: Population
    shadowing: FloatArray
    demand: FloatArray
    charge: FloatArray


class Customers(NamedTuple):
    """The customers of K lanes, as an episode draws them at reset.

    Attributes
    ----------
    population : with a leading axis of K, of the first day
    region : (K, 4) of the first day, or (K, D, 4) of every day where regions drift; (K, 0) without regions
    drift : Drift, or None where customers stay
    """

    population: Population
    region: FloatArray
    drift: Drift | None


class Episode(NamedTuple):
    """All that K lanes draw at reset.

    Attributes
    ----------
    market : Market
        The one given, or with the customers of the first day in every lane if they are drawn every episode.
    state : State
        The first, of K lanes.
    draws : Draws
        With axes (H, K).
    region : (K, 4), (K, D, 4) or (K, 0)
        As in `Customers`.
    drift : Drift, optional
    """

    market: Market
    state: State
    draws: Draws
    region: FloatArray
    drift: Drift | None


class NewDay(NamedTuple):
    """What the start of a day changes in K lanes.

    Attributes
    ----------
    market : Market
        With the customers of the day.
    state : State
    removed, added : (K,), Wh in the batteries of customers who left and came
    """

    market: Market
    state: State
    removed: FloatArray
    added: FloatArray


def open_episodes(market: Market, rngs: Sequence[np.random.Generator]) -> Episode:
    """Draw an episode of each generator, a lane each: its customers if they are drawn every episode, then its days."""
    if market.scenario.resample_population == "never":
        return Episode(market, *market.days(rngs), np.empty((len(rngs), 0)), None)
    customers = draw_customers(market, rngs)
    opened = market.with_population(customers.population)
    return Episode(opened, *opened.days(rngs), customers.region, customers.drift)


class _Day(NamedTuple):
    """One lane's customers of a day: the region, everybody, who is new, and the state that the new start in."""

    region: FloatArray
    population: Population
    replaced: BoolArray
    shadowing: FloatArray
    demand: FloatArray
    charge: FloatArray


def draw_customers(market: Market, rngs: Sequence[np.random.Generator]) -> Customers:
    """Draw the customers of K lanes, a generator a lane.

    The order of draws, which is part of the definition: the region (if there are any), the customers, and where they
    change, day by day: innovations of the region, replacements, as many new customers, their charge, shadowing, demand,
    and their shadowing at the sites of sellers after the first.
    """
    lanes = [_draw_lane(market.scenario, rng) for rng in rngs]
    first = Population.stack([lane[0].population for lane in lanes])
    if not market.scenario.drifts:
        return Customers(first, np.stack([lane[0].region for lane in lanes]), None)
    later = [[lane[d] for lane in lanes] for d in range(1, market.scenario.days)]
    regions = np.stack([[day.region for day in lane] for lane in lanes])
    return Customers(
        first,
        regions,
        Drift(
            replaced=np.stack([[lane.replaced for lane in day] for day in later]),
            population=Population.stack([Population.stack([lane.population for lane in day]) for day in later]),
            shadowing=np.stack([[lane.shadowing for lane in day] for day in later]),
            demand=np.stack([[lane.demand for lane in day] for day in later]),
            charge=np.stack([[lane.charge for lane in day] for day in later]),
        ),
    )


def _draw_lane(scenario: Scenario, rng: np.random.Generator) -> list[_Day]:
    """Draw every day of an episode of one lane."""
    n, memory, none = scenario.customers, scenario.region_memory, np.empty(0)
    region = draw_region(scenario, rng)
    customers = sample_in_region(scenario, region, rng)
    days = [_Day(region, _valued(scenario, region, customers), np.empty(0, dtype=np.bool_), none, none, none)]
    for _ in range(1, scenario.days if scenario.drifts else 1):
        innovation = rng.standard_normal(len(REGION_SIGMAS))
        region = memory * region + np.sqrt(1.0 - memory**2) * innovation if region.size else region
        replaced = rng.random(n) < scenario.churn
        new = sample_in_region(scenario, region, rng)
        share = rng.uniform(scenario.charge_start_min, scenario.charge_start_max, n)
        shadowing = scenario.shadowing_sigma * rng.standard_normal(n)
        demand = scenario.demand_sigma * rng.standard_normal(n)
        elsewhere = scenario.shadowing_sigma * rng.standard_normal((scenario.sellers - 1) * n)
        shadowing = np.concatenate([shadowing, elsewhere])
        customers = customers.with_rows(new, replaced)
        today = _valued(scenario, region, customers)
        days.append(_Day(region, today, replaced, shadowing, demand, share * new.capacity))
    return days


def _valued(scenario: Scenario, region: FloatArray, customers: Population) -> Population:
    """Return customers whose task values hold the region's factor, which is kept apart as it changes for everybody."""
    return customers._replace(task_value=value_factor(scenario, region) * customers.task_value)


def starts_day(market: Market, state: State) -> BoolArray:
    """Return in which of K lanes (K,) the state is at the start of a later day of the episode."""
    return (state.hour % HOURS_A_DAY == 0) & (state.hour < market.scenario.periods) & (state.hour > 0)


def start_day(market: Market, state: State, drift: Drift, lanes: BoolArray) -> NewDay:
    """Let customers leave and others come in the lanes (K,) whose day starts; see `starts_day`."""
    which, population = np.flatnonzero(lanes), market.population
    day = state.hour[which] // HOURS_A_DAY - 1
    replaced = drift.replaced[day, which]
    removed, added = np.zeros((2, len(lanes)))
    removed[which] = np.where(replaced, state.charge[which], 0.0).sum(axis=1)
    added[which] = np.where(replaced, drift.charge[day, which], 0.0).sum(axis=1)
    today = Population._make(column[day, which] for column in drift.population)
    lead = state.charge.shape[0]
    every_lane = Population._make(own.reshape(lead, *new.shape[1:]) for own, new in zip(population, today, strict=True))
    changed = every_lane.with_rows(today, which)
    shaped = Population._make(new.reshape(own.shape) for own, new in zip(population, changed, strict=True))

    def renewed(own: FloatArray, new: FloatArray) -> FloatArray:
        column = own.copy()
        sites = own.shape[1] // replaced.shape[1]
        column[which] = np.where(np.tile(replaced, sites), new[day, which], own[which])
        return column

    after = State(
        state.hour,
        renewed(state.shadowing, drift.shadowing),
        renewed(state.demand, drift.demand),
        renewed(state.charge, drift.charge),
    )
    return NewDay(market.with_population(shaped), after, removed, added)
