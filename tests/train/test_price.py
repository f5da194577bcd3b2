"""`lmaas price`: the quote against an exhaustive search and its own market, what it prints and writes, refusals."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from lmaas_agents import IMP
from lmaas_train.__main__ import main
from lmaas_train.cli.price import quoted, rounded

from lmaas_env import Market, Scenario
from lmaas_env.population import Population
from lmaas_env.spaces import assumed_state

TWO_MODELS = {
    name: value[:2] for name, value in Scenario().to_dict().items() if isinstance(value, list) and len(value) == 4
}
SMALL = dataclasses.replace(Scenario.preset("static"), customers=6, price_floor=2.0, price_cap=20.0, **TWO_MODELS)


def small_quote(**changes: float):
    market = Market(SMALL, seed=3)
    full = assumed_state(market, 0)._replace(charge=market.population.capacity)
    return quoted(market, full, **{"tick": 0.25, "gap": 1e-3, "seconds": 20.0, **changes})


def test_no_prices_on_the_ticks_beat_the_bound_and_few_the_quote() -> None:
    quote = small_quote()
    market, terms = quote.market, quote.market.terms(quote.state)
    imp, ticks = IMP(market), np.arange(2.0, 20.01, 0.25)
    best = max(imp.profit(terms, np.array(prices)) for prices in itertools.product(ticks, repeat=2))
    assert quote.proof == "certified"
    assert quote.outcome.profit <= best + 1e-9 <= quote.exact_profit * 1.001 + 1e-9
    assert quote.exact_profit <= quote.bound + 1e-9
    assert quote.bound <= quote.exact_profit * 1.0011
    assert quote.outcome.profit >= 0.99 * best  # rounding may lose a little, no more
    assert quote.gap == pytest.approx(quote.bound - quote.outcome.profit)


def test_rounded_prices_are_ticks_that_none_of_their_neighbours_beats() -> None:
    quote = small_quote()
    imp, terms, prices = IMP(quote.market), quote.market.terms(quote.state), quote.outcome.prices
    np.testing.assert_allclose(prices / 0.25, np.round(prices / 0.25), atol=1e-9)
    for m in range(2):
        for step in (-0.25, 0.25):
            trial = prices.copy()
            trial[m] = np.clip(trial[m] + step, 2.0, 20.0)
            assert imp.profit(terms, trial) <= quote.outcome.profit + 1e-9
    with pytest.raises(ValueError, match=r"tick = 30\.0 has no multiple between price floor 2\.0 and price cap 20\.0"):
        rounded(imp, terms, prices, 30.0)


def test_changes_are_those_of_one_price_moved_by_five_per_cent() -> None:
    quote = small_quote(tick=0.0)
    imp, terms = IMP(quote.market), quote.market.terms(quote.state)
    assert quote.outcome.profit == pytest.approx(quote.exact_profit)
    for m, (lower, higher) in enumerate(quote.changes):
        for change, factor in ((lower, 0.95), (higher, 1.05)):
            moved = quote.outcome.prices.copy()
            moved[m] = np.clip(moved[m] * factor, 2.0, 20.0)
            assert imp.profit(terms, moved) - quote.outcome.profit == pytest.approx(change)
    assert quote.changes.max() <= quote.gap + 1e-9


def test_without_time_for_a_proof_the_bound_is_that_of_personalised_prices() -> None:
    quote = small_quote(seconds=0.0)
    assert quote.proof == "personalised prices"
    assert quote.bound == pytest.approx(IMP(quote.market).bound(quote.market.terms(quote.state)))
    assert quote.bound >= small_quote().exact_profit


def test_the_command_prints_writes_and_returns_one_quote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Population.sample(Scenario(customers=15, slots=3), np.random.default_rng(0)).to_csv(tmp_path / "people.csv")
    (tmp_path / "models.yaml").write_text("small: {serving_cost: 0.2}\nlarge: {}\n")
    out = tmp_path / "quote"
    arguments = ["static", "--customers", str(tmp_path / "people.csv"), "--models", str(tmp_path / "models.yaml")]
    assert main(["price", *arguments, "--seconds", "5", "--out", str(out), "--json"]) == 0
    printed = capsys.readouterr()
    said = json.loads(printed.out)
    assert said == json.loads((out / "quote.json").read_text())
    assert "seller's profit" in printed.err
    assert "and 3 more" in printed.err
    assert max(len(line) for line in printed.err.splitlines() if str(out) not in line) <= 80
    assert [row["model"] for row in said["models"]] == ["small", "large"]
    people = list(csv.DictReader((out / "customers.csv").read_text().splitlines()))
    assert len(people) == len(said["rentals"]) == 15
    earned = sum(row["profit_usd"] for row in said["models"])
    assert earned == pytest.approx(said["profit"])
    assert said["profit"] <= said["bound"]
    assert sum(float(row["keeps_usd"]) for row in people) == pytest.approx(said["customer_profit"])
    assert sum(row["customers"] for row in said["models"]) == said["customers_renting"]
    assert Market(str(out / "market.yaml")).population.size == 15  # it drives the environment too


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["dai"], "scenario = 'dai' is unknown, did you mean 'day'?"),
        (["day", "--hour", "24"], "hour = 24 must be in [0, 23]"),
        (["day", "--charge", "1.5"], "charge = 1.5 must be in [0, 1]"),
        (["day", "--charge", "nan"], "charge = nan must be in [0, 1]"),
        (["day", "--tick", "-1"], "tick = -1.0 must be in [0, 39]"),
        (["day", "--seconds", "-1"], "seconds = -1.0 must be in [0, 86400]"),
        (["day", "--customers", "none.csv"], "none.csv' cannot be read"),
        (["day", "--models", "none.yaml"], "models file 'none.yaml' cannot be read"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    arguments: list[str], fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["price", *arguments, "--out", str(tmp_path / "quote")]) == 2
    assert fault in capsys.readouterr().err
    assert not (tmp_path / "quote").exists()
