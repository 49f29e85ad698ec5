"""YAML text to plain JSON data, with limits, and the line of each value. Built from the parser's events.

Why not a loader: a loader builds first and is limited later; here size, depth and aliases are bounded while reading,
no tag can name a class, and a key given twice is an error. Scalars follow YAML 1.2's core schema, with one
exception: digits with a leading zero (`mode: 0644`) stay text, as authors mean octal and 1.2 would read 644.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rota.domain.errors import FieldError, InvalidInput
from rota.domain.step import Json

LARGEST: Final = 1024 * 1024  # bytes of text
DEEPEST: Final = 32
MOST_NODES: Final = 20_000  # values, counting what aliases repeat; a real playbook has some hundred
MOST_TEXT: Final = 2 * LARGEST  # characters of all values, counting what aliases repeat

_PLAIN: Final[tuple[tuple[re.Pattern[str], Any], ...]] = (
    (re.compile(r"~|null|Null|NULL|"), lambda text: None),
    (re.compile(r"true|True|TRUE"), lambda text: True),
    (re.compile(r"false|False|FALSE"), lambda text: False),
    (re.compile(r"[-+]?(0|[1-9][0-9]{0,18})"), int),
    (re.compile(r"0o[0-7]{1,20}"), lambda text: int(text[2:], 8)),
    (re.compile(r"0x[0-9a-fA-F]{1,16}"), lambda text: int(text[2:], 16)),
    (re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?)"), float),
)
_TAGS: Final = {None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


@dataclass(frozen=True, slots=True)
class Document:
    """The data, and the line (from 1) on which each value begins, by path: `steps[0].exec`."""

    data: Json
    lines: Mapping[str, int]


def read_yaml(text: str, *, what: str = "the file") -> Document:
    """Read one YAML document. Raises InvalidInput with line and column; `what` names the text in messages."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text.encode(errors="surrogatepass")) > LARGEST:
        raise _refuse(what, f"is longer than {LARGEST} bytes", None)
    builder = _Builder(what)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except MarkedYAMLError as error:
        message = " ".join(filter(None, [error.context, error.problem]))
        raise _refuse(what, f"is not YAML: {message}", error.problem_mark or error.context_mark) from error
    except (YAMLError, RecursionError) as error:
        raise _refuse(what, f"is not YAML: {error}", None) from error
    return Document(builder.document, builder.lines)


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read."""

    value: list[Json] | dict[str, Json]
    path: str
    anchor: str | None
    nodes_before: int
    text_before: int
    key: str | None = None  # of a mapping, once read


@dataclass(slots=True)
class _Anchor:
    value: Json
    nodes: int
    text: int


@dataclass(slots=True)
class _Builder:
    what: str
    document: Json = None
    lines: dict[str, int] = field(default_factory=dict)
    documents: int = 0
    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, _Anchor] = field(default_factory=dict)
    nodes: int = 0
    text: int = 0

    def take(self, event: Any) -> None:
        """Read one event of ruamel's parser."""
        name = type(event).__name__
        if name == "DocumentStartEvent":
            self.documents += 1
            if self.documents > 1:
                raise self._wrong(event, "holds a second document", "one")
        elif name in ("MappingStartEvent", "SequenceStartEvent"):
            self._begin(event, {} if name == "MappingStartEvent" else [])
        elif name in ("MappingEndEvent", "SequenceEndEvent"):
            self._end(event)
        elif name == "ScalarEvent":
            self._tag(event)
            self._count(event, 1, len(event.value))
            value = self._scalar(event)
            if event.anchor is not None:
                self.anchors[str(event.anchor)] = _Anchor(value, 1, len(event.value))
            self._add(event, value)
        elif name == "AliasEvent":
            anchor = self.anchors.get(str(event.anchor))
            if anchor is None:
                raise self._wrong(event, f"`*{event.anchor}` has no finished anchor", "an earlier &anchor")
            self._count(event, anchor.nodes, anchor.text)
            self._add(event, anchor.value)

    def _begin(self, event: Any, value: list[Json] | dict[str, Json]) -> None:
        self._tag(event)
        if len(self.open) >= DEEPEST:
            raise self._wrong(event, "is nested too deep", f"at most {DEEPEST} levels")
        if self.open and isinstance(self.open[-1].value, dict) and self.open[-1].key is None:
            raise self._wrong(event, "a key is a list or mapping", "text; quote what begins with { or [")
        anchor = None if event.anchor is None else str(event.anchor)
        self.open.append(_Open(value, self._path(), anchor, self.nodes, self.text))
        self._count(event, 1, 0)
        self.lines.setdefault(self.open[-1].path, event.start_mark.line + 1)

    def _end(self, event: Any) -> None:
        done = self.open.pop()
        if done.anchor is not None:
            self.anchors[done.anchor] = _Anchor(
                done.value, self.nodes - done.nodes_before, self.text - done.text_before
            )
        self._add(event, done.value)

    def _add(self, event: Any, value: Json) -> None:
        if not self.open:
            self.document = value
            return
        top = self.open[-1]
        if isinstance(top.value, list):
            self.lines.setdefault(self._path(), event.start_mark.line + 1)
            top.value.append(value)
        elif top.key is None:
            self._key(event, top, value)
        else:
            self.lines.setdefault(self._path(), event.start_mark.line + 1)
            top.value[top.key] = value
            top.key = None

    def _key(self, event: Any, top: _Open, value: Json) -> None:
        if not isinstance(value, str | int | float | bool) or isinstance(top.value, list):
            raise self._wrong(event, "a key is not text", "text")
        key = getattr(event, "value", None) if not isinstance(value, str) else value
        key = str(key if key is not None else value)
        if key in top.value:
            raise self._wrong(event, f'"{key}" is given twice', "each key once")
        if key == "<<":
            raise self._wrong(event, "merge keys (<<) are not read", "the keys written out, or a plain *alias")
        top.key = key

    def _path(self) -> str:
        if not self.open:
            return ""
        top = self.open[-1]
        if isinstance(top.value, list):
            return f"{top.path}[{len(top.value)}]"
        return f"{top.path}.{top.key}" if top.path else str(top.key)

    def _scalar(self, event: Any) -> Json:
        text: str = event.value
        if not event.implicit[0] or event.tag is not None:
            return text
        for pattern, convert in _PLAIN:
            if pattern.fullmatch(text):
                value: Json = convert(text)
                if isinstance(value, float) and not math.isfinite(value):
                    raise self._wrong(event, f"the number {text} is too large", "a number that JSON can hold")
                return value
        return text

    def _tag(self, event: Any) -> None:
        tag = getattr(event, "tag", None)
        if (None if tag is None else str(tag)) not in _TAGS:
            raise self._wrong(event, f"the tag {tag} is not allowed", "plain data")

    def _count(self, event: Any, nodes: int, text: int) -> None:
        self.nodes += nodes
        self.text += text
        if self.nodes > MOST_NODES:
            raise self._wrong(event, "holds too many values, counting what aliases repeat", f"at most {MOST_NODES}")
        if self.text > MOST_TEXT:
            raise self._wrong(event, "holds too much text, counting what aliases repeat", f"at most {MOST_TEXT}")

    def _wrong(self, event: Any, message: str, expected: str) -> InvalidInput:
        return _refuse(self.what, message, event.start_mark, expected)


def _refuse(what: str, message: str, mark: Any, expected: str = "") -> InvalidInput:
    place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
    return InvalidInput.of([FieldError(field=what, message=message + place, expected=expected)])
