"""The radio channel: distance and shadowing → SNR → rate and semantic similarity (docs/market.md).

Scalar functions compiled with numba, so that kernels can call them; they also run as plain Python functions.
"""

from __future__ import annotations

import math

from lmaas_env.engine.jit import kernel
from lmaas_env.engine.math import exponential, logarithm_of_one_plus

NOISE_DENSITY = -174.0  # dBm/Hz, thermal noise
NOISE_FIGURE = 9.0  # dB, of the receiver
LOWEST_RATE = 1.0  # bit/s; a dead link stays finite
_PER_DECIBEL = math.log(10.0) / 10.0
_LOG_2 = math.log(2.0)


@kernel
def mean_snr(distance: float, bandwidth: float, transmit_power: float) -> float:
    """Return the SNR in dB without shadowing or fade.

    Path loss 128.1 + 37.6 log10(d in km) dB is the 2 GHz macro cell of 3GPP TR 36.814.
    """
    power = 10.0 * math.log10(1000.0 * transmit_power)  # dBm
    path_loss = 128.1 + 37.6 * math.log10(distance / 1000.0)
    noise = NOISE_DENSITY + NOISE_FIGURE + 10.0 * math.log10(bandwidth)
    return power - path_loss - noise


@kernel
def data_rate(snr: float, bandwidth: float) -> float:
    """Return Shannon's rate in bit/s at an SNR in dB, at least 1 bit/s."""
    return max(bandwidth * logarithm_of_one_plus(exponential(_PER_DECIBEL * snr)) / _LOG_2, LOWEST_RATE)


@kernel
def similarity(snr: float, low: float, high: float, slope: float, offset: float) -> float:
    """Return the semantic similarity at an SNR in dB.

    The generalised logistic fit of DeepSC's sentence similarity (Mu, Liu, Guo, Al-Dhahir, IEEE JSAC 2023,
    arXiv 2205.02620).
    """
    return low + (high - low) / (1.0 + exponential(-(slope * snr + offset)))
