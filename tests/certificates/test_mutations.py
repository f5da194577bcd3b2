"""The checks can fail: each is run on code that is broken on purpose, and must notice.

The mutants stand in `tests.certificates.mutants`. One subprocess per group runs them on plain Python kernels.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.certificates.mutants import GROUPS

ROOT = Path(__file__).parents[2]


@pytest.mark.heavy
@pytest.mark.parametrize("group", list(GROUPS))
def test_checks_pass_on_the_code_and_fail_on_every_mutant(group: str) -> None:
    command = [sys.executable, "-m", "tests.certificates.mutation_runner", group]
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    results: dict[str, str] = json.loads(run.stdout)
    mutants = [mutant.name for mutant in GROUPS[group]]
    assert len(set(mutants)) == len(mutants)
    assert {name: said for name, said in results.items() if name not in mutants and said != "passes"} == {}
    assert {name: results[name] for name in mutants if not results[name].startswith("fails")} == {}
