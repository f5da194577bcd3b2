"""`lmaas explore`: a local page that shows live what customers choose, rent and earn at the prices of its sliders."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import math
import socket
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from dash import ALL, MATCH, ClientsideFunction, Dash, Input, Output, State, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate
from werkzeug.serving import make_server

from agents import IMP
from agents.outcome import Outcome, outcome
from agents.seller import SearchResult
from lmaas_env import Market, Scenario
from lmaas_env.market import MarketState
from lmaas_env.scenario import PRESETS
from lmaas_env.spaces import assumed_state
from lmaas_env.terms import RentalTerms
from lmaas_env.types import FloatArray
from train import explore_charts, explore_page

HOST = "127.0.0.1"  # nobody else can reach the page
MOST_CUSTOMERS, MOST_SLOTS = 2000, 48  # that answer while a slider moves
SIDE, LINE = 40, 200  # points along a side of the landscape, and along a line
EVALUATIONS = 200_000  # customers times prices looked at for a chart, about a second
STATE_RANGES = {"hour": (0, 23), "charge": (0.0, 1.0), "demand": (0.01, 100.0)}


@dataclasses.dataclass
class Explore:
    """Open a page on this machine with a slider for every price and every number of the scenario.

    It shows one hour live: what customers choose, rent and earn, the seller's profit, IMP's answer, and the profit
    landscape over two prices. Ctrl-C ends it.

    Examples
    --------
      lmaas explore
      lmaas explore --scenario static --population-seed 3
      lmaas explore --port 8123 --no-browser
    """

    scenario: str = "day"
    """Preset (day, static, scarce, abundant, public, city, population) or YAML file to start with."""
    population_seed: int = 0
    """Which customers to start with; 0 reads those that ship with the package."""
    port: int = 8050
    """Of the page on 127.0.0.1; 0 takes a free one."""
    browser: bool = True
    """Open the page in the browser."""

    def main(self) -> None:
        """Serve the page until Ctrl-C."""
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port = {self.port} must be in [0, 65535]")
        try:
            listener = socket.create_server((HOST, self.port))
        except OSError as error:
            raise ValueError(
                f"port = {self.port} cannot be had ({error.strerror}); another: lmaas explore --port 0"
            ) from error
        with listener, contextlib.suppress(KeyboardInterrupt):
            print("getting ready (the first time, kernels are compiled) ...", flush=True)
            serve(create_app(self.scenario, self.population_seed), listener, self.browser)


class Hour(NamedTuple):
    """One hour of one market before prices are posted, and IMP's answer to it."""

    market: Market
    state: MarketState
    terms: RentalTerms
    imp: IMP
    best: SearchResult
    bound: float


