"""Every number of a scenario at the ends of its range: a day runs and balances, or the scenario is refused by name.

`make fuzz` runs the same with FUZZ_CASES cases.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmaas_env import Market, RentalTerms, Scenario
from lmaas_env.env import LMaaSEnv
from lmaas_env.rsr import rent, solve

CASES = int(os.environ.get("FUZZ_CASES", "200"))  # days
SMALL = {"customers": 5, "slots": 4}
SIZES = {"customers": (1, 40), "slots": (1, 96), "periods": (1, 50)}  # higher ends take long, and nothing else
Changes = dict[str, Any]


def ends() -> list[Changes]:
    """One number at one end of its range, or a least and a greatest number at the same one."""
    found: list[Changes] = []
    for field in dataclasses.fields(Scenario):
        if "low" not in field.metadata:
            continue
        for side in (0, 1):
            value = SIZES.get(field.name, (field.metadata["low"], field.metadata["high"]))[side]
            is_tuple = isinstance(field.default, tuple)
            count = 1 if field.name == "fade_budgets" else 4
            change = {field.name: (value,) * count if is_tuple else value}
            if field.name in ("churn", "region_memory"):  # of customers who are drawn, overnight
                change |= {"resample_population": "episode", "periods": 30}
            if field.name.endswith("_min") and side == 1:
                change[field.name.replace("_min", "_max")] = value
            if field.name.endswith("_max") and side == 0:
                change[field.name.replace("_max", "_min")] = value
            found.append(change)
    others = ({"settlement": "plan"}, {"observation": "public"}, {"resample_population": "episode"})
    return [*found, *others, {"price_menu": 2}]


ENDS = ends()


def is_sound(changes: Changes, seed: int) -> bool:
    """Run a day at drawn prices and check it; False if the scenario is refused by the name of a number."""
    try:
        scenario = Scenario(**(SMALL | changes))
    except ValueError as error:
        if any(name in str(error) for name in changes):
            return False
        raise
    env, rng = LMaaSEnv(scenario), np.random.default_rng(seed)
    seen, _ = env.reset(seed=seed)
    over = False
    while not over:
        before, capacity = env.state, env.market.population.capacity
        assert before is not None
        seen, reward, over, _, info = env.step(rng.uniform(-1.2, 1.2, env.action_space.shape or ()))
        after, sold = env.state, env.settlement
        assert after is not None
        assert sold is not None
        assert np.isfinite(seen).all()
        assert env.observation_space.contains(seen)
        for array in (reward, *info.values(), *sold, *after):
            assert np.isfinite(array).all()
        harvest = scenario.harvest * capacity * env._lanes.draws.harvest[before.hour, 0]
        brought, gone = before.charge + harvest, after.charge + sold.spilled + sold.energy_used
        if "removed" in info:
            ends = (gone.sum() + info["removed"], brought.sum() + info["added"])
            assert ends[0] == pytest.approx(ends[1], rel=1e-9)
        else:
            np.testing.assert_allclose(brought, gone, rtol=1e-9, atol=0.0)
        assert (sold.energy_used <= before.charge).all()
        assert (sold.choice[before.charge == 0.0] == -1).all()
        catalogue, chosen = env.market.catalogue, sold.choice[sold.choice >= 0]
        hours = sold.hours.sum(axis=1)[sold.choice >= 0]
        revenue = (sold.prices[chosen] * hours).sum()
        model = chosen % catalogue.size  # of the offers of all sellers
        cost = (catalogue.serving_cost[model] * hours + catalogue.adaptation_cost[model]).sum()
        cost += scenario.sellers * catalogue.training_cost.sum()
        assert np.sum(sold.revenue) == pytest.approx(revenue, rel=1e-9, abs=0.0)
        assert np.sum(sold.cost) == pytest.approx(cost, rel=1e-9, abs=0.0)
        assert np.sum(sold.profit) == pytest.approx(revenue - cost, rel=1e-9, abs=1e-9 * (revenue + cost))
    return True


def test_every_number_runs_a_day_at_both_ends_of_its_range() -> None:
    refused = [changes for i, changes in enumerate(ENDS) if not is_sound(changes, i)]
    assert all(set(changes) & {"price_floor", "price_cap", "quality_low", "quality_high"} for changes in refused)


def test_pairs_and_sets_of_ends_run_a_day_or_are_refused() -> None:
    rng = np.random.default_rng(CASES)
    pairs = list(itertools.combinations(range(len(ENDS)), 2))
    sound = 0
    for case in range(CASES):
        own = pairs[rng.integers(len(pairs))] if case % 2 else rng.integers(len(ENDS), size=rng.integers(3, 12))
        changes: Changes = {}
        for i in own:
            changes |= ENDS[i]
        sound += is_sound(changes, case)
    assert sound > CASES // 2


def one_customer(charge: float, value: float, **others: Any) -> RentalTerms:
    """Terms of one customer, three slots and one model without a setup cost."""
    numbers: dict[str, Any] = {
        "task_value": [[value, 0.5 * value, 0.25 * value]],
        "fade_budget": np.array([1]),
        "saturation": [20.0],
        "energy": [charge],
        "setup_cost": [[0.0]],
        "quality": [[[0.9, 0.5]]],
        "airtime_cost": [[[0.1, 0.3]]],
        "power": [[[5.0, 9.0]]],
        "max_hours": [[[0.3, 0.2]]],
    }
    return RentalTerms(**(numbers | others))


@pytest.mark.parametrize("setup_cost", [0.0, 0.02])
def test_an_empty_battery_never_rents(setup_cost: float) -> None:
    rng = np.random.default_rng(0)
    for value in 10.0 ** np.arange(-6.0, 28.0, 2.0):
        for _ in range(40):
            terms = one_customer(
                0.0,
                value,
                saturation=[10.0 ** rng.uniform(-3, 6)],
                quality=[[[0.9, rng.uniform(0.1, 0.9)]]],
                power=[[[5.0, rng.uniform(5.0, 50.0)]]],
                setup_cost=[[setup_cost]],
            )
            result = solve(terms, [rng.uniform(0.1, 40.0)])
            assert result.choice.tolist() == [-1]
            assert result.worst_case_profit.tolist() == [[-setup_cost]]
            rental = rent(terms, [0], [5.0], rng.random((1, 3)) < 0.5)
            assert not rental.hours.any()
            assert not rental.energy.any()


def test_planned_hours_use_no_more_than_the_charge() -> None:
    rng = np.random.default_rng(0)
    for _ in range(400):
        terms = one_customer(
            10.0 ** rng.uniform(-6, 0),
            10.0 ** rng.uniform(0, 25),
            saturation=[10.0 ** rng.uniform(-15, 6)],
            quality=[[[0.9, 10.0 ** rng.uniform(-9, -0.1)]]],
        )
        result = solve(terms, [rng.uniform(0.01, 10.0)])
        power = np.where(np.arange(3) < 1, terms.power[0, 0, 1], terms.power[0, 0, 0])
        assert result.planned_hours[0, 0] @ power <= terms.energy[0] * (1.0 + 1e-11)


def test_a_small_unit_of_money_changes_no_choice() -> None:
    market = Market("day")
    terms, prices = market.terms(market.initial_state(np.random.default_rng(0))), np.array([3.0, 5.0, 8.0, 12.0])
    for unit in (1e-12, 1e-6, 1e12):
        scaled = dataclasses.replace(
            terms,
            task_value=unit * terms.task_value,
            setup_cost=unit * terms.setup_cost,
            airtime_cost=unit * terms.airtime_cost,
        )
        assert solve(scaled, unit * prices).choice.tolist() == solve(terms, prices).choice.tolist()


def test_a_customers_file_is_refused_by_column_where_a_scenario_could_not_draw_it(tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    Market("day").population.to_csv(file)
    lines = file.read_text().splitlines()
    for column, entry in (("distance_m", "0.5"), ("capacity_wh", "1e7"), ("task_value_2_usd", "1e31")):
        row = lines[3].split(",")
        row[lines[0].split(",").index(column)] = entry
        (tmp_path / "bad.csv").write_text("\n".join([*lines[:3], ",".join(row), *lines[4:]]) + "\n")
        (tmp_path / "own.yaml").write_text("customers_file: bad.csv\n")
        with pytest.raises(ValueError, match=rf"line 4: {column} = '{entry}' must be a number in \["):
            Scenario.from_yaml(tmp_path / "own.yaml")
