"""When, from a sentence that mostly says what: "check my inbox every morning". Seed 3 infers a schedule so.

The part that says when must read by itself, and nothing else in the sentence may be a word about time, a "not" or an
"except": such a word is part of what was meant, and leaving it out would be guessing.
"""

from __future__ import annotations

from collections.abc import Callable

from rota.domain.trigger.phrase.errors import Unclear
from rota.domain.trigger.phrase.tokens import Cursor, Kind, Token
from rota.domain.trigger.phrase.vocabulary import ASKED_FOR, CAUTIONS, HOURLY_TASKS, TIME_WORDS

_MOST_TOKENS = 60
_PLAIN = (",", "-", "(", ")", "&", "/", "_")


def time_part(phrase: str, reads: Callable[[str], bool]) -> str:
    """The longest run of words of `phrase` that `reads`, if all others are about something else; empty if not."""
    cursor = Cursor(phrase)
    tokens = cursor.tokens
    if len(tokens) > _MOST_TOKENS:
        return ""
    for size in range(len(tokens), 0, -1):
        for start in range(len(tokens) - size + 1):
            first, last = tokens[start], tokens[start + size - 1]
            rest = (*tokens[:start], *tokens[start + size :])
            if first.text in TIME_WORDS or size > 1:
                part = phrase[first.start : last.end]
                if all(map(_is_plain, rest)) and _is_edge(first) and _is_edge(last) and reads(part):
                    return part
    return ""


def task_only(phrase: str) -> str:
    """What a sentence without any word about time infers: `monitor` or `on demand`. Raises Unclear for both."""
    tokens = Cursor(phrase).tokens
    words = {token.text for token in tokens}
    looks_after, waits = words & set(HOURLY_TASKS), words & set(ASKED_FOR)
    if not all(_is_plain(token) or token.text in ASKED_FOR for token in tokens) or not (looks_after or waits):
        return ""
    if looks_after and waits:
        happened = "may mean to look again and again, or to wait until it is asked"
        raise Unclear(phrase, happened, candidates=["every hour", "on demand"])
    return min(looks_after) if looks_after else "on demand"


def _is_plain(token: Token) -> bool:
    """Whether a token is about something other than time."""
    if token.kind is Kind.MARK:
        return token.text in _PLAIN
    return token.kind is Kind.WORD and token.text not in TIME_WORDS and token.text not in CAUTIONS


def _is_edge(token: Token) -> bool:
    return token.kind is not Kind.MARK
