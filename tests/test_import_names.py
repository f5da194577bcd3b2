"""The generic names `agents` and `train` are left to others: the packages work beside other code of these names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

USE = """
import sys

import gymnasium as gym
import lmaas_agents
import lmaas_env
import lmaas_train

env = gym.make("LMaaS-v0")
env.reset(seed=0)
lmaas_agents.IMP(env.unwrapped.market)
assert not {"agents", "train"} & set(sys.modules)

import agents
import train

assert agents.OWNER == train.OWNER == "another project"
"""


@pytest.mark.parametrize("place", ["modules", "folders", "distribution"])
@pytest.mark.parametrize("command", [["-c", USE], ["-m", "lmaas_train", "--help"]], ids=["import", "command"])
def test_packages_work_beside_other_code_named_agents_and_train(place: str, command: list[str], tmp_path: Path) -> None:
    here, site = tmp_path / "here", tmp_path / "site"
    here.mkdir()
    site.mkdir()
    folder = site if place == "distribution" else here
    for name in ("agents", "train"):
        file = folder / (f"{name}.py" if place == "modules" else f"{name}/__init__.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text("OWNER = 'another project'\n", encoding="utf-8")
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, *command], cwd=here, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "usage: lmaas" in run.stdout or command[0] == "-c"
