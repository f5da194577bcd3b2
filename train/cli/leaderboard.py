"""`lmaas leaderboard`: score an entry on held-out days in a process of its own, and check a score."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import tyro
from lmaas_train.runs import versions
from lmaas_train.sweeps.parts import EngineOptions, values_of
from rich.console import Console

from lmaas_env import lined_yaml
from lmaas_env.fields import checked, close_match, one_line, option, shown, text
from lmaas_env.files import inside, read_text, write_whole
from lmaas_env.scenario import Scenario

ENTRY, SCORE = "entry.yaml", "score.json"
KINDS = ("from scratch", "from logged days", "guided", "planned", "optimised hour by hour", "tuned", "none")
NUMBERS = (
    "profit", "profit_low", "profit_high", "minus_imp", "minus_imp_low", "minus_imp_high",
    "share_of_imp", "customer_profit", "milliseconds_per_decision",
)  # fmt: skip  # columns of table.csv that a score holds
LONGEST = 10_000.0  # minutes that a scoring may take
TOLERANCE = 1e-6  # relative, of a profit that is scored again: processors round differently


@dataclasses.dataclass(frozen=True)
class Entry:
    """What entry.yaml says about an entry.

    Raises
    ------
    ValueError
        If a text is empty, or the kind or the scenario is unknown.
    """

    name: str = text("", "how tables call it")
    who: str = text("", "its authors")
    kind: str = option("none", KINDS, "what the seller is")
    method: str = text("", "how it sets prices, in a sentence", longest=2000)
    scenario: str = text("", "preset that it sells on")
    policy: str = text("", "a policy as lmaas compare takes it; files are relative to the entry's folder")
    training: str = text("", "steps, time, hardware and number of training seeds, or none", longest=2000)
    links: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.name != "links":
                checked(field, getattr(self, field.name))
                if not getattr(self, field.name):
                    raise ValueError(f"{field.name} must not be empty")
        if not isinstance(self.links, list | tuple) or not all(isinstance(link, str) for link in self.links):
            raise ValueError(f"links = {shown(self.links)} must be a list of addresses")
        Scenario.preset(self.scenario)

    @classmethod
    def load(cls, folder: Path) -> Entry:
        """Read the entry of a folder; errors name the file and the line."""
        path = folder / ENTRY
        content, lines = lined_yaml.load(path, "leaderboard entry")
        known = [field.name for field in dataclasses.fields(cls)]
        for key, fault in lined_yaml.repeated(lines):
            raise ValueError(f"{path}, line {lines[key]}: {fault}")
        for key in content:
            if key not in known:
                raise ValueError(f"{path}, line {lines[key]}: key {key!r} is unknown{close_match(str(key), known)}")
        try:
            entry = cls(**content)
            inside(folder, entry.policy.rpartition(":")[0] or entry.policy, "policy")
            return entry
        except ValueError as error:
            raise ValueError(f"{path}: {one_line(str(error))}") from error


@dataclasses.dataclass
class LeaderboardAdd:
    """Score an entry on held-out days, in a process of its own, and write its score.json.

    The folder holds entry.yaml (who, kind, method, scenario, policy, training, links) and what the policy needs, such
    as run.py or a policy folder. IMP sells the same days.

    Examples
    --------
      lmaas leaderboard add leaderboard/my-entry
    """

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of the entry."""
    days: int = 40
    """Number of held-out days; entries on one table have the same."""
    minutes: float = 60.0
    """Time limit of the scoring process."""

    def main(self) -> dict[str, Any]:
        """Score the entry and return its score."""
        entry = Entry.load(self.folder)
        score = score_entry(self.folder, entry, self.days, self.minutes)
        write_whole(self.folder / SCORE, json.dumps(score, indent=2, allow_nan=False) + "\n")
        print(f"{entry.name}: {_said(score)}\nwrote {self.folder / SCORE}")
        return score


@dataclasses.dataclass
class LeaderboardCheck:
    """Score entries again and compare the profit of each with its score.json.

    Examples
    --------
      lmaas leaderboard check leaderboard/day-fixed
      lmaas leaderboard check leaderboard/* --jobs 2
    """

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Folders of entries, at least one."""
    minutes: float = 60.0
    """Time limit of the scoring process of an entry."""
    jobs: int = 1
    """Entries that are scored at a time."""

    def main(self) -> list[dict[str, Any]]:
        """Score the entries and return their scores; profits that differ are an error, after all are scored."""
        if not self.folders:
            raise ValueError("name at least one folder")
        known = {str(folder): _known(folder) for folder in self.folders}
        tasks = {name: (Path(name), entry, days, self.minutes) for name, (entry, days, _) in known.items()}
        engine, scores, differ = EngineOptions(jobs=self.jobs).new_engine(), dict[str, dict[str, Any]](), list[str]()
        for name, score in values_of(engine, score_entry, tasks, Console(), "scoring", "entries"):
            (entry, _, profit), scores[name], path = known[name], score, Path(name) / SCORE
            if math.isclose(score["profit"], profit, rel_tol=TOLERANCE):
                print(f"{entry.name}: {_said(score)}, as in {path}")
            else:
                differ.append(f"{path}: profit = {profit} $ a day, scored again {score['profit']} $ a day")
        if differ:
            raise ValueError("; ".join(differ))
        return [scores[name] for name in known]


def _known(folder: Path) -> tuple[Entry, int, float]:
    """Return an entry, and the days and the profit of its score."""
    entry, path = Entry.load(folder), folder / SCORE
    try:
        known = json.loads(read_text(path, "score"))
        return entry, int(known["days"]), float(known["profit"])
    except (ValueError, RecursionError, OverflowError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: holds no score: {error!r}") from error


def score_entry(folder: Path, entry: Entry, days: int, minutes: float) -> dict[str, Any]:
    """Return an entry's score on held-out days, measured by `lmaas compare` in a process of its own.

    Raises
    ------
    ValueError
        If the entry's policy is refused, raises, or takes longer than ``minutes``; the message says which.
    """
    if days < 2:
        raise ValueError(f"days = {days} must be at least 2")
    if not 0.0 < minutes <= LONGEST:
        raise ValueError(f"minutes = {minutes} must be in (0, {LONGEST:g}]")
    with tempfile.TemporaryDirectory(prefix="lmaas-leaderboard-") as temporary:
        out = Path(temporary) / "compare"
        options = ["--scenario", entry.scenario, "--days", str(days), "--sellers", entry.policy, "--out", str(out)]
        command = [sys.executable, "-m", "lmaas_train", "compare", *options]
        try:
            ended = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=60.0 * minutes, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ValueError(f"entry {str(folder)!r}: scoring took longer than {minutes:g} minutes") from error
        if ended.returncode:
            last = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
            raise ValueError(f"entry {str(folder)!r}: {last.removeprefix('lmaas: error: ')}")
        with (out / "table.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    (row,) = [row for row in rows if row["seller"] != "imp"] or rows  # IMP itself may be an entry
    numbers = {name: float(row[name]) for name in NUMBERS}
    return {"days": days, **numbers, "versions": versions()}


def _said(score: dict[str, Any]) -> str:
    return f"{score['profit']:,.0f} $ a day on {score['days']} held-out days, {score['share_of_imp']:.3f} of IMP"
