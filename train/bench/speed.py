"""`lmaas bench speed`: environment steps per second beside references, PPO's share of them, growth and memory.

Whatever is compared is timed alternately in one run, so that other load slows both sides alike. The reference of a
straightforward implementation is `lmaas_train.bench.plain_step`. CartPole gives the scale. PPO runs with the same
settings on the native environment, on a DummyVecEnv of scalar environments, and on one that costs nothing, which
bounds PPO's speed: once with few lanes and many epochs, once with many lanes and few epochs.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from lmaas_train.bench.kernel import GrowthRow, exponent, growth_figure, in_turns, medians
from lmaas_train.bench.plain_step import plain_days
from lmaas_train.markdown import markdown_table
from lmaas_train.progress import track
from lmaas_train.runs import csv_text, machine, new_folder, write_origin
from lmaas_train.studies.seller import with_model_count
from rich.console import Console
from rich.table import Table

import lmaas_env  # noqa: F401  registers the environments
from lmaas_env import Market, Population, Scenario
from lmaas_env.engine.parallel import thread_count
from lmaas_env.files import write_whole
from lmaas_env.vector_env import LMaaSVectorEnv

WORK = 6144  # customers of all lanes together, in the growth table
SIZES = {
    "customers": (10, 100, 1000, 10**4, 10**5),
    "models": (1, 2, 4, 8, 16, 32),
    "slots": (1, 2, 3, 6, 12, 24, 48),
    "lanes": (1, 4, 16, 64, 256, 1024, 4096),
}
UPDATES = 4  # of PPO, in one timing
NATIVE, SYNC, PLAIN = "vector environment", "SyncVectorEnv", "plain compiled step, one core"
SCALAR, CARTPOLE, CARTPOLES = "scalar environment", "CartPole", "CartPole, native vector"
PPO = "PPO", "PPO on DummyVecEnv", "PPO on a free environment"  # of train/configs/ppo-flat.yaml
WIDE = "wide PPO", "wide PPO on DummyVecEnv", "wide PPO on a free environment"  # of train/configs/ppo-wide.yaml
TARGETS = (  # steps per second of the first over those of the second, at least
    (NATIVE, SYNC, 12.0),
    (NATIVE, PLAIN, 12.0),
    (SCALAR, CARTPOLE, 1.0 / 6.0),
    (PPO[0], PPO[1], 4.0),
    (PPO[0], PPO[2], 0.7),
    (WIDE[0], WIDE[1], 4.0),
    (WIDE[0], WIDE[2], 0.7),
)


@dataclasses.dataclass
class BenchSpeed:
    """Time the environments and PPO on them beside references; growth and memory.

    Writes speed.csv, growth.csv, growth.png and summary.md.

    Examples
    --------
      lmaas bench speed
      lmaas bench speed --against benchmarks/speed/speed.csv
    """

    lanes: int = 256
    """Lanes of the vector environments."""
    seconds: float = 5.0
    """Time spent on every row."""
    customers: int = 10**5
    """Largest number of customers of the growth table."""
    memory_steps: int = 10**7
    """Steps of all lanes together after which memory is compared; 0 skips the comparison."""
    against: Path | None = None
    """An older speed.csv; rows whose quartiles do not overlap are marked."""
    out: Path | None = None
    """New folder for the results; default runs/bench-speed-TIME."""

    def main(self) -> tuple[list[SpeedRow], list[GrowthRow]]:
        """Run the benchmark and return its rows."""
        return bench(self)


class SpeedRow(NamedTuple):
    """Environment steps per second: median and quartiles of the timings."""

    name: str
    lanes: int
    steps_per_second: float
    low: float
    high: float
    timings: int


def bench(args: BenchSpeed) -> tuple[list[SpeedRow], list[GrowthRow]]:
    """Run the benchmark as `BenchSpeed` says and return its rows."""
    if args.lanes < 1 or args.seconds <= 0.0 or args.customers < 100 or args.memory_steps < 0:
        raise ValueError(
            f"lanes = {args.lanes} must be >= 1, seconds = {args.seconds} > 0, customers = {args.customers} >= 100, "
            f"memory_steps = {args.memory_steps} >= 0"
        )
    before = None if args.against is None else read_rows(args.against)
    out = new_folder(args.out, "bench-speed")
    console = Console()
    where = f"{machine()}; {thread_count()} threads"
    console.print(where, highlight=False)
    with console.status("environments and PPO"):
        rows = _environments(args.lanes, args.seconds)
        rows += [*_ppo(args.seconds, "ppo-flat", PPO), *_ppo(args.seconds, "ppo-wide", WIDE)]
    points = [(axis, size) for axis, sizes in SIZES.items() for size in sizes]
    points = [(axis, size) for axis, size in points if axis != "customers" or size <= args.customers]
    growth = [GrowthRow(axis, size, *_growth(axis, size)) for axis, size in track(points, "growth", "sizes", console)]
    with console.status("memory"):
        memory = memory_line(args.lanes, args.memory_steps) if args.memory_steps else ""
    write_whole(out / "speed.csv", csv_text(SpeedRow._fields, rows))
    write_whole(out / "growth.csv", csv_text(GrowthRow._fields, growth))
    write_whole(out / "summary.md", summary(where, rows, growth, memory))
    from lmaas_env.render import drawing

    title = "One step: per lane, for the axis lanes of all lanes (otherwise 24 customers, 4 models, 6 slots)"
    drawing.save(growth_figure(growth, "us", title), out / "growth.png")
    write_origin(out)
    _print(console, rows, growth, memory)
    if before is not None:
        _print_comparison(console, rows, before)
    console.print(f"files in {out}: speed.csv, growth.csv, growth.png, summary.md", highlight=False)
    return rows, growth


def rate(rows: list[SpeedRow], name: str) -> float:
    """Return the steps per second of a row."""
    return next(row.steps_per_second for row in rows if row.name == name)


def read_rows(path: Path) -> list[SpeedRow]:
    """Read a speed.csv.

    Raises
    ------
    ValueError
        If it cannot be read or is not a speed.csv.
    """
    try:
        found = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        if not found:
            raise ValueError("it has no rows")
        numbers = ("steps_per_second", "low", "high")
        return [
            SpeedRow(row["name"], int(row["lanes"]), *[float(row[it]) for it in numbers], timings=int(row["timings"]))
            for row in found
        ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"against = {str(path)!r} is not a speed.csv of this command: {error}") from error


def _rows(cases: dict[str, tuple[int, int, Callable[[], object]]], seconds: float) -> list[SpeedRow]:
    """Time cases (lanes, steps per call, call) alternately."""
    times = in_turns([call for _, _, call in cases.values()], seconds)
    rows: list[SpeedRow] = []
    for (name, (lanes, steps, _)), taken in zip(cases.items(), times, strict=True):
        low, median, high = np.quantile(steps / np.array(taken), (0.25, 0.5, 0.75)).tolist()
        rows.append(SpeedRow(name, lanes, median, low, high, len(taken)))
    return rows


def _environments(lanes: int, seconds: float) -> list[SpeedRow]:
    market = Market("day")
    periods = market.scenario.periods
    action = np.random.default_rng(0).uniform(-1.0, 1.0, (lanes, market.catalogue.size)).astype(np.float32)

    def day_of_lanes(mode: str) -> Callable[[], object]:
        env = gym.make_vec("LMaaS-v0", num_envs=lanes, vectorization_mode=mode)
        env.reset(seed=0)

        def day() -> None:
            for _ in range(periods + 1):  # the last of them starts the next day
                env.step(action)

        return day

    def episodes(name: str, action: Any) -> Callable[[], object]:
        env = gym.make(name)
        env.reset(seed=0)

        def steps() -> None:
            for _ in range(100 * periods):
                if any(env.step(action)[2:4]):
                    env.reset()

        return steps

    cartpoles = gym.make_vec("CartPole-v1", num_envs=lanes, vectorization_mode="vector_entry_point")
    cartpoles.reset(seed=0)

    def cartpole_steps() -> None:
        for _ in range(periods):
            cartpoles.step(np.zeros(lanes, dtype=np.int64))

    return _rows(
        {
            NATIVE: (lanes, lanes * periods, day_of_lanes("vector_entry_point")),
            SYNC: (lanes, lanes * periods, day_of_lanes("sync")),
            PLAIN: (lanes, lanes * periods, plain_days(market, lanes, action)),
            SCALAR: (1, 100 * periods, episodes("LMaaS-v0", action[0])),
            CARTPOLE: (1, 100 * periods, episodes("CartPole-v1", 1)),
            CARTPOLES: (lanes, lanes * periods, cartpole_steps),
        },
        seconds,
    )


def _ppo(seconds: float, settings: str, names: tuple[str, str, str]) -> list[SpeedRow]:
    import torch
    from lmaas_train.sb3.config import CONFIGS, SB3Config
    from lmaas_train.sb3.training import build_model
    from lmaas_train.sb3.vec_env import LMaaSVecEnv
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor, VecNormalize

    class FreeVecEnv(LMaaSVecEnv):
        """An environment without cost: every step returns the first observation."""

        def reset(self) -> np.ndarray:
            self._first = super().reset()
            return self._first

        def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
            reward = np.zeros(self.num_envs, dtype=np.float32)
            return self._first, reward, reward.astype(np.bool_), [{} for _ in range(self.num_envs)]

    torch.set_num_threads(1)
    config = SB3Config.from_yaml(CONFIGS / f"{settings}.yaml")
    market = Market("day")

    def learning(lanes: VecEnv) -> tuple[int, int, Callable[[], object]]:
        normalized = VecNormalize(lanes, norm_obs=config.norm_obs, norm_reward=config.norm_reward, gamma=config.gamma)
        model = build_model(normalized, config, 0)
        steps = UPDATES * config.n_envs * config.n_steps
        return config.n_envs, steps, lambda: model.learn(steps, reset_num_timesteps=False)

    def native() -> LMaaSVectorEnv:
        return LMaaSVectorEnv(config.n_envs, market=market, autoreset_mode="SameStep")

    scalars = DummyVecEnv([lambda: Monitor(gym.make("LMaaS-v0")) for _ in range(config.n_envs)])
    cases = VecMonitor(LMaaSVecEnv(native())), scalars, VecMonitor(FreeVecEnv(native()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _rows({name: learning(lanes) for name, lanes in zip(names, cases, strict=True)}, seconds)


def _growth(axis: str, size: int) -> tuple[float, float]:
    """Return seconds of a step, and its nanoseconds per customer, model and slot (of all lanes for the axis lanes)."""
    sizes = {"customers": 24, "models": 4, "slots": 6} | ({axis: size} if axis != "lanes" else {})
    scenario = with_model_count(Scenario.preset("day"), sizes["models"])
    scenario = dataclasses.replace(scenario, customers=sizes["customers"], slots=sizes["slots"])
    market = Market(scenario, population=Population.for_scenario(scenario, 1))
    lanes = size if axis == "lanes" else max(1, WORK // sizes["customers"])
    env = LMaaSVectorEnv(lanes, market=market)
    env.reset(seed=0)
    action = np.random.default_rng(0).uniform(-1.0, 1.0, (lanes, sizes["models"])).astype(np.float32)

    def day() -> None:
        for _ in range(scenario.periods + 1):
            env.step(action)

    steps = scenario.periods * (1 if axis == "lanes" else lanes)
    seconds = medians([day], 0.5)[0] / steps
    return seconds, 1e9 * seconds / math.prod(sizes.values()) / (lanes if axis == "lanes" else 1)


def memory_line(lanes: int, steps: int) -> str:
    """Return a line on the memory that lanes take, and on its change after the first ten days of so many steps."""
    market = Market("day")
    start = _resident()
    env = LMaaSVectorEnv(lanes, market=market)
    env.reset(seed=0)
    action = np.zeros((lanes, market.catalogue.size), dtype=np.float32)
    for _ in range(250):
        env.step(action)
    warm = _resident()
    for _ in range(-(-steps // lanes)):
        env.step(action)
    arrays = sum(array.nbytes for array in (*env.state[1:], *env._lanes.draws)) / lanes  # type: ignore[index]
    if math.isnan(start):
        return f"memory: {arrays / 1024:.1f} KiB of arrays per lane"
    return (
        f"memory: {arrays / 1024:.1f} KiB of arrays per lane (its day's draws); {lanes} lanes and kernels "
        f"{(warm - start) / 2**20:.1f} MiB, after {steps:,} more steps {(_resident() - warm) / 2**20:+.1f} MiB"
    )


def _resident() -> float:
    """Return the bytes of this process in memory; nan where the system does not tell."""
    try:
        return float(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return math.nan


def _target_cells(rows: list[SpeedRow]) -> list[list[str]]:
    cells: list[list[str]] = []
    for name, reference, least in TARGETS:
        ratio = rate(rows, name) / rate(rows, reference)
        cells.append([name, reference, f"{ratio:.2f}", f"{least:.3g}", "yes" if ratio >= least else "NO"])
    return cells


_TARGET_HEADINGS = ("steps/s of", "over those of", "ratio", "target", "met")


def _growth_cells(growth: list[GrowthRow]) -> list[list[str]]:
    cells: list[list[str]] = []
    for axis in SIZES:
        own = [row for row in growth if row.axis == axis]
        times = [f"{1e6 * row.seconds:.3g}" for row in (own[0], own[-1])]
        cells.append([axis, f"{own[0].size:,}", f"{own[-1].size:,}", *times, f"{exponent(own):.2f}"])
    return cells


_GROWTH_HEADINGS = ("axis", "from", "to", "us from", "us to", "exponent")


def summary(where: str, rows: list[SpeedRow], growth: list[GrowthRow], memory: str) -> str:
    """Return the Markdown page of a run."""
    speed = [
        [row.name, str(row.lanes), f"{row.steps_per_second:,.0f}", f"{row.low:,.0f} to {row.high:,.0f}"] for row in rows
    ]
    return "\n".join(
        [
            "# Speed",
            "",
            where,
            "",
            *markdown_table(("what", "lanes", "steps/s, median", "quartiles"), speed),
            "",
            *markdown_table(_TARGET_HEADINGS, _target_cells(rows)),
            "",
            "Growth of one step of the vector environment: time per lane, of all lanes for the axis `lanes`; "
            "otherwise 24 customers, 4 models, 6 slots.",
            "",
            *markdown_table(_GROWTH_HEADINGS, _growth_cells(growth)),
            "",
            memory,
            "",
        ]
    )


def _print(console: Console, rows: list[SpeedRow], growth: list[GrowthRow], memory: str) -> None:
    table = Table(title="environment steps per second")
    for heading in ("what", "lanes", "median", "quartiles"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for row in rows:
        quartiles = f"{row.low:,.0f} to {row.high:,.0f}"
        table.add_row(row.name, str(row.lanes), f"{row.steps_per_second:,.0f}", quartiles)
    console.print(table)
    for headings, cells in ((_TARGET_HEADINGS, _target_cells(rows)), (_GROWTH_HEADINGS, _growth_cells(growth))):
        table = Table()
        for heading in headings:
            table.add_column(heading)
        for line in cells:
            table.add_row(*line)
        console.print(table)
    if memory:
        console.print(memory, highlight=False)


def _print_comparison(console: Console, rows: list[SpeedRow], before: list[SpeedRow]) -> None:
    table = Table(title="against the older run")
    for heading in ("what", "before", "now", "now / before", "beyond noise"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for row in rows:
        old = next((it for it in before if (it.name, it.lanes) == (row.name, row.lanes)), None)
        if old is not None:
            speeds = [f"{it.steps_per_second:,.0f}" for it in (old, row)]
            table.add_row(row.name, *speeds, f"{row.steps_per_second / old.steps_per_second:.2f}", changed(old, row))
    console.print(table)


def changed(before: SpeedRow, now: SpeedRow) -> str:
    """Return "slower" or "faster" if the quartiles of two runs do not overlap, else an empty string."""
    return "slower" if now.high < before.low else "faster" if now.low > before.high else ""
