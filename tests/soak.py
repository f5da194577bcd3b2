"""Long and wide runs: ``python -m tests.soak --steps 100000000 --out benchmarks/soak`` (`make soak`).

Many market steps with a look at memory, speed and the books; a day of many customers; many environments made and
closed; two environments in two threads. The tests run tiny versions.
"""

from __future__ import annotations

import argparse
import gc
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import gymnasium as gym
import numpy as np
from lmaas_train.runs import csv_text, results_folder

from lmaas_env import Market, Scenario
from lmaas_env.env import LMaaSEnv
from lmaas_env.files import write_whole
from lmaas_env.state import Draws, State
from lmaas_env.transition import StepResult, transition
from lmaas_env.types import FloatArray
from lmaas_env.vector_env import LMaaSVectorEnv

LANES = 256


class Part(NamedTuple):
    """What one part of a long run looked like.

    Attributes
    ----------
    steps : market steps since the start
    memory : MB that the process holds
    speed : market steps per second of processor time, which other load hardly slows
    energy, money : largest relative gap in the books of a customer or lane in one step
    energy_drift, money_drift : relative gap in the sums of all books since the start
    """

    steps: int
    memory: float
    speed: float
    energy: float
    money: float
    energy_drift: float
    money_drift: float


class Books:
    """What comes in and goes out of batteries (Wh) and tills ($), step by step and in all."""

    def __init__(self) -> None:
        self.energy = self.money = 0.0
        self.sums = np.zeros(5)  # energy in, energy out, revenue, cost, profit

    def step(self, market: Market, shown: Any, actions: FloatArray, state: State, draws: Draws) -> StepResult:
        """Do one transition, and enter it."""
        result = transition(market, shown, actions, state, draws)
        sold, capacity = result.settlement, market.population.capacity
        brought = state.charge + market.scenario.harvest * capacity * draws.harvest[draws.lanes_at(state.hour)]
        gone = result.state.charge + sold.spilled + sold.energy_used
        self.energy = max(self.energy, float((np.abs(brought - gone) / brought).max()))
        paid = np.take_along_axis(result.prices, np.maximum(sold.choice, 0), axis=1) * sold.hours.sum(axis=2)
        catalogue = market.catalogue
        revenue = np.where(sold.choice >= 0, paid, 0.0).sum(axis=1)
        cost = sold.hours_per_model @ catalogue.serving_cost + sold.customers_per_model @ catalogue.adaptation_cost
        cost = cost + catalogue.training_cost.sum()
        gap = np.abs(revenue - cost - sold.profit) / (revenue + cost)
        self.money = max(self.money, float(gap.max()))
        self.sums += brought.sum(), gone.sum(), revenue.sum(), cost.sum(), float(np.sum(sold.profit))
        return result

    @property
    def drift(self) -> tuple[float, float]:
        """The relative gap of energy and of money in all."""
        brought, gone, revenue, cost, profit = self.sums
        return float(abs(brought - gone) / brought), float(abs(revenue - cost - profit) / (revenue + cost))


def memory() -> float:
    """MB that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def many_steps(steps: int, part: int, lanes: int = LANES, scenario: str = "day") -> Iterator[Part]:
    """Step a vector environment at random actions, day after day; yield a row after every ``part`` market steps."""
    books, rng = Books(), np.random.default_rng(0)
    with mock.patch("lmaas_env.lanes.transition", books.step):
        env = LMaaSVectorEnv(lanes, scenario, autoreset_mode="SameStep")
        env.reset(seed=0)
        actions = rng.uniform(-1.1, 0.2, (101, lanes, env.market.catalogue.size)).astype(np.float32)
        done, before, began = 0, 0, time.process_time()
        while done < steps:
            seen, reward, *_ = env.step(actions[done // lanes % len(actions)])
            done += lanes
            if done - before >= part or done >= steps:
                assert np.isfinite(seen).all()
                assert np.isfinite(reward).all()
                speed = (done - before) / (time.process_time() - began)
                yield Part(done, memory(), speed, books.energy, books.money, *books.drift)
                before, began = done, time.process_time()


def wide_day(customers: int) -> Part:
    """A day of many customers."""
    env, began = LMaaSEnv(Scenario(customers=customers)), time.process_time()
    env.reset(seed=0)
    books, over, steps = Books(), False, 0
    with mock.patch("lmaas_env.lanes.transition", books.step):
        while not over:
            seen, reward, over, _, _ = env.step(np.full(4, -0.4))
            assert np.isfinite(seen).all()
            assert np.isfinite(reward)
            steps += 1
    return Part(steps, memory(), steps / (time.process_time() - began), books.energy, books.money, *books.drift)


class Left(NamedTuple):
    """What is left once environments are closed: Python objects, MB, threads and open files that were not there."""

    objects: int
    memory: float
    threads: int
    files: int


def many_environments(count: int) -> Left:
    """Make, step and close environments, a scalar and a vector one at a time; what is left after the first tenth."""

    def now() -> Left:
        gc.collect()
        return Left(
            len(gc.get_objects()), memory(), threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
        )

    start = now()
    for k in range(count + count // 10):
        if k == count // 10:  # what is made once is there now
            start = now()
        env = gym.make("LMaaS-v0", population_seed=k) if k % 2 else gym.make_vec("LMaaS-v0", 2)
        env.reset(seed=k)
        env.step(env.action_space.sample())
        env.close()
    del env
    end = now()
    return Left(*(after - before for after, before in zip(end, start, strict=True)))


def rewards_of(seed: int, days: int) -> FloatArray:
    """The rewards (H, K) of days of a vector environment that shares its lanes out to threads."""
    env, rng = LMaaSVectorEnv(64, autoreset_mode="SameStep"), np.random.default_rng(seed)
    env.reset(seed=seed)
    steps = days * env.market.scenario.periods
    return np.array([env.step(rng.uniform(-1.1, 0.2, (64, 4)))[1] for _ in range(steps)])


def in_two_threads(days: int) -> bool:
    """Whether two environments that are stepped from two Python threads earn what each does alone."""
    alone, beside = [rewards_of(seed, days) for seed in (1, 1001)], {}

    def run(seed: int) -> None:
        beside[seed] = rewards_of(seed, days)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (1, 1001)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return all(np.array_equal(one, beside[seed]) for one, seed in zip(alone, (1, 1001), strict=True))


def main(steps: int, customers: int, environments: int, days: int, out: Path) -> None:
    """Write others.csv, then steps.csv, a row per 10^7 steps."""
    with results_folder(out, "soak") as results:
        others: list[tuple[str, object]] = [
            (f"two threads, {days} days of 64 lanes each, as alone", in_two_threads(days))
        ]
        left = many_environments(environments)
        others += [(f"left of {environments} environments: {name}", value) for name, value in left._asdict().items()]
        wide = wide_day(customers)
        others += [(f"a day of {customers} customers: {name}", value) for name, value in wide._asdict().items()]
        for name, value in others:
            print(f"{name}: {value}", flush=True)
        write_whole(results.folder / "others.csv", csv_text(["what", "value"], others))
        rows: list[Part] = []
        for part in many_steps(steps, 10_000_000):
            print(part, flush=True)
            rows.append(part)
            write_whole(results.folder / "steps.csv", csv_text(Part._fields, rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Run the environments long and wide.")
    for name, value in (("steps", 10**8), ("customers", 10**5), ("environments", 1000), ("days", 20)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/soak"))
    main(**vars(parser.parse_args()))
