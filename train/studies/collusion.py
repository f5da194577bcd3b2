"""`lmaas study collusion`: whether independent Q-learners raise prices together where one hour is repeated.

The experiment of Calvano, Calzolari, Denicolò and Pastorello, "Artificial intelligence, algorithmic pricing, and
collusion" (AER 2020), in this market. Each seller chooses one of a few factors on the joint monopolist's prices of its
own models; what both earn at each pair of factors is expected once, and two tabular Q-learners that remember one hour
play the table until their strategies have settled. The control values no later hour (discount 0): whatever lifts its
prices is no reward and punishment.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from lmaas_train.evaluation.games import extreme_equilibrium
from lmaas_train.evaluation.statistics import mean_estimate
from lmaas_train.evaluation.tables import Column, table
from lmaas_train.q_learning import learn
from lmaas_train.runs import csv_text, market_settings, results_folder
from lmaas_train.studies.collusion_figure import collusion_figure
from lmaas_train.studies.repeated_hour import (
    LAGS,
    SAME,
    Game,
    collusion_index,
    deviation,
    gains,
    hour_game,
    limit_cycle,
)
from lmaas_train.studies.rivals import check_two_sellers, repeated_hours, still_state
from lmaas_train.sweeps.parts import EngineOptions, rows_of
from rich.console import Console

from lmaas_env import Market, Scenario, State
from lmaas_env.files import write_whole
from lmaas_env.render import drawing
from lmaas_env.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASE = (0.15, 4e-6)  # learning rate and decay of the main experiment of Calvano et al. (2020)


@dataclasses.dataclass
class StudyCollusion(EngineOptions):
    """Let two Q-learners set prices in a repeated hour, and measure whether, and how, they collude.

    Writes cells.csv (one row per setting), sessions.csv, references.csv, deviations.csv and figure.png.

    Examples
    --------
      lmaas study collusion
      lmaas study collusion --sessions 1000 --rates 0.15 --decays 4e-6
    """

    scenario: str = "rivals"
    """Preset or YAML file."""
    hours: tuple[int, ...] = (12, 15)
    """Hours of the day that are repeated."""
    charge: float = 0.65
    """Charge of the batteries in the repeated hours, as a share of their capacity; there is no shadowing."""
    sessions: int = 50
    """Training seeds per setting, from 1 on."""
    discount: float = 0.95
    """Of an hour; every setting is also learned with discount 0."""
    rates: tuple[float, ...] = (0.05, 0.15, 0.25)
    """Learning rates."""
    decays: tuple[float, ...] = (4e-6, 1e-5, 2e-5)
    """Decays of exploration per hour."""
    population_seed: int = 0
    """Seed of the customers; 0 selects those that ship with the package."""
    out: Path | None = None
    """New folder for the results; default runs/study-collusion-TIME."""

    def main(self) -> Study:
        """Run the study and return its rows."""
        return study(self)


class Reference(NamedTuple):
    """What both sellers earn together, and what the customers, where an hour is repeated, $ an hour; NaN: not known."""

    hour: int
    prices: str
    total: float
    customer_profit: float
    worst_case_profit: float
    collusion: float


class Session(NamedTuple):
    """A pair of learners after their strategies have settled, means over the cycle that their prices end in.

    ``length`` is that of the cycle, 1 where prices stay. ``hour_gain`` is what a best reply in one hour would add,
    ``gain`` what the best reply to the other's strategy would add to discounted profit, and ``cycle_gain`` to profit
    without discount; each the mean of both sellers, $ an hour. ``deviation_gain`` is what one forced hour of
    the best reply adds to discounted profit, over the hours and sellers for whom it pays at once, and ``profitable``
    the share of these for whom it pays in the end; NaN where it never pays at once.
    """

    hour: int
    discount: float
    rate: float
    decay: float
    seed: int
    periods: int
    settled: bool
    length: int
    profit: float
    rival_profit: float
    customer_profit: float
    worst_case_profit: float
    collusion: float
    hour_gain: float
    gain: float
    cycle_gain: float
    deviation_gain: float
    profitable: float


class Deviation(NamedTuple):
    """Prices after a forced deviation to the best reply of one hour, relative to those without: geometric means."""

    hour: int
    discount: float
    lag: int
    deviator: float
    other: float


class Cell(NamedTuple):
    """A setting: the mean of its sessions, of the index also the 95 % interval and the 10 % and 90 % quantiles.

    ``fixed`` is the share of sessions that end at one pair of prices, ``equilibrium`` the share in which neither seller
    gains by the best reply to the other's strategy. Profits and gains are $ an hour.
    """

    hour: int
    discount: float
    rate: float
    decay: float
    sessions: int
    settled: float
    periods: float
    collusion: float
    collusion_low: float
    collusion_high: float
    collusion_10: float
    collusion_90: float
    total: float
    customer_profit: float
    worst_case_profit: float
    fixed: float
    length: float
    equilibrium: float
    hour_gain: float
    gain: float
    cycle_gain: float
    deviation_gain: float
    profitable: float


class Study(NamedTuple):
    """The rows of the tables."""

    references: list[Reference]
    sessions: list[Session]
    cells: list[Cell]
    deviations: list[Deviation]


def study(args: StudyCollusion) -> Study:
    """Run the study as `StudyCollusion` says."""
    market = Market(Scenario.load(args.scenario), seed=args.population_seed)
    _check(args, market)
    console = Console()
    settings = {"study": "collusion", **market_settings(market), "charge": args.charge, "discount": args.discount}
    engine, cells = args.new_engine(), [*itertools.product((args.discount, 0.0), args.rates, args.decays)]
    with results_folder(args.out, "study-collusion", settings) as results:
        sessions, deviations = list[Session](), list[Deviation]()
        states = {hour: still_state(market, hour, args.charge) for hour in args.hours}
        games = {hour: hour_game(market, state) for hour, state in states.items()}
        parts = {json.dumps(["references", hour]): (market, states[hour], game) for hour, game in games.items()}
        found = rows_of(results, engine, _references, parts, console, "references", "hours")
        references = [Reference(*row) for own in found for row in own]
        cases = [*itertools.product(games, cells)]
        parts = {json.dumps([hour, args.sessions, *it]): (games[hour], hour, args, *it) for hour, it in cases}
        found = rows_of(results, engine, _sessions, parts, console, "sessions", "settings")
        for (hour, cell), rows in zip(cases, found, strict=True):
            sessions += [Session(*row[: len(Session._fields)]) for row in rows]
            if cell[1:] == base(args):
                logs = np.array([row[len(Session._fields) :] for row in rows], dtype=np.float64)
                deviations += _deviations(hour, cell[0], logs.reshape(len(rows), LAGS + 1, 2))
        made_cells = [_cell(own) for own in by_cell(sessions).values()]
        out = results.folder
        for name, kind, rows in (
            ("references", Reference, references),
            ("sessions", Session, sessions),
            ("cells", Cell, made_cells),
            ("deviations", Deviation, deviations),
        ):
            write_whole(out / f"{name}.csv", csv_text(kind._fields, [[_rounded(it) for it in row] for row in rows]))
        found = Study(references, sessions, made_cells, deviations)
        drawing.save_both(_figure(found, base(args)), out / "figure.png")
    _show(console, market, found)
    console.print(f"tables {out}/*.csv", highlight=False, soft_wrap=True)
    return found


def base(args: StudyCollusion) -> tuple[float, float]:
    """Return the learning rate and decay that figures show: those of Calvano et al. (2020), or else the first."""
    return BASE if BASE[0] in args.rates and BASE[1] in args.decays else (args.rates[0], args.decays[0])


def _check(args: StudyCollusion, market: Market) -> None:
    check_two_sellers(market, args.scenario, args.charge, args.hours)
    if args.sessions < 2:
        raise ValueError(f"sessions = {args.sessions} must be >= 2")
    if not 0.0 < args.discount < 1.0:
        raise ValueError(f"discount = {args.discount} must be in (0, 1)")
    for rate in args.rates:
        if not 0.0 < rate <= 1.0:
            raise ValueError(f"rates: {rate} must be in (0, 1]")
    for decay in args.decays:
        if not 1e-7 <= decay <= 1.0:
            raise ValueError(f"decays: {decay} must be in [1e-7, 1]")


def _references(market: Market, state: State, game: Game) -> list[Reference]:
    """Return the hour's rows of reference prices: on the table, and those of `lmaas study rivals` off it."""
    hour, rows = int(state.hour), list[Reference]()
    tables = game.profit.sum(axis=0), game.customer_profit, game.worst_case_profit

    def add(prices: str, weight: FloatArray) -> None:
        total, customers, worst = (float((weight * it).sum()) for it in tables)
        rows.append(Reference(hour, prices, total, customers, worst, np.nan))

    for name, highest in (("equilibrium, highest", True), ("equilibrium, lowest", False)):
        found = extreme_equilibrium(game.profit[0], game.profit[1], highest)
        add(name, np.outer(found.row, found.column))
    add("highest total", (np.arange(tables[0].size) == tables[0].argmax()).reshape(tables[0].shape).astype(np.float64))
    for it in repeated_hours(market, state):
        rows.append(Reference(hour, it.seller, it.profit + it.rival_profit, np.nan, np.nan, np.nan))
    return [row._replace(collusion=collusion_index(row.total, game)) for row in rows]


