"""The filters and tests of the template language: each a plain function of plain JSON data.

Jinja's own `format`, `attr`, `map`, `select` and the like are left out: they reach attributes or grow without bound.
"""

from __future__ import annotations

import json
import posixpath
import urllib.parse
from collections.abc import Callable
from typing import Any

from jinja2 import filters as jinja_filters
from jinja2 import tests as jinja_tests

from rota.domain.step import Json
from rota.templating.quoting import Place, quote

FALSE_WORDS = frozenset({"", "0", "false", "no", "off", "none", "null"})


class NotShowable(ValueError):
    """A value that has no text form. The message completes "…: the value "."""


def show(value: Json) -> str:
    """The text of a value: text as it is, true/false as JSON writes them, lists and mappings as compact JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        raise NotShowable('is null; give it a value or write `| default("…", true)`')
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)


def shown_for(place: Place | None) -> Callable[[Json], str]:
    """The last filter of an interpolation: text, quoted for `place` (None: plain)."""

    def finish(value: Json) -> str:
        text = show(value)
        if place is None:
            return text
        if "\0" in text:
            raise NotShowable("holds a NUL character, which no command can be given")
        return quote(text, place)

    return finish


def truth(value: Json) -> bool:
    """How `if`, `not` and `when` read a value. Variables are text, so the words for false are false as well."""
    return value.strip().lower() not in FALSE_WORDS if isinstance(value, str) else bool(value)


def _tojson(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _quote(value: Json) -> str:
    return quote(show(value), Place.BARE)


def _join(value: list[Json], separator: str = "") -> str:
    return separator.join(show(item) for item in value)


def _replace(value: Json, old: str, new: str) -> str:
    return show(value).replace(old, new)


def _truncate(value: Json, length: int = 255, end: str = "…") -> str:
    text = show(value)
    return text if len(text) <= length else text[: max(0, length - len(end))] + end


def _unique(value: list[Json]) -> list[Json]:
    return [item for at, item in enumerate(value) if item not in value[:at]]


def _sort(value: list[Any], reverse: bool = False) -> list[Any]:
    return sorted(value, reverse=reverse)


FILTERS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "basename": lambda path: posixpath.basename(show(path)),
    "default": jinja_filters.FILTERS["default"],
    "dirname": lambda path: posixpath.dirname(show(path)),
    "first": lambda value: value[0],
    "float": jinja_filters.FILTERS["float"],
    "int": jinja_filters.FILTERS["int"],
    "join": _join,
    "last": lambda value: value[-1],
    "length": len,
    "lines": lambda value: show(value).splitlines(),
    "lower": lambda value: show(value).lower(),
    "max": max,
    "min": min,
    "quote": _quote,
    "raw": lambda value: value,  # says "do not quote"; only as the last filter, see language
    "replace": _replace,
    "round": round,
    "sort": _sort,
    "split": lambda value, separator=None: show(value).split(separator),
    "string": show,
    "tojson": _tojson,
    "trim": lambda value: show(value).strip(),
    "truncate": _truncate,
    "unique": _unique,
    "upper": lambda value: show(value).upper(),
    "urlencode": lambda value: urllib.parse.quote(show(value), safe=""),
}
"""By name. `quote` writes a value for a second POSIX shell; elsewhere commands are quoted without being asked."""

_JINJA_TESTS = (
    "boolean defined divisibleby eq equalto even false ge gt in le lower lt mapping ne none number odd sameas "
    "sequence string true undefined upper == != < <= > >="
)
_JINJA: dict[str, Any] = {name: jinja_tests.TESTS[name] for name in _JINJA_TESTS.split()}
TESTS: dict[str, Callable[..., Any]] = {
    **_JINJA,
    "startingwith": lambda value, start: show(value).startswith(start),
    "endingwith": lambda value, end: show(value).endswith(end),
    "containing": lambda value, part: part in value,
}
"""By name. The last three stand in for methods, which the language does not call."""

HIDDEN: dict[str, Callable[[Json], Any]] = {
    "=truth": truth,
    "=plain": shown_for(None),
    **{f"={place.value}": shown_for(place) for place in Place},
}
"""Added by us around interpolations and conditions. No author can write these names."""
