"""Upper bounds on what any seller can earn."""

from __future__ import annotations

from lmaas_agents.bounds.personalised import day_bound

__all__ = ["day_bound"]
