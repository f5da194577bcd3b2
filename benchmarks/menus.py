"""What keeps PPO from scratch below look-ahead IMP on `day`: benchmarks/menus (ten minutes).

.venv/bin/python benchmarks/menus.py sells 200 tuning days and writes

- limits.csv: `day-ppo`; look-ahead IMP, in the market and in those of the first one, two and three models alone; and
  look-ahead IMP whose prices have random errors. Profit in $ a day, and the difference to look-ahead IMP.
- table.csv: what `day-ppo` would earn if a larger model were sold from 15:00 on, at a multiple of the policy's price of
  `base`, and what that changes.

Differences are paired by day.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from lmaas_agents import LookaheadIMP, load_policy
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.evaluation.statistics import mean_estimate
from lmaas_train.runs import csv_text, versions

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.scenario import MODEL_FIELDS
from lmaas_env.seeds import tuning_seeds
from lmaas_env.spaces import action_from_prices, prices_from_action
from lmaas_env.state import State
from lmaas_env.vector_env import LMaaSVectorEnv

FOLDER, DAYS, FIRST_HOUR, BASE = Path(__file__).parent / "menus", 200, 15, "base"
FACTORS = (0.9, 1.0, 1.05, 1.1, 1.2, 1.3, 1.5)
ERRORS = (0.01, 0.03, 0.1)  # standard deviations of the logarithm of a price


class Imprecise(LookaheadIMP):
    """Look-ahead IMP whose prices have independent random errors."""

    def __init__(self, market: Market, error: float) -> None:
        super().__init__(market)
        self.error, self.rng = error, np.random.default_rng(1)

    def prices(self, state: State) -> np.ndarray:
        """Return the prices with their errors, between floor and cap, (M,) $/h."""
        scenario, exact = self.market.scenario, super().prices(state)
        factors = np.exp(self.error * self.rng.standard_normal(len(exact)))
        return np.clip(exact * factors, scenario.price_floor, scenario.price_cap)


def with_models(market: Market, count: int) -> Market:
    """Return a market of the same customers with only the first models."""
    kept = {name: getattr(market.scenario, name)[:count] for name in ("models", *MODEL_FIELDS)}
    return Market(dataclasses.replace(market.scenario, **kept), population=market.population)


def limits(market: Market, days: int = DAYS) -> list[list[object]]:
    """Return what each seller earns on tuning days, $ a day, and how much more than look-ahead IMP."""
    seeds, models = tuning_seeds(days), market.catalogue.names
    lookahead = LookaheadIMP(market)
    reference = rollout(market, lookahead, seeds).day_profit
    earned = {"day-ppo": rollout(market, load_policy("day-ppo"), seeds).day_profit, "look-ahead IMP": reference}
    for count in range(len(models) - 1, 0, -1):
        seller = LookaheadIMP(with_models(market, count))
        untrained = lookahead.constants.training_cost - seller.constants.training_cost  # $/h that sellers do pay
        profit = rollout(seller.market, seller, seeds).day_profit - market.scenario.periods * untrained
        earned[f"look-ahead IMP, only {', '.join(models[:count])}"] = profit
    for error in ERRORS:
        earned[f"look-ahead IMP, prices {error:.0%} off"] = rollout(market, Imprecise(market, error), seeds).day_profit
    return [
        [seller, profit.mean(), *mean_estimate(profit - reference), profit.mean() / reference.mean()]
        for seller, profit in earned.items()
    ]


def sold(market: Market, opened: str = "", factor: float = 1.0) -> np.ndarray:
    """Return the profit of `day-ppo` on each day, $, with a model opened at a multiple of the price of `base`."""
    policy, env = load_policy("day-ppo"), LMaaSVectorEnv(DAYS, market=market)
    observation, _ = env.reset(seed=list(tuning_seeds(DAYS)))
    total = np.zeros(DAYS)
    for hour in range(market.scenario.periods):
        prices = prices_from_action(market, policy.predict(observation)[0])
        if opened and hour >= FIRST_HOUR:
            model, base = (market.catalogue.names.index(name) for name in (opened, BASE))
            prices[:, model] = np.minimum(prices[:, model], factor * prices[:, base])
        observation, _, _, _, info = env.step(action_from_prices(market, prices).astype(np.float32))
        total += info["profit"]
    return total


def main() -> None:
    """Write the tables."""
    market = Market("day")
    changes = ["change", "change_low", "change_high"]
    found = {"limits.csv": csv_text(["seller", "profit", *changes, "share_of_lookahead"], limits(market))}
    before = sold(market)
    rows: list[list[object]] = [["", "", before.mean(), 0.0, 0.0, 0.0]]
    for model in market.catalogue.names[market.catalogue.names.index(BASE) + 1 :]:
        for factor in FACTORS:
            rows.append([model, factor, before.mean(), *mean_estimate(sold(market, model, factor) - before)])
    found["table.csv"] = csv_text(["opened", "times_price_of_base", "profit", *changes], rows)
    origin = {"command": "python benchmarks/menus.py", "versions": versions()}
    found["origin.json"] = json.dumps(origin, indent=2) + "\n"
    FOLDER.mkdir(exist_ok=True)
    for name, text in found.items():
        write_whole(FOLDER / name, text)


if __name__ == "__main__":
    main()
