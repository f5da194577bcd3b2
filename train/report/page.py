"""The report's page: HTML of the sections, with the figures as JSON that the page's script draws."""

from __future__ import annotations

import json
import math
import string
from collections.abc import Callable, Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from lmaas_train.evaluation import findings, result_files
from lmaas_train.evaluation.result_files import Rows
from lmaas_train.report import charts

from lmaas_env import lined_yaml
from lmaas_env.files import read_text
from lmaas_env.render.drawing import (
    dark_colours,
    digits_for,
    dollars,
    milliseconds,
    model_colours,
    on_dark,
    seller_label,
    seller_styles,
)

COLUMNS = {  # heads of the sellers' table, and what they mean
    "seller": "Who sets the prices; IMP, the paper's iterative model pricing, is the reference.",
    "profit a day": "Seller's profit per day: mean over days and training seeds, and its 95 % bootstrap interval.",
    "minus IMP": "Difference to IMP on the same days: mean and its 95 % bootstrap interval.",
    "/ IMP": "Mean profit as a share of IMP's.",
    "customers": "Profit of all customers per day, mean.",
    "ms": "Time to compute the prices of one hour, in milliseconds.",
}
_LONG = 300.0  # s of training, beyond which its time is given in minutes
_BAND, _RUNS = "The band is two standard errors wide.", "A line is a training run."


def page(folder: Path) -> str:
    """Return the page of a results folder; it leaves out the sections whose files are missing.

    Raises
    ------
    ValueError
        If the folder holds no results, or a file of it cannot be read.
    """
    from plotly.offline import get_plotlyjs

    template = (resources.files("lmaas_train") / "assets" / "report.html").read_text(encoding="utf-8")
    try:
        body, title = "".join(_sections(folder)), f"LMaaS: scenario {_scenario(folder)}"
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(
            f"folder {str(folder)!r}: a file is incomplete or does not match the others: {error!r}"
        ) from error
    body += _data("dark", json.dumps(dark_colours()))
    return string.Template(template).substitute(title=escape(title), body=body, plotly=get_plotlyjs())


def _sections(folder: Path) -> list[str]:
    """Return the sections of the page, those for which there are files."""
    table, days = result_files.table(folder / "table.csv"), result_files.table(folder / "days.csv")
    hours, models = result_files.table(folder / "hours.csv"), result_files.table(folder / "models.csv")
    curves, profiles = result_files.table(folder / "curves.csv"), result_files.table(folder / "profiles.csv")
    evaluations, record = (
        result_files.table(folder / "evaluations.csv"),
        result_files.json_object(folder / "choices.json"),
    )
    if not table and not evaluations:
        raise ValueError(f"folder {str(folder)!r} holds no results: neither table.csv nor evaluations.csv is there")
    sections: list[str] = []
    if table:
        sections.append(_verdict(table, days, _scenario(folder)))
    if evaluations:
        sections.append(_learning(findings.learned(evaluations), _BAND, charts.learning, evaluations))
    if table:
        sections.append(_earned(table, days, profiles))
    payoffs = result_files.table(folder / "payoffs.csv")
    if payoffs:
        sections.append(_tournament(payoffs, result_files.table(folder / "mixture.csv")))
    if table and hours:
        sections.append(_hour_by_hour(table, hours, models))
    if record:
        sections.append(_choice(record))
    if curves:
        sections.append(_learning(findings.learned_by_runs(curves), _RUNS, charts.curves, curves))
    sections.append(_section("Origin", _origin(folder)))
    return sections


def _verdict(table: Rows, days: Rows, scenario: str) -> str:
    """Return the verdict, the table of the sellers, and the buttons that hide and show them in the figures."""
    first, *rest = findings.verdict(table, days, scenario)
    hidden = findings.off_axis({row["seller"]: row["minus_imp"] for row in table})
    text = f'<p class="verdict"><strong>{escape(first)}</strong> {escape(" ".join(rest))}</p>'
    return f"<section>{text}{_seller_table(table)}</section>{_buttons([row['seller'] for row in table], hidden)}"


