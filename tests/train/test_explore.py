"""The explorer's figures, controls and server, without a browser."""

from __future__ import annotations

import dataclasses
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dash import no_update
from dash.exceptions import PreventUpdate
from lmaas_agents import IMP
from lmaas_train.explore import app as explore
from lmaas_train.explore import hour as explore_hour
from lmaas_train.explore import page as explore_page
from lmaas_train.explore.app import Explore, create_app
from plotly.utils import PlotlyJSONEncoder

from lmaas_env import Market, Scenario
from lmaas_env.scenario import PRESETS
from lmaas_env.spaces import assumed_state

PRICES = [7.6, 11.0, 16.0, 23.0]
ONE_SELLER = [name for name in PRESETS if Scenario.preset(name).sellers == 1]
BASES = {name: Scenario.preset(name) for name in ONE_SELLER}


@pytest.fixture
def period() -> dict[str, Any]:
    scenario = json.loads(json.dumps(Scenario.preset("day").to_dict()))  # as it comes back from the page
    return {"scenario": scenario, "seed": 0, "hour": 12, "charge": 0.4, "demand": 1.0}


def market_and_terms() -> tuple[IMP, Any]:
    market = Market("day")
    return IMP(market), market.terms(assumed_state(market, 12))


def text(component: Any) -> str:
    return json.dumps(component, cls=PlotlyJSONEncoder)


def checked(before: dict[str, Any], seed: Any = 0, base: str = "day", **changes: Any) -> tuple[Any, str]:
    """Ask as the page does: every number's value beside its id."""
    scenario = BASES[base]
    numbers: dict[str, Any] = {control.name: control.value for control in explore_page.state_controls(scenario)}
    names = [name for group in explore_page.GROUPS.values() for name in group]
    numbers |= {name: getattr(scenario, name) for name in names}
    numbers["fade_budgets"] = "1, 2, 3"
    models = {(name, m): value for name in explore_page.MODEL_FIELDS for m, value in enumerate(getattr(scenario, name))}
    for name in explore_page.MODEL_FIELDS:
        if name in changes:
            models[name, 0] = changes.pop(name)  # of the first model
    numbers |= changes
    number_ids = [{"type": "number", "name": name} for name in numbers]
    entry_ids = [{"type": "model", "name": name, "model": m} for name, m in models]
    asked = [*numbers.values()], [*models.values()], number_ids, entry_ids
    return explore.checked_period(BASES, seed, *asked, base, before)


def test_headline_says_what_imp_says(period: dict[str, Any]) -> None:
    imp, terms = market_and_terms()
    best = imp.solve_terms(terms)
    tiles = {tile.children[1].id: tile.children[1].children for tile in explore_hour.headline(period, PRICES)}
    assert tiles["profit"] == f"${imp.profit(terms, np.array(PRICES)):.2f}"
    assert tiles["imp-profit"] == f"${best.profit:.2f}"
    assert tiles["bound"] == f"${imp.bound(terms):.2f}"
    assert tiles["share"] == f"{imp.profit(terms, np.array(PRICES)) / best.profit:.1%}"
    at_best = {
        tile.children[1].id: tile.children[1].children for tile in explore_hour.headline(period, best.prices.tolist())
    }
    assert at_best["share"] == "100.0%"


def test_state_numbers_reach_the_market(period: dict[str, Any]) -> None:
    hour = explore_hour.hour_of(period | {"hour": 15, "charge": 0.9, "demand": 2.0})
    market = Market("day")
    assert hour.state.charge == pytest.approx(0.9 * market.population.capacity)
    factor = market.demand_factor(15) * 2.0
    assert hour.terms.task_value == pytest.approx(factor * market.population.task_value)


def test_charts_show_every_customer_once(period: dict[str, Any]) -> None:
    _, now = explore_hour.posted(period, PRICES)
    bars, dots = explore_hour.customers(period, PRICES, "hours")
    assert sum(bars.data[0].x) == 24
    assert sum(bars.data[1].x) == pytest.approx(now.hours.sum())
    heights = np.concatenate([trace.y for trace in dots.data])
    assert sorted(heights) == pytest.approx(sorted(now.hours))
    by_name = {trace.name: len(trace.x) for trace in dots.data}
    assert by_name["small"] == np.sum(now.choice == 0)
    assert by_name["no model"] == np.sum(now.choice < 0)
    worst = now.worst_case_profit[np.flatnonzero(now.choice == 0)[0]]
    assert all(f"guarantees ${value:,.2f}" in dots.data[0].hovertext[0] for value in worst)


