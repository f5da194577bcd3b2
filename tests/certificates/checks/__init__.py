"""Checks on tiny markets, each fast enough to run without compiled kernels.

`test_checks` runs them on compiled kernels, `test_mutations` on plain Python: there each must pass, and fail once the
code is broken on purpose. Every check compares the code with a second writing, a certificate or a property.
"""

from __future__ import annotations

from tests.certificates.checks import (
    bounds,
    environments,
    lookahead,
    periods,
    pricing,
    rivals,
    selecting,
    spaces,
    static_robust,
)

CHECKS = [
    *selecting.CHECKS,
    *periods.CHECKS,
    *spaces.CHECKS,
    *environments.CHECKS,
    *rivals.CHECKS,
    *pricing.CHECKS,
    *lookahead.CHECKS,
    *bounds.CHECKS,
    *static_robust.CHECKS,
]
