"""The Ray engine on a cluster of two nodes: equal scores, and every cell once although a worker and a node are lost."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lmaas_train.sweeps.engines import LocalEngine, RayEngine
from lmaas_train.sweeps.folder import Progress, SweepFolder
from lmaas_train.sweeps.plan import Planned
from lmaas_train.sweeps.run import run_plan
from lmaas_train.sweeps.sweep_file import read_plan

pytestmark = pytest.mark.heavy
ray = pytest.importorskip("ray")
parquet = pytest.importorskip("pyarrow.parquet")
cluster_utils = pytest.importorskip("ray.cluster_utils")

ROOT = Path(__file__).parents[2]
SMALL = """
scenarios: [static]
days: 3
tuning_days: 2
seeds: 5
algorithms:
  ppo: { steps: 32, settings: { lanes: 16 } }
"""
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes on this machine, each a raylet of its own with one core."""
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    links = Path(__file__).parents[2] / ".venv/links"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(links), os.environ.get("PYTHONPATH", "")]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own, of files that it leaves open
        nodes = cluster_utils.Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        nodes.second = nodes.add_node(**NODE)
        yield nodes
        ray.shutdown()
        nodes.shutdown()


def busy_worker(node: Any) -> int:
    """Wait until a process of a node runs a cell, and return it."""
    (raylet,) = node.all_processes["raylet"]
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == raylet.process.pid and b"run_cell" in (path / "cmdline").read_bytes():
                    return int(path.name)
        time.sleep(0.05)
    raise AssertionError("no cell runs on this node")


@pytest.mark.filterwarnings("ignore")
def test_a_killed_worker_and_a_lost_node_change_nothing(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    plan, lost = read_plan(tmp_path / "small.yaml"), list[str]()

    def harm(ended: Planned | None, now: Progress) -> None:
        """Kill a worker after the first cell, and a node with a busy worker after the third."""
        if now.done == 1 and not lost:
            os.kill(busy_worker(cluster.head_node), signal.SIGKILL)
            lost.append("worker")
        if now.done == 3 and len(lost) == 1:
            busy_worker(cluster.second)
            cluster.remove_node(cluster.second, allow_graceful=False)
            lost.append("node")

    folders = [tmp_path / name for name in ("ray", "local")]
    for folder in folders:
        folder.mkdir()
    engine = RayEngine(cluster.address)
    assert engine.slots == 2
    state = run_plan(plan, engine, SweepFolder(folders[0]), harm)
    assert lost == ["worker", "node"]
    assert state.failed == {}
    deadline = time.monotonic() + 60.0  # until the cluster has noticed
    while engine.slots > 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert engine.slots == 1
    run_plan(plan, LocalEngine(1), SweepFolder(folders[1]), lambda *_: None)
    tables = [parquet.read_table(folder / "table.parquet").to_pylist() for folder in folders]
    assert [row["key"] for row in tables[0]] == [it.cell.key for it in plan.grid]
    assert {row["status"] for row in tables[0]} == {"done"}
    for row, other in zip(*tables, strict=True):
        times = {"milliseconds_per_decision", "training_seconds", "selling_seconds", "started"}
        assert {name: value for name, value in row.items() if name not in times} == {
            name: value for name, value in other.items() if name not in times
        }


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("127.0.0.1:1", r"address = '127\.0\.0\.1:1' cannot be reached: ConnectionRefusedError"),
        ("auto", "address = 'auto': ConnectionError: Could not find any running Ray instance"),
    ],
)
def test_an_address_without_a_cluster_is_refused(address: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ValueError, match=fault):
        RayEngine(address)
