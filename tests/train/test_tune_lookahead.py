"""`lmaas tune lookahead`, small: it writes a nu for what it was asked, and the shipped file is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.lookahead import TUNED
from train.__main__ import main


def test_tuning_writes_the_file_it_was_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped, out = TUNED.read_text(), tmp_path / "nu.json"
    assert main(["tune", "lookahead", "--scenarios", "abundant", "--days", "1", "--out", str(out)]) == 0
    content = json.loads(out.read_text())
    assert 0.0 <= content["nu"]["abundant"] <= 1.0
    assert content["days"] == 1
    assert "numba" in content["versions"]
    assert "abundant: nu =" in capsys.readouterr().out
    assert TUNED.read_text() == shipped
