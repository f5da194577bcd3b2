"""The `lmaas` command: help with examples for every command, hints, JSON, and the scenario commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lmaas_train.__main__ import COMMANDS, main
from lmaas_train.runs import new_folder

from lmaas_env import Scenario


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_options_and_examples_and_fits_a_screen(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    examples = shown.partition("\nexamples:\n")[2].splitlines()
    assert f"lmaas {name}" in shown.splitlines()[0]
    assert examples
    assert all(line.startswith("  lmaas ") for line in examples)
    assert any(line.startswith(f"  lmaas {name}") for line in examples)
    assert len(shown.splitlines()) <= 60


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["comprae"], "command 'comprae' is unknown, did you mean 'compare'?"),
        (["study", "custmers"], "say which: study customers, study seller, study ahead, did you mean 'study custom"),
        (["bench"], "say which: bench rsr, bench speed, bench kernel, bench imp\n"),
        (["scen"], "command 'scen' is unknown, did you mean 'scenario'?"),
        (["zzz"], "command 'zzz' is unknown; lmaas --help lists them"),
        (["compare", "--sellers", "imq"], "seller 'imq' is unknown, did you mean 'imp'?"),
    ],
)
def test_misspelt_words_are_refused_with_a_hint(
    arguments: list[str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert fault in capsys.readouterr().err


def test_the_list_of_commands_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)
    assert max(map(len, shown.splitlines())) <= 100


def test_json_stands_alone_on_the_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--scenario", "static", "--days", "2", "--sellers", "random", "--out", str(tmp_path / "result")]
    assert main(["compare", *arguments, "--json"]) == 0
    printed = capsys.readouterr()
    rows = json.loads(printed.out)
    assert [row["seller"] for row in rows] == ["imp", "random"]
    assert rows[0]["profit"]["mean"] > rows[1]["profit"]["mean"]
    assert "seller's profit" in printed.err


def test_a_scenario_is_written_checked_and_never_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    start = ["scenario", "init", "mine.yaml", "--preset", "static", "--customers-file", "people.csv"]
    assert main(start) == 0
    scenario = Scenario.from_yaml("mine.yaml")
    assert scenario.customers_file == str(tmp_path / "people.csv")
    assert (scenario.settlement, scenario.periods, scenario.name) == ("plan", 1, "mine")
    capsys.readouterr()
    assert main(["scenario", "check", "mine.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scenario"]["customers"] == 24
    before = Path("mine.yaml").read_text(), Path("people.csv").read_text()
    assert main(start) == 2
    assert "file 'mine.yaml' exists already; nothing was changed" in capsys.readouterr().err
    assert main(["scenario", "init", "new.yaml", "--customers-file", "people.csv"]) == 2
    assert main(["scenario", "init", "new.txt"]) == 2
    assert main(["scenario", "init", "none/new.yaml"]) == 2
    assert (Path("mine.yaml").read_text(), Path("people.csv").read_text()) == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine.yaml", "people.csv"]
    Path("mine.yaml").write_text("harvest: -1\nslots: x\n")
    capsys.readouterr()
    assert main(["scenario", "check", "mine.yaml"]) == 2
    printed = capsys.readouterr().err
    assert "line 1: harvest = -1 must be a number in [0, 10]" in printed
    assert "line 2: slots = 'x' must be a whole number in [1, 96]" in printed


def test_an_extra_that_is_missing_is_named() -> None:
    code = "import sys; sys.modules['tyro'] = None\nfrom train.__main__ import main\nsys.exit(main(['compare']))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert 'pip install "lmaas[train]"' in ended.stderr


@pytest.mark.parametrize("behind", [True, False])
def test_ctrl_c_says_how_to_go_on_and_other_errors_are_not_hidden(
    behind: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(self: object) -> None:
        try:
            raise KeyboardInterrupt if behind else RuntimeError
        except BaseException as error:
            raise SystemError("a kernel returned a result with an exception set") from error

    monkeypatch.setattr("lmaas_train.cli.compare.Compare.main", interrupted)
    if not behind:
        with pytest.raises(SystemError):
            main(["compare"])
        return
    assert main(["compare", "--days", "7"]) == 130
    assert "again: lmaas compare --days 7" in capsys.readouterr().err


def test_an_empty_folder_that_a_stopped_command_left_is_used_again(tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()
    assert new_folder(tmp_path / "result", "") == tmp_path / "result"
    (tmp_path / "result" / "file").touch()
    with pytest.raises(ValueError, match="exists already"):
        new_folder(tmp_path / "result", "")