def _seller_table(table: Rows) -> str:
    """Return the sellers as a table, best first, and what its columns mean; an evaluation counts training seeds."""
    digits, styles = digits_for(row["profit"] for row in table), seller_styles(row["seller"] for row in table)
    rows: list[str] = []
    for row in table:
        cells = [
            _estimate(row, "profit", digits, "-"),
            "" if row["seller"] == findings.REFERENCE else _estimate(row, "minus_imp", digits, "+"),
            "" if math.isnan(row["share_of_imp"]) else f"{row['share_of_imp']:.3f}".replace("-", "−"),
            dollars(row["customer_profit"], digits),
            escape(milliseconds(row["milliseconds" if "seeds" in row else "milliseconds_per_decision"])),
        ]
        label = f"{_swatch(styles[row['seller']].colour)}{escape(seller_label(row['seller']))}"
        seeds = f" <small>{row['seeds']:.0f} seeds</small>" if row.get("seeds", 1.0) > 1.0 else ""
        name = f"<th scope=row>{label}{seeds}</th>"
        rows.append(f"<tr>{name}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    heads = "".join(f'<th scope=col title="{escape(tip)}"><span>{head}</span></th>' for head, tip in COLUMNS.items())
    body = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
    meanings = "".join(f"<dt>{head}</dt><dd>{escape(tip)}</dd>" for head, tip in COLUMNS.items())
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Sellers"><table>{body}</table></div>'
        f"<details><summary>What the columns mean</summary><dl>{meanings}</dl></details>"
    )


def _estimate(row: Mapping[str, Any], name: str, digits: int, sign: str) -> str:
    """Return a mean and its interval; the mean alone where one day gives no interval."""
    mean, low, high = (row[key] for key in (name, f"{name}_low", f"{name}_high"))
    interval = f" <small>[{dollars(low, digits, sign)}, {dollars(high, digits, sign)}]</small>" if low <= high else ""
    return f"{dollars(mean, digits, sign)}{interval}"


def _earned(table: Rows, days: Rows, profiles: Rows) -> str:
    """Return the figures of profits, of differences to IMP, and of performance profiles."""
    others = [row["seller"] for row in table if row["seller"] != findings.REFERENCE]
    profits = {row["seller"]: row["profit"] for row in table}
    interval = (
        "Mean and 95\N{NO-BREAK SPACE}% interval" if table[0]["profit_low"] <= table[0]["profit_high"] else "One day"
    )
    off_axis = findings.off_axis_note(table)
    panels = [_panel(findings.headline(profits), f"{interval}.", charts.profits(table), "earnings")]
    if others:
        note = f"{interval}, paired by day. {off_axis}"
        panels.append(_panel(findings.clear_of_imp(table), note, charts.differences(table), "differences"))
    if others and len({row["day_seed"] for row in days}) > 1:
        figure = charts.paired_days(days, [row["seller"] for row in table])
        note = f"A dot is the difference on one held-out day. {off_axis}"
        panels.append(_panel(findings.days_won(days, others[0]), note, figure, "days", "wide"))
    if profiles:
        figure = charts.performance_profiles(profiles, [row["seller"] for row in table])
        note = "Performance profiles over training seeds and held-out days."
        panels.append(_panel(findings.improvement(table), note, figure, "profiles", "wide"))
    return _section("Profit", _grid(panels, "pair"))


