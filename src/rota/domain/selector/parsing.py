"""Reading a selector, all faults at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NoReturn

from rota.domain.errors import FieldError, InvalidInput, near
from rota.domain.inventory import NAME, TAG_KEY, TAG_VALUE
from rota.domain.pattern import compile_pattern
from rota.domain.selector.parts import KINDS, SYSTEMS, All, And, Not, Pattern, Pick, Selector, Term

MAX_CHARACTERS = 256 * 1024
MAX_TERMS = 10_000
MAX_DEPTH = 20


def parse(text: str, *, field: str = "target") -> Selector:
    """Read a selector. Raises InvalidInput with every unknown word at once, and with the first slip of grammar."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(f"{field}: the selector is too long", expected=f"at most {MAX_CHARACTERS} characters")
    return _Parser(text, field).parse()


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


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
