"""YAML mappings with the line of every key, so that faults can be reported by line; loading runs no code.

Files hold mappings, lists, texts, numbers, true, false and null. All else that YAML can say is refused or read as a
text: aliases, which make a small file large or endless, deep nesting, dates, base 60 and base 8, and tags.
"""

# PyYAML has no types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, NoReturn, cast

import yaml
from yaml.constructor import ConstructorError

from lmaas_env.fields import one_line
from lmaas_env.files import read_text

DEEPEST = 20  # levels of nesting
LONGEST_NUMBER = 400  # characters: any finite float fits
LARGEST = 2**20  # bytes
_INT = re.compile(r"^[-+]?(?:0|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"^[-+]?(?:(?:0|[1-9][0-9_]*)(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:e[-+]?[0-9]+)?$|^[-+]?\.inf$|^\.nan$", re.I
)
_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """YAML as people write settings; 1e6 is a number, too, and every key is a text."""

    yaml_implicit_resolvers: Any = {}  # noqa: RUF012  # of this class, not those of its parents
    yaml_constructors: Any = {}  # noqa: RUF012
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node; refuse aliases and deep nesting."""
        if self.check_event(yaml.AliasEvent):
            self._refuse("aliases are not allowed", self.peek_event().start_mark)
        self.depth += 1
        if self.depth > DEEPEST:
            self._refuse(f"more than {DEEPEST} levels are not allowed", self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping whose keys are texts."""
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse("a key must be a text", key.start_mark)
            found[key.value] = self.construct_object(value, deep=deep)
        return found

    def number(self, node: Any) -> int | float:
        """Return a number."""
        said, kind = str(node.value).replace("_", "").lower(), int if node.tag.endswith("int") else float
        try:
            if len(said) <= LONGEST_NUMBER:
                return kind(said.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            pass
        self._refuse("a number cannot be read", node.start_mark)

    def _refuse(self, problem: str, mark: Any) -> NoReturn:
        raise ConstructorError(None, None, problem, mark)


_Loader.add_implicit_resolver(f"{_TAG}null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(
    f"{_TAG}bool", re.compile(r"^(?:yes|no|true|false|on|off)$", re.IGNORECASE), list("yYnNtTfFoO")
)
_Loader.add_implicit_resolver(f"{_TAG}int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+.0123456789"))
for _name, _make in {
    "null": yaml.SafeLoader.construct_yaml_null,
    "bool": yaml.SafeLoader.construct_yaml_bool,
    "int": _Loader.number,
    "float": _Loader.number,
    "str": yaml.SafeLoader.construct_yaml_str,
    "seq": yaml.SafeLoader.construct_yaml_seq,
    "map": yaml.SafeLoader.construct_yaml_map,
}.items():
    _Loader.add_constructor(f"{_TAG}{_name}", cast("Any", _make))
_Loader.add_constructor(cast("Any", None), cast("Any", yaml.SafeLoader.construct_undefined))


class _Dumper(yaml.SafeDumper):
    """Writes what comes twice twice, as aliases are not read."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return whether to write a value again."""
        return True


def dump(content: dict[str, Any]) -> str:
    """Return a mapping as YAML that `load` reads."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False)


def load(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, int]]:
    """Return a file's mapping, and the line of every key; inner keys read ``outer.inner``, repeated ones end in "*".

    Raises
    ------
    ValueError
        If the file cannot be read or is no such YAML; the message names the file and the line.
    """
    text, where = read_text(path, kind, LARGEST), f"{kind} file {os.fspath(path)!r}"
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        content: Any = None if root is None else loader.construct_document(root)  # pyright: ignore
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f", line {mark.line + 1}" if mark else ""
        raise ValueError(f"{where}{at} is not valid YAML: {one_line(str(error.problem or error.context))}") from error
    except yaml.reader.ReaderError as error:
        at = text.count("\n", 0, error.position) + 1
        raise ValueError(f"{where}, line {at} is not valid YAML: character {error.character!r}") from error
    except (yaml.YAMLError, ValueError, KeyError, AttributeError) as error:  # of tags that do not fit their values
        raise ValueError(f"{where} is not valid YAML: {one_line(str(error))}") from error
    if not isinstance(content, dict):
        held = type(content).__name__  # pyright: ignore
        raise ValueError(f"{where} must map names to values, it holds a {held}")
    lines: dict[str, int] = {}
    for key, line in _keys(cast("yaml.MappingNode", root), ""):
        while key in lines:
            key += "*"
        lines[key] = line
    return cast("dict[str, Any]", content), lines


def _keys(node: yaml.MappingNode, prefix: str) -> Iterator[tuple[str, int]]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        yield name, key.start_mark.line + 1
        if isinstance(value, yaml.MappingNode):
            yield from _keys(value, f"{name}.")


def repeated(lines: dict[str, int]) -> list[tuple[str, str]]:
    """Return the keys that are given a second time, each with a message."""
    return [(key, f"{key.rstrip('*')} is given a second time") for key in lines if key.endswith("*")]


def report(kind: str, path: str | os.PathLike[str], found: list[tuple[int, str]]) -> str:
    """Return the faults of a file as one message, in the order of their lines."""
    places = [f"line {line}: {one_line(fault)}" if line else one_line(fault) for line, fault in sorted(found)]
    start = f"{kind} file {os.fspath(path)!r}"
    if len(places) > 1:
        return f"{start}:\n  " + "\n  ".join(places)
    return f"{start}{',' if found[0][0] else ':'} {places[0]}"
