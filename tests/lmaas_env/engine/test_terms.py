"""Rental terms as kernels take them: every rule is seen, with its place; slices keep every number."""

from __future__ import annotations

import numpy as np
import pytest

from lmaas_env import Market
from lmaas_env.engine.terms import (
    Terms,
    first_unpayable,
    first_violation,
    price_per_customer,
    slice_terms,
)
from lmaas_env.terms import RentalTerms, check_payable, check_terms


def terms_of_day(lanes: int, seed: int = 0) -> Terms:
    """The first period's terms of some lanes of 24 customers each, in arrays of their own."""
    market = Market("day")
    state, _ = market.days([np.random.default_rng(seed + lane) for lane in range(lanes)])
    return Terms(*(array.copy() for array in market.terms(state).arrays))


# Field, index and a number that breaks a rule; then the first place that must be named, and the rule's words.
VIOLATIONS = [
    ("fade_budget", (3,), -1, (0, 3), "fade_budget\\[3\\] = -1 must be >= 0"),
    ("saturation", (5,), 0.0, (0, 5), "saturation\\[5\\] = 0.0 must be finite, > 0"),
    ("energy", (23,), -1e-9, (0, 23), "energy\\[23\\] = -1e-09 must be finite, >= 0"),
    ("task_value", (5, 2), -1e-9, (5, 2), "task_value\\[2, 5\\] = -1e-09 must be finite, >= 0"),
    ("task_value", (3, 7), 1e9, (3, 7), "task_value\\[7, 3\\] = 1000000000.0 must be sorted descending"),
    ("setup_cost", (2, 9), 2e45, (2, 9), "setup_cost\\[9, 2\\] = 2e\\+45 must be finite, >= 0"),
    ("quality", (1, 3, 4), 0.0, (3, 4), "quality\\[4, 3\\] = .* must be finite, > 0"),
    ("airtime_cost", (0, 1, 4), -2e45, (1, 4), "airtime_cost\\[4, 1\\] = .* must be finite, within"),
    ("power", (0, 0, 23), 0.0, (0, 23), "power\\[23, 0\\] = .* must be finite, > 0"),
    ("max_hours", (1, 2, 0), -1e-9, (2, 0), "max_hours\\[0, 2\\] = .* must be finite, >= 0"),
    ("quality", (1, 2, 5), 1.5, (2, 5), "quality\\[5, 2\\] = .* must not rise in a fade"),
    ("airtime_cost", (1, 3, 6), -1.0, (3, 6), "airtime_cost\\[6, 3\\] = .* must not fall in a fade"),
    ("power", (1, 0, 1), 1e-3, (0, 1), "power\\[1, 0\\] = .* must not fall in a fade"),
    ("max_hours", (1, 1, 1), 7.0, (1, 1), "max_hours\\[1, 1\\] = .* must not rise in a fade"),
]


@pytest.mark.parametrize(("field", "index", "number", "place", "message"), VIOLATIONS)
def test_every_rule_of_rental_terms_is_seen_with_its_place(
    field: str, index: tuple[int, ...], number: float, place: tuple[int, int], message: str
) -> None:
    terms = terms_of_day(1)
    assert first_violation(terms)[0] == -1
    check_terms(terms)
    getattr(terms, field)[index] = number
    assert first_violation(terms) == (Terms._fields.index(field), *place)
    with pytest.raises(ValueError, match=message):
        check_terms(terms)


@pytest.mark.parametrize("field", ["saturation", "energy", "task_value", "setup_cost", "quality", "power", "max_hours"])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_a_violation(field: str, number: float) -> None:
    terms = terms_of_day(1)
    getattr(terms, field).reshape(-1)[-1] = number
    assert first_violation(terms)[0] == Terms._fields.index(field)
    with pytest.raises(ValueError, match=rf"{field}\[23.* must be finite"):
        check_terms(terms)


@pytest.mark.parametrize("price", [np.nan, np.inf, 0.0, -3.0])
def test_a_price_that_cannot_be_paid_is_seen_with_its_place(price: float) -> None:
    terms = terms_of_day(1)
    terms.airtime_cost[:] = 0.0
    prices = np.full((4, 24), 5.0)
    assert first_unpayable(terms, prices)[0] == -1
    prices[2, 23] = price
    assert first_unpayable(terms, prices) == (2, 23)


def test_a_price_that_the_airtime_cost_outweighs_is_refused_by_market_and_model() -> None:
    terms = terms_of_day(2)
    terms.airtime_cost[:, 1, 30] = -5.0
    check_payable(terms, np.array([[5.0, 5.0, 5.0, 5.0], [5.0, 6.0, 5.0, 5.0]]))
    with pytest.raises(ValueError, match=r"prices\[1, 1\] = 5.0 plus the airtime cost must be > 0"):
        check_payable(terms, np.full((2, 4), 5.0))


def test_prices_of_markets_are_those_that_their_customers_see() -> None:
    prices = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert price_per_customer(prices, 3).tolist() == [[1.0, 1.0, 1.0, 3.0, 3.0, 3.0], [2.0, 2.0, 2.0, 4.0, 4.0, 4.0]]


def test_a_slice_of_terms_is_that_of_every_array() -> None:
    terms = terms_of_day(2)
    for whole, part in zip(terms, slice_terms(terms, 5, 31), strict=True):
        np.testing.assert_array_equal(part, whole[..., 5:31])
        assert part.flags.c_contiguous
        assert not np.shares_memory(part, whole)


def test_rental_terms_are_views_of_their_arrays_and_back() -> None:
    terms = terms_of_day(1)
    rental = RentalTerms.from_arrays(terms)
    again = RentalTerms(**{name: np.ascontiguousarray(getattr(rental, name)) for name in Terms._fields})
    for name, array, other in zip(Terms._fields, terms, again.arrays, strict=True):
        assert np.shares_memory(getattr(rental, name), array)
        np.testing.assert_array_equal(getattr(rental, name), array.T)
        np.testing.assert_array_equal(other, array)
        assert other.flags.c_contiguous
