"""Parsing of a sub-command's options, uniform over all commands: scenario, ``--json``, defaults, help and errors."""

from __future__ import annotations

import codecs
import contextlib
import copy
import dataclasses
import inspect
import io
import re
import shutil
import sys
import textwrap
import types
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import tyro

from lmaas_env.scenario import PRESETS

SCENARIO_HELP = f"Preset ({', '.join(PRESETS)}) or YAML file."
JSON_HELP = "Print the result as JSON on standard output, everything else on standard error."
EMPTY = (None, "", ())  # defaults that help does not show


def parse(command: Any, name: str, args: list[str]) -> tuple[Any, bool]:
    """Parse the options of a sub-command.

    Parameters
    ----------
    command : dataclass
        Its docstring holds the description and, below "Examples", the examples.
    name : str
        As typed, such as "compare" or "study seller".
    args : list of str

    Returns
    -------
    options : an instance of the dataclass
    as_json : whether ``--json`` was given

    Raises
    ------
    ValueError
        If an option is unknown, missing or malformed.
    """
    width = shutil.get_terminal_size().columns
    description, _, examples = (inspect.getdoc(command) or "").partition("Examples\n--------\n")
    shown, errors = _captured(sys.stdout.encoding), _captured("utf-8")
    try:
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(errors):
            parsed = tyro.cli(_with_shared_options(command), prog=f"lmaas {name}", description=description, args=args)
    except SystemExit as ended:
        if ended.code:
            raise ValueError(f"{_fault(_text(errors))}; see lmaas {name} --help") from None
        print(_wrapped(_text(shown), width), f"examples:\n{_continued(examples, width)}", sep="\n", flush=True)
        raise
    options = command(**{field.name: getattr(parsed, field.name) for field in dataclasses.fields(command)})
    if getattr(parsed, "positional_scenario", None):
        field = _scenario_field(command)
        if getattr(options, field) != _default(command, field):
            raise ValueError(f"scenario = {parsed.positional_scenario!r} is given twice")
        setattr(options, field, parsed.positional_scenario)
    return options, parsed.as_json


def _with_shared_options(command: Any) -> Any:
    """Return a subclass of the options with ``--json``, a positional scenario, and help without empty defaults."""
    hints = get_type_hints(command, include_extras=True)
    fields: list[tuple[str, Any, Any]] = []
    for field in map(copy.copy, dataclasses.fields(command)):  # as `make_dataclass` writes into its fields
        hint = hints[field.name]
        if field.name in ("scenario", "scenarios"):
            fields.append((field.name, Annotated[hint, tyro.conf.arg(help=SCENARIO_HELP)], field))
        elif field.default in EMPTY:
            silent = tyro.conf.arg(help_behavior_hint="", metavar=_optional_metavar(hint))
            fields.append((field.name, Annotated[hint, silent], field))
    scenario = _scenario_field(command)
    if scenario and not any(tyro.conf.Positional in getattr(hint, "__metadata__", ()) for hint in hints.values()):
        metavar = "[SCENARIO]" if scenario == "scenario" else "[SCENARIO ...]"
        about = tyro.conf.arg(
            metavar=metavar, help=f"The same as --{scenario}, without the option's name.", help_behavior_hint=""
        )
        empty = dataclasses.field(default="" if scenario == "scenario" else ())
        fields.append(("positional_scenario", Annotated[hints[scenario], tyro.conf.Positional, about], empty))
    about = tyro.conf.arg(name="json", help=JSON_HELP, help_behavior_hint="")
    fields.append(("as_json", Annotated[bool, tyro.conf.FlagCreatePairsOff, about], dataclasses.field(default=False)))
    made = dataclasses.make_dataclass(command.__name__, fields, bases=(command,))
    # A base class, such as that of engines, comes first among the fields; help shows the command's own options first.
    made.__dataclass_fields__ = dict(sorted(made.__dataclass_fields__.items(), key=lambda it: it[1].kw_only))
    return made


def _scenario_field(command: Any) -> str:
    """Return the name of the field that holds the scenario or scenarios, or nothing."""
    names = [field.name for field in dataclasses.fields(command)]
    return next((name for name in ("scenario", "scenarios") if name in names), "")


def _default(command: Any, name: str) -> Any:
    return next(field.default for field in dataclasses.fields(command) if field.name == name)


def _optional_metavar(hint: Any) -> str | None:
    """Return the metavar of ``T | None``, which is T's; None leaves other types to tyro."""
    if get_origin(hint) not in (Union, types.UnionType):
        return None
    (inner,) = (it for it in get_args(hint) if it is not types.NoneType)
    return inner.__name__.upper()


def _captured(encoding: str | None) -> io.TextIOWrapper:
    """Return a stream in memory; tyro draws its boxes in the stream's encoding."""
    return io.TextIOWrapper(io.BytesIO(), encoding=codecs.lookup(encoding or "utf-8").name, write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(stream.encoding)


def _fault(report: str) -> str:
    """Return the fault that tyro reports in a box, as one line."""
    lines = [line.strip("│ ") for line in report.splitlines()[1:]]
    rules = [i for i, line in enumerate(lines) if line and not line.strip("─╰╯-")]
    lines, end = (lines[1:], rules[1] - 1) if rules[0] == 0 else (lines, rules[0])  # a box of ASCII has a line on top
    text = " ".join(line for line in lines[:end] if line)
    if text.startswith("Missing from"):
        _, argument, *about = lines[:end]
        return f"{argument} is missing: {' '.join(about).removesuffix('(required)').strip()}"
    if "Perhaps you meant:" in lines:
        text += f", did you mean {lines[lines.index('Perhaps you meant:') + 1].split()[0]}?"
    option = re.match(r"Error parsing (?:--)?([\w-]+)", text)
    for error, wanted in (
        (r"invalid literal for int\(\) with base 10", "a whole number"),
        (r"could not convert string to float", "a number"),
    ):
        value = re.search(f"{error}: (.+)$", text)
        if option and value:
            return f"{option[1].replace('-', '_')} = {value[1]} must be {wanted}"
    return text[:1].lower() + text[1:]


def _wrapped(text: str, width: int) -> str:
    """Return help with its long lines wrapped: tyro wraps boxes, but neither usage nor description."""
    lines: list[str] = []
    for line in text.splitlines():
        indent = " " * 7 if line.startswith("usage:") else ""
        lines += (
            textwrap.wrap(line, width, subsequent_indent=indent) if len(line) > width and "│" not in line else [line]
        )
    return "\n".join(lines)


def _continued(examples: str, width: int) -> str:
    """Return examples of a docstring, long ones continued as in a shell."""
    wrapper = textwrap.TextWrapper(
        width - 2, initial_indent="  ", subsequent_indent="      ", break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(" \\\n".join(wrapper.wrap(line.strip())) for line in examples.splitlines())
