"""How much of the certified bound can be earned where nothing is random: benchmarks/bound/quiet-day/search.csv.

.venv/bin/python benchmarks/quiet_day.py (ten minutes) improves the prices of a day of benchmarks/quiet-day.yaml by
random changes, from those of look-ahead IMP. The day is known: foresight is worth nothing. Whatever lies between the
best prices and the bound is slack of the bound, or prices that the search does not find.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from lmaas_agents import LookaheadIMP
from lmaas_agents.planning import sold_days
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.runs import csv_text

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.seeds import draw_days, held_out_seeds
from lmaas_env.state import Draws, State

HERE = Path(__file__).parent
SCENARIO, RESULT = HERE / "quiet-day.yaml", HERE / "bound" / "quiet-day" / "search.csv"
ROUNDS, CANDIDATES, SEEDS = 1000, 512, 8


def day_profit(market: Market, prices: np.ndarray) -> np.ndarray:
    """Return the profit of the first held-out day at each of K sequences of prices (K, H, M) $/h, (K,) $."""
    return sold_days(market, prices.swapaxes(0, 1), *_day(market, len(prices)))[0].sum(axis=0)


@functools.cache
def _day(market: Market, lanes: int) -> tuple[State, Draws]:
    return draw_days(market, [held_out_seeds(1)[0]] * lanes)


def changed(market: Market, prices: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return prices (H, M) with a random change: in an hour, of one or of all; of a model's for hours; or a new one."""
    log, (hours, models) = np.log(prices), prices.shape
    hour, model, size = rng.integers(hours), rng.integers(models), 10.0 ** rng.uniform(-4.0, -0.3)
    kind, floor, cap = rng.random(), market.scenario.price_floor, market.scenario.price_cap
    if kind < 0.5:
        log[hour] += size * rng.standard_normal(models)
    elif kind < 0.7:
        log[hour, model] += size * rng.standard_normal()
    elif kind < 0.8:
        log[hour : hour + rng.integers(1, 8), model] += size * rng.standard_normal()
    else:
        log[hour, model] = np.log(cap) if rng.random() < 0.5 else rng.uniform(np.log(floor), np.log(cap))
    return np.clip(np.exp(log), floor, cap)


def improved(
    market: Market, prices: np.ndarray, seed: int, rounds: int = ROUNDS, candidates: int = CANDIDATES
) -> np.ndarray:
    """Return prices (H, M) after rounds in which the best of many changes is kept if it earns more."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        tried = np.stack([prices, *(changed(market, prices, rng) for _ in range(candidates - 1))])
        prices = tried[day_profit(market, tried).argmax()]
    return prices


def main() -> None:
    """Improve look-ahead IMP's prices, and write what they earn before and after."""
    market, rows = Market(SCENARIO), []
    prices = rollout(market, LookaheadIMP(market), held_out_seeds(1)).prices[0]
    for seed in range(SEEDS):
        rows.append([seed, *day_profit(market, np.stack([prices, improved(market, prices, seed)]))])
        print(*rows[-1], flush=True)
    write_whole(RESULT, csv_text(["seed", "lookahead", "improved"], rows))


if __name__ == "__main__":
    main()