def serve(app: Dash, listener: socket.socket, browser: bool) -> None:
    """Serve the page on a listening socket, without a line for every request."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    url = f"http://{HOST}:{listener.getsockname()[1]}/"
    server = make_server(HOST, 0, app.server, threaded=True, fd=listener.fileno())
    print(f"explorer {url}   Ctrl-C ends it", flush=True)
    if browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    worker = threading.Thread(target=server.serve_forever, daemon=True)
    worker.start()
    while worker.is_alive():  # this thread only waits, so that Ctrl-C never falls into a callback that swallows it
        worker.join(0.5)


def create_app(base: str = "day", seed: int = 0) -> Dash:
    """Return the explorer as a Dash app, starting with a preset or a YAML file and a population seed.

    Raises
    ------
    ValueError
        If the scenario or the seed is refused.
    """
    bases = {name: Scenario.preset(name) for name in PRESETS}
    if base not in bases:
        bases[base] = Scenario.load(base)
    start = bases[base]
    controls = {control.name: control.value for control in explore_page.state_controls(start)}
    period = {"scenario": start.to_dict(), "seed": seed, **controls}
    hour_of(period)  # says what is wrong before a browser opens
    prices = explore_page.start_prices(start)
    stores = {"period": period, "range": _range(start), "wanted": None, "prices": prices}
    stores |= {"live": prices, "later": prices}  # prices for the charts, at a pace that they can follow
    assets = str(Path(__file__).parent / "assets")
    app = Dash("train.explore", title="LMaaS explorer", update_title="", assets_folder=assets)
    app.server.config["TRUSTED_HOSTS"] = [HOST, "localhost"]  # no other name may lead here
    app.layout = explore_page.page(bases, base, seed, stores, prices)

    number, entry = {"type": "number", "name": ALL}, {"type": "model", "name": ALL, "model": ALL}
    app.callback(
        Output("number-panel", "children"), Input("base", "value"), prevent_initial_call=True
    )(lambda name: explore_page.number_panel(bases[name]))  # fmt: skip
    app.callback(
        [Output("period", "data"), Output("message", "children")],
        [Input("seed", "value"), Input(number, "value"), Input(entry, "value")],
        [State(number, "id"), State(entry, "id"), State("base", "value"), State("period", "data")],
        prevent_initial_call=True,
    )(functools.partial(checked_period, bases))
    app.callback(
        [Output("price-panel", "children"), Output("range", "data"), Output("across", "options"),
         Output("up", "options"), Output("across", "value"), Output("up", "value")],
        Input("period", "data"),
        [State("range", "data"), State("prices", "data")],
        prevent_initial_call=True,
    )(renewed_prices)  # fmt: skip
    app.callback(
        Output("wanted", "data"), Input("take-imp", "n_clicks"), State("period", "data"), prevent_initial_call=True
    )(lambda clicks, period: hour_of(period).best.prices.tolist())
    posted = [Input("period", "data"), Input("live", "data")]
    app.callback(Output("headline", "children"), posted)(headline)
    app.callback(
        [Output("sales", "figure"), Output("customers", "figure")], [*posted, Input("against", "value")]
    )(customers)  # fmt: skip
    slower = [Input("period", "data"), Input("later", "data")]
    app.callback(Output("landscape", "figure"), [*slower, Input("across", "value"), Input("up", "value")])(landscape)
    app.callback(Output("lines", "figure"), slower)(lines)
    _keep_together(app)
    return app


def _keep_together(app: Dash) -> None:
    """Let the browser move sliders with their numbers (assets/explore.js)."""
    for scale in ("linear", "log", "whole"):
        slider, number = {"type": f"{scale}-slider", "name": MATCH}, {"type": "number", "name": MATCH}
        app.clientside_callback(
            ClientsideFunction("explore", scale),
            [Output(slider, "value"), Output(number, "value")],
            [Input(slider, "value"), Input(number, "value"), State(slider, "min"), State(slider, "max")],
            prevent_initial_call=True,
        )
    slider, number = {"type": "price-slider", "model": ALL}, {"type": "price", "model": ALL}
    app.clientside_callback(
        ClientsideFunction("explore", "prices"),
        [Output(slider, "value"), Output(number, "value"), Output("prices", "data")],
        [Input(slider, "value"), Input(number, "value"), Input("wanted", "data")],
        [State("prices", "data"), State(slider, "min"), State(slider, "max")],
    )

    for pace in ("live", "later"):
        app.clientside_callback(
            ClientsideFunction("explore", pace),
            Output(pace, "data"),
            Input("prices", "data"),
            prevent_initial_call=True,
        )


def hour_of(period: Mapping[str, Any]) -> Hour:
    """Return the hour that the page describes: scenario, seed, hour, charge and demand.

    Raises
    ------
    ValueError
        If a number is out of its range, or there are more customers or slots than the page can follow.
    """
    for name, (low, high) in STATE_RANGES.items():
        value = period[name]
        if not isinstance(value, int | float) or not low <= value <= high or (name == "hour" and value != int(value)):
            kind = "a whole number" if name == "hour" else "a number"
            raise ValueError(f"{name} = {value!r} must be {kind} in [{low:g}, {high:g}] {explore_page.STATE[name][0]}")
    scenario = Scenario(**period["scenario"])
    for name, most in (("customers", MOST_CUSTOMERS), ("slots", MOST_SLOTS)):
        if getattr(scenario, name) > most:
            raise ValueError(f"{name} = {getattr(scenario, name)} must be at most {most} on this page")
    return _hour(scenario, period["seed"], int(period["hour"]), float(period["charge"]), float(period["demand"]))


@functools.lru_cache(maxsize=16)
def _hour(scenario: Scenario, seed: int, hour: int, charge: float, demand: float) -> Hour:
    market, imp = _market(scenario, seed)
    assumed = assumed_state(market, hour)
    state = assumed._replace(demand=assumed.demand + math.log(demand), charge=charge * market.population.capacity)
    terms = market.terms(state)
    return Hour(market, state, terms, imp, imp.solve_terms(terms), imp.bound(terms))


@functools.lru_cache(maxsize=4)
def _market(scenario: Scenario, seed: int) -> tuple[Market, IMP]:
    market = Market(scenario, seed)
    return market, IMP(market)


def checked_period(
    bases: Mapping[str, Scenario],
    seed: int | None,
    numbers: Sequence[Any],
    entries: Sequence[float | None],
    number_ids: Sequence[Mapping[str, Any]],
    entry_ids: Sequence[Mapping[str, Any]],
    base: str,
    before: Mapping[str, Any],
) -> tuple[Any, str]:
    """Return what the page describes (or no update) and what is wrong with it (or nothing)."""
    named = {key["name"]: value for key, value in zip(number_ids, numbers, strict=True)}
    state = {name: named.pop(name) for name in STATE_RANGES}
    changes: dict[str, Any] = {**named}
    for key, value in zip(entry_ids, entries, strict=True):
        changes.setdefault(key["name"], []).append(value)
    try:
        if "fade_budgets" in named:
            changes["fade_budgets"] = _whole_numbers("fade_budgets", named["fade_budgets"])
        scenario = dataclasses.replace(bases[base], **changes)
        period = {"scenario": scenario.to_dict(), "seed": seed, **state}
        hour_of(period)
    except ValueError as error:
        return no_update, f"{error}. The charts show the last numbers that were fine."
    return (no_update if period == before else period), ""


def _whole_numbers(name: str, text: Any) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in str(text).replace(",", " ").split())
    except ValueError:
        raise ValueError(f"{name} = {text!r} must be whole numbers, such as 1, 2, 3") from None


def renewed_prices(period: Mapping[str, Any], before: Any, prices: Sequence[float]) -> tuple[Any, ...]:
    """Return sliders for other models or another range of prices, the range, and the models to choose two from."""
    scenario = Scenario(**period["scenario"])
    now = _range(scenario)
    if now == before:
        raise PreventUpdate
    if now["models"] == before["models"]:
        return explore_page.price_panel(scenario, prices), now, no_update, no_update, no_update, no_update
    options = [{"label": name, "value": model} for model, name in enumerate(scenario.models)]
    panel = explore_page.price_panel(scenario, explore_page.start_prices(scenario))
    return panel, now, options, options, 0, min(1, len(options) - 1)


def _range(scenario: Scenario) -> dict[str, Any]:
    return {"floor": scenario.price_floor, "cap": scenario.price_cap, "models": [*scenario.models]}


def headline(period: Mapping[str, Any], prices: Sequence[float]) -> list[Component]:
    """Return the tiles with the figures of the hour."""
    hour, now = posted(period, prices)
    best, renting = hour.best.profit, int(np.sum(now.choice >= 0))
    share = f"{now.profit / best:.1%}" if best > 0.0 else "–"
    return explore_page.headline(
        [
            ("profit", "seller's profit", _dollars(now.profit), "expected in this hour, all costs taken off"),
            ("imp-profit", "IMP's profit", _dollars(best), "what IMP's prices would earn"),
            ("share", "share of IMP", share, "the seller's profit over IMP's"),
            ("bound", "bound", _dollars(hour.bound), "no prices earn more: a price for each customer and model"),
            (
                "customer-profit",
                "customers earn",
                _dollars(now.customer_profit.sum()),
                "expected profit of all customers together",
            ),
            ("renting", "renting", f"{renting:,} of {hour.terms.size:,}", "customers that select a model"),
        ]
    )


def customers(period: Mapping[str, Any], prices: Sequence[float], against: str) -> tuple[go.Figure, go.Figure]:
    """Return the charts of what customers choose, and of who they are."""
    hour, now = posted(period, prices)
    names, value = hour.market.catalogue.names, hour.terms.task_value.sum(axis=1)
    dots = explore_charts.customers_chart(names, hour.market.population, hour.state.charge, value, now, against)
    return explore_charts.sales_chart(names, now), dots


def landscape(period: Mapping[str, Any], prices: Sequence[float], across: int, up: int) -> go.Figure:
    """Return the chart of the seller's profit over two prices, the others as posted."""
    hour = _matching(period, prices)
    if across == up or max(across, up) >= len(prices):
        return explore_charts.nothing_to_draw("Choose two different models.")
    axis = _price_axis(hour, _points(hour.terms.size, SIDE**2, SIDE, power=2))
    profit = np.array([[_profit(hour, prices, {across: x, up: y}) for x in axis] for y in axis])
    names, best = hour.market.catalogue.names, hour.best.prices
    return explore_charts.landscape_chart(names, (across, up), axis, profit, np.array(prices), best)


