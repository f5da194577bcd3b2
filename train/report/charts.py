"""Figures of the report: tables in, plotly figures out; the page's style sheet gives them ink for light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
from lmaas_train.explore.charts import colours
from plotly.subplots import make_subplots

from lmaas_env.render.drawing import COLOURS, GREY

Table = Sequence[Mapping[str, Any]]
_CLEAR = "rgba(0,0,0,0)"


def colour_by(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each name, as the explorer's: none is lost on a light or a dark page."""
    return dict(zip(names, colours(len(names)), strict=True))


def earnings(rows: Table) -> go.Figure:
    """Return what each seller earns a day, best first, beside its difference to IMP; both with 95 % intervals."""
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.06, column_widths=[0.6, 0.4])
    ordered, colour_of = rows[::-1], colour_by([row["seller"] for row in rows])
    names = [row["seller"] for row in ordered]
    ink = [colour_of[name] for name in names]
    profit = [row["profit"] for row in ordered]
    figure.add_bar(
        x=profit,
        y=names,
        orientation="h",
        marker_color=ink,
        error_x=_interval(ordered, "profit"),
        hovertemplate="%{y}: %{x:,.2f} $ a day<extra></extra>",
        row=1,
        col=1,
    )
    others = [row for row in ordered if row["seller"] != "imp"]
    figure.add_scatter(
        x=[row["minus_imp"] for row in others],
        y=[row["seller"] for row in others],
        mode="markers",
        marker={"color": [colour_of[row["seller"]] for row in others], "size": 10},
        error_x=_interval(others, "minus_imp"),
        hovertemplate="%{y}: %{x:+,.2f} $ a day<extra></extra>",
        row=1,
        col=2,
    )
    figure.update_xaxes(title_text="$ a day", rangemode="tozero", row=1, col=1)
    figure.update_xaxes(title_text="minus IMP, $ a day", zeroline=True, row=1, col=2)
    return _styled(figure, 90 + 34 * max(len(names), 3))


def _interval(rows: Table, name: str) -> dict[str, Any]:
    """Return error bars from an estimate's ends; none where there is a single day."""
    above = [row[f"{name}_high"] - row[name] for row in rows]
    below = [row[name] - row[f"{name}_low"] for row in rows]
    return {"type": "data", "array": above, "arrayminus": below, "thickness": 1.5, "color": GREY}


def paired_days(days: Table, sellers: Sequence[str]) -> go.Figure:
    """Return every day's difference to IMP, seller by seller."""
    imp = {row["day_seed"]: row["profit"] for row in days if row["seller"] == "imp"}
    figure, colour_of = go.Figure(), colour_by(sellers)
    for seller in [name for name in sellers[::-1] if name != "imp"]:
        mine = [row for row in days if row["seller"] == seller and row["day_seed"] in imp]
        figure.add_box(
            x=[row["profit"] - imp[row["day_seed"]] for row in mine],
            name=seller,
            text=[f"day {row['day_seed']:.0f}" for row in mine],
            boxpoints="all",
            jitter=0.5,
            pointpos=0,
            marker={"color": colour_of[seller], "size": 4, "opacity": 0.6},
            line_width=1,
            hovertemplate="%{text}: %{x:+,.2f} $<extra>%{y}</extra>",
        )
    figure.update_xaxes(title_text="minus IMP on the same day, $", zeroline=True)
    return _styled(figure, 90 + 44 * max(len(sellers) - 1, 3))


def over_the_day(rows: Table, sellers: Sequence[str], column: str, unit: str, scale: float = 1.0) -> go.Figure:
    """Return one column hour by hour, a line for each seller (a bar where the day has one hour)."""
    figure, colour_of = go.Figure(), colour_by(sellers)
    for seller in sellers:
        mine = [row for row in rows if row["seller"] == seller]
        hours, values = [row["hour"] for row in mine], [scale * row[column] for row in mine]
        if len(mine) == 1:
            figure.add_bar(x=[seller], y=values, name=seller, marker_color=colour_of[seller])
            continue
        hover = f"{seller}, %{{x:.0f}} h: %{{y:,.2f}} {unit}<extra></extra>"
        figure.add_scatter(x=hours, y=values, name=seller, line_color=colour_of[seller], hovertemplate=hover)
    figure.update_yaxes(title_text=unit, rangemode="tozero")
    if any(row["hour"] > 0 for row in rows):
        figure.update_xaxes(title_text="hour of the day", dtick=6)
    return _styled(figure, 260)


