"""Figures of the report: tables in, plotly figures out, in the colours of light paper.

The page draws them, and swaps the colours on a dark screen. A trace that belongs to one seller has the seller's name as
its legend group; the page's buttons hide and show it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
from lmaas_train.evaluation.days import REFERENCE
from lmaas_train.evaluation.findings import Table, column, digits_for

from lmaas_env.render.drawing import GREY, GRID, INK, LEARNED, model_colours, seller_label, seller_styles

_CLEAR = "rgba(0,0,0,0)"


def profits(rows: Table) -> go.Figure:
    """Return what each seller earns a day, the best on top, with 95 % intervals."""
    ordered, styles = rows[::-1], seller_styles(row["seller"] for row in rows)
    figure = go.Figure()
    figure.add_bar(
        x=[row["profit"] for row in ordered],
        y=[_name(row["seller"]) for row in ordered],
        orientation="h",
        marker_color=[styles[row["seller"]].colour for row in ordered],
        error_x=_interval(ordered, "profit"),
        hovertemplate=f"%{{y}}: %{{x:$,.{_digits(rows)}f}} a day<extra></extra>",
    )
    figure.update_xaxes(title_text="seller's profit, $ a day", rangemode="tozero")
    return _styled(figure, 80 + 30 * max(len(rows), 3)).update_yaxes(showgrid=False)


def differences(rows: Table) -> go.Figure:
    """Return each seller's difference to IMP, paired by day, with 95 % intervals."""
    styles = seller_styles(row["seller"] for row in rows)
    figure = go.Figure()
    for row in (row for row in rows[::-1] if row["seller"] != REFERENCE):
        figure.add_scatter(
            x=[row["minus_imp"]],
            y=[_name(row["seller"])],
            mode="markers",
            legendgroup=row["seller"],
            marker={"color": styles[row["seller"]].colour, "size": 10},
            error_x=_interval([row], "minus_imp"),
            hovertemplate=f"%{{y}}: %{{x:+$,.{_digits(rows)}f}} a day<extra></extra>",
        )
    figure.update_xaxes(title_text="difference to IMP, $ a day", zeroline=True, rangemode="tozero")
    return _styled(figure, 80 + 30 * max(len(rows), 3))


def paired_days(days: Table, sellers: Sequence[str]) -> go.Figure:
    """Return every day's difference to IMP, seller by seller."""
    imp = {row["day_seed"]: row["profit"] for row in days if row["seller"] == REFERENCE}
    figure, styles, digits = go.Figure(), seller_styles(sellers), digits_for(imp.values())
    for seller in [name for name in sellers[::-1] if name != REFERENCE]:
        mine = [row for row in days if row["seller"] == seller and row["day_seed"] in imp]
        figure.add_box(
            x=[row["profit"] - imp[row["day_seed"]] for row in mine],
            name=_name(seller),
            legendgroup=seller,
            text=[f"day {row['day_seed']:.0f}" for row in mine],
            boxpoints="all",
            jitter=0.5,
            pointpos=0,
            marker={"color": styles[seller].colour, "size": 5, "opacity": 0.6},
            line_width=1,
            hovertemplate=f"%{{text}}: %{{x:+$,.{digits}f}}<extra>%{{y}}</extra>",
        )
    figure.update_xaxes(title_text="difference to IMP on the same day, $", zeroline=True, rangemode="tozero")
    return _styled(figure, 80 + 44 * max(len(sellers) - 1, 2))


def over_the_day(
    rows: Table, sellers: Sequence[str], name: str, unit: str, scale: float = 1.0, from_zero: bool = True
) -> go.Figure:
    """Return a column hour by hour, a line per seller (a bar if the day has one hour); ``unit`` labels the axis."""
    figure, styles = go.Figure(), seller_styles(sellers)
    for seller in sellers[::-1]:  # the best seller is drawn last, on top
        hours, values = column(rows, seller, "hour"), scale * column(rows, seller, name)
        style, shown = styles[seller], {"name": _name(seller), "legendgroup": seller}
        if len(hours) == 1:
            figure.add_bar(x=[_name(seller)], y=values, marker_color=style.colour, **shown)
            continue
        figure.add_scatter(
            x=hours,
            y=values,
            mode="lines",
            line={"color": style.colour, "dash": style.dash, "width": 2},
            hovertemplate=f"{_name(seller)}, %{{x:.0f}} h: %{{y:,.2f}}<extra></extra>",
            **shown,
        )
    figure.update_yaxes(title_text=unit, rangemode="tozero" if from_zero else "normal")
    if any(row["hour"] > 0 for row in rows):
        figure.update_xaxes(title_text="hour of the day, h", dtick=6)
    else:
        figure.update_xaxes(categoryorder="array", categoryarray=[_name(seller) for seller in sellers])
    return _styled(figure, 250)


