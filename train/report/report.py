"""`lmaas report`: one page of a results folder, which needs nothing but itself.

Reads what `lmaas compare` and `lmaas train` leave in their folders; sections whose files are missing are left out.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import string
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import tyro

from lmaas_env.files import write_whole

TEXTS = ("seller", "model")  # columns that are not numbers


@dataclasses.dataclass
class Report:
    """Write report.html into a folder of results: one page with interactive figures that works offline.

    `lmaas compare` and `lmaas train` write it themselves; this makes it anew.

    Examples
    --------
      lmaas report runs/compare-day-20260101-120000
      lmaas report benchmarks/day
    """

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of a comparison or of a training run."""

    def main(self) -> dict[str, str]:
        """Write the page."""
        page = report(self.folder)
        write_whole(self.folder / "report.html", page)
        print(f"report {self.folder / 'report.html'} ({len(page) / 1e6:.1f} MB)")
        return {"report": str(self.folder / "report.html")}


def report(folder: Path) -> str:
    """Return the page of a results folder.

    Raises
    ------
    ValueError
        If the folder holds no results, or a file of it cannot be read.
    """
    try:
        return _page(folder, "".join(_sections(folder)))
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(
            f"folder {str(folder)!r}: a file lacks something or does not fit the others: {error!r}"
        ) from error


def _sections(folder: Path) -> list[str]:
    """Return the sections of the page, those for which there are files."""
    from lmaas_train.report import charts

    table, days = _table(folder / "table.csv"), _table(folder / "days.csv")
    hours, models = _table(folder / "hours.csv"), _table(folder / "models.csv")
    evaluations, told = _table(folder / "evaluations.csv"), _json(folder / "choices.json")
    if not table and not evaluations:
        raise ValueError(f"folder {str(folder)!r} holds no results: neither table.csv nor evaluations.csv is there")
    sellers = [row["seller"] for row in table]
    sections: list[str] = []
    if table:
        sections.append(_section("Who earned what", _earned(table), _figure(charts.earnings(table), "earnings")))
    if days and table:
        note = "Every dot is one held-out day, sold by both: the difference that the seller made to IMP on it."
        sections.append(_section("Day by day", _p(note), _figure(charts.paired_days(days, sellers), "days")))
    if hours and table:
        drawn: list[str] = []
        for column, title, unit, scale in (
            ("profit", "Seller's profit", "$", 1.0),
            ("customer_profit", "Customers' profit", "$", 1.0),
            ("charge_share", "Mean battery before the hour", "% of capacity", 100.0),
        ):
            drawn.append(_panel(title, charts.over_the_day(hours, sellers, column, unit, scale), f"hour-{column}"))
        for m, model in enumerate(dict.fromkeys(row["model"] for row in models)):
            mine = [row for row in models if row["model"] == model]
            for column, what, unit in (("price", "Price", "$/h"), ("customers", "Customers", "customers")):
                figure = charts.over_the_day(mine, sellers, column, unit)
                drawn.append(_panel(f"{what} of {model}", figure, f"model-{m}-{column}"))
        note = "Means over the held-out days. A seller's name hides and shows it in all figures."
        legend = _legend(charts.colour_by(sellers))
        sections.append(_section("The day hour by hour", _p(note), legend, f'<div class="grid">{"".join(drawn)}</div>'))
    if told:
        note = (
            f"Held-out day {told['day_seed']}, {told['hour'] % 24:02d}:00, at IMP's prices. A customer selects before "
            "it knows which slots fade: the model that guarantees it most in the worst case. Then it rents what is "
            "best for the fades that came."
        )
        guaranteed, rented, customers = charts.choice(told)
        panels = _panel("Guaranteed by each model", guaranteed, "guaranteed")
        panels += _panel("Hours in each slot (hatched: it faded)", rented, "slots")
        grid = f'<div class="grid">{panels}</div>'
        sections.append(_section("One customer's choice", _p(note), _customer_menu(customers), grid))
    if evaluations:
        steps = charts.learning(evaluations, "step", "thousand steps", 1e-3)
        time = charts.learning(evaluations, "seconds", "minutes", 1.0 / 60.0)
        panels = _panel("In steps", steps, "steps") + _panel("In wall time", time, "time")
        note = "On tuning days, which are neither trained nor evaluated on; the band is two standard errors wide."
        sections.append(_section("Learning", _p(note), f'<div class="grid">{panels}</div>'))
    sections.append(_section("Where it comes from", _origin(folder)))
    return sections


