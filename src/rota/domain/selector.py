"""Text that picks hosts: `all  host:a  group:web  tag:env=prod  tag:staging  site:hq  os:linux  , & ! ~regex ( )`.

    list    = item { "," item }        item  = "!" factor | both
    both    = factor { "&" factor }    factor = "!" factor | "(" list ")" | term

- `a,b` is a or b; `a&b` is both; `!a` is all but a. `!` binds tighter than `&`, and `&` tighter than `,`.
- In a list, items that are only a `!` take away from all the others, wherever they stand: `group:web,!host:a` is
  the group less one host, and so is `!host:a,group:web`; `!a,!b` is all less both. To add what is not a, write
  `group:web,(!host:a)`.
- `~regex` is searched for anywhere in a host's name; it ends at a blank, or at `,` `&` or `)` outside its own
  brackets.
- `host:local` is built in. `all`, `os:`, `!` and `~` mean it only while there is no other host; what names it,
  or was said about it (`host: group: tag: site:`), always may.
- `group:web` are the members of a static group, or what the selector of a dynamic one picks now.

Blanks around words mean nothing. `@file` and `-` are read by the client, see `from_lines`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Literal, NoReturn, assert_never, get_args

from rota.domain.errors import FieldError, InvalidInput, NotFound, near
from rota.domain.ids import in_order
from rota.domain.inventory import LOCAL, NAME, NAMES_CONSIDERED, TAG_KEY, TAG_VALUE, Group, Host
from rota.domain.pattern import compile_pattern
from rota.domain.step import OsName

MAX_CHARACTERS = 256 * 1024
MAX_TERMS = 10_000
MAX_DEPTH = 20
MAX_FAULTS = 50  # told at once; ten thousand would help nobody

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


def parse(text: str, *, field: str = "target") -> Selector:
    """Read a selector. Raises InvalidInput with every unknown word at once, and with the first slip of grammar."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(f"{field}: the selector is too long", expected=f"at most {MAX_CHARACTERS} characters")
    return _Parser(text, field).parse()


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


def require_known(selector: Selector, hosts: Iterable[str], groups: Iterable[str], *, field: str = "target") -> None:
    """Raise NotFound naming each host and group that is named and does not exist. `host:local` always does."""
    named = names(selector)
    known_hosts, known_groups = {*hosts, LOCAL}, set(groups)
    missing = [("host", name, known_hosts) for name in sorted(named.hosts - known_hosts)]
    missing += [("group", name, known_groups) for name in sorted(named.groups - known_groups)]
    faults = [_missing(kind, name, known, field) for kind, name, known in missing[:MAX_FAULTS]]
    if len(missing) > MAX_FAULTS:
        faults.append(FieldError(field=field, message=f"and {len(missing) - MAX_FAULTS} more do not exist"))
    if faults:
        raise NotFound("; ".join(map(str, faults)), errors=faults, hint="see: rota hosts list, rota groups list")


def group_circle(name: str, groups: Mapping[str, Group]) -> tuple[str, ...]:
    """The names on the way from a dynamic group by way of others to itself, `("a", "b", "a")`; empty where none is.

    Circles that it only leads to are not its own.
    """
    ways: list[tuple[str, ...]] = [(name,)]
    seen = {name}
    while ways:
        way = ways.pop()
        for inner in sorted(_groups_in(groups.get(way[-1]))):
            if inner == name:
                return (*way, name)
            if inner not in seen:
                seen.add(inner)
                ways.append((*way, inner))
    return ()


def from_lines(lines: Iterable[str], *, source: str = "-") -> str:
    """Return the selector that the lines of `@file` or of standard input stand for.

    One host name or selector a line; blank lines and what follows a `#` count for nothing. A bare name is a host
    here. Raises InvalidInput where nothing is left: an empty file must not mean "all".
    """
    items = [line.partition("#")[0].strip() for line in lines]
    terms = [item if _is_selector(item) else f"host:{item}" for item in items if item]
    if not terms:
        raise InvalidInput(f"{source} names no host", expected="a host name or a selector on each line")
    return ",".join(terms)


