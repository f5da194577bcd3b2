"""The container file and the KubeRay recipe: they parse, agree with the package, and run a command that is accepted."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the container file, with continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "deploy/Containerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def recipe() -> dict[str, Any]:
    documents = yaml.safe_load_all((ROOT / "deploy/kuberay.yaml").read_text(encoding="utf-8"))
    return {document["kind"]: document for document in documents}


def test_the_image_holds_the_package_in_the_locked_versions() -> None:
    found = instructions()
    known = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "CMD"}
    assert {word for word, _ in found} == known
    assert found[0] == ("FROM", "python:3.11-slim-bookworm")
    copied = {it for word, rest in found if word == "COPY" for it in rest.split()[1:-1]}
    assert {"requirements.txt", "pyproject.toml", "lmaas_env", "agents", "train", "benchmarks/sweeps"} <= copied
    assert all((ROOT / path).exists() for path in copied)
    commands = " ".join(rest for word, rest in found if word == "RUN")
    (torch,) = re.findall(r"torch==(\S+)", commands)
    assert f"TORCH ?= {torch}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "--require-hashes" in commands
    assert [rest for word, rest in found if word == "USER"] == ["ray"]


def test_the_recipe_runs_a_sweep_that_goes_on() -> None:
    pytest.importorskip("torch")
    from lmaas_train.cli.options import parse
    from lmaas_train.cli.sweep import Sweep
    from lmaas_train.sweeps.sweep_file import read_plan

    job = recipe()["RayJob"]
    assert job["apiVersion"] == "ray.io/v1"
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:2] == ["lmaas", "sweep"]
    options, _ = parse(Sweep, "sweep", words[2:])
    assert (options.engine, options.address) == ("ray", "auto")
    (folder,) = [rest for word, rest in instructions() if word == "WORKDIR"]
    read_plan(ROOT / options.file.relative_to(folder))
    cluster = job["spec"]["rayClusterSpec"]
    locked = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert f"\nray=={cluster['rayVersion']} " in locked
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    head = cluster["headGroupSpec"]["template"]["spec"]
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    for pod in (head, workers["template"]["spec"]):
        (container,) = pod["containers"]
        assert container["image"] == f"lmaas:{version}"
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    (mounted,) = head["containers"][0]["volumeMounts"]
    assert options.out.is_relative_to(mounted["mountPath"])  # finished cells outlive the head
    (volume,) = head["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == recipe()["PersistentVolumeClaim"]["metadata"]["name"]
    assert job["spec"]["backoffLimit"] > 0
