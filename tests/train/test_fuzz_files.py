"""Damaged and hostile files: each is read, or refused by one ValueError that names it, within seconds.

`make fuzz` runs the same with FUZZ_CASES cases. What once failed is kept in `REGRESSIONS`.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import random
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from lmaas_agents import CostPlus, load_policy
from lmaas_agents.learned.policy_file import SPEC, WEIGHTS
from lmaas_train.cli.leaderboard import Entry
from lmaas_train.evaluation import result_files
from lmaas_train.evaluation.adapters import LARGEST_DATA, algorithm
from lmaas_train.evaluation.evaluate import evaluate
from lmaas_train.evaluation.results import RECORDS, read_results
from lmaas_train.sb3.config import CONFIGS, SB3Config

from lmaas_env import Market, Population, Scenario
from lmaas_env.fields import one_line
from lmaas_env.scenario_text import commented_yaml

CASES = int(os.environ.get("FUZZ_CASES", "2000"))
SLOWEST = 5.0  # s that a case may take, on a busy machine
TOKENS = (
    *(
        "&a",
        "*a",
        "<<: *a",
        "[",
        "]",
        "{",
        "}",
        "- ",
        "? ",
        ": ",
        "!!binary gAA=",
        "!!python/name:os.system",
        "!!int x",
    ),
    *(
        "!!map 3",
        "!!seq 3",
        "!!float 1e",
        "!!bool x",
        "!!null 3",
        "!!str",
        "!x",
        "---",
        "...",
        "%YAML 9",
        "|",
        ">",
        "#",
    ),
    *("'", '"', '"\\x00"', '"\\ud800"', '"\\x1b[2J"', "\x00", "\ufeff", "\u2028", "\x85", "\t", "\r", "\n", "  "),
    *("null", "~", "yes", ".nan", "-.inf", "1e999", "-0", "0x1F", "1_000", "010", "1:30", "2024-01-01", "2024-99-99"),
    *("9" * 5000, "1e" + "9" * 50, "[" * 500, "{a: " * 300, "x" * 5000, "../../etc/passwd", "/dev/zero", "models.yaml"),
    *(
        "=1+1",
        "@x",
        "base",
        "day",
        "models",
        "customers_file",
        "turnover",
        "name",
        ",",
        ",,,",
        "1,2",
        "NaN",
        "Infinity",
    ),
)
REGRESSIONS = {
    "recursion": "models: &a\n  x: *a\n",
    "aliases": "a: &a [1, 1]\nb: &b [*a, *a]\nharvest: *b\n",
    "5,000 digits": "customers: " + "9" * 5000 + "\n",
    "no such month": "harvest: 2024-99-99\n",
    "no such number": "harvest: !!int x\n",
    "deep": "harvest: " + "[" * 100_000,
    "null in a path": 'customers_file: "a\\0b"\n',
    "line break in a name": 'name: "a\\nb"\n',
    "base 60": "customers: 1:30\n",
    "mapping as a list": "fade_budgets: {1: 2}\n",
    "large text": "name: " + "x" * 2_000_000 + "\n",
    "list as a key": "? [a]\n: 3\n",
    "path out of the folder": "customers_file: ../customers.csv\n",
    "models out of the folder": "models: ../models.yaml\n",
    "unhashable word": "settlement: [plan]\n",
}


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Flip bits, cut, repeat or move pieces, or put tokens in, a few times."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
        end = min(end, at + rng.choice((0, 1, 2, 8, 64)))
        kind = rng.randrange(6)
        if kind == 0 and at < len(content):
            content = content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
        elif kind == 1:
            content = content[:at] + content[end:]
        elif kind == 2:
            content = content[:end] + content[at:]
        elif kind == 3:
            content = content[:at]
        elif kind == 4:
            content = content[:at] + rng.choice(TOKENS).encode("utf-8") + content[end:]
        else:  # another value of a line
            lines = content.split(b"\n")
            i = rng.randrange(len(lines))
            key, colon, _ = lines[i].partition(b":" if b":" in lines[i] else b",")
            lines[i] = key + colon + b" " + rng.choice(TOKENS).encode("utf-8")
            content = b"\n".join(lines)
    return content


def refuses(read: Callable[[], object], *names: str) -> bool:
    """Read; return whether it was refused. The message must name the file, on lines that can be printed."""
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            read()
        said = ""
    except ValueError as error:
        said = str(error)
        assert any(name in said for name in names), said
        assert all(line.isprintable() for line in said.split("\n")), said
        assert len(said.split("\n")[0]) < 6000, said  # a path may be long
        assert all(line.startswith("  line ") or line.startswith("  ") for line in said.split("\n")[1:]), said
    assert time.perf_counter() - began < SLOWEST
    return bool(said)


@pytest.fixture(scope="module")
def market_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("market")
    Population.sample(Scenario(customers=4, slots=3), np.random.default_rng(0)).to_csv(folder / "customers.csv")
    (folder / "models.yaml").write_text(yaml.safe_dump({"base": {"serving_cost": 0.2}}))
    return folder


def seeds(share: float) -> range:
    return range(max(1, int(CASES * share)))


@pytest.mark.parametrize("name", REGRESSIONS)
def test_what_failed_once_is_refused_in_one_line(name: str, market_folder: Path) -> None:
    file = market_folder / "regression.yaml"
    file.write_text(REGRESSIONS[name])
    assert refuses(lambda: Scenario.from_yaml(file), "regression.yaml")
    with pytest.raises(ValueError, match="regression") as refused:
        Scenario.from_yaml(file)
    assert "\n" not in str(refused.value)


def test_a_message_that_quotes_a_whole_file_is_cut() -> None:
    said = one_line(f"File name in directory {bytes(range(256)) * 100!r} differ.\n")
    assert len(said) < 4100
    assert said.startswith("File name in directory")
    assert said.endswith(" differ.\\n")


def test_damaged_scenarios_are_read_or_refused(market_folder: Path) -> None:
    file, refused = market_folder / "damaged.yaml", 0
    starts = [commented_yaml(Scenario.preset(name)).encode() for name in ("day", "mini")]
    starts += [
        b"base: static\ncustomers_file: customers.csv\nmodels: models.yaml\n",
        b"models:\n  base: {bit_rate: 1e5}\n",
    ]
    for seed in seeds(0.45):
        rng = random.Random(seed)
        file.write_bytes(damaged(starts[seed % 4], rng))
        refused += refuses(lambda: Scenario.from_yaml(file), "damaged.yaml", "customers file", "models file")
    assert refused > 0.2 * len(seeds(0.45))


def test_damaged_customers_are_read_or_refused(market_folder: Path) -> None:
    file, start = market_folder / "damaged.csv", (market_folder / "customers.csv").read_bytes()
    for seed in seeds(0.2):
        file.write_bytes(damaged(start, random.Random(seed)))
        refuses(lambda: Population.from_csv(file), "damaged.csv")


def test_damaged_settings_and_entries_are_read_or_refused(tmp_path: Path) -> None:
    file, entry = tmp_path / "damaged.yaml", tmp_path / "entry.yaml"
    start = (CONFIGS / "ppo-customers.yaml").read_bytes()
    described = b"name: a\nwho: b\nkind: none\nmethod: c\nscenario: day\npolicy: imp\ntraining: none\nlinks: [d]\n"
    for seed in seeds(0.1):
        file.write_bytes(damaged(start, random.Random(seed)))
        refuses(lambda: SB3Config.from_yaml(file), "damaged.yaml")
        entry.write_bytes(damaged(described, random.Random(seed)))
        refuses(lambda: Entry.load(tmp_path), "entry.yaml")


def test_no_damaged_policy_loads(tmp_path: Path) -> None:
    shipped = Path(load_policy.__code__.co_filename).parents[1] / "policies" / "public-guided"
    files = {name: (shipped / name).read_bytes() for name in (SPEC, WEIGHTS)}
    known = json.loads(files[SPEC])
    for seed in seeds(0.1):
        rng = random.Random(seed)
        name = rng.choice((SPEC, WEIGHTS))
        changed = damaged(files[name], rng)
        for other in files:
            (tmp_path / other).write_bytes(changed if other == name else files[other])
        refused = refuses(functools.partial(load_policy, tmp_path), SPEC, WEIGHTS)
        assert refused or name == SPEC or changed == files[WEIGHTS]
        if name == WEIGHTS:  # a stranger's digest fits
            described = {**known, "weights_sha256": hashlib.sha256(changed).hexdigest()}
            (tmp_path / SPEC).write_text(json.dumps(described))
            refuses(functools.partial(load_policy, tmp_path), SPEC, WEIGHTS)


def test_damaged_results_are_read_or_refused(tmp_path: Path) -> None:
    folder = evaluate(CostPlus, "static", days=2, sell_anchors=False, progress=False).save(tmp_path / "results")
    records, table = (folder / RECORDS).read_bytes(), (folder / "table.csv").read_bytes()
    for seed in seeds(0.05):
        (folder / RECORDS).write_bytes(damaged(records, random.Random(seed)))
        refuses(lambda: read_results(folder), RECORDS)
        (folder / "table.csv").write_bytes(damaged(table, random.Random(seed)))
        refuses(lambda: result_files.table(folder / "table.csv"), "table.csv")


def test_damaged_zips_of_other_libraries_are_read_or_refused(tmp_path: Path) -> None:
    file, content = tmp_path / "damaged.zip", io.BytesIO()
    settings = {"policy_class": {"__module__": "stable_baselines3.common.policies"}, "clip_range": 0.2}
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", json.dumps(settings))
    for seed in seeds(0.05):
        file.write_bytes(damaged(content.getvalue(), random.Random(seed)))
        refuses(lambda: algorithm(file), "damaged.zip")


def test_settings_in_a_zip_that_unpack_to_gigabytes_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", b" " * (LARGEST_DATA + 1))
    with pytest.raises(ValueError, match="at most 67,108,864 are read"):
        algorithm(tmp_path / "bomb.zip")


def test_what_a_damaged_scenario_still_describes_is_a_market(market_folder: Path) -> None:
    file = market_folder / "kept.yaml"
    for seed in seeds(0.005):
        file.write_bytes(damaged(b"base: mini\nharvest: 0.1\nname: kept\n", random.Random(seed)))
        if not refuses(lambda: Scenario.from_yaml(file), "kept.yaml"):
            assert Market(Scenario.from_yaml(file)).population.size > 0
