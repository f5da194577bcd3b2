"""YAML mappings with the line of every key, so that faults can be reported by line; loading runs no code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml


class _Loader(yaml.SafeLoader):
    """YAML as people write it: 1e6 is a number too."""


_Loader.yaml_implicit_resolvers = {  # a copy: the resolvers of the parent stay as they are
    first: list(resolvers) for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(  # pyright: ignore
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*\.?[0-9_]*[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def load(path: str | os.PathLike[str], kind: str) -> tuple[dict[Any, Any], dict[str, int]]:
    """Return a file's mapping, and the line of every key; inner keys read ``outer.inner``, repeated ones end in "*"."""
    name = os.fspath(path)
    try:
        loader = _Loader(Path(path).read_text(encoding="utf-8"))
        root = loader.get_single_node()
        content: Any = None if root is None else loader.construct_document(root)  # pyright: ignore
    except OSError as error:
        raise ValueError(f"{kind} file {name!r} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{kind} file {name!r} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        held = type(content).__name__  # pyright: ignore
        raise ValueError(f"{kind} file {name!r} must map names to numbers, it holds a {held}")
    lines: dict[str, int] = {}
    for key, line in _keys(cast("yaml.MappingNode", root), ""):
        while key in lines:
            key += "*"
        lines[key] = line
    return cast("dict[Any, Any]", content), lines


def _keys(node: yaml.MappingNode, prefix: str) -> Iterator[tuple[str, int]]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        yield name, key.start_mark.line + 1
        if isinstance(value, yaml.MappingNode):
            yield from _keys(value, f"{name}.")


def repeated(lines: dict[str, int]) -> list[tuple[str, str]]:
    """Return the keys that are given a second time, each with a message."""
    return [(key, f"{key.rstrip('*')} is given a second time") for key in lines if key.endswith("*")]


def report(kind: str, path: str | os.PathLike[str], found: list[tuple[int, str]]) -> str:
    """Return the faults of a file as one message, in the order of their lines."""
    places = [f"line {line}: {fault}" if line else fault for line, fault in sorted(found)]
    start = f"{kind} file {os.fspath(path)!r}"
    if len(places) > 1:
        return f"{start}:\n  " + "\n  ".join(places)
    return f"{start}{',' if found[0][0] else ':'} {places[0]}"
