"""Checks of the bound on a day's profit at one common price."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
from lmaas_agents.bounds import Effort, brackets, dynamic_bound, price_tree
from lmaas_agents.bounds.brackets import Costs, Hour
from lmaas_agents.bounds.dynamic import PROOF_PARTS
from lmaas_agents.bounds.known_day import KnownDay, known_day
from lmaas_agents.bounds.price_tree import Tables, fill_tables, search_boxes, total
from lmaas_agents.bounds.responses import responses
from lmaas_agents.energy import SHARES

from lmaas_env import Market
from lmaas_env.engine.rsr import SELECTION_THRESHOLD
from lmaas_env.spaces import menu_prices
from lmaas_env.state import Draws, State
from lmaas_env.types import FloatArray
from tests.certificates.checks.markets import days_of, market_of

LEAVES, CHARGES = 4, 3


def opened(settlement: str, seed: int, **changes: Any) -> tuple[Market, State, Draws, KnownDay, list[FloatArray]]:
    """A market of two models, a day, and energy values that rise at random."""
    names = ("models", "quality_low", "quality_high", "quality_slope", "quality_offset", "bit_rate", "compute_power")
    costs = ("serving_cost", "adaptation_cost", "training_cost", "setup_cost")
    whole = market_of().scenario
    two = {name: getattr(whole, name)[1:3] for name in (*names, *costs)}
    market = market_of(seed, settlement=settlement, price_cap=200.0, price_floor=2.0, harvest=0.1, **two, **changes)
    states, draws = days_of(market, 1, seed)
    state, own = states.lane(0), draws.at((slice(None), 0))
    day, rng = known_day(market, state, own, CHARGES), np.random.default_rng(seed)
    rises = [(0.0 if t == 0 else 1.5) * rng.random(nodes[:, 1:].shape) for t, nodes in enumerate(day.nodes[:-1])]
    values = [np.concatenate([np.zeros((len(rise), 1)), rise.cumsum(axis=1)], axis=1) for rise in rises]
    return market, state, own, day, [*values, np.zeros(day.nodes[-1].shape)]


def tables_of(
    market: Market, day: KnownDay, values: list[FloatArray], t: int, leaves: int = LEAVES, parts: int = 2
) -> tuple[FloatArray, Tables]:
    """Return the price grid of an hour, and the tables over its cells."""
    scenario, catalogue = market.scenario, market.catalogue
    grid = np.geomspace(scenario.price_floor, scenario.price_cap, leaves + 1)
    cells = np.stack([np.arange(leaves), np.arange(1, leaves + 1)])
    known = responses(day.terms[t], day.faded[t], scenario.settlement, day.nodes[t], grid)
    hour = Hour(day.nodes[t], values[t], day.nodes[t + 1], values[t + 1], day.harvest[t])
    costs = Costs(catalogue.serving_cost, catalogue.adaptation_cost)
    return grid, fill_tables(known, hour, costs, cells, parts)


def brackets_bound_what_customers_bring() -> None:
    """Near the ends of cells, customers bring no more than the tables allow them, and choose what the tables allow."""
    for settlement, seed in itertools.product(("recourse", "plan"), (1, 2, 3)):
        market, first, draws, day, values = opened(settlement, seed)
        rng, customers, serving = np.random.default_rng(seed), np.arange(4), market.catalogue.serving_cost
        for t in (1, 2):
            grid, tables = tables_of(market, day, values, t, leaves=16)
            most, least, bracket = (table.reshape(2, 32, CHARGES, 4) for table in tables[:3])
            none, state = tables.none.reshape(CHARGES, 4), first
            for hour in range(t):
                state = market.settle(np.array([200.0, 200.0]), state, draws.at(hour))[1]
            for trial in range(40):
                leaf, k = rng.integers(0, 16, 2), rng.integers(0, CHARGES, 4)
                of_price, of_charge = ((1e-6, 1.0 - 1e-6)[it] for it in (trial % 2, trial // 2 % 2))
                prices = (1.0 - of_price) * grid[leaf] + of_price * grid[leaf + 1]
                low, high = day.nodes[t][customers, k], day.nodes[t][customers, k + 1]
                charge = (1.0 - of_charge) * low + of_charge * high
                sold, after = market.settle(prices, state._replace(charge=charge), draws.at(t))
                change = _value(day.nodes[t + 1], values[t + 1], after.charge) - _value(day.nodes[t], values[t], charge)
                sure = np.max([least[m, 16 + leaf[m], k, customers] for m in range(2)], axis=0)
                for n, m in enumerate(sold.choice):
                    if m < 0:
                        assert sure[n] <= SELECTION_THRESHOLD
                        assert change[n] <= none[k[n], n]
                        continue
                    assert most[m, 16 + leaf[m], k[n], n] >= max(sure[n], SELECTION_THRESHOLD)
                    earned = (prices[m] - serving[m]) * sold.hours[n].sum() - market.catalogue.adaptation_cost[m]
                    assert earned + change[n] <= bracket[m, 16 + leaf[m], k[n], n]


def bracket_sums_bound_every_hour_of_every_seller() -> None:
    """What an hour brings, with the change of energy values, is at most the tables' sum at the box of its prices."""
    for settlement, seed in itertools.product(("recourse", "plan"), (1, 2)):
        market, first, draws, day, values = opened(settlement, seed)
        rng, at = np.random.default_rng(seed), [tables_of(market, day, values, t) for t in range(3)]
        training, scratch = market.catalogue.training_cost.sum(), np.empty((2, 4 * CHARGES), dtype=np.float32)
        for _ in range(12):
            state = first
            for t in range(3):
                grid, tables = at[t]
                leaf, part = rng.integers(0, LEAVES, 2), rng.random(2)
                sold, after = market.settle((1.0 - part) * grid[leaf] + part * grid[leaf + 1], state, draws.at(t))
                change = _value(day.nodes[t + 1], values[t + 1], after.charge)
                change -= _value(day.nodes[t], values[t], state.charge)
                room = scratch[:, : tables.none.size]
                bound = total(tables, leaf + LEAVES, room)
                assert float(sold.profit) + training + change.sum() <= bound
                assert bound <= total(tables, np.ones(2, dtype=np.int64), room)
                state = after


