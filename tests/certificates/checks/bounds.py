"""Checks of the bound on a day's profit at one common price."""

from __future__ import annotations

import itertools

import numpy as np
from lmaas_agents.bounds.brackets import Costs, Hour
from lmaas_agents.bounds.known_day import KnownDay, known_day
from lmaas_agents.bounds.price_tree import Tables, fill_tables, search_boxes, total
from lmaas_agents.bounds.responses import responses

from lmaas_env import Market
from lmaas_env.engine.rsr import SELECTION_THRESHOLD
from lmaas_env.state import Draws, State
from lmaas_env.types import FloatArray
from tests.certificates.checks.markets import days_of, market_of

LEAVES, CHARGES = 4, 3


def opened(settlement: str, seed: int) -> tuple[Market, State, Draws, KnownDay, list[FloatArray]]:
    """A market of two models, a day, and energy values that rise at random."""
    names = ("models", "quality_low", "quality_high", "quality_slope", "quality_offset", "bit_rate", "compute_power")
    costs = ("serving_cost", "adaptation_cost", "training_cost", "setup_cost")
    whole = market_of().scenario
    two = {name: getattr(whole, name)[1:3] for name in (*names, *costs)}
    market = market_of(seed, settlement=settlement, price_cap=200.0, price_floor=2.0, harvest=0.1, **two)
    states, draws = days_of(market, 1, seed)
    state, own = State(0, *(array[0] for array in states[1:])), draws.at((slice(None), 0))
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


CHECKS = [
    brackets_bound_what_customers_bring,
    bracket_sums_bound_every_hour_of_every_seller,
    fine_cells_leave_little_above_what_customers_bring,
    price_boxes_are_searched_to_the_best_leaf,
]
