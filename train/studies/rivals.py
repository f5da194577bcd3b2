"""`lmaas study rivals`: what sellers earn beside a rival that replies, and whether best replies settle.

Three parts: held-out days of the reference sellers; one hour repeated in one state, with the best cycle of prices
against the rival's replies; and iterated best replies in that state from many starts.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lmaas_agents import IMP, JointIMP, Planner, PredictiveIMP
from lmaas_train.evaluation.days import Days
from lmaas_train.evaluation.games import best_cycle
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.evaluation.statistics import Estimate, mean_estimate
from lmaas_train.evaluation.tables import Column, days, table, with_interval
from lmaas_train.runs import csv_text, market_settings, results_folder
from lmaas_train.sweeps.parts import EngineOptions, rows_of
from rich.console import Console

from lmaas_env import Market, Scenario, State
from lmaas_env.files import write_whole
from lmaas_env.market import unstack
from lmaas_env.reply import anticipated_profits, best_reply
from lmaas_env.seeds import held_out_seeds, open_days
from lmaas_env.types import FloatArray

JOINT = "joint"  # the monopolist with all sites
REFERENCES: dict[str, Callable[[Market], Any]] = {"imp": IMP, "predictive-imp": PredictiveIMP, "planner": Planner}
STEPS = 48  # of a repeated hour, the second half of which is averaged
FACTORS = np.geomspace(0.1, 2.0, 96)  # on a monopolist's prices: where the price vectors of cycles start
MOST_VECTORS = 400  # of them
MOST_REPLIES = 200  # of each seller, until iterated best replies are given up
RIVAL = "rival: its profit (joint: both sites)"
SAME = 1e-6  # relative: prices that are the same again


@dataclasses.dataclass
class StudyRivals(EngineOptions):
    """Measure reference sellers beside a rival that replies best to the last prices, and search one-hour equilibria.

    Writes days.csv, references.csv, hours.csv and equilibria.csv.

    Examples
    --------
      lmaas study rivals
      lmaas study rivals --days 40 --starts 100
    """

    scenario: str = "rivals"
    """Preset or YAML file."""
    days: int = 20
    """Held-out days."""
    hours: tuple[int, ...] = (12, 15)
    """Hours of the day that are repeated."""
    charge: float = 0.65
    """Charge of the batteries in the repeated hours, as a share of their capacity; there is no shadowing."""
    starts: int = 30
    """Prices from which best replies are iterated."""
    population_seed: int = 0
    """Seed of the customers; 0 selects those that ship with the package."""
    out: Path | None = None
    """New folder for the results; default runs/study-rivals-TIME."""

    def main(self) -> Study:
        """Run the study and return its rows."""
        return study(self)


class Day(NamedTuple):
    """A reference seller's held-out day, $; of the joint monopolist, all profits are in ``profit``."""

    seller: str
    day_seed: int
    profit: float
    rival_profit: float
    customer_profit: float
    worst_case_profit: float


class Reference(NamedTuple):
    """A reference seller's mean held-out day, $.

    ``minus_imp`` is paired by day. ``collusion`` is the collusion index of Calvano et al. (2020), (total - IMP's) /
    (joint - IMP's), of the profits of all sellers.
    """

    seller: str
    profit: Estimate
    minus_imp: Estimate
    share_of_imp: float
    rival_profit: float
    customer_profit: float
    worst_case_profit: float
    collusion: float


class Repeated(NamedTuple):
    """What a way to price earns in an hour that is repeated, $ an hour; of the joint monopolist, of both sites.

    ``length`` is the number of hours of the best cycle, 0 for sellers that are simulated.
    """

    hour: int
    seller: str
    profit: float
    rival_profit: float
    length: int


class Replies(NamedTuple):
    """Where best replies of both sellers in turn end that started from one seller's prices.

    Profits are means over all moves of a cycle, or at the fixed point.
    ``length`` is the number of replies of each after which prices repeat: 1 at a fixed point, 0 if they have not.
    ``gain`` is what the better of both sellers would gain by another search at a fixed point, and ``bound`` what no
    deviation gains more than, by the personalised-price bound of IMP; $ an hour.
    """

    hour: int
    start: int
    length: int
    replies: int
    profit: float
    rival_profit: float
    gain: float
    bound: float


class Study(NamedTuple):
    """The rows of the tables."""

    days: list[Day]
    references: list[Reference]
    hours: list[Repeated]
    equilibria: list[Replies]


