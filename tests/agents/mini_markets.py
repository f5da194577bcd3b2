"""Random markets that are small enough to be solved exactly, for tests against the true optimum."""

from __future__ import annotations

import dataclasses

import numpy as np

from lmaas_env import Market, Scenario
from lmaas_env.scenario import MODEL_FIELDS

PAIRS = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]  # of the default models


def mini_markets(count: int) -> list[Market]:
    """The first of a fixed sequence of random markets: 2 customers, 2 models, 3 or 4 hours, 4 or 5 prices each.

    `lmaas_agents.ExactSeller` solves each in some hundredths of a second. They differ in population, batteries,
    harvest, demand, fades, prices and models. Half have one slot, half two.
    """
    return [_market(seed) for seed in range(count)]


def _market(seed: int) -> Market:
    rng = np.random.default_rng(seed)
    slots = 1 + seed % 2
    charge = float(rng.choice([0.3, 0.5, 0.8, 1.0]))
    scenario = dataclasses.replace(
        Scenario.preset("mini"),
        name=f"mini {seed}",
        slots=slots,
        periods=3 if slots == 2 else int(rng.integers(3, 5)),
        price_menu=int(rng.integers(4, 6)),
        price_floor=float(rng.choice([1.0, 2.0, 4.0])),
        price_cap=float(rng.choice([15.0, 20.0, 40.0])),
        distance_min=float(rng.choice([60.0, 300.0, 500.0])),
        capacity_max=float(rng.choice([30.0, 60.0, 120.0])),
        fade_probability=float(rng.choice([0.15, 0.3, 0.5])),
        charge_start_min=charge,
        charge_start_max=charge,
        harvest=float(rng.choice([0.0, 0.02, 0.04, 0.1, 0.3])),
        demand_rise=float(rng.choice([0.0, 21.0, 15.0])),
        **models(*PAIRS[rng.integers(len(PAIRS))]),
    )
    return Market(scenario, seed=seed)


def models(*kept: int) -> dict[str, tuple[object, ...]]:
    """The numbers of some of the default models."""
    return {name: tuple(getattr(Scenario(), name)[m] for m in kept) for name in ("models", *MODEL_FIELDS)}
