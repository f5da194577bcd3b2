"""One leasing period of many lanes, compiled: draws, rental terms, settlement, next state (market.md, sections 2 to 6).

A lane is one market. All lanes share the market's constants, or every lane has customers of its own. `settle_rsr` runs
a whole period for customers that follow RSR and rent with recourse, block of lanes after block, so that a block's terms
stay in the cache. `Market.settle` composes kernels one by one for every other customer.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmaas_env.engine.columns import TermColumns, are_payable, are_sound, as_rows, fill_links, in_rows, select_columns
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.math import exponential
from lmaas_env.engine.recourse import TermArrays
from lmaas_env.engine.recourse_simd import rent_rows
from lmaas_env.types import BoolArray, FloatArray, IntArray

BLOCK = 384  # customers whose terms are alive at once: 0.15 MB with the default models


class Constants(NamedTuple):
    """A market's constants in the form that kernels take: (N,) per customer, (M,) per model, (24,) per hour of day.

    Where each of K lanes has customers of its own, those of all lanes follow each other, (K * N,).
    """

    mean_snr: FloatArray
    bandwidth: FloatArray
    fade_depth: FloatArray
    capacity: FloatArray
    saturation: FloatArray
    fade_budget: IntArray
    task_value: FloatArray  # (N, L)
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
    demand_factor: FloatArray
    transmit_power: float
    airtime_price: float
    harvest: float
    shadowing_memory: float
    shadowing_sigma: float
    demand_memory: float
    demand_sigma: float


class Packed(NamedTuple):
    """`Constants` in few arrays: every array that a kernel is called with costs 0.15 us, dear to a step of one lane."""

    customers: FloatArray  # (5, N), as Constants from mean_snr to saturation
    fade_budget: IntArray
    task_value: FloatArray
    models: FloatArray  # (10, M), from quality_low to setup_cost
    demand_factor: FloatArray
    numbers: FloatArray  # (7,), from transmit_power to demand_sigma


def pack(market: Constants) -> Packed:
    """Return the constants in few arrays; `unpack` is the inverse."""
    return Packed(
        np.array(market[:5]),
        market.fade_budget,
        market.task_value,
        np.array(market[7:17]),
        market.demand_factor,
        np.array(market[18:]),
    )


@kernel
def unpack(packed: Packed, first: int, last: int) -> Constants:
    """Return the constants, with the customers of the rows first, ..., last - 1 where every lane has its own."""
    customers, models, numbers = packed.customers, packed.models, packed.numbers
    if customers.shape[1] <= first:  # all lanes have the same
        first, last = 0, customers.shape[1]
    return Constants(
        customers[0, first:last],
        customers[1, first:last],
        customers[2, first:last],
        customers[3, first:last],
        customers[4, first:last],
        packed.fade_budget[first:last],
        packed.task_value[first:last],
        models[0],
        models[1],
        models[2],
        models[3],
        models[4],
        models[5],
        models[6],
        models[7],
        models[8],
        models[9],
        packed.demand_factor,
        numbers[0],
        numbers[1],
        numbers[2],
        numbers[3],
        numbers[4],
        numbers[5],
        numbers[6],
    )


class LaneState(NamedTuple):
    """The state of K lanes: hour (K,), the others (K, N)."""

    hour: IntArray
    shadowing: FloatArray
    demand: FloatArray
    charge: FloatArray


class LaneDraws(NamedTuple):
    """One period's randomness of K lanes: (K, N, L) and (K, N)."""

    faded: BoolArray
    shadowing: FloatArray
    demand: FloatArray
    harvest: FloatArray


class Booked(NamedTuple):
    """What a period of K lanes brought, and the state after it."""

    choice: IntArray  # (K, N)
    hours: FloatArray  # (K, N, L)
    per_customer: FloatArray  # (7, K, N), rows as numbered below
    per_lane: FloatArray  # (6, K), rows as numbered below
    customers_per_model: IntArray  # (K, M)
    hours_per_model: FloatArray  # (K, M)


CUSTOMER_PROFIT, WORST_CASE_PROFIT, ENERGY_USED, SPILLED, SHADOWING, DEMAND, CHARGE = range(7)  # of per_customer
REVENUE, COST, PROFIT, CUSTOMER_PROFITS, WORST_CASE_PROFITS, FADED_SHARE = range(6)  # of per_lane


@kernel
def new_booked(lanes: int, models: int, customers: int, slots: int) -> Booked:
    """Return room for what a period brings."""
    return Booked(
        np.empty((lanes, customers), dtype=np.int64),
        np.empty((lanes, customers, slots)),
        np.empty((7, lanes, customers)),
        np.empty((6, lanes)),
        np.empty((lanes, models), dtype=np.int64),
        np.empty((lanes, models)),
    )


