"""`lmaas price`: the prices of one hour of a market, what they bring, and a proven bound on any other prices."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from lmaas_train.evaluation.pricing import (
    BOX_LIMIT,
    CERTIFIED,
    MODEL_COLUMNS,
    MOVES,
    PERSONALISED,
    TIME_LIMIT,
    Quote,
    customer_columns,
    customer_rows,
    model_rows,
    price_period,
    summary,
)
from lmaas_train.evaluation.tables import Column, cents, lines, table
from lmaas_train.runs import csv_text, new_folder, write_market, write_origin
from rich.console import Console

from lmaas_env import Market, Scenario, State
from lmaas_env.files import write_whole
from lmaas_env.scenario import with_customers, with_models
from lmaas_env.spaces import assumed_state

SHOWN = 12  # customers in the printed table
MOVED = "at ±5 %: change of the seller's profit, $, if that price alone moves"
LIMITS = {
    CERTIFIED: "certified",
    BOX_LIMIT: "stopped by the budget of {boxes:,} boxes; more: --boxes",
    TIME_LIMIT: "stopped by the TIME LIMIT after {boxes:,} boxes: repeat with fewer --boxes or more --seconds",
    "memory limit": "stopped by memory after {boxes:,} boxes",
    "resolution": "stopped at the finest boxes",
}


@dataclasses.dataclass
class Price:
    """Find the prices of one hour of a market, what they earn, and how far they are from the best possible.

    IMP searches, and branch and bound proves a bound on the profit of any prices. The result does not depend on the
    speed of the machine.

    Examples
    --------
      lmaas price day
      lmaas price my-market.yaml --hour 18 --charge 0.5
      lmaas price my-market.yaml --customers people.csv --out quote
    """

    scenario: str = "day"
    """Preset or YAML file; `lmaas scenario init` writes one."""
    customers: Path | None = None
    """CSV file of customers instead of the market's."""
    models: Path | None = None
    """YAML file of models instead of the market's."""
    population_seed: int = 0
    """Seed of the customers; 0 selects those that ship with the package."""
    hour: int | None = None
    """Hour of the day; by default its middle."""
    charge: float | None = None
    """Share of every battery that is charged; by default the mean at the start of a day."""
    tick: float = 0.01
    """Prices are multiples of this, $/h; 0 for exact ones."""
    gap: float = 1e-3
    """Relative gap at which the proof stops."""
    boxes: int | None = None
    """Budget of the proof, in boxes of prices; 0 leaves it out. By default 2e7 / (customers x models)."""
    seconds: float = 600.0
    """Time limit of the proof, a last resort: where it strikes, the result depends on the machine."""
    out: Path | None = None
    """New folder for market.yaml, prices.csv, customers.csv and quote.json; by default none."""

    def main(self) -> dict[str, Any]:
        """Print the quote and write it to ``out``; return it for ``--json``."""
        market, state = self._priced()
        out = None if self.out is None else new_folder(self.out, "")
        console = Console()
        with console.status("searching prices, then proving a bound"):
            quote = price_period(market, state, self.tick, self.gap, self.boxes, self.seconds)
        if out is not None:
            _write(out, quote)
        show(quote, console)
        if out is not None:
            console.print(f"quote in {out}", highlight=False, soft_wrap=True)
        return summary(quote)

    def _priced(self) -> tuple[Market, State]:
        """Return the market and the state to price; refuse options outside their range."""
        scenario = Scenario.load(self.scenario)
        if self.models is not None:
            scenario = with_models(scenario, self.models)
        if self.customers is not None:
            file = str(self.customers.absolute())
            scenario = with_customers(dataclasses.replace(scenario, customers_file=file))
        hour = scenario.periods // 2 if self.hour is None else self.hour
        charge = self.charge
        if charge is None:
            charge = 0.5 * (scenario.charge_start_min + scenario.charge_start_max)
        for name, value, low, high in (
            ("hour", hour, 0, scenario.periods - 1),
            ("charge", charge, 0.0, 1.0),
            ("tick", self.tick, 0.0, scenario.price_cap - scenario.price_floor),
            ("gap", self.gap, 1e-9, 1.0),
            ("boxes", self.boxes or 0, 0, 10**9),
            ("seconds", self.seconds, 0.1, 86400.0),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} = {value} must be in [{low:g}, {high:g}]")
        market = Market(scenario, seed=self.population_seed)
        return market, assumed_state(market, hour)._replace(charge=charge * market.population.capacity)


