"""Settings of trainers from YAML files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lmaas_env.fields import close_match

Settings = TypeVar("Settings")


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
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"config file {str(path)!r} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"config file {str(path)!r} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"config file {str(path)!r} must hold a mapping, not {type(content).__name__}")
    if content.keys() == {"train", section, "scenario"} and isinstance(content[section], dict):
        content = content[section]
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in content:
        if key not in known:
            raise ValueError(f"config file {str(path)!r}: key {key!r} is unknown{close_match(str(key), known)}")
    try:
        return kind(**content)
    except ValueError as error:
        raise ValueError(f"config file {str(path)!r}: {error}") from error
