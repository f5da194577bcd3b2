"""The `lmaas` command: one sub-command per file of this package, imported only when it runs."""

from __future__ import annotations

import importlib
import sys

from lmaas_env.scenario import close_match

COMMANDS = {
    "train": ("train.ppo", "Train", "train a PPO seller"),
    "evaluate": ("train.evaluate", "Evaluate", "learned sellers of several training seeds beside IMP and others"),
    "study customers": ("train.study_customers", "StudyCustomers", "RSR beside its rivals, from the customers' side"),
    "study seller": ("train.study_seller", "StudySeller", "IMP beside the certified optimum and other searches"),
    "study ahead": ("train.study_ahead", "StudyAhead", "what looking ahead is worth, and a bound above any seller"),
    "bench rsr": ("train.bench_rsr", "BenchRSR", "RSR beside general solvers that give the same answer"),
    "bench speed": ("train.bench_speed", "BenchSpeed", "environment steps per second beside others, PPO, growth"),
    "bench kernel": ("train.bench_kernel", "BenchKernel", "RSR's kernel beside bisection and the processor's limit"),
    "bench imp": ("train.bench_imp", "BenchIMP", "how long IMP takes as markets grow, beside a grid line search"),
    "compare": ("train.compare", "Compare", "sell the same held-out days with several sellers, beside IMP"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run ``lmaas COMMAND ...``; return the exit status (2 for bad input)."""
    args = sys.argv[1:] if arguments is None else arguments
    if not args or args[0] in ("-h", "--help"):
        lines = [f"  {name:<16} {meaning}" for name, (_, _, meaning) in COMMANDS.items()]
        print("usage: lmaas COMMAND [OPTIONS]      lmaas COMMAND --help shows a command's options\n", *lines, sep="\n")
        return 0
    words = 2 if " ".join(args[:2]) in COMMANDS else 1
    name, rest = " ".join(args[:words]), args[words:]
    if name not in COMMANDS:
        return _refuse(f"command {name!r} is unknown{close_match(name, COMMANDS)}; commands: {', '.join(COMMANDS)}")
    module, options, _ = COMMANDS[name]
    try:
        import tyro

        command = getattr(importlib.import_module(module), options)
    except ModuleNotFoundError as error:
        return _refuse(f'{error.name} is not installed: pip install "lmaas[train]"')
    parsed = tyro.cli(command, prog=f"lmaas {name}", args=rest)
    try:
        parsed.main()
    except ValueError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        print("\nlmaas: stopped; files that were written are whole", file=sys.stderr)
        return 130
    return 0


def _refuse(message: str) -> int:
    print(f"lmaas: error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
