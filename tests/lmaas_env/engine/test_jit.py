"""How kernels are compiled: which edits make cached kernels stale, which are dropped, what happens without a cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lmaas_env.engine import jit
from lmaas_env.engine.jit import code_digest

SOURCE = '''\
"""A module."""

from __future__ import annotations

FACTOR = 2.0


class Pair:
    """Two numbers."""

    first: float


def twice(x: float) -> float:
    """Return twice a number."""
    return FACTOR * x  # by a constant
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""', '"""Another module,\n\nwith more words."""'),
        ('"""A module."""\n', ""),
        ('"""Two numbers."""', '"""A pair."""'),
        ('"""Return twice a number."""', '"""Return 2 x."""'),
        ('    """Return twice a number."""\n', ""),
        ("# by a constant", "# exactly"),
        ("  # by a constant", ""),
        ("FACTOR * x", "(FACTOR  *  x)"),
        ("FACTOR = 2.0\n", "# twice\n\n\nFACTOR = 2.0\n"),
    ],
)
def test_docstrings_comments_and_layout_do_not_change_the_digest(old: str, new: str, tmp_path: Path) -> None:
    before, after = edited(tmp_path, old, new)
    assert before == after


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FACTOR = 2.0", "FACTOR = 2.5"),
        ("FACTOR * x", "x * FACTOR"),
        ("FACTOR * x", "FACTOR + x"),
        ("def twice", "def double"),
        ("x: float", "x: int"),
        ("first: float", "first: float = 0.0"),
        ("return FACTOR", "'a string that is no docstring'; return FACTOR"),
    ],
)
def test_code_changes_the_digest(old: str, new: str, tmp_path: Path) -> None:
    before, after = edited(tmp_path, old, new)
    assert before != after


def edited(folder: Path, old: str, new: str) -> tuple[str, str]:
    """The digests of a file before and after an edit."""
    file = folder / "kernels.py"
    file.write_text(SOURCE)
    before = code_digest([file])
    assert old in SOURCE
    file.write_text(SOURCE.replace(old, new))
    return before, code_digest([file])


def test_the_digest_is_that_of_all_files(tmp_path: Path) -> None:
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    first.write_text("A = 1\n")
    second.write_text("B = 1\n")
    both = code_digest([first, second])
    assert both != code_digest([first])
    second.write_text("B = 2\n")
    assert both != code_digest([first, second])


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a folder of its own kernels, beside another package and an engine."""
    for folder in ("package", "package/inner", "other", "engine"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
        (tmp_path / folder / "kernels.py").write_text(SOURCE)
    monkeypatch.setattr(jit, "_ENGINE", tmp_path / "engine")
    return tmp_path / "package"


def caches(package: Path) -> dict[str, Path]:
    """Make cached kernels and compiled Python in a package, its inner folder and another package."""
    made = {
        "index": package / "__pycache__" / "kernels.twice-13.py311.nbi",
        "code": package / "inner" / "__pycache__" / "kernels.twice-13.py311.1.nbc",
        "python": package / "inner" / "__pycache__" / "kernels.cpython-311.pyc",
        "other": package.parent / "other" / "__pycache__" / "kernels.twice-13.py311.nbi",
    }
    for file in made.values():
        file.parent.mkdir(exist_ok=True)
        file.touch()
    return made


def kept(package: Path) -> set[str]:
    """The names of the caches that are kept when the package's first kernel is made in a new process."""
    made = caches(package)
    jit._drop_stale_kernels.__wrapped__(package)
    return {name for name, file in made.items() if file.exists()}


EVERYTHING, NO_KERNELS = {"index", "code", "python", "other"}, {"python", "other"}


def test_cached_kernels_of_unknown_origin_are_dropped_and_those_of_the_same_code_kept(package: Path) -> None:
    assert kept(package) == NO_KERNELS
    assert kept(package) == EVERYTHING
    assert kept(package) == EVERYTHING


@pytest.mark.parametrize("file", ["package/kernels.py", "package/inner/kernels.py", "engine/kernels.py"])
def test_edits_of_the_code_drop_a_packages_kernels_and_no_others(file: str, package: Path) -> None:
    kept(package)
    source = package.parent / file
    source.write_text(SOURCE.replace("2.0", "3.0"))
    assert kept(package) == NO_KERNELS
    assert kept(package) == EVERYTHING


@pytest.mark.parametrize("file", ["package/kernels.py", "package/inner/kernels.py", "engine/kernels.py"])
def test_edits_of_comments_and_code_of_other_packages_keep_the_kernels(file: str, package: Path) -> None:
    kept(package)
    (package.parent / file).write_text(SOURCE.replace("by a constant", "exactly"))
    assert kept(package) == EVERYTHING
    (package.parent / "other" / "kernels.py").write_text(SOURCE.replace("2.0", "3.0"))
    assert kept(package) == EVERYTHING


def test_new_and_removed_files_drop_the_kernels(package: Path) -> None:
    kept(package)
    (package / "inner" / "more.py").write_text("A = 1\n")
    assert kept(package) == NO_KERNELS
    (package / "inner" / "more.py").unlink()
    (package / "kernels.py").touch()
    assert kept(package) == NO_KERNELS


def test_a_kernels_package_is_the_outermost_one(package: Path) -> None:
    assert jit._package_of(package / "inner" / "kernels.py") == package
    assert jit._package_of(package / "kernels.py") == package
    assert jit._package_of(package.parent / "script.py") == package.parent


# Defines many kernels and calls one; prints its result and the warnings. LOCATORS: the classes that numba may find a
# place for the cache with.
WITHOUT_CACHE = """
import json, warnings
from numba.core import caching

cache = getattr(caching, "CacheImpl", None) or caching._CacheImpl
left = [locator for locator in cache._locator_classes if any(name in locator.__name__ for name in LOCATORS)]
for kind in {cache, *cache.__subclasses__()}:
    kind._locator_classes = left
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    import lmaas_env.env
    from lmaas_env.engine.channel import mean_snr
    snr = mean_snr(1000.0, 1e5, 1.0)
print(json.dumps([snr, type(mean_snr).__name__, [[w.category.__name__, str(w.message)] for w in seen]]))
"""


@pytest.mark.parametrize(
    ("locators", "warned"),
    [
        ([], 1),
        (["UserProvided", "UserWide"], 1),  # as for an installation that cannot be written
        (["UserProvided", "InTree", "UserWide"], 0),
    ],
    ids=["none", "not in the tree", "all"],
)
def test_without_a_place_for_the_cache_kernels_work_after_one_warning(locators: list[str], warned: int) -> None:
    nowhere = {"NUMBA_CACHE_DIR": "/proc/nothing", "XDG_CACHE_HOME": "/proc/nothing"}
    environment = {name: value for name, value in os.environ.items() if name != "HOME"} | nowhere
    code = f"LOCATORS = {locators}{WITHOUT_CACHE}"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    snr, kind, warnings = json.loads(done.stdout)
    assert snr == pytest.approx(30.0 - 128.1 + 174.0 - 9.0 - 50.0)
    assert "Dispatcher" in kind
    assert len(warnings) == warned
    for category, message in warnings:
        assert category == "RuntimeWarning"
        assert "set NUMBA_CACHE_DIR to a folder that can be written" in message


def test_a_folder_that_cannot_be_written_is_left_without_a_stamp(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: str) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(jit, "write_whole", refuse)
    assert kept(package) == NO_KERNELS
    assert not (package / "__pycache__" / "kernels.sha256").exists()


# Reads outside an array; prints whether a kernel noticed, and how many cached kernels it was made from or left behind.
OUTSIDE = """
import numpy as np
from lmaas_env.engine.rsr import chosen

values = np.arange(4.0).reshape(1, 4)
print(chosen(values, np.zeros(4, dtype=np.int64)).tolist(), flush=True)
try:
    chosen(values, np.full(4, 1, dtype=np.int64))
    noticed = False
except IndexError:
    noticed = True
print(noticed, type(chosen._cache).__name__, flush=True)
"""


def test_kernels_that_check_indices_are_neither_cached_nor_taken_from_the_cache() -> None:
    for setting in ("1", "0", "1", "0"):
        noticed, cache = (True, "NullCache") if setting == "1" else (False, "FunctionCache")
        code = OUTSIDE if noticed else OUTSIDE.replace("np.full(4, 1,", "np.full(4, 0,")  # never outside unchecked
        environment = os.environ | {"NUMBA_BOUNDSCHECK": setting}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == ["[0.0, 1.0, 2.0, 3.0]", f"{noticed} {cache}"]
