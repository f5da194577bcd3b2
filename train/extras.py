"""Optional packages: the extra that installs each, and a clear refusal before any work where one is missing."""

from __future__ import annotations

import importlib.util

EXTRAS = {
    "cli": ("matplotlib", "plotly", "rich", "tyro"),
    "train": ("stable_baselines3", "tensorboard", "torch", "tqdm"),
    "datasets": ("minari", "h5py"),
    "baselines": ("cma", "sb3_contrib"),
    "search": ("optuna",),
    "wandb": ("wandb",),
    "sweep": ("pyarrow",),
    "ray": ("ray",),
    "view": ("dash", "pygame"),
    "bench": ("clarabel", "cma", "cvxpy", "pyscipopt"),
}
"""Import names by extra of ``pyproject.toml``; every other extra includes ``cli``."""


def require(*packages: str) -> None:
    """Check that packages can be imported, without importing them.

    Raises
    ------
    ValueError
        If one is missing; the message names it and the commands that install it.
    """
    for package in packages:
        try:
            found = importlib.util.find_spec(package) is not None
        except ValueError:  # an import that a caller has blocked
            found = False
        if not found:
            raise ValueError(missing(package))


def missing(package: str) -> str:
    """Return what to say where a package is missing."""
    extra = next((name for name, packages in EXTRAS.items() if package in packages), None)
    if extra is None:
        return f"{package} is not installed: pip install {package.replace('_', '-')}"
    return f'{package} is not installed: pip install ".[{extra}]" in a clone, pip install "lmaas[{extra}]" elsewhere'
