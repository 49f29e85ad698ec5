"""YAML text to a tree in which every value knows its line, and stays the text that was written.

Not `actions.yaml_reader`: that gives a playbook's typed values. Of an inventory all values are texts: the tag
`version: 1.10` is not the number 1.1, and `mode: 0644` not 420. Limits hold while reading; no tag is obeyed, and
aliases are refused, so nothing grows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from rota.domain.errors import FieldError, InvalidInput
from rota.importing.reading import LARGEST

_DEEPEST = 32
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Scalar:
    """`text` None: nothing was said (`user:`, `user: null`)."""

    text: str | None
    line: int  # from 1; 0 = not known


@dataclass(frozen=True, slots=True)
class Items:
    items: list[Node]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping. `lines`: where each key stands."""

    entries: dict[str, Node]
    line: int
    lines: Mapping[str, int] = field(default_factory=dict)

    def line_of(self, key: str) -> int:
        return self.lines.get(key, self.line)


Node = Scalar | Items | Table


def read_tree(text: str, *, what: str) -> Node:
    """Read one YAML or JSON document. Raises InvalidInput with line and column; `what` names the text in messages."""
    if len(text) > LARGEST:
        raise InvalidInput(f"{what} is longer than {LARGEST} characters")
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _of_json(json.loads(text))  # which YAML takes as well, fifteen times slower
        except ValueError:
            pass  # a flow collection that is YAML's alone
        except RecursionError as error:
            raise InvalidInput(f"{what} is nested too deep", expected=f"at most {_DEEPEST} levels") from error
    return _Builder(what).read(text)


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read."""

    node: Items | Table
    lines: dict[str, int]
    key: str | None = None  # of a mapping, once read


class _Builder:
    def __init__(self, what: str) -> None:
        self._what = what
        self._open: list[_Open] = []
        self._root: Node | None = None

    def read(self, text: str) -> Node:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        try:
            for event in YAML(typ="safe", pure=True).parse(text):
                self._take(event)
        except MarkedYAMLError as error:
            message = " ".join(filter(None, [error.context, error.problem]))
            self._refuse(f"is not YAML: {message}", error.problem_mark or error.context_mark)
        except (YAMLError, RecursionError) as error:
            self._refuse(f"is not YAML: {error}", None)
        return self._root or Scalar(None, 1)

    def _take(self, event: Any) -> None:
        """Read one event of ruamel's parser."""
        match type(event).__name__:
            case "DocumentStartEvent" if self._root is not None:
                self._refuse("holds a second document", event.start_mark)
            case "MappingStartEvent" | "SequenceStartEvent" as name:
                if len(self._open) >= _DEEPEST:
                    self._refuse("is nested too deep", event.start_mark)
                lines: dict[str, int] = {}
                at = event.start_mark.line + 1
                node: Items | Table = Table({}, at, lines) if name == "MappingStartEvent" else Items([], at)
                self._open.append(_Open(node, lines))
            case "MappingEndEvent" | "SequenceEndEvent":
                self._add(self._open.pop().node, event)
            case "ScalarEvent":
                is_plain = event.implicit[0] and event.tag is None
                text = None if is_plain and event.value in _NOTHING else event.value
                self._add(Scalar(text, event.start_mark.line + 1), event)
            case "AliasEvent":
                self._refuse(f"has the alias *{event.anchor}, and aliases are not read", event.start_mark)

    def _add(self, node: Node, event: Any) -> None:
        if not self._open:
            self._root = node
            return
        top = self._open[-1]
        if isinstance(top.node, Items):
            top.node.items.append(node)
        elif top.key is not None:
            top.node.entries[top.key] = node
            top.key = None
        elif isinstance(node, Scalar):
            key = node.text or ""
            if key in top.lines:
                self._refuse(f'has "{key[:80]}" twice in one mapping', event.start_mark)
            top.key, top.lines[key] = key, node.line
        else:
            self._refuse("has a key that is a list or mapping", event.start_mark)

    def _refuse(self, message: str, mark: Any) -> NoReturn:
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise InvalidInput.of([FieldError(field=place, message=f"{self._what} {message}")])


def _of_json(value: Any) -> Node:
    match value:
        case dict():
            return Table({key: _of_json(inner) for key, inner in value.items()}, 0)
        case list():
            return Items([_of_json(inner) for inner in value], 0)
        case None | str():
            return Scalar(value, 0)
        case _:
            return Scalar(json.dumps(value), 0)


def texts(node: Node) -> Iterator[tuple[str, int]]:
    """The texts of a list, or of a single value written in its place."""
    if isinstance(node, Items):
        for item in node.items:
            yield from texts(item)
    elif isinstance(node, Scalar) and node.text is not None:
        yield node.text, node.line
