"""`lmaas leaderboard`: entries are checked by line, scored in a process of their own, and scored again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from lmaas_agents.learned.policy_file import shipped_policies
from lmaas_train.__main__ import main
from lmaas_train.cli import leaderboard
from lmaas_train.cli.leaderboard import Entry, LeaderboardAdd, LeaderboardCheck
from lmaas_train.evaluation.sellers import SELLERS

LEADERBOARD = Path(__file__).parents[2] / "leaderboard"
ENTRY = """name: half way
who: A. Author
kind: none
method: The middle of the price range.
scenario: static
policy: run.py:middle
training: none
"""
RUN = "def middle(observation):\n    return [0.0, 0.0, 0.0, 0.0]\n"


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    folder = tmp_path / "half-way"
    folder.mkdir()
    (folder / "entry.yaml").write_text(ENTRY)
    (folder / "run.py").write_text(RUN)
    return folder


@pytest.mark.heavy
def test_an_entry_is_scored_and_scored_again(
    entry: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["leaderboard", "add", str(entry), "--days", "2"]) == 0
    score = json.loads((entry / "score.json").read_text())
    assert score["days"] == 2
    assert 0.5 < score["share_of_imp"] < 0.9
    assert "half way:" in capsys.readouterr().out
    (again,) = LeaderboardCheck((entry,)).main()
    assert again["profit"] == pytest.approx(score["profit"], rel=1e-12)
    monkeypatch.setattr(leaderboard, "score_entry", lambda *_: again)
    (entry / "score.json").write_text(json.dumps(score | {"profit": score["profit"] * 1.001}))
    with pytest.raises(ValueError, match="scored again"):
        LeaderboardCheck((entry,)).main()


@pytest.mark.heavy
def test_several_entries_are_checked_and_all_that_differ_are_named(entry: Path, tmp_path: Path) -> None:
    LeaderboardAdd(entry, days=2).main()
    other = tmp_path / "other"
    shutil.copytree(entry, other)
    first, second = LeaderboardCheck((entry, other), jobs=2).main()
    assert first["profit"] == second["profit"]
    for folder in (entry, other):
        (folder / "score.json").write_text(json.dumps(first | {"profit": 0.5 * first["profit"]}))
    with pytest.raises(ValueError, match="scored again") as error:
        LeaderboardCheck((entry, other), jobs=2).main()
    assert str(error.value).count("scored again") == 2
    with pytest.raises(ValueError, match=r"^jobs = 0 must be at least 1$"):
        LeaderboardCheck((entry,), jobs=0).main()


def test_imp_itself_may_be_an_entry(entry: Path) -> None:
    (entry / "entry.yaml").write_text(ENTRY.replace("run.py:middle", "imp"))
    assert LeaderboardAdd(entry, days=2).main()["share_of_imp"] == 1.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: none", "kind: magic", "kind = 'magic' must be one of from scratch"),
        ("name: half way", "name: ''", "name must not be empty"),
        ("scenario: static", "scenario: statc", "did you mean 'static'"),
        ("training: none", "trained: none", "line 7: key 'trained' is unknown, did you mean 'training'"),
        ("training: none", "training: none\nwho: x", "line 8: who is given a second time"),
        ("training: none", "training: none\nlinks: x", "links = 'x' must be a list"),
        ("run.py:middle", "run.py:none", "half-way': seller 'run.py:none'"),
    ],
)
def test_a_wrong_entry_is_refused_and_nothing_is_written(entry: Path, old: str, new: str, message: str) -> None:
    (entry / "entry.yaml").write_text(ENTRY.replace(old, new))
    with pytest.raises(ValueError, match=message):
        LeaderboardAdd(entry, days=2).main()
    assert not (entry / "score.json").exists()


def test_a_policy_that_raises_acts_outside_the_range_or_hangs_is_refused(entry: Path) -> None:
    (entry / "run.py").write_text(RUN.replace("[0.0,", "[7.0,"))
    with pytest.raises(ValueError, match="action"):
        LeaderboardAdd(entry, days=2).main()
    (entry / "run.py").write_text("import time\ntime.sleep(600)\n")
    with pytest.raises(ValueError, match=r"scoring took longer than 0\.05 minutes"):
        LeaderboardAdd(entry, days=2, minutes=0.05).main()
    with pytest.raises(ValueError, match=r"minutes = inf must be in \(0, 10000\]"):
        LeaderboardAdd(entry, days=2, minutes=float("inf")).main()
    with pytest.raises(ValueError, match="holds no score"):
        LeaderboardCheck((entry,)).main()


def test_entries_that_ship_are_complete() -> None:
    folders = sorted(path.parent for path in LEADERBOARD.glob("*/entry.yaml"))
    assert len(folders) >= 10
    for folder in folders:
        entry = Entry.load(folder)
        assert entry.policy in SELLERS or entry.policy in shipped_policies() or (folder / entry.policy).exists()
        assert json.loads((folder / "score.json").read_text())["days"] == 40


@pytest.mark.heavy
def test_an_entry_that_ships_has_its_score() -> None:
    LeaderboardCheck((LEADERBOARD / "day-ppo",)).main()
