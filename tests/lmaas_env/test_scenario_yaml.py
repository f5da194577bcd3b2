"""Scenario files: what is written reads back, every fault is named with its line, customers and models by file."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import yaml

from lmaas_env import Market, Population, Scenario
from lmaas_env.scenario import MODEL_FIELDS, read_models
from lmaas_env.scenario_text import SECTIONS, commented_yaml

MARKET = """\
base: static
name: two models
customers_file: mine.csv
task_value_median: 1e1
models:
  base: {serving_cost: 0.2}
  pocket:
    quality_low: 0.1
    quality_high: 0.7
    quality_slope: 0.3
    quality_offset: -2
    bit_rate: 4e5
    compute_power: 2
    serving_cost: 0.01
    adaptation_cost: 0.01
    training_cost: 0.1
    setup_cost: 0.01
"""


@pytest.fixture
def market_file(tmp_path: Path) -> Path:
    Population.sample(Scenario(customers=5, slots=3), np.random.default_rng(0)).to_csv(tmp_path / "mine.csv")
    (tmp_path / "market.yaml").write_text(MARKET)
    return tmp_path / "market.yaml"


def test_every_number_is_written_with_its_range_and_meaning() -> None:
    written = commented_yaml(Scenario())
    content = yaml.safe_load(written)
    for field in dataclasses.fields(Scenario):
        if field.name in MODEL_FIELDS:
            assert content["models"]["small"][field.name] == getattr(Scenario(), field.name)[0]
        assert field.metadata["meaning"] in written
    assert all(f"# {title}\n" in written for title in SECTIONS.values())
    assert max(map(len, written.splitlines())) <= 120


def test_customers_and_models_come_from_their_files(market_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(market_file.parent.parent)  # paths are relative to the file, not to the working directory
    scenario = Scenario.load(market_file)
    assert (scenario.customers, scenario.slots, scenario.task_value_median) == (5, 3, 10.0)
    assert scenario.models == ("base", "pocket")
    assert scenario.serving_cost == (0.2, 0.01)
    assert scenario.quality_low == (0.22, 0.1)  # that of the preset's model of the same name
    market = Market(scenario)
    shipped = Population.from_csv(market_file.parent / "mine.csv")
    np.testing.assert_array_equal(market.population.task_value, shipped.task_value)
    env = gym.make("LMaaS-v0", scenario=str(market_file))
    assert env.action_space.shape == (2,)
    assert env.reset(seed=0)[0].shape == (3 * 5 + 3,)
    with pytest.raises(ValueError, match=r"population_seed = 1 must be 0, customers come from '.*mine\.csv'"):
        Market(scenario, seed=1)


def test_models_may_stand_in_a_file_of_their_own(market_file: Path) -> None:
    models = yaml.safe_load(MARKET)["models"]
    (market_file.parent / "models.yaml").write_text(yaml.safe_dump(models, sort_keys=False))
    alone = MARKET[: MARKET.index("models:")] + "models: models.yaml\n"
    other = market_file.parent / "other.yaml"
    other.write_text(alone)
    assert Scenario.from_yaml(other) == Scenario.from_yaml(market_file)
    (market_file.parent / "models.yaml").write_text("base:\n  serving_cost: -1\n")
    with pytest.raises(ValueError, match=r"models file '.*models\.yaml', line 2: models\.base\.serving_cost = -1 must"):
        Scenario.from_yaml(other)
    with pytest.raises(ValueError, match=r"models file '.*none\.yaml' cannot be read"):
        read_models(market_file.parent / "none.yaml")


def test_what_was_read_is_written_and_read_again(market_file: Path, tmp_path: Path) -> None:
    scenario = Scenario.from_yaml(market_file)
    scenario.to_yaml(tmp_path / "again.yaml")
    assert Scenario.from_yaml(tmp_path / "again.yaml") == scenario
    assert sorted(os.listdir(tmp_path)) == ["again.yaml", "market.yaml", "mine.csv"]


def test_every_fault_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        "base: day\n"
        "customrs: 3\n"
        "harvest: -1\n"
        "harvest: 0.1\n"
        "models:\n"
        "  base:\n"
        "    serving_kost: 1\n"
        "    bit_rate: 0\n"
        "  new: {bit_rate: 1e5}\n"
        "  other: 3\n"
        "serving_cost: [1, 2, 3]\n"
    )
    with pytest.raises(ValueError, match="scenario file") as refused:
        Scenario.from_yaml(file)
    faults = str(refused.value).splitlines()[1:]
    expected = [
        r"line 2: scenario key 'customrs' is unknown, did you mean 'customers'\?",
        r"line 4: harvest is given a second time",
        r"line 7: models\.base\.serving_kost is unknown, did you mean 'serving_cost'\?",
        r"line 8: models\.base\.bit_rate = 0 must be a number in \[1, 1e\+12\] bit/s",
        r"line 9: models\.new lacks quality_low, .*, setup_cost",
        r"line 10: models\.other = 3 must map names to numbers",
        r"line 11: serving_cost is given, but models already holds its numbers",
    ]
    assert len(faults) == len(expected)
    for fault, pattern in zip(faults, expected, strict=True):
        assert re.fullmatch(rf"  {pattern}.*", fault), fault


@pytest.mark.filterwarnings("ignore:scenario key 'turnover'")
def test_a_wrong_value_of_the_former_key_turnover_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("base: day\nturnover: weekly\n")
    with pytest.raises(ValueError, match=r"scenario file '.*', line 2: resample_population = 'weekly' must be one of"):
        Scenario.from_yaml(file)


def test_numbers_that_contradict_each_other_are_refused_after_all_others(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("price_floor: 9\nprice_cap: 8\n")
    with pytest.raises(ValueError, match=r"scenario file '.*': price_floor = 9.0 must not exceed price_cap = 8.0"):
        Scenario.from_yaml(file)


@pytest.mark.parametrize(("said", "fault"), [("customers: 4", r"customers = 4, but"), ("slots: 6", r"slots = 6, but")])
def test_sizes_that_differ_from_the_customers_file_are_refused(market_file: Path, said: str, fault: str) -> None:
    market_file.write_text(MARKET + said + "\n")
    with pytest.raises(ValueError, match=rf"{fault} '.*mine\.csv' has"):
        Scenario.from_yaml(market_file)
    market_file.write_text(MARKET.replace("mine.csv", "none.csv"))
    with pytest.raises(ValueError, match=r"customers file '.*none\.csv' cannot be read"):
        Scenario.from_yaml(market_file)


@pytest.mark.filterwarnings("ignore:scenario key 'turnover'")
@pytest.mark.parametrize("text", ["harvest: 010\n", "harvest: 01.5\n", "turnover: [daily]\n"])
def test_numbers_of_base_8_and_lists_are_no_values(text: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 1: .* must be"):
        Scenario.from_yaml(file)


def test_a_customer_has_no_numbers_with_underscores(tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    Market(dataclasses.replace(Scenario(), customers=2), seed=1).population.to_csv(file)
    head, first, *rest = file.read_text(encoding="utf-8").splitlines()
    cells = first.split(",")
    cells[1] = f"{cells[1][0]}_0"
    file.write_text("\n".join([head, ",".join(cells), *rest]) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"{cells[1]!r} must be"):
        Population.from_csv(file)
