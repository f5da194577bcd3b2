"""`lmaas watch`: one held-out day of up to three sellers side by side, in a terminal, a window or a file."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from lmaas_agents.learned.policy_file import shipped_policies
from lmaas_train.evaluation.animation import FASTEST, FORMATS, SLOWEST, animation
from lmaas_train.evaluation.rollout import sell_day
from lmaas_train.evaluation.sellers import sellers_of
from lmaas_train.evaluation.tables import GAP, Column, cents, dollars, table
from lmaas_train.extras import require
from lmaas_train.progress import track
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.render import drawing, viewer
from lmaas_env.render.viewer import MOST_SELLERS, SoldDay
from lmaas_env.seeds import HELD_OUT_START
from lmaas_env.state import Settlement, State

LAST_DAY = 2**31 - 1 - HELD_OUT_START
BAR = 36  # columns of the longest profit bar on a wide console


@dataclasses.dataclass
class Watch:
    """Play one held-out day of one to three sellers side by side.

    Plays in the terminal, or in a window (--window), or writes an animated picture (--out).

    Examples
    --------
      lmaas watch
      lmaas watch scarce --sellers imp scarce-guided lookahead --seed 7
      lmaas watch --window --fps 4
      lmaas watch day --sellers imp day-guided --out day.gif
    """

    scenario: str = "day"
    """Preset or YAML file."""
    sellers: tuple[str, ...] = ()
    """One to three as in compare; by default imp and the policy that ships for the scenario, or fixed."""
    seed: int = 0
    """Number of the held-out day, from 0."""
    population_seed: int = 0
    """Seed of the customers; 0 selects those that ship with the package."""
    out: Path | None = None
    """New file, .gif or .webp."""
    trust: bool = False
    """Load SB3 zips, which can run code that they hold."""
    window: bool = False
    """Open a window (needs the extra `view`)."""
    fps: float = 2.0
    """Hours of the day per second, 0.1 to 50."""

    def main(self) -> dict[str, float]:
        """Sell the day, show it, and return each seller's profit, $."""
        return {name: float(day.profit_so_far[-1]) for name, day in watch(self).items()}


def watch(args: Watch, console: Console | None = None) -> dict[str, SoldDay]:
    """Sell and show a day as `Watch` says; return the day of each seller by name."""
    console = console or Console()
    _check(args)
    market = Market(args.scenario, seed=args.population_seed)
    names = dict.fromkeys(args.sellers or _usual_sellers(market))
    if len(names) > MOST_SELLERS:
        raise ValueError(f"sellers = {', '.join(names)} are {len(names)}, they must be at most {MOST_SELLERS}")
    sellers = sellers_of([*names], market, args.trust)
    window = _window(args, market) if args.window else None
    shown, days = sell_day(market, sellers, HELD_OUT_START + args.seed, console)
    if args.out is not None:
        hours = track(range(market.scenario.periods + 1), "drawing", "pictures", console)
        pictures = [viewer.side_by_side(shown, days, hour) for hour in hours]
        write_whole(args.out, animation(pictures, args.out.suffix.lower(), args.fps))
        console.print(f"picture {args.out}", highlight=False, soft_wrap=True)
    elif window is not None:
        for hour in range(market.scenario.periods + 1):
            if not window.is_closed:
                window.show(viewer.side_by_side(shown, days, hour))
        window.wait(until_closed=True)
    else:
        play(shown, days, console, args.fps)
    return days


def play(market: Market, days: Mapping[str, SoldDay], console: Console, fps: float) -> None:
    """Play the day in a terminal; elsewhere print all periods one after the other."""
    periods = range(1, market.scenario.periods + 1)
    if not console.is_terminal:
        for period in periods:
            console.print(tables(market, days, period, console))
        return
    with Live(console=console, auto_refresh=False) as live:
        for period in periods:
            live.update(tables(market, days, period, console), refresh=True)
            time.sleep(1.0 / fps)