def _value(nodes: FloatArray, values: FloatArray, charge: FloatArray) -> FloatArray:
    """The customers' energy values (N,) at their charges, which must lie in the range of the nodes."""
    assert (charge >= nodes[:, 0] - 1e-9).all()
    assert (charge <= nodes[:, -1] + 1e-9).all()
    return np.array([np.interp(own, *rest) for own, *rest in zip(charge, nodes, values, strict=True)])


def fine_cells_leave_little_above_what_customers_bring() -> None:
    """In a narrow cell of prices, and at the known charge of the first hour, the sum of brackets is nearly reached."""
    market, state, draws, day, values = opened("recourse", 3)
    leaves = 2048
    grid, tables = tables_of(market, day, values, 0, leaves, 1)
    scratch, rng, gaps = np.empty((2, tables.none.size), dtype=np.float32), np.random.default_rng(0), []
    for _ in range(20):
        leaf = rng.integers(0, leaves, 2)
        sold, after = market.settle(np.sqrt(grid[leaf] * grid[leaf + 1]), state, draws.at(0))
        change = _value(day.nodes[1], values[1], after.charge) - _value(day.nodes[0], values[0], state.charge)
        brought = float(sold.profit) + market.catalogue.training_cost.sum() + change.sum()
        gaps.append(total(tables, leaf + leaves, scratch) - brought)
    assert np.median(gaps) <= 0.05


def price_boxes_are_searched_to_the_best_leaf() -> None:
    """Branch and bound ends at the largest sum over all leaves, and never below it if it stops early."""
    market, _, _, day, values = opened("recourse", 4)
    for t in range(3):
        _, tables = tables_of(market, day, values, t, 8)
        scratch = np.empty((2, tables.none.size), dtype=np.float32)
        sums = [total(tables, np.array(leaf), scratch) for leaf in itertools.product(range(8, 16), repeat=2)]
        found = np.zeros((1, 2), dtype=np.int64)
        bound, _, count = search_boxes(tables, -1e9, 10_000, found)
        assert count == 1
        assert bound == max(sums)
        assert total(tables, found[0], scratch) == bound
        assert search_boxes(tables, -1e9, 3, found)[0] >= bound
        assert search_boxes(tables, bound + 1.0, 10_000, found)[0] >= bound


