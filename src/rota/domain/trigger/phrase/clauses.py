"""The clauses of a sentence, in any order. Each function moves past one kind and notes what it says, or stays put."""

from __future__ import annotations

from collections.abc import Callable

from rota.domain.trigger.phrase.clauses_of_day import (
    accept_days,
    accept_edge,
    accept_except,
    accept_months_of,
    accept_of,
)
from rota.domain.trigger.phrase.clauses_of_once import accept_once, accept_start
from rota.domain.trigger.phrase.clauses_of_time import accept_part, accept_times, accept_window_of
from rota.domain.trigger.phrase.errors import Unclear
from rota.domain.trigger.phrase.places import accept_zone, refuse_unknown_zone
from rota.domain.trigger.phrase.rhythms import accept_length, accept_rhythm
from rota.domain.trigger.phrase.said import Said
from rota.domain.trigger.phrase.tokens import Cursor, Kind
from rota.domain.trigger.phrase.vocabulary import ALL_DAY, AMBIGUOUS, CONTINUOUS, ON_DEMAND, ON_START


def accept_clause(cursor: Cursor, said: Said) -> bool:
    """Move past the next clause. Raises Unclear, and Twice where it contradicts an earlier one."""
    _refuse_ambiguous(cursor)
    return any(clause(cursor, said) for clause in _CLAUSES)


def _refuse_ambiguous(cursor: Cursor) -> None:
    place = cursor.place
    if words := cursor.accept_one(AMBIGUOUS):
        span = cursor.span_from(place)
        candidates = [cursor.edited({span: other}) for other in AMBIGUOUS[words]]
        raise Unclear(cursor.typed(span), "can mean more than one thing", candidates=candidates)


def _mode(cursor: Cursor, said: Said) -> bool:
    """`continuously`, `on demand`, `at startup`."""
    place = cursor.place
    if cursor.peek().kind is Kind.ALWAYS or cursor.accept_one(ALL_DAY):
        if cursor.place == place:
            cursor.take()
        said.all_day = True
        said.spans.setdefault("all_day", cursor.span_from(place))
    elif cursor.accept_one(CONTINUOUS):
        said.put("mode", "continuous", cursor.span_from(place))
    elif cursor.accept_one(ON_START):
        said.put("mode", "on_start", cursor.span_from(place))
    elif cursor.accept_one(ON_DEMAND):
        said.put("mode", "manual", cursor.span_from(place))
    else:
        cursor.accept("only")
        if not cursor.accept_one(ON_DEMAND):
            cursor.place = place
            return False
        said.put("mode", "manual", cursor.span_from(place))
    return True


def _pause(cursor: Cursor, said: Said) -> bool:
    """`with a pause of 30 seconds`, `5 minutes apart`: only of what runs continuously."""
    place = cursor.place
    if said.mode != "continuous" and not said.all_day:
        return False
    cursor.accept_one(("with", "with a"))
    noun = cursor.accept_one(("pause", "gap", "break", "pauses"))
    cursor.accept("of")
    length = accept_length(cursor)
    if length is None or not (noun or cursor.accept_one(("apart", "between runs", "between", "in between"))):
        cursor.place = place
        return False
    said.put("gap", length, cursor.span_from(place))
    return True


def _zone(cursor: Cursor, said: Said) -> bool:
    place = cursor.place
    zone = accept_zone(cursor)
    if zone is None:
        refuse_unknown_zone(cursor)
        return False
    if zone:
        said.put("zone", zone, cursor.span_from(place))
    return True


def _limit(cursor: Cursor, _: Said) -> bool:
    """`for 3 days` is an end, which a trigger does not have."""
    place = cursor.place
    if cursor.accept("for"):
        raise Unclear(cursor.typed(cursor.span_from(place)), "is an end, which belongs to the job", hint="add --end-at")
    return False


_CLAUSES: tuple[Callable[[Cursor, Said], bool], ...] = (
    _mode,
    _pause,
    accept_start,
    accept_rhythm,
    accept_once,
    accept_window_of,
    accept_edge,
    accept_times,
    accept_part,
    accept_months_of,
    accept_days,
    accept_of,
    accept_except,
    _zone,
    _limit,
)
