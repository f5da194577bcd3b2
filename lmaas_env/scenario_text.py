"""A scenario as commented YAML: what every number means, its unit and its range."""

from __future__ import annotations

import dataclasses
from typing import Any

import yaml

SECTIONS = {  # by the first field of each
    "name": "What it is",
    "customers_file": "Sizes",
    "price_floor": "Prices",
    "distance_min": "Customers, drawn once per population (not where they come from a file)",
    "region_value_sigma": "Regions, hidden factors on what customers are drawn from, and how both change overnight",
    "transmit_power": "Radio, demand and batteries, common to all customers",
    "models": "Large models",
    "settlement": "Rules",
}


def commented_yaml(scenario: Any) -> str:
    """Return a scenario (a dataclass whose fields carry their metadata) as commented YAML."""
    lines: list[str] = []
    per_model = model_fields(scenario)
    for field in dataclasses.fields(scenario):
        if field.name in SECTIONS:
            lines += ["", f"# {SECTIONS[field.name]}"]
        if field.name == "models":
            lines += _models(scenario)
        elif field.name not in per_model:
            value = getattr(scenario, field.name)
            written = f"{field.name}: {_scalar([*value] if isinstance(value, tuple) else value)}"
            lines.append(f"{written:<34}  # {_comment(field)}")
    return "\n".join(lines[1:]) + "\n"


def model_fields(scenario: Any) -> tuple[str, ...]:
    """Return the names of a scenario's fields that hold one number per model."""
    return tuple(field.name for field in dataclasses.fields(scenario) if field.type == "tuple[float, ...]")


def _models(scenario: Any) -> list[str]:
    fields = {field.name: field for field in dataclasses.fields(scenario)}
    lines = [f"# {name}: {_comment(fields[name])}" for name in model_fields(scenario)]
    lines.append(f"models:  # {fields['models'].metadata['meaning']}, each with its numbers")
    for m, model in enumerate(scenario.models):
        numbers = [f"{name}: {_scalar(getattr(scenario, name)[m])}" for name in model_fields(scenario)]
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
