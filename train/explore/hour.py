"""One hour of the explorer: the market at the page's numbers, what the posted prices bring, and the charts."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate
from lmaas_agents import IMP
from lmaas_agents.imp.forecast import Forecast, forecast
from lmaas_agents.seller import SearchResult
from lmaas_train.explore import charts as explore_charts
from lmaas_train.explore import page as explore_page

from lmaas_env import Market, Scenario
from lmaas_env.fields import shown
from lmaas_env.spaces import assumed_state, price_grid
from lmaas_env.state import State
from lmaas_env.terms import RentalTerms
from lmaas_env.types import FloatArray

MOST_CUSTOMERS, MOST_SLOTS = 2000, 48  # at most, to follow a moving slider
SIDE, LINE = 40, 200  # points along a side of the landscape, and along a line
EVALUATIONS = 200_000  # customers times prices per chart, about a second
STATE_RANGES = {"hour": (0, 23), "charge": (0.0, 1.0), "demand": (0.01, 100.0)}


CUSTOMERS_FILES = set[str]()  # files that the explorer was started with: a request cannot name another
MOST_MODELS = 32


class Hour(NamedTuple):
    """One hour of one market before prices are posted, and IMP's prices for it."""

    market: Market
    state: State
    terms: RentalTerms
    imp: IMP
    best: SearchResult
    bound: float


def hour_of(period: Mapping[str, Any]) -> Hour:
    """Return the hour that the page describes: scenario, seed, hour, charge and demand.

    Raises
    ------
    ValueError
        If a number is out of its range, there are more customers, slots or models than the page supports, or the
        scenario names a file that the explorer was not started with: anyone who reaches the page could read it.
    """
    for name, (low, high) in STATE_RANGES.items():
        value = period.get(name)
        if not isinstance(value, int | float) or not low <= value <= high or (name == "hour" and value != int(value)):
            kind = "a whole number" if name == "hour" else "a number"
            raise ValueError(f"{name} = {value!r} must be {kind} in [{low:g}, {high:g}] {explore_page.STATE[name][0]}")
    scenario = posted_scenario(period)
    sizes = {"customers": scenario.customers, "slots": scenario.slots, "models": len(scenario.models)}
    for name, most in (("customers", MOST_CUSTOMERS), ("slots", MOST_SLOTS), ("models", MOST_MODELS)):
        if sizes[name] > most:
            raise ValueError(f"{name} = {sizes[name]} must be at most {most} on this page")
    return _hour(scenario, period["seed"], int(period["hour"]), float(period["charge"]), float(period["demand"]))


def posted_scenario(period: Mapping[str, Any]) -> Scenario:
    """Return the scenario of a page, which names no file but one that the explorer was started with."""
    scenario = Scenario.from_dict(period["scenario"])
    if scenario.customers_file and scenario.customers_file not in CUSTOMERS_FILES:
        raise ValueError(f"customers_file = {shown(scenario.customers_file)} was not given when the explorer started")
    return scenario


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


def headline(period: Mapping[str, Any], prices: Sequence[float]) -> list[Component]:
    """Return the tiles with the figures of the hour."""
    hour, now = posted(period, prices)
    best, renting = hour.best.profit, int(np.sum(now.choice >= 0))
    share = f"{now.profit / best:.1%}" if best > 0.0 else "–"
    return explore_page.headline(
        [
            ("profit", "seller's profit", _dollars(now.profit), "expected in this hour, net of all costs"),
            ("imp-profit", "IMP's profit", _dollars(best), "expected profit at IMP's prices"),
            ("share", "share of IMP", share, "the seller's profit over IMP's"),
            ("bound", "bound", _dollars(hour.bound), "proven: no prices earn more (personalised prices)"),
            (
                "customer-profit",
                "customers earn",
                _dollars(now.customer_profit.sum()),
                "expected profit of all customers together",
            ),
            ("renting", "renting", f"{renting:,} of {hour.terms.size:,}", "customers that rent a model"),
        ]
    )


def customers(period: Mapping[str, Any], prices: Sequence[float], against: str) -> tuple[go.Figure, go.Figure]:
    """Return the charts of sales per model and of customers."""
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


def posted(period: Mapping[str, Any], prices: Sequence[float]) -> tuple[Hour, Forecast]:
    """Return the hour and what it brings at posted prices (M,), $/h."""
    hour = _matching(period, prices)
    return hour, forecast(hour.imp, hour.terms, np.array(prices))


def _matching(period: Mapping[str, Any], prices: Sequence[float]) -> Hour:
    """Return the hour; prevent an update while the prices still belong to other models."""
    if len(prices) != len(period["scenario"]["models"]) or None in prices:
        raise PreventUpdate
    return hour_of(period)


def _points(customers: int, evaluations: int, most: int, power: int = 1) -> int:
    """Return the number of points along a side: fewer for many customers, at least 12."""
    share = min(1.0, EVALUATIONS / (customers * evaluations))
    return max(12, int(most * share ** (1.0 / power)))


def _price_axis(hour: Hour, points: int) -> FloatArray:
    return price_grid(hour.market, points - 1)


def _profit(hour: Hour, prices: Sequence[float], changes: Mapping[int, float]) -> float:
    return hour.imp.profit(hour.terms, np.array([changes.get(model, price) for model, price in enumerate(prices)]))


def _dollars(amount: float) -> str:
    return f"{'-' if amount < 0.0 else ''}${abs(amount):,.2f}"
