"""One leasing period of a batch of markets: rental terms, settlement, next state (docs/market.md).

A lane is one market of the batch. All lanes share the market's constants, or each lane has customers of its own.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmaas_env.engine.channel import data_rate, similarity
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.math import exponential, where
from lmaas_env.engine.rsr import chosen, rent, select, selection_threshold, worst_case_of_all
from lmaas_env.engine.terms import Terms, first_unpayable, first_violation, price_per_customer
from lmaas_env.state import Draws, State
from lmaas_env.types import BoolArray, FloatArray, IntArray

BLOCK = 384  # customers whose terms are alive at once: 0.15 MB with the default models, so that they stay in the cache


class CustomerConstants(NamedTuple):
    """The customers' constants, (C,): C = N, or K * N lane after lane where each lane has customers of its own."""

    mean_snr: FloatArray  # at the site of the first seller
    bandwidth: FloatArray
    fade_depth: FloatArray
    capacity: FloatArray
    saturation: FloatArray
    other_snr: FloatArray  # (S - 1, C), at the sites of the others


class ModelConstants(NamedTuple):
    """The constants of every offer, (S * M,): the models of `lmaas_env.Catalogue`, seller after seller."""

    quality_low: FloatArray
    quality_high: FloatArray
    quality_slope: FloatArray
    quality_offset: FloatArray
    bit_rate: FloatArray
    compute_power: FloatArray
    serving_cost: FloatArray
    adaptation_cost: FloatArray
    training_cost: FloatArray
    setup_cost: FloatArray


class Numbers(NamedTuple):
    """Numbers of a scenario that are the same for every customer and model, by their names in `lmaas_env.Scenario`."""

    transmit_power: float
    airtime_price: float
    harvest: float
    harvest_spread: float
    shadowing_memory: float
    shadowing_sigma: float
    demand_memory: float
    demand_sigma: float
    charge_start_min: float
    charge_start_max: float
    fade_probability: float
    periods: float
    price_floor: float
    price_cap: float
    price_menu: float


class Constants(NamedTuple):
    """Everything about a market that does not change from period to period.

    Few arrays, as each one that a kernel is called with costs 0.1 us: `customers_of`, `models_of` and `numbers_of` name
    their rows.
    """

    customers: FloatArray  # (5 + S - 1, C), rows as in `CustomerConstants`
    fade_budget: IntArray  # (C,)
    task_value: FloatArray  # (L, C)
    models: FloatArray  # (10, S * M), rows as in `ModelConstants`
    demand_factor: FloatArray  # (24,), by hour of day
    numbers: FloatArray  # (15,), as in `Numbers`


@kernel
def customers_of(constants: Constants) -> CustomerConstants:
    """Return the customers' constants by name."""
    rows = constants.customers
    return CustomerConstants(rows[0], rows[1], rows[2], rows[3], rows[4], rows[5:])


@kernel
def sellers_of(constants: Constants) -> int:
    """Return the number of sellers S."""
    return constants.customers.shape[0] - 4


@kernel
def models_of(constants: Constants) -> ModelConstants:
    """Return the models' constants by name."""
    rows = constants.models
    return ModelConstants(rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6], rows[7], rows[8], rows[9])


@kernel
def numbers_of(constants: Constants) -> Numbers:
    """Return the scenario's numbers by name."""
    x = constants.numbers
    return Numbers(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], x[11], x[12], x[13], x[14])


@kernel
def terms_of_lanes(constants: Constants, state: State, first: int, last: int) -> Terms:
    """Return the rental terms of the customers of the lanes first, ..., last - 1, lane after lane."""
    return terms_of_block(constants, state, first, last, 0, state.charge.shape[1])