@pytest.mark.parametrize(("against", "expected"), [("charge", "state.charge"), ("value", "terms.task_value")])
def test_dots_show_what_they_are_asked_for(period: dict[str, Any], against: str, expected: str) -> None:
    hour, _ = explore_hour.posted(period, PRICES)
    values = hour.state.charge if expected == "state.charge" else hour.terms.task_value.sum(axis=1)
    _, dots = explore_hour.customers(period, PRICES, against)
    assert sorted(np.concatenate([trace.y for trace in dots.data])) == pytest.approx(sorted(values))


def test_the_landscape_is_imps_profit_with_both_prices_marked(period: dict[str, Any]) -> None:
    imp, terms = market_and_terms()
    figure = explore_hour.landscape(period, PRICES, 0, 2)
    heat, best, mine = figure.data
    assert np.shape(heat.z) == (40, 40)
    for row, column in ((0, 0), (7, 31), (39, 12)):
        prices = np.array([heat.x[column], PRICES[1], heat.y[row], PRICES[3]])
        assert heat.z[row][column] == pytest.approx(imp.profit(terms, prices))
    assert (mine.x[0], mine.y[0]) == (PRICES[0], PRICES[2])
    found = imp.solve_terms(terms).prices
    assert (best.x[0], best.y[0]) == pytest.approx((found[0], found[2]))


def test_a_landscape_over_one_price_asks_for_two(period: dict[str, Any]) -> None:
    figure = explore_hour.landscape(period, PRICES, 1, 1)
    assert not figure.data
    assert "two different" in figure.layout.annotations[0].text


def test_lines_pass_through_the_posted_prices(period: dict[str, Any]) -> None:
    imp, terms = market_and_terms()
    profit = imp.profit(terms, np.array(PRICES))
    traces = explore_hour.lines(period, PRICES).data
    assert [trace.x[0] for trace in traces[1::2]] == PRICES
    assert [trace.y[0] for trace in traces[1::2]] == pytest.approx([profit] * 4)
    along = traces[4]  # of the third model
    prices = np.array([*PRICES[:2], along.x[10], PRICES[3]])
    assert along.y[10] == pytest.approx(imp.profit(terms, prices))


def test_large_markets_get_coarser_charts() -> None:
    assert explore_hour._points(24, 1600, 40, power=2) == 40
    assert 12 <= explore_hour._points(2000, 1600, 40, power=2) < 20


