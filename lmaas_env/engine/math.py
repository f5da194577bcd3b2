"""Logarithm and exponential in forms that vectorise: no branch, no table, no call, so that LLVM uses the SIMD units.

numba's own compile to one call of libm per number. The argument reductions and the coefficients are those of fdlibm
(e_log.c, e_exp.c).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmaas_env.engine.jit import kernel

_LOG2_HIGH, _LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # log 2 in two parts
_MANTISSA = 0x000FFFFFFFFFFFFF
_ROOT_HALF = 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)
_ONE = 0x3FF0000000000000  # the bits of 1.0
_ROUND = 6755399441055744.0  # 1.5 2^52: adding it rounds to an integer, which stands in the last bits


@kernel
def where(condition: bool, if_true: Any, if_false: Any) -> Any:
    """Select without a branch: both arguments are evaluated before the call."""
    return if_true if condition else if_false


@kernel
def logarithm(x: float) -> float:
    """Return log x of a normal x > 0, within 0.85 units in the last place.

    x = 2^power (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); log(1 + f) by a series in f / (2 + f).
    """
    bits = np.float64(x).view(np.int64) + (_ONE - _ROOT_HALF)
    # The exponent becomes a float as the last bits of 2^52 + power, which needs no instruction for integers.
    power = np.int64((bits >> 52) | 0x4330000000000000).view(np.float64) - (4503599627370496.0 + 1023.0)
    f = np.int64((bits & _MANTISSA) + _ROOT_HALF).view(np.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    odd = 2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)
    odd = z * (6.666666666666735130e-01 + w * odd)
    half = 0.5 * f * f
    return s * (half + (even + odd)) + power * _LOG2_LOW - half + f + power * _LOG2_HIGH


@kernel
def logarithm_of_one_plus(y: float) -> float:
    """Return log(1 + y) of a y >= 0, within 2.5 units in the last place however small y is.

    What the rounding of 1 + y adds to y is scaled away.
    """
    u = 1.0 + y
    rounded = u - 1.0
    return where(rounded == 0.0, y, logarithm(u) * (y / where(rounded == 0.0, 1.0, rounded)))


@kernel
def exponential(x: float) -> float:
    """Return e^x within 0.9 units in the last place; beyond -708 and 709 that of the nearer one, never 0 or infinite.

    x = power log 2 + r with |r| <= log 2 / 2; e^r = 1 + r + r c / (2 - c), c = r - r^2 P(r^2).
    """
    x = where(x < -708.0, -708.0, x)  # NaN stays NaN
    x = where(x > 709.0, 709.0, x)
    shifted = x * 1.44269504088896338700 + _ROUND
    power = shifted - _ROUND
    high, low = x - power * _LOG2_HIGH, power * _LOG2_LOW
    r = high - low
    z = r * r
    c = -1.65339022054652515390e-06 + z * 4.13813679705723846039e-08
    c = 1.66666666666666019037e-01 + z * (-2.77777777770155933842e-03 + z * (6.61375632143793436117e-05 + z * c))
    c = r - z * c
    mantissa = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    scale = np.int64(((np.float64(shifted).view(np.int64) & 0xFFF) << 52) + _ONE)
    return mantissa * scale.view(np.float64)