@kernel
def terms_of_block(constants: Constants, state: State, first: int, last: int, begin: int, stop: int) -> Terms:
    """Return the rental terms of the customers begin, ..., stop - 1 of each of the lanes first, ..., last - 1."""
    known, models, sellers = customers_of(constants), models_of(constants), sellers_of(constants)
    everyone, customers = state.charge.shape[1], stop - begin
    slots, offers, rows = constants.task_value.shape[0], models.bit_rate.shape[0], (last - first) * customers
    task_value, energy, snr = np.empty((slots, rows)), np.empty(rows), np.empty((sellers, rows))
    bandwidth, fade_depth, factor = np.empty(rows), np.empty(rows), np.empty(customers)
    saturation, fade_budget = np.empty(rows), np.empty(rows, dtype=np.int64)
    for lane in range(first, last):
        start = (lane - first) * customers
        end, own = start + customers, lane * everyone % known.capacity.shape[0] + begin
        bandwidth[start:end] = known.bandwidth[own : own + customers]
        fade_depth[start:end] = known.fade_depth[own : own + customers]
        saturation[start:end] = known.saturation[own : own + customers]
        fade_budget[start:end] = constants.fade_budget[own : own + customers]
        energy[start:end] = state.charge[lane, begin:stop]
        by_hour = constants.demand_factor[state.hour[lane] % 24]
        for n in range(customers):
            snr[0, start + n] = known.mean_snr[own + n] + state.shadowing[lane, begin + n]
        for s in range(1, sellers):
            site = s * everyone + begin
            for n in range(customers):
                snr[s, start + n] = known.other_snr[s - 1, own + n] + state.shadowing[lane, site + n]
        for n in range(customers):
            factor[n] = by_hour * exponential(state.demand[lane, begin + n])
        for slot in range(slots):
            for n in range(customers):
                task_value[slot, start + n] = constants.task_value[slot, own + n] * factor[n]
    setup_cost = np.empty((offers, rows))
    for m in range(offers):
        setup_cost[m] = models.setup_cost[m]
    quality, airtime_cost, power, max_hours = _links(constants, snr, bandwidth, fade_depth, slots)
    return Terms(task_value, fade_budget, saturation, energy, setup_cost, quality, airtime_cost, power, max_hours)


