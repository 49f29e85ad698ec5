"""Clauses about the time of day: `at 9 and 17`, `on the half hour`, `from 8 to 18`, `in the morning`."""

from __future__ import annotations

from rota.domain.instant import HOUR
from rota.domain.trigger.phrase.clauses_of_day import accept_days, accept_months_of
from rota.domain.trigger.phrase.clocks import accept_list, accept_time, accept_window
from rota.domain.trigger.phrase.errors import Unclear
from rota.domain.trigger.phrase.said import Said, Window
from rota.domain.trigger.phrase.tokens import Cursor, Kind
from rota.domain.trigger.phrase.vocabulary import MONTHS, PARTS, PARTS_OF_DAY, WEEKDAYS

_DAY = 24 * 3600


def accept_times(cursor: Cursor, said: Said) -> bool:
    """`at 9 and 17`, `9am`; `at :15`; `on the hour`; `at 15 and 45 minutes past every hour`."""
    place = cursor.place
    if _minutes_past(cursor, said):
        return True
    has_at = bool(cursor.accept_one(("at", "@")))
    if has_at and cursor.is_done:
        raise cursor.not_understood()
    clocks = accept_list(cursor, bare=not has_at)
    if not clocks:
        cursor.place = place
        return False
    span = cursor.span_from(place)
    said.put("clocks", tuple(clocks), span)
    said.spans.setdefault("times", span)
    return True


def _minutes_past(cursor: Cursor, said: Said) -> bool:
    """Minutes of every hour, which is what they are past."""
    place = cursor.place
    minutes: list[int] = []
    if cursor.accept("on", "the", "hour"):
        minutes = [0]
    elif cursor.accept("on", "the", "half", "hour"):
        minutes = [30]
    else:
        cursor.accept("at")
        minutes = _colon_minutes(cursor) or _named_minutes(cursor)
    if not minutes:
        cursor.place = place
        return False
    wrong = [minute for minute in minutes if minute > 59]
    if wrong:
        raise Unclear(cursor.typed(cursor.span_from(place)), "is no minute of an hour", expected="0 to 59")
    said.put("minutes", tuple(sorted(set(minutes))), cursor.span_from(place))
    if cursor.accept("past"):
        if not (cursor.accept("the", "hour") or cursor.accept("every", "hour") or cursor.accept("each", "hour")):
            raise cursor.not_understood()
        said.put("length", HOUR, cursor.span_from(place))
        said.is_recurring = True
    return True


def _colon_minutes(cursor: Cursor) -> list[int]:
    """`:15 and :45`."""
    found = []
    while cursor.peek().kind is Kind.PAST:
        found.append(int(cursor.take().text[1:]))
        if cursor.accept_one(("and", "&", ",")) and cursor.peek().kind is not Kind.PAST:
            cursor.place -= 1
            break
    return found


def _named_minutes(cursor: Cursor) -> list[int]:
    """`minute 15`, `15 and 45 minutes past …`, `quarter past every hour`."""
    place = cursor.place
    named = bool(cursor.accept_one(("minute", "minutes")))
    cursor.accept("a")
    for word, minute in (("quarter", 15), ("half", 30)):
        if cursor.accept(word):
            if cursor.sees("past", "every", "hour") or cursor.sees("past", "each", "hour"):
                return [minute]
            cursor.place = place
            return []
    found: list[int] = []
    while cursor.peek().kind is Kind.NUMBER and cursor.peek().text.isdigit():
        found.append(int(cursor.take().text))
        if not cursor.accept_one(("and", "&", ",")):
            break
    cursor.accept_one(("minutes", "minute", "min"))
    is_past_each = any(cursor.sees("past", each, "hour") for each in ("the", "every", "each"))
    if found and (named or is_past_each):
        return found
    cursor.place = place
    return []


def accept_part(cursor: Cursor, said: Said) -> bool:
    """`in the morning`, `Friday evening`, `weekday mornings`."""
    place = cursor.place
    cursor.accept_one(("in the", "during the", "at"))
    if cursor.place != place and cursor.tokens[place].text == "at" and not cursor.sees("night"):
        cursor.place = place
        return False
    part = cursor.accept_one(PARTS)
    if not part:
        cursor.place = place
        return False
    said.put("part", PARTS[part], cursor.span_from(place))
    said.is_recurring |= part not in PARTS_OF_DAY  # mornings
    return True


def accept_window_of(cursor: Cursor, said: Said) -> bool:
    """`from 8 to 18`, `between 8 and 18`, `9-17`, `after 18:00`, `before 6`, `until 18`; also of days and months."""
    place = cursor.place
    joints: tuple[str, ...] = ("to", "until", "till", "through", "-")
    if cursor.accept("between"):
        joints = ("and", *joints)
    elif cursor.accept("from"):
        if cursor.peek().text in WEEKDAYS or cursor.peek().text in MONTHS:
            return accept_days(cursor, said) or accept_months_of(cursor, said)
    elif bound := cursor.accept_one(("after", "before", "until", "till")):
        return _half_window(cursor, said, bound, place)
    elif said.length is None:
        return False
    window = accept_window(cursor, joints)
    if window is None:
        cursor.place = place
        return False
    said.put("window", window, cursor.span_from(place))
    return True


def _half_window(cursor: Cursor, said: Said, bound: str, place: int) -> bool:
    if cursor.peek().text in WEEKDAYS or cursor.peek().kind is Kind.DATE or cursor.peek().text in MONTHS:
        words = cursor.typed(cursor.span_from(cursor.place))
        raise Unclear(words, "is an end, which belongs to the job", hint="add --end-at")
    clock = accept_time(cursor, bare=False)
    if clock is None:
        raise cursor.not_understood()
    end = (clock.second - 1) % _DAY
    window = Window(clock.second, _DAY - 1) if bound == "after" else Window(0, end)
    said.put("window", window, cursor.span_from(place))
    return True