def _tournament(payoffs: Rows, mixture: Rows) -> str:
    """Return the payoff matrix of ordered pairs of sellers and the equilibria of the game."""
    cells = {(row["seller"], row["rival"]): row for row in payoffs}
    sellers, digits = (
        list(dict.fromkeys(row["seller"] for row in payoffs)),
        digits_for(row["profit"] for row in payoffs),
    )

    def pair(seller: str, rival: str) -> str:
        row = cells[seller, rival]
        return f"<td>{dollars(row['profit'], digits)} / {dollars(row['rival_profit'], digits)}</td>"

    heads = "".join(f"<th scope=col>{escape(seller_label(rival))}</th>" for rival in sellers)
    rows = "".join(
        f"<tr><th scope=row>{escape(seller_label(seller))}</th>{''.join(pair(seller, rival) for rival in sellers)}</tr>"
        for seller in sellers
    )
    body = f"<thead><tr><th scope=col>site 0 \\ site 1</th>{heads}</tr></thead><tbody>{rows}</tbody>"
    said = [
        f"<p>Equilibrium {i:.0f}, site {site:.0f}: {escape(_mixture(mixture, i, site))} a day.</p>"
        for i, site in dict.fromkeys((row["equilibrium"], row["site"]) for row in mixture)
    ]
    text = "<p>Profit a day of the seller at site 0 (row) / of its rival at site 1 (column), on the same days.</p>"
    scroll = f'<div class="scroll" tabindex="0" role="region" aria-label="Payoffs"><table>{body}</table></div>'
    return _section("Tournament", text, scroll, *said)


def _mixture(mixture: Rows, equilibrium: float, site: float) -> str:
    """Return in words what is chosen at a site in an equilibrium, and what that earns."""
    own = [row for row in mixture if (row["equilibrium"], row["site"]) == (equilibrium, site)]
    parts = [f"{seller_label(row['seller'])} {row['probability']:.0%}" for row in own if row["probability"] > 0.0]
    return f"{', '.join(parts)} earns {dollars(own[0]['profit'], digits_for([own[0]['profit']]))}"


def _hour_by_hour(table: Rows, hours: Rows, models: Rows) -> str:
    """Return the means over the days hour by hour; prices and customers of a model share a column."""
    sellers = [row["seller"] for row in table]
    best = [seller for seller in sellers if seller != findings.REFERENCE][:1]
    panels: list[str] = []
    for name, note, unit, scale, said in (
        ("profit", "Seller's profit", "profit, $ an hour", 1.0, findings.profit_by_hour),
        ("customer_profit", "Profit of all customers", "profit, $ an hour", 1.0, findings.customers_by_hour),
        ("charge_share", "Mean battery before the hour", "battery, % of capacity", 100.0, findings.lowest_battery),
    ):
        figure = charts.over_the_day(hours, sellers, name, unit, scale)
        panels.append(_panel(said(hours, best[0]) if best else "IMP", f"{note}.", figure, f"hour-{name}"))
    columns: list[str] = []
    names = list(dict.fromkeys(row["model"] for row in models))
    for m, (model, colour) in enumerate(zip(names, model_colours(len(names)), strict=True)):
        mine = [row for row in models if row["model"] == model]
        drawn: list[str] = []
        for name, note, unit, form in (
            ("price", "Mean price", "price, $/h", "${:.2f}"),
            ("customers", "Mean number of customers", "customers", "{:.1f}"),
        ):
            figure = charts.over_the_day(mine, sellers, name, unit, from_zero=name == "customers")
            said = findings.means(mine, name, [*best, findings.REFERENCE], form)
            drawn.append(_panel(said, f"{note}.", figure, f"model-{m}-{name}"))
        columns.append(f"<div><h3>{_swatch(colour)}{escape(model)}</h3>{''.join(drawn)}</div>")
    note = "Means over the held-out days. Each column below shows one model: its price above, its customers below."
    return _section("Hour by hour", _p(note), _grid(panels), f'<div class="models">{"".join(columns)}</div>')