@kernel
def state_in(hour: IntArray, per_customer: FloatArray) -> LaneState:
    """Return the state that rows (7, K, N) numbered as above hold, at the hours (K,) of the lanes."""
    return LaneState(hour, per_customer[SHADOWING], per_customer[DEMAND], per_customer[CHARGE])


def rows_of(state: LaneState) -> FloatArray:
    """Return rows (7, K, N) that hold a state as `state_in` reads it, and zeros."""
    rows = np.zeros((7, *state.charge.shape))
    rows[SHADOWING], rows[DEMAND], rows[CHARGE] = state.shadowing, state.demand, state.charge
    return rows


@kernel
def draw_days(
    rngs: tuple[np.random.Generator, ...],
    first: int,
    low: float,
    high: float,
    fade_probability: float,
    spread: float,
    start: FloatArray,
    draws: LaneDraws,
    taste: FloatArray,
) -> None:
    """Draw a day of each of the lanes from ``first`` on, a generator a lane.

    ``start`` (3, K, N) is standard normal shadowing and demand, and U(low, high) charge, of the first state; empty if
    none is wanted. The periods follow, hour after hour (`draw_periods`).
    """
    for i, rng in enumerate(rngs):
        lane = first + i
        for n in range(start.shape[2]):
            start[0, lane, n] = rng.standard_normal()
        for n in range(start.shape[2]):
            start[1, lane, n] = rng.standard_normal()
        for n in range(start.shape[2]):
            start[2, lane, n] = rng.uniform(low, high)
        draw_periods(rng, lane, fade_probability, spread, draws, taste)


@kernel
def draw_periods(
    rng: np.random.Generator, lane: int, fade_probability: float, spread: float, draws: LaneDraws, taste: FloatArray
) -> None:
    """Draw the periods of one lane, hour after hour, into arrays with leading axes (H, K)."""
    periods, _, customers, slots = draws.faded.shape
    for hour in range(periods):
        for n in range(customers):
            for slot in range(slots):
                draws.faded[hour, lane, n, slot] = rng.random() < fade_probability
        for n in range(customers):
            draws.shadowing[hour, lane, n] = rng.standard_normal()
        for n in range(customers):
            draws.demand[hour, lane, n] = rng.standard_normal()
        for n in range(customers):
            draws.harvest[hour, lane, n] = rng.uniform(1.0 - spread, 1.0 + spread)
        for n in range(customers):
            taste[hour, lane, n] = rng.random()


@kernel
def terms_of(packed: Packed, state: LaneState) -> TermArrays:
    """Return the rental terms of K * N customers, lane after lane."""
    return in_rows(columns_of(unpack(packed, 0, state.charge.size), state))


@kernel
def columns_of(market: Constants, state: LaneState) -> TermColumns:
    """Return the same in columns, of customers who are those of the constants, or the same ones in every lane."""
    lanes, customers = state.charge.shape
    known = market.capacity.shape[0]  # customers, of all lanes or of each
    rows, slots, models = lanes * customers, market.task_value.shape[1], market.setup_cost.shape[0]
    task_value, setup_cost = np.empty((slots, rows)), np.empty((models, rows))
    snr, bandwidth, fade_depth = np.empty(rows), np.empty(rows), np.empty(rows)
    saturation, fade_budget, factor = np.empty(rows), np.empty(rows, dtype=np.int64), np.empty(customers)
    for k in range(lanes):
        first = k * customers
        own, end = first % known, first + customers
        bandwidth[first:end] = market.bandwidth[own : own + customers]
        fade_depth[first:end] = market.fade_depth[own : own + customers]
        saturation[first:end] = market.saturation[own : own + customers]
        fade_budget[first:end] = market.fade_budget[own : own + customers]
        by_hour = market.demand_factor[state.hour[k] % 24]
        for n in range(customers):
            snr[first + n] = market.mean_snr[own + n] + state.shadowing[k, n]
        for n in range(customers):
            factor[n] = by_hour * exponential(state.demand[k, n])
        for slot in range(slots):
            for n in range(customers):
                task_value[slot, first + n] = market.task_value[own + n, slot] * factor[n]
    for m in range(models):
        setup_cost[m] = market.setup_cost[m]
    quality, airtime_cost, power, max_hours = fill_links(
        snr,
        bandwidth,
        fade_depth,
        market.transmit_power,
        market.airtime_price,
        market.quality_low,
        market.quality_high,
        market.quality_slope,
        market.quality_offset,
        market.bit_rate,
        market.compute_power,
        slots,
    )
    energy = state.charge.copy().reshape(rows)
    return TermColumns(task_value, fade_budget, saturation, energy, setup_cost, quality, airtime_cost, power, max_hours)