def lines(period: Mapping[str, Any], prices: Sequence[float]) -> go.Figure:
    """Return the chart of the seller's profit along every single price, the others as posted."""
    hour = _matching(period, prices)
    axis = _price_axis(hour, _points(hour.terms.size, LINE * len(prices), LINE))
    tried = np.array([np.sort(np.append(axis, price)) for price in prices])
    profit = np.array([[_profit(hour, prices, {m: price}) for price in row] for m, row in enumerate(tried)])
    return explore_charts.lines_chart(hour.market.catalogue.names, tried, profit, np.array(prices))


def posted(period: Mapping[str, Any], prices: Sequence[float]) -> tuple[Hour, Outcome]:
    """Return the hour, and what it brings at posted prices (M,), $/h."""
    hour = _matching(period, prices)
    return hour, outcome(hour.imp, hour.terms, np.array(prices))


def _matching(period: Mapping[str, Any], prices: Sequence[float]) -> Hour:
    """Return the hour; prices of other models, that are about to change, draw nothing."""
    if len(prices) != len(period["scenario"]["models"]) or None in prices:
        raise PreventUpdate
    return hour_of(period)


def _points(customers: int, evaluations: int, most: int, power: int = 1) -> int:
    """Return how many points a side gets: fewer where there are many customers, at least 12."""
    share = min(1.0, EVALUATIONS / (customers * evaluations))
    return max(12, int(most * share ** (1.0 / power)))


def _price_axis(hour: Hour, points: int) -> FloatArray:
    scenario = hour.market.scenario
    return np.geomspace(scenario.price_floor, scenario.price_cap, points)


def _profit(hour: Hour, prices: Sequence[float], changes: Mapping[int, float]) -> float:
    return hour.imp.profit(hour.terms, np.array([changes.get(model, price) for model, price in enumerate(prices)]))


def _dollars(amount: float) -> str:
    return f"{'-' if amount < 0.0 else ''}${abs(amount):,.2f}"
