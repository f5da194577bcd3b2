"""Slow searches over the prices of one period, and the certified optimum."""

from __future__ import annotations

from lmaas_agents.search.search import branch_and_bound, cma_es, differential_evolution, exhaustive

__all__ = ["branch_and_bound", "cma_es", "differential_evolution", "exhaustive"]
