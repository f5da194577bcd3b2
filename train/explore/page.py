"""The explorer's page: its layout, and a control for every number that affects one hour."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dash import dcc, html
from dash.development.base_component import Component
from lmaas_train.explore.charts import AGAINST

from lmaas_env.render.drawing import model_colours
from lmaas_env.scenario import MODEL_FIELDS, Scenario
from lmaas_env.spaces import ASSUMED_CHARGE

SPAN = 8.0  # a logarithmic slider goes from default / SPAN to default * SPAN
COMMON = ("transmit_power", "airtime_price", "fade_probability", "demand_peak", "demand_rise", "demand_trough")
FIELDS = {field.name: field for field in dataclasses.fields(Scenario)}
GROUPS: dict[str, tuple[str, ...]] = {
    "Range of prices": ("price_floor", "price_cap"),
    "Customers": tuple(name for name, it in FIELDS.items() if it.metadata["customers"] and "low" in it.metadata),
    "Radio and demand": COMMON,
    "Rules": ("settlement",),
}
STATE = {  # name: (unit, meaning)
    "hour": ("h", "hour of the day, from midnight"),
    "charge": ("of capacity", "charge of every battery"),
    "demand": ("× mean", "factor on the demand of every customer"),
}


class Control(NamedTuple):
    """A number with its slider, whose position is the number ("linear") or its decimal logarithm.

    ``scale`` is "linear", "log", or "whole", a logarithm for whole numbers.
    """

    name: str
    unit: str
    meaning: str
    value: float
    low: float
    high: float
    step: float
    scale: str


def state_controls(scenario: Scenario) -> list[Control]:
    """Return the controls of the hour's state: the start of a market with one period, else the assumed state."""
    start = 0.5 * (scenario.charge_start_min + scenario.charge_start_max)
    charge = start if scenario.periods == 1 else ASSUMED_CHARGE
    return [
        Control("hour", *STATE["hour"], 12, 0, 23, 1, "linear"),
        Control("charge", *STATE["charge"], charge, 0.0, 1.0, 0.01, "linear"),
        Control("demand", *STATE["demand"], 1.0, 0.25, 4.0, 0.01, "log"),
    ]


def number_control(name: str, value: float) -> Control:
    """Return the control of a scenario's number; its slider spans a range around the value."""
    field = FIELDS[name]
    low, high, unit, meaning = (field.metadata[key] for key in ("low", "high", "unit", "meaning"))
    unit = "" if unit == "1" else unit
    if low > 0.0 and value > 0.0:
        first, last = max(low, value / SPAN), min(high, value * SPAN)
        return Control(name, unit, meaning, value, first, last, 0.01, "whole" if field.type == "int" else "log")
    last = high if high <= 1.0 else min(high, max(4.0 * value, 1.0))
    step = 10.0 ** math.floor(math.log10((last - low) / 100.0))
    return Control(name, unit, meaning, value, low, last, step, "linear")


def start_prices(scenario: Scenario) -> list[float]:
    """Return the initial prices, $/h: distinct, inside the range, with four digits."""
    models = len(scenario.models)
    shares = [0.55 + 0.3 * model / max(models - 1, 1) for model in range(models)]
    ratio = scenario.price_cap / scenario.price_floor
    return [float(f"{scenario.price_floor * ratio**share:.4g}") for share in shares]


def price_panel(scenario: Scenario, prices: Sequence[float]) -> list[Component]:
    """Return a slider and a number for each price, $/h."""
    low, high = math.log10(scenario.price_floor), math.log10(scenario.price_cap)
    rows: list[Component] = []
    for model, (name, colour) in enumerate(zip(scenario.models, model_colours(len(prices)), strict=True)):
        price = min(max(prices[model], scenario.price_floor), scenario.price_cap)
        slider = {"type": "price-slider", "model": model}
        rows.append(
            _control(
                [html.Span(className="dot", style={"background": colour}), html.Strong(name)],
                _number_input({"type": "price", "model": model}, float(f"{price:.4g}"), f"price of {name}, $/h"),
                "$/h",
                _slider(slider, math.log10(price), low, high, 0.005, live=True),
            )
        )
    return rows


