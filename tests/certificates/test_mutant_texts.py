"""Every mutant changes code that is there: its text occurs exactly once in its module (the mutants run every night)."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

from tests.certificates.mutants import GROUPS


def test_the_text_of_every_mutant_occurs_once() -> None:
    mutants = [mutant for group in GROUPS.values() for mutant in group]
    sources = {name: importlib.util.find_spec(name) for name in {mutant.module for mutant in mutants}}
    code = {name: Path(found.origin or "").read_text(encoding="utf-8") for name, found in sources.items() if found}
    times = Counter({mutant.name: code[mutant.module].count(mutant.text) for mutant in mutants})
    assert {name: count for name, count in times.items() if count != 1} == {}
