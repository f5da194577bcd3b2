"""How kernels are compiled: numba, cached beside the source, and never stale.

numba recompiles a cached function when its own file changes, but not when a function that it calls from another file
does. So a package drops its cached kernels when they are older than any source that they may be built from.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a function of arrays and numbers; divisions by zero give inf or NaN as in NumPy, without a check."""
    return cast(Function, njit(cache=True, error_model="numpy")(function))


def drop_stale_kernels(folder: Path, *sources: Path) -> None:
    """Delete a folder's cached kernels that are older than any Python file in it or in the folders of ``sources``."""
    newest = max(file.stat().st_mtime for place in (folder, *sources) for file in place.glob("*.py"))
    for cached in (folder / "__pycache__").glob("*.nb[ic]"):
        try:
            if cached.stat().st_mtime < newest:
                cached.unlink()
        except OSError:  # another process was faster, or the place is read-only and numba caches elsewhere
            continue


drop_stale_kernels(Path(__file__).parent)