def number_panel(scenario: Scenario) -> list[Component]:
    """Return the controls of the hour's state, and folded ones of the scenario and its models."""
    parts: list[Component] = [html.Div([_paired(control) for control in state_controls(scenario)])]
    for title, names in GROUPS.items():
        if title == "Customers" and scenario.customers_file:
            continue  # read from a file, not drawn
        parts.append(_folded(title, [_scenario_control(name, getattr(scenario, name)) for name in names]))
    parts.append(_folded("Models", [_model_table(scenario)]))
    note = "Parameters that only couple the hours of a day, such as memories and harvests, do not affect a single hour."
    return [*parts, html.P(note, className="note")]


def page(
    bases: Mapping[str, Scenario], base: str, seed: int, stores: Mapping[str, Any], prices: Sequence[float]
) -> Component:
    """Return the whole page, for the scenario of a name in ``bases``; ``stores`` holds its state, by id."""
    scenario = bases[base]
    options = [{"label": _base_label(name, bases), "value": name} for name in bases]
    models = [{"label": name, "value": model} for model, name in enumerate(scenario.models)]
    controls = [
        html.Label(["Scenario", dcc.Dropdown(options, base, id="base", clearable=False, searchable=False)]),
        _control([html.Span("Population seed")], _number_input("seed", seed, "population seed"), "", None),
        html.H2("Prices"),
        html.Div(price_panel(scenario, prices), id="price-panel"),
        html.Div(
            [html.Button("IMP's prices", id="take-imp"), html.A("Start over", href="/", className="button")],
            className="buttons",
        ),
        html.H2("Hour and scenario"),
        html.Div(number_panel(scenario), id="number-panel"),
        html.Div(id="message", role="alert"),
    ]
    view = [
        _chart("What customers choose", "sales"),
        _chart("Customers by distance", "customers", _radio("against", AGAINST, "hours")),
        _chart(
            "Seller's profit over two prices",
            "landscape",
            html.Div([_model_choice("across", models, 0), _model_choice("up", models, 1)], className="pair"),
            "The other prices stay as posted. IMP's mark shows its prices of these two models, not its profit.",
        ),
        _chart(
            "Seller's profit over one price",
            "lines",
            note="The other prices stay as posted. A line jumps where a customer switches.",
        ),
    ]
    title = [html.H1("LMaaS explorer"), html.P("One hour of the market: set prices and see what customers do.")]
    return html.Div(
        [
            html.Header(title),
            html.Main(
                [
                    html.Section(id="headline"),
                    html.Section(controls, className="controls"),
                    html.Section(view, className="view"),
                ]
            ),
            *(dcc.Store(id=name, data=data) for name, data in stores.items()),
        ]
    )


def _model_choice(name: str, models: Sequence[Mapping[str, Any]], value: int) -> Component:
    choice = dcc.Dropdown([*models], min(value, len(models) - 1), id=name, clearable=False, searchable=False)
    return html.Label([name, choice])


def headline(figures: Iterable[tuple[str, str, str, str]]) -> list[Component]:
    """Return tiles of (id, label, value, meaning)."""
    return [
        html.Div([html.Span(label), html.Strong(value, id=name)], className="tile", title=meaning)
        for name, label, value, meaning in figures
    ]


def _base_label(name: str, bases: Mapping[str, Scenario]) -> str:
    """Return the name, and the earlier scenario that is equal within one hour."""
    for other, scenario in bases.items():
        if other == name:
            return name
        if _within_one_hour(scenario) == _within_one_hour(bases[name]):
            return f"{name} (one hour: as {other})"
    return name


def _within_one_hour(scenario: Scenario) -> list[Any]:
    names = [name for group in GROUPS.values() for name in group]
    return [getattr(scenario, name) for name in (*names, "models", *MODEL_FIELDS)] + state_controls(scenario)


def _scenario_control(name: str, value: Any) -> Component:
    field, key = FIELDS[name], {"type": "number", "name": name}
    if "options" in field.metadata:
        options = {option: option for option in field.metadata["options"]}
        return _control([html.Code(name)], None, "", _radio(key, options, value), field.metadata["meaning"])
    if isinstance(value, tuple):
        text = dcc.Input(id=key, value=", ".join(map(str, value)), type="text", debounce=True)
        entries = _labelled(text, f"{name}: {field.metadata['meaning']}")
        return _control([html.Code(name)], entries, field.metadata["unit"], None, field.metadata["meaning"])
    return _paired(number_control(name, value))