def _sessions(game: Game, hour: int, args: StudyCollusion, *cell: float) -> list[list[Any]]:
    """Return a row for every session of a setting, and after it the mean logarithms of its relative prices."""
    discount, rate, decay = cell
    rows: list[list[Any]] = []
    for seed in range(1, args.sessions + 1):
        learned = learn(game.profit, rate, decay, discount, seed)
        path = limit_cycle(learned)
        at = tuple(path.T)
        own, other, customers, worst = (
            float(it[at].mean()) for it in (*game.profit, game.customer_profit, game.worst_case_profit)
        )
        mean_gains = np.mean([gains(game, learned, path, i, args.discount) for i in (0, 1)], axis=0).tolist()
        deviation_gain, profitable, prices = deviation(game, learned, path, args.discount)
        row = Session(
            hour=hour,
            discount=discount,
            rate=rate,
            decay=decay,
            seed=seed,
            periods=learned.periods,
            settled=learned.settled,
            length=len(path),
            profit=own,
            rival_profit=other,
            customer_profit=customers,
            worst_case_profit=worst,
            collusion=collusion_index(own + other, game),
            hour_gain=mean_gains[0],
            gain=mean_gains[1],
            cycle_gain=mean_gains[2],
            deviation_gain=deviation_gain,
            profitable=profitable,
        )
        rows.append([*row, *prices.ravel().tolist()])
    return rows


