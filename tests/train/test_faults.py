"""Faults of the machine: kills, full disks, damaged snapshots, two processes on one folder, poor terminals, no home."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from lmaas_train.__main__ import main
from lmaas_train.cli.train import Train, train
from lmaas_train.datasets import dataset_folder
from lmaas_train.evaluation import result_files
from lmaas_train.explore.hour import CUSTOMERS_FILES, hour_of
from lmaas_train.runs import csv_text, in_use, results_folder
from lmaas_train.sb3 import training as sb3
from lmaas_train.snapshots import load_snapshot, save_snapshot

from lmaas_env import Population, Scenario
from lmaas_env.files import TEMPORARY, locked, new_whole_folder, read_bytes, read_text, write_whole

resource = pytest.importorskip("resource")  # not on Windows

SELLER = """
import os, time, pathlib
class Slow:
    def __init__(self):
        with open(pathlib.Path(__file__).with_name("made.txt"), "a") as file:
            file.write("made\\n")
    def predict(self, observation):
        if os.environ.get("HANG"):
            pathlib.Path(__file__).with_name("hangs.txt").touch()
            time.sleep(300)
        return [0.0] * 4, None
class Quick(Slow):
    def predict(self, observation):
        return [0.1] * 4, None
"""


def started(arguments: list[str], signs: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start a command that hangs at a place, and wait until it is there."""
    command = [sys.executable, "-m", "lmaas_train", *arguments]
    process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 300.0  # kernels may have to be compiled
    while not signs.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    return process


@pytest.mark.usefixtures("compiled")
def test_a_comparison_goes_on_after_kill_9_and_is_alone_in_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(SELLER)
    out, file = tmp_path / "out", tmp_path / "mine.py"
    arguments = ["compare", "static", "--days", "2", "--sellers", f"{file}:Quick", f"{file}:Slow", "--out", str(out)]
    process = started(arguments, tmp_path / "hangs.txt", HANG="1")
    try:
        assert main(arguments) == 2
        assert f"folder '{out}' is in use by another process; nothing was changed\n" in capsys.readouterr().err
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (out / f"{TEMPORARY}table.csv-x").write_text("half a line")
    assert main(["report", str(out)]) == 2
    assert "is not complete" in capsys.readouterr().err
    made = (tmp_path / "made.txt").read_text().count("made")
    assert main([*arguments[:3], "3", *arguments[4:]]) == 2
    assert "holds an unfinished run with other settings (days)" in capsys.readouterr().err
    assert main(arguments) == 0
    assert (tmp_path / "made.txt").read_text().count("made") == made + 1  # Slow, as Quick was finished
    assert json.loads((out / "origin.json").read_text())["complete"]
    assert not [path.name for path in out.iterdir() if path.name.startswith(".") or path.is_dir()]
    assert {row["seller"] for row in result_files.table(out / "table.csv")} == {"imp", "Quick", "Slow"}
    before = (out / "table.csv").read_bytes()
    assert main(arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert (out / "table.csv").read_bytes() == before


KILLED = """
import os, signal, sys
from pathlib import Path
from lmaas_train.cli import train as command
learn, count = command.PPO.update, 0
def update(learner, done):
    global count
    count += 1
    if count > int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return learn(learner, done)
command.PPO.update = update
folder = Path(sys.argv[1])
options = dict(steps=576, eval_every=192, checkpoint_every=192, tuning_days=2, eval_days=2, progress=False)
command.train(command.Train(out=folder / "cut", config=folder / "quick.yaml", **options))
"""


@pytest.mark.heavy  # `test_ppo` goes on from a snapshot without a kill
@pytest.mark.parametrize("updates", [0, 2])
def test_a_training_goes_on_after_kill_9(tmp_path: Path, updates: int) -> None:
    config = {"lanes": 8, "copies": 4, "epochs": 2, "batches": 4, "hidden": [8]}
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(config))
    options = {"steps": 576, "eval_every": 192, "checkpoint_every": 192, "tuning_days": 2, "eval_days": 2}
    whole = train(Train(out=tmp_path / "whole", config=tmp_path / "quick.yaml", progress=False, **options))
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(updates)], check=False)
    assert ended.returncode == -signal.SIGKILL
    cut = tmp_path / "cut"
    assert not json.loads((cut / "origin.json").read_text())["complete"]
    with in_use(cut), pytest.raises(ValueError, match="is in use by another process"):
        train(Train(resume=cut, progress=False))
    main(["train", "--resume", str(cut)])  # from the command line, as a user does
    assert (cut / "policy.safetensors").read_bytes() == (whole / "policy.safetensors").read_bytes()
    curves = [[row.split(",")[::2] for row in (it / "evaluations.csv").read_text().splitlines()] for it in (whole, cut)]
    assert curves[0] == curves[1]
    assert json.loads((cut / "origin.json").read_text())["complete"]