def show(quote: Quote, console: Console) -> None:
    """Print the quote."""
    market, result = quote.market, quote.forecast
    hour, charge = int(quote.state.hour) % 24, float((quote.state.charge / market.population.capacity).mean())
    names, prices, counts, hours, revenue, profit, *changes = zip(*model_rows(quote), strict=True)
    moved = [f"at {move:+.0%}" for move in MOVES]
    columns = [
        Column("price $/h", [f"{price:.4g}" if price < 0.01 else cents(price) for price in prices]),
        Column("cust.", [f"{count:,}" for count in counts]),
        Column("hours", [f"{value:,.2f}" for value in hours], drop=1),
        Column("revenue $", [cents(value) for value in revenue], drop=2),
        Column("profit $", [cents(value) for value in profit]),
        *(
            Column(head, [cents(it, signed=True) for it in row], 3, MOVED)
            for head, row in zip(moved, changes, strict=True)
        ),
    ]
    title = f"{market.scenario.name}: {market.population.size:,} customers, {hour:02d}:00, batteries at {charge:.0%}"
    shown = table(console, Column("model", names), columns, title)
    console.print(shown)
    console.print()
    renting = int((result.choice >= 0).sum())
    summed = [
        ("seller's profit", f"{cents(result.profit)} $ in this hour"),
        ("", _bound(quote)),
        ("customers' profit", f"{cents(result.customer_profit.sum())} $ expected"),
        ("", f"{cents(result.guaranteed_profit.sum())} $ guaranteed in the worst case"),
        ("", f"{renting:,} of {market.population.size:,} rent"),
    ]
    console.print(lines(console, summed))
    console.print()
    rows = customer_rows(quote)
    numbers, models, rented, *money = zip(*(row[:6] for row in rows[:SHOWN]), strict=True)
    columns = [
        Column("hours", [f"{value:.3f}" for value in rented], drop=1),
        *(
            Column(head, [cents(amount) for amount in amounts])
            for head, amounts in zip(("pays $", "keeps $", "guaranteed $"), money, strict=True)
        ),
    ]
    people = Column(
        "customer, model", [f"{number:>2}  {model or 'none'}" for number, model in zip(numbers, models, strict=True)]
    )
    more = f"and {len(rows) - SHOWN:,} more: --out FOLDER writes them all" if len(rows) > SHOWN else ""
    console.print(table(console, people, columns, note=more))


def _bound(quote: Quote) -> str:
    """Return the proven bound and its proof as text."""
    most = f"{cents(quote.bound)} $, at most {quote.relative_gap:.2%} more"
    if quote.proof == PERSONALISED:
        return f"even a separate price for each customer would earn no more than {most}"
    how = LIMITS[quote.proof].format(boxes=quote.boxes)
    return f"no prices earn more than {most} ({how})"


def _write(folder: Path, quote: Quote) -> None:
    names = quote.market.catalogue.names
    write_market(folder / "market.yaml", quote.market)
    write_whole(folder / "prices.csv", csv_text(MODEL_COLUMNS, model_rows(quote)))
    write_whole(folder / "customers.csv", csv_text(customer_columns(names), customer_rows(quote)))
    write_whole(folder / "quote.json", json.dumps(summary(quote), indent=2) + "\n")
    write_origin(folder)
