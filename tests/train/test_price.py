"""`lmaas price`: the quote against an exhaustive search and its own market, what it prints and writes, refusals."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lmaas_agents import IMP
from lmaas_train.__main__ import main
from lmaas_train.cli.price import show
from lmaas_train.evaluation import pricing
from lmaas_train.evaluation.pricing import default_boxes, price_period, rounded
from rich.console import Console

from lmaas_env import Market, Scenario
from lmaas_env.population import Population
from lmaas_env.spaces import assumed_state

TWO_MODELS = {
    name: value[:2] for name, value in Scenario().to_dict().items() if isinstance(value, list) and len(value) == 4
}
SMALL = dataclasses.replace(Scenario.preset("static"), customers=6, price_floor=2.0, price_cap=20.0, **TWO_MODELS)


def small_quote(**changes: Any) -> pricing.Quote:
    market = Market(SMALL, seed=3)
    full = assumed_state(market, 0)._replace(charge=market.population.capacity)
    return price_period(market, full, **{"tick": 0.25, "gap": 1e-3, "seconds": 20.0, **changes})


def test_no_prices_on_the_ticks_beat_the_bound_and_few_the_quote() -> None:
    quote = small_quote()
    market, terms = quote.market, quote.market.terms(quote.state)
    imp, ticks = IMP(market), np.arange(2.0, 20.01, 0.25)
    best = max(imp.profit(terms, np.array(prices)) for prices in itertools.product(ticks, repeat=2))
    assert quote.proof == "certified"
    assert quote.forecast.profit <= best + 1e-9 <= quote.exact_profit * 1.001 + 1e-9
    assert quote.exact_profit <= quote.bound + 1e-9
    assert quote.bound <= quote.exact_profit * 1.0011
    assert quote.forecast.profit >= 0.99 * best  # rounding may lose a little, no more
    assert quote.gap == pytest.approx(quote.bound - quote.forecast.profit)


def test_rounded_prices_are_ticks_that_none_of_their_neighbours_beats() -> None:
    quote = small_quote()
    imp, terms, prices = IMP(quote.market), quote.market.terms(quote.state), quote.forecast.prices
    np.testing.assert_allclose(prices / 0.25, np.round(prices / 0.25), atol=1e-9)
    for m in range(2):
        for step in (-0.25, 0.25):
            trial = prices.copy()
            trial[m] = np.clip(trial[m] + step, 2.0, 20.0)
            assert imp.profit(terms, trial) <= quote.forecast.profit + 1e-9
    with pytest.raises(ValueError, match=r"tick = 30\.0 has no multiple between price floor 2\.0 and price cap 20\.0"):
        rounded(imp, terms, prices, 30.0)


def test_changes_are_those_of_one_price_moved_by_five_per_cent() -> None:
    quote = small_quote(tick=0.0)
    imp, terms = IMP(quote.market), quote.market.terms(quote.state)
    assert quote.forecast.profit == pytest.approx(quote.exact_profit)
    for m, (lower, higher) in enumerate(quote.changes):
        for change, factor in ((lower, 0.95), (higher, 1.05)):
            moved = quote.forecast.prices.copy()
            moved[m] = np.clip(moved[m] * factor, 2.0, 20.0)
            assert imp.profit(terms, moved) - quote.forecast.profit == pytest.approx(change)
    assert quote.changes.max() <= quote.gap + 1e-9


def test_without_a_proof_the_bound_is_that_of_personalised_prices() -> None:
    quote = small_quote(boxes=0)
    assert quote.proof == "personalised prices"
    assert quote.bound == pytest.approx(IMP(quote.market).bound(quote.market.terms(quote.state)))
    assert quote.bound >= small_quote().exact_profit


def test_a_budget_of_boxes_gives_the_same_quote_whatever_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    first = small_quote(gap=1e-9, boxes=3000, seconds=600.0)
    clock = time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: 50.0 * clock())  # as on a machine that is 50 times slower
    slow = small_quote(gap=1e-9, boxes=3000, seconds=600.0)
    assert first.proof == slow.proof == "box limit"
    assert first.boxes == slow.boxes == 3000
    assert (first.bound, first.exact_profit) == (slow.bound, slow.exact_profit)
    assert first.forecast.prices.tolist() == slow.forecast.prices.tolist()
    assert small_quote(gap=1e-9, boxes=4000, seconds=600.0).bound <= first.bound


def test_the_default_budget_shrinks_with_the_market() -> None:
    assert default_boxes(Market("day")) == pricing.PROOF_WORK // (24 * 4)
    assert default_boxes(Market("city")) == pricing.PROOF_WORK // (1000 * 4)


def printed(quote: pricing.Quote, width: int) -> str:
    text = io.StringIO()
    show(quote, Console(file=text, width=width))
    return text.getvalue()


@pytest.mark.heavy
def test_the_limit_that_ended_the_proof_is_said() -> None:
    assert "(stopped by the budget of 50 boxes; more: --boxes)" in printed(small_quote(boxes=50), 200)
    late = small_quote(gap=1e-9, boxes=10**9, seconds=1e-3)
    assert late.proof == "time limit"
    assert "stopped by the TIME LIMIT after" in printed(late, 200)
    assert "(certified)" in printed(small_quote(), 200)
    assert "a separate price for each customer" in printed(small_quote(boxes=0), 200)


@pytest.mark.parametrize("width", [40, 60, 100])
def test_the_tables_fit_the_terminal(width: int) -> None:
    market = Market(dataclasses.replace(SMALL, models=("a-model-with-a-rather-long-name", "xlarge")), seed=3)
    quote = price_period(market, assumed_state(market, 0), boxes=0)
    shown = printed(quote, width)
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    assert ("at ±5 %" in shown) == (width == 100)
    assert "".join(shown.split()).count("xlarge") >= 1
    assert f"{quote.forecast.profit:,.2f} $ in this hour" in shown


def test_the_command_prints_writes_and_returns_one_quote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Population.sample(Scenario(customers=15, slots=3), np.random.default_rng(0)).to_csv(tmp_path / "people.csv")
    (tmp_path / "models.yaml").write_text("small: {serving_cost: 0.2}\nlarge: {}\n")
    out = tmp_path / "quote"
    arguments = ["static", "--customers", str(tmp_path / "people.csv"), "--models", str(tmp_path / "models.yaml")]
    assert main(["price", *arguments, "--boxes", "20000", "--out", str(out), "--json"]) == 0
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
        (["day", "--seconds", "0"], "seconds = 0.0 must be in [0.1, 86400]"),
        (["day", "--boxes", "-1"], "boxes = -1 must be in [0, 1e+09]"),
        (["day", "--gap", "0"], "gap = 0.0 must be in [1e-09, 1]"),
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