def sums_take_every_customers_largest_bracket() -> None:
    """At any nodes of the price tree, each of which holds what its leaves hold."""
    market, _, _, day, values = opened("recourse", 4)
    rng = np.random.default_rng(0)
    for t in (1, 2):
        _, tables = tables_of(market, day, values, t)
        most, least, bracket = tables[:3]
        for node in range(1, LEAVES):
            children = [2 * node, 2 * node + 1]
            assert (most[:, node] == most[:, children].max(axis=1)).all()
            assert (least[:, node] == least[:, children].min(axis=1)).all()
            assert (bracket[:, node] == bracket[:, children].max(axis=1)).all()
        scratch = np.empty((2, tables.none.size), dtype=np.float32)
        for trial in range(30):
            if trial == 15:
                tables = tables._replace(none=tables.none + np.float32(100.0))  # best wherever it is possible
            node = rng.integers(1, 2 * LEAVES, 2)
            sure = np.maximum(least[0, node[0]], least[1, node[1]])
            may_win = [(most[m, node[m]] >= sure) & (most[m, node[m]] > SELECTION_THRESHOLD) for m in range(2)]
            options = [np.where(may_win[m], bracket[m, node[m]], -np.inf) for m in range(2)]
            options.append(np.where(sure > SELECTION_THRESHOLD, -np.inf, tables.none))
            wanted = np.max(options, axis=0).reshape(CHARGES, 4).max(axis=0).sum(dtype=np.float64)
            np.testing.assert_allclose(total(tables, node, scratch), wanted, rtol=1e-6)


def hours_and_energy_fall_no_faster_than_their_slopes() -> None:
    """From a price to the next, by whether the charge suffices; so do the hours that brackets count in half a cell."""
    market, _, _, day, values = opened("recourse", 2)
    ends = np.geomspace(market.scenario.price_floor, market.scenario.price_cap, 17)
    grid = np.sort([*ends, *(0.5 * (ends[:-1] + ends[1:]))])
    faded, nodes, step = day.faded[1], day.nodes[1], np.diff(grid)
    costly = day.terms[1].airtime_cost * np.array([1.0, 20.0])[:, None, None]  # a fade matters beside the price
    terms = day.terms[1]._replace(airtime_cost=costly)
    hour = Hour(nodes, values[1], day.nodes[2], values[2], day.harvest[1])
    costs, room = Costs(market.catalogue.serving_cost, market.catalogue.adaptation_cost), brackets.new_room(CHARGES)
    for settlement in ("recourse", "plan"):
        known = responses(terms, faded, settlement, nodes, grid)
        fall = (known.use[:, :-1] - known.use[:, 1:]) / step[:, None]
        assert (fall <= known.use_slope[0, :, :-1] + 1e-9).all()
        for k in range(CHARGES + 1):
            fall = (known.hours[:, :-1, :, k] - known.hours[:, 1:, :, k]) / step[:, None]
            suffices = nodes[:, k] >= known.use[:, :-1]
            assert (fall <= np.where(suffices, *known.hours_slope[:, :, :-1]) + 1e-9).all()
        cells = responses(terms, faded, settlement, nodes, ends)
        for m, n, j in itertools.product(range(2), range(4), range(16)):
            brackets.fill_sales(cells, hour, costs, n, m, j, j + 1, 2, room)  # leaves the hours of the upper half
            assert (room.hours >= known.hours[m, 2 * j + 1, n] - 1e-9).all()


def numbers_are_rounded_outward() -> None:
    """To single precision, beyond the errors of computation that are allowed for, whatever their sign."""
    rng = np.random.default_rng(0)
    numbers = rng.choice([-1.0, 1.0], 2000) * np.exp(rng.uniform(-25.0, 8.0, 2000))
    for number in numbers.tolist():
        allowed = price_tree.TOLERANCE * abs(number)
        assert float(price_tree._above(number)) >= number + allowed
        assert float(price_tree._below(number)) <= number - allowed


