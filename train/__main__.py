"""The `lmaas` command: one sub-command per file of this package, imported only when it runs."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import math
import shlex
import sys
from collections.abc import Callable, Mapping
from typing import Any

from lmaas_env.fields import close_match

COMMANDS = {
    "price": ("lmaas_train.cli.price", "Price", "which prices to post in a market, what they bring, how sure that is"),
    "scenario init": ("lmaas_train.cli.scenario", "ScenarioInit", "write a commented market file to start from"),
    "scenario check": ("lmaas_train.cli.scenario", "ScenarioCheck", "say what is wrong with a market file, by line"),
    "train": ("lmaas_train.ppo.training", "Train", "train a PPO seller"),
    "compare": ("lmaas_train.cli.compare", "Compare", "sell the same held-out days with several sellers, beside IMP"),
    "report": (
        "lmaas_train.report.report",
        "Report",
        "one page of a results folder, with interactive figures, offline",
    ),
    "watch": (
        "lmaas_train.cli.watch",
        "Watch",
        "watch one held-out day being sold, in the terminal, a window or a picture",
    ),
    "explore": (
        "lmaas_train.explore.app",
        "Explore",
        "a local page with sliders: what customers choose, what sellers earn",
    ),
    "evaluate": (
        "lmaas_train.cli.evaluate",
        "Evaluate",
        "learned sellers of several training seeds beside IMP and others",
    ),
    "study customers": (
        "lmaas_train.studies.customers",
        "StudyCustomers",
        "RSR beside its rivals, from the customers' side",
    ),
    "study seller": (
        "lmaas_train.studies.seller",
        "StudySeller",
        "IMP beside the certified optimum and other searches",
    ),
    "study ahead": (
        "lmaas_train.studies.ahead",
        "StudyAhead",
        "what looking ahead is worth, and a bound above any seller",
    ),
    "bench rsr": ("lmaas_train.bench.rsr", "BenchRSR", "RSR beside general solvers that give the same answer"),
    "bench speed": ("lmaas_train.bench.speed", "BenchSpeed", "environment steps per second beside others, PPO, growth"),
    "bench kernel": (
        "lmaas_train.bench.kernel",
        "BenchKernel",
        "RSR's kernel beside bisection and the processor's limit",
    ),
    "bench imp": ("lmaas_train.bench.imp", "BenchIMP", "how long IMP takes as markets grow, beside a grid line search"),
}
EXTRAS = {"dash": "view", "pygame": "view", "cma": "bench", "cvxpy": "bench", "pyscipopt": "bench"}  # else "train"
USAGE = """\
usage: lmaas COMMAND [OPTIONS]

  lmaas COMMAND --help    options and examples of a command
  lmaas COMMAND --json    its result as JSON on the standard output, all else on the standard error
"""


def main(arguments: list[str] | None = None) -> int:
    """Run ``lmaas COMMAND ...``; return the exit status (2 for bad input)."""
    args = sys.argv[1:] if arguments is None else arguments
    if not args or args[0] in ("-h", "--help"):
        print(USAGE, *(f"  {name:<16} {meaning}" for name, (_, _, meaning) in COMMANDS.items()), sep="\n")
        return 0
    words = 2 if " ".join(args[:2]) in COMMANDS else 1
    name, rest = " ".join(args[:words]), args[words:]
    if name not in COMMANDS:
        return _unknown(name, rest)
    try:
        return _run(name, rest)
    except (KeyboardInterrupt, SystemError) as error:
        if not _is_interrupt(error):
            raise
        again = shlex.join(["lmaas", *args])
        print(f"\nlmaas: stopped; files that were written are whole; again: {again}", file=sys.stderr)
        return 130


def _run(name: str, args: list[str]) -> int:
    """Run a command, imported only now; return the exit status."""
    module, options, _ = COMMANDS[name]
    try:
        import tyro

        command = getattr(importlib.import_module(module), options)
    except ModuleNotFoundError as error:
        return _refuse(f'{error.name} is not installed: pip install "lmaas[{EXTRAS.get(str(error.name), "train")}]"')
    as_json = "--json" in args
    parsed = _parsed(tyro.cli, command, name, [arg for arg in args if arg != "--json"])
    try:
        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
            result = parsed.main()
        if as_json:
            print(json.dumps(_plain(result), indent=2, allow_nan=False))
    except ValueError as error:
        return _refuse(str(error))
    return 0


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error; one that falls into a compiled kernel comes out as a SystemError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


def _parsed(cli: Callable[..., Any], command: Any, name: str, args: list[str]) -> Any:
    """Parse a command's options; after its help come the examples of its docstring, which tyro leaves out."""
    try:
        return cli(command, prog=f"lmaas {name}", args=args)
    except SystemExit:
        if {"-h", "--help"} & set(args):
            _, _, examples = inspect.getdoc(command).partition("Examples\n--------\n")  # pyright: ignore
            print(f"\nexamples:\n{examples}")
        raise


def _plain(result: Any) -> Any:
    """Return a result as JSON knows it: rows by their names, arrays as lists, what is not finite as null."""
    if hasattr(result, "_asdict"):
        result = result._asdict()
    if isinstance(result, Mapping):
        return {str(key): _plain(value) for key, value in result.items()}
    if isinstance(result, list | tuple):
        return [_plain(value) for value in result]
    if hasattr(result, "tolist"):
        return _plain(result.tolist())
    if isinstance(result, float) and not math.isfinite(result):
        return None
    return result if isinstance(result, str | int | float | None) else str(result)


def _unknown(name: str, rest: list[str]) -> int:
    """Refuse a command that there is not, with the closest one, or with those that go on from its first word."""
    full = f"{name} {rest[0]}" if rest and not rest[0].startswith("-") else name
    further = [known for known in COMMANDS if known.startswith(f"{name} ")]
    if further:
        return _refuse(f"say which: {', '.join(further)}{close_match(full, further) if full != name else ''}")
    hint = close_match(full, COMMANDS) or close_match(name, [known.partition(" ")[0] for known in COMMANDS])
    return _refuse(f"command {name!r} is unknown{hint}; lmaas --help lists them")


def _refuse(message: str) -> int:
    print(f"lmaas: error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
