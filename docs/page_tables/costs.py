"""Tables of speed, memory and what sweeps cost, from the committed measurements."""

from __future__ import annotations

from lmaas_train.bench.scale import TASKS
from lmaas_train.bench.sweep import Costs, costs_table

from page_tables.common import rows_of, table

SPEED = (  # faster loop, slower loop, label
    ("vector environment", "SyncVectorEnv", "256 environments in one call, over `SyncVectorEnv`"),
    (
        "vector environment",
        "plain compiled step, one core",
        "256 environments in one call, over a plain compiled loop on one core",
    ),
    ("scalar environment", "CartPole", "one environment, over CartPole"),
    ("PPO", "PPO on DummyVecEnv", "PPO with 32 environments, over PPO on `DummyVecEnv`"),
    ("PPO", "PPO on a free environment", "PPO with 32 environments, over PPO on an environment that costs nothing"),
    ("wide PPO", "wide PPO on DummyVecEnv", "PPO with 256 environments, over PPO on `DummyVecEnv`"),
    (
        "wide PPO",
        "wide PPO on a free environment",
        "PPO with 256 environments, over PPO on an environment that costs nothing",
    ),
)


def speed() -> str:
    """Return steps per second and their ratios."""
    found = {row["name"]: float(row["steps_per_second"]) for row in rows_of("speed/speed.csv")}
    rows = [
        [label, f"{found[fast]:,.0f}", f"{found[slow]:,.0f}", f"{found[fast] / found[slow]:.2f}"]
        for fast, slow, label in SPEED
    ]
    return table(("what", "steps/s", "reference, steps/s", "ratio"), rows)


def scale() -> str:
    """Return processor seconds and memory of markets of up to a million customers."""
    meaning, found = {task.name: task.meaning for task in TASKS}, dict[str, dict[int, dict[str, str]]]()
    for row in rows_of("scale/scale.csv"):
        found.setdefault(row["task"], {})[int(row["customers"])] = row
    sizes = sorted({size for own in found.values() for size in own})
    rows: list[list[str]] = []
    for task, own in found.items():
        last = own[max(own)]
        each = (float(last["peak"]) - float(last["before"])) / max(own)
        seconds = [f"{float(own[size]['seconds']):.3g}" if size in own else "" for size in sizes]
        rows.append([meaning[task], *seconds, f"{each:,.0f}", f"{float(last['peak']) / 2**30:.2f}"])
    headings = ("what", *(f"s, {size:,}" for size in sizes), "bytes a customer", "peak, GiB")
    return table(headings, rows)


def sweep_costs() -> str:
    """Return what a sweep costs on every engine, and how well that predicts how long it takes."""
    rows = [row for folder in ("sweep-costs", "sweep-costs/ray") for row in rows_of(f"{folder}/costs.csv")]
    numbers = [{name: float(value) for name, value in row.items() if name not in ("engine", "workers")} for row in rows]
    costs = [Costs(row["engine"], int(row["workers"]), **own) for row, own in zip(rows, numbers, strict=True)]
    return table(*costs_table(costs))