def brackets_are_the_largest_of_their_cells() -> None:
    """Every cell's bracket is the largest of the formula at many charges, and at the charges where it bends."""
    rng, cells = np.random.default_rng(0), 3
    for _ in range(60):
        nodes, next_nodes = np.sort(rng.uniform(0.0, 9.0, (1, cells + 1))), np.sort(rng.uniform(0.0, 9.0, (1, 5)))
        values, later = np.cumsum(rng.exponential(1.0, (1, cells + 1))), np.cumsum(rng.exponential(1.0, (1, 5)))
        hours, harvest = np.cumsum(rng.random(cells + 1)), rng.uniform(0.0, 2.0, 1)
        use, per_energy, margin, cost = rng.uniform(0.0, [8.0, 0.5, 6.0, 1.0]).tolist()
        hour = Hour(nodes, values[None], next_nodes, later[None], harvest)
        found, charge = np.empty(cells), np.empty(cells)
        brackets._fill(hour, 0, hours, use, per_energy, margin, cost, found, charge)
        for k in range(cells):
            low, high = nodes[0, k], nodes[0, k + 1]
            bends = [use, *(next_nodes[0] + use - harvest[0])]
            tried = np.clip([*np.linspace(low, high, 40), *bends, charge[k]], low, high)
            rented = hours[k + 1] - per_energy * np.maximum(min(high, use) - tried, 0.0)
            kept = np.interp(np.maximum(tried - use, 0.0) + harvest[0], next_nodes[0], later)
            wanted = margin * rented - cost + kept - np.interp(tried, nodes[0], values)
            np.testing.assert_allclose([found[k], wanted[-1]], wanted.max(), rtol=1e-9, atol=1e-9)


def the_day_bound_is_the_sum_of_each_hours_largest_brackets() -> None:
    """With and without a menu of prices: by enumeration of all leaves, at the energy values of the next hour."""
    effort = Effort(charges=CHARGES, prices=2, proof_prices=LEAVES, steps=0, renewals=1, boxes=1000, gap=0.0)
    for price_menu in (0, 3):
        market, state, draws, day, _ = opened("recourse", 5, price_menu=price_menu)
        scenario, catalogue, capacity = market.scenario, market.catalogue, market.population.capacity
        start = np.random.default_rng(0).normal(0.5, 1.0, (3, 4, SHARES.size)).cumsum(axis=2)
        bound = dynamic_bound(market, state, draws, effort, start)
        grid, cells = np.geomspace(scenario.price_floor, scenario.price_cap, LEAVES + 1), [[0, 1, 2, 3], [1, 2, 3, 4]]
        if price_menu:
            grid, cells = menu_prices(market), [[0, 1, 2, 2]] * 2
        ends = [*bound.values, np.zeros((4, 2))]
        for t in range(3):
            for n, nodes in enumerate(day.nodes[t]):
                given = np.interp(nodes, SHARES * capacity[n], start[t, n])
                rising = np.maximum.accumulate(given - given[0])
                np.testing.assert_allclose(bound.values[t][n], rising, rtol=1e-9, atol=1e-9)
            known = responses(day.terms[t], day.faded[t], scenario.settlement, day.nodes[t], grid)
            hour = Hour(day.nodes[t], ends[t], day.nodes[t + 1], ends[t + 1], day.harvest[t])
            costs = Costs(catalogue.serving_cost, catalogue.adaptation_cost)
            tables = fill_tables(known, hour, costs, np.array(cells), PROOF_PARTS)
            scratch = np.empty((2, tables.none.size), dtype=np.float32)
            leaves = itertools.product(range(LEAVES, 2 * LEAVES), repeat=2)
            largest = max(total(tables, np.array(leaf), scratch) for leaf in leaves)
            np.testing.assert_allclose(bound.by_hour[t], largest, rtol=1e-12)
        training = sum(3 * Fraction(cost) for cost in catalogue.training_cost.tolist())
        exact = sum(Fraction(it) for it in bound.by_hour.tolist()) - training
        assert exact <= Fraction(bound.certified) <= exact + Fraction(1, 10**6)


CHECKS = [
    brackets_bound_what_customers_bring,
    bracket_sums_bound_every_hour_of_every_seller,
    fine_cells_leave_little_above_what_customers_bring,
    price_boxes_are_searched_to_the_best_leaf,
    sums_take_every_customers_largest_bracket,
    hours_and_energy_fall_no_faster_than_their_slopes,
    numbers_are_rounded_outward,
    brackets_are_the_largest_of_their_cells,
    the_day_bound_is_the_sum_of_each_hours_largest_brackets,
]
