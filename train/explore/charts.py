"""Figures of the explorer: arrays in, plotly figures out; the style sheet colours text and lines, light or dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from lmaas_agents.imp.forecast import Forecast
from plotly.subplots import make_subplots

from lmaas_env.population import Population
from lmaas_env.render.drawing import GREY, INK, PAPER, model_colours
from lmaas_env.types import FloatArray

LANDSCAPE_COLOURS = "Cividis"  # readable with any colour vision
AGAINST = {
    "hours": "rented hours, h",
    "charge": "battery, Wh",
    "value": "task value of the hour, $",
}


def sales_chart(names: Sequence[str], forecast: Forecast) -> go.Figure:
    """Return bars of customers and of expected hours per model."""
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.08)
    rows, ink = ["no model", *reversed(names)], [GREY, *reversed(model_colours(len(names)))]
    counts, hours = forecast.per_model(1.0)[::-1], forecast.per_model(forecast.hours)[::-1]
    idle = int(np.sum(forecast.choice < 0))
    bars = (
        ("customers", [idle, *counts], [f"{count:,.0f}" for count in (idle, *counts)]),
        ("rented hours, h", [0.0, *hours], ["", *(f"{rented:,.2f}" for rented in hours)]),
    )
    for column, (title, lengths, texts) in enumerate(bars, start=1):
        figure.add_bar(
            x=lengths,
            y=rows,
            orientation="h",
            marker_color=ink,
            text=texts,
            textposition="outside",
            cliponaxis=False,
            hovertemplate=f"%{{y}}: %{{x:,.4g}}<extra>{title}</extra>",
            col=column,
            row=1,
        )
        figure.update_xaxes(title=title, col=column, row=1, range=[0.0, 1.35 * max(*lengths, 1e-9)])
    return _styled(figure, 220).update_yaxes(showgrid=False).update_layout(bargap=0.3, showlegend=False)


def customers_chart(
    names: Sequence[str],
    population: Population,
    charge: FloatArray,
    value: FloatArray,
    forecast: Forecast,
    against: str,
) -> go.Figure:
    """Return one dot per customer, over its distance.

    Parameters
    ----------
    charge, value : (N,), Wh in the battery, and task value of the hour in $
    against : {"hours", "charge", "value"}
        Quantity on the vertical axis.
    """
    heights = {"hours": forecast.hours, "charge": charge, "value": value}[against]
    offers = [
        "<br>".join(f"{name} guarantees ${worst:,.2f}" for name, worst in zip(names, row, strict=True))
        for row in forecast.worst_case_profit
    ]
    details = [
        f"<b>customer {n + 1}</b><br>{metres:,.0f} m, {wh:,.1f} of {full:,.1f} Wh, tasks worth ${worth:,.2f}<br>"
        f"rents {rented:,.3f} h, expects ${earned:,.2f}<br>the seller earns ${sale:,.2f}<br>{offer}"
        for n, (metres, wh, full, worth, rented, earned, sale, offer) in enumerate(
            zip(
                population.distance,
                charge,
                population.capacity,
                value,
                forecast.hours,
                forecast.customer_profit,
                forecast.sale,
                offers,
                strict=True,
            )
        )
    ]
    figure = go.Figure()
    shown = [*enumerate(zip(names, model_colours(len(names)), strict=True)), (-1, ("no model", GREY))]
    for model, (name, colour) in shown:
        mine = np.flatnonzero(forecast.choice == model)
        figure.add_scatter(
            x=population.distance[mine],
            y=heights[mine],
            mode="markers",
            name=name,
            marker={
                "color": colour,
                "size": 10 if population.size <= 200 else 6,
                "symbol": "x-thin-open" if model < 0 else "circle",
                "line": {"width": 2 if model < 0 else 0, "color": colour},
                "opacity": 0.85,
            },
            hovertext=[details[n] for n in mine],
            hovertemplate="%{hovertext}<extra>%{fullData.name}</extra>",
            showlegend=True,
        )
    figure.update_xaxes(title="distance to the base station, m", **_logarithmic(population.distance))
    top = float(heights.max())
    figure.update_yaxes(title=AGAINST[against], range=[-0.06 * max(top, 1e-9), 1.1 * max(top, 1e-9)])
    return _styled(figure, 340)


def landscape_chart(
    names: Sequence[str],
    pair: tuple[int, int],
    axis: FloatArray,
    profit: FloatArray,
    prices: FloatArray,
    imp_prices: FloatArray,
) -> go.Figure:
    """Return the seller's profit over two prices, with the posted prices and IMP's marked.

    Parameters
    ----------
    pair : the two models, across and up
    axis : (K,), prices of both, $/h
    profit : (K, K), $, rows go up
    prices, imp_prices : (M,), $/h
    """
    across, up = (names[model] for model in pair)
    figure = go.Figure()
    hover = f"{across} $%{{x:.2f}}/h<br>{up} $%{{y:.2f}}/h"
    figure.add_heatmap(
        x=axis,
        y=axis,
        z=profit,
        colorscale=LANDSCAPE_COLOURS,
        colorbar={"title": {"text": "profit, $", "side": "right"}, "thickness": 12, "outlinewidth": 0},
        hovertemplate=hover + "<br>profit $%{z:,.2f}<extra></extra>",
    )
    points = (
        ("IMP's prices", imp_prices, "star-diamond", 16, (INK, PAPER)),
        ("your prices", prices, "circle", 12, (PAPER, INK)),
    )
    for name, marked, symbol, size, (fill, edge) in points:
        figure.add_scatter(
            x=[marked[pair[0]]],
            y=[marked[pair[1]]],
            mode="markers",
            name=name,
            marker={
                "symbol": symbol,
                "size": size,
                "color": fill,
                "line": {"width": 2, "color": edge},
            },
            hovertemplate=hover + "<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(title=f"price of {across}, $/h", **_logarithmic(axis, 0.0))
    figure.update_yaxes(title=f"price of {up}, $/h", **_logarithmic(axis, 0.0))
    return _styled(figure, 420)


def lines_chart(names: Sequence[str], tried: FloatArray, profit: FloatArray, prices: FloatArray) -> go.Figure:
    """Return the seller's profit along every single price, the others as posted.

    Parameters
    ----------
    tried : (M, K), prices along each model's line, $/h, ascending; the posted price is among them
    profit : (M, K), $
    prices : (M,), posted, $/h
    """
    figure = go.Figure()
    for name, colour, along, earned, price in zip(names, model_colours(len(names)), tried, profit, prices, strict=True):
        hover = f"{name} $%{{x:.2f}}/h<br>profit $%{{y:,.2f}}<extra></extra>"
        figure.add_scatter(x=along, y=earned, mode="lines", name=name, line_color=colour, hovertemplate=hover)
        at = int(np.argmin(np.abs(along - price)))
        figure.add_scatter(
            x=[price],
            y=[earned[at]],
            mode="markers",
            showlegend=False,
            marker={"color": colour, "size": 11, "line": {"width": 2, "color": PAPER}},
            hovertemplate=hover,
        )
    figure.update_xaxes(title="price of one model, $/h", **_logarithmic(tried, 0.0))
    figure.update_yaxes(title="seller's profit, $")
    return _styled(figure, 340)


def nothing_to_draw(reason: str) -> go.Figure:
    """Return an empty figure with the reason as its text."""
    figure = _styled(go.Figure(), 220)
    figure.add_annotation(text=reason, showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)
    return figure.update_xaxes(visible=False).update_yaxes(visible=False)


def _logarithmic(values: FloatArray, margin: float = 0.04) -> dict[str, Any]:
    """Return a logarithmic axis over values, with ticks at 1, 2 and 5 of every decade (at 1 beyond three decades)."""
    low, high = math.log10(float(values.min())), math.log10(float(values.max()))
    margin *= max(high - low, 0.1)
    steps = (1, 2, 5) if high - low < 3.0 else (1,)
    ticks = [step * 10.0**decade for decade in range(math.floor(low), math.ceil(high) + 1) for step in steps]
    return {
        "type": "log",
        "range": [low - margin, high + margin],
        "tickvals": ticks,
        "ticktext": [f"{tick:,.10g}" for tick in ticks],
    }


def _styled(figure: go.Figure, height: int) -> go.Figure:
    axis = {"gridcolor": "rgba(128,128,128,0.25)", "zerolinecolor": "rgba(128,128,128,0.5)", "automargin": True}
    figure.update_xaxes(**axis).update_yaxes(**axis)
    return figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13, "color": GREY},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0.0, "itemclick": False},
        legend_itemdoubleclick=False,
        dragmode=False,  # a finger that scrolls the page does not zoom a chart
        hovermode="closest",
    )