@kernel
def _moved(value: float, memory: float, sigma: float, innovation: float) -> float:
    """First-order autoregression with stationary standard deviation sigma."""
    return memory * value + math.sqrt(1.0 - memory**2) * sigma * innovation


@kernel
def book(
    packed: Packed,
    first: int,
    prices: FloatArray,
    state: LaneState,
    draws: LaneDraws,
    choice: IntArray,
    hours: FloatArray,
    customer_profit: FloatArray,
    worst_case_profit: FloatArray,
    energy_used: FloatArray,
    booked: Booked,
) -> None:
    """Book what the customers (rows) of the lanes from ``first`` on chose and rented, and move their state on.

    Prices, state and draws are those of all lanes.
    """
    market = unpack(packed, 0, state.charge.size)
    customers, known = state.charge.shape[1], market.capacity.shape[0]
    training = market.training_cost.sum()
    mine, of_lane = booked.per_customer, booked.per_lane
    for lane in range(first, first + choice.shape[0] // customers):
        revenue, cost, profits, worst, fades = 0.0, training, 0.0, 0.0, 0
        booked.customers_per_model[lane] = 0
        booked.hours_per_model[lane] = 0.0
        own = lane * customers % known
        for n in range(customers):
            row = (lane - first) * customers + n
            m = choice[row]
            booked.choice[lane, n] = m
            rented = 0.0
            for slot in range(hours.shape[1]):
                booked.hours[lane, n, slot] = hours[row, slot]
                rented += hours[row, slot]
                fades += draws.faded[lane, n, slot]
            if m >= 0:
                booked.customers_per_model[lane, m] += 1
                booked.hours_per_model[lane, m] += rented
                revenue += prices[lane, m] * rented
                cost += market.serving_cost[m] * rented + market.adaptation_cost[m]
            mine[CUSTOMER_PROFIT, lane, n], mine[WORST_CASE_PROFIT, lane, n] = (
                customer_profit[row],
                worst_case_profit[row],
            )
            profits += customer_profit[row]
            worst += worst_case_profit[row]
            mine[ENERGY_USED, lane, n] = energy_used[row]
            capacity = market.capacity[own + n]
            harvested = market.harvest * capacity * draws.harvest[lane, n]
            charge = state.charge[lane, n] - energy_used[row] + harvested
            stored = min(max(charge, 0.0), capacity)
            mine[CHARGE, lane, n], mine[SPILLED, lane, n] = stored, max(charge - stored, 0.0)
            mine[SHADOWING, lane, n] = _moved(
                state.shadowing[lane, n], market.shadowing_memory, market.shadowing_sigma, draws.shadowing[lane, n]
            )
            mine[DEMAND, lane, n] = _moved(
                state.demand[lane, n], market.demand_memory, market.demand_sigma, draws.demand[lane, n]
            )
        of_lane[REVENUE, lane], of_lane[COST, lane], of_lane[PROFIT, lane] = revenue, cost, revenue - cost
        of_lane[CUSTOMER_PROFITS, lane], of_lane[WORST_CASE_PROFITS, lane] = profits, worst
        of_lane[FADED_SHARE, lane] = fades / (customers * hours.shape[1])


@kernel
def lanes_at_once(customers: int) -> int:
    """Return how many lanes' terms are to be alive at once."""
    return max(1, BLOCK // customers)


@kernel
def settle_rsr(
    packed: Packed, prices: FloatArray, state: LaneState, draws: LaneDraws, first: int, last: int, booked: Booked
) -> bool:
    """Settle a period of the lanes first, ..., last - 1; returns False if terms or prices are unsound."""
    customers, slots, models = state.charge.shape[1], packed.task_value.shape[1], prices.shape[1]
    at_once = lanes_at_once(customers)
    for low in range(first, last, at_once):
        high = min(low + at_once, last)
        rows = (high - low) * customers
        block = LaneState(
            state.hour[low:high], state.shadowing[low:high], state.demand[low:high], state.charge[low:high]
        )
        columns = columns_of(unpack(packed, low * customers, high * customers), block)
        price = np.empty((models, rows))
        for m in range(models):
            for lane in range(low, high):
                price[m, (lane - low) * customers : (lane - low + 1) * customers] = prices[lane, m]
        if not are_sound(columns) or not are_payable(columns, price):
            return False
        choice, worst_case_profit = select_columns(columns, price)
        faded = draws.faded[low:high].reshape(rows, slots)
        hours, profit, used = rent_rows(as_rows(columns), choice, prices[low:high], faded)
        book(packed, low, prices, state, draws, choice, hours, profit, worst_case_profit, used, booked)
    return True