@pytest.mark.heavy
def test_monitor_csv_is_continued_and_a_run_without_checkpoint_starts_again(tmp_path: Path) -> None:
    settings = {"n_envs": 4, "n_steps": 24, "batch_size": 48, "n_epochs": 2, "net_arch": [8]}
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(settings))
    options = {"steps": 384, "eval_every": 192, "checkpoint_every": 192, "tuning_days": 2, "eval_days": 2}
    run = sb3.TrainSB3(out=tmp_path / "run", config=tmp_path / "quick.yaml", progress=False, **options)
    folder = sb3.train(run)
    whole = (folder / "monitor.csv").read_text().splitlines()
    assert len(whole) == 2 + 384 // 24
    weights = (folder / "policy.safetensors").read_bytes()
    sb3.train(sb3.TrainSB3(resume=folder, progress=False))
    again = (folder / "monitor.csv").read_text().splitlines()
    columns = [[row.split(",")[:2] for row in rows[2:]] for rows in (whole, again)]  # not the time
    assert columns[0] == columns[1]
    assert (folder / "policy.safetensors").read_bytes() == weights
    (folder / "snapshot.pt").unlink()  # as if it had been killed before
    sb3.train(sb3.TrainSB3(resume=folder, progress=False))
    assert (folder / "policy.safetensors").read_bytes() == weights
    assert len((folder / "monitor.csv").read_text().splitlines()) == len(whole)


def test_no_flipped_bit_of_a_snapshot_goes_unnoticed(tmp_path: Path) -> None:
    path, rng = tmp_path / "snapshot.pt", np.random.default_rng(0)
    save_snapshot(path, {"weights": torch.arange(300.0), "steps": 3})
    assert load_snapshot(path, ["weights"])["steps"] == 3
    content = path.read_bytes()
    for place in rng.choice(8 * len(content), 300, replace=False).tolist():
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"snapshot\.pt: is no snapshot of a training run: it is damaged"):
            load_snapshot(path, ["weights"])


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Compile and cache what a comparison needs, so that tests meet no other files than its own."""
    out = tmp_path_factory.mktemp("compiled") / "out"
    assert main(["compare", "static", "--days", "2", "--sellers", "random", "--out", str(out)]) == 0


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("most", [0, 300, 3_000, 30_000, 3_000_000])
def test_a_full_disk_ends_in_one_line_with_nothing_half_written(
    most: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))  # no file can grow beyond it
    try:
        status = main(["compare", "static", "--days", "2", "--sellers", "random", "--out", str(out)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    said = capsys.readouterr().err.splitlines()
    assert status == 2
    assert said[-1].startswith(f"lmaas: error: {out}")
    assert said[-1].endswith(": File too large")
    assert not [line for line in said if "Traceback" in line]
    assert not list(out.rglob(f"{TEMPORARY}*"))
    for file in out.glob("*.csv"):
        assert file.read_text().endswith("\n")
    if most == 3_000_000:  # all but the report, and the sellers are kept
        assert (out / "table.csv").exists()
        assert main(["compare", "static", "--days", "2", "--sellers", "random", "--out", str(out)]) == 0


UNCACHED = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from lmaas_env.engine.jit import kernel
import kernels
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
print(kernels.one(1.0), kernels.two(1.0))
"""


def test_on_a_full_disk_kernels_work_after_one_warning(tmp_path: Path) -> None:
    kernels = "from lmaas_env.engine.jit import kernel\n"
    kernels += "".join(f"@kernel\ndef {name}(x):\n    return x + {k + 1}\n" for k, name in enumerate(("one", "two")))
    (tmp_path / "kernels.py").write_text(kernels)
    command = [sys.executable, "-c", UNCACHED, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "2.0 3.0\n")
    assert ended.stderr.count("RuntimeWarning") == 1
    assert "cannot be cached" in ended.stderr


def test_output_that_cannot_be_written_ends_in_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "lmaas_train", "--help"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (2, "lmaas: error: [Errno 28] No space left on device\n")