def _deviations(hour: int, discount: float, logs: FloatArray) -> list[Deviation]:
    """Return a row for every lag, from the mean logarithms of relative prices of each session, (K, LAGS + 1, 2)."""
    known = logs[np.isfinite(logs).all(axis=(1, 2))]
    ratios = np.exp(known.mean(axis=0)) if len(known) else np.full(logs.shape[1:], np.nan)
    return [Deviation(hour, discount, lag, *row) for lag, row in enumerate(ratios.tolist())]


def by_cell(sessions: list[Session]) -> dict[tuple[float, ...], list[Session]]:
    """Return the sessions of each setting, by hour, discount, learning rate and decay."""
    found: dict[tuple[float, ...], list[Session]] = {}
    for row in sessions:
        found.setdefault((row.hour, row.discount, row.rate, row.decay), []).append(row)
    return found


def _cell(rows: list[Session]) -> Cell:
    """Return the row of a setting."""

    def of(name: str) -> FloatArray:
        return np.array([getattr(row, name) for row in rows], dtype=np.float64)

    def mean(name: str) -> float:
        values = of(name)
        known = values[np.isfinite(values)]
        return float(known.mean()) if known.size else np.nan

    first, index = rows[0], mean_estimate(of("collusion"))
    return Cell(
        hour=first.hour,
        discount=first.discount,
        rate=first.rate,
        decay=first.decay,
        sessions=len(rows),
        settled=mean("settled"),
        periods=mean("periods"),
        collusion=index.mean,
        collusion_low=index.low,
        collusion_high=index.high,
        collusion_10=float(np.quantile(of("collusion"), 0.1)),
        collusion_90=float(np.quantile(of("collusion"), 0.9)),
        total=mean("profit") + mean("rival_profit"),
        customer_profit=mean("customer_profit"),
        worst_case_profit=mean("worst_case_profit"),
        fixed=float((of("length") == 1).mean()),
        length=mean("length"),
        equilibrium=float((of("gain") <= SAME).mean()),
        hour_gain=mean("hour_gain"),
        gain=mean("gain"),
        cycle_gain=mean("cycle_gain"),
        deviation_gain=mean("deviation_gain"),
        profitable=mean("profitable"),
    )


def _rounded(cell: Any) -> Any:
    return float(f"{round(cell, 9) + 0.0:.5g}") if isinstance(cell, float) else cell  # no -0.0


def _figure(found: Study, shown: tuple[float, float]) -> Figure:
    """Draw the sessions of one learning rate and decay."""
    cells = [rows for key, rows in by_cell(found.sessions).items() if key[2:] == shown]
    deviations = [row for row in found.deviations if row.discount > 0.0]
    return collusion_figure(
        {(rows[0].hour, rows[0].discount): np.array([row.collusion for row in rows]) for rows in cells},
        {
            hour: np.array([(row.deviator, row.other) for row in deviations if row.hour == hour])
            for hour in dict.fromkeys(row.hour for row in deviations)
        },
        {name: [row.collusion for row in found.references if row.prices == name] for name in ("imp", "planner")},
    )


def _show(console: Console, market: Market, found: Study) -> None:
    """Print the tables."""
    console.print(
        table(
            console,
            Column("hour", [f"{row.hour}:00 {row.prices}" for row in found.references]),
            [
                Column("total", [f"{row.total:,.1f}" for row in found.references], note="total: of both sellers"),
                Column("coll.", [f"{row.collusion:z.2f}" for row in found.references], note="coll.: collusion index"),
            ],
            title=f"{market.scenario.name}: one hour repeated, $ an hour",
        )
    )
    cells = found.cells
    console.print(
        table(
            console,
            Column("hour, discount", [f"{row.hour}:00, {row.discount:g}" for row in cells]),
            [
                Column("rate", [f"{row.rate:g}" for row in cells]),
                Column("decay", [f"{row.decay:.0e}" for row in cells]),
                Column("coll.", [f"{row.collusion:.2f}" for row in cells], note="coll.: collusion index"),
                Column("fixed", [f"{row.fixed:.0%}" for row in cells], drop=1, note="fixed: end at one price pair"),
                Column("eq.", [f"{row.equilibrium:.0%}" for row in cells], drop=2, note="eq.: no better reply"),
                Column("gain", [f"{row.gain:,.1f}" for row in cells], note="gain: of the best reply to a strategy"),
                Column("dev.", [f"{row.deviation_gain:,.1f}" for row in cells], drop=3, note="dev.: of a deviation"),
            ],
            title=f"{market.scenario.name}: two Q-learners, $ an hour",
        )
    )
