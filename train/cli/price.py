"""`lmaas price`: which prices to post in one period of a market, what they bring, and how sure that is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import tyro
from lmaas_agents import IMP
from lmaas_agents.imp.forecast import Outcome, outcome
from lmaas_agents.search.search import branch_and_bound
from lmaas_train.runs import csv_text, new_folder, write_origin
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from lmaas_env import Market, MarketState, Scenario
from lmaas_env.files import write_whole
from lmaas_env.scenario_file import with_customers, with_models
from lmaas_env.spaces import assumed_state
from lmaas_env.terms import RentalTerms
from lmaas_env.types import FloatArray

REACH = 4_000  # customers times models up to which branch and bound is tried
TABLE = 2**20  # sales that its first tables hold: seconds of work, whatever the time limit
SHOWN = 12  # customers that the printed table shows
NEIGHBOURS = [step for size in (1, 2, 3, 5, 8, 13, 21) for step in (size, -size)]  # ticks that a price may move
MOVES = (-0.05, 0.05)  # of one price, relative


@dataclasses.dataclass
class Price:
    """Which prices to post for one hour of a market, what they bring, and how sure that is.

    IMP searches, and branch and bound proves how much better any prices could be.

    Examples
    --------
      lmaas price day
      lmaas price my-market.yaml --hour 18 --charge 0.5
      lmaas price my-market.yaml --customers customers.csv --models models.yaml --out quote
    """

    market: Annotated[str, tyro.conf.Positional]
    """Preset (day, static, scarce, ...) or YAML file; `lmaas scenario init` writes one."""
    customers: Path | None = None
    """CSV file of customers instead of the market's."""
    models: Path | None = None
    """YAML file of models instead of the market's."""
    population_seed: int = 0
    """Which customers, where they are drawn; 0 reads those that ship with the package."""
    hour: int | None = None
    """Hour of the day; default the middle of it."""
    charge: float | None = None
    """Share of every battery that is charged; default the mean at the start of a day."""
    tick: float = 0.01
    """Prices are multiples of this, $/h; 0 for exact ones."""
    gap: float = 1e-3
    """Relative gap at which the proof may stop."""
    seconds: float = 20.0
    """Time limit of the proof; 0 leaves it out."""
    out: Path | None = None
    """New folder for market.yaml, prices.csv, customers.csv and quote.json; default none."""

    def main(self) -> dict[str, Any]:
        """Print the quote, and write it if asked; return it for ``--json``."""
        market, state = self._asked()
        out = None if self.out is None else new_folder(self.out, "")
        console = Console()
        with console.status(f"searching prices, then proving for at most {self.seconds:g} s"):
            quote = quoted(market, state, self.tick, self.gap, self.seconds)
        show(quote, console)
        if out is not None:
            _write(out, quote)
            console.print(f"quote in {out}", highlight=False)
        return summary(quote)

    def _asked(self) -> tuple[Market, MarketState]:
        """Return the market and the state that are priced, or say what is wrong with them."""
        scenario = Scenario.load(self.market)
        if self.models is not None:
            scenario = with_models(scenario, self.models)
        if self.customers is not None:
            file = str(self.customers.absolute())
            scenario = with_customers(dataclasses.replace(scenario, customers_file=file))
        hour = scenario.periods // 2 if self.hour is None else self.hour
        charge = self.charge
        if charge is None:
            charge = 0.5 * (scenario.charge_start_min + scenario.charge_start_max)
        most = scenario.price_cap - scenario.price_floor
        for name, value, low, high in (
            ("hour", hour, 0, scenario.periods - 1),
            ("charge", charge, 0.0, 1.0),
            ("tick", self.tick, 0.0, most),
            ("gap", self.gap, 1e-9, 1.0),
            ("seconds", self.seconds, 0.0, 86400.0),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} = {value} must be in [{low:g}, {high:g}]")
        market = Market(scenario, seed=self.population_seed)
        return market, assumed_state(market, hour)._replace(charge=charge * market.population.capacity)


