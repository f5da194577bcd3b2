"""Upper bounds on what any seller can earn."""

from __future__ import annotations

from lmaas_agents.bounds.dynamic import (
    DayBound,
    Effort,
    check_effort,
    clairvoyant_profit,
    dynamic_bound,
    mean_energy_value,
)
from lmaas_agents.bounds.personalised import day_bound

__all__ = [
    "DayBound",
    "Effort",
    "check_effort",
    "clairvoyant_profit",
    "day_bound",
    "dynamic_bound",
    "mean_energy_value",
]
