"""Scenario files: YAML that says what every number means, and faults by line.

A file holds what differs from its ``base``. Models stand by name, each with its numbers, or in a file of their own;
customers are drawn, or come from a CSV file. Paths in a scenario file are relative to its folder.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml

from lmaas_env.files import write_whole
from lmaas_env.population import Population
from lmaas_env.scenario import MODEL_FIELDS, Scenario, faults

SECTIONS = {  # by the first field of each
    "name": "What it is",
    "customers_file": "Sizes",
    "price_floor": "Prices",
    "distance_min": "Customers, drawn once per population (not where they come from a file)",
    "transmit_power": "Radio, demand and batteries, common to all customers",
    "models": "Large models",
    "settlement": "Rules",
}


class _Loader(yaml.SafeLoader):
    """YAML as people write it: 1e6 is a number too."""


_Loader.yaml_implicit_resolvers = {  # a copy: the resolvers of the parent stay as they are
    first: list(resolvers) for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(  # pyright: ignore
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*\.?[0-9_]*[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read(path: str | os.PathLike[str]) -> Scenario:
    """Read a scenario from a YAML file.

    Raises
    ------
    ValueError
        If the file cannot be read or anything is wrong with its numbers: every fault with its line.
    """
    numbers, lines = _parsed(path)
    found = [(lines.get(key, 0), fault) for key, fault in _duplicates(lines)]
    file = numbers.get("models")
    if isinstance(file, str) and file.endswith((".yaml", ".yml")):
        numbers["models"] = read_models(_beside(path, file))
    found += [(lines.get(key, 0), fault) for key, fault in faults(numbers)]
    if found:
        raise ValueError(_report("scenario", path, found))
    if numbers.get("customers_file"):
        numbers["customers_file"] = os.fspath(_beside(path, numbers["customers_file"]))
        return with_customers(Scenario.from_dict(numbers), numbers)
    return Scenario.from_dict(numbers)


def read_models(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read models from a YAML file that maps each name to its numbers (`MODEL_FIELDS`).

    Raises
    ------
    ValueError
        As in `read`.
    """
    models, lines = _parsed(path, "models")
    found = [(lines.get(key, 0), fault) for key, fault in _duplicates(lines)]
    found += [(lines.get(key.removeprefix("models."), 0), fault) for key, fault in faults({"models": models})]
    if found:
        raise ValueError(_report("models", path, found))
    return models


def with_models(scenario: Scenario, path: str | os.PathLike[str]) -> Scenario:
    """Return the scenario with the models of a file (`read_models`) instead of its own."""
    kept = {name: value for name, value in scenario.to_dict().items() if name not in MODEL_FIELDS}
    return Scenario.from_dict(kept | {"models": read_models(path)})


def with_customers(scenario: Scenario, said: Any = ()) -> Scenario:
    """Return the scenario with the sizes of its customers' file, unless they are ``said`` and differ.

    Raises
    ------
    ValueError
        If the file is refused, or has other customers or slots than was said.
    """
    task_value = Population.from_csv(scenario.customers_file).task_value
    sizes = dict(zip(("customers", "slots"), task_value.shape, strict=True))
    for name, size in sizes.items():
        if name in said and getattr(scenario, name) != size:
            raise ValueError(f"{name} = {getattr(scenario, name)}, but {scenario.customers_file!r} has {size}")
    return dataclasses.replace(scenario, **sizes)


def write(scenario: Scenario, path: str | os.PathLike[str]) -> None:
    """Write all numbers of a scenario with units, ranges and meanings, whole or not at all."""
    write_whole(path, text(scenario))


def text(scenario: Scenario) -> str:
    """Return the scenario as commented YAML."""
    lines: list[str] = []
    for field in dataclasses.fields(Scenario):
        if field.name in SECTIONS:
            lines += ["", f"# {SECTIONS[field.name]}"]
        if field.name == "models":
            lines += _models(scenario)
        elif field.name not in MODEL_FIELDS:
            value = getattr(scenario, field.name)
            written = f"{field.name}: {_scalar([*value] if isinstance(value, tuple) else value)}"
            lines.append(f"{written:<34}  # {_comment(field)}")
    return "\n".join(lines[1:]) + "\n"


def _models(scenario: Scenario) -> list[str]:
    fields = {field.name: field for field in dataclasses.fields(Scenario)}
    lines = [f"# {name}: {_comment(fields[name])}" for name in MODEL_FIELDS]
    lines.append(f"models:  # {fields['models'].metadata['meaning']}, each with its numbers")
    for m, model in enumerate(scenario.models):
        numbers = [f"{name}: {_scalar(getattr(scenario, name)[m])}" for name in MODEL_FIELDS]
        lines += [f"  {_scalar(model)}:", *(f"    {number}" for number in numbers)]
    return lines


def _comment(field: dataclasses.Field[Any]) -> str:
    about = field.metadata
    if "unit" in about:
        unit = "" if about["unit"] == "1" else f"{about['unit']}, "
        return f"{about['meaning']}; {unit}{about['low']:g} to {about['high']:g}"
    return f"{about['meaning']}; {', '.join(about['options'])}" if "options" in about else about["meaning"]


def _scalar(value: Any) -> str:
    """Return a text, number or list as YAML in one line; texts that might be read as something else are quoted."""
    if isinstance(value, str):
        plain = value.isidentifier() and value.isascii() and yaml.safe_load(value) == value
        return value if plain else yaml.safe_dump(value, default_style='"', width=10**9).strip()
    return f"[{', '.join(map(repr, value))}]" if isinstance(value, list) else repr(value)  # pyright: ignore


def _parsed(path: str | os.PathLike[str], kind: str = "scenario") -> tuple[dict[Any, Any], dict[str, int]]:
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


def _duplicates(lines: dict[str, int]) -> list[tuple[str, str]]:
    return [(key, f"{key.rstrip('*')} is given a second time") for key in lines if key.endswith("*")]


def _beside(path: str | os.PathLike[str], file: str) -> Path:
    return Path(path).absolute().parent / file


def _report(kind: str, path: str | os.PathLike[str], found: list[tuple[int, str]]) -> str:
    """Return the faults of a file as one message, in the order of their lines."""
    places = [f"line {line}: {fault}" if line else fault for line, fault in sorted(found)]
    start = f"{kind} file {os.fspath(path)!r}"
    if len(places) > 1:
        return f"{start}:\n  " + "\n  ".join(places)
    return f"{start}{',' if found[0][0] else ':'} {places[0]}"
