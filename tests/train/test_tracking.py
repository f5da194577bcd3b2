"""`--track wandb`: Weights & Biases gets the scalars of the TensorBoard logs; a stub stands for its package."""

from __future__ import annotations

import dataclasses
import importlib.machinery
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lmaas_train.__main__ import main
from lmaas_train.cli.train import Train, train
from lmaas_train.runs import CONFIG
from lmaas_train.sb3.training import TrainSB3
from lmaas_train.sb3.training import train as train_sb3
from lmaas_train.tracking import LOGS, RUN_ID, Tracker, start_wandb
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

torch.set_num_threads(1)
OPTIONS: dict[str, Any] = {"tuning_days": 2, "eval_days": 2, "progress": False, "track": "wandb"}


@dataclasses.dataclass
class StubRun:
    id: str = "run-1"
    started: dict[str, Any] = dataclasses.field(default_factory=dict)
    scalars: list[tuple[str, int, float]] = dataclasses.field(default_factory=list)
    ended: list[int] = dataclasses.field(default_factory=list)

    def log(self, data: dict[str, float], step: int) -> None:
        self.scalars += [(name, step, value) for name, value in data.items()]

    def finish(self, exit_code: int = 0) -> None:
        self.ended.append(exit_code)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[StubRun]:
    """Put a stub in the place of wandb; return the runs that it starts."""
    started: list[StubRun] = []

    def init(**options: Any) -> StubRun:
        started.append(StubRun(started=options))
        return started[-1]

    stub = types.ModuleType("wandb")
    stub.__spec__ = importlib.machinery.ModuleSpec("wandb", None)
    vars(stub).update(init=init, Error=type("Error", (Exception,), {}))
    monkeypatch.setitem(sys.modules, "wandb", stub)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return started


def logged(folder: Path) -> list[tuple[str, int, float]]:
    """Return the scalars of TensorBoard's logs."""
    events = EventAccumulator(str(folder / LOGS))
    events.Reload()
    return [(name, it.step, it.value) for name in events.Tags()["scalars"] for it in events.Scalars(name)]


def same(run: StubRun, folder: Path) -> bool:
    found, expected = sorted(run.scalars), sorted(logged(folder))
    return [it[:2] for it in found] == [it[:2] for it in expected] and [it[2] for it in found] == pytest.approx(
        [it[2] for it in expected], rel=1e-6
    )


def test_a_training_from_scratch_sends_what_tensorboard_gets(tmp_path: Path, runs: list[StubRun]) -> None:
    config = tmp_path / "quick.yaml"
    config.write_text("{lanes: 8, copies: 4, batches: 4, hidden: [8]}")
    folder = train(Train(config=config, steps=384, eval_every=192, out=tmp_path / "run", **OPTIONS))
    (run,) = runs
    assert run.started["config"] == yaml.safe_load((folder / CONFIG).read_text())
    assert (run.started["project"], run.started["name"], run.started["dir"]) == ("lmaas", "run", str(folder))
    assert same(run, folder)
    assert {"train/day_profit", "train/policy_loss", "tuning/share_of_imp"} <= {name for name, _, _ in run.scalars}
    assert run.ended == [0]


def test_a_training_of_sb3_sends_what_tensorboard_gets(tmp_path: Path, runs: list[StubRun]) -> None:
    config = tmp_path / "quick.yaml"
    config.write_text("{n_envs: 4, n_steps: 24, batch_size: 48, n_epochs: 2, net_arch: [8]}")
    folder = train_sb3(TrainSB3(config=config, steps=192, eval_every=96, out=tmp_path / "run", **OPTIONS))
    (run,) = runs
    assert same(run, folder)
    assert {"evaluation/day_profit", "day/profit"} <= {name for name, _, _ in run.scalars}
    assert run.ended == [0]


def test_a_run_that_goes_on_keeps_its_id_and_a_fault_ends_it(
    tmp_path: Path, runs: list[StubRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / CONFIG).write_text("train: {}")
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    with pytest.raises(RuntimeError), Tracker(tmp_path, start_wandb(tmp_path, tmp_path / CONFIG)):
        raise RuntimeError
    start_wandb(tmp_path, tmp_path / CONFIG)
    assert (tmp_path / RUN_ID).read_text() == "run-1"
    assert [run.started["id"] for run in runs] == [None, "run-1"]
    assert [run.started["project"] for run in runs] == ["mine", "mine"]
    assert runs[0].ended == [1]


@pytest.mark.parametrize("command", ["train", "train sb3"])
def test_a_missing_package_is_refused_before_any_work(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.chdir(tmp_path)
    assert main([*command.split(), "--track", "wandb"]) == 2
    assert 'wandb is not installed: pip install ".[wandb]" in a clone' in capsys.readouterr().err
    assert main([*command.split(), "--track", "paper"]) == 2
    assert "track" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_weights_and_biases_refuses_is_said(
    tmp_path: Path, runs: list[StubRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / CONFIG).write_text("train: {}")

    def refuse(**_: Any) -> None:
        raise sys.modules["wandb"].Error("no key")

    monkeypatch.setattr(sys.modules["wandb"], "init", refuse)
    with pytest.raises(ValueError, match="track = 'wandb': no key"):
        start_wandb(tmp_path, tmp_path / CONFIG)