def study(args: StudyRivals) -> Study:
    """Run the study as `StudyRivals` says."""
    market = Market(Scenario.load(args.scenario), seed=args.population_seed)
    _check(args, market)
    console, names = Console(), [*REFERENCES, JOINT]
    settings = {"study": "rivals", **market_settings(market), "days": args.days, "charge": args.charge}
    states, engine = {hour: still_state(market, hour, args.charge) for hour in args.hours}, args.new_engine()
    sold = {json.dumps([name]): (market, name, args.days) for name in names}
    repeated = {json.dumps(["repeated", hour]): (market, state) for hour, state in states.items()}
    replied = {
        json.dumps(["replies", hour, start]): (market, state, start)
        for hour, state in states.items()
        for start in range(args.starts)
    }
    with results_folder(args.out, "study-rivals", settings) as results:
        out = results.folder
        found = rows_of(results, engine, _sold, sold, console, "held-out days", "sellers")
        days = [Day(*row) for own in found for row in own]
        found = rows_of(results, engine, repeated_hours, repeated, console, "repeated hours", "hours")
        hours = [Repeated(*row) for own in found for row in own]
        found = rows_of(results, engine, iterated_replies, replied, console, "best replies", "starts")
        equilibria = [Replies(*row) for own in found for row in own]
        references = [_reference(name, days) for name in names]
        write_whole(out / "days.csv", csv_text(Day._fields, days))
        write_whole(out / "references.csv", csv_text(COLUMNS, [_cells(row) for row in references]))
        write_whole(out / "hours.csv", csv_text(Repeated._fields, hours))
        write_whole(out / "equilibria.csv", csv_text(Replies._fields, equilibria))
    _show(console, market, args, references, hours, equilibria)
    console.print(f"tables {out}/*.csv", highlight=False, soft_wrap=True)
    return Study(days, references, hours, equilibria)


def _check(args: StudyRivals, market: Market) -> None:
    check_two_sellers(market, args.scenario, args.charge, args.hours)
    for name, least in (("days", 2), ("starts", 1)):
        if getattr(args, name) < least:
            raise ValueError(f"{name} = {getattr(args, name)} must be >= {least}")


def check_two_sellers(market: Market, scenario: str, charge: float, hours: Iterable[int]) -> None:
    """Raise a ValueError unless a market has two sellers and lasting customers, and its hours can be repeated."""
    if market.scenario.sellers != 2:
        raise ValueError(f"sellers = {market.scenario.sellers} of scenario {scenario!r} must be 2")
    if market.scenario.resample_population != "never":
        raise ValueError(f"scenario {scenario!r} must keep its customers (resample_population: never)")
    if not 0.0 <= charge <= 1.0:
        raise ValueError(f"charge = {charge} must be in [0, 1]")
    for hour in hours:
        if not 0 <= hour < market.scenario.periods:
            raise ValueError(f"hours: {hour} must be in [0, {market.scenario.periods - 1}]")


def still_state(market: Market, hour: int, charge: float) -> State:
    """Return the state of an hour without shadowing, at mean demand, with batteries at a share of their capacity."""
    nothing, capacity = np.zeros(market.population.size), market.population.capacity
    return State(hour, np.tile(nothing, market.scenario.sellers), nothing, charge * capacity)


def _sold(market: Market, name: str, count: int) -> list[Day]:
    """Return a row for every held-out day of a reference seller."""
    seeds = held_out_seeds(count)
    sold = joint_days(market, seeds) if name == JOINT else rollout(market, REFERENCES[name](market), seeds)
    columns = (
        sold.day_profit,
        sold.rival_day_profit,
        sold.customer_profit.sum(axis=1),
        sold.worst_case_profit.sum(axis=1),
    )
    return [Day(name, seed, *row) for seed, row in zip(seeds, np.stack(columns, axis=1).tolist(), strict=True)]


def joint_days(market: Market, seeds: range) -> Days:
    """Sell days with the joint monopolist (`lmaas_agents.JointIMP`); profits and revenue are those of all sites."""
    seller, (market, state, draws, *_) = JointIMP(market), open_days(market, seeds)
    settled, charge = list[Any](), [state.charge]
    for hour in range(market.scenario.periods):
        prices = np.stack([seller.prices(lane) for lane in unstack(state)])
        settlement, state = market.settle(prices, state, draws.at(hour))
        settled.append(settlement)
        charge.append(state.charge)

    def hourly(name: str) -> FloatArray:
        return np.stack([getattr(settlement, name) for settlement in settled], axis=1)

    return Days(
        seeds=np.array(seeds),
        profit=hourly("profit").sum(axis=2),
        revenue=hourly("revenue").sum(axis=2),
        customer_profit=hourly("customer_profit").sum(axis=2),
        worst_case_profit=hourly("worst_case_profit").sum(axis=2),
        prices=hourly("prices"),
        customers_per_model=hourly("customers_per_model"),
        hours_per_model=hourly("hours_per_model"),
        charge=np.stack([(it / market.population.capacity).mean(axis=-1) for it in charge], axis=1),
        seconds_per_decision=np.nan,
        other_profit=np.zeros((len(seeds), market.scenario.periods, 0)),
    )


