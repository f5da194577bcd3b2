"""Market: one leasing period after another, as pure functions of prices, state and draws.

scenario → population + catalogue → state → rental terms → RSR → settlement → next state. Nothing is hidden: a market
holds constants only. Every state, draw, price and settlement may carry a leading axis of K markets (lanes) that share
those constants; shapes below are for one market.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from lmaas_env import kernels
from lmaas_env.catalogue import Catalogue
from lmaas_env.channel import mean_snr
from lmaas_env.customers import keep_plan, strategy
from lmaas_env.population import Population
from lmaas_env.rsr import price_rows
from lmaas_env.scenario import Scenario
from lmaas_env.terms import RentalTerms
from lmaas_env.types import BoolArray, FloatArray, IntArray


class MarketState(NamedTuple):
    """What the market remembers from one period to the next.

    Attributes
    ----------
    hour : int, periods since the start of the day (an array (K,) for K lanes)
    shadowing : (N,), dB
    demand : (N,), log of the demand factor
    charge : (N,), Wh in the battery
    """

    hour: int | IntArray
    shadowing: FloatArray
    demand: FloatArray
    charge: FloatArray


class Draws(NamedTuple):
    """One period's randomness; it never depends on prices.

    Attributes
    ----------
    faded : (N, L) bool, slots in deep fade
    shadowing, demand : (N,), standard normal innovations
    harvest : (N,), factor on the mean harvest
    taste : (N,), uniform on [0, 1), what customers that choose at random go by
    """

    faded: BoolArray
    shadowing: FloatArray
    demand: FloatArray
    harvest: FloatArray
    taste: FloatArray


class Settlement(NamedTuple):
    """What one period brought; money in $.

    Attributes
    ----------
    prices : (M,), posted, $/h
    choice : (N,) int, selected model, -1 for none
    hours : (N, L), rented
    revenue, cost, profit : the seller's
    customer_profit : (N,), realised
    worst_case_profit : (N,), what each customer's selection guaranteed
    energy_used, spilled : (N,), Wh drained by the rental, and harvested but not stored
    faded : (N, L) bool
    customers_per_model, hours_per_model : (M,), the first int
    """

    prices: FloatArray
    choice: IntArray
    hours: FloatArray
    revenue: FloatArray
    cost: FloatArray
    profit: FloatArray
    customer_profit: FloatArray
    worst_case_profit: FloatArray
    energy_used: FloatArray
    spilled: FloatArray
    faded: BoolArray
    customers_per_model: IntArray
    hours_per_model: FloatArray


class Market:
    """The market of one scenario and population.

    Parameters
    ----------
    scenario : Scenario or str
        A scenario, a preset's name or a YAML file.
    seed : int
        The population's seed; 0 reads the customers that ship with the package.
    population : Population, optional
        Customers of your own, instead of the seed's.
    customers : str
        How they select and rent: ``"rsr"`` or a rival's name (`lmaas_env.customers.STRATEGIES`).

    Raises
    ------
    ValueError
        If the scenario, the seed or the strategy is refused, or the population has other sizes than the scenario says.
    """

    def __init__(
        self,
        scenario: Scenario | str = "day",
        seed: int = 0,
        population: Population | None = None,
        customers: str = "rsr",
    ) -> None:
        self.scenario = Scenario.load(scenario)
        self.customers = strategy(customers, self.scenario.fade_probability)
        self.population = Population.for_scenario(self.scenario, seed) if population is None else population
        self.catalogue = Catalogue.from_scenario(self.scenario)
        expected = (self.scenario.customers, self.scenario.slots)
        if self.population.task_value.shape != expected:
            raise ValueError(
                f"population has (customers, slots) = {self.population.task_value.shape}, the scenario says {expected}"
            )
        wave = np.sin(2.0 * np.pi * (np.arange(24) - self.scenario.demand_rise) / 24.0)
        self._demand_factor = np.maximum(self.scenario.demand_trough, 1.0 + self.scenario.demand_peak * wave)
        self._mean_snr = np.array(
            [
                mean_snr(distance, bandwidth, self.scenario.transmit_power)
                for distance, bandwidth in zip(self.population.distance, self.population.bandwidth, strict=True)
            ]
        )

    def __repr__(self) -> str:
        return (
            f"Market(scenario={self.scenario.name!r}, customers={self.population.size}, models={self.catalogue.size})"
        )

    def initial_state(self, rng: np.random.Generator) -> MarketState:
        """Draw the state at the start of a day: stationary shadowing and demand, partly charged batteries."""
        scenario, n = self.scenario, self.population.size
        shadowing = scenario.shadowing_sigma * rng.standard_normal(n)
        demand = scenario.demand_sigma * rng.standard_normal(n)
        share = rng.uniform(scenario.charge_start_min, scenario.charge_start_max, n)
        return MarketState(0, shadowing, demand, share * self.population.capacity)

    def draws(self, rng: np.random.Generator) -> Draws:
        """Draw one period's fades, innovations and harvests; a day is H of them in order."""
        scenario, n = self.scenario, self.population.size
        return Draws(
            faded=rng.random((n, scenario.slots)) < scenario.fade_probability,
            shadowing=rng.standard_normal(n),
            demand=rng.standard_normal(n),
            harvest=rng.uniform(1.0 - scenario.harvest_spread, 1.0 + scenario.harvest_spread, n),
            taste=rng.random(n),
        )

    def day(self, rng: np.random.Generator) -> tuple[MarketState, list[Draws]]:
        """Draw a whole day: its first state and the draws of its H periods."""
        return self.initial_state(rng), [self.draws(rng) for _ in range(self.scenario.periods)]

    def demand_factor(self, hour: int | IntArray) -> FloatArray:
        """Return the time-of-day factor on every task value."""
        return self._demand_factor[hour % 24]

    def terms(self, state: MarketState) -> RentalTerms:
        """Return the period's rental terms; a state of K lanes gives those of K * N customers, lane after lane."""
        population, catalogue, scenario = self.population, self.catalogue, self.scenario
        lanes = state.charge.size // population.size
        snr = (self._mean_snr + state.shadowing).reshape(-1)
        value_factor = self.demand_factor(state.hour)[..., None] * np.exp(state.demand)
        quality, airtime_cost, power, max_hours = kernels.fill_terms(
            snr,
            population.bandwidth,
            population.fade_depth,
            scenario.transmit_power,
            scenario.airtime_price,
            catalogue.quality_low,
            catalogue.quality_high,
            catalogue.quality_slope,
            catalogue.quality_offset,
            catalogue.bit_rate,
            catalogue.compute_power,
            scenario.slots,
        )
        return RentalTerms(
            task_value=(population.task_value * value_factor[..., None]).reshape(-1, scenario.slots),
            fade_budget=np.tile(population.fade_budget, lanes),
            saturation=np.tile(population.saturation, lanes),
            energy=state.charge.reshape(-1),
            setup_cost=np.tile(catalogue.setup_cost, (lanes * population.size, 1)),
            quality=quality,
            airtime_cost=airtime_cost,
            power=power,
            max_hours=max_hours,
        )

    def settle(self, prices: ArrayLike, state: MarketState, draws: Draws) -> tuple[Settlement, MarketState]:
        """Let customers select, fades come true, customers rent; book it and move the state on.

        Parameters
        ----------
        prices : (M,) or (K, M) array_like
            $ per rented hour, as many rows as the state has lanes.
        state : MarketState
        draws : Draws

        Raises
        ------
        ValueError
            If prices have another shape or are not finite and positive, or the state holds an impossible number.
        """
        shape = state.charge.shape
        terms = self.terms(state)
        rows = price_rows(terms, prices)
        posted = np.asarray(prices, dtype=np.float64)
        if posted.shape != (*shape[:-1], self.catalogue.size):
            raise ValueError(f"prices have shape {posted.shape}, they must be {(*shape[:-1], self.catalogue.size)}")
        faded = draws.faded.reshape(terms.task_value.shape)
        selection = self.customers.select(terms.arrays, rows, draws.taste.reshape(-1))
        rent = self.customers.rent if self.scenario.settlement == "recourse" else keep_plan
        choice, hours, customer_profit, energy_used = rent(terms.arrays, rows, selection, faded)
        revenue, cost, customers_per_model, hours_per_model = kernels.book(
            choice,
            hours,
            rows,
            self.catalogue.serving_cost,
            self.catalogue.adaptation_cost,
            self.catalogue.training_cost,
        )
        next_state, spilled = self._next_state(state, draws, energy_used.reshape(shape))
        settlement = Settlement(
            prices=posted,
            choice=choice.reshape(shape),
            hours=hours.reshape(*shape, -1),
            revenue=revenue.reshape(shape[:-1])[()],
            cost=cost.reshape(shape[:-1])[()],
            profit=(revenue - cost).reshape(shape[:-1])[()],
            customer_profit=customer_profit.reshape(shape),
            worst_case_profit=selection.worst_case_profit.reshape(shape),
            energy_used=energy_used.reshape(shape),
            spilled=spilled,
            faded=draws.faded,
            customers_per_model=customers_per_model.reshape(posted.shape),
            hours_per_model=hours_per_model.reshape(posted.shape),
        )
        return settlement, next_state

    def _next_state(self, state: MarketState, draws: Draws, used: FloatArray) -> tuple[MarketState, FloatArray]:
        """Return the state one hour later (market.md, section 6) and the spilled energy."""
        scenario, capacity = self.scenario, self.population.capacity
        charge = state.charge - used + scenario.harvest * capacity * draws.harvest
        stored = np.clip(charge, 0.0, capacity)
        moved = MarketState(
            hour=state.hour + 1,
            shadowing=_moved(state.shadowing, scenario.shadowing_memory, scenario.shadowing_sigma, draws.shadowing),
            demand=_moved(state.demand, scenario.demand_memory, scenario.demand_sigma, draws.demand),
            charge=stored,
        )
        return moved, np.maximum(charge - stored, 0.0)


def _moved(value: FloatArray, memory: float, sigma: float, innovation: FloatArray) -> FloatArray:
    """First-order autoregression with stationary standard deviation sigma."""
    return memory * value + math.sqrt(1.0 - memory**2) * sigma * innovation


Lanes = TypeVar("Lanes", MarketState, Draws)


def stack(lanes: Sequence[Lanes]) -> Lanes:
    """Stack the states or the draws of K markets along a new leading axis."""
    return type(lanes[0])(*(np.stack(column) for column in zip(*lanes, strict=True)))


def unstack(state: MarketState) -> list[MarketState]:
    """Return the states of the K lanes."""
    hours = np.broadcast_to(state.hour, len(state.charge))
    return [MarketState(int(hours[k]), state.shadowing[k], state.demand[k], state.charge[k]) for k in range(len(hours))]
