"""Hyper-parameters of baselines (`lmaas_train.baselines`)."""

from __future__ import annotations

import dataclasses

from lmaas_train.datasets import MIXED
from lmaas_train.evaluation.sellers import seller_of
from lmaas_train.extras import require

from lmaas_env.fields import checked, number, option, text
from lmaas_env.market import Market

ONLINE = ("sac", "tqc", "crossq", "recurrent-ppo")
OFFLINE = ("bc", "iql")
ALGORITHMS = (*ONLINE, "cma-es", *OFFLINE)
PACKAGES = {"cma-es": "cma"} | dict.fromkeys(("tqc", "crossq", "recurrent-ppo"), "sb3_contrib")
MOST_LANES = 65536


@dataclasses.dataclass(frozen=True)
class BaselineConfig:
    """Hyper-parameters, checked on construction; an algorithm reads those that it has.

    Raises
    ------
    ValueError
        If a value is of another type or outside its range, or the algorithm's package is missing; the message names it.
    """

    algorithm: str = option("sac", ALGORITHMS, "that learns")
    hidden: tuple[int, ...] = number((64, 64), "", 1, 8192, "widths of the hidden layers; cma-es has a linear policy")
    learning_rate: float = number(1e-3, "", 1e-8, 1.0, "of Adam; of the policy of bc and iql at the start, then to 1 %")
    gamma: float = number(0.95, "", 0.0, 1.0, "discount of an hour")
    batch: int = number(256, "", 2, 2**20, "steps in a batch")
    lanes: int = number(16, "", 1, MOST_LANES, "markets that are sold together; of cma-es: days of a candidate")
    updates: int = number(
        8, "", 1, 1000, "gradient steps after a step of all lanes; of recurrent-ppo: passes over a day"
    )
    candidates: int = number(32, "", 2, 4096, "of cma-es: policies that are tried in a generation")
    spread: float = number(0.1, "", 1e-6, 10.0, "of cma-es: standard deviation of a weight in the first generation")
    logged_days: int = number(200, "", 1, 100_000, "of bc and iql: days that were sold before")
    behaviour: str = text(MIXED, "of bc and iql: who sold them, a seller, or one drawn for each day, with noise")
    expectile: float = number(0.7, "", 0.5, 0.999, "of iql: of the values of actions that were taken")
    advantage_weight: float = number(3.0, "", 0.0, 1000.0, "of iql: how much better actions count more")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, checked(field, getattr(self, field.name)))
        if self.lanes * self.candidates > MOST_LANES and self.algorithm == "cma-es":
            raise ValueError(f"lanes = {self.lanes} times candidates = {self.candidates} must be at most {MOST_LANES}")
        if self.algorithm in PACKAGES:
            require(PACKAGES[self.algorithm])

    def check(self, market: Market) -> None:
        """Raise a ValueError if the settings do not fit a market; the message names the setting."""
        if self.algorithm in OFFLINE and self.behaviour != MIXED:
            seller_of(self.behaviour, market)
        steps = self.lanes * market.scenario.periods
        left = steps % min(self.batch, steps)  # in the last batch of a pass
        if self.algorithm == "recurrent-ppo" and left == 1:  # advantages of one step have no spread
            raise ValueError(f"batch = {self.batch} must not leave a single one of the {steps} steps of an update")
