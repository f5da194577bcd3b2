"""A scenario's numbers are those of market.md, presets change what they name, and every mistake is named."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmaas_env import Market, Scenario
from tests.days import one_day, periods_of

# market.md, sections 1, 2, 6 and 7, copied by hand
DAY = {
    "name": "day",
    "customers_file": "",
    "customers": 24,
    "slots": 6,
    "sellers": 1,
    "periods": 24,
    "price_floor": 1.0,
    "price_cap": 40.0,
    "price_menu": 0,
    "distance_min": 60.0,
    "distance_max": 1000.0,
    "bandwidth_min": 100e3,
    "bandwidth_max": 400e3,
    "capacity_min": 20.0,
    "capacity_max": 120.0,
    "task_value_median": 5.0,
    "task_value_sigma": 0.6,
    "slot_concentration": 4.0,
    "saturation_min": 15.0,
    "saturation_max": 40.0,
    "fade_depth_min": 6.0,
    "fade_depth_max": 15.0,
    "fade_budgets": (1, 2, 3),
    "transmit_power": 0.2,
    "airtime_price": 0.8,
    "fade_probability": 0.15,
    "shadowing_memory": 0.9,
    "shadowing_sigma": 4.0,
    "demand_memory": 0.8,
    "demand_sigma": 0.25,
    "demand_peak": 0.9,
    "demand_rise": 9.0,
    "demand_trough": 0.05,
    "charge_start_min": 0.3,
    "charge_start_max": 1.0,
    "harvest": 0.04,
    "harvest_spread": 0.5,
    "models": ("small", "base", "large", "xlarge"),
    "quality_low": (0.15, 0.22, 0.30, 0.37),
    "quality_high": (0.80, 0.88, 0.94, 0.98),
    "quality_slope": (0.30, 0.28, 0.26, 0.2525),
    "quality_offset": (-2.4, -1.8, -1.2, -0.7895),
    "bit_rate": (400e3, 250e3, 160e3, 100e3),
    "compute_power": (4.0, 9.0, 20.0, 45.0),
    "serving_cost": (0.05, 0.15, 0.45, 1.2),
    "adaptation_cost": (0.02, 0.04, 0.08, 0.15),
    "training_cost": (0.2, 0.5, 1.2, 3.0),
    "setup_cost": (0.02, 0.04, 0.06, 0.10),
    "settlement": "recourse",
    "observation": "full",
    "resample_population": "never",
    "region_value_sigma": 0.0,
    "region_distance_sigma": 0.0,
    "region_capacity_sigma": 0.0,
    "region_saturation_sigma": 0.0,
    "region_memory": 1.0,
    "churn": 0.0,
}


def hidden(scale: float, **others: Any) -> dict[str, Any]:
    """Three days with strangers (docs/unknown.md)."""
    return {
        "periods": 72,
        "observation": "public",
        "resample_population": "episode",
        "region_value_sigma": scale * 1.0,
        "region_distance_sigma": scale * 0.5,
        "region_capacity_sigma": scale * 0.6,
        "region_saturation_sigma": scale * 0.5,
        **others,
    }


PRESETS = {
    "day": {},
    "static": {
        "periods": 1,
        "shadowing_sigma": 0.0,
        "demand_sigma": 0.0,
        "demand_peak": 0.0,
        "charge_start_min": 1.0,
        "fade_probability": 0.0,
        "settlement": "plan",
    },
    "scarce": {"harvest": 0.02},
    "abundant": {"harvest": 0.3},
    "public": {"observation": "public"},
    "population": {"resample_population": "episode"},
    "rivals": {"sellers": 2},
    "city": {"customers": 1000},
    "unknown": hidden(1.0),
    "unknown-easy": hidden(0.5),
    "unknown-hard": hidden(1.5),
    "drift": hidden(1.0, periods=240, churn=0.1, region_memory=0.8),
    "mini": {
        "customers": 2,
        "slots": 1,
        "periods": 4,
        "price_floor": 2.0,
        "price_cap": 20.0,
        "price_menu": 5,
        "distance_min": 500.0,
        "capacity_max": 60.0,
        "fade_budgets": (1,),
        "fade_probability": 0.3,
        "shadowing_sigma": 0.0,
        "demand_sigma": 0.0,
        "demand_rise": 0.0,
        "charge_start_min": 0.8,
        "charge_start_max": 0.8,
        "harvest_spread": 0.0,
        "models": ("base", "large"),
        "quality_low": (0.22, 0.30),
        "quality_high": (0.88, 0.94),
        "quality_slope": (0.28, 0.26),
        "quality_offset": (-1.8, -1.2),
        "bit_rate": (250e3, 160e3),
        "compute_power": (9.0, 20.0),
        "serving_cost": (0.15, 0.45),
        "adaptation_cost": (0.04, 0.08),
        "training_cost": (0.5, 1.2),
        "setup_cost": (0.04, 0.06),
    },
}
TEXTS = ("name", "customers_file", "models", "settlement", "observation", "resample_population")
FIELDS = {field.name: field for field in dataclasses.fields(Scenario)}
NUMBERS = [name for name in FIELDS if name not in TEXTS]
every_number = pytest.mark.parametrize("name", NUMBERS)


def with_entry(name: str, value: Any) -> dict[str, Any]:
    """A change of one number: the field, or the first entry of a field that has one per model or budget."""
    old = getattr(Scenario(), name)
    return {name: (value, *old[1:]) if isinstance(old, tuple) else value}


def below(name: str) -> Any:
    low = FIELDS[name].metadata["low"]
    return int(low) - 1 if "int" in str(FIELDS[name].type) else math.nextafter(low, -math.inf)


def above(name: str) -> Any:
    high = FIELDS[name].metadata["high"]
    return int(high) + 1 if "int" in str(FIELDS[name].type) else math.nextafter(high, math.inf)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_the_day_of_market_md_but_for_what_it_names(name: str) -> None:
    assert dataclasses.asdict(Scenario.preset(name)) == {**DAY, "name": name, **PRESETS[name]}


def test_the_default_is_the_day() -> None:
    assert Scenario() == Scenario.preset("day") == Scenario.load("day")


@every_number
def test_every_number_declares_unit_range_and_meaning(name: str) -> None:
    metadata = FIELDS[name].metadata
    assert metadata["unit"].strip()
    assert metadata["meaning"].strip()
    assert math.isfinite(metadata["low"])
    assert metadata["low"] < metadata["high"] < math.inf


@every_number
@pytest.mark.parametrize(
    "wrong",
    [below, above, math.nan, math.inf, -math.inf, True, "4", None, [1.0], 1j],
    ids=["below", "above", "nan", "inf", "-inf", "bool", "text", "None", "list", "complex"],
)
def test_every_number_outside_its_range_is_refused_by_name_value_and_range(name: str, wrong: Any) -> None:
    value = wrong(name) if callable(wrong) else wrong
    metadata, change = FIELDS[name].metadata, with_entry(name, value)
    for build in (Scenario, functools.partial(dataclasses.replace, Scenario()), lambda **to: Scenario.from_dict(to)):
        with pytest.raises(ValueError, match="must be a") as refused:
            build(**change)
        assert name in str(refused.value)
        assert repr(value) in str(refused.value)
        unit = "" if metadata["unit"] == "1" else f" {metadata['unit']}"
        assert str(refused.value).endswith(f"[{metadata['low']:g}, {metadata['high']:g}]{unit}")


@pytest.mark.parametrize("name", ["customers", "slots", "periods", "fade_budgets"])
@pytest.mark.parametrize("value", [2.5, 10**400], ids=["fraction", "10**400"])
def test_counts_are_whole_and_refused_whatever_their_size(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name}.* must be a whole number in "):
        Scenario(**with_entry(name, value))


@pytest.mark.parametrize("name", ["customers", "slots", "periods"])
@pytest.mark.parametrize("value", [0, -1])
def test_none_or_fewer_customers_slots_or_periods_are_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"{name} = {value} must be a whole number in \[1, "):
        Scenario(**{name: value})


def test_whole_floats_and_numpy_numbers_are_kept_as_plain_numbers() -> None:
    scenario = Scenario(customers=np.int64(5), slots=3.0, price_cap=np.float32(8), fade_budgets=np.array([0, 2]))
    assert scenario == Scenario(customers=5, slots=3, price_cap=8.0, fade_budgets=(0, 2))
    assert [type(x) for x in (scenario.customers, scenario.slots, scenario.price_cap)] == [int, int, float]
    assert {type(budget) for budget in scenario.fade_budgets} == {int}


@pytest.mark.parametrize("name", ["distance", "bandwidth", "capacity", "saturation", "fade_depth", "charge_start"])
def test_low_above_high_is_refused_and_low_equal_to_high_is_not(name: str) -> None:
    low, high = f"{name}_min", f"{name}_max"
    value = getattr(Scenario(), high)
    dataclasses.replace(Scenario(), **{low: value})
    wrong = getattr(Scenario(), low) / 2.0
    with pytest.raises(ValueError, match=rf"{low} = .* must not exceed {high} = {wrong}"):
        dataclasses.replace(Scenario(), **{high: wrong})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"price_floor": 50.0}, r"price_floor = 50.0 must not exceed price_cap = 40.0"),
        ({"price_floor": 40.0}, r"price_floor = 40.0 must be lower than price_cap = 40.0"),
        ({"price_menu": 1}, r"price_menu = 1 must be 0 \(any price\) or at least 2"),
        ({"quality_low": (0.15, 0.9, 0.3, 0.37)}, r"quality_low = 0.9 of model 'base' .* quality_high = 0.88"),
        ({"bit_rate": (1e5, 1e5, 1e5)}, r"bit_rate = \(100000.0, .*\) must have one entry for each of the 4 models"),
        ({"setup_cost": (0.1,) * 5}, r"setup_cost = .* must have one entry for each of the 4 models"),
        ({"models": ("a", "b")}, r"quality_low = .* must have one entry for each of the 2 models"),
        ({"models": ("a", "b", "a", "c")}, r"models = \('a', 'b', 'a', 'c'\) must name .* each once"),
        ({"models": ()}, r"models = \(\) must be a list with at least one entry"),
        ({"models": ("a", "b", "c", 4)}, r"models\[3\] = 4 must be a text"),
        ({"models": "base"}, r"models = 'base' must be a list"),
        ({"fade_budgets": ()}, r"fade_budgets = \(\) must be a list with at least one entry"),
        ({"fade_budgets": 2}, r"fade_budgets = 2 must be a list"),
        ({"fade_budgets": "123"}, r"fade_budgets = '123' must be a list"),
        ({"serving_cost": 1.0}, r"serving_cost = 1.0 must be a list"),
        ({"serving_cost": (0.1, 0.1, -2.0, 0.1)}, r"serving_cost\[2\] = -2.0 must be a number in \[0, 1e\+06\] \$/h"),
        ({"settlement": "mean"}, r"settlement = 'mean' must be one of recourse, plan"),
        ({"observation": None}, r"observation = None must be one of full, public"),
        ({"customers_file": None}, r"customers_file = None must be a text"),
        (
            {"customers_file": "mine.csv", "resample_population": "episode"},
            r"resample_population = 'episode' draws customers, but customers_file = 'mine.csv'",
        ),
        ({"resample_population": "daily"}, r"resample_population = 'daily' must be one of never, episode"),
        ({"name": " "}, r"name = ' ' must be a text that is not empty"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(change: dict[str, Any], message: str) -> None:
    for build in (lambda: Scenario(**change), lambda: dataclasses.replace(Scenario.preset("static"), **change)):
        with pytest.raises(ValueError, match=message):
            build()


def test_a_list_given_as_an_iterator_keeps_its_entries_or_is_refused() -> None:
    try:
        scenario = Scenario(fade_budgets=iter((1, 2)))  # pyright: ignore
    except ValueError:
        return
    assert scenario.fade_budgets == (1, 2)


def test_unknown_presets_and_keys_are_refused_with_the_closest_name() -> None:
    with pytest.raises(ValueError, match=r"'abundnt' is unknown, did you mean 'abundant'\?; presets: day, static, "):
        Scenario.preset("abundnt")
    with pytest.raises(ValueError, match=r"scenario = 'zzz' is unknown; presets"):
        Scenario.load("zzz")
    with pytest.raises(ValueError, match=r"scenario key 'harvst' is unknown, did you mean 'harvest'\?"):
        Scenario.from_dict({"harvst": 0.1})
    with pytest.raises(ValueError, match=r"scenario = 'dai' is unknown, did you mean 'day'\?"):
        Scenario.from_dict({"base": "dai"})


@pytest.mark.parametrize(("old", "new"), [("none", "never"), ("daily", "episode")])
def test_the_former_key_turnover_is_read_with_a_warning(old: str, new: str, tmp_path: Path) -> None:
    file = tmp_path / "former.yaml"
    file.write_text(f"base: scarce\nturnover: {old}\n")
    expected = dataclasses.replace(Scenario.preset("scarce"), resample_population=new)
    changes = {"base": "scarce", "turnover": old}
    for read in (
        lambda: Scenario.from_dict(changes),
        lambda: Scenario.load(changes),
        lambda: Scenario.from_yaml(file),
        lambda: Scenario.load(str(file)),
    ):
        with pytest.warns(
            FutureWarning, match=rf"'turnover' is now 'resample_population': '{old}' reads '{new}'"
        ) as seen:
            assert read() == expected
        assert len(seen) == 1
    assert changes == {"base": "scarce", "turnover": old}
    expected.to_yaml(file)
    assert Scenario.from_yaml(file) == expected  # what is written has the new key, which is read without a warning


def test_the_former_key_is_refused_with_a_wrong_value_or_beside_the_new_key() -> None:
    with (
        pytest.warns(FutureWarning, match="turnover"),
        pytest.raises(ValueError, match="resample_population = 'weekly' must be one of never, episode"),
    ):
        Scenario.from_dict({"turnover": "weekly"})
    with pytest.raises(ValueError, match="scenario key 'turnover' is unknown"):
        Scenario.from_dict({"turnover": "daily", "resample_population": "episode"})


@pytest.mark.parametrize("name", PRESETS)
def test_yaml_round_trip_of_a_preset_is_equal(name: str, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    Scenario.preset(name).to_yaml(file)
    assert Scenario.from_yaml(file) == Scenario.preset(name) == Scenario.load(str(file)) == Scenario.load(file)
    assert Scenario.from_dict(Scenario.preset(name).to_dict()) == Scenario.preset(name)


def test_yaml_round_trip_keeps_names_and_numbers_that_yaml_could_mistake(tmp_path: Path) -> None:
    scenario = Scenario(
        name="é: 'a # name",
        models=("yes", "null", "1e3", "[0]"),
        capacity_min=1e-9,
        price_floor=0.1 + 0.2,
        bit_rate=(1e12, 1.0, 1e5 / 3.0, 123456789.0),
        customers=1_000_000,
    )
    file = tmp_path / "odd.yml"
    scenario.to_yaml(file)
    assert Scenario.from_yaml(file) == scenario
    assert os.listdir(tmp_path) == ["odd.yml"]


def test_yaml_needs_to_hold_only_what_differs_from_its_base(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("base: scarce\nname: mine\ncustomers: 3\nfade_budgets: [0]\n")
    expected = dataclasses.replace(Scenario(), name="mine", harvest=0.02, customers=3, fade_budgets=(0,))
    assert Scenario.load(str(file)) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- customers\n- 3\n", "must map names to values, it holds a list"),
        (b"", "must map names to values, it holds a NoneType"),
        (b"customers: [1, 2\n", "is not valid YAML"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"customers: 0\n", r"customers = 0 must be a whole number in \[1, 1e\+06\] customers"),
        (b"customers: yes\n", r"customers = True must be a whole number in \[1, 1e\+06\] customers"),
        (b"harvest: .nan\n", r"harvest = nan must be a number in \[0, 10\] of capacity per h"),
        (b"harvest: 2024-01-01\n", r"harvest = .2024-01-01. must be a number in \[0, 10\] of capacity per h"),
        (b"customrs: 3\n", "key 'customrs' is unknown, did you mean 'customers'"),
        (b"1: 2\n", "key .1. is unknown"),
        (b"a: !!python/object/apply:os.getcwd []\n", "is not valid YAML"),
    ],
)
def test_a_bad_yaml_file_is_refused_by_name_and_fault(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"scenario file '.*bad\.yaml'.*{message}"):
        Scenario.from_yaml(file)


def test_a_missing_yaml_file_or_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"scenario file '.*none\.yaml' cannot be read: No such file"):
        Scenario.load(str(tmp_path / "none.yaml"))
    with pytest.raises(ValueError, match=r"scenario file .* cannot be read: Is a directory"):
        Scenario.load(tmp_path)


def test_a_scenario_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Scenario().customers = 3  # pyright: ignore


@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize("name", [name for name in NUMBERS if name not in ("customers", "periods")])
def test_a_market_works_at_both_ends_of_every_range(name: str, end: str) -> None:
    limit = FIELDS[name].metadata[end]
    change = with_entry(name, limit)
    if name in ("price_floor", "price_cap"):  # the pair must not be equal
        change = {"price_floor": 1e-6, "price_cap": 2e-6} if end == "low" else {"price_floor": 9e5, "price_cap": 1e6}
    elif name.endswith(("_min", "_max")):
        change = {f"{name[:-4]}_min": limit, f"{name[:-4]}_max": limit}
    elif name in ("quality_low", "quality_high"):
        change = {**with_entry("quality_low", limit), **with_entry("quality_high", limit)}
    if name in ("churn", "region_memory"):  # customers change only overnight, and only where they are drawn
        change |= {"periods": 30, "resample_population": "episode"}
    market = Market(dataclasses.replace(Scenario(), **({"periods": 3} | change)))
    state, draws = one_day(market, 0)
    for period in periods_of(draws):
        prices = np.full(market.offers, market.scenario.price_floor)
        settlement, state = market.settle(prices, state, period)
        assert np.isfinite(
            [*np.atleast_1d(settlement.profit), *settlement.customer_profit, *settlement.worst_case_profit]
        ).all()
        assert np.isfinite([*state.shadowing, *state.demand, *state.charge]).all()
        assert (settlement.hours >= 0.0).all()
        assert (settlement.energy_used <= market.population.capacity).all()
