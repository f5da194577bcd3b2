"""Parsing of a sub-command's options, uniform over all commands: scenario, ``--json``, defaults, help and errors."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import re
import shutil
import textwrap
import types
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import tyro

from lmaas_env.scenario import PRESETS

SCENARIO_HELP = f"Preset ({', '.join(PRESETS)}) or YAML file; `--scenario` may be left out."
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
    description, _, examples = (inspect.getdoc(command) or "").partition("Examples\n--------\n")
    width = shutil.get_terminal_size().columns
    paragraphs = [textwrap.fill(" ".join(it.split()), width) for it in description.strip().split("\n\n")]
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            parsed = tyro.cli(
                _with_shared_options(command), prog=f"lmaas {name}", args=args, description="\n\n".join(paragraphs)
            )
    except SystemExit as ended:
        if ended.code:
            raise ValueError(f"{_fault(errors.getvalue())}; see lmaas {name} --help") from None
        print("\nexamples:", *(_wrapped(example, width) for example in examples.splitlines()), sep="\n", flush=True)
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
    for field in dataclasses.fields(command):
        hint = hints[field.name]
        if field.name in ("scenario", "scenarios"):
            fields.append((field.name, Annotated[hint, tyro.conf.arg(help=SCENARIO_HELP)], field))
        elif field.default in EMPTY:
            silent = tyro.conf.arg(help_behavior_hint="", metavar=_optional_metavar(hint))
            fields.append((field.name, Annotated[hint, silent], field))
    scenario = _scenario_field(command)
    if scenario and not any(tyro.conf.Positional in getattr(hint, "__metadata__", ()) for hint in hints.values()):
        metavar = "[SCENARIO]" if scenario == "scenario" else "[SCENARIO ...]"
        about = tyro.conf.arg(metavar=metavar, help=f"The same as --{scenario}.", help_behavior_hint="")
        empty = dataclasses.field(default="" if scenario == "scenario" else ())
        fields.append(("positional_scenario", Annotated[hints[scenario], tyro.conf.Positional, about], empty))
    about = tyro.conf.arg(name="json", help=JSON_HELP, help_behavior_hint="")
    fields.append(("as_json", Annotated[bool, tyro.conf.FlagCreatePairsOff, about], dataclasses.field(default=False)))
    return dataclasses.make_dataclass(command.__name__, fields, bases=(command,))


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


def _fault(report: str) -> str:
    """Return the fault that tyro reports in a box, as one line."""
    lines = [line.strip("│╭╮╰╯ ") for line in report.splitlines()]
    rules = [i for i, line in enumerate(lines) if not line.strip("─ ") or line.startswith("─")]
    first = " ".join(lines[rules[0] + 1 : rules[1]]).strip() if len(rules) > 1 else " ".join(lines).strip()
    option = re.match(r"Error parsing (?:--)?([\w-]+)", first)
    for kind, wanted in (("int", "a whole number"), ("float", "a number")):
        bad = re.search(
            rf"(?:invalid literal for {kind}\(\) with base 10|could not convert string to {kind}): (.+)$", first
        )
        if option and bad:
            return f"{option[1].replace('-', '_')} = {bad[1]} must be {wanted}"
    return first[:1].lower() + first[1:]


def _wrapped(example: str, width: int) -> str:
    """Return an example of at most ``width`` columns, continued as a shell does."""
    lines = textwrap.wrap(
        example.strip(), width - 2, initial_indent="  ", subsequent_indent="      ", break_long_words=False
    )
    return " \\\n".join(lines)
