"""The clauses of a sentence, in any order: each function moves past one kind, notes what it says, or leaves it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Literal

from rota.domain.instant import HOUR
from rota.domain.trigger.phrase.clocks import Clock, Half, accept_list, accept_time, accept_window, in_part
from rota.domain.trigger.phrase.dates import (
    DateSaid,
    accept_date,
    accept_month_days,
    accept_months,
    accept_weekdays,
    accept_workday,
)
from rota.domain.trigger.phrase.errors import Unclear
from rota.domain.trigger.phrase.places import accept_zone, refuse_unknown_zone
from rota.domain.trigger.phrase.rhythms import accept_count, accept_length, accept_rhythm, as_unit
from rota.domain.trigger.phrase.said import Day, DayItem, Period, Said, Window
from rota.domain.trigger.phrase.tokens import Cursor, Kind
from rota.domain.trigger.phrase.vocabulary import (
    ALL_DAY,
    AMBIGUOUS,
    CONTINUOUS,
    MONTHS,
    ON_DEMAND,
    ON_START,
    PARTS,
    PARTS_OF_DAY,
    PERIODS,
    WEEKDAYS,
    WORKDAYS,
)

_DAY = 24 * 3600
_PLURAL_PARTS = tuple(f"{part}s" for part in PARTS_OF_DAY)
_EXCEPT = ("except", "except for", "but not", "but", "excluding", "other than", "apart from")


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


# Without a clock


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


# Times of day


def _times(cursor: Cursor, said: Said) -> bool:
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
    words = (clocks[0].span[0], clocks[-1].span[1])
    for clock in clocks:
        if clock.is_midnight:
            said.midnight = clock.span
    part = said.part
    seconds = tuple(sorted({(in_part(cursor, clock, part) if part else clock).second for clock in clocks}))
    said.put("times", seconds, span)
    said.spans.setdefault("clock", words)
    said.spans.setdefault("unsaid half", words if all(clock.half is Half.UNSAID for clock in clocks) else (0, 0))
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


def _part(cursor: Cursor, said: Said) -> bool:
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
    span = cursor.span_from(place)
    said.put("part", PARTS[part], span)
    if said.times is not None:
        half = Half.UNSAID if said.spans["unsaid half"] != (0, 0) else Half.SAID
        said.times = tuple(in_part(cursor, Clock(one, span, half), PARTS[part]).second for one in said.times)
    return True


def _window(cursor: Cursor, said: Said) -> bool:
    """`from 8 to 18`, `between 8 and 18`, `9-17`, `after 18:00`, `before 6`, `until 18`; also of days and months."""
    place = cursor.place
    joints: tuple[str, ...] = ("to", "until", "till", "through", "-")
    if cursor.accept("between"):
        joints = ("and", *joints)
    elif cursor.accept("from"):
        if cursor.peek().text in WEEKDAYS or cursor.peek().text in MONTHS:
            return _days(cursor, said) or _months(cursor, said)
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


# Days


def _days(cursor: Cursor, said: Said) -> bool:
    """`on Mondays`, `on the 1st and 15th`, `the last day of the month`, `on day 10`."""
    place = cursor.place
    cursor.accept_one(("on", "on the", "the"))
    if weekdays := accept_weekdays(cursor):
        said.put("weekdays", weekdays.days, cursor.span_from(place))
        said.is_recurring |= weekdays.is_plural or cursor.peek().text in _PLURAL_PARTS
        return True
    if cursor.peek(1).text in PARTS and accept_workday(cursor):
        said.put("weekdays", frozenset(WORKDAYS), cursor.span_from(place))
        said.is_recurring |= cursor.peek().text in _PLURAL_PARTS
        return True
    if days := accept_month_days(cursor):
        if days.days:
            said.put("days", days.days, days.span)
        if days.nth:
            said.put("nth", days.nth, days.span)
        said.spans.setdefault("month days", cursor.span_from(place))
        return True
    cursor.place = place
    return False


def _edge(cursor: Cursor, said: Said) -> bool:
    """`at the end of the month`, `at the beginning of each quarter`."""
    place = cursor.place
    cursor.accept_one(("at the", "on the", "the"))
    edge = cursor.accept_one(("end", "beginning", "start"))
    span = cursor.span_from(place)
    if not edge or not _of(cursor, said, begins=True):
        cursor.place = place
        if edge:
            cursor.accept_one(("at the", "on the", "the"))
            raise cursor.not_understood()
        return False
    said.put("days", (DayItem("L", -1) if edge == "end" else DayItem.numbered(1),), span)
    return True


def _of(cursor: Cursor, said: Said, *, begins: bool = False) -> bool:
    """What days are counted in: `of the month`, `of each quarter`, `of January and July`."""
    place = cursor.place
    if not (said.days or said.nth or begins) or not cursor.accept("of"):
        return False
    if months := accept_months(cursor):
        said.put("months", months, cursor.span_from(place))
        return True
    if not cursor.accept_one(("the", "each", "every", "a")) or PERIODS.get(cursor.peek().text) not in (
        "month",
        "quarter",
        "year",
    ):
        cursor.place = place
        return False
    unit = PERIODS[cursor.take().text]
    period = Period(1, as_unit(unit))
    if said.period is None or said.period.unit != period.unit:
        said.put("period", period, cursor.span_from(place))
    said.is_recurring = True
    return True


def _months(cursor: Cursor, said: Said) -> bool:
    """`in December`, `in January and July`, `during August`."""
    place = cursor.place
    cursor.accept_one(("in", "during", "every"))
    months = accept_months(cursor)
    if months is None:
        cursor.place = place
        return False
    said.put("months", months, cursor.span_from(place))
    return True


def _except(cursor: Cursor, said: Said) -> bool:
    """`except weekends`, `but not on Mondays`, `except in August`, `except on the 1st`, `except at 3`."""
    if not cursor.accept_one(_EXCEPT):
        return False
    place = cursor.place
    cursor.accept_one(("on", "in", "at", "on the", "the", "for"))
    if weekdays := accept_weekdays(cursor):
        said.no_weekdays |= weekdays.days
    elif days := accept_month_days(cursor):
        numbers = {day.number for day in days.days}
        if days.nth or any(number is None or number < 0 for number in numbers):
            words = cursor.typed(cursor.span_from(place))
            raise Unclear(words, "cannot be left out here", hint="use a calendar: rota calendars add")
        said.no_days |= {number for number in numbers if number is not None}
    elif months := accept_months(cursor):
        said.no_months |= months
    elif clocks := accept_list(cursor, bare=False):
        said.no_times |= {clock.second for clock in clocks}
    elif cursor.peek().text in ("holidays", "holiday", "public", "bank"):
        words = cursor.typed(cursor.span_from(cursor.place))
        raise Unclear(words, "differ by country", hint="use a calendar: rota calendars add")
    else:
        raise cursor.not_understood()
    return True


# Once


def _once(cursor: Cursor, said: Said) -> bool:
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


def _start(cursor: Cursor, said: Said) -> bool:
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
            shown = f"{clock.second // 3600:02d}:{clock.second // 60 % 60:02d}"
            candidates = [cursor.edited({span: f"from {shown} to 23:59"}), cursor.edited({span: ""})]
        raise Unclear(word, "must be followed by a date with its year", candidates=candidates, hint="or use --start-at")
    said.put("start", _as_date(dated), cursor.span_from(place))
    return True


def _as_date(dated: DateSaid) -> date:
    return date(dated.year or 1, dated.month, dated.day)


# Where


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
    _start,
    accept_rhythm,
    _once,
    _window,
    _edge,
    _times,
    _part,
    _months,
    _days,
    _of,
    _except,
    _zone,
    _limit,
)
