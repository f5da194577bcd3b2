"""Rental terms in columns against the same in rows: the check of their rules, and the selection."""

from __future__ import annotations

import numpy as np
import pytest

from lmaas_env import Market
from lmaas_env.engine.columns import TermColumns, are_payable, are_sound, in_rows, select_columns
from lmaas_env.engine.period import columns_of, unpack
from lmaas_env.engine.recourse import first_offence
from lmaas_env.engine.recourse_simd import LANES, solve_rows
from lmaas_env.terms import _RULES


def columns_of_day(lanes: int, seed: int = 0) -> TermColumns:
    market = Market("day")
    state = market.lanes(market.days([np.random.default_rng(seed + lane) for lane in range(lanes)])[0])
    return columns_of(unpack(market.packed, 0, state.charge.size), state)


# Rule of `first_offence`: the field, where in it, and a number that breaks the rule.
OFFENCES = {
    1: ("fade_budget", (3,), -1),
    2: ("saturation", (5,), 0.0),
    3: ("energy", (23,), -1e-9),
    4: ("task_value", (5, 2), -1e-9),
    5: ("task_value", (3, 7), 1e9),
    6: ("setup_cost", (2, 9), 2e15),
    7: ("quality", (1, 3, 4), 0.0),
    8: ("airtime_cost", (0, 1, 4), -2e15),
    9: ("power", (0, 0, 23), 0.0),
    10: ("max_hours", (1, 2, 0), -1e-9),
    11: ("quality", (1, 2, 5), 1.5),
    12: ("airtime_cost", (1, 3, 6), -1.0),
    13: ("power", (1, 0, 1), 1e-3),
    14: ("max_hours", (1, 1, 1), 7.0),
}


@pytest.mark.parametrize("code", _RULES)
def test_every_rule_of_rental_terms_is_seen_in_columns(code: int) -> None:
    columns = columns_of_day(1)
    assert are_sound(columns)
    field, index, number = OFFENCES[code]
    getattr(columns, field)[index] = number
    assert first_offence(in_rows(columns))[0] == code
    assert not are_sound(columns)


@pytest.mark.parametrize("field", ["saturation", "energy", "task_value", "setup_cost", "quality", "power", "max_hours"])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_what_is_not_finite_is_unsound_in_columns(field: str, number: float) -> None:
    columns = columns_of_day(1)
    getattr(columns, field).reshape(-1)[-1] = number
    assert not are_sound(columns)
    assert first_offence(in_rows(columns))[0] > 0


@pytest.mark.parametrize("price", [np.nan, np.inf, 0.0, -3.0])
def test_prices_that_nobody_can_pay_are_seen(price: float) -> None:
    columns = columns_of_day(1)
    columns.airtime_cost[:] = 0.0
    prices = np.full((4, 24), 5.0)
    assert are_payable(columns, prices)
    prices[2, 23] = price
    assert not are_payable(columns, prices)


@pytest.mark.parametrize("lanes", [1, 3, 8, 11])
def test_selection_in_columns_is_that_in_rows(lanes: int) -> None:
    columns, rng = columns_of_day(lanes, seed=7), np.random.default_rng(lanes)
    columns.energy[:] *= rng.uniform(0.0, 1.0, columns.energy.size)
    assert (24 * lanes) % LANES or lanes == 8
    prices = np.exp(rng.uniform(0.0, np.log(40.0), (lanes, 4)))
    choice, guaranteed = select_columns(columns, np.ascontiguousarray(np.repeat(prices, 24, axis=0).T))
    expected, profit, _ = solve_rows(in_rows(columns), prices)
    np.testing.assert_array_equal(choice, expected)
    assert expected.max() > -1
    assert expected.min() == -1 or lanes < 8
    np.testing.assert_allclose(guaranteed, np.where(expected < 0, 0.0, profit.max(axis=1)), rtol=1e-12, atol=1e-12)


def test_equal_models_are_a_tie_for_the_lowest_index_in_columns() -> None:
    columns = columns_of_day(1)
    columns.setup_cost[:] = columns.setup_cost[2]
    for array in (columns.quality, columns.airtime_cost, columns.power, columns.max_hours):
        array[:] = array[:, 2:3].copy()
    choice, guaranteed = select_columns(columns, np.full((4, 24), 5.0))
    assert set(choice.tolist()) <= {-1, 0}
    assert guaranteed.max() > 0.0
