"""The `lmaas` command: find the sub-command, check its packages, run it, and turn errors into exit codes.

Exit codes: 0 success, 2 bad input, a missing package or a file that cannot be written, 130 Ctrl-C, 141 closed pipe.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import math
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

from lmaas_train.extras import EXTRAS, require

import lmaas_env
from lmaas_env.fields import close_match, one_line

COMMANDS = {
    "price": ("lmaas_train.cli.price", "Price", "find the prices of one hour, with a proven bound"),
    "scenario init": ("lmaas_train.cli.scenario", "ScenarioInit", "write a commented market file to start from"),
    "scenario check": ("lmaas_train.cli.scenario", "ScenarioCheck", "check a market file and report errors by line"),
    "train": ("lmaas_train.cli.train", "Train", "train a PPO seller from scratch"),
    "train sb3": ("lmaas_train.sb3.training", "TrainSB3", "train with Stable-Baselines3, guided by look-ahead IMP"),
    "train in-context": (
        "lmaas_train.cli.in_context",
        "TrainInContext",
        "train a recurrent policy for unknown customers, guided by plans",
    ),
    "train baseline": (
        "lmaas_train.cli.baseline",
        "TrainBaseline",
        "train SAC, TQC, CrossQ, recurrent PPO, CMA-ES, behaviour cloning or IQL",
    ),
    "dataset": ("lmaas_train.cli.dataset", "Dataset", "log a seller's days as a Minari dataset"),
    "compare": ("lmaas_train.cli.compare", "Compare", "compare sellers with IMP on the same held-out days"),
    "evaluate": ("lmaas_train.cli.evaluate", "Evaluate", "score learned sellers over several training seeds"),
    "sweep": ("lmaas_train.cli.sweep", "Sweep", "run many trainings and scores, here or on a Ray cluster"),
    "sweep status": ("lmaas_train.cli.sweep_status", "SweepStatus", "show how far a sweep is, and the best so far"),
    "sweep report": ("lmaas_train.cli.sweep", "SweepReport", "write the tables of a sweep"),
    "leaderboard add": ("lmaas_train.cli.leaderboard", "LeaderboardAdd", "score an entry of the leaderboard"),
    "leaderboard check": ("lmaas_train.cli.leaderboard", "LeaderboardCheck", "score entries again and compare"),
    "suite check": ("lmaas_train.studies.suite", "SuiteCheck", "check what each environment leaves to learning"),
    "library": ("lmaas_train.cli.plan_library", "Library", "make the plan library of a scenario with hidden customers"),
    "bound": ("lmaas_train.cli.bound", "Bound", "bound what any seller can earn, with a certificate"),
    "report": ("lmaas_train.report.report", "Report", "write an offline page with interactive figures of results"),
    "watch": ("lmaas_train.cli.watch", "Watch", "play one held-out day in the terminal, a window or a picture"),
    "explore": ("lmaas_train.explore.app", "Explore", "open a local page with sliders for prices and the market"),
    "study customers": (
        "lmaas_train.studies.customers",
        "StudyCustomers",
        "compare RSR with other strategies",
    ),
    "study seller": ("lmaas_train.studies.seller", "StudySeller", "compare IMP with the certified optimum"),
    "study ahead": ("lmaas_train.studies.ahead", "StudyAhead", "measure what looking ahead adds"),
    "study fluid": (
        "lmaas_train.studies.fluid",
        "StudyFluid",
        "measure what becomes of sellers in large markets",
    ),
    "study rivals": ("lmaas_train.studies.rivals", "StudyRivals", "measure sellers beside a rival that replies"),
    "study collusion": (
        "lmaas_train.studies.collusion",
        "StudyCollusion",
        "measure whether learning sellers collude",
    ),
    "study energy-value": (
        "lmaas_train.studies.energy_value",
        "StudyEnergyValue",
        "try better estimates of the energy value",
    ),
    "study unknown": (
        "lmaas_train.studies.unknown",
        "StudyUnknown",
        "measure how fast sellers learn who customers are",
    ),
    "bench rsr": ("lmaas_train.bench.rsr", "BenchRSR", "time RSR and general solvers"),
    "bench speed": ("lmaas_train.bench.speed", "BenchSpeed", "measure environment steps per second"),
    "bench kernel": ("lmaas_train.bench.kernel", "BenchKernel", "time RSR's kernel, bisection and the processor limit"),
    "bench imp": ("lmaas_train.bench.imp", "BenchIMP", "time IMP as markets grow"),
    "bench scale": ("lmaas_train.bench.scale", "BenchScale", "measure markets of up to a million customers"),
    "bench sweep": ("lmaas_train.bench.sweep", "BenchSweep", "measure what sweeps cost, and predict larger ones"),
    "bench reply": ("lmaas_train.bench.reply", "BenchReply", "compare rivals' fast replies with IMP's full search"),
}
"""Module, options class and meaning of each sub-command; the module is imported only when the command runs."""

PACKAGES = {
    "train": EXTRAS["train"],
    "train sb3": EXTRAS["train"],
    "train in-context": EXTRAS["train"],
    "train baseline": EXTRAS["train"],
    **dict.fromkeys(("bench speed", "bench sweep"), EXTRAS["train"]),
    "bench rsr": ("clarabel", "cvxpy"),
    **dict.fromkeys(("sweep", "sweep report"), (*EXTRAS["train"], *EXTRAS["sweep"])),
    "explore": ("dash",),
}
"""Packages that a sub-command needs beyond the extra ``cli``."""


def main(arguments: list[str] | None = None) -> int:
    """Run ``lmaas COMMAND ...`` and return the exit code."""
    args = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):  # a terminal of ASCII shows ? for what it cannot
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        status = _dispatch(args)
        sys.stdout.flush()
        return status
    except ValueError as error:
        return _refuse(str(error))
    except MemoryError as error:
        return _refuse(f"not enough memory: {str(error) or 'name fewer customers, days or lanes'}")
    except (KeyboardInterrupt, SystemError) as error:
        if not _has_cause(error, KeyboardInterrupt):
            raise
        again = shlex.join(["lmaas", *args])
        print(f"\nlmaas: stopped; files that were written are whole; again: {again}", file=sys.stderr)
        return 130
    except (BrokenPipeError, SystemExit) as error:  # rich exits by itself where the pipe is closed
        if not _has_cause(error, BrokenPipeError):
            raise
        _discard_output()
        return 141
    except OSError as error:  # after that of a closed pipe, which is one
        _discard_output()  # what waits there may be what could not be written
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _dispatch(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if args[0] == "--version":
        print(f"lmaas {lmaas_env.__version__}")
        return 0
    words = 2 if " ".join(args[:2]) in COMMANDS else 1
    name, rest = " ".join(args[:words]), args[words:]
    if name not in COMMANDS:
        raise ValueError(_unknown(name, rest))
    require(*PACKAGES.get(name, ()), *EXTRAS["cli"])  # the larger extra first, it includes cli
    from lmaas_train.cli.options import parse

    module, options, _ = COMMANDS[name]
    command, as_json = parse(getattr(importlib.import_module(module), options), name, rest)
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        result = command.main()
    if as_json:
        print(json.dumps(_plain(result), indent=2, allow_nan=False))
    return 0


def _usage() -> str:
    """Return the list of commands, wrapped to the terminal."""
    width = shutil.get_terminal_size().columns
    lines = ["usage: lmaas COMMAND [OPTIONS]", "       lmaas --version", ""]
    notes = {
        "lmaas COMMAND --help": "options and examples of a command",
        "lmaas COMMAND --json": "its result as JSON on standard output, everything else on standard error",
    }
    column = max(map(len, [*notes, *COMMANDS])) + 4
    for rows in (notes, {name: meaning for name, (_, _, meaning) in COMMANDS.items()}):
        for name, meaning in rows.items():
            start = f"  {name:<{column - 2}}"
            lines += textwrap.wrap(meaning, width, initial_indent=start, subsequent_indent=" " * column)
        lines.append("")
    return "\n".join(lines[:-1])


def _unknown(name: str, rest: list[str]) -> str:
    """Return what is wrong with a command, with the closest one or those that continue its first word."""
    full = f"{name} {rest[0]}" if rest and not rest[0].startswith("-") else name
    further = [known for known in COMMANDS if known.startswith(f"{name} ")]
    if further:
        return f"command {name!r} needs a second word: {', '.join(further)}" + (
            close_match(full, further) if full != name else ""
        )
    hint = close_match(full, COMMANDS) or close_match(name, [known.partition(" ")[0] for known in COMMANDS])
    return f"command {name!r} is unknown{hint}; lmaas --help lists all commands"


def _plain(result: Any) -> Any:
    """Return a result for JSON: named tuples as objects, arrays as lists, numbers that are not finite as null."""
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


def _has_cause(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Return whether an error is of a kind or follows from one; Ctrl-C inside a kernel raises a SystemError."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error is not None


def _discard_output() -> None:
    """Send the rest of the standard output to nowhere, so that the interpreter's last flush cannot fail."""
    with contextlib.suppress(OSError, ValueError):  # a replaced stdout has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(message: str) -> int:
    lines = "\n".join(one_line(line) for line in message.split("\n"))
    with contextlib.suppress(OSError):
        print(f"lmaas: error: {lines}", file=sys.stderr)
    return 2
