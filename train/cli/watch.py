"""`lmaas watch`: one held-out day, sold by up to three sellers side by side, in a terminal, a window or a file."""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from lmaas_agents import Seller
from lmaas_agents.learned.policy import LearnedSeller, shipped_policies
from lmaas_train.cli.compare import sellers_of
from lmaas_train.progress import bars, track
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.market import MarketState, Settlement
from lmaas_env.render import drawing, viewer
from lmaas_env.render.viewer import SoldDay
from lmaas_env.seeds import HELD_OUT_START, of_one_day, open_days
from lmaas_env.spaces import first_sale, observation_from_state, prices_from_action, sale_of

FORMATS = {".gif": "GIF", ".webp": "WebP"}
MOST_SELLERS = len(viewer.SELLERS)
LAST_DAY = 2**31 - 1 - HELD_OUT_START
SLOWEST, FASTEST = 0.1, 50.0  # pictures per second; GIF knows nothing faster
LAST_PICTURE = 3.0  # s that the end of the day stays


@dataclasses.dataclass
class Watch:
    """Watch one held-out day, sold by one to three sellers side by side.

    Plays in the terminal, or in a window (--window), or writes an animated picture (--out).

    Examples
    --------
      lmaas watch
      lmaas watch --scenario scarce --sellers imp scarce-ppo lookahead --seed 7
      lmaas watch --window --fps 4
      lmaas watch --scenario day --sellers imp day-ppo --out docs/day.gif
    """

    scenario: str = "day"
    """Preset (day, static, scarce, abundant, public, city, population) or YAML file."""
    sellers: tuple[str, ...] = ()
    """One to three as in compare; default imp beside the policy that ships for the scenario, or fixed."""
    seed: int = 0
    """Which held-out day, from 0."""
    population_seed: int = 0
    """Which customers; 0 reads those that ship with the package."""
    out: Path | None = None
    """New file, .gif or .webp."""
    window: bool = False
    """Open a window."""
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
    sellers = sellers_of(names, market)
    window = _window(args, market) if args.window else None
    with bars(console) as progress:
        shown, days = sell_day(market, sellers, HELD_OUT_START + args.seed, progress)
    if args.out is not None:
        hours = track(range(market.scenario.periods + 1), "drawing", "pictures", console)
        pictures = [viewer.side_by_side(shown, days, hour) for hour in hours]
        write_whole(args.out, animation(pictures, args.out.suffix.lower(), args.fps))
        console.print(f"picture {args.out}", highlight=False)
    elif window is not None:
        for hour in range(market.scenario.periods + 1):
            if not window.is_closed:
                window.show(viewer.side_by_side(shown, days, hour))
        window.wait(until_closed=True)
    else:
        play(shown, days, console, args.fps)
    return days


def sell_day(
    market: Market,
    sellers: Mapping[str, LearnedSeller | Callable[[Market], Seller]],
    seed: int,
    progress: Progress,
) -> tuple[Market, dict[str, SoldDay]]:
    """Sell the day of a seed with each seller; return the market of the day's customers and the days by name.

    Those sellers that know customers are made for the day's own, as in `lmaas_train.cli.compare.sell`.
    """
    opened, first, draws = open_days(market, [seed])
    own = of_one_day(opened)
    days: dict[str, SoldDay] = {}
    for name, made in sellers.items():
        task = progress.add_task(f"{name}: getting ready", total=None, unit="hours")
        seen, seller = (opened, made) if isinstance(made, LearnedSeller) else (own, made(own))
        progress.update(task, description=name, total=len(draws))
        state, sale, memory = first, first_sale(seen, (1,)), None
        states, settlements = [_only(MarketState, state)], []
        for period in progress.track(draws, task_id=task):
            action, memory = seller.predict(
                observation_from_state(seen, state, sale),
                state=memory,
                episode_start=np.array([not settlements]),
                deterministic=True,
            )
            settlement, state = seen.settle(prices_from_action(seen, action), state, period)
            sale = sale_of(seen, settlement)
            states.append(_only(MarketState, state))
            settlements.append(_only(Settlement, settlement))
        days[name] = SoldDay(states, settlements)
    return own, days


def animation(pictures: Sequence[NDArray[np.uint8]], suffix: str, fps: float) -> bytes:
    """Return pictures (H, W, 3) as an animated GIF or WebP that starts again after its last one, which stays longer."""
    from PIL import Image

    images = [Image.fromarray(picture) for picture in pictures]
    if suffix == ".gif":  # one palette for all, so that what stays the same is not stored again
        palette = Image.fromarray(np.concatenate(pictures[::-6])).quantize(128, dither=Image.Dither.NONE)
        colours = np.reshape(palette.getpalette() or [], (-1, 3))
        colours[(colours >= 248).all(axis=1)] = 255  # paper stays white
        palette.putpalette(colours.astype(np.uint8).tobytes())
        images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    milliseconds = [round(1e3 / fps)] * (len(images) - 1) + [round(1e3 * LAST_PICTURE)]
    written = io.BytesIO()
    images[0].save(
        written,
        FORMATS[suffix],
        save_all=True,
        append_images=images[1:],
        duration=milliseconds,
        loop=0,
        **({"quality": 80, "minimize_size": True} if suffix == ".webp" else {}),
    )
    return written.getvalue()