@kernel
def _links(
    constants: Constants, snr: FloatArray, bandwidth: FloatArray, fade_depth: FloatArray, slots: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return q, c ($/h), g (W) and cap (h), each (2, S * M, R), from each customer's nominal SNR (S, R) in dB."""
    models, numbers = models_of(constants), numbers_of(constants)
    offers, (sellers, customers) = models.bit_rate.shape[0], snr.shape
    shape = (2, offers, customers)
    quality, airtime_cost, power, max_hours = np.empty(shape), np.empty(shape), np.empty(shape), np.empty(shape)
    gamma, rate, airtime = np.empty(customers), np.empty(customers), np.empty(customers)
    per_seller = offers // sellers
    for fade in range(2):  # one loop per array: loops that write several do not vectorise
        for s in range(sellers):
            for n in range(customers):
                gamma[n] = snr[s, n] - fade * fade_depth[n]
            for n in range(customers):
                rate[n] = data_rate(gamma[n], bandwidth[n])
            for m in range(s * per_seller, (s + 1) * per_seller):
                low, high = models.quality_low[m], models.quality_high[m]
                slope, offset = models.quality_slope[m], models.quality_offset[m]
                q, c, g, cap = quality[fade, m], airtime_cost[fade, m], power[fade, m], max_hours[fade, m]
                for n in range(customers):
                    q[n] = similarity(gamma[n], low, high, slope, offset)
                for n in range(customers):
                    airtime[n] = models.bit_rate[m] / rate[n]  # a, hours per rented hour
                for n in range(customers):
                    c[n] = numbers.airtime_price * airtime[n]
                for n in range(customers):
                    g[n] = numbers.transmit_power * airtime[n] + models.compute_power[m]
                for n in range(customers):
                    longest = 1.0 / airtime[n]
                    cap[n] = where(longest < 1.0, longest, 1.0) / slots
    return quality, airtime_cost, power, max_hours


class Rentals(NamedTuple):
    """What the R customers of some lanes selected and rented."""

    choice: IntArray  # (R,), -1 for none
    hours: FloatArray  # (L, R)
    profit: FloatArray  # (R,), $
    worst_case_profit: FloatArray  # (R,), $
    energy: FloatArray  # (R,), Wh


class Record(NamedTuple):
    """What a period of K lanes brought, and the state after it, in few arrays; `lmaas_env.market` names its parts."""

    hour: IntArray  # (K,), after the period
    choice: IntArray  # (K, N)
    hours: FloatArray  # (K, N, L)
    per_customer: FloatArray  # (6, K, N), rows as numbered below
    shadowing: FloatArray  # (K, S * N), after the period
    per_lane: FloatArray  # (3, K), rows as numbered below
    per_seller: FloatArray  # (4, K, S), rows as numbered below; the last is filled by `lmaas_env.engine.observation`
    customers_per_model: IntArray  # (K, S * M)
    hours_per_model: FloatArray  # (K, S * M)


CUSTOMER_PROFIT, WORST_CASE_PROFIT, ENERGY_USED, SPILLED, DEMAND, CHARGE = range(6)  # of per_customer
CUSTOMERS_PROFIT, CUSTOMERS_WORST_CASE, FADED_SHARE = range(3)  # of per_lane
PROFIT, REVENUE, COST, CLIPPED_SHARE = range(4)  # of per_seller


@kernel
def state_after(record: Record) -> State:
    """Return the state of K lanes that a record holds."""
    rows = record.per_customer
    return State(record.hour, record.shadowing, rows[DEMAND], rows[CHARGE])


@kernel
def settle_lanes(
    constants: Constants, prices: FloatArray, state: State, draws: Draws, first: int, last: int, record: Record
) -> bool:
    """Settle a period of the lanes first, ..., last - 1 for customers that follow RSR and rent with recourse.

    Prices (K, S * M), state, draws (H, K, ...) and the record that is filled are those of all lanes. Returns False if
    terms or prices break a rule (`first_violation`, `first_unpayable`).
    """
    customers = state.charge.shape[1]
    at_once = max(1, BLOCK // customers)
    for low in range(first, last, at_once):
        high = min(low + at_once, last)
        for begin in range(0, customers, BLOCK):  # more than one block only of a lane that has more customers
            stop = min(begin + BLOCK, customers)
            terms = terms_of_block(constants, state, low, high, begin, stop)
            price = price_per_customer(prices[low:high], stop - begin)
            if first_violation(terms)[0] >= 0 or first_unpayable(terms, price)[0] >= 0:
                return False
            worst = worst_case_of_all(terms, price)
            choice = select(worst, selection_threshold(terms))
            hours, profit, energy = rent(terms, choice, price, _fades(state, draws, low, high, begin, stop))
            rentals = Rentals(choice, hours, profit, chosen(worst, choice), energy)
            record_block(constants, prices, state, draws, low, begin, rentals, record)
    return True


@kernel
def _period_of(state: State, draws: Draws, lane: int) -> int:
    """Return which of the periods of draws (H, K, ...) is that of a lane's hour, the last where it is beyond."""
    return min(state.hour[lane], draws.faded.shape[0] - 1)


@kernel
def _fades(state: State, draws: Draws, first: int, last: int, begin: int, stop: int) -> BoolArray:
    """Return z (L, R) of the customers begin, ..., stop - 1 of each of the lanes first, ..., last - 1."""
    slots, customers = draws.faded.shape[3], stop - begin
    faded = np.empty((slots, (last - first) * customers), dtype=np.bool_)
    for lane in range(first, last):
        of_lane, start = draws.faded[_period_of(state, draws, lane), lane], (lane - first) * customers
        for n in range(customers):
            for slot in range(slots):
                faded[slot, start + n] = of_lane[begin + n, slot]
    return faded


@kernel
def record_lanes(
    constants: Constants,
    prices: FloatArray,
    state: State,
    draws: Draws,
    first: int,
    rentals: Rentals,
    record: Record,
) -> None:
    """Record what the customers of the lanes from ``first`` on rented, who pays what, and the state after it."""
    record_block(constants, prices, state, draws, first, 0, rentals, record)


@kernel
def record_block(
    constants: Constants,
    prices: FloatArray,
    state: State,
    draws: Draws,
    first: int,
    begin: int,
    rentals: Rentals,
    record: Record,
) -> None:
    """As `record_lanes` for a lane's customers from ``begin`` on; blocks come in order, or one is of all lanes."""
    known, models, numbers = customers_of(constants), models_of(constants), numbers_of(constants)
    customers, slots, sellers = state.charge.shape[1], rentals.hours.shape[0], sellers_of(constants)
    mine, of_lane, per_seller = record.per_customer, record.per_lane, prices.shape[1] // sellers
    training = models.training_cost[:per_seller].sum()  # the same for each seller
    block = min(rentals.choice.shape[0], customers)
    for lane in range(first, first + rentals.choice.shape[0] // block):
        revenue, cost = record.per_seller[REVENUE, lane], record.per_seller[COST, lane]
        if begin == 0:
            revenue[:], cost[:], of_lane[:, lane] = 0.0, training, 0.0
            record.customers_per_model[lane] = 0
            record.hours_per_model[lane] = 0.0
        profits, worst, fades = of_lane[CUSTOMERS_PROFIT, lane], of_lane[CUSTOMERS_WORST_CASE, lane], 0
        own, now = lane * customers % known.capacity.shape[0], _period_of(state, draws, lane)
        for n in range(begin, begin + block):
            row = (lane - first) * customers + n - begin
            m, rented = rentals.choice[row], 0.0
            for slot in range(slots):
                record.hours[lane, n, slot] = rentals.hours[slot, row]
                rented += rentals.hours[slot, row]
                fades += draws.faded[now, lane, n, slot]
            if m >= 0:
                record.customers_per_model[lane, m] += 1
                record.hours_per_model[lane, m] += rented
                revenue[m // per_seller] += prices[lane, m] * rented
                cost[m // per_seller] += models.serving_cost[m] * rented + models.adaptation_cost[m]
            record.choice[lane, n] = m
            profits += rentals.profit[row]
            worst += rentals.worst_case_profit[row]
            mine[CUSTOMER_PROFIT, lane, n] = rentals.profit[row]
            mine[WORST_CASE_PROFIT, lane, n] = rentals.worst_case_profit[row]
            mine[ENERGY_USED, lane, n] = rentals.energy[row]
            capacity = known.capacity[own + n]
            harvested = numbers.harvest * capacity * draws.harvest[now, lane, n]
            charge = state.charge[lane, n] - rentals.energy[row] + harvested
            stored = min(max(charge, 0.0), capacity)
            mine[SPILLED, lane, n], mine[CHARGE, lane, n] = max(charge - stored, 0.0), stored
            mine[DEMAND, lane, n] = _autoregressive(
                state.demand[lane, n], numbers.demand_memory, numbers.demand_sigma, draws.demand[now, lane, n]
            )
        of_lane[CUSTOMERS_PROFIT, lane], of_lane[CUSTOMERS_WORST_CASE, lane] = profits, worst
        of_lane[FADED_SHARE, lane] += fades / (customers * slots)
        if begin + block < customers:
            continue
        record.hour[lane] = state.hour[lane] + 1
        for n in range(state.shadowing.shape[1]):
            innovation = draws.shadowing[now, lane, n]
            record.shadowing[lane, n] = _autoregressive(
                state.shadowing[lane, n], numbers.shadowing_memory, numbers.shadowing_sigma, innovation
            )
        for s in range(sellers):
            record.per_seller[PROFIT, lane, s] = revenue[s] - cost[s]


@kernel
def _autoregressive(value: float, memory: float, sigma: float, innovation: float) -> float:
    """Return the next value of a first-order autoregression with stationary standard deviation sigma."""
    return memory * value + math.sqrt(1.0 - memory**2) * sigma * innovation
