"""What every training has: settings, scores on tuning days, a Ctrl-C that keeps what was learned, a held-out score."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_agents.seller import Seller
from lmaas_train.evaluation.days import REFERENCE, Days
from lmaas_train.evaluation.evaluate import evaluate
from lmaas_train.evaluation.results import write_results
from lmaas_train.evaluation.rollout import sell
from lmaas_train.evaluation.sellers import sellers_of
from lmaas_train.runs import CONFIG, CUSTOMERS, EVALUATIONS, MODEL, in_use, mark_complete, new_folder, write_origin
from lmaas_train.settings import MOST_STEPS, mapping_of
from lmaas_train.snapshots import FILE, load_snapshot
from lmaas_train.tracking import LOGS
from rich.console import Console

from lmaas_env import lined_yaml
from lmaas_env.fields import one_line, shown
from lmaas_env.files import read_text, write_whole
from lmaas_env.market import Market
from lmaas_env.scenario import Scenario
from lmaas_env.seeds import held_out_seeds, tuning_seeds

Options = TypeVar("Options")
Config = TypeVar("Config")
COLUMNS = ("step", "seconds", "mean_day_profit", "standard_error", "share_of_imp")


def check_options(options: Any) -> None:
    """Raise a ValueError if a number of a training command is out of range, or its folder has IMP's name.

    Not every command has all of these options.
    """
    least = {"steps": 1, "eval_every": 1, "checkpoint_every": 1, "tuning_days": 2, "eval_days": 2}
    for name, low in least.items():
        if not low <= getattr(options, name, low) <= MOST_STEPS:
            raise ValueError(f"{name} = {shown(getattr(options, name))} must be at least {low}, at most {MOST_STEPS:g}")
    tuning_seeds(options.tuning_days)
    held_out_seeds(getattr(options, "eval_days", least["eval_days"]))
    if options.out is not None and options.out.name == REFERENCE:
        out = str(options.out)
        raise ValueError(f"out = {out!r} must not end in {REFERENCE!r}, beside which the policy is scored")


def check_resumed_alone(options: Any) -> None:
    """Raise a ValueError if a training command that goes on with a run is given other options; it names the first."""
    for field in dataclasses.fields(options):
        if field.name not in ("resume", "progress") and getattr(options, field.name) != field.default:
            raise ValueError(
                f"{field.name} cannot be given with resume: a run goes on with the settings it was started with"
            )


def write_settings(folder: Path, options: Any, market: Market, **config: Any) -> None:
    """Write config.yaml, the options of a training command, its hyper-parameters and the scenario, and origin.json."""
    scenario = market.scenario.to_dict()
    if market.scenario.customers_file:
        market.population.to_csv(folder / CUSTOMERS)
        scenario["customers_file"] = CUSTOMERS
    settings = {
        "train": {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()},
        **{name: _plain(dataclasses.asdict(values)) for name, values in config.items()},
        "scenario": scenario,
    }
    write_origin(folder, complete=False)
    write_whole(folder / CONFIG, lined_yaml.dump(settings))


@contextlib.contextmanager
def run_folder(args: Any, name: str, write: Callable[[Path], None], logs: bool = True) -> Iterator[Path]:
    """Give a training its run folder, to this process alone, and print where it is, and its TensorBoard logs.

    The folder is a new one, which ``write`` gets first, unless the command goes on with a run.
    """
    goes_on = getattr(args, "resume", None) is not None  # not every command can
    folder = args.out if goes_on else new_folder(args.out, name)
    with in_use(folder):
        if not goes_on:
            write(folder)
        print(f"training in {folder}" + (f"\n  tensorboard --logdir {folder / LOGS}" if logs else ""), flush=True)
        yield folder


def interrupted(
    args: Any, hyper_parameters: type[Config], section: str, parts: Collection[str]
) -> tuple[Any, Market, Config, dict[str, Any] | None]:
    """Return the options, the market, the settings and the snapshot of the run that a command goes on with.

    A run that was killed before its first snapshot has none, and starts again in its folder. ``resume`` of the options
    is kept.

    Raises
    ------
    ValueError
        If other options are given, or a file of the folder is missing or broken.
    """
    check_resumed_alone(args)
    folder: Path = args.resume
    has_snapshot = (folder / FILE).exists() or not (folder / CONFIG).exists()
    snapshot = load_snapshot(folder / FILE, parts) if has_snapshot else None
    options, config, scenario = read_settings(folder, type(args), hyper_parameters, section)
    started = dataclasses.replace(options, config=None, resume=folder, out=folder, progress=args.progress)
    check_options(started)
    return started, Market(scenario, seed=getattr(started, "population_seed", 0)), config, snapshot


def read_settings(
    folder: Path, kind: type[Options], hyper_parameters: type[Config], section: str
) -> tuple[Options, Config, Scenario]:
    """Return the options, the hyper-parameters and the scenario that `write_settings` has written.

    Raises
    ------
    ValueError
        If the file cannot be read or holds something else; the message names it.
    """
    path = folder / CONFIG
    try:
        settings, _ = lined_yaml.load(path, "config")
        scenario = Scenario.in_folder(folder, mapping_of(settings, "scenario"))
        options = kind(**mapping_of(settings, "train"))
        _check_types(options)
        return options, hyper_parameters(**mapping_of(settings, section)), scenario
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: does not hold the settings of such a run: {one_line(str(error))}") from error


def _check_types(options: Any) -> None:
    """Raise a ValueError if an option of a training command has another type than its field, as files can say."""
    kinds = {"int": int, "bool": bool, "str": str, "Path | None": str | None}
    for field in dataclasses.fields(options):
        value, kind = getattr(options, field.name), kinds.get(str(field.type), str)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"{field.name} = {shown(value)} must be of type {field.type}")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def imp_profit(market: Market, seeds: Sequence[int]) -> float:
    """Return IMP's mean profit of some days, $ a day, which learning curves are compared with; shows a progress bar."""
    sold = sell(market, sellers_of(REFERENCE, market), seeds, Console(stderr=True))
    return float(sold[REFERENCE].day_profit.mean())


