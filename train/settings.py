"""Settings of trainers from YAML files."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, TypeVar

from lmaas_env import lined_yaml
from lmaas_env.fields import close_match, shown

Settings = TypeVar("Settings")
MOST_STEPS = 10**12  # of a training


def from_yaml(kind: type[Settings], path: Path, section: str) -> Settings:
    """Read a dataclass of settings from a YAML mapping; missing keys keep their default.

    Parameters
    ----------
    kind : dataclass
    path : Path
        Of the mapping, or of a run's config.yaml, which holds it under ``section``.
    section : str

    Raises
    ------
    ValueError
        If the file cannot be read, or a key or value is refused; the message names the file.
    """
    content, lines = lined_yaml.load(path, "config")
    found = [(lines[key], fault) for key, fault in lined_yaml.repeated(lines)]
    prefix = ""
    if content.keys() == {"train", section, "scenario"} and isinstance(content[section], dict):
        content, prefix = content[section], f"{section}."
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in content:
        if key not in known:
            fault = f"key {shown(key)} is unknown{close_match(key[:100], known)}"
            found.append((lines[f"{prefix}{key}"], fault))
    if not found:
        try:
            return kind(**content)
        except (TypeError, ValueError) as error:
            at_fault = (it for it in content if re.match(rf"{re.escape(it)}\b", str(error)))
            found.append((next((lines[f"{prefix}{it}"] for it in at_fault), 0), str(error)))
    raise ValueError(lined_yaml.report("config", path, found))


def mapping_of(content: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the mapping under a key of a file's content.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = content.get(key)
    if not isinstance(found, dict):
        raise ValueError(f"{key} = {shown(found)} must map names to values")
    return found
