"""The corollaries of Theorem 1 as properties of `solve` and `rent`, and what both refuse."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import ArrayLike

from lmaas_env.rsr import rent, solve
from lmaas_env.terms import RentalTerms
from lmaas_env.types import BoolArray, FloatArray
from tests.certificates.oracle import dual_bound, fade_patterns, recourse_problem

# Derandomised and without clocks: a slow machine sees the same examples and the same verdict.
certificate = settings(derandomize=True, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])

FIELDS = [field.name for field in dataclasses.fields(RentalTerms) if field.init]
PRICE = st.floats(-6.0, 6.0).map(lambda exponent: 10.0**exponent)  # $/h
GROWTH = st.one_of(st.just(0.0), st.floats(0.0, 1.0), st.floats(0.0, 1e3))
UNIT = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1.0))


class Case(NamedTuple):
    """Rental terms and one price per model."""

    terms: RentalTerms
    prices: FloatArray


@st.composite
def cases(draw: st.DrawFn, customers: int | None = None, models: int | None = None, max_slots: int = 4) -> Case:
    """Valid terms and prices: ties, zero values, empty batteries, fades that change nothing or kill the link."""
    n = customers or draw(st.integers(1, 3))
    m = models or draw(st.integers(1, 3))
    slots = draw(st.integers(1, max_slots))

    def drawn(shape: tuple[int, ...], elements: st.SearchStrategy[float]) -> FloatArray:
        return draw(arrays(np.float64, shape, elements=elements))

    value = drawn((n, slots), st.one_of(st.sampled_from([0.0, 1.0]), st.floats(1e-3, 100.0)))
    nominal = {
        "quality": drawn((n, m), st.floats(0.01, 1.0)),
        "airtime_cost": drawn((n, m), st.one_of(st.just(0.0), st.floats(0.0, 10.0))),
        "power": drawn((n, m), st.floats(0.1, 100.0)),
        "max_hours": drawn((n, m), UNIT),
    }
    faded = {
        "quality": nominal["quality"] * drawn((n, m), st.floats(1e-3, 1.0)),
        "airtime_cost": nominal["airtime_cost"] + drawn((n, m), st.one_of(st.just(0.0), st.floats(0.0, 4e5))),
        "power": nominal["power"] * drawn((n, m), st.one_of(st.just(1.0), st.floats(1.0, 1e4))),
        "max_hours": nominal["max_hours"] * drawn((n, m), st.one_of(st.just(4e-7), UNIT)),
    }
    terms = RentalTerms(
        task_value=-np.sort(-value, axis=1),
        fade_budget=draw(arrays(np.int64, n, elements=st.integers(0, slots + 1))),
        saturation=drawn((n,), st.floats(0.1, 100.0)),
        energy=drawn((n,), st.one_of(st.just(0.0), st.floats(0.0, 5.0), st.floats(0.0, 1e4))),
        setup_cost=drawn((n, m), st.one_of(st.just(0.0), st.floats(0.0, 1.0))),
        **{name: np.stack([nominal[name], faded[name]], axis=-1) for name in nominal},
    )
    return Case(terms, drawn((m,), PRICE))


@st.composite
def cases_with_fades(draw: st.DrawFn) -> tuple[Case, BoolArray]:
    """A case and the fades (N, L) that came true, any number of them."""
    case = draw(cases())
    return case, draw(arrays(np.bool_, case.terms.task_value.shape))


def at_least(larger: FloatArray | float, smaller: FloatArray | float, relative: float = 1e-9) -> None:
    """Assert larger >= smaller up to rounding, relative to max(1, |value|)."""
    slack = relative * np.maximum(1.0, np.maximum(np.abs(larger), np.abs(smaller)))
    assert np.all(larger >= smaller - slack), (larger, smaller)


def every_realised_profit(terms: RentalTerms, prices: FloatArray, n: int) -> FloatArray:
    """The profit (Z, M) of customer n with every model, for every fade pattern within its budget."""
    slots, models = terms.task_value.shape[1], terms.setup_cost.shape[1]
    rows = [
        [rent(terms, np.full(terms.size, m), prices, np.tile(faded, (terms.size, 1))).profit[n] for m in range(models)]
        for faded in fade_patterns(slots, int(terms.fade_budget[n]))
    ]
    return np.array(rows)


def select_rows(terms: RentalTerms, rows: list[int]) -> RentalTerms:
    """The terms of these customers, in this order."""
    return RentalTerms(**{name: getattr(terms, name)[rows] for name in FIELDS})


# Theorem 1 and its corollaries


@certificate
@given(cases())
def test_fading_the_most_valuable_slots_is_the_worst_pattern_of_the_budget_for_every_model(case: Case) -> None:
    promised = solve(*case).worst_case_profit
    for n in range(case.terms.size):
        worst = every_realised_profit(*case, n).min(axis=0)
        at_least(worst, promised[n])
        at_least(promised[n], worst)


@certificate
@given(cases())
def test_max_min_equals_min_max_so_perfect_foresight_has_the_same_worst_case(case: Case) -> None:
    promised = solve(*case).worst_case_profit
    for n in range(case.terms.size):
        foresight = every_realised_profit(*case, n).max(axis=1, initial=0.0).min()  # 0: none may be selected
        robust = promised[n].max(initial=0.0)
        assert abs(foresight - robust) <= 1e-9 * max(1.0, robust)


@certificate
@given(cases_with_fades())
def test_at_most_gamma_fades_realise_at_least_the_promised_profit(drawn: tuple[Case, BoolArray]) -> None:
    (terms, prices), faded = drawn
    faded &= np.cumsum(faded, axis=1) <= terms.fade_budget[:, None]  # the first Gamma of whichever slots fade
    result = solve(terms, prices)
    realised = rent(terms, result.choice, prices, faded).profit
    for n, m in enumerate(result.choice):
        at_least(realised[n], result.worst_case_profit[n, m] if m >= 0 else 0.0)


@certificate
@given(cases(), st.data())
def test_planned_hours_are_minus_the_derivative_of_a_worst_case_profit_convex_in_price(
    case: Case, data: st.DataObject
) -> None:
    terms, prices = case
    m = data.draw(st.integers(0, prices.size - 1))
    other = prices.copy()
    other[m] = data.draw(st.one_of(PRICE, st.floats(0.5, 2.0).map(lambda factor: prices[m] * factor)))
    here, there = solve(terms, prices), solve(terms, other)
    step = other[m] - prices[m]
    # Subgradients at both ends hold exactly for a convex W; they enclose the difference quotient of W.
    for origin, target, move in ((here, there, step), (there, here, -step)):
        tangent = origin.worst_case_profit[:, m] - origin.planned_hours[:, m].sum(axis=1) * move
        at_least(target.worst_case_profit[:, m], tangent)


@certificate
@given(cases(), GROWTH)
def test_a_higher_price_never_raises_worst_case_profit_nor_planned_hours(case: Case, increase: float) -> None:
    terms, prices = case
    low, high = solve(terms, prices), solve(terms, prices + increase)
    at_least(low.worst_case_profit, high.worst_case_profit)
    at_least(low.planned_hours.sum(axis=2), high.planned_hours.sum(axis=2))


@certificate
@given(cases())
def test_a_larger_fade_budget_never_raises_worst_case_profit(case: Case) -> None:
    larger = dataclasses.replace(case.terms, fade_budget=case.terms.fade_budget + 1)
    at_least(solve(*case).worst_case_profit, solve(larger, case.prices).worst_case_profit)


@certificate
@given(cases(), UNIT, GROWTH, st.sampled_from([slice(1, 2), slice(0, 2)]))
def test_deeper_fades_and_greater_distance_never_raise_worst_case_profit(
    case: Case, shrink: float, growth: float, states: slice
) -> None:
    terms, prices = case  # deeper fades worsen state 1, distance worsens both
    quality, cost, power, cap = (
        array.copy() for array in (terms.quality, terms.airtime_cost, terms.power, terms.max_hours)
    )
    quality[..., states] *= max(shrink, 1e-3)
    cost[..., states] += growth
    power[..., states] *= 1.0 + growth
    cap[..., states] *= shrink
    worse = dataclasses.replace(terms, quality=quality, airtime_cost=cost, power=power, max_hours=cap)
    at_least(solve(terms, prices).worst_case_profit, solve(worse, prices).worst_case_profit)


@certificate
@given(cases(), GROWTH)
def test_more_energy_never_lowers_worst_case_profit(case: Case, increase: float) -> None:
    charged = dataclasses.replace(case.terms, energy=case.terms.energy + increase)
    at_least(solve(charged, case.prices).worst_case_profit, solve(*case).worst_case_profit)


@certificate
@given(cases(), st.data())
def test_more_valuable_tasks_never_lower_worst_case_profit(case: Case, data: st.DataObject) -> None:
    value = case.terms.task_value + data.draw(arrays(np.float64, case.terms.task_value.shape, elements=GROWTH))
    richer = dataclasses.replace(case.terms, task_value=-np.sort(-value, axis=1))
    at_least(solve(richer, case.prices).worst_case_profit, solve(*case).worst_case_profit)


# Selection


@certificate
@given(cases())
def test_the_choice_is_the_first_model_of_largest_worst_case_profit_or_none(case: Case) -> None:
    result = solve(*case)
    least = 1e-12 * case.terms.task_value.sum(axis=1)  # below is rounding, not a promise
    expected = np.where(result.worst_case_profit.max(axis=1) > least, result.worst_case_profit.argmax(axis=1), -1)
    np.testing.assert_array_equal(result.choice, expected)


@certificate
@given(cases(models=1), st.integers(2, 4))
def test_equal_models_are_a_tie_for_the_lowest_index(case: Case, copies: int) -> None:
    terms, prices = case
    pairs = ("setup_cost", "quality", "airtime_cost", "power", "max_hours")
    twins = dataclasses.replace(terms, **{name: getattr(terms, name).repeat(copies, axis=1) for name in pairs})
    result = solve(twins, prices.repeat(copies))
    np.testing.assert_array_equal(result.choice, solve(terms, prices).choice)
    np.testing.assert_array_equal(result.worst_case_profit, result.worst_case_profit[:, :1].repeat(copies, axis=1))


def test_a_customer_that_can_earn_nothing_selects_none_and_rents_nothing() -> None:
    terms = dataclasses.replace(valid_terms(), energy=np.zeros(2))
    result = solve(terms, [5.0, 9.0])
    rental = rent(terms, result.choice, [5.0, 9.0], np.zeros((2, 3), dtype=np.bool_))
    assert result.choice.tolist() == [-1, -1]
    np.testing.assert_allclose(result.worst_case_profit, -terms.setup_cost, rtol=0, atol=1e-12)
    for array in rental:
        np.testing.assert_array_equal(array, np.zeros_like(array))


@certificate
@given(cases(models=3), PRICE)
def test_the_worst_case_profit_of_a_model_ignores_the_other_models_and_their_prices(case: Case, price: float) -> None:
    terms, prices = case
    full, other = solve(terms, prices), solve(terms, [prices[0], price, price])
    alone = dataclasses.replace(
        terms,
        **{
            name: getattr(terms, name)[:, :1]
            for name in ("setup_cost", "quality", "airtime_cost", "power", "max_hours")
        },
    )
    for result in (other, solve(alone, prices[:1])):
        np.testing.assert_array_equal(result.worst_case_profit[:, 0], full.worst_case_profit[:, 0])
        np.testing.assert_array_equal(result.planned_hours[:, 0], full.planned_hours[:, 0])


# Rows


@certificate
@given(cases_with_fades(), st.data())
def test_permuting_the_customers_permutes_selection_and_rental(
    drawn: tuple[Case, BoolArray], data: st.DataObject
) -> None:
    (terms, prices), faded = drawn
    order = data.draw(st.permutations(range(terms.size)))
    shuffled = select_rows(terms, order)
    result, permuted = solve(terms, prices), solve(shuffled, prices)
    for array, other in zip(result, permuted, strict=True):
        np.testing.assert_array_equal(array[order], other)
    rental = rent(terms, result.choice, prices, faded)
    for array, other in zip(rental, rent(shuffled, permuted.choice, prices, faded[order]), strict=True):
        np.testing.assert_array_equal(array[order], other)


@certificate
@given(st.integers(1, 3), st.integers(1, 3), st.data())
def test_a_batch_of_markets_with_a_price_row_each_equals_separate_solves_exactly(
    markets: int, customers: int, data: st.DataObject
) -> None:
    terms, first = data.draw(cases(customers=markets * customers))
    prices = data.draw(arrays(np.float64, (markets, first.size), elements=PRICE))
    faded = data.draw(arrays(np.bool_, terms.task_value.shape))
    batch = solve(terms, prices)
    rental = rent(terms, batch.choice, prices, faded)
    for k in range(markets):
        rows = list(range(k * customers, (k + 1) * customers))
        market = select_rows(terms, rows)
        single = solve(market, prices[k])
        for array, other in zip(batch, single, strict=True):
            np.testing.assert_array_equal(array[rows], other)
        for array, other in zip(rental, rent(market, single.choice, prices[k], faded[rows]), strict=True):
            np.testing.assert_array_equal(array[rows], other)


# Recourse at extreme prices


@certificate
@given(cases_with_fades(), st.integers(0, 2))
def test_rented_hours_are_feasible_and_optimal_at_any_price(drawn: tuple[Case, BoolArray], model: int) -> None:
    (terms, prices), faded = drawn
    m = model % prices.size
    rental = rent(terms, np.full(terms.size, m), prices, faded)
    for n in range(terms.size):
        problem = recourse_problem(terms, n, m, prices[m], faded[n])
        hours, used = rental.hours[n], problem.power @ rental.hours[n]
        assert (hours >= 0.0).all()
        assert (hours <= problem.cap).all()
        assert used <= problem.energy + 1e-9 * max(1.0, problem.energy)
        assert abs(rental.energy[n] - used) <= 1e-9 * max(1.0, used)
        at_least(rental.profit[n], dual_bound(problem))


def test_an_empty_battery_rents_nothing_even_where_two_values_differ_by_one_rounding() -> None:
    value = np.append(np.random.default_rng(0).uniform(1.0, 6.0, 499), 3.6656057528016297)
    rows = [0] * value.size
    terms = dataclasses.replace(
        select_rows(valid_terms(), rows),
        task_value=np.stack([np.nextafter(value, np.inf), value, np.zeros_like(value)], axis=1),
        fade_budget=np.zeros(value.size, dtype=np.int64),
        energy=np.zeros(value.size),
    )
    result = solve(terms, [4.0, 9.0])
    assert (result.choice == -1).all()
    np.testing.assert_allclose(result.planned_hours, 0.0, rtol=0, atol=1e-12)


# Bad input


def valid_terms() -> RentalTerms:
    """Two customers, two models, three slots."""
    return RentalTerms(
        task_value=np.array([[3.0, 2.0, 1.0], [4.0, 4.0, 0.0]]),
        fade_budget=np.array([1, 2]),
        saturation=np.array([20.0, 30.0]),
        energy=np.array([6.0, 1.5]),
        setup_cost=np.array([[0.02, 0.10], [0.02, 0.10]]),
        quality=np.array([[[0.8, 0.6], [0.95, 0.9]]] * 2),
        airtime_cost=np.array([[[0.4, 1.0], [0.1, 0.3]]] * 2),
        power=np.array([[[4.2, 4.5], [20.0, 20.2]]] * 2),
        max_hours=np.array([[[1 / 3, 1 / 4], [1 / 3, 1 / 3]]] * 2),
    )


def with_entry(name: str, index: tuple[int, ...], value: float) -> dict[str, np.ndarray]:
    """The valid field with one entry replaced."""
    array = getattr(valid_terms(), name).copy()
    array[index] = value
    return {name: array}


NO_FADES = np.zeros((2, 3), dtype=np.bool_)
FLOAT_FIELDS = [
    ("task_value", (1, 2)),
    ("saturation", (1,)),
    ("energy", (1,)),
    ("setup_cost", (1, 0)),
    *((name, (1, 0, state)) for name in ("quality", "airtime_cost", "power", "max_hours") for state in (0, 1)),
]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("name", "index"), FLOAT_FIELDS)
def test_terms_refuse_a_number_that_is_not_finite_wherever_it_is(name: str, index: tuple[int, ...], bad: float) -> None:
    where = ", ".join(map(str, index[:2]))
    with pytest.raises(ValueError, match=rf"^{name}\[{where}\] = .*finite"):
        dataclasses.replace(valid_terms(), **with_entry(name, index, bad))


@pytest.mark.parametrize(
    ("name", "index", "bad", "rule"),
    [
        ("task_value", (1, 2), -1.0, ">= 0"),
        ("fade_budget", (1,), -1, ">= 0"),
        ("saturation", (1,), 0.0, "> 0"),
        ("energy", (1,), -1e-9, ">= 0"),
        ("setup_cost", (1, 0), -0.1, ">= 0"),
        ("quality", (1, 0, 1), 0.0, "> 0"),
        ("power", (1, 0, 0), 0.0, "> 0"),
        ("max_hours", (1, 0, 1), -0.1, ">= 0"),
        ("task_value", (0, 1), 0.5, "sorted descending"),
        ("quality", (1, 0, 1), 0.81, "must not rise in a fade"),
        ("airtime_cost", (1, 0, 1), 0.39, "must not fall in a fade"),
        ("power", (1, 0, 1), 4.1, "must not fall in a fade"),
        ("max_hours", (1, 0, 1), 0.34, "must not rise in a fade"),
    ],
)
def test_terms_refuse_what_breaks_a_rule_and_name_field_index_and_rule(
    name: str, index: tuple[int, ...], bad: float, rule: str
) -> None:
    at = (index[0], 2) if rule == "sorted descending" else index[:2]  # the entry that exceeds its left neighbour
    where = ", ".join(map(str, at))
    with pytest.raises(ValueError, match=rf"^{name}\[{where}\] = .*{rule}"):
        dataclasses.replace(valid_terms(), **with_entry(name, index, bad))


@pytest.mark.parametrize("name", FIELDS)
def test_terms_refuse_arrays_of_another_shape_or_dimension(name: str) -> None:
    array = getattr(valid_terms(), name)
    broken = {"fewer customers": array[:1], "one axis more": array[..., None], "empty": array[:0]}
    if array.ndim > 1 and name != "task_value":  # fewer slots are another market, not an error
        broken["shorter last axis"] = array[..., :-1]
    for changed in broken.values():
        # task_value and setup_cost set the sizes: where they are the odd ones out, another field is named.
        named = r"\w+" if name in ("task_value", "setup_cost") else name
        with pytest.raises(ValueError, match=rf"^{named} has shape"):
            dataclasses.replace(valid_terms(), **{name: changed})


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("fade_budget", np.array([1.0, 2.0])),
        ("fade_budget", np.array([True, False])),
        ("energy", [None, 1.0]),
        ("energy", ["full", "empty"]),
        ("quality", [[[0.8, 0.6]], [[0.8]]]),
    ],
)
def test_terms_refuse_arrays_that_are_not_of_numbers(name: str, bad: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        dataclasses.replace(valid_terms(), **{name: bad})


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        (5.0, "prices have shape"),
        ([5.0], "prices have shape"),
        ([5.0, 9.0, 9.0], "prices have shape"),
        ([[[5.0, 9.0]]], "prices have shape"),
        ([[5.0, 9.0]] * 3, "prices have 3 rows"),
        (np.empty((0, 2)), "prices have 0 rows"),
        ([5.0, np.nan], r"prices\[1\] = nan"),
        ([5.0, np.inf], r"prices\[1\] = inf"),
        ([-0.4, 9.0], r"prices\[0\] = -0.4 plus the airtime cost must be > 0"),
        ([[5.0, 9.0], [5.0, -0.2]], r"prices\[1, 1\] = -0.2 plus the airtime cost must be > 0"),
        (["dear", "cheap"], "prices"),
    ],
)
def test_solve_and_rent_refuse_prices_that_no_customer_can_face(prices: ArrayLike, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        solve(valid_terms(), prices)
    with pytest.raises(ValueError, match=message):
        rent(valid_terms(), [0, 0], prices, NO_FADES)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ([0, 2], r"choice\[1\] = 2"),
        ([0, -2], r"choice\[1\] = -2"),
        ([0], "choice has shape"),
        ([[0, 0]], "choice has shape"),
        ([0.0, 1.0], "choice has .* dtype float64"),
        ([True, False], "choice has .* dtype bool"),
    ],
)
def test_rent_refuses_a_choice_that_is_no_model(choice: ArrayLike, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rent(valid_terms(), choice, [5.0, 9.0], NO_FADES)


@pytest.mark.parametrize(
    ("faded", "message"),
    [
        (np.zeros((2, 3), dtype=int), "faded has .* dtype int64"),
        (np.zeros((2, 3)), "faded has .* dtype float64"),
        (NO_FADES[:1], r"faded has shape \(1, 3\)"),
        (NO_FADES[:, :2], r"faded has shape \(2, 2\)"),
        (NO_FADES[0], r"faded has shape \(3,\)"),
    ],
)
def test_rent_refuses_fades_that_are_not_one_boolean_per_slot(faded: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rent(valid_terms(), [0, 0], [5.0, 9.0], faded)
