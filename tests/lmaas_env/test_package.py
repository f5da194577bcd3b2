"""What ``import lmaas_env`` offers beside its modules, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest


def printed(code: str) -> str:
    """What a new Python process prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("name", "words"), [("LMaaSEnv", "Observation Space"), ("LMaaSVectorEnv", "num_envs : int")])
def test_help_shows_the_environments_after_the_packages_import(name: str, words: str) -> None:
    page = printed(f"import lmaas_env; help(lmaas_env.{name})")
    assert f"class {name}(" in page
    assert words in page


def test_the_environments_are_listed_and_are_those_of_their_modules() -> None:
    code = "import lmaas_env as l; print({'LMaaSEnv', 'LMaaSVectorEnv'} <= {*dir(l)} & {*l.__all__}); "
    code += "import lmaas_env.env as e, lmaas_env.vector_env as v; "
    code += "print(l.LMaaSEnv is e.LMaaSEnv, l.LMaaSVectorEnv is v.LMaaSVectorEnv)"
    assert printed(code).split() == ["True"] * 3


def test_an_unknown_attribute_is_refused_by_name() -> None:
    code = "import lmaas_env\ntry: lmaas_env.LMaaSEnvironment\nexcept AttributeError as error: print(error)"
    assert "'lmaas_env' has no attribute 'LMaaSEnvironment'" in printed(code)