def learning(evaluations: Table, name: str, title: str, scale: float) -> go.Figure:
    """Return a learning curve on tuning days, with a band of two standard errors; x is a column times ``scale``."""
    x = [scale * row[name] for row in evaluations]
    mean = [row["mean_day_profit"] for row in evaluations]
    band = [2.0 * row["standard_error"] for row in evaluations]
    upper, lower = ([m + sign * b for m, b in zip(mean, band, strict=True)] for sign in (1, -1))
    figure, colour = go.Figure(), LEARNED[1]  # as the band
    figure.add_scatter(
        x=[*x, *x[::-1]],
        y=[*upper, *lower[::-1]],
        fill="toself",
        mode="none",
        fillcolor="rgba(213,94,0,0.25)",
        hoverinfo="skip",
    )
    hover = f"%{{y:$,.{digits_for(mean)}f}} a day<extra></extra>"
    figure.add_scatter(x=x, y=mean, mode="lines+markers", line_color=colour, hovertemplate=hover)
    share = evaluations[-1].get("share_of_imp", math.nan)
    if share > 0.0:  # IMP's profit on the same days is known
        imp = [mean[-1] / share] * 2
        line = {"color": seller_styles([REFERENCE])[REFERENCE].colour, "dash": "dash", "width": 2}
        hover = f"IMP: %{{y:$,.{digits_for(mean)}f}} a day<extra></extra>"
        figure.add_scatter(x=[min(x), max(x)], y=imp, mode="lines", line=line, hovertemplate=hover)
        figure.add_annotation(x=max(x), y=imp[0], text="IMP", showarrow=False, xanchor="right", yanchor="top")
    figure.update_xaxes(title_text=title)
    figure.update_yaxes(title_text="seller's profit, $ a day")
    return _styled(figure, 300)


def curves(rows: Table, name: str, title: str, scale: float) -> go.Figure:
    """Return the learning curves of runs, in a colour per way to train; x is a column times ``scale``."""
    figure, styles = go.Figure(), seller_styles(dict.fromkeys(row["way"] for row in rows))
    digits = digits_for(row["tuning_profit"] for row in rows)
    for way, run in dict.fromkeys((row["way"], row["run"]) for row in rows):
        mine = [row for row in rows if (row["way"], row["run"]) == (way, run)]
        figure.add_scatter(
            x=[scale * row[name] for row in mine],
            y=[row["tuning_profit"] for row in mine],
            mode="lines",
            legendgroup=way,
            line={"color": styles[way].colour, "dash": styles[way].dash, "width": 1.5},
            hovertemplate=f"{escape(f'{way}, {run}')}: %{{y:$,.{digits}f}} a day<extra></extra>",
        )
    figure.update_xaxes(title_text=title)
    figure.update_yaxes(title_text="seller's profit, $ a day")
    return _styled(figure, 300)


def performance_profiles(rows: Table, sellers: Sequence[str]) -> go.Figure:
    """Return the share of training seeds and days on which each seller earns more than a share of IMP's profit."""
    figure, styles = go.Figure(), seller_styles(sellers)
    shown = [row["share_of_imp"] for row in rows if 0.0 < row["above"] < 1.0]
    for seller in [name for name in sellers[::-1] if name != REFERENCE]:
        style = styles[seller]
        figure.add_scatter(
            x=column(rows, seller, "share_of_imp"),
            y=100.0 * column(rows, seller, "above"),
            mode="lines",
            legendgroup=seller,
            line={"color": style.colour, "dash": style.dash, "width": 2},
            hovertemplate=f"{_name(seller)}: more than %{{x:.3f}} of IMP on %{{y:.0f}} % of days<extra></extra>",
        )
    ends = [min(shown) - 0.02, max(shown) + 0.02] if shown else None
    figure.update_xaxes(title_text="share of IMP's profit on the same day", range=ends)
    figure.update_yaxes(title_text="days that earn more, %", rangemode="tozero")
    return _styled(figure, 300)


def _name(seller: str) -> str:
    """Return a seller's name as plotly's text, which has markup."""
    return escape(seller_label(seller))


def _digits(rows: Table) -> int:
    return digits_for(row["profit"] for row in rows)


def _interval(rows: Table, name: str) -> dict[str, Any]:
    """Return error bars from the ends of intervals, invisible where a single day gives none."""
    above = [row[f"{name}_high"] - row[name] for row in rows]
    below = [row[name] - row[f"{name}_low"] for row in rows]
    visible = not any(math.isnan(row[f"{name}_low"]) for row in rows)
    return {
        "type": "data", "visible": visible, "array": above, "arrayminus": below, "thickness": 1.5, "color": INK,
    }  # fmt: skip