class _Parser:
    """Recursive descent over the text itself, as what ends a pattern depends on the pattern."""

    def __init__(self, text: str, field: str) -> None:
        self._text, self._field = text, field
        self._at = 0
        self._terms = 0
        self._faults: list[FieldError] = []

    def parse(self) -> Selector:
        selector: Selector = All()
        try:
            selector = self._list(depth=0)
            if self._peek():
                self._stop(f'")" closes nothing at character {self._at + 1}', "as many ( as )")
        except _GrammarError:
            self._look_for_more()
        if self._faults:
            raise InvalidInput.of(self._faults, hint="such as: group:web,!host:web-3 or tag:env=prod&os:linux")
        return selector

    def _list(self, depth: int) -> Selector:
        if depth > MAX_DEPTH:
            self._stop(f"brackets within brackets, {depth} deep", f"at most {MAX_DEPTH} levels")
        include: list[Selector] = []
        exclude: list[Selector] = []
        while True:
            opening = self._peek()
            item = self._both(depth)
            if isinstance(item, Not) and opening == "!":
                exclude.append(item.of)
            else:
                include.append(item)
            if self._peek() != ",":
                break
            self._at += 1
        match include, exclude:
            case [[one], []]:
                return one
            case [[], [one]]:
                return Not(one)
        return Pick(tuple(include), tuple(exclude))

    def _both(self, depth: int) -> Selector:
        parts = [self._factor(depth)]
        while self._peek() == "&":
            self._at += 1
            parts.append(self._factor(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _factor(self, depth: int) -> Selector:
        start = self._at
        first = self._peek()
        if not first or first in ",&)":
            self._stop(f"something is missing at character {self._at + 1}", "all, host:…, group:…, tag:… or (")
        if first not in "!(~":
            return self._nothing_follows(self._term(self._take(_end_of_word)))
        self._at += 1
        if first == "~":
            return self._nothing_follows(self._pattern(self._take(_end_of_pattern)))
        if first == "!":
            if self._peek() == "!":
                self._stop(f'"!!" at character {start + 1}', 'one "!"')
            return Not(self._factor(depth))
        inner = self._list(depth + 1)
        if self._peek() != ")":
            self._stop(f'"(" at character {start + 1} is not closed', "as many ) as (")
        self._at += 1
        return self._nothing_follows(inner)

    def _term(self, word: str) -> Selector:
        kind, colon, value = word.partition(":")
        if word == "all":
            return All()
        if not colon or kind not in KINDS:
            self._faults.append(self._unknown(word, kind if colon else ""))
            return All()
        term = Term(kind, value)
        if expected := _expected_value(term):
            told = f'"{_cut(word)}" is incomplete' if not value else f'"{_cut(word)}" has a value that cannot be'
            self._faults.append(FieldError(field=self._field, message=told, expected=expected, got=_cut(value)))
        return term

    def _pattern(self, regex: str) -> Selector:
        try:
            compile_pattern(regex)
        except InvalidInput as error:
            self._faults += error.as_faults(self._field)
        return Pattern(regex)

    def _unknown(self, word: str, kind: str) -> FieldError:
        if kind:
            return FieldError(
                field=self._field,
                message=f'unknown selector "{_cut(kind)}:"',
                expected="one of all " + " ".join(f"{known}:" for known in KINDS) + " ~",
                got=_cut(word),
                hint=near(kind, KINDS),
            )
        hint = ""
        if word.startswith("@") or word == "-":
            message = f'"{_cut(word)}" is read by the command line only, and stands alone'
        elif word.lower() == "all":
            message, hint = f'"{word}" is not known', "did you mean all?"
        elif NAME.fullmatch(word) is None:
            message = f'"{_cut(word)}" is not known'
        else:
            # A bare word could be a host, a group or a tag; guessing wrong would run on the wrong machines.
            message, hint = f'"{_cut(word)}" does not say what it is', f"did you mean host:{_cut(word)}?"
        expected = "host: group: tag: site: os:"
        return FieldError(field=self._field, message=message, expected=expected, got=_cut(word), hint=hint)

    def _take(self, end_of: Callable[[str, int], int]) -> str:
        """Take the word or pattern that begins here."""
        self._terms += 1
        if self._terms > MAX_TERMS:
            self._stop(f"more than {MAX_TERMS} terms", "a group or a tag instead of so many hosts")
        start, self._at = self._at, end_of(self._text, self._at)
        return self._text[start : self._at]

    def _nothing_follows(self, selector: Selector) -> Selector:
        if self._peek() not in ("", ",", "&", ")"):
            self._stop(f"nothing joins the words at character {self._at + 1}", '"," for either or "&" for both')
        return selector

    def _peek(self) -> str:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _stop(self, message: str, expected: str) -> NoReturn:
        self._faults.append(FieldError(field=self._field, message=message, expected=expected, got=_cut(self._text)))
        raise _GrammarError

    def _look_for_more(self) -> None:
        """After a slip of grammar: judge the words behind it too, so that nobody corrects one at a time."""
        while self._at < len(self._text) and self._terms < MAX_TERMS:
            character = self._peek()
            if character and character in ",&!()":
                self._at += 1
            elif character == "~":
                self._at += 1
                self._pattern(self._take(_end_of_pattern))
            elif character:
                self._term(self._take(_end_of_word))


class _GrammarError(Exception):
    """The text stops making sense here; the fault is noted."""


class Picker:
    """An inventory to ask any number of selectors of. It is looked through once for each kind of term they use.

    `hosts`: the built-in local host is added where it is not among them. `groups` are those that exist; a host's
    word that it is in another one does not count.
    """

    def __init__(self, hosts: Iterable[Host], groups: Iterable[Group] = ()) -> None:
        self._hosts = {LOCAL: Host(name=LOCAL)} | {host.name: host for host in hosts}
        self._groups = {group.name: group for group in groups}
        self._everyone = frozenset(self._hosts) - {LOCAL} or frozenset({LOCAL})
        self._disabled = frozenset(name for name, host in self._hosts.items() if host.disabled)
        # Filled while asked, each entry at once: several threads may ask.
        self._by_kind: dict[Kind, Mapping[str, frozenset[str]]] = {}
        self._by_dynamic_group: dict[str, frozenset[str]] = {}

    def pick(self, selector: Selector, *, include_disabled: bool = False) -> tuple[str, ...]:
        """Return the names of the hosts that are picked, web-2 before web-10.

        Disabled hosts are left out unless asked for.
        What is named and does not exist picks nothing: a saved job may outlive its hosts, and `require_known` has
        judged it when it was saved. Raises InvalidInput where a dynamic group contains itself.
        """
        picked = self._pick(selector, within=())
        return tuple(sorted(picked if include_disabled else picked - self._disabled, key=self._places.__getitem__))

    @cached_property
    def _places(self) -> Mapping[str, int]:
        """Each host's place among all of them: names are compared once, not with each question."""
        return {name: place for place, name in enumerate(in_order(self._hosts))}

    def _pick(self, selector: Selector, within: tuple[str, ...]) -> frozenset[str]:
        """`within`: the dynamic groups that `selector` stands in, from the outermost."""
        match selector:
            case All():
                return self._everyone
            case Term("host", value):
                return frozenset({value} & self._hosts.keys())
            case Term("group", value):
                return self._members(value, within)
            case Term(kind, value):
                picked = self._of_kind(kind).get(value, frozenset())
                return picked & self._everyone if kind == "os" else picked
            case Pattern(regex):
                search = compile_pattern(regex).search
                return frozenset(name for name in self._everyone if search(name))
            case Not(of):
                return self._everyone - self._pick(of, within)
            case And(parts):
                return frozenset.intersection(*(self._pick(part, within) for part in parts))
            case Pick(include, exclude):
                added = (self._pick(part, within) for part in include)
                picked = frozenset().union(*added) if include else self._everyone
                return picked.difference(*(self._pick(part, within) for part in exclude))
            case _:
                assert_never(selector)

    def _members(self, name: str, within: tuple[str, ...]) -> frozenset[str]:
        group = self._groups.get(name)
        if group is None:
            return frozenset()
        if group.selector is None:
            return self._of_kind("group").get(name, frozenset())
        if name in within:  # refused when groups are saved; what `!` made of it would depend on who looked first
            raise InvalidInput(
                f"group {name} contains itself: {' → '.join((*within[within.index(name) :], name))}",
                hint=f"give it another selector: rota groups update {name} --match SELECTOR",
            )
        if name not in self._by_dynamic_group:
            self._by_dynamic_group[name] = self._pick(parse(group.selector), (*within, name))
        return self._by_dynamic_group[name]

    def _of_kind(self, kind: Kind) -> Mapping[str, frozenset[str]]:
        if kind not in self._by_kind:
            index: dict[str, set[str]] = {}
            for name, host in self._hosts.items():
                for value in _values(host, kind):
                    index.setdefault(value, set()).add(name)
            self._by_kind[kind] = {value: frozenset(found) for value, found in index.items()}
        return self._by_kind[kind]


def _values(host: Host, kind: Kind) -> Iterator[str]:
    """By what a term of that kind finds the host."""
    match kind:
        case "host":
            yield host.name
        case "group":
            yield from host.groups
        case "tag":
            for key, value in host.tags.items():
                yield key
                yield f"{key}={value}"
        case "site":
            yield from [host.site] if host.site else []
        case "os":
            yield from [host.os] if host.os else []
        case _:
            assert_never(kind)


def _groups_in(group: Group | None) -> frozenset[str]:
    """The groups that a dynamic group names; none for a static one, or for a selector that is refused anyway."""
    if group is None or group.selector is None:
        return frozenset()
    try:
        return names(parse(group.selector)).groups
    except InvalidInput:
        return frozenset()


def _expected_value(term: Term) -> str:
    """What the term's value should have been; empty where it is right."""
    match term.kind:
        case "tag":
            key, _, value = term.value.partition("=")
            right = TAG_KEY.fullmatch(key) and TAG_VALUE.fullmatch(value)
            return "" if right else "tag:NAME or tag:NAME=VALUE of letters, digits or . _ : / @ + -"
        case "os":
            return "" if term.value in SYSTEMS else "one of " + " ".join(SYSTEMS)
        case _:
            right = NAME.fullmatch(term.value)
            return "" if right else f"{term.kind}:NAME of letters, digits or . _ : -, not beginning with a dash"


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


def _end_of_word(text: str, at: int) -> int:
    found = re.compile(r"[\s,&!()]").search(text, at)
    return found.start() if found else len(text)


def _end_of_pattern(text: str, at: int) -> int:
    """A pattern ends at a blank, or at `, & )` where no bracket of its own is open."""
    depth, within_class = 0, False
    while at < len(text) and not text[at].isspace():
        match text[at]:
            case "\\":
                at += 1
            case "[":
                within_class = True
            case "]":
                within_class = False
            case "(" | "{" if not within_class:
                depth += 1
            case ")" | "}" if depth and not within_class:
                depth -= 1
            case "," | "&" | ")" if not depth and not within_class:
                break
        at += 1
    return min(at, len(text))


def _is_selector(line: str) -> bool:
    return line == "all" or line[0] in "!~(" or line.partition(":")[0] in KINDS


def _missing(kind: str, name: str, known: Iterable[str], field: str) -> FieldError:
    message = f"{kind} {name} does not exist"
    return FieldError(
        field=field, message=message, got=f"{kind}:{name}", hint=near(name, islice(known, NAMES_CONSIDERED))
    )


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
