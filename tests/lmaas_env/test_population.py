"""The customers that ship are frozen, all others follow the laws of market.md, and files are read with care."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lmaas_env import Market, Population, Scenario

DATA = Path(str(resources.files("lmaas_env"))) / "data"
SEEDS = st.integers(0, 2**63)


def same(first: Population, second: Population) -> bool:
    """Exactly equal, with equal dtypes."""
    pairs = zip(first, second, strict=True)
    return all(a.dtype == b.dtype and a.shape == b.shape and (a == b).all() for a, b in pairs)


def no_sampling(*_: object) -> Population:
    raise AssertionError("customers were drawn")


@pytest.mark.parametrize(("name", "size"), [("day", 24), ("city", 1000)])
def test_the_shipped_file_is_the_sample_of_seed_0(name: str, size: int) -> None:
    shipped = Population.from_csv(DATA / f"customers_{name}.csv")
    drawn = Population.sample(Scenario.preset(name), np.random.default_rng(0))
    assert shipped.size == size
    for field, frozen, fresh in zip(Population._fields, shipped, drawn, strict=True):
        np.testing.assert_allclose(frozen, fresh, rtol=1e-12, atol=0.0, err_msg=field)


@pytest.mark.parametrize("name", ["day", "static", "scarce", "abundant", "public", "city"])
def test_markets_of_seed_0_use_the_shipped_file_and_draw_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Population, "sample", no_sampling)
    shipped = Population.from_csv(DATA / f"customers_{'city' if name == 'city' else 'day'}.csv")
    assert same(Market(name).population, shipped)
    assert same(Market(name, seed=np.int64(0)).population, shipped)  # pyright: ignore
    with pytest.raises(AssertionError, match="customers were drawn"):
        Market(name, seed=1)


def test_a_scenario_that_draws_customers_differently_draws_its_own_with_seed_0() -> None:
    farther = dataclasses.replace(Scenario(), distance_max=2000.0)
    drawn = Market(farther).population
    assert same(drawn, Population.sample(farther, np.random.default_rng(0)))
    assert drawn.distance.max() > 1000.0
    cheaper = dataclasses.replace(Scenario(), price_cap=20.0)
    assert same(Market(cheaper).population, Market("day").population)


def test_populations_repeat_with_their_seed_and_differ_between_seeds() -> None:
    populations = [Market("day", seed=seed).population for seed in range(4)]
    assert all(same(Market("day", seed=seed).population, populations[seed]) for seed in range(4))
    for a in range(4):
        for b in range(a):
            assert not np.isin(populations[a].distance, populations[b].distance).any()


@pytest.mark.parametrize("seed", [-1, 1.0, True, None, "0"])
def test_a_population_seed_is_a_whole_number_from_0_on(seed: object) -> None:
    with pytest.raises(ValueError, match=rf"population_seed = {seed!r} must be a whole number >= 0"):
        Market("day", seed=seed)  # pyright: ignore


@given(SEEDS)
def test_draws_stay_within_the_scenarios_ranges(seed: int) -> None:
    scenario = dataclasses.replace(Scenario(), customers=40, slots=5, fade_budgets=(0, 2, 7))
    drawn = Population.sample(scenario, np.random.default_rng(seed))
    for name in ("distance", "bandwidth", "capacity", "saturation", "fade_depth"):
        low, high = getattr(scenario, f"{name}_min"), getattr(scenario, f"{name}_max")
        values = getattr(drawn, name)
        assert values.shape == (40,)
        assert values.min() >= low * (1.0 - 1e-12)
        assert values.max() <= high * (1.0 + 1e-12)
    assert drawn.fade_budget.dtype == np.int64
    assert set(drawn.fade_budget) <= {0, 2, 7}
    assert drawn.task_value.shape == (40, 5)
    assert (drawn.task_value >= 0.0).all()
    assert (np.diff(drawn.task_value, axis=1) <= 0.0).all()


def test_draws_follow_the_laws_of_market_md() -> None:
    n = 20_000
    drawn = Population.sample(dataclasses.replace(Scenario(), customers=n), np.random.default_rng(11))
    total = drawn.task_value.sum(axis=1)
    laws = {
        "distance": (np.log(drawn.distance), stats.uniform(np.log(60.0), np.log(1000.0 / 60.0))),
        "bandwidth": (drawn.bandwidth, stats.uniform(1e5, 3e5)),
        "capacity": (drawn.capacity, stats.uniform(20.0, 100.0)),
        "saturation": (drawn.saturation, stats.uniform(15.0, 25.0)),
        "fade depth": (drawn.fade_depth, stats.uniform(6.0, 9.0)),
        "task value": (np.log(total), stats.norm(np.log(5.0), 0.6)),
    }
    for name, (values, law) in laws.items():
        assert stats.kstest(values, law.cdf).pvalue > 1e-3, name
    assert stats.chisquare(np.bincount(drawn.fade_budget, minlength=4)[1:]).pvalue > 1e-3
    # A Dirichlet(4, .., 4) split over 6 slots: sorted shares are those of sorted Gamma(4) variables over their sum.
    shares = np.sort(np.random.default_rng(12).gamma(4.0, size=(n, 6)), axis=1)[:, ::-1]
    shares /= shares.sum(axis=1, keepdims=True)
    for slot in range(6):
        split = drawn.task_value[:, slot] / total
        assert stats.ks_2samp(split, shares[:, slot]).pvalue > 1e-3, f"slot {slot}"
    numbers = np.column_stack([values for values, _ in laws.values()])
    assert np.abs(np.corrcoef(numbers.T) - np.eye(6)).max() < 4.0 / np.sqrt(n)


@given(seed=SEEDS, customers=st.integers(1, 5), slots=st.integers(1, 4))
def test_csv_round_trip_is_exact(seed: int, customers: int, slots: int) -> None:
    scenario = dataclasses.replace(Scenario(), customers=customers, slots=slots)
    population = Population.sample(scenario, np.random.default_rng(seed))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "customers.csv"
        population.to_csv(file)
        assert os.listdir(folder) == ["customers.csv"]
        assert same(Population.from_csv(file), population)


def test_a_market_takes_customers_of_ones_own_if_they_fit_the_scenario() -> None:
    scenario = dataclasses.replace(Scenario(), customers=3, slots=2)
    own = Population.sample(scenario, np.random.default_rng(9))
    assert Market(scenario, population=own).population is own
    with pytest.raises(ValueError, match=r"\(customers, slots\) = \(3, 2\), the scenario says \(24, 6\)"):
        Market("day", population=own)


HEADER = "distance_m,bandwidth_hz,capacity_wh,saturation_per_h,fade_depth_db,fade_budget_slots,task_value_1_usd"
GOOD = "100.0,200000.0,50.0,20.0,8.0,1,2.5"


def test_a_small_hand_written_file_is_read_with_its_values_sorted(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text(f"{HEADER},task_value_2_usd\n{GOOD},3.5\n9,1e3,1,2,0,0,0,0\n")
    read = Population.from_csv(file)
    assert read.task_value.tolist() == [[3.5, 2.5], [0.0, 0.0]]
    assert read.distance.tolist() == [100.0, 9.0]
    assert read.fade_budget.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("column", "entry", "allowed"),
    [
        ("distance_m", "0", "a number in [1, 100000] m"),
        ("distance_m", "near", "a number in [1, 100000] m"),
        ("bandwidth_hz", "-5", "a number in [1, 1e+10] Hz"),
        ("capacity_wh", "nan", "a number in [1e-09, 1e+06] Wh"),
        ("saturation_per_h", "inf", "a number in [1e-06, 1e+06] 1/h"),
        ("saturation_per_h", "", "a number in [1e-06, 1e+06] 1/h"),
        ("fade_depth_db", "-1", "a number in [0, 100] dB"),
        ("fade_budget_slots", "1.5", "a whole number in [0, 96] slots"),
        ("fade_budget_slots", "-1", "a whole number in [0, 96] slots"),
        ("fade_budget_slots", "1e300", "a whole number in [0, 96] slots"),
        ("task_value_1_usd", "-0.1", "a number in [0, 1e+30] $"),
        ("task_value_1_usd", "1e999", "a number in [0, 1e+30] $"),
    ],
)
def test_a_bad_value_is_refused_by_file_line_and_column(column: str, entry: str, allowed: str, tmp_path: Path) -> None:
    row = GOOD.split(",")
    row[HEADER.split(",").index(column)] = entry
    file = tmp_path / "bad.csv"
    file.write_text("\n".join([HEADER, GOOD, ",".join(row), GOOD]) + "\n")
    with pytest.raises(ValueError, match=rf"'.*bad\.csv', line 3: {column} = '{entry}' must be {re.escape(allowed)}$"):
        Population.from_csv(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: the columns must be distance_m,"),
        (GOOD, "line 1: the columns must be distance_m,"),
        (HEADER.replace("bandwidth_hz,", "") + "\n1,1,1,1,1,1\n", "line 1: the columns must be distance_m,"),
        (HEADER.replace("distance_m", "distance_km"), "line 1: the columns must be distance_m,"),
        (HEADER.replace(",task_value_1_usd", ""), "line 1: the columns must be .*task_value_1_usd"),
        (f"{HEADER},task_value_3_usd\n{GOOD},1\n", "line 1: the columns must be .*,task_value_1_usd,task_value_2_usd"),
        (HEADER + "\n", "has no customers"),
        (f"{HEADER}\n{GOOD}\n{GOOD},7\n", "line 3: 8 values, 7 columns"),
        (f"{HEADER}\n1,2,3\n", "line 2: 3 values, 7 columns"),
        (f"{HEADER}\n{GOOD}\n\n{GOOD}\n", "line 3: 0 values, 7 columns"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_line(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(content)
    with pytest.raises(ValueError, match=rf"customers file '.*bad\.csv'.*{message}"):
        Population.from_csv(file)


def test_a_missing_or_unreadable_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"customers file '.*none\.csv' cannot be read: No such file"):
        Population.from_csv(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"customers file '.*binary\.csv'"):
        Population.from_csv(tmp_path / "binary.csv")