def _choice(record: Mapping[str, Any]) -> str:
    """Return why customers chose as they did in one hour."""
    note = (
        f"Held-out day {record['day_seed']}, {record['hour'] % 24:02d}:00, at IMP's prices. Before the fades are "
        "known, a customer selects the model that guarantees it most. After they are known, it rents the best hours."
    )
    guaranteed, rented, customers = charts.choice(record)
    panels = [
        _panel("Profit that each model guarantees", "The customer selects the coloured one.", guaranteed, "guaranteed"),
        _panel("Hours in each slot", "Hatched slots faded.", rented, "slots"),
    ]
    options = "".join(f"<option>{escape(customer['label'])}</option>" for customer in customers)
    menu = (
        f'<label>Show <select id="customer">{options}</select></label>'
        f'<p id="explanation">{escape(customers[0]["text"])}</p>{_data("customers", json.dumps(customers))}'
    )
    return _section("One customer's choice", _p(note), menu, _grid(panels))


def _learning(said: str, note: str, draw: Callable[[Rows, str, str, float], Any], rows: Rows) -> str:
    """Return the learning curves, by steps and by time."""
    steps = draw(rows, "step", "environment steps, thousands", 1e-3)
    long = max(row["seconds"] for row in rows) > _LONG
    time = draw(rows, "seconds", f"training time, {'minutes' if long else 'seconds'}", 1.0 / 60.0 if long else 1.0)
    panels = [_panel(said, note, steps, "steps"), _panel("The same by training time", note, time, "time")]
    text = "Tuning days serve neither for training nor for the table above."
    return _section("Learning", _p(text), _grid(panels))


def _scenario(folder: Path) -> str:
    """Return the scenario's name; that of the folder where there is no scenario.yaml."""
    path, name = folder / "scenario.yaml", folder.resolve().name
    return str(lined_yaml.load(path, "scenario")[0].get("name", name)) if path.exists() else name


def _origin(folder: Path) -> str:
    """Return the command, the versions and the settings."""
    origin, parts = result_files.json_object(folder / "origin.json"), list[str]()
    if origin:
        parts.append(f"<pre>{escape(str(origin.get('command', '')))}</pre>")
        versions = "".join(f"<li>{escape(str(k))} {escape(str(v))}</li>" for k, v in origin.get("versions", {}).items())
        parts.append(f'<ul class="versions">{versions}</ul>')
    for file in ("scenario.yaml", "config.yaml"):
        if (folder / file).exists():
            text = read_text(folder / file)
            parts.append(f"<details><summary>{file}</summary><pre>{escape(text)}</pre></details>")
    return "".join(parts)


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _grid(panels: list[str], kind: str = "") -> str:
    return f'<div class="grid {kind}">{"".join(panels)}</div>'


def _p(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _panel(finding: str, note: str, figure: Any, name: str, kind: str = "") -> str:
    """Return a figure under its finding; the page's script draws it from its JSON."""
    caption = f"<figcaption>{escape(finding)}<small>{escape(note)}</small></figcaption>"
    drawn = f'<div id="{name}" class="plot" style="height:{figure.layout.height}px"></div>'
    return f'<figure class="{kind}">{caption}{drawn}{_data(f"{name}-figure", figure.to_json())}</figure>'


def _data(name: str, text: str) -> str:
    """Return JSON as an element of the page; no text in it can close the element."""
    safe = text.replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{safe}</script>'


def _swatch(colour: str) -> str:
    return f'<span class="swatch" style="--light:{colour};--dark:{on_dark(colour)}"></span>'


def _buttons(sellers: list[str], hidden: list[str]) -> str:
    """Return the buttons that hide and show sellers in all figures of differences and hours."""
    styles = seller_styles(sellers)
    buttons = (
        f'<button type="button" aria-pressed="{"false" if name in hidden else "true"}" data-seller="{escape(name)}">'
        f"{_swatch(styles[name].colour)}{escape(seller_label(name))}</button>"
        for name in sellers
    )
    return f'<div class="legend" role="group" aria-label="Show in the figures">{"".join(buttons)}</div>'
