"""What `day-ppo` would earn if it opened a larger model in the afternoon: benchmarks/menus (a minute).

.venv/bin/python benchmarks/menus.py writes table.csv: on 200 tuning days, the profit of `day-ppo` in $ a day, and what
changes if the larger model is sold from 15:00 on, at a multiple of the policy's price of `base`; paired by day.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from lmaas_agents import load_policy
from lmaas_train.evaluation.statistics import mean_estimate
from lmaas_train.runs import csv_text, versions

from lmaas_env import Market
from lmaas_env.files import write_whole
from lmaas_env.seeds import tuning_seeds
from lmaas_env.spaces import action_from_prices, prices_from_action
from lmaas_env.vector_env import LMaaSVectorEnv

FOLDER, DAYS, FIRST_HOUR, BASE = Path(__file__).parent / "menus", 200, 15, "base"
FACTORS = (0.9, 1.0, 1.05, 1.1, 1.2, 1.3, 1.5)


def sold(market: Market, opened: str = "", factor: float = 1.0) -> np.ndarray:
    """Return the profit of each day, $, with a model opened at a multiple of the price of `base`."""
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
    """Write the table."""
    market = Market("day")
    before = sold(market)
    rows: list[list[object]] = [["", "", before.mean(), 0.0, 0.0, 0.0]]
    for model in market.catalogue.names[market.catalogue.names.index(BASE) + 1 :]:
        for factor in FACTORS:
            rows.append([model, factor, before.mean(), *mean_estimate(sold(market, model, factor) - before)])
    FOLDER.mkdir(exist_ok=True)
    heads = ["opened", "times_price_of_base", "profit", "change", "change_low", "change_high"]
    write_whole(FOLDER / "table.csv", csv_text(heads, rows))
    origin = {"command": "python benchmarks/menus.py", "versions": versions()}
    write_whole(FOLDER / "origin.json", json.dumps(origin, indent=2) + "\n")


if __name__ == "__main__":
    main()
