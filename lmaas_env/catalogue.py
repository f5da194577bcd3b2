"""Catalogue: the large models that the seller offers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmaas_env.scenario import Scenario
from lmaas_env.types import FloatArray


class Catalogue(NamedTuple):
    """The M large models; every array has shape ``(M,)``.

    Attributes
    ----------
    names : tuple of str
    quality_low, quality_high : similarity at very low and very high SNR (A1, A2)
    quality_slope, quality_offset : the logistic fit between them (C1 in 1/dB, C2)
    bit_rate : semantic bit rate D, bit/s
    compute_power : device power e while the model is rented, W
    serving_cost : seller's cost s of a rented hour, $/h
    adaptation_cost : seller's fine-tuning cost G per customer that selects the model, $
    training_cost : seller's pre-training cost F per period, $
    setup_cost : customer's cost f of committing to the model, $
    """

    names: tuple[str, ...]
    quality_low: FloatArray
    quality_high: FloatArray
    quality_slope: FloatArray
    quality_offset: FloatArray
    bit_rate: FloatArray
    compute_power: FloatArray
    serving_cost: FloatArray
    adaptation_cost: FloatArray
    training_cost: FloatArray
    setup_cost: FloatArray

    @classmethod
    def from_scenario(cls, scenario: Scenario) -> Catalogue:
        """Return the scenario's models as arrays."""
        columns = {name: np.array(getattr(scenario, name), dtype=np.float64) for name in cls._fields[1:]}
        return cls(names=scenario.models, **columns)

    @property
    def size(self) -> int:
        """Number of models M."""
        return len(self.names)