def learning(evaluations: Table, column: str, title: str, scale: float) -> go.Figure:
    """Return a learning curve on tuning days, with a band of two standard errors; x is ``column`` times ``scale``."""
    x = [scale * row[column] for row in evaluations]
    mean = [row["mean_day_profit"] for row in evaluations]
    band = [2.0 * row["standard_error"] for row in evaluations]
    upper, lower = ([m + sign * b for m, b in zip(mean, band, strict=True)] for sign in (1, -1))
    figure = go.Figure()
    figure.add_scatter(
        x=[*x, *x[::-1]],
        y=[*upper, *lower[::-1]],
        fill="toself",
        line_color=_CLEAR,
        fillcolor="rgba(86,180,233,0.25)",
        hoverinfo="skip",
    )
    hover = "%{y:,.1f} $<extra></extra>"
    figure.add_scatter(x=x, y=mean, mode="lines+markers", line_color=COLOURS[0], hovertemplate=hover)
    figure.update_xaxes(title_text=title)
    figure.update_yaxes(title_text="$ a day, tuning days")
    return _styled(figure, 300)


def choice(told: Mapping[str, Any]) -> tuple[go.Figure, go.Figure, list[dict[str, Any]]]:
    """Return why customers chose as they did: two figures of the first one to show, and what to show of each.

    One figure has what every model guarantees the customer, the other its slots: hours planned for the worst case, and
    hours rented once the fades were known (hatched: faded). Of each customer come its label, a text, and the bars of
    both figures by plotly's names; the first is one that rents, and some of whose slots faded, if there is one.
    """
    models = [escape(model) for model in told["models"]]
    slots = [f"{i + 1}" for i in range(len(told["task_value"][0]))]
    colour_of = colour_by(models)
    order = sorted(range(len(told["choice"])), key=lambda n: (told["choice"][n] < 0, not any(told["faded"][n])))
    customers = [_shown(told, n, [*colour_of.values()]) for n in order]
    first, guaranteed, hours = customers[0], go.Figure(), go.Figure()
    guaranteed.add_bar(x=models, hovertemplate="%{x}: %{y:,.3f} $<extra></extra>", **_bars(first["guaranteed"], 0))
    for i, (name, hover) in enumerate((("planned for the worst case", "planned"), ("rented", "%{customdata}"))):
        hover += ": %{y:.3f} h<extra></extra>"
        hours.add_bar(x=slots, name=name, hovertemplate=hover, **_bars(first["hours"], i))
    hours.update_xaxes(title_text="slot, the most valuable first").update_yaxes(title_text="h", rangemode="tozero")
    guaranteed.update_yaxes(title_text="$")
    _styled(guaranteed, 320)
    _styled(hours, 320).update_layout(showlegend=True, legend={"orientation": "h", "y": 1.15})
    return guaranteed, hours, customers


def _bars(shown: Mapping[str, list[Any]], trace: int) -> dict[str, Any]:
    return {name.replace(".", "_"): values[trace] for name, values in shown.items()}


def _shown(told: Mapping[str, Any], n: int, colour_of: Sequence[str]) -> dict[str, Any]:
    """Return what there is to show of one customer."""
    chosen: int = told["choice"][n]
    ink = colour_of[chosen] if chosen >= 0 else GREY
    slots = zip(told["task_value"][n], told["faded"][n], strict=True)
    return {
        "label": f"customer {n + 1}",
        "text": _told(told, n, chosen),
        "guaranteed": {
            "y": [told["guaranteed"][n]],
            "marker.color": [[ink if m == chosen else GREY for m in range(len(colour_of))]],
        },
        "hours": {
            "y": [told["planned_hours"][n], told["rented_hours"][n]],
            "marker.color": [GREY, ink],
            "marker.pattern.shape": ["", ["/" if faded else "" for faded in told["faded"][n]]],
            "customdata": [None, [f"worth {value:.2f} $, {'' if faded else 'not '}faded" for value, faded in slots]],
        },
    }


def _told(told: Mapping[str, Any], n: int, chosen: int) -> str:
    """Say who a customer is and what it did."""
    who = (
        f"It is {told['distance'][n]:,.0f} m away, has {told['charge'][n]:.1f} Wh in its battery and guards against "
        f"{_slots(told['fade_budget'][n])} in deep fade."
    )
    if chosen < 0:
        return f"{who} No model guarantees it a profit, so it rents none."
    sure, made, faded = told["guaranteed"][n][chosen], told["realised"][n], _slots(sum(told["faded"][n]))
    offer = f"{told['models'][chosen]} at {told['prices'][chosen]:.2f} $/h"
    return f"{who} It chose {offer}, which guaranteed it {sure:.2f} $; {faded} faded, and it made {made:.2f} $."


def _slots(count: int) -> str:
    return f"{count} slot" if count == 1 else f"{count} slots"


def _styled(figure: go.Figure, height: int) -> go.Figure:
    return figure.update_layout(
        template="none",
        height=height,
        showlegend=False,
        paper_bgcolor=_CLEAR,
        plot_bgcolor=_CLEAR,
        font={"family": "inherit", "size": 12, "color": GREY},
        margin={"l": 10, "r": 10, "t": 20, "b": 10},
        hoverlabel={"font": {"family": "sans-serif"}},
    ).update_xaxes(automargin=True, gridcolor=GREY, zerolinecolor=GREY).update_yaxes(
        automargin=True, gridcolor=GREY, zerolinecolor=GREY
    )  # fmt: skip