def _reference(name: str, rows: list[Day]) -> Reference:
    """Return a reference seller's row of the table."""

    def of(seller: str, *fields: str) -> FloatArray:
        return np.array([sum(getattr(row, field) for field in fields) for row in rows if row.seller == seller])

    own, imp = of(name, "profit"), of("imp", "profit")
    least, most = (of(seller, "profit", "rival_profit").mean() for seller in ("imp", JOINT))
    return Reference(
        seller=name,
        profit=mean_estimate(own),
        minus_imp=mean_estimate(own - imp),
        share_of_imp=float(own.mean() / imp.mean()),
        rival_profit=float(of(name, "rival_profit").mean()),
        customer_profit=float(of(name, "customer_profit").mean()),
        worst_case_profit=float(of(name, "worst_case_profit").mean()),
        collusion=float((of(name, "profit", "rival_profit").mean() - least) / (most - least)),
    )


COLUMNS = (
    "seller", "profit", "profit_low", "profit_high", "minus_imp", "minus_imp_low", "minus_imp_high",
    *Reference._fields[3:],
)  # fmt: skip


def _cells(row: Reference) -> list[Any]:
    return [row.seller, *row.profit, *row.minus_imp, *row[3:]]


def repeated_hours(market: Market, state: State) -> list[Repeated]:
    """Return what each way to price earns where an hour is repeated in one state."""
    hour, batch = int(state.hour), market.as_batch(state)
    imp, predictive, planner, joint = IMP(market), PredictiveIMP(market), Planner(market), JointIMP(market)
    ways: dict[str, Callable[[FloatArray], FloatArray]] = {
        "imp": lambda posted: imp.reply(state, posted).prices,
        "predictive-imp": lambda posted: predictive.reply(state, posted).prices,
        "planner": lambda posted: planner.prices(batch, posted[None])[0],
    }
    rows = [Repeated(hour, JOINT, joint.solve(state).profit, 0.0, 0)]
    for name, price in ways.items():
        posted, profits = np.full(market.offers, market.scenario.price_cap), list[FloatArray]()
        for _ in range(STEPS):
            posted = np.concatenate([price(posted), best_reply(market, state, 1, posted)])
            profits.append(anticipated_profits(market, state, posted))
        own, other = np.mean(profits[STEPS // 2 :], axis=0).tolist()
        rows.append(Repeated(hour, name, own, other, 0))
    return [*rows, planned_cycle(market, state)]


def planned_cycle(market: Market, state: State) -> Repeated:
    """Return the best cycle of prices against the rival's replies where an hour is repeated.

    Over a finite set of price vectors: the cap, a monopolist's prices times `FACTORS`, and the best replies to what the
    rival replies to these, and so on. The rival's reply depends on the last prices alone, so this is a deterministic
    mean-payoff problem (`lmaas_train.evaluation.games.best_cycle`).
    """
    scenario, models = market.scenario, market.catalogue.size
    cap = np.full(models, scenario.price_cap)
    alone = best_reply(market, state, 0, np.full(market.offers, scenario.price_cap))
    nodes = [cap, *np.clip(FACTORS[:, None] * alone, scenario.price_floor, scenario.price_cap)]
    replied = list[FloatArray]()
    while len(replied) < len(nodes):
        replied.append(best_reply(market, state, 1, np.concatenate([nodes[len(replied)], cap])))
        undercut = best_reply(market, state, 0, np.concatenate([cap, replied[-1]]))
        if len(nodes) < MOST_VECTORS and not any(np.allclose(undercut, own, rtol=SAME) for own in nodes):
            nodes.append(undercut)
    rows = np.concatenate([np.tile(nodes, (len(nodes), 1)), np.repeat(replied, len(nodes), axis=0)], axis=1)
    profits = anticipated_profits(market, state, rows).reshape(len(nodes), len(nodes), 2)
    mean, cycle = best_cycle(profits[:, :, 0])
    others = [profits[a, b, 1] for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True)]
    return Repeated(int(state.hour), "best cycle", mean, float(np.mean(others)), len(cycle))


def iterated_replies(market: Market, state: State, start: int) -> list[Replies]:
    """Let two sellers reply to each other in turn by IMP's full search, from one seller's prices, until they repeat.

    Start 0 is the cap; others are log-uniform. A reply depends on the other's prices alone, so prices that repeat
    repeat for ever.
    """
    sellers, scenario, models = [IMP(market, seller=s) for s in (0, 1)], market.scenario, market.catalogue.size
    low, high = np.log(scenario.price_floor), np.log(scenario.price_cap)
    posted = np.full(market.offers, scenario.price_cap)
    if start > 0:
        posted[:models] = np.exp(np.random.default_rng(start).uniform(low, high, models))
    seen, moves, length = list[FloatArray](), list[FloatArray](), 0
    while not length and len(seen) < MOST_REPLIES:
        for s in (1, 0):
            posted[s * models : (s + 1) * models] = sellers[s].reply(state, posted).prices
            moves.append(posted.copy())
        again = [i for i, known in enumerate(seen) if np.allclose(known, posted, rtol=SAME)]
        length = len(seen) - again[-1] if again else 0
        seen.append(posted.copy())
    profits = anticipated_profits(market, state, np.array(moves[-2 * length :] if length else moves[len(moves) // 2 :]))
    gain = bound = np.nan
    if length == 1:
        gain, bound = np.max([deviation_gain(seller, state, posted) for seller in sellers], axis=0).tolist()
    own, other = profits.mean(axis=0).tolist()
    return [Replies(int(state.hour), start, length, len(seen), own, other, gain, bound)]


def deviation_gain(seller: IMP, state: State, posted: FloatArray) -> tuple[float, float]:
    """Return what a seller gains by a search from its own prices, and a bound on what any deviation gains, $."""
    models = seller.market.catalogue.size
    own = posted[seller.seller * models : (seller.seller + 1) * models].copy()
    problem = seller.reply_problem(state, posted)
    earned = seller.profit_of(problem, own)
    better = max(seller.reply(state, posted, start).profit for start in (None, own))
    return max(0.0, better - earned), seller.bound_of(problem) - earned


def _show(
    console: Console,
    market: Market,
    args: StudyRivals,
    references: list[Reference],
    hours: list[Repeated],
    equilibria: list[Replies],
) -> None:
    """Print the tables."""
    name = market.scenario.name
    console.print(
        table(
            console,
            Column("seller", [row.seller for row in references]),
            [
                Column("profit", [with_interval(row.profit, ",.0f") for row in references]),
                Column("minus imp", [with_interval(row.minus_imp, "+,.0f") for row in references], drop=2),
                Column("/ imp", [f"{row.share_of_imp:.2f}" for row in references]),
                Column(
                    "rival",
                    [f"{row.rival_profit:,.0f}" for row in references],
                    drop=1,
                    note=RIVAL,
                ),
                Column("cust.", [f"{row.customer_profit:,.0f}" for row in references], drop=3),
                Column("coll.", [f"{row.collusion:.2f}" for row in references], drop=4, note="coll.: collusion index"),
            ],
            title=f"{name}, beside imp: $ per day, {days(args.days)}",
        )
    )
    console.print(
        table(
            console,
            Column("hour", [f"{row.hour}:00 {row.seller}" for row in hours]),
            [
                Column("profit", [f"{row.profit:,.1f}" for row in hours]),
                Column("rival", [f"{row.rival_profit:,.1f}" for row in hours]),
                Column("cycle", [str(row.length or "") for row in hours], note="cycle: hours of the best one"),
            ],
            title=f"{name}: one hour repeated, batteries at {args.charge:.0%}, $ an hour",
        )
    )
    for hour in args.hours:
        own = [row for row in equilibria if row.hour == hour]
        fixed, cycles = [row for row in own if row.length == 1], [row for row in own if row.length > 1]
        lines = [f"{hour}:00, {len(own)} starts: {len(fixed)} fixed points, {len(cycles)} cycles"]
        if fixed:
            lines.append(f"a deviation gains at most {max(row.bound for row in fixed):,.1f} $ there")
        if cycles:
            lengths = [row.length for row in cycles]
            own_mean, rival_mean = (np.mean([getattr(row, it) for row in cycles]) for it in ("profit", "rival_profit"))
            lines.append(f"of {min(lengths)} to {max(lengths)} replies each")
            lines.append(f"{own_mean:,.1f} $ and {rival_mean:,.1f} $ an hour in the mean")
        console.print("; ".join(lines), highlight=False, soft_wrap=True)
