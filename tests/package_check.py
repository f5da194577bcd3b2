"""What tests/package.sh checks: that wheels hold everything (`contents`), and that an installed one works (`smoke`)."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import version
from pathlib import Path

PACKAGES = {"lmaas_env": "lmaas_env", "lmaas_agents": "agents", "lmaas_train": "train"}  # import name: folder
SUFFIXES = {".py", ".csv", ".yaml", ".yml", ".json", ".safetensors", ".typed"}  # of what packages are made of


def contents(from_sdist: Path, from_tree: Path, tree: Path) -> None:
    """Check that both wheels hold the same files, and every file of the tree's packages."""
    one, other = hashes(from_sdist), hashes(from_tree)
    assert one == other, f"the sdist and the tree make different wheels: {set(one.items()) ^ set(other.items())}"
    wanted = {
        f"{package}/{path.relative_to(tree / folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for path in (tree / folder).rglob("*")
        if path.is_file()
    }
    assert {Path(path).suffix for path in wanted} >= SUFFIXES - {".yml"}
    assert wanted <= one.keys(), f"the wheel lacks {sorted(wanted - one.keys())}"
    extra = {path for path in one.keys() - wanted if not re.match(r"lmaas-[\w.]+\.dist-info/", path)}
    assert not extra, f"the wheel holds {sorted(extra)} too"
    print(f"{from_sdist.name}: {len(one)} files, the same from the sdist and from the tree")


def hashes(wheel: Path) -> dict[str, str]:
    """Return a hash of every file in a wheel but its own list of hashes."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith(".dist-info/RECORD")]
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names}


def beside_others() -> None:
    """Check imports and the command beside a user's files and another distribution named `agents` and `train`."""
    site = Path(sysconfig.get_path("purelib"))
    assert not [name for name in ("agents", "train") if (site / name).exists()], "the wheel installs a generic name"
    for name in ("agents", "train"):
        (site / name).mkdir()
        for file in (site / name / "__init__.py", Path.cwd() / f"{name}.py"):
            file.write_text("raise RuntimeError('this is another project')\n", encoding="utf-8")
    use = "import lmaas_env, lmaas_agents, lmaas_train, gymnasium; gymnasium.make('LMaaS-v0').reset(seed=0)"
    for arguments in (["-c", use], ["-m", "lmaas_train", "--help"]):  # both have the working directory on the path
        run = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr


def smoke() -> None:
    """Sell a day with the installed package, from an empty folder and with the core dependencies only."""
    import gymnasium as gym
    import numpy as np
    from lmaas_agents import IMP, load_policy

    import lmaas_env

    home = Path(lmaas_env.__file__).resolve()
    assert home.is_relative_to(Path(sys.prefix).resolve()), f"{home} is not the installed package"
    assert version("lmaas") == lmaas_env.__version__
    for absent in ("torch", "stable_baselines3", "matplotlib", "plotly", "pygame"):
        assert importlib.util.find_spec(absent) is None, f"{absent} is installed"
    profits = {}
    for name in ("imp", "day-guided"):
        env = gym.make("LMaaS-v0")
        seller = IMP(env.get_wrapper_attr("market")) if name == "imp" else load_policy(name)
        observation, _ = env.reset(seed=900_000_000)
        profits[name], terminated = 0.0, False
        while not terminated:
            action, _ = seller.predict(observation)
            observation, _, terminated, _, info = env.step(action)
            profits[name] += info["profit"]
    assert 1000.0 < profits["imp"] < profits["day-guided"] < 2500.0, profits  # a learned seller beats IMP on `day`
    vector = gym.make_vec("LMaaS-City-v0", num_envs=2, vectorization_mode="vector_entry_point")  # its customers: a CSV
    vector.reset(seed=0)
    assert np.isfinite(vector.step(np.zeros((2, 4)))[1]).all()
    command = Path(sys.executable).parent / "lmaas"
    assert "usage: lmaas" in subprocess.run([command, "--help"], capture_output=True, text=True, check=True).stdout
    for name, extra in (("train", "train"), ("price", "cli"), ("explore", "view")):
        refused = subprocess.run([command, name, "--help"], capture_output=True, text=True, check=False)
        assert refused.returncode == 2, refused
        assert f'pip install ".[{extra}]" in a clone, pip install "lmaas[{extra}]" elsewhere' in refused.stderr, refused
    print(
        f"Python {sys.version.split()[0]}, "
        + ", ".join(f"{it} {version(it)}" for it in ("gymnasium", "numpy", "numba", "scipy"))
        + f": IMP {profits['imp']:.0f} $, day-guided {profits['day-guided']:.0f} $ on a held-out day"
    )


if __name__ == "__main__":
    if sys.argv[1] == "contents":
        contents(*map(Path, sys.argv[2:]))
    else:
        smoke()
        beside_others()
