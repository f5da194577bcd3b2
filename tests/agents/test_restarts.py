"""Climbs over a table of sales: the table against the customers' own choices, their ends against enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from agents import IMP, restarts
from agents.restarts import CELLS, starting_prices, tabulate
from lmaas_env import Market, MarketState


def first_state(market: Market) -> MarketState:
    return market.initial_state(np.random.default_rng(0))


PRICES = np.array([6.0, 9.0, 12.0, 16.0])


def table_profit(table: restarts.Table, cells: tuple[int, ...]) -> float:
    """The seller's profit at one cell per model, by selecting for every customer."""
    rows = np.arange(len(cells))
    worst, sale = table.worst[rows, :, list(cells)], table.sale[rows, :, list(cells)]
    best = worst.argmax(axis=0)
    customers = np.arange(worst.shape[1])
    return float(np.where(worst[best, customers] > 0.0, sale[best, customers], 0.0).sum())


def test_the_table_holds_the_profit_that_imp_anticipates() -> None:
    market = Market("static", seed=3)
    terms, imp = market.terms(first_state(market)), IMP(market)
    table = tabulate(terms.arrays, imp.constants, PRICES)
    training = float(market.catalogue.training_cost.sum())
    for cells in np.random.default_rng(0).integers(CELLS, size=(50, 4)):
        prices = table.prices[np.arange(4), cells]
        assert table_profit(table, tuple(cells)) - training == pytest.approx(imp.profit(terms, prices), abs=1e-9)


def test_climbs_end_where_no_cell_of_one_price_gains_and_the_best_come_first() -> None:
    market = Market("static", seed=3)
    terms, imp = market.terms(first_state(market)), IMP(market)
    table = tabulate(terms.arrays, imp.constants, PRICES)
    ends = starting_prices(terms.arrays, imp.constants, PRICES, np.arange(4), 8)
    assert len(ends) == 8
    assert len(np.unique(ends, axis=0)) == 8
    profits: list[float] = []
    for prices in ends:
        cells = [int(np.flatnonzero(row == price)[0]) for row, price in zip(table.prices, prices, strict=True)]
        profits.append(table_profit(table, tuple(cells)))
        for m, cell in itertools.product(range(4), range(CELLS)):
            other = (*cells[:m], cell, *cells[m + 1 :])
            assert table_profit(table, other) <= profits[-1] + 1e-9 * abs(profits[-1])
    assert profits == sorted(profits, reverse=True)


def test_few_cells_are_searched_as_well_as_by_enumeration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarts, "CELLS", 6)
    market = Market("static", seed=5)
    terms, imp = market.terms(first_state(market)), IMP(market)
    table = tabulate(terms.arrays, imp.constants, PRICES)
    best = max(itertools.product(range(6), repeat=4), key=lambda cells: table_profit(table, cells))
    found = starting_prices(terms.arrays, imp.constants, PRICES, np.arange(4), 1)[0]
    cells = [int(np.flatnonzero(row == price)[0]) for row, price in zip(table.prices, found, strict=True)]
    assert table_profit(table, tuple(cells)) == pytest.approx(table_profit(table, best), rel=1e-9)