def test_a_changed_number_makes_another_market(period: dict[str, Any]) -> None:
    same, message = checked(period)
    assert same is no_update
    assert message == ""
    other, message = checked(period, seed=4, customers=12, compute_power=5.0, fade_budgets="2 4", charge=0.5)
    assert message == ""
    hour = explore_hour.hour_of(other)
    assert hour.terms.size == 12
    assert other["seed"] == 4
    assert hour.market.scenario.compute_power == (5.0, 9.0, 20.0, 45.0)
    assert set(hour.market.population.fade_budget) <= {2, 4}
    assert other["charge"] == 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fade_probability": 2}, "fade_probability = 2 must be a number in [0, 1]"),
        ({"fade_probability": None}, "fade_probability = None must be a number"),
        ({"distance_min": 2000.0}, "distance_min = 2000.0 must not exceed distance_max = 1000.0"),
        ({"serving_cost": -1.0}, "serving_cost[0] = -1.0 must be"),
        ({"fade_budgets": "one"}, "fade_budgets = 'one' must be whole numbers"),
        ({"customers": 100_000}, "customers = 100000 must be at most 2000"),
        ({"hour": 24}, "hour = 24 must be a whole number in [0, 23]"),
        ({"charge": None}, "charge = None must be a number in [0, 1]"),
        ({"demand": 0}, "demand = 0 must be a number in [0.01, 100]"),
        ({"seed": None}, "population_seed = None must be a whole number"),
    ],
)
def test_a_wrong_number_is_named_and_changes_nothing(
    period: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    after, said = checked(period, **changes)
    assert after is no_update
    assert message in said


def test_prices_follow_the_scenarios_range_and_models(period: dict[str, Any]) -> None:
    now = explore._range(Scenario.preset("day"))
    with pytest.raises(PreventUpdate):
        explore.renewed_prices(period, now, PRICES)
    narrow = period | {"scenario": period["scenario"] | {"price_cap": 10.0}}
    panel, after, *options = explore.renewed_prices(narrow, now, PRICES)
    assert [text(row).count('"value": 10.0') for row in panel] == [0, 1, 1, 1]
    assert after["cap"] == 10.0
    assert options == [no_update] * 4
    with pytest.raises(PreventUpdate):
        explore_hour.headline(period, PRICES[:2])


@pytest.mark.parametrize("name", ONE_SELLER)
def test_sliders_stay_inside_the_valid_range_around_their_value(name: str) -> None:
    scenario = BASES[name]
    names = [name for group in explore_page.GROUPS.values() for name in group]
    numbers = {name: getattr(scenario, name) for name in names}
    controls = [
        explore_page.number_control(key, value) for key, value in numbers.items() if not isinstance(value, tuple | str)
    ]
    assert len(controls) > 20
    for control in [*controls, *explore_page.state_controls(scenario)]:
        assert control.low <= control.value <= control.high
        assert control.low < control.high
    for control in controls:
        metadata = explore_page.FIELDS[control.name].metadata
        assert metadata["low"] <= control.low <= control.high <= metadata["high"]
        assert control.scale == "linear" or control.low > 0.0


def test_every_number_of_one_hour_has_a_control() -> None:
    shown = {name for group in explore_page.GROUPS.values() for name in group} | set(explore_page.MODEL_FIELDS)
    between = {"periods", "shadowing_memory", "shadowing_sigma", "demand_memory", "demand_sigma"}
    between |= {
        "charge_start_min",
        "charge_start_max",
        "harvest",
        "harvest_spread",
        "price_menu",
        "sellers",
    }  # the page sells one hour, alone
    assert {name for name, field in explore_page.FIELDS.items() if "low" in field.metadata} == (
        shown - {"settlement"} | between
    )


HIDDEN = ["unknown", "unknown-easy", "unknown-hard", "drift"]


def test_presets_that_are_alike_within_one_hour_say_so() -> None:
    labels = {name: explore_page._base_label(name, BASES) for name in BASES}
    assert labels["scarce"] == "scarce (one hour: as day)"
    assert [name for name, label in labels.items() if label == name] == ["day", "static", "city", *HIDDEN, "mini"]


def test_a_market_file_of_one_model_is_explored(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    numbers = {name: values[:1] for name, values in Scenario().to_dict().items() if isinstance(values, list)}
    Scenario(**{**numbers, "fade_budgets": (1, 2), "name": "mine"}).to_yaml(file)
    app = create_app(str(file), seed=2)
    layout = json.dumps(app.server.test_client().get("/_dash-layout").get_json())
    assert str(file) in layout
    assert '"xlarge"' not in layout


def test_the_page_names_no_other_host_and_answers_to_no_other_name() -> None:
    client = create_app().server.test_client()
    index = client.get("/")
    assert index.status_code == 200
    assert "//" not in index.get_data(as_text=True).replace("</", "")
    assert client.get("/", headers={"Host": "elsewhere.example"}).status_code == 400


def test_bad_options_are_refused_before_anything_is_served() -> None:
    with pytest.raises(ValueError, match=r"port = 70000 must be in \[0, 65535\]"):
        Explore(port=70000).main()
    with pytest.raises(ValueError, match="did you mean 'day'"):
        Explore(port=0, browser=False, scenario="dya").main()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port = {port} is not available"):
            Explore(port=port, browser=False).main()


def test_it_listens_on_loopback_only_and_ctrl_c_ends_it_quietly() -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from lmaas_train.explore.app import Explore; Explore(port=0, browser=False).main()"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as server:
        try:
            url = next(word for line in server.stdout for word in line.split() if word.startswith("http"))
            host, port = url.removeprefix("http://").rstrip("/").split(":")
            assert host == "127.0.0.1"
            with socket.create_connection((host, int(port))):
                pass
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=60)
        finally:
            server.kill()
    assert server.returncode == 0
    assert errors == ""


def test_start_prices_lie_apart_inside_the_range() -> None:
    scenario = dataclasses.replace(Scenario(), price_floor=2.0, price_cap=3.0)
    prices = explore_page.start_prices(scenario)
    assert prices == sorted(set(prices))
    assert scenario.price_floor < prices[0] < prices[-1] < scenario.price_cap