def score_of(days: Days) -> dict[str, Any]:
    """Return the number of days, the mean profit of a day and its standard error, $."""
    profit = days.day_profit
    error = profit.std(ddof=1) / np.sqrt(len(profit))
    return {"days": len(profit), "mean_day_profit": round(float(profit.mean()), 4), "standard_error": round(error, 4)}


def write_evaluation(folder: Path, step: int, seconds: float, score: dict[str, Any], imp: float) -> None:
    """Append a point of the learning curve; ``imp`` is IMP's mean profit on the same days, NaN where not known."""
    share = "" if np.isnan(imp) else round(score["mean_day_profit"] / imp, 5)
    row = [step, round(seconds, 3), score["mean_day_profit"], score["standard_error"], share]
    append_evaluation(folder, COLUMNS, row)


def append_evaluation(folder: Path, columns: Sequence[str], row: Sequence[object]) -> None:
    """Append a row to evaluations.csv, after the names of its columns if there is none yet."""
    path = folder / EVALUATIONS
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([columns, row] if path.stat().st_size == 0 else [row])


def forget_evaluations(folder: Path, after: int) -> None:
    """Drop the points of the learning curve after a step, which are made again."""
    path = folder / EVALUATIONS
    if path.exists():
        header, *rows = read_text(path).splitlines() or [""]
        # A line that was cut off by a kill is dropped, too.
        known = [row for row in rows if row.count(",") == header.count(",") and _step_of(row) <= after]
        write_whole(path, "\n".join([header, *known]) + "\n" if known else "")


def _step_of(row: str) -> float:
    """Return the step of a point of the learning curve, infinity where there is none."""
    step = row.partition(",")[0]
    return int(step) if step.isdecimal() else np.inf


@contextlib.contextmanager
def ctrl_c(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first Ctrl-C, and raise KeyboardInterrupt at the second.

    A KeyboardInterrupt would not do at the first: raised inside a compiled kernel it comes out as a SystemError.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield
        return

    def stop_once(*_: object) -> None:
        stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, stop_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def finish(
    folder: Path,
    seller: Seller,
    market: Market,
    days: int,
    save: Callable[[dict[str, Any]], None],
    complete: bool,
) -> None:
    """Score a trained seller beside IMP on held-out days; ``save`` stores it with its score; write the results.

    The run folder is marked as complete unless the training was stopped.
    """
    scored = evaluate({folder.name: seller}, market, days=days, sell_anchors=False)
    score = score_of(scored.days[folder.name])
    save({"first_day_seed": held_out_seeds(days)[0], **score})
    write_results(folder, market, scored.days, scored.rows)
    if complete:
        mark_complete(folder)
    own = isinstance(seller, LearnedSeller)
    named = (
        f"{folder} (load_policy, or: lmaas compare --sellers {folder})"
        if own
        else f"{folder / MODEL} (lmaas compare --trust --sellers {folder / MODEL})"
    )
    print(
        f"policy  {named}\n"
        f"report  {folder / 'report.html'}\n"
        f"held-out days: {score['mean_day_profit']:,.0f} $ per day, standard error {score['standard_error']:.1f}, "
        f"{score['days']} days; {scored[folder.name].share_of_imp:.3f} of IMP"
    )
