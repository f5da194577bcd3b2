"""Upper bounds on what any seller can earn."""

from __future__ import annotations

from lmaas_agents.bounds.clairvoyant import clairvoyant_profit
from lmaas_agents.bounds.dynamic import DayBound, Effort, check_effort, dynamic_bound, mean_energy_value
from lmaas_agents.bounds.personalised import personalised_bound

__all__ = [
    "DayBound",
    "Effort",
    "check_effort",
    "clairvoyant_profit",
    "dynamic_bound",
    "mean_energy_value",
    "personalised_bound",
]