def _paired(control: Control) -> Component:
    """Return a number and its slider; the browser synchronises them, and the page reads the number."""
    position = float if control.scale == "linear" else math.log10
    ends = [position(end) for end in (control.low, control.high)]
    key = {"type": f"{control.scale}-slider", "name": control.name}
    number = {"type": "number", "name": control.name}
    return _control(
        [html.Code(control.name)],
        _number_input(number, control.value, f"{control.name}: {control.meaning}"),
        control.unit,
        _slider(key, min(max(position(control.value), ends[0]), ends[1]), ends[0], ends[1], control.step),
        control.meaning,
    )


def _control(
    name: Sequence[Component], number: Component | None, unit: str, slider: Component | None, meaning: str = ""
) -> Component:
    first = html.Div(
        [
            html.Span([*name], className="name"),
            *([number] if number is not None else []),
            html.Span(unit, className="unit"),
        ],
        className="first",
    )
    rest = [html.Div(meaning, className="note")] if meaning else []
    return html.Div([first, *rest, *([slider] if slider is not None else [])], className="control")


def _number_input(key: Any, value: float, label: str) -> Component:
    """Return an input that reports on Enter or on losing focus."""
    number = dcc.Input(id=key, value=value, type="number", debounce=True, step="any")
    return _labelled(number, label)


def _labelled(entry: Component, label: str) -> Component:
    """Return an input with a label for screen readers."""
    return html.Label([html.Span(label, className="unseen"), entry], className="number", title=label)


def _slider(
    key: Mapping[str, Any], value: float, low: float, high: float, step: float, live: bool = False
) -> Component:
    return dcc.Slider(
        low,
        high,
        step,
        id=dict(key),
        value=value,
        marks=_marks(low, high, key["type"]),
        updatemode="drag" if live else "mouseup",
        allow_direct_input=False,
        included=True,
    )


def _marks(low: float, high: float, kind: str) -> dict[float, str]:
    """Return a slider's marks by position: both ends, or powers of ten on a logarithmic scale (of a price 1, 2, 5)."""
    if kind == "linear-slider":
        return {end: f"{end:g}" for end in (low, high)}
    steps = (1, 2, 5) if kind == "price-slider" and high - low < 2.5 else (1,)
    ticks = [step * 10.0**decade for decade in range(math.floor(low), math.ceil(high) + 1) for step in steps]
    return {math.log10(tick): f"{tick:,.10g}" for tick in ticks if low - 1e-9 <= math.log10(tick) <= high + 1e-9}


def _radio(key: Any, options: Mapping[str, str], value: str) -> Component:
    return dcc.RadioItems(dict(options), value, id=key, inline=True, className="radio")


def _folded(title: str, children: Sequence[Component]) -> Component:
    return html.Details([html.Summary(title), *children])


def _model_table(scenario: Scenario) -> Component:
    header = html.Tr([html.Th(name, scope="col") for name in scenario.models])
    rows = []
    for name in MODEL_FIELDS:
        unit, meaning = FIELDS[name].metadata["unit"], FIELDS[name].metadata["meaning"]
        title = f"{meaning}{'' if unit == '1' else f', {unit}'}"
        cells = [
            html.Td(_number_input({"type": "model", "name": name, "model": model}, value, f"{name}: {title}"))
            for model, value in enumerate(getattr(scenario, name))
        ]
        label = html.Th([html.Code(name), html.Div(title, className="note")], colSpan=len(cells), scope="rowgroup")
        rows += [html.Tr(label), html.Tr(cells)]
    return html.Div(html.Table([header, *rows]), className="models")


def _chart(title: str, name: str, choice: Component | None = None, note: str = "") -> Component:
    graph = dcc.Graph(id=name, config={"displayModeBar": False, "responsive": True})
    notes = [html.P(note, className="note")] if note else []
    heading = html.Div([html.H2(title), *([choice] if choice is not None else [])], className="heading")
    return html.Article([heading, dcc.Loading(graph, **_patient()), *notes])


def _patient() -> dict[str, Any]:
    """Return a loading state that keeps the old chart in place and does not flicker while a slider moves."""
    return {"delay_show": 400, "overlay_style": {"visibility": "visible", "opacity": 0.5}, "type": "dot"}