def play(market: Market, days: Mapping[str, SoldDay], console: Console, fps: float) -> None:
    """Play the day in a terminal; where the console is none, print all periods one after the other."""
    periods = range(1, market.scenario.periods + 1)
    if not console.is_terminal:
        for period in periods:
            console.print(tables(market, days, period))
        return
    with Live(console=console, auto_refresh=False) as live:
        for period in periods:
            live.update(tables(market, days, period), refresh=True)
            time.sleep(1.0 / fps)


def tables(market: Market, days: Mapping[str, SoldDay], period: int) -> Group:
    """Return a period (1 to H) as text of at most 80 columns: a table of all sellers, and bars of their profits."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left", title_style="bold")
    table.title = viewer.table(market, *_last(next(iter(days.values())), period)).splitlines()[0]
    table.add_column("model", no_wrap=True, max_width=14)
    for name in days:
        table.add_column(f"{name[:13]}\n$/h", justify="right", no_wrap=True, min_width=9)
        table.add_column("\ncust.", justify="right", no_wrap=True)
    sold = [_last(day, period)[1] for day in days.values()]
    for m, model in enumerate(market.catalogue.names):
        cells = [(f"{one.prices[m]:,.2f}", f"{one.customers_per_model[m]:,}") for one in sold]
        table.add_row(model, *(cell for pair in cells for cell in pair))
    idle = [("", f"{np.count_nonzero(one.choice < 0):,}") for one in sold]
    table.add_row("no model", *(cell for pair in idle for cell in pair), end_section=True)
    charge = [(day.states[period].charge / market.population.capacity).mean() for day in days.values()]
    table.add_row("mean battery", *(cell for share in charge for cell in ("", f"{share:.0%}")))
    table.add_row("profit $", *(cell for one in sold for cell in ("", f"{one.profit:z,.2f}")))

    so_far = [float(day.profit_so_far[period]) for day in days.values()]
    most = max(1e-9, *(float(day.profit_so_far.max()) for day in days.values()))
    digits = 0 if most >= 100.0 else 2
    bars = Text("\nprofit of the day so far, $\n", style="bold")
    for row, (name, profit) in enumerate(zip(days, so_far, strict=True)):
        bar = "█" * round(36 * max(profit, 0.0) / most)
        ahead = f"  {profit - so_far[0]:+z,.{digits}f}" if row else ""
        bars.append(f"{name[:13]:<14}", style="not bold").append(f"{bar:<37}", style=f"not bold {drawing.COLOURS[row]}")
        bars.append(f"{profit:>z9,.{digits}f}{ahead}\n", style="not bold")
    return Group(table, bars)


def _last(day: SoldDay, period: int) -> tuple[MarketState, Settlement]:
    return day.states[period], day.settlements[period - 1]


def _only(kind: Callable[..., Any], lanes: Sequence[Any]) -> Any:
    """Return what the first lane holds, of a state or settlement with a leading lane axis."""
    return kind(*(values[0] if np.ndim(values) else values for values in lanes))


def _check(args: Watch) -> None:
    """Refuse what cannot be right whatever the market."""
    if not 0 <= args.seed <= LAST_DAY:
        raise ValueError(f"seed = {args.seed} must be in 0..{LAST_DAY}, it counts held-out days")
    if not SLOWEST <= args.fps <= FASTEST:
        raise ValueError(f"fps = {args.fps} must be in [{SLOWEST:g}, {FASTEST:g}]")
    if args.out is None:
        return
    if args.window:
        raise ValueError(f"out = {str(args.out)!r} and window exclude each other")
    if args.out.suffix.lower() not in FORMATS:
        raise ValueError(f"out = {str(args.out)!r} must end in {' or '.join(FORMATS)}")
    if args.out.exists():
        raise ValueError(f"file {str(args.out)!r} exists already; name a new one, nothing was changed")
    if not args.out.parent.is_dir():
        raise ValueError(f"out = {str(args.out)!r}: there is no folder {str(args.out.parent)!r}")


def _usual_sellers(market: Market) -> tuple[str, str]:
    policy = f"{market.scenario.name}-ppo"
    return ("public-imp" if market.scenario.observation == "public" else "imp"), (
        policy if policy in shipped_policies() else "fixed"
    )


def _window(args: Watch, market: Market) -> Any:
    """Return the window, or refuse in a line if there can be none."""
    from lmaas_env.render.window import Window

    try:
        return Window(f"LMaaS {market.scenario.name}", args.fps)
    except gym.error.Error as error:
        raise ValueError(str(error)) from error
