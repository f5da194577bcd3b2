"""Local search over a price table: the table against the customers' choices, its ends against enumeration."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from lmaas_agents import IMP
from lmaas_agents.imp import multistart
from lmaas_agents.imp.multistart import CELLS, starting_prices
from lmaas_agents.imp.price_table import PriceTable, price_table

from lmaas_env import Market
from lmaas_env.state import State


def first_state(market: Market) -> State:
    return market.initial_state(np.random.default_rng(0))


PRICES = np.array([6.0, 9.0, 12.0, 16.0])


def table_profit(table: PriceTable, cells: tuple[int, ...]) -> float:
    """The seller's profit at one cell per model, by selecting for every customer."""
    rows = np.arange(len(cells))
    worst, sale = table.worst[rows, :, list(cells)], table.sale[rows, :, list(cells)]
    best = worst.argmax(axis=0)
    customers = np.arange(worst.shape[1])
    return float(np.where(worst[best, customers] > 0.0, sale[best, customers], 0.0).sum())


def test_the_table_holds_the_profit_that_imp_anticipates() -> None:
    market = Market("static", seed=3)
    terms, imp = market.terms(first_state(market)), IMP(market)
    table = price_table(terms.arrays, imp.constants, np.geomspace(PRICES / 2.0, PRICES * 2.0, CELLS))
    training = float(market.catalogue.training_cost.sum())
    for cells in np.random.default_rng(0).integers(CELLS, size=(50, 4)):
        prices = table.prices[cells, np.arange(4)]
        assert table_profit(table, tuple(cells)) - training == pytest.approx(imp.profit(terms, prices), abs=1e-9)


def searched(market: Market, count: int) -> tuple[PriceTable, list[tuple[int, ...]]]:
    """The table that is searched around PRICES, and the cells at which local searches end."""
    terms, imp = market.terms(first_state(market)), IMP(market)
    tables: list[PriceTable] = []

    def kept(*args: Any) -> PriceTable:
        tables.append(price_table(*args))
        return tables[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multistart, "price_table", kept)
        ends = starting_prices(imp.problem(terms), PRICES, np.arange(4), count)
    rows = list(tables[0].prices.T)
    return tables[0], [
        tuple(int(np.flatnonzero(row == price)[0]) for row, price in zip(rows, prices, strict=True)) for prices in ends
    ]


def test_local_searches_end_where_no_cell_of_one_price_gains_and_the_best_come_first() -> None:
    table, ends = searched(Market("static", seed=3), 8)
    assert len(ends) == len(set(ends)) == 8
    profits: list[float] = []
    for cells in ends:
        profits.append(table_profit(table, cells))
        for m, cell in itertools.product(range(4), range(CELLS)):
            other = (*cells[:m], cell, *cells[m + 1 :])
            assert table_profit(table, other) <= profits[-1] + 1e-9 * abs(profits[-1])
    assert profits == sorted(profits, reverse=True)


def test_few_cells_are_searched_as_well_as_by_enumeration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multistart, "CELLS", 6)
    table, (found,) = searched(Market("static", seed=5), 1)
    best = max(itertools.product(range(6), repeat=4), key=lambda cells: table_profit(table, cells))
    assert table_profit(table, found) == pytest.approx(table_profit(table, best), rel=1e-9)


def test_cells_of_a_model_without_customers_begin_where_others_are_sold() -> None:
    market = Market("static", seed=3)
    terms, imp = market.terms(first_state(market)), IMP(market)
    cap = imp.constants.price_cap
    ends = starting_prices(imp.problem(terms), np.array([6.0, 9.0, cap, cap]), np.arange(4), 50)
    assert ends[:, 2:].min() < 0.5 * cap