def tables(market: Market, days: Mapping[str, SoldDay], period: int, console: Console) -> Group:
    """Return a period (1 to H) as text: tables of the sellers, as many side by side as fit, and their profits."""
    title = viewer.table(market, *_last(next(iter(days.values())), period)).splitlines()[0]
    rows = Column("model", [*market.catalogue.names, "no model", "mean battery", "profit $"])
    columns = {name: _columns(name, market, day, period) for name, day in days.items()}
    width = max(sum(column.width + GAP for column in pair) for pair in columns.values())
    beside = max(1, (console.width - min(rows.width, 14) - 1) // width)
    names, parts = list(days), list[RenderableType]()
    for first in range(0, len(names), beside):
        group = [column for name in names[first : first + beside] for column in columns[name]]
        parts.append(table(console, rows, group, title if first == 0 else ""))
    return Group(*parts, Text("\nprofit of the day so far, $", style="bold"), _profits(days, period, console))


def _columns(name: str, market: Market, day: SoldDay, period: int) -> tuple[Column, Column]:
    """Return a seller's prices and customers by model, and below them its idle customers, battery and profit."""
    state, sold = _last(day, period)
    prices = [cents(float(price)) for price in sold.prices]
    customers = [f"{count:,}" for count in sold.customers_per_model]
    charge = float((state.charge / market.population.capacity).mean())
    below = [f"{np.count_nonzero(sold.choice < 0):,}", f"{charge:.0%}", cents(float(sold.profit))]
    heading = "\n".join([*_folded(name, 13), "$/h"])
    return Column(heading, [*prices, "", "", ""]), Column("cust.", [*customers, *below])


def _profits(days: Mapping[str, SoldDay], period: int, console: Console) -> Table:
    """Return a bar for each seller's profit so far, with its difference to the first seller."""
    profits = [float(day.profit_so_far[period]) for day in days.values()]
    most = max(1e-9, *(float(day.profit_so_far.max()) for day in days.values()))
    amounts = [dollars(profit) for profit in profits]
    ahead = ["", *(dollars(profit - profits[0], signed=True) for profit in profits[1:])]
    names = ["\n".join(_folded(name, 13)) for name in days]
    used = sum(max(len(line) for text in texts for line in text.split("\n")) + 2 for texts in (names, amounts, ahead))
    longest = max(4, min(BAR, console.width - used - 2))
    grid = Table.grid(padding=(0, 2, 0, 0))
    for justify in ("left", "left", "right", "right"):
        grid.add_column(justify=justify, no_wrap=True)
    styles = drawing.seller_styles(days).values()
    for name, profit, amount, difference, style in zip(names, profits, amounts, ahead, styles, strict=True):
        colour = "" if style.colour == drawing.INK else style.colour  # black is invisible on a dark terminal
        bar = Text(f"{'█' * round(longest * max(profit, 0.0) / most):<{longest}}", style=colour)
        grid.add_row(Text(name), bar, amount, difference)
    return grid


def _folded(name: str, width: int) -> list[str]:
    """Return a name as lines of at most ``width`` characters, broken after hyphens where that is possible."""
    lines = [""]
    for part in name.replace("-", "-\n").split("\n"):
        for piece in (part[i : i + width] for i in range(0, len(part), width)):
            if len(lines[-1] + piece) > width:
                lines.append("")
            lines[-1] += piece
    return lines


def _last(day: SoldDay, period: int) -> tuple[State, Settlement]:
    return day.states[period], day.settlements[period - 1]


def _check(args: Watch) -> None:
    """Refuse options that are wrong for every market."""
    if not 0 <= args.seed <= LAST_DAY:
        raise ValueError(f"seed = {args.seed} must be in [0, {LAST_DAY}], the held-out days")
    if not SLOWEST <= args.fps <= FASTEST:
        raise ValueError(f"fps = {args.fps} must be in [{SLOWEST:g}, {FASTEST:g}]")
    if args.window:
        require("pygame")
    if args.out is None:
        return
    if args.window:
        raise ValueError(f"out = {str(args.out)!r} and window exclude each other")
    if args.out.suffix.lower() not in FORMATS:
        raise ValueError(f"out = {str(args.out)!r} must end in {' or '.join(FORMATS)}")
    if args.out.exists():
        raise ValueError(f"file {str(args.out)!r} exists already; name a new one, nothing was changed")
    if not args.out.parent.is_dir():
        raise ValueError(f"out = {str(args.out)!r}: folder {str(args.out.parent)!r} does not exist")


def _usual_sellers(market: Market) -> Sequence[str]:
    """Return the reference that the observation allows, and the shipped policy of the scenario or fixed prices."""
    policy = f"{market.scenario.name}-guided"
    reference = "public-imp" if market.scenario.observation == "public" else "imp"
    return reference, policy if policy in shipped_policies() else "fixed"


def _window(args: Watch, market: Market) -> Any:
    """Return the window; raise a ValueError if none can be opened."""
    from lmaas_env.render.window import Window

    try:
        return Window(f"LMaaS {market.scenario.name}", args.fps)
    except gym.error.Error as error:
        raise ValueError(str(error)) from error
