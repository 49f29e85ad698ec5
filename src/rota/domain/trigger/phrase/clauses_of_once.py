"""Clauses about one moment: `tomorrow`, `in 10 minutes`, `next Monday`, `on 2026-12-01`; and `starting …`."""

from __future__ import annotations

from datetime import date
from typing import Literal

from rota.domain.trigger.calendar_words import format_time
from rota.domain.trigger.phrase.clocks import accept_time
from rota.domain.trigger.phrase.dates import accept_date
from rota.domain.trigger.phrase.errors import Unclear
from rota.domain.trigger.phrase.rhythms import accept_count, accept_length
from rota.domain.trigger.phrase.said import Day, DayItem, Said
from rota.domain.trigger.phrase.tokens import Cursor
from rota.domain.trigger.phrase.vocabulary import PARTS, PARTS_OF_DAY, PERIODS, WEEKDAYS

_LONGEST_AHEAD = 36_600  # days


def accept_once(cursor: Cursor, said: Said) -> bool:
    """`tomorrow`, `in 10 minutes`, `next Monday`, `on 2026-12-01`, `now`."""
    place = cursor.place
    if cursor.accept("once"):
        said.is_once = True
        if cursor.is_done and said.day is None:
            cursor.place = place
            raise Unclear("once", "does not say when", expected='a moment, such as "tomorrow at 8"')
        return True
    return _from_now(cursor, said) or _named_day(cursor, said) or _dated(cursor, said)


def _from_now(cursor: Cursor, said: Said) -> bool:
    place = cursor.place
    if cursor.accept_one(("right now", "now", "immediately", "at once", "right away")):
        said.put("after", 0, cursor.span_from(place))
        return True
    has_in = bool(cursor.accept_one(("in", "after")))
    length = accept_length(cursor)
    if length is not None and (has_in or cursor.accept("from", "now")):
        said.put("after", length, cursor.span_from(place))
        return True
    if has_in and length is None:
        count = accept_count(cursor)
        unit = PERIODS.get(cursor.peek().text, "")
        if count is not None and unit in ("day", "week"):
            cursor.take()
            days = count * (7 if unit == "week" else 1)
            if days > _LONGEST_AHEAD:
                raise Unclear(cursor.typed(cursor.span_from(place)), "is too far ahead", expected="at most 100 years")
            said.put("day", Day("ahead", days), cursor.span_from(place))
            return True
    cursor.place = place
    return False


def _named_day(cursor: Cursor, said: Said) -> bool:
    place = cursor.place
    for words, ahead in (("the day after tomorrow", 2), ("day after tomorrow", 2), ("tomorrow", 1), ("today", 0)):
        if cursor.accept(*words.split()):
            said.put("day", Day("in_days", ahead), cursor.span_from(place))
            return True
    if cursor.accept("tonight"):
        said.put("day", Day("in_days", 0), cursor.span_from(place))
        said.put("part", "night", cursor.span_from(place))
        return True
    if cursor.sees("this") and cursor.peek(1).text in PARTS_OF_DAY:
        cursor.take()
        said.put("day", Day("in_days", 0), cursor.span_from(place))
        said.put("part", PARTS[cursor.take().text], cursor.span_from(place))
        return True
    cursor.accept("on")
    which = cursor.accept_one(("this", "next", "the coming"))
    if which and cursor.peek().text in WEEKDAYS:
        weekday = WEEKDAYS[cursor.take().text]
        kind: Literal["this", "next"] = "next" if which == "next" else "this"
        said.put("day", Day(kind, weekday), cursor.span_from(place))
        return True
    cursor.place = place
    return False


def _dated(cursor: Cursor, said: Said) -> bool:
    """A date; one without a year is once or every year, which the sentence must tell."""
    place = cursor.place
    cursor.accept_one(("on", "on the", "the"))
    dated = accept_date(cursor)
    if dated is None:
        cursor.place = place
        return False
    span = cursor.span_from(place)
    if dated.year is not None:
        said.put("day", Day("date", date=date(dated.year, dated.month, dated.day)), span)
    else:
        said.put("months", frozenset({dated.month}), span)
        said.put("days", (DayItem.numbered(dated.day),), span)
        said.spans.setdefault("date", dated.span)
        said.spans.setdefault("month days", span)
    return True


def accept_start(cursor: Cursor, said: Said) -> bool:
    """`starting 2026-03-13`: what a rhythm of the calendar counts from."""
    place = cursor.place
    word = cursor.accept_one(("starting", "beginning"))
    if not word:
        return False
    cursor.accept_one(("on", "from", "at"))
    dated = accept_date(cursor)
    if dated is None or dated.year is None:
        clock = accept_time(cursor, bare=False)
        span = cursor.span_from(place)
        candidates = []
        if clock is not None:
            candidates = [
                cursor.edited({span: f"from {format_time(clock.second)} to 23:59"}),
                cursor.edited({span: ""}),
            ]
        raise Unclear(word, "must be followed by a date with its year", candidates=candidates, hint="or use --start-at")
    said.put("start", date(dated.year, dated.month, dated.day), cursor.span_from(place))
    return True
