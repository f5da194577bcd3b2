"""Market: one leasing period after another, as pure functions of prices, state and draws.

scenario → population + catalogue → state → rental terms → RSR → settlement → next state. Nothing is hidden: a market
holds constants only. Every state, draw, price and settlement may carry a leading axis of K markets (lanes) that share
those constants, or that have customers of their own if the population has that axis too; shapes below are for one
market.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from lmaas_env.catalogue import Catalogue
from lmaas_env.customers.strategies import RSR, keep_plan, strategy
from lmaas_env.engine import period
from lmaas_env.engine.channel import mean_snr
from lmaas_env.engine.parallel import in_threads
from lmaas_env.engine.period import Booked, Constants, LaneDraws, LaneState
from lmaas_env.population import Population
from lmaas_env.rsr import price_rows
from lmaas_env.scenario import Scenario
from lmaas_env.terms import RentalTerms
from lmaas_env.types import BoolArray, FloatArray, IntArray

LEAST_LANES = 32  # of one thread: 0.2 ms of work, several times what handing it over takes
DRAWN = 8  # lanes drawn in one call: taking a generator over needs the interpreter, which threads would fight for


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

    def at(self, index: Any) -> Draws:
        """Return the draws at an index of the leading axes, such as the hour of a day's draws."""
        return Draws(
            faded=self.faded[index],
            shadowing=self.shadowing[index],
            demand=self.demand[index],
            harvest=self.harvest[index],
            taste=self.taste[index],
        )


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
        Customers of your own, instead of the seed's; K populations (`Population.stack`) for K lanes that differ.
    customers : str
        How they select and rent: ``"rsr"`` or a rival's name (`lmaas_env.customers.strategies.STRATEGIES`).

    Attributes
    ----------
    packed : the constants as kernels take them (`lmaas_env.engine.period.Packed`)
    is_compiled : whether `lmaas_env.engine.period.settle_rsr` settles its periods

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
        constants = _constants(self.scenario, self.population, self.catalogue)
        self._demand_factor, self.packed = constants.demand_factor, period.pack(constants)
        self.is_compiled = type(self.customers) is RSR and self.scenario.settlement == "recourse"

    def __repr__(self) -> str:
        return (
            f"Market(scenario={self.scenario.name!r}, customers={self.population.size}, models={self.catalogue.size})"
        )

    def with_population(self, population: Population) -> Market:
        """Return the same market with other customers."""
        market = copy.copy(self)
        market.population = population
        market.packed = period.pack(_constants(self.scenario, population, self.catalogue))
        return market

    def initial_state(self, rng: np.random.Generator) -> MarketState:
        """Draw the state at the start of a day: stationary shadowing and demand, partly charged batteries."""
        return unstack(self._states(self._drawn([rng], self.population.size, 0)[0]))[0]

    def draws(self, rng: np.random.Generator) -> Draws:
        """Draw one period's fades, innovations and harvests; a day is H of them in order."""
        return Draws(*(array[0, 0] for array in self._drawn([rng], 0, 1)[1]))

    def day(self, rng: np.random.Generator) -> tuple[MarketState, list[Draws]]:
        """Draw a whole day: its first state and the draws of its H periods."""
        states, drawn = self.days([rng])
        return unstack(states)[0], [Draws(*period) for period in zip(*(array[:, 0] for array in drawn), strict=True)]

    def days(self, rngs: Sequence[np.random.Generator]) -> tuple[MarketState, Draws]:
        """Draw a day per generator, as `day` does: first states of K lanes, and draws with leading axes (H, K)."""
        start, draws = self._drawn(rngs, self.population.size, self.scenario.periods)
        return self._states(start), draws

    def _drawn(self, rngs: Sequence[np.random.Generator], starting: int, periods: int) -> tuple[FloatArray, Draws]:
        """Draw the first state of so many customers and so many periods of every lane."""
        scenario, shape = self.scenario, (periods, len(rngs), self.population.size)
        start = np.empty((3, len(rngs), starting))
        shadowing, demand, harvest, taste = np.empty((4, *shape))
        draws = LaneDraws(np.empty((*shape, scenario.slots), dtype=np.bool_), shadowing, demand, harvest)
        charge = scenario.charge_start_min, scenario.charge_start_max
        chances = scenario.fade_probability, scenario.harvest_spread

        def draw_lanes(first: int, last: int) -> None:
            while first < last:
                count = DRAWN if last - first >= DRAWN else 1  # two sizes only, as each is compiled by itself
                given = tuple(rngs[first : first + count])
                period.draw_days(given, first, *charge, *chances, start, draws, taste)
                first += count

        in_threads(draw_lanes, len(rngs), LEAST_LANES)
        return start, Draws(*draws, taste)

    def _states(self, start: FloatArray) -> MarketState:
        """Return the first states of K lanes, drawn as `period.draw_days` says."""
        shadowing, demand, share = start
        return MarketState(
            np.zeros(len(share), dtype=np.int64),
            self.scenario.shadowing_sigma * shadowing,
            self.scenario.demand_sigma * demand,
            share * self.population.capacity,
        )

    def demand_factor(self, hour: int | IntArray) -> FloatArray:
        """Return the time-of-day factor on every task value."""
        return self._demand_factor[hour % 24]

    def terms(self, state: MarketState) -> RentalTerms:
        """Return the period's rental terms; a state of K lanes gives those of K * N customers, lane after lane."""
        return RentalTerms(*period.terms_of(self.packed, self.lanes(state)))

    def lanes(self, state: MarketState) -> LaneState:
        """Return the state as kernels take it, with a leading lane axis; checks its shapes."""
        charge, n = np.asarray(state.charge, dtype=np.float64), self.population.size
        shape = charge.shape
        if len(shape) not in (1, 2) or shape[-1] != n:
            raise ValueError(f"state: charge has shape {shape}, it must be ({n},) or (lanes, {n})")
        hour = np.asarray(state.hour, dtype=np.int64)
        if hour.shape not in ((), shape[:-1]):
            raise ValueError(f"state: hour has shape {hour.shape}, it must be () or {shape[:-1]}")
        if self.population.distance.ndim > 1 and shape != self.population.distance.shape:
            raise ValueError(f"state: charge has shape {shape}, the populations have {self.population.distance.shape}")
        return LaneState(
            np.full(shape[:-1] or 1, hour) if hour.ndim == 0 else np.ascontiguousarray(hour),
            _lane_rows("state: shadowing", state.shadowing, shape),
            _lane_rows("state: demand", state.demand, shape),
            _lane_rows("state: charge", charge, shape),
        )

    def _lane_draws(self, draws: Draws, shape: tuple[int, ...]) -> Draws:
        """Return the draws of a state of that shape with a leading lane axis; checks their shapes."""
        faded = np.ascontiguousarray(draws.faded)
        expected = (*shape, self.scenario.slots)
        if faded.shape != expected or faded.dtype != np.bool_:
            raise ValueError(f"draws: faded has shape {faded.shape} ({faded.dtype}), it must be {expected} (bool)")
        return Draws(
            faded if len(shape) > 1 else faded[None],
            _lane_rows("draws: shadowing", draws.shadowing, shape),
            _lane_rows("draws: demand", draws.demand, shape),
            _lane_rows("draws: harvest", draws.harvest, shape),
            _lane_rows("draws: taste", draws.taste, shape),
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
        try:
            posted = np.asarray(prices, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"prices cannot be read as an array of numbers: {error}") from error
        lead = state.charge.shape[:-1]
        if posted.shape != (*lead, self.catalogue.size):
            raise ValueError(f"prices have shape {posted.shape}, they must be {(*lead, self.catalogue.size)}")
        lanes, drawn = self.lanes(state), self._lane_draws(draws, state.charge.shape)
        rows = np.ascontiguousarray(posted) if lead else posted[None]
        booked = self.settle_lanes(rows, lanes, drawn)
        settlement = settlement_of(rows, drawn.faded, booked)
        after = period.state_in(lanes.hour + 1, booked.per_customer)
        if lead:
            return settlement, MarketState(*after)
        return Settlement(*(it[0] for it in settlement)), MarketState(state.hour + 1, *(it[0] for it in after[1:]))

    def settle_lanes(self, prices: FloatArray, state: LaneState, draws: Draws) -> Booked:
        """As `settle`, without a look at shapes: every array has a leading lane axis, prices are (K, M).

        Raises
        ------
        ValueError
            As in `settle`, but for shapes.
        """
        booked = period.new_booked(*prices.shape, *self.population.task_value.shape[-2:])
        drawn = LaneDraws(draws.faded, draws.shadowing, draws.demand, draws.harvest)

        def settle_some(first: int, last: int) -> bool:
            return period.settle_rsr(self.packed, prices, state, drawn, first, last, booked)

        if self.is_compiled and all(in_threads(settle_some, len(prices), LEAST_LANES)):
            return booked
        terms = RentalTerms(*period.terms_of(self.packed, state))  # it and price_rows say what is wrong, if anything is
        price_rows(terms, prices)
        selection = self.customers.select(terms.arrays, prices, draws.taste.reshape(-1))
        rent = self.customers.rent if self.scenario.settlement == "recourse" else keep_plan
        choice, hours, profit, used = rent(terms.arrays, prices, selection, draws.faded.reshape(terms.task_value.shape))
        worst = selection.worst_case_profit
        period.book(self.packed, 0, prices, state, drawn, choice, hours, profit, worst, used, booked)
        return booked


def settlement_of(prices: FloatArray, faded: BoolArray, booked: Booked) -> Settlement:
    """Return what K lanes booked under its names."""
    mine = booked.per_customer
    return Settlement(
        prices=prices,
        choice=booked.choice,
        hours=booked.hours,
        revenue=booked.per_lane[period.REVENUE],
        cost=booked.per_lane[period.COST],
        profit=booked.per_lane[period.PROFIT],
        customer_profit=mine[period.CUSTOMER_PROFIT],
        worst_case_profit=mine[period.WORST_CASE_PROFIT],
        energy_used=mine[period.ENERGY_USED],
        spilled=mine[period.SPILLED],
        faded=faded,
        customers_per_model=booked.customers_per_model,
        hours_per_model=booked.hours_per_model,
    )


def _constants(scenario: Scenario, population: Population, catalogue: Catalogue) -> Constants:
    """Return the constants as kernels take them; refuses a population of other sizes than the scenario says."""
    expected = (scenario.customers, scenario.slots)
    if population.task_value.shape[-2:] != expected:
        raise ValueError(
            f"population has (customers, slots) = {population.task_value.shape}, the scenario says {expected}"
        )
    wave = np.sin(2.0 * np.pi * (np.arange(24) - scenario.demand_rise) / 24.0)
    distance, bandwidth = np.ravel(population.distance), np.ravel(population.bandwidth)
    links = zip(distance, bandwidth, strict=True)
    return Constants(
        mean_snr=np.array([mean_snr(metres, width, scenario.transmit_power) for metres, width in links]),
        bandwidth=bandwidth,
        fade_depth=np.ravel(population.fade_depth),
        capacity=np.ravel(population.capacity),
        saturation=np.ravel(population.saturation),
        fade_budget=np.ravel(population.fade_budget),
        task_value=np.ascontiguousarray(population.task_value).reshape(-1, population.task_value.shape[-1]),
        quality_low=catalogue.quality_low,
        quality_high=catalogue.quality_high,
        quality_slope=catalogue.quality_slope,
        quality_offset=catalogue.quality_offset,
        bit_rate=catalogue.bit_rate,
        compute_power=catalogue.compute_power,
        serving_cost=catalogue.serving_cost,
        adaptation_cost=catalogue.adaptation_cost,
        training_cost=catalogue.training_cost,
        setup_cost=catalogue.setup_cost,
        demand_factor=np.maximum(scenario.demand_trough, 1.0 + scenario.demand_peak * wave),
        transmit_power=float(scenario.transmit_power),
        airtime_price=float(scenario.airtime_price),
        harvest=float(scenario.harvest),
        shadowing_memory=float(scenario.shadowing_memory),
        shadowing_sigma=float(scenario.shadowing_sigma),
        demand_memory=float(scenario.demand_memory),
        demand_sigma=float(scenario.demand_sigma),
    )


def _lane_rows(name: str, values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return values of every customer, (N,) or (K, N), as (K, N)."""
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, it must be {shape}")
    return array if len(shape) > 1 else array[None]


Lanes = TypeVar("Lanes", MarketState, Draws)


def stack(lanes: Sequence[Lanes]) -> Lanes:
    """Stack the states or the draws of K markets along a new leading axis."""
    return type(lanes[0])(*(np.stack(column) for column in zip(*lanes, strict=True)))


def unstack(state: MarketState) -> list[MarketState]:
    """Return the states of the K lanes."""
    hours = np.broadcast_to(state.hour, len(state.charge))
    return [MarketState(int(hours[k]), state.shadowing[k], state.demand[k], state.charge[k]) for k in range(len(hours))]
