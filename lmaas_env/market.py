"""Market: one leasing period after another, as pure functions of prices, state and draws.

scenario → population + catalogue → state → rental terms → RSR → settlement → next state. A market holds constants only.
Every state, draw, price and settlement may carry a leading axis of K markets (lanes) that share those constants, or
that have customers of their own if the population has that axis too; shapes below are for one market.
"""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lmaas_env.catalogue import Catalogue
from lmaas_env.checks import array_in, check_range
from lmaas_env.customers.strategies import RSR, keep_plan, strategy
from lmaas_env.engine import period
from lmaas_env.engine.channel import mean_snr
from lmaas_env.engine.draws import fill_day, fill_days
from lmaas_env.engine.parallel import in_threads
from lmaas_env.engine.period import (
    Constants,
    CustomerConstants,
    ModelConstants,
    Numbers,
    Record,
    Rentals,
    record_lanes,
    settle_lanes,
    state_after,
    terms_of_lanes,
)
from lmaas_env.population import Population, check_population
from lmaas_env.scenario import Scenario
from lmaas_env.state import Draws, Settlement, State
from lmaas_env.terms import RentalTerms, check_payable, check_terms
from lmaas_env.types import BoolArray, FloatArray, IntArray

LEAST_LANES = 32  # per thread: 0.2 ms of work, several times what handing it over takes
LAST_HOUR = 8760  # of a state: the most periods that a scenario may have
ROUNDING = 1e-9  # relative, by which a charge may exceed the capacity
DRAWN_AT_ONCE = 8  # lanes per call: unboxing a generator needs the interpreter's lock, for which threads would compete


