"""What a selector is made of, its text, and what it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, assert_never, get_args

from rota.domain.step import OsName

Kind = Literal["host", "group", "tag", "site", "os"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SYSTEMS: tuple[OsName, ...] = get_args(OsName)


@dataclass(frozen=True, slots=True)
class All:
    """`all`."""


@dataclass(frozen=True, slots=True)
class Term:
    """`host:a`, `group:web`, `tag:env=prod` (exactly this value), `tag:env` (any value), `site:hq`, `os:linux`."""

    kind: Kind
    value: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """`~regex`, already known to compile and to be harmless."""

    regex: str


@dataclass(frozen=True, slots=True)
class Not:
    of: Selector


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Selector, ...]  # at least two


@dataclass(frozen=True, slots=True)
class Pick:
    """A list. No `include` means all hosts. At least two items in all: one item stands for itself."""

    include: tuple[Selector, ...]  # none of them is a Not that was written without brackets
    exclude: tuple[Selector, ...] = ()


Selector = All | Term | Pattern | Not | And | Pick


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The hosts and groups that a selector names."""

    hosts: frozenset[str]
    groups: frozenset[str]


def format_selector(selector: Selector) -> str:
    """Write a selector so that `parse` gives the same again. Exclusions come last."""
    match selector:
        case All():
            return "all"
        case Term(kind, value):
            return f"{kind}:{value}"
        case Pattern(regex):
            return f"~{regex}"
        case Not(of):
            return "!" + _bracketed(of, And, Pick, Not)
        case And(parts):
            return "&".join(_bracketed(part, And, Pick) for part in parts)
        case Pick(include, exclude):
            added = [_bracketed(item, Pick, Not) for item in include]
            return ",".join([*added, *("!" + _bracketed(item, And, Pick, Not) for item in exclude)])
        case _:
            assert_never(selector)


def names(selector: Selector) -> Names:
    """Return every host and group that is named, so that a save can say which of them do not exist."""
    terms = [part for part in _walk(selector) if isinstance(part, Term)]
    return Names(
        hosts=frozenset(term.value for term in terms if term.kind == "host"),
        groups=frozenset(term.value for term in terms if term.kind == "group"),
    )


def _bracketed(selector: Selector, *kinds: type[Selector]) -> str:
    text = format_selector(selector)
    return f"({text})" if isinstance(selector, kinds) else text


def _walk(selector: Selector) -> Iterator[Selector]:
    yield selector
    match selector:
        case Not(of):
            yield from _walk(of)
        case And(parts):
            for part in parts:
                yield from _walk(part)
        case Pick(include, exclude):
            for part in (*include, *exclude):
                yield from _walk(part)
