"""How kernels are compiled: by numba, with a cache on disk that is never stale.

numba recompiles a cached function when its own file changes, but not when a function that it calls from another file
does. So a package's cached kernels are deleted when its code or that of the engine has changed since they were made.
Comments and docstrings do not count. With NUMBA_BOUNDSCHECK=1 nothing is cached: numba's cache does not tell kernels
that check their indices from those that do not.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import pickle
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit
from numba.core import config

from lmaas_env.files import write_whole

Function = TypeVar("Function", bound=Callable[..., Any])

_ENGINE = Path(__file__).parent
_STAMP = "kernels.sha256"  # in __pycache__: what the cached kernels were built from


def kernel(function: Function) -> Function:
    """Compile a function of arrays and numbers; divisions by zero give inf or NaN as in NumPy, without a check.

    It runs without the interpreter's lock, so that threads can share out a batch (`lmaas_env.engine.parallel`). Where
    no folder for the cache can be written, kernels are compiled in every process, after one warning.
    """
    if not getattr(config, "BOUNDSCHECK", None):
        _drop_stale_kernels(_package_of(Path(function.__code__.co_filename)))
        try:
            compiled: Any = njit(cache=True, error_model="numpy", nogil=True)(function)
            if not getattr(config, "DISABLE_JIT", None):
                compiled._cache.save_overload = _unless_it_fails(compiled._cache.save_overload)
                compiled._cache.load_overload = _unless_it_fails(compiled._cache.load_overload)
            return cast(Function, compiled)
        except RuntimeError:  # numba finds no place for its cache
            _warn_of_no_cache()
    return cast(Function, njit(error_model="numpy", nogil=True)(function))


def _unless_it_fails(access: Callable[..., Any]) -> Callable[..., Any]:
    """Return an access to numba's cache that does nothing where the disk is full or a cached file is damaged."""

    def attempt(*arguments: Any) -> Any:
        try:
            return access(*arguments)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            _warn_of_no_cache()
            return None

    return attempt


@functools.cache
def _warn_of_no_cache() -> None:
    warnings.warn(
        "compiled kernels cannot be cached, so every process compiles them anew (about a minute); "
        "set NUMBA_CACHE_DIR to a folder that can be written",
        RuntimeWarning,
        stacklevel=3,
    )


@functools.cache
def _drop_stale_kernels(package: Path) -> None:
    """Delete a package's cached kernels if they were built from other code; done once in a process."""
    stamp = package / "__pycache__" / _STAMP
    sources = sorted({*package.rglob("*.py"), *_ENGINE.glob("*.py")})
    try:
        newest = max(source.stat().st_mtime_ns for source in sources)
        if stamp.exists() and stamp.stat().st_mtime_ns > newest:
            return
        digest = code_digest(sources)
        if not stamp.exists() or stamp.read_text() != digest:
            for cached in package.rglob("__pycache__/*.nb[ic]"):
                cached.unlink(missing_ok=True)
        stamp.parent.mkdir(exist_ok=True)
        write_whole(stamp, digest)
    except OSError:  # read-only: numba then caches elsewhere, by the sources' times, which an installation renews
        return


def _package_of(file: Path) -> Path:
    """Return the outermost package that holds a file, or its folder."""
    folder = file.parent
    while (folder.parent / "__init__.py").exists():
        folder = folder.parent
    return folder


def code_digest(sources: Iterable[Path]) -> str:
    """Return a digest of what Python files do: their code without comments and docstrings, and Python's version."""
    digest = hashlib.sha256(sys.version.encode())
    for source in sources:
        tree = ast.parse(source.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()
