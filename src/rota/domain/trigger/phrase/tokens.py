"""Cuts a phrase into tokens, and walks along them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from rota.domain.trigger.phrase.errors import MANUAL, Unclear

LONGEST = 256  # characters: a sentence, not a text

Span = tuple[int, int]
"""Characters [start, end) of the phrase as it was typed."""


class Kind(Enum):
    """The shapes of tokens, in the order in which they are tried."""

    ALWAYS = auto()  # 24/7
    DATE = auto()  # 2026-12-01
    SLASHED = auto()  # 05/06/2026, which nobody can read for certain
    CLOCK = auto()  # 9:30, 23:59:30
    PAST = auto()  # :15, a minute of every hour
    NUMBER = auto()  # 9, 1.5, 9.30
    WORD = auto()  # letters, with an apostrophe as in o'clock; a.m. and p.m.
    MARK = auto()  # , ; & / - + ( )
    OTHER = auto()  # anything else, to be named in the error


_SHAPES = {
    Kind.ALWAYS: r"24/7(?![0-9])",
    Kind.DATE: r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    Kind.SLASHED: r"[0-9]{1,2}[/.][0-9]{1,2}[/.][0-9]{2,4}",
    Kind.CLOCK: r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?",
    Kind.PAST: r":[0-9]{2}",
    Kind.NUMBER: r"[0-9]+(?:\.[0-9]+)?",
    Kind.WORD: r"[ap]\.m\.?|[^\W\d_]+(?:['’][^\W\d_]+)*",
    Kind.MARK: r"[-–—,;&/+()_]",
    Kind.OTHER: r"\S",
}
_TOKEN = re.compile("|".join(f"(?P<{kind.name}>{shape})" for kind, shape in _SHAPES.items()), re.IGNORECASE)
_DASHES = "-–—"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is in lower case, without dots and apostrophes: `am`, `oclock`, `dont`. Every dash is `-`."""

    kind: Kind
    text: str
    start: int
    end: int


def tokens_of(text: str) -> tuple[Token, ...]:
    """Cut `text`; white space and a full stop at its end mean nothing."""
    found = []
    for match in _TOKEN.finditer(text):
        kind = Kind[match.lastgroup or "OTHER"]
        word = match[0].lower()
        if kind is Kind.WORD:
            word = word.replace(".", "").replace("'", "").replace("’", "")
        if word in _DASHES:
            word = "-"
        if kind is Kind.OTHER and match[0] == "." and not text[match.end() :].strip():
            continue
        found.append(Token(kind, word, match.start(), match.end()))
    return tuple(found)


_END = Token(Kind.OTHER, "", 0, 0)


class Cursor:
    """A place between two tokens. `accept…` moves on when it finds what is asked for, and stays where it was if not."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens_of(text)
        self.place = 0

    @property
    def is_done(self) -> bool:
        return self.place == len(self.tokens)

    def peek(self, ahead: int = 0) -> Token:
        """The token `ahead` of the next one; an empty one behind the last."""
        place = self.place + ahead
        return self.tokens[place] if place < len(self.tokens) else _END

    def take(self) -> Token:
        token = self.peek()
        self.place = min(self.place + 1, len(self.tokens))
        return token

    def sees(self, *words: str) -> bool:
        """Whether these words follow, however they are joined: `non stop`, `non-stop`."""
        return self._behind(words) is not None

    def accept(self, *words: str) -> bool:
        """Move past these words, all of them."""
        behind = self._behind(words)
        self.place = self.place if behind is None else behind
        return behind is not None

    def accept_one(self, words: Iterable[str]) -> str:
        """Move past one of these words, each of which may be several (`around the clock`); empty if none follows.

        The longest is tried first.
        """
        first = self.peek().text
        for phrase in sorted((phrase for phrase in words if phrase.startswith(first)), key=len, reverse=True):
            if first and self.accept(*phrase.split()):
                return phrase
        return ""

    def _behind(self, words: Iterable[str]) -> int | None:
        place = self.place
        for number, word in enumerate(words):
            if number and place < len(self.tokens) and self.tokens[place].text == "-" and word != "-":
                place += 1
            if place >= len(self.tokens) or self.tokens[place].text != word:
                return None
            place += 1
        return place

    def span_from(self, place: int) -> Span:
        """From the token at `place` up to here."""
        if place >= self.place:
            token = self.tokens[place] if place < len(self.tokens) else None
            return (token.start, token.end) if token else (len(self.text), len(self.text))
        return self.tokens[place].start, self.tokens[self.place - 1].end

    def typed(self, span: Span) -> str:
        return self.text[span[0] : span[1]]

    def edited(self, edits: Mapping[Span, str]) -> str:
        """The phrase with other words in these places, spaces tidied."""
        text = self.text
        for (start, end), words in sorted(edits.items(), reverse=True):
            text = f"{text[:start]} {words} {text[end:]}"
        return tidied(text)

    def not_understood(self, candidates: Iterable[str] = ()) -> Unclear:
        """The fault of the next token, or of an end that comes too early."""
        if self.is_done:
            last = self.tokens[-1] if self.tokens else None
            words = self.text[last.start : last.end] if last else ""
            return Unclear(words, "needs more words behind it", candidates=candidates, hint=f"see {MANUAL}")
        token = self.peek()
        return Unclear(self.text[token.start : token.end], "is not understood here", candidates=candidates)


def tidied(text: str) -> str:
    """One space between words, none before a comma, and no comma at the end."""
    return re.sub(r"\s+([,;])", r"\1", " ".join(text.split())).strip(" ,;")