class Quote(NamedTuple):
    """Prices for one period and what is known of them; money in $.

    Attributes
    ----------
    market, state : what is priced
    outcome : what the posted prices bring
    exact_profit : at the best prices found, before they were rounded
    bound : proven, no prices earn more
    proof : "certified", how else branch and bound ended, or "personalised prices"
    changes : (M, 2), what the profit gains when one price alone moves by `MOVES`
    """

    market: Market
    state: MarketState
    outcome: Outcome
    exact_profit: float
    bound: float
    proof: str
    changes: FloatArray

    @property
    def gap(self) -> float:
        """How much more any prices could earn, $."""
        return max(self.bound - self.outcome.profit, 0.0)


def quoted(market: Market, state: MarketState, tick: float = 0.01, gap: float = 1e-3, seconds: float = 20.0) -> Quote:
    """Search the prices of one period, bound what any prices could earn, and vary each price.

    Parameters
    ----------
    market : Market
    state : MarketState
        Of one market.
    tick : float
        $/h, see `Price`.
    gap, seconds
        Of the branch and bound; 0 seconds, or more than `REACH` customers times models, leave it out.
    """
    imp, terms = IMP(market), market.terms(state)
    best, proof = imp.solve_terms(terms), "personalised prices"
    bound = imp.bound(terms)
    if seconds > 0.0 and terms.setup_cost.size <= REACH:
        cells = min(8192, 1 << (TABLE // terms.setup_cost.size).bit_length() - 1)
        searched = branch_and_bound(imp, terms, gap, seconds, cells)
        best = max(best, searched, key=lambda result: result.profit)
        if searched.bound < bound:
            bound, proof = searched.bound, searched.status
    floor, cap = market.scenario.price_floor, market.scenario.price_cap
    posted = rounded(imp, terms, best.prices, tick) if tick > 0.0 else best.prices
    brought = outcome(imp, terms, posted)
    changes = np.empty((len(posted), len(MOVES)))
    for m in range(len(posted)):
        for i, move in enumerate(MOVES):
            moved = posted.copy()
            moved[m] = np.clip(moved[m] * (1.0 + move), floor, cap)
            changes[m, i] = imp.profit(terms, moved) - brought.profit
    return Quote(market, state, brought, best.profit, bound, proof, changes)


def rounded(imp: IMP, terms: RentalTerms, prices: FloatArray, tick: float) -> FloatArray:
    """Return prices near those given that are multiples of a tick: rounded down, then improved one at a time.

    The best prices lie at thresholds, so where customers weigh two models, rounding both prices can lose sales.
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
    brought, names = quote.outcome, quote.market.catalogue.names
    return {
        "market": quote.market.scenario.name,
        "hour": int(quote.state.hour),
        "profit": brought.profit,
        "bound": quote.bound,
        "proof": quote.proof,
        "profit_before_rounding": quote.exact_profit,
        "customers": quote.market.population.size,
        "customers_renting": int((brought.choice >= 0).sum()),
        "customer_profit": float(brought.customer_profit.sum()),
        "guaranteed_customer_profit": float(brought.guaranteed_profit.sum()),
        "models": [dict(zip(MODEL_COLUMNS, row, strict=True)) for row in model_rows(quote)],
        "rentals": [dict(zip(_customer_columns(names), row, strict=True)) for row in customer_rows(quote)],
    }


MODEL_COLUMNS = ("model", "price_usd_per_h", "customers", "hours", "revenue_usd", "profit_usd")
MODEL_COLUMNS += tuple(f"profit_change_usd_at_{move:+.0%}" for move in MOVES)


def model_rows(quote: Quote) -> list[list[Any]]:
    """Return one row per model, in the order of `MODEL_COLUMNS`; a model's profit has its pre-training taken off."""
    brought, catalogue = quote.outcome, quote.market.catalogue
    hours = brought.per_model(brought.hours)
    columns = (
        brought.prices,
        brought.per_model(1.0).astype(int),
        hours,
        brought.prices * hours,
        brought.per_model(brought.sale) - catalogue.training_cost,
        *quote.changes.T,
    )
    return [[name, *row] for name, *row in zip(catalogue.names, *(it.tolist() for it in columns), strict=True)]


def _customer_columns(names: tuple[str, ...]) -> list[str]:
    shared = ["customer", "model", "hours", "pays_usd", "keeps_usd", "guaranteed_usd"]
    return shared + [f"guaranteed_usd_by_{name}" for name in names]


def customer_rows(quote: Quote) -> list[list[Any]]:
    """Return one row per customer: what it rents, pays, keeps, and what every model would guarantee it."""
    brought, names = quote.outcome, (*quote.market.catalogue.names, "")
    paid = np.where(brought.choice < 0, 0.0, brought.prices[brought.choice] * brought.hours)
    columns = (brought.hours, paid, brought.customer_profit, brought.guaranteed_profit)
    rows = zip(brought.choice.tolist(), *(it.tolist() for it in columns), strict=True)
    return [
        [n + 1, names[choice], *row, *brought.worst_case_profit[n].tolist()] for n, (choice, *row) in enumerate(rows)
    ]


def show(quote: Quote, console: Console) -> None:
    """Print the quote as tables of at most 80 columns."""
    market, brought = quote.market, quote.outcome
    hour, charge = int(quote.state.hour) % 24, float((quote.state.charge / market.population.capacity).mean())
    title = f"{market.scenario.name}: {market.population.size:,} customers, {hour:02d}:00, batteries at {charge:.0%}"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, title_justify="left")
    table.add_column("model", no_wrap=True, max_width=18)
    headings = "price $/h", "cust.", "hours", "revenue $", "profit $", *(f"at {move:+.0%}" for move in MOVES)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, price, count, hours, revenue, profit, *changes in model_rows(quote):
        moved = [f"{change:+z,.2f}" for change in changes]
        table.add_row(name, f"{price:.4g}" if price < 0.01 else f"{price:,.2f}", f"{count:,}", f"{hours:,.2f}",
                      f"{revenue:,.2f}", f"{profit:,.2f}", *moved)  # fmt: skip
    table.caption = "at ±5 %: what the seller's profit gains, $, if that price alone moves"
    console.print(table, "", sep="\n")
    console.print(f"seller's profit    {brought.profit:,.2f} $ in this hour", highlight=False)
    console.print(f"                   {_sure(quote)}", highlight=False)
    renting = int((brought.choice >= 0).sum())
    console.print(
        f"customers' profit  {brought.customer_profit.sum():,.2f} $ expected, "
        f"{brought.guaranteed_profit.sum():,.2f} $ guaranteed in the worst case\n"
        f"                   {renting:,} of {market.population.size:,} rent",
        highlight=False,
    )
    console.print()
    people = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for heading in ("customer", "model", "hours", "pays $", "keeps $", "guaranteed $"):
        people.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=True, max_width=18)
    rows = customer_rows(quote)
    for number, name, hours, *money in (row[:6] for row in rows[:SHOWN]):
        people.add_row(str(number), name or "none", f"{hours:.3f}", *(f"{amount:,.2f}" for amount in money))
    if len(rows) > SHOWN:
        people.caption = f"and {len(rows) - SHOWN:,} more: --out FOLDER writes them all"
    console.print(people)


def _sure(quote: Quote) -> str:
    """Say how much better any prices could be."""
    if quote.proof == "personalised prices":
        return f"not even a price for each customer apart would earn over {quote.bound:,.2f} $"
    share = quote.gap / max(abs(quote.bound), 1e-9)
    return f"no prices earn over {quote.bound:,.2f} $, {share:.2%} more ({quote.proof})"


def _write(folder: Path, quote: Quote) -> None:
    names = quote.market.catalogue.names
    quote.market.scenario.to_yaml(folder / "market.yaml")
    write_whole(folder / "prices.csv", csv_text(MODEL_COLUMNS, model_rows(quote)))
    write_whole(folder / "customers.csv", csv_text(_customer_columns(names), customer_rows(quote)))
    write_whole(folder / "quote.json", json.dumps(summary(quote), indent=2) + "\n")
    write_origin(folder)
