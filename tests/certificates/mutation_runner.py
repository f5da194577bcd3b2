"""Run the checks on mutants: ``NUMBA_DISABLE_JIT=1 python -m tests.certificates.mutation_runner GROUP``.

Plain Python kernels need no compilation, so that a mutant costs the import of our packages and one check. Prints as
JSON what became of each check without a mutant, and of each mutant of the group.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, ModuleType

import numpy as np
import pytest

from tests.certificates.mutants import GROUPS, Mutant

ROOT = Path(__file__).parents[2]
FOLDERS = {"lmaas_env": "lmaas_env", "lmaas_agents": "agents"}
OURS = ("lmaas_env", "lmaas_agents", "tests")


def mutated_source(mutant: Mutant) -> str:
    """Return the text of the mutant's module with the change."""
    package, *rest = mutant.module.split(".")
    file = ROOT.joinpath(FOLDERS[package], *rest).with_suffix(".py")
    text = file.read_text(encoding="utf-8")
    count = text.count(mutant.text)
    assert count == 1, f"{file} holds {mutant.text!r} {count} times: renew the mutant {mutant.name!r}"
    return text.replace(mutant.text, mutant.replacement)


class _Loader(importlib.machinery.SourceFileLoader):
    """Load a module's file with another text, without bytecode caches."""

    source = ""

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    """Find one module with another text."""

    def __init__(self, module: str, source: str) -> None:
        self.module, self.source = module, source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin)
        spec.loader.source = self.source
        return spec


def _checks(mutant: Mutant | None) -> dict[str, Callable[[], None]]:
    """Import the checks and our packages anew, with a mutant's module if there is one; return the checks by name."""
    for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
        del sys.modules[name]
    finders = [] if mutant is None else [_Finder(mutant.module, mutated_source(mutant))]
    sys.meta_path[:0] = finders
    try:
        checks = importlib.import_module("tests.certificates.checks").CHECKS
        return {check.__name__: check for check in checks}
    finally:
        for finder in finders:
            sys.meta_path.remove(finder)


def _run(mutant: Mutant | None, name: str) -> str:
    """Return what a check says: "passes", "fails: ..." for an assertion, or another error."""
    try:
        _checks(mutant)[name]()
    except (AssertionError, pytest.fail.Exception) as error:
        return f"fails: {str(error).strip().splitlines()[0] if str(error).strip() else 'assertion'}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "passes"


def main(group: str) -> None:
    """Print {check or mutant: what the check says} as JSON; seconds go to the standard error."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")  # `where` computes both of its branches
    checks = dict.fromkeys(mutant.check for mutant in GROUPS[group])
    runs: list[tuple[str, Mutant | None, str]] = [(check, None, check) for check in checks]
    runs += [(mutant.name, mutant, mutant.check) for mutant in GROUPS[group]]
    results: dict[str, str] = {}
    for name, mutant, check in runs:
        began = time.process_time()
        results[name] = _run(mutant, check)
        print(f"{time.process_time() - began:6.2f} s  {name}: {results[name]}", file=sys.stderr, flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1])