def _page(folder: Path, body: str) -> str:
    from plotly.offline import get_plotlyjs

    name = folder.resolve().name
    template = (resources.files("lmaas_train") / "assets" / "report.html").read_text(encoding="utf-8")
    return string.Template(template).substitute(title=escape(f"LMaaS: {name}"), body=body, plotly=get_plotlyjs())


def _earned(table: list[dict[str, Any]]) -> str:
    """Return the sellers as a table, best first."""
    rows: list[str] = []
    for row in table:
        imp = row["seller"] == "imp"
        profit = f"{row['profit']:,.2f} [{row['profit_low']:,.2f}, {row['profit_high']:,.2f}]"
        minus = "" if imp else f"{row['minus_imp']:+,.2f} [{row['minus_imp_low']:+,.2f}, {row['minus_imp_high']:+,.2f}]"
        cells = profit, minus, f"{row['share_of_imp']:.3f}", f"{row['customer_profit']:,.2f}"
        cells = *cells, f"{row['milliseconds_per_decision']:.2f}"
        name = f"<th scope=row>{escape(row['seller'])}</th>"
        rows.append(f"<tr>{name}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    headings = "seller", "profit, $ a day [95 %]", "minus IMP, paired", "/ IMP", "customers' profit, $", "ms a decision"
    head = "".join(f"<th scope=col>{escape(heading)}</th>" for heading in headings)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _origin(folder: Path) -> str:
    """Return the command, the versions and the settings."""
    origin, parts = _json(folder / "origin.json"), list[str]()
    if origin:
        parts.append(f"<pre>{escape(str(origin.get('command', '')))}</pre>")
        versions = "".join(f"<li>{escape(str(k))} {escape(str(v))}</li>" for k, v in origin.get("versions", {}).items())
        parts.append(f'<ul class="versions">{versions}</ul>')
    for file in ("scenario.yaml", "config.yaml"):
        if (folder / file).exists():
            text = _read(folder / file)
            parts.append(f"<details><summary>{file}</summary><pre>{escape(text)}</pre></details>")
    return "".join(parts)


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _p(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _panel(title: str, figure: Any, name: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{_figure(figure, name)}</figure>"


def _figure(figure: Any, name: str) -> str:
    """Return a plotly figure as a part of the page; its JSON comes escaped."""
    config = {"responsive": True, "displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}
    return figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=config)


def _legend(colours: Mapping[str, str]) -> str:
    buttons = (
        f'<button type="button" aria-pressed="true" data-seller="{escape(name)}">'
        f'<span style="background:{colour}"></span>{escape(name)}</button>'
        for name, colour in colours.items()
    )
    return f'<div class="legend">{"".join(buttons)}</div>'


def _customer_menu(customers: list[dict[str, Any]]) -> str:
    """Return a menu of customers, the text on the first, and what the page shows of each."""
    options = "".join(f"<option>{escape(customer['label'])}</option>" for customer in customers)
    shown = json.dumps(customers).replace("<", "\\u003c")
    return (
        f'<label>Show <select id="customer">{options}</select></label><p id="told">{escape(customers[0]["text"])}</p>'
        f'<script type="application/json" id="customers">{shown}</script>'
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"file {str(path)!r} cannot be read: {error}") from error


def _table(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a CSV file, numbers as floats; none if it is not there."""

    def row(line: int, cells: dict[Any, Any]) -> dict[str, Any]:
        try:
            return {column: escape(cell) if column in TEXTS else float(cell or "nan") for column, cell in cells.items()}
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"file {str(path)!r}, line {line}: {error}") from error

    if not path.exists():
        return []
    return [row(i + 2, cells) for i, cells in enumerate(csv.DictReader(_read(path).splitlines()))]


def _json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content: Any = json.loads(_read(path))
    except ValueError as error:
        raise ValueError(f"file {str(path)!r} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"file {str(path)!r} must hold an object")
    return content
