"""Searches: Optuna proposes settings in batches; what was proposed follows from the file and the results alone.

A batch is proposed after the one before it has ended. So the order in which cells end, the engine and a stop in
between change nothing, and a search that is started again proposes the same settings and finds their cells.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from lmaas_train.sweeps.plan import Planned, Space, SweepPlan, start_config

SEED = 1  # of Optuna's sampler


class Search:
    """A search for the settings with the largest mean profit on tuning days, over all training seeds.

    Parameters
    ----------
    plan : SweepPlan
    space : Space
    """

    def __init__(self, plan: SweepPlan, space: Space) -> None:
        self._optuna: Any = importlib.import_module("optuna")
        self._optuna.logging.set_verbosity(self._optuna.logging.ERROR)
        self._plan, self._space = plan, space
        sampler = self._optuna.samplers.TPESampler(seed=SEED)
        self._study: Any = self._optuna.create_study(direction="maximize", sampler=sampler)
        self._asked: list[tuple[Any, list[Planned]]] = []
        market = plan.markets[space.scenario, space.population_seed]
        config = start_config(space.algorithm, market.scenario)
        self._defaults = {name: getattr(config, name) for name in space.space}
        if all(_holds(values, self._defaults[name]) for name, values in space.space.items()):
            self._study.enqueue_trial(self._defaults)  # what every other trial has to beat

    @property
    def left(self) -> int:
        """Number of cells of trials that are not proposed yet."""
        return (self._space.trials - len(self._study.trials)) * len(self._space.algorithm.seeds)

    def ask(self) -> list[Planned]:
        """Propose the next batch of trials and return their cells; none at the end.

        A trial whose settings contradict each other fails at once.
        """
        space = self._space
        self._asked = []
        for _ in range(min(space.batch, space.trials - len(self._study.trials))):
            trial = self._study.ask()
            varied = {name: self._suggest(trial, name, values) for name, values in space.space.items()}
            where = space.algorithm, space.scenario, space.population_seed
            try:
                self._asked.append((trial, self._plan.of_algorithm(*where, varied, trial.number)))
            except ValueError:
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        return [cell for _, cells in self._asked for cell in cells]

    def tell(self, record_of: Callable[[str], Mapping[str, Any] | None]) -> None:
        """Learn from the batch; ``record_of`` gives the record of a cell by key, None if it has failed."""
        for trial, cells in self._asked:
            records = [record_of(it.cell.key) for it in cells]
            known = [float(np.mean(record["tuning_profit"])) for record in records if record is not None]
            if len(known) == len(cells):
                self._study.tell(trial, float(np.mean(known)))
            else:
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        self._asked = []

    def _suggest(self, trial: Any, name: str, values: Any) -> Any:
        if isinstance(values, list):
            return trial.suggest_categorical(name, values)
        ends, default = dict(values), self._defaults[name]
        suggest = trial.suggest_int if isinstance(default, int) else trial.suggest_float
        return suggest(name, ends["low"], ends["high"], log=ends.get("log", False))


def _holds(values: Any, value: Any) -> bool:
    return value in values if isinstance(values, list) else values["low"] <= value <= values["high"]
