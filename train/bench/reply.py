"""`lmaas bench reply`: how good and how fast the replies of built-in rivals are, beside IMP's full search.

On tuning days of `rivals` two sellers that reply to each other meet states and prices. There the profit of the second
one's fast reply is compared with that of IMP's search, with restarts, both expected over IMP's 16 fade scenarios.
Speed is that of the vector environment with the built-in rival.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from lmaas_agents import IMP
from lmaas_train.progress import track
from lmaas_train.runs import csv_text, machine, new_folder, write_origin
from rich.console import Console

from lmaas_env import LMaaSVectorEnv, Market
from lmaas_env.files import write_whole
from lmaas_env.reply import best_reply
from lmaas_env.seeds import draw_days, tuning_seeds

WARM_UP = 24  # steps before those that are timed
LEAST_PROFIT = 1.0  # $ of the full search, below which a relative gap says nothing
SPREAD = 0.3  # of the log of the factor by which the first seller leaves its reply, so that prices do not settle


@dataclasses.dataclass
class BenchReply:
    """Compare rivals' fast replies with IMP's full search, and time the environment that they sell in.

    Writes reply.csv.

    Examples
    --------
      lmaas bench reply
      lmaas bench reply --days 8 --lanes 64
    """

    days: int = 4
    """Tuning days whose 24 hours are compared; a day takes some seconds."""
    lanes: int = 64
    """Environments that are stepped at once."""
    steps: int = 240
    """Steps of all lanes that are timed."""
    out: Path | None = None
    """New folder for the results; default runs/bench-reply-TIME."""

    def main(self) -> list[Row]:
        """Run the benchmark and return its rows."""
        return bench(self)


class Row(NamedTuple):
    """One state: expected profits of IMP's search and of the fast reply, $, and the seconds that each took."""

    day_seed: int
    hour: int
    full: float
    reply: float
    full_seconds: float
    reply_seconds: float


def bench(args: BenchReply) -> list[Row]:
    """Run the benchmark as `BenchReply` says and return its rows."""
    for name in ("days", "lanes", "steps"):
        if getattr(args, name) < 1:
            raise ValueError(f"{name} = {getattr(args, name)} must be >= 1")
    out, console = new_folder(args.out, "bench-reply"), Console()
    console.print(machine(), highlight=False)
    market = Market("rivals")
    rows = [row for seed in track(tuning_seeds(args.days), "days", "days", console) for row in _day(market, seed)]
    write_whole(out / "reply.csv", csv_text(Row._fields, rows))
    write_origin(out)
    gaps = np.array([1.0 - row.reply / row.full for row in rows if row.full > LEAST_PROFIT])
    console.print(
        f"gap to IMP's search, of its profit: median {np.median(gaps):.2%}, mean {gaps.mean():.2%}, "
        f"90th percentile {np.quantile(gaps, 0.9):.2%} ({len(gaps)} states)"
    )
    full, reply = (1e3 * np.median([getattr(row, f"{name}_seconds") for row in rows]) for name in ("full", "reply"))
    console.print(f"a search takes {full:,.1f} ms, a reply {reply:,.2f} ms (one lane)")
    wall, processor = step_seconds(args.lanes, args.steps)
    console.print(
        f"{args.lanes} lanes: {1.0 / wall:,.0f} steps/s, {1e6 * processor:,.0f} us of processor time a step",
        highlight=False,
    )
    console.print(f"table {out / 'reply.csv'}", highlight=False)
    return rows


def _day(market: Market, seed: int) -> list[Row]:
    """Compare the second seller's replies on a day on which the first replies, too, up to a random factor."""
    first, draws = draw_days(market, [seed])
    state, rng, rows = first.lane(0), np.random.default_rng(seed), list[Row]()
    imp, models = IMP(market, seller=1), market.catalogue.size
    limits = market.scenario.price_floor, market.scenario.price_cap
    posted = np.full(market.offers, market.scenario.price_cap)
    best_reply(market, state, 1, posted)  # compiles
    for hour in range(market.scenario.periods):
        problem = imp.reply_problem(state, posted)
        began = time.perf_counter()
        fast = best_reply(market, state, 1, posted)
        seconds = time.perf_counter() - began
        full = imp.reply(state, posted)
        rows.append(Row(seed, hour, full.profit, imp.profit_of(problem, fast), full.seconds, seconds))
        own = best_reply(market, state, 0, posted) * np.exp(SPREAD * rng.standard_normal(models))
        posted = np.concatenate([np.clip(own, *limits), fast])
        _, state = market.settle(posted, state, draws.at((hour, 0)))
    return rows


def step_seconds(lanes: int, steps: int) -> tuple[float, float]:
    """Return the wall and the processor seconds of one environment's step, rivals replying."""
    env = LMaaSVectorEnv(lanes, "rivals")
    env.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (WARM_UP + steps, lanes, env.market.catalogue.size))
    for action in actions[:WARM_UP]:
        env.step(action)
    wall, processor = time.perf_counter(), time.process_time()
    for action in actions[WARM_UP:]:
        env.step(action)
    count = steps * lanes
    return (time.perf_counter() - wall) / count, (time.process_time() - processor) / count