def choice(record: Mapping[str, Any]) -> tuple[go.Figure, go.Figure, list[dict[str, Any]]]:
    """Return why customers chose as they did: two figures of one customer, and the data of every customer.

    One figure shows what each model guarantees the customer, the other its hours in each slot: planned for the worst
    case, and rented after the fades (hatched: faded). The data hold a label, a text, and the bars of both figures by
    plotly's names. Customers that rent while some of their slots fade come first.
    """
    models = [escape(model) for model in record["models"]]
    slots = [f"{i + 1}" for i in range(len(record["task_value"][0]))]
    order = sorted(range(len(record["choice"])), key=lambda n: (record["choice"][n] < 0, not any(record["faded"][n])))
    customers = [_customer(record, n) for n in order]
    first, guaranteed, hours = customers[0], go.Figure(), go.Figure()
    guaranteed.add_bar(x=models, hovertemplate="%{x}: %{y:$,.2f}<extra></extra>", **_bars(first["guaranteed"], 0))
    for i, (name, hover) in enumerate((("planned for the worst case", "planned"), ("rented", "%{customdata}"))):
        hover += ": %{y:.3f} h<extra></extra>"
        hours.add_bar(x=slots, name=name, hovertemplate=hover, **_bars(first["hours"], i))
    hours.update_xaxes(title_text="slot, by task value, the highest first", type="category")
    hours.update_yaxes(title_text="hours, h", rangemode="tozero")
    guaranteed.update_xaxes(title_text="model").update_yaxes(title_text="guaranteed profit, $")
    _styled(guaranteed, 320)
    _styled(hours, 320).update_layout(showlegend=True, legend={"orientation": "h", "y": 1.15, "x": 0.0})
    return guaranteed, hours, customers


def _bars(shown: Mapping[str, list[Any]], trace: int) -> dict[str, Any]:
    return {name.replace(".", "_"): values[trace] for name, values in shown.items()}


def _customer(record: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Return the label, the text and the bars of one customer."""
    colours, chosen = model_colours(len(record["models"])), record["choice"][n]
    colour = colours[chosen] if chosen >= 0 else GREY
    slots = zip(record["task_value"][n], record["faded"][n], strict=True)
    return {
        "label": f"customer {n + 1}",
        "text": _explanation(record, n, chosen),
        "guaranteed": {
            "y": [record["guaranteed"][n]],
            "marker.color": [[colour if m == chosen else GREY for m in range(len(colours))]],
        },
        "hours": {
            "y": [record["planned_hours"][n], record["rented_hours"][n]],
            "marker.color": [GREY, colour],
            "marker.pattern.shape": ["", ["/" if faded else "" for faded in record["faded"][n]]],
            "customdata": [
                None,
                [f"tasks worth ${value:.2f}, {'' if faded else 'not '}faded" for value, faded in slots],
            ],
        },
    }


def _explanation(record: Mapping[str, Any], n: int, chosen: int) -> str:
    """Return who a customer is and what it did."""
    who = (
        f"Customer {n + 1} is {record['distance'][n]:,.0f} m away, has {record['charge'][n]:.1f} Wh in its battery and "
        f"guards against {_slots(record['fade_budget'][n])} in deep fade."
    )
    if chosen < 0:
        return f"{who} No model guarantees it a profit, so it rents none."
    guaranteed, earned = record["guaranteed"][n][chosen], record["realised"][n]
    faded, price = _slots(sum(record["faded"][n])), record["prices"][chosen]
    return (
        f"{who} It selects {record['models'][chosen]} at ${price:.2f} an hour, which guarantees ${guaranteed:.2f}. "
        f"Then {faded} faded, and it earned ${earned:.2f}."
    )


def _slots(count: int) -> str:
    return f"{count} slot" if count == 1 else f"{count} slots"


def _styled(figure: go.Figure, height: int) -> go.Figure:
    axis = {"automargin": True, "gridcolor": GRID, "zerolinecolor": GREY, "title_standoff": 8}
    return figure.update_layout(
        template="none",
        height=height,
        showlegend=False,
        paper_bgcolor=_CLEAR,
        plot_bgcolor=_CLEAR,
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK},
        margin={"l": 8, "r": 12, "t": 12, "b": 8},
        hoverlabel={"font": {"family": "system-ui, sans-serif"}},
        dragmode=False,  # a finger that scrolls the page does not zoom a figure
    ).update_xaxes(**axis).update_yaxes(**axis)  # fmt: skip
