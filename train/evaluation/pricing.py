"""The prices of one period: the best that IMP and branch and bound find, a proven bound, what they bring."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from lmaas_agents import IMP
from lmaas_agents.imp.forecast import Forecast, forecast
from lmaas_agents.search.search import branch_and_bound

from lmaas_env import Market, State
from lmaas_env.terms import RentalTerms
from lmaas_env.types import FloatArray

MOST_PROVEN = 4_000  # customers times models up to which branch and bound runs
PROOF_WORK = 2 * 10**7  # default budget: boxes times customers times models, 10 to 20 s on one core
TABLE_SALES = 2**20  # sales in the first tables of branch and bound
NEIGHBOURS = [step for size in (1, 2, 3, 5, 8, 13, 21) for step in (size, -size)]  # ticks that a price may move
MOVES = (-0.05, 0.05)  # relative changes of one price
CERTIFIED, BOX_LIMIT, TIME_LIMIT, PERSONALISED = "certified", "box limit", "time limit", "personalised prices"

MODEL_COLUMNS = ("model", "price_usd_per_h", "customers", "hours", "revenue_usd", "profit_usd")
MODEL_COLUMNS += tuple(f"profit_change_usd_at_{move:+.0%}" for move in MOVES)


class Quote(NamedTuple):
    """Prices for one period with their forecast and a bound; money in $.

    Attributes
    ----------
    market, state : the period that is priced
    forecast : of the posted prices
    exact_profit : of the best prices found, before rounding to ticks
    bound : proven, no prices earn more
    proof : "certified", another status of branch and bound, or "personalised prices"
    boxes : price boxes that branch and bound examined
    changes : (M, 2), change of the profit when one price alone moves by `MOVES`
    """

    market: Market
    state: State
    forecast: Forecast
    exact_profit: float
    bound: float
    proof: str
    boxes: int
    changes: FloatArray

    @property
    def gap(self) -> float:
        """The profit that any other prices could add at most, $."""
        return max(self.bound - self.forecast.profit, 0.0)

    @property
    def relative_gap(self) -> float:
        """The gap as a share of the bound."""
        return self.gap / max(abs(self.bound), 1e-9)


def default_boxes(market: Market) -> int:
    """Return the default budget of boxes for a market: fewer for larger markets, whose boxes cost more."""
    return max(1, PROOF_WORK // (market.population.size * len(market.catalogue.names)))


def price_period(
    market: Market,
    state: State,
    tick: float = 0.01,
    gap: float = 1e-3,
    boxes: int | None = None,
    seconds: float = 600.0,
) -> Quote:
    """Search the prices of one period, bound the profit of any prices, and vary each price.

    The result depends on the budget of boxes, not on the speed of the machine, unless ``proof`` is "time limit".

    Parameters
    ----------
    market : Market
    state : State
        Of one environment, not of a batch.
    tick : float
        Posted prices are multiples of it, $/h; 0 posts the exact ones.
    gap : float
        Relative gap at which branch and bound stops.
    boxes : int, optional
        Budget of branch and bound, by default `default_boxes`; 0 leaves it out, as do markets of more than
        `MOST_PROVEN` customers times models.
    seconds : float
        Time limit of branch and bound, a last resort.
    """
    imp, terms = IMP(market), market.terms(state)
    best, proof, examined = imp.solve_terms(terms), PERSONALISED, 0
    bound = imp.bound(terms)
    budget = default_boxes(market) if boxes is None else boxes
    if budget > 0 and terms.setup_cost.size <= MOST_PROVEN:
        cells = min(8192, 1 << (TABLE_SALES // terms.setup_cost.size).bit_length() - 1)
        searched = branch_and_bound(imp, terms, gap, seconds, cells, budget)
        best, examined = max(best, searched, key=lambda result: result.profit), searched.evaluations
        if searched.bound < bound:
            bound, proof = searched.bound, searched.status
    floor, cap = market.scenario.price_floor, market.scenario.price_cap
    posted = rounded(imp, terms, best.prices, tick) if tick > 0.0 else best.prices
    result = forecast(imp, terms, posted)
    changes = np.empty((len(posted), len(MOVES)))
    for m in range(len(posted)):
        for i, move in enumerate(MOVES):
            moved = posted.copy()
            moved[m] = np.clip(moved[m] * (1.0 + move), floor, cap)
            changes[m, i] = imp.profit(terms, moved) - result.profit
    return Quote(market, state, result, best.profit, bound, proof, examined, changes)


def rounded(imp: IMP, terms: RentalTerms, prices: FloatArray, tick: float) -> FloatArray:
    """Return prices near those given that are multiples of a tick: rounded down, then improved one at a time.

    The best prices lie at thresholds, so rounding the prices of two models between which customers choose loses sales.
    """
    lowest, highest = np.ceil(imp.constants.price_floor / tick - 1e-9), np.floor(imp.constants.price_cap / tick + 1e-9)
    if lowest > highest:
        floor, cap = imp.constants.price_floor, imp.constants.price_cap
        raise ValueError(f"tick = {tick} has no multiple between price floor {floor} and price cap {cap}")
    ticks = np.clip(np.floor(prices / tick + 1e-9), lowest, highest)
    best, moved = imp.profit(terms, ticks * tick), True
    while moved:
        moved = False
        for m in range(len(ticks)):
            for step in NEIGHBOURS:
                trial = ticks.copy()
                trial[m] = np.clip(ticks[m] + step, lowest, highest)
                profit = imp.profit(terms, trial * tick)
                if profit > best + 1e-9:
                    ticks, best, moved = trial, profit, True
    return (ticks * tick).round(9)


def summary(quote: Quote) -> dict[str, Any]:
    """Return the quote as plain numbers."""
    result, names = quote.forecast, quote.market.catalogue.names
    return {
        "market": quote.market.scenario.name,
        "hour": int(quote.state.hour),
        "profit": result.profit,
        "bound": quote.bound,
        "relative_gap": quote.relative_gap,
        "proof": quote.proof,
        "boxes": quote.boxes,
        "profit_before_rounding": quote.exact_profit,
        "customers": quote.market.population.size,
        "customers_renting": int((result.choice >= 0).sum()),
        "customer_profit": float(result.customer_profit.sum()),
        "guaranteed_customer_profit": float(result.guaranteed_profit.sum()),
        "models": [dict(zip(MODEL_COLUMNS, row, strict=True)) for row in model_rows(quote)],
        "rentals": [dict(zip(customer_columns(names), row, strict=True)) for row in customer_rows(quote)],
    }


def model_rows(quote: Quote) -> list[list[Any]]:
    """Return one row per model, in the order of `MODEL_COLUMNS`; a model's profit is net of its pre-training."""
    result, catalogue = quote.forecast, quote.market.catalogue
    hours = result.per_model(result.hours)
    columns = (
        result.prices,
        result.per_model(1.0).astype(int),
        hours,
        result.prices * hours,
        result.per_model(result.sale) - catalogue.training_cost,
        *quote.changes.T,
    )
    return [[name, *row] for name, *row in zip(catalogue.names, *(it.tolist() for it in columns), strict=True)]


def customer_columns(names: tuple[str, ...]) -> list[str]:
    """Return the column names of `customer_rows` for the models of a market."""
    shared = ["customer", "model", "hours", "pays_usd", "keeps_usd", "guaranteed_usd"]
    return shared + [f"guaranteed_usd_by_{name}" for name in names]


def customer_rows(quote: Quote) -> list[list[Any]]:
    """Return one row per customer: its model, hours, payment and profit, and the profit that each model guarantees."""
    result, names = quote.forecast, (*quote.market.catalogue.names, "")
    paid = np.where(result.choice < 0, 0.0, result.prices[result.choice] * result.hours)
    columns = (result.hours, paid, result.customer_profit, result.guaranteed_profit)
    rows = zip(result.choice.tolist(), *(it.tolist() for it in columns), strict=True)
    return [
        [n + 1, names[choice], *row, *result.worst_case_profit[n].tolist()] for n, (choice, *row) in enumerate(rows)
    ]