def test_a_terminal_of_ascii_shows_every_table(tmp_path: Path) -> None:
    (tmp_path / "é.yaml").write_text("base: static\nname: Zürich\n", encoding="utf-8")
    command = [sys.executable, "-m", "lmaas_train", "price", str(tmp_path / "é.yaml"), "--boxes", "0"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert ended.returncode == 0
    assert ended.stdout.isascii()
    assert b"Z?rich" in ended.stdout
    assert not ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scenario", "check", "/dev/zero"], "scenario file '/dev/zero' cannot be read: it is a device or a pipe"),
        (["scenario", "check", "pipe.yaml"], "scenario file 'pipe.yaml' cannot be read: it is a device or a pipe"),
        (["scenario", "check", "."], "scenario file '.' cannot be read: Is a directory"),
        (["scenario", "init", "/proc/new.yaml"], "/proc/new.yaml: No such file or directory"),
        (["compare", "static", "--out", "x" * 300], "File name too long"),
        (["compare", "static", "--out", "/dev/null/x"], "cannot be created: Not a directory"),
        (["compare", "city", "--days", "1000000"], "days = 1,000,000 of 24 periods, 1,000 customers and 6 slots must"),
        (["compare", "static", "--days", "9" * 5000], "--days"),
        (["compare", "static", "--sellers", "a\nb"], "name 'a\\nb' of a seller must have at most 200 printable"),
        (["train", "--steps", "1" + "0" * 20], "steps = 100000000000000000000 must be at least 1, at most 1e+12"),
        (["scenario", "init", "new.yaml", "--customers-file", "../x.csv"], "must lie in the folder"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.yaml")
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.yaml"]


def test_a_byte_order_mark_is_dropped_and_other_encodings_are_named(tmp_path: Path) -> None:
    file = tmp_path / "market.yaml"
    file.write_bytes("\ufeffname: Zürich\n".encode())
    assert Scenario.from_yaml(file).name == "Zürich"
    Population.sample(Scenario(customers=3), np.random.default_rng(0)).to_csv(tmp_path / "people.csv")
    plain = Population.from_csv(tmp_path / "people.csv")
    (tmp_path / "people.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "people.csv").read_bytes())
    assert all(np.array_equal(*pair) for pair in zip(plain, Population.from_csv(tmp_path / "people.csv"), strict=True))
    for content in ("name: a\n".encode("utf-16"), b"name: \xe9\n"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"scenario file '.*market.yaml' is not UTF-8 text: .* at byte"):
            Scenario.from_yaml(file)


def test_large_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**40)  # sparse
    with pytest.raises(ValueError, match="it has more than 16,777,216 bytes"):
        read_text(tmp_path / "large")
    with pytest.raises(ValueError, match="it has more than 4,294,967,296 bytes"):
        read_bytes(tmp_path / "large")


def test_spreadsheets_find_no_formulas_in_tables(tmp_path: Path) -> None:
    names = ["=1+1", "+a", "-a", "@a", "'=a", "a", "'a"]
    (tmp_path / "table.csv").write_text(csv_text(["seller", "profit"], [[name, -1.5] for name in names]))
    with (tmp_path / "table.csv").open(newline="") as file:
        assert not [row for row in csv.DictReader(file) if row["seller"].startswith(("=", "+", "-", "@"))]
    assert [row["seller"] for row in result_files.table(tmp_path / "table.csv")] == names
    assert {row["profit"] for row in result_files.table(tmp_path / "table.csv")} == {-1.5}


def test_writers_leave_nothing_and_clean_up_after_those_that_were_killed(tmp_path: Path) -> None:
    for left in (tmp_path / f"{TEMPORARY}a", tmp_path / f"{TEMPORARY}b"):
        left.mkdir()
    with locked(tmp_path / f"{TEMPORARY}b"), new_whole_folder(tmp_path / "new") as new:  # b is at work
        (new / "file").write_text("content")
        assert not (tmp_path / f"{TEMPORARY}a").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{TEMPORARY}b", "new"]
    with pytest.raises(OSError, match="folder/file") as refused:
        write_whole(tmp_path / "folder" / "file", "content")
    assert refused.value.filename == str(tmp_path / "folder" / "file")
    write_whole(tmp_path / "file", "content")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_parts_are_made_once_and_a_damaged_one_again(tmp_path: Path) -> None:
    made: list[str] = []

    def fill(stop: bool) -> list[list[list[float]]]:
        with results_folder(tmp_path / "out", "", {"days": 3}) as results:
            rows = [results.rows(name, lambda name=name: [made.append(name), [[0.1, np.nan]]][1]) for name in "ab"]
            if stop:
                raise KeyboardInterrupt
            return rows

    with pytest.raises(KeyboardInterrupt):
        fill(stop=True)
    parts = sorted((tmp_path / "out" / "unfinished").glob("*.part"))
    parts[0].write_bytes(parts[0].read_bytes()[:-3] + b"9]]")
    rows = fill(stop=False)
    assert rows[0][0][0] == rows[1][0][0] == 0.1
    assert sorted(made) in (["a", "a", "b"], ["a", "b", "b"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["origin.json"]


def test_a_request_to_the_explorer_names_no_local_file(tmp_path: Path) -> None:
    file = str(tmp_path / "people.csv")
    Population.sample(Scenario(customers=5), np.random.default_rng(0)).to_csv(file)
    scenario = Scenario(customers=5, customers_file=file).to_dict()
    period = {"scenario": scenario, "seed": 0, "hour": 12, "charge": 0.5, "demand": 1.0}
    for named in (file, "/etc/passwd"):
        with pytest.raises(ValueError, match="was not given when the explorer started"):
            hour_of({**period, "scenario": {**scenario, "customers_file": named}})
    CUSTOMERS_FILES.add(file)
    try:
        assert hour_of(period).terms.size == 5
    finally:
        CUSTOMERS_FILES.remove(file)


def test_results_of_a_market_with_its_own_customers_can_be_moved(tmp_path: Path) -> None:
    (tmp_path / "market").mkdir()
    Population.sample(Scenario(customers=5), np.random.default_rng(0)).to_csv(tmp_path / "market" / "people.csv")
    (tmp_path / "market" / "market.yaml").write_text("base: static\ncustomers_file: people.csv\n")
    market, out = str(tmp_path / "market" / "market.yaml"), tmp_path / "out"
    assert main(["price", market, "--boxes", "0", "--out", str(out)]) == 0
    (tmp_path / "market" / "people.csv").unlink()
    out.rename(tmp_path / "moved")
    assert Scenario.from_yaml(tmp_path / "moved" / "market.yaml").customers == 5


def test_links_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Population.sample(Scenario(customers=5), np.random.default_rng(0)).to_csv(tmp_path / "people.csv")
    (tmp_path / "in" / "link.csv").symlink_to(tmp_path / "people.csv")
    file = tmp_path / "in" / "market.yaml"
    for name in ("link.csv", "../people.csv", str(tmp_path / "people.csv")):
        file.write_text(f"customers_file: {name}\n")
        with pytest.raises(ValueError, match=r"market.yaml', line 1: customers_file = .* must lie in the folder"):
            Scenario.from_yaml(file)


def test_without_a_home_datasets_ask_for_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("minari")
    monkeypatch.delenv("MINARI_DATASETS_PATH", raising=False)

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ValueError, match="out must be given, as there is no home folder"):
        dataset_folder("mine/day-ppo-v0", None)
    assert dataset_folder("mine/day-ppo-v0", tmp_path) == tmp_path / "mine" / "day-ppo-v0"


READ_ONLY = """
import warnings
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    from lmaas_env.engine.channel import mean_snr
    from lmaas_agents import load_policy
    load_policy("day-ppo")
    print(round(mean_snr(1000.0, 1e5, 1.0), 6), [str(it.message)[:42] for it in seen if "cached" in str(it.message)])
"""


def as_nobody(arguments: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user who owns nothing, has no home and may read but not write what is installed."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user")
    reads = "-all,+dac_read_search"  # the interpreter may lie in the home folder of root
    capabilities = [f"--inh-caps={reads}", f"--ambient-caps={reads}"]
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *capabilities]
    folder.chmod(0o777)
    unset = ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "MPLCONFIGDIR", "USER", "LOGNAME")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    command = [*user, sys.executable, "-B", *arguments]
    environment |= {"HOME": "/nonexistent", "TMPDIR": str(folder)} | variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_user_without_home_reads_an_installation_that_it_cannot_write(tmp_path: Path) -> None:
    ended = as_nobody(["-c", READ_ONLY], tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "16.9 ['compiled kernels cannot be cached, so ever']\n")
    for arguments in (["init", "market.yaml"], ["check", "market.yaml"]):
        ended = as_nobody(["-m", "lmaas_train", "scenario", *arguments], tmp_path)
        assert ended.returncode == 0, ended.stderr
    assert Scenario.from_yaml(tmp_path / "market.yaml").name == "market"


@pytest.mark.heavy
@pytest.mark.parametrize(
    "arguments",
    [
        ["compare", "static", "--days", "2", "--sellers", "day-ppo", "random", "--out", "out"],
        ["price", "static", "--boxes", "0"],
        ["train", "--scenario", "static", "--steps", "256", "--tuning-days", "2", "--eval-days", "2", "--out", "out"],
    ],
)
def test_commands_run_for_a_user_without_home(arguments: list[str], tmp_path: Path) -> None:
    """As plain Python: to compile everything for each takes a minute, and the test above compiles."""
    ended = as_nobody(["-m", "lmaas_train", *arguments], tmp_path, NUMBA_DISABLE_JIT="1")
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_command_that_fails_after_its_files_leaves_no_folder(tmp_path: Path) -> None:
    def fail() -> None:
        with results_folder(tmp_path / "out", "") as results:
            (results.folder / "table.csv").write_text("half", encoding="utf-8")
            raise RuntimeError("late")

    with pytest.raises(RuntimeError, match="late"):
        fail()
    assert not (tmp_path / "out").exists()