class Market:
    """The market of one scenario and population.

    Parameters
    ----------
    scenario : Scenario, mapping, str or path
        A scenario, its numbers, a preset's name or a YAML file.
    seed : int
        The population's seed; 0 reads the customers that ship with the package.
    population : Population, optional
        Your own customers instead of the seed's; K populations (`Population.stack`) for K lanes that differ. Their
        distances to the sites of other sellers are drawn by the seed if they have none.
    customers : str
        How they select and rent: ``"rsr"`` or a rival's name (`lmaas_env.customers.strategies.STRATEGIES`).

    Attributes
    ----------
    strategy : the name of how customers select and rent
    constants : the market's constants as kernels take them

    Raises
    ------
    ValueError
        If the scenario, the seed or the strategy is refused, or the population has other sizes than the scenario says.
    """

    def __init__(
        self,
        scenario: Scenario | Mapping[str, Any] | str | os.PathLike[str] = "day",
        seed: int = 0,
        population: Population | None = None,
        customers: str = "rsr",
    ) -> None:
        self.scenario = Scenario.load(scenario)
        self.strategy = customers
        self.customers = strategy(customers, self.scenario.fade_probability)
        own = Population.for_scenario(self.scenario, seed) if population is None else population
        self.population = own.with_sites(self.scenario, seed)
        self.catalogue = Catalogue.from_scenario(self.scenario)
        self.constants = _constants(self.scenario, self.population, self.catalogue)

    def __repr__(self) -> str:
        return (
            f"Market(scenario={self.scenario.name!r}, customers={self.population.size}, models={self.catalogue.size})"
        )

    def with_population(self, population: Population) -> Market:
        """Return the same market with other customers."""
        return self.with_scenario(self.scenario, population)

    def with_scenario(self, scenario: Scenario, population: Population | None = None) -> Market:
        """Return this market under a scenario of the same models and fades, with other customers if given."""
        market = copy.copy(self)
        market.scenario = scenario
        market.population = (self.population if population is None else population).with_sites(scenario)
        market.constants = _constants(scenario, market.population, self.catalogue)
        return market

    def of_some(self, which: slice) -> Market:
        """Return the same market with some of its customers only.

        Raises
        ------
        ValueError
            If there are none of them, or the market's lanes have customers of their own.
        """
        if self.population.capacity.ndim > 1:
            raise ValueError("market: its lanes have customers of their own, which cannot be taken from all of them")
        population = Population._make(np.ascontiguousarray(column[which]) for column in self.population)
        return self.with_scenario(dataclasses.replace(self.scenario, customers=population.size), population)

    @property
    def offers(self) -> int:
        """Number of offers S * M: the models of every seller, seller after seller."""
        return self.scenario.sellers * self.catalogue.size

    def initial_state(self, rng: np.random.Generator) -> State:
        """Draw the state at the start of a day: stationary shadowing and demand, partly charged batteries."""
        state, _ = self._draw([rng], self.population.size, 0)
        return state.lane(0)

    def draws(self, rng: np.random.Generator) -> Draws:
        """Draw one period's fades, innovations and harvests; a day is H of them in order, if there is one seller."""
        return self._draw([rng], 0, 1)[1].at((0, 0))

    def draws_of(self, rng: np.random.Generator, periods: int) -> Draws:
        """Draw several periods one after the other, with a leading axis of periods."""
        return self._draw([rng], 0, periods)[1].at((slice(None), 0))

    def days(self, rngs: Sequence[np.random.Generator]) -> tuple[State, Draws]:
        """Draw a day per generator: the first states of K lanes, and the draws of H periods with axes (H, K)."""
        return self._draw(rngs, self.population.size, self.scenario.periods)

    def _draw(self, rngs: Sequence[np.random.Generator], starting: int, periods: int) -> tuple[State, Draws]:
        """Draw the first state of so many customers and so many periods of every lane."""
        scenario, lanes = self.scenario, len(rngs)
        others, shape = scenario.sellers - 1, (periods, lanes, self.population.size)
        start = np.empty((3 + others, lanes, starting))
        draws = Draws(np.empty((*shape, scenario.slots), dtype=np.bool_), *np.empty((4, *shape)))
        if others:
            draws = draws._replace(shadowing=np.empty((*shape[:2], scenario.sellers * shape[2])))

        def draw_lanes(first: int, last: int) -> None:
            while last - first >= DRAWN_AT_ONCE:
                fill_days(tuple(rngs[first : first + DRAWN_AT_ONCE]), first, self.constants, start, draws)
                first += DRAWN_AT_ONCE
            for lane in range(first, last):
                fill_day(rngs[lane], lane, self.constants, start, draws)

        in_threads(draw_lanes, lanes, LEAST_LANES)
        demand, share = start[1:3]
        shadowing = np.concatenate([start[0], *start[3:]], axis=-1) if others else start[0]
        capacity = self.population.capacity if starting else np.empty(0)
        hour = np.zeros(lanes, dtype=np.int64)
        return State(
            hour, scenario.shadowing_sigma * shadowing, scenario.demand_sigma * demand, share * capacity
        ), draws

    def demand_factor(self, hour: int | IntArray) -> FloatArray:
        """Return the time-of-day factor on every task value."""
        return self.constants.demand_factor[hour % 24]

    def terms(self, state: State) -> RentalTerms:
        """Return the period's rental terms; a state of K lanes gives those of K * N customers, lane after lane."""
        batch = self.as_batch(state)
        return RentalTerms.from_arrays(terms_of_lanes(self.constants, batch, 0, len(batch.hour)))

    def as_batch(self, state: State) -> State:
        """Return a state with a leading lane axis, whether it has one or not, checked against the market.

        Raises
        ------
        ValueError
            If the shapes of its arrays do not fit each other or the market, or the state holds an impossible number.
        """
        charge, n = np.asarray(state.charge, dtype=np.float64), self.population.size
        shape = charge.shape
        if len(shape) not in (1, 2) or shape[-1] != n:
            raise ValueError(f"state: charge has shape {shape}, it must be ({n},) or (lanes, {n})")
        hour = np.asarray(state.hour)
        if hour.dtype.kind not in "iu":
            raise ValueError(f"state: hour = {state.hour!r} must be a whole number in [0, {LAST_HOUR}] h")
        if hour.shape not in ((), shape[:-1]):
            raise ValueError(f"state: hour has shape {hour.shape}, it must be () or {shape[:-1]}")
        if self.population.distance.ndim > 1 and shape != self.population.distance.shape:
            raise ValueError(f"state: charge has shape {shape}, the populations have {self.population.distance.shape}")
        check_range("state: hour", hour, 0, LAST_HOUR, "h")
        hour = hour.astype(np.int64, copy=False)
        most = self.population.capacity * (1.0 + ROUNDING)
        return State(
            np.full(shape[:-1] or 1, hour) if hour.ndim == 0 else np.ascontiguousarray(hour),
            _batch_of("state: shadowing", state.shadowing, self._per_site(shape), unit="dB"),
            _batch_of("state: demand", state.demand, shape),
            _batch_of("state: charge", charge, shape, 0.0, most, "Wh"),
        )

    def _per_site(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of what every customer (..., N) has at every site, (..., S * N)."""
        return *shape[:-1], self.scenario.sellers * shape[-1]

    def settle(self, prices: ArrayLike, state: State, draws: Draws) -> tuple[Settlement, State]:
        """Let customers select, fades come true, customers rent; return what that brings and the next state.

        Parameters
        ----------
        prices : (S * M,) or (K, S * M) array_like
            $ per rented hour of every offer, as many rows as the state has lanes.
        state : State
        draws : Draws

        Raises
        ------
        ValueError
            If prices have another shape or are not finite and positive, or state or draws hold an impossible number.
        """
        try:
            posted = np.asarray(prices, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"prices cannot be read as an array of numbers: {error}") from error
        before, faded = self.as_batch(state), np.ascontiguousarray(draws.faded)
        shape = np.shape(state.charge)
        lead = shape[:-1]
        if posted.shape != (*lead, self.offers):
            raise ValueError(f"prices have shape {posted.shape}, they must be {(*lead, self.offers)}")
        expected = (*shape, self.scenario.slots)
        if faded.shape != expected or faded.dtype != np.bool_:
            raise ValueError(f"draws: faded has shape {faded.shape} ({faded.dtype}), it must be {expected} (bool)")
        batch = Draws(
            faded if lead else faded[None],
            _batch_of("draws: shadowing", draws.shadowing, self._per_site(shape)),
            _batch_of("draws: demand", draws.demand, shape),
            _batch_of("draws: harvest", draws.harvest, shape, 0.0),
            # A 1 would select a model that does not exist.
            _batch_of("draws: choice_uniform", draws.choice_uniform, shape, 0.0, float(np.nextafter(1.0, 0.0))),
        )
        rows = np.ascontiguousarray(posted) if lead else posted[None]
        record = self.new_record(len(rows))
        self.settle_batch(rows, before, batch.at(None), record)  # draws of one period, H = 1
        settlement, after = settlement_of(rows, batch.faded, record), state_after(record)
        return (settlement, after) if lead else (settlement.lane(0), after.lane(0))

    @property
    def is_compiled(self) -> bool:
        """Whether one kernel settles whole periods: customers follow RSR and rent with recourse."""
        return type(self.customers) is RSR and self.scenario.settlement == "recourse"

    def new_record(self, lanes: int) -> Record:
        """Return room for what a period of K lanes brings."""
        scenario, offers = self.scenario, self.offers
        customers, sellers = scenario.customers, scenario.sellers
        return Record(
            np.empty(lanes, dtype=np.int64),
            np.empty((lanes, customers), dtype=np.int64),
            np.empty((lanes, customers, scenario.slots)),
            np.empty((6, lanes, customers)),
            np.empty((lanes, sellers * customers)),
            np.empty((3, lanes)),
            np.empty((4, lanes, sellers)),
            np.empty((lanes, offers), dtype=np.int64),
            np.empty((lanes, offers)),
        )

    def settle_batch(self, prices: FloatArray, state: State, draws: Draws, record: Record) -> None:
        """As `settle` for K lanes, prices and state with a leading lane axis; fills ``record``.

        For the environments, whose state and draws are their own: neither shapes nor numbers of them are checked. The
        draws have axes (H, K): those of each lane's hour are used, the last period's where the hour is beyond them.

        Raises
        ------
        ValueError
            If there is not one price per offer, or a rental term or a price breaks a rule.
        """
        if prices.shape[1] != self.offers:
            raise ValueError(f"prices have shape {prices.shape}, they must be of all {self.offers} offers")

        def settle_some(first: int, last: int) -> bool:
            return settle_lanes(self.constants, prices, state, draws, first, last, record)

        if self.is_compiled and all(in_threads(settle_some, len(prices), LEAST_LANES)):
            return
        terms = terms_of_lanes(self.constants, state, 0, len(prices))
        check_terms(terms)
        price = check_payable(terms, prices)
        now = draws.lanes_at(state.hour)
        selection = self.customers.select(terms, price, draws.choice_uniform[now].reshape(-1))
        faded = np.ascontiguousarray(draws.faded[now].reshape(-1, self.scenario.slots).T)
        rent = self.customers.rent if self.scenario.settlement == "recourse" else keep_plan
        choice, hours, profit, energy = rent(terms, price, selection, faded)
        rentals = Rentals(choice, hours, profit, selection.worst_case_profit, energy)
        record_lanes(self.constants, prices, state, draws, 0, rentals, record)


def settlement_of(prices: FloatArray, faded: BoolArray, record: Record) -> Settlement:
    """Return what a record says of the period of K lanes."""
    mine, of_seller = record.per_customer, record.per_seller
    if of_seller.shape[2] == 1:
        of_seller = of_seller[:, :, 0]
    return Settlement(
        prices=prices,
        choice=record.choice,
        hours=record.hours,
        revenue=of_seller[period.REVENUE],
        cost=of_seller[period.COST],
        profit=of_seller[period.PROFIT],
        customer_profit=mine[period.CUSTOMER_PROFIT],
        worst_case_profit=mine[period.WORST_CASE_PROFIT],
        energy_used=mine[period.ENERGY_USED],
        spilled=mine[period.SPILLED],
        faded=faded,
        customers_per_model=record.customers_per_model,
        hours_per_model=record.hours_per_model,
    )


def _constants(scenario: Scenario, population: Population, catalogue: Catalogue) -> Constants:
    """Return the constants as kernels take them; refuses a population that does not fit the scenario."""
    check_population(population, scenario.customers, scenario.slots)
    wave = np.sin(2.0 * np.pi * (np.arange(24) - scenario.demand_rise) / 24.0)
    bandwidth = np.ravel(population.bandwidth)
    sites = [np.ravel(population.distance), *population.other_distance.reshape(len(bandwidth), -1).T]
    snr = np.array(
        [
            [mean_snr(metres, width, scenario.transmit_power) for metres, width in zip(site, bandwidth, strict=True)]
            for site in sites
        ]
    )
    customers = CustomerConstants(
        mean_snr=snr[0],
        bandwidth=bandwidth,
        fade_depth=np.ravel(population.fade_depth),
        capacity=np.ravel(population.capacity),
        saturation=np.ravel(population.saturation),
        other_snr=snr[1:],
    )
    return Constants(
        customers=np.concatenate([customers[:5], customers.other_snr]),
        fade_budget=np.ravel(population.fade_budget),
        task_value=np.ascontiguousarray(population.task_value.reshape(-1, scenario.slots).T),
        models=np.tile(np.array(ModelConstants(*catalogue[1:])), scenario.sellers),
        demand_factor=np.maximum(scenario.demand_trough, 1.0 + scenario.demand_peak * wave),
        numbers=np.array([getattr(scenario, name) for name in Numbers._fields], dtype=np.float64),
    )


def _batch_of(
    name: str,
    values: FloatArray,
    shape: tuple[int, ...],
    low: float = -np.inf,
    high: FloatArray | float = np.inf,
    unit: str = "",
) -> FloatArray:
    """Return values of every customer, (N,) or (K, N), as (K, N), checked."""
    array = array_in(name, values, shape, low, high, unit)
    return array if len(shape) > 1 else array[None]


def unstack(state: State) -> list[State]:
    """Return the states of the K lanes."""
    lanes = len(state.charge)
    batch = state._replace(hour=np.broadcast_to(state.hour, lanes))
    return [batch.lane(k) for k in range(lanes)]
