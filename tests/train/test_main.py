"""The `lmaas` command: help, hints, JSON, scenarios, missing packages, exit codes, and the scenario commands."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lmaas_train.__main__ import main
from lmaas_train.cli.compare import Compare
from lmaas_train.cli.main import COMMANDS
from lmaas_train.cli.price import Price
from lmaas_train.extras import EXTRAS, missing, require
from lmaas_train.runs import new_folder

import lmaas_env
from lmaas_env import Scenario
from lmaas_env.scenario import PRESETS


def shown_help(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_options_and_examples_and_fits_the_terminal(
    name: str, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = shown_help(name, capsys)
    examples = shown.partition("\nexamples:\n")[2].splitlines()
    assert shown.startswith(f"usage: lmaas {name}")
    assert examples
    assert all(line.startswith(("  lmaas ", "      ")) for line in examples)
    assert any(line.startswith(f"  lmaas {name}") for line in examples)
    assert max(map(len, shown.splitlines())) <= width
    assert "--json" in shown
    for noise in ("(default: )", "None", "…"):
        assert noise not in shown
    if width == 80:
        assert len(shown.splitlines()) <= 60


def scenario_commands() -> list[str]:
    modules = {name: (importlib.import_module(module), options) for name, (module, options, _) in COMMANDS.items()}
    fields = {name: dataclasses.fields(getattr(module, options)) for name, (module, options) in modules.items()}
    return [name for name, its in fields.items() if {it.name for it in its} & {"scenario", "scenarios"}]


def test_presets_are_listed_alike_in_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    commands = scenario_commands()
    market_commands = {"price", "scenario init", "train", "train sb3", "compare", "evaluate", "watch", "explore"}
    market_commands |= {"bound", "dataset", "library", "train in-context", "bench sweep"}
    market_commands |= {"study ahead", "study rivals", "study collusion", "study energy-value"}
    market_commands |= {"study unknown", "train baseline"}
    assert market_commands == set(commands)
    for name in commands:
        shown = " ".join(shown_help(name, capsys).replace("│", "").split())
        assert f"Preset ({', '.join(PRESETS)}) or YAML file." in shown


@pytest.mark.parametrize(
    "arguments",
    [["scarce"], ["--scenario", "scarce"], ["--days", "3", "scarce"], ["scarce", "--sellers", "imp", "--days", "3"]],
)
def test_a_scenario_is_an_option_or_a_positional_argument(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(Compare, "main", lambda self: ran.append(self))
    assert main(["compare", *arguments]) == 0
    assert type(ran[0]) is Compare
    assert ran[0].scenario == "scarce"
    assert ran[0].days == (3 if "--days" in arguments else 40)


def test_every_command_with_a_scenario_takes_it_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in scenario_commands():
        module, options, _ = COMMANDS[name]
        ran: list[Any] = []
        command = getattr(importlib.import_module(module), options)
        monkeypatch.setattr(command, "main", functools.partialmethod(lambda self, ran: ran.append(self), ran))
        field = "scenarios" if hasattr(command, "scenarios") else "scenario"
        first = ["new.yaml"] if name == "scenario init" else []
        assert main([*name.split(), *first, f"--{field}", "static"]) == 0
        assert name == "scenario init" or main([*name.split(), "static"]) == 0
        assert {getattr(it, field) for it in ran} <= {"static", ("static",)}


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["comprae"], "command 'comprae' is unknown, did you mean 'compare'?"),
        (
            ["study", "custmers"],
            "study energy-value, study unknown, did you mean 'study customers'?",
        ),
        (
            ["bench"],
            "command 'bench' needs a second word: bench rsr, bench speed, bench kernel, bench imp, bench scale, "
            "bench sweep, bench reply\n",
        ),
        (["scen"], "command 'scen' is unknown, did you mean 'scenario'?"),
        (["zzz"], "command 'zzz' is unknown; lmaas --help lists all commands"),
        (["compare", "--sellers", "imq"], "seller 'imq' is unknown, did you mean 'imp'?"),
        (["compare", "--sellers", "day-guide"], "seller 'day-guide' is unknown, did you mean 'day-guided'?"),
        (["compare", "--days", "x"], "days = 'x' must be a whole number; see lmaas compare --help"),
        (["price", "--charge", "half"], "charge = 'half' must be a number; see lmaas price --help"),
        (["compare", "--dayz", "3"], "unrecognized options: --dayz, 3, did you mean --days?; see lmaas compare --help"),
        (
            ["report"],
            "PATH is missing: Folder of a comparison, evaluation or training run.; see lmaas report --help",
        ),
        (["compare", "static", "--scenario", "scarce"], "scenario = 'static' is given twice"),
    ],
)
def test_bad_input_is_one_line_with_a_hint_and_exit_code_2(
    arguments: list[str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert fault in printed.err
    assert printed.err.startswith("lmaas: error: ")
    assert len(printed.err.splitlines()) == 1
    assert not printed.out


@pytest.mark.parametrize("width", [60, 80])
def test_the_list_of_commands_fits_the_terminal(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in COMMANDS)
    assert max(map(len, shown.splitlines())) <= width


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lmaas {lmaas_env.__version__}\n"


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


@pytest.mark.parametrize(
    ("blocked", "arguments", "extra"),
    [
        ("tyro", ["compare"], "cli"),
        ("rich", ["price"], "cli"),
        ("torch", ["train"], "train"),
        ("stable_baselines3", ["train", "--help"], "train"),
        ("dash", ["explore"], "view"),
        ("pygame", ["watch", "--window"], "view"),
        ("minari", ["dataset"], "datasets"),
        ("cvxpy", ["bench", "rsr"], "bench"),
        ("pyarrow", ["sweep", "sweep.yaml"], "sweep"),
        ("ray", ["sweep", "sweep.yaml", "--engine", "ray"], "ray"),
    ],
)
def test_a_missing_package_is_refused_before_any_work(
    blocked: str,
    arguments: list[str],
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, blocked, None)
    assert main(arguments) == 2
    said = f'lmaas: error: {blocked} is not installed: pip install ".[{extra}]" in a clone, '
    assert capsys.readouterr().err == said + f'pip install "lmaas[{extra}]" elsewhere\n'
    assert not list(tmp_path.iterdir())


def test_price_compare_and_watch_load_neither_torch_nor_tqdm() -> None:
    extra = *EXTRAS["train"], *EXTRAS["view"], *EXTRAS["bench"]
    modules = [COMMANDS[name][0] for name in ("price", "scenario init", "compare", "evaluate", "report", "watch")]
    code = f"import sys, {', '.join(modules)}; assert not set({extra!r}) & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_extras_hold_what_the_code_names() -> None:
    import tomllib

    stated = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for extra, packages in EXTRAS.items():
        held = " ".join(stated["optional-dependencies"][extra]).replace("-", "_")
        assert all(package in held for package in packages)
        assert extra == "cli" or any(it in held for it in ("lmaas[cli]", "lmaas[train]"))
    require("numpy")
    assert missing("torch").endswith('pip install "lmaas[train]" elsewhere')


@pytest.mark.parametrize("arguments", ["--help", "price --help", "scenario check FILE --json"])
def test_a_closed_pipe_ends_quietly(arguments: str, tmp_path: Path) -> None:
    Scenario().to_yaml(tmp_path / "market.yaml")
    command = [sys.executable, "-m", "lmaas_train", *arguments.replace("FILE", str(tmp_path / "market.yaml")).split()]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=buffered)
    finally:
        os.close(writer)
    assert ended.returncode == 141
    assert "Error" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_rich_output_to_a_closed_pipe_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: object) -> None:
        try:
            raise BrokenPipeError
        except BrokenPipeError:  # as rich does
            raise SystemExit(1)  # noqa: B904

    monkeypatch.setattr(Price, "main", closed)
    monkeypatch.setattr("lmaas_train.cli.main._discard_output", lambda: None)
    assert main(["price"]) == 141


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
    with pytest.raises(ValueError, match="cannot be created: Not a directory"):
        new_folder(tmp_path / "result" / "file" / "below", "")


def test_train_takes_a_configuration_by_name_by_file_and_of_a_run(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    from lmaas_train.sb3.config import CONFIGS, SB3Config

    flat = SB3Config.load("ppo-flat")
    assert SB3Config.load(str(CONFIGS / "ppo-flat.yaml")) == flat
    settings = dataclasses.asdict(flat) | {"net_arch": [8, 8]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"train": {"seed": 3}, "sb3": settings, "scenario": {}}))
    assert SB3Config.load(str(tmp_path / "config.yaml")) == dataclasses.replace(flat, net_arch=(8, 8))
    with pytest.raises(ValueError, match="config = 'ppo-flt' is unknown, did you mean 'ppo-flat'"):
        SB3Config.load("ppo-flt")
