"""`lmaas explore`: a local page with a slider per price, which shows what customers choose, rent and earn."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import socket
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dash import ALL, MATCH, ClientsideFunction, Dash, Input, Output, State, no_update
from dash.exceptions import PreventUpdate
from lmaas_train.explore import page as explore_page
from lmaas_train.explore.hour import (
    CUSTOMERS_FILES,
    STATE_RANGES,
    customers,
    headline,
    hour_of,
    landscape,
    lines,
    posted_scenario,
)
from werkzeug.serving import make_server

from lmaas_env import Scenario
from lmaas_env.scenario import PRESETS

HOST = "127.0.0.1"  # the loopback interface: other machines cannot reach the page


@dataclasses.dataclass
class Explore:
    """Open a local page with sliders for the prices and the scenario.

    It shows one hour: what customers choose, rent and earn, the seller's profit, IMP's prices, and the profit landscape
    over two prices. Ctrl-C stops the server.

    Examples
    --------
      lmaas explore
      lmaas explore static --population-seed 3
      lmaas explore --port 8123 --no-browser
    """

    scenario: str = "day"
    """Preset or YAML file to start with."""
    population_seed: int = 0
    """Customers to start with; 0 reads those of the package."""
    port: int = 8050
    """Port on 127.0.0.1; 0 takes a free one."""
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
                f"port = {self.port} is not available ({error.strerror}); a free one: lmaas explore --port 0"
            ) from error
        with listener, contextlib.suppress(KeyboardInterrupt):
            print("starting (the first start compiles kernels) ...", flush=True)
            serve(create_app(self.scenario, self.population_seed), listener, self.browser)


def serve(app: Dash, listener: socket.socket, browser: bool) -> None:
    """Serve the page on a listening socket, without a log line per request."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    url = f"http://{HOST}:{listener.getsockname()[1]}/"
    server = make_server(HOST, 0, app.server, threaded=True, fd=listener.fileno())
    print(f"explorer {url}   stop it with Ctrl-C", flush=True)
    if browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    worker = threading.Thread(target=server.serve_forever, daemon=True)
    worker.start()
    while worker.is_alive():  # this thread only waits: a callback would swallow Ctrl-C
        worker.join(0.5)


def create_app(base: str = "day", seed: int = 0) -> Dash:
    """Return the explorer as a Dash app, starting with a preset or a YAML file and a population seed.

    Raises
    ------
    ValueError
        If the scenario or the seed is invalid.
    """
    bases = {name: Scenario.preset(name) for name in PRESETS if PRESETS[name].get("sellers", 1) == 1}
    if base not in bases:
        bases[base] = Scenario.load(base)
    start = bases[base]
    CUSTOMERS_FILES.add(start.customers_file)
    controls = {control.name: control.value for control in explore_page.state_controls(start)}
    period = {"scenario": start.to_dict(), "seed": seed, **controls}
    hour_of(period)  # raises before a browser opens
    prices = explore_page.start_prices(start)
    stores = {"period": period, "range": _range(start), "wanted": None, "prices": prices}
    stores |= {"live": prices, "later": prices}  # prices for the charts, throttled
    assets = str(Path(__file__).parents[1] / "assets")
    app = Dash("lmaas_train.explore.app", title="LMaaS explorer", update_title="", assets_folder=assets)
    app.server.config["TRUSTED_HOSTS"] = [HOST, "localhost"]  # refuse requests under other host names
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
    """Synchronise sliders and their numbers in the browser (assets/explore.js)."""
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
    """Return the hour that the page describes (or no update) and an error message (or an empty one)."""
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
        return no_update, f"{error}. The charts show the last valid numbers."
    return (no_update if period == before else period), ""


def _whole_numbers(name: str, text: Any) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in str(text).replace(",", " ").split())
    except ValueError:
        raise ValueError(f"{name} = {text!r} must be whole numbers, such as 1, 2, 3") from None


def renewed_prices(period: Mapping[str, Any], before: Any, prices: Sequence[float]) -> tuple[Any, ...]:
    """Return new price sliders, their range and the landscape's options after the models or the range changed."""
    scenario = posted_scenario(period)
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
