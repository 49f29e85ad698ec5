"""Clauses about days: `on Mondays`, `the last day of the month`, `in December`, `except weekends`."""

from __future__ import annotations

from rota.domain.trigger.phrase.clocks import accept_list
from rota.domain.trigger.phrase.dates import (
    accept_month_days,
    accept_months,
    accept_weekdays,
    accept_workday,
)
from rota.domain.trigger.phrase.errors import Unclear
from rota.domain.trigger.phrase.rhythms import as_unit
from rota.domain.trigger.phrase.said import LAST_DAY, DayItem, Period, Said
from rota.domain.trigger.phrase.tokens import Cursor
from rota.domain.trigger.phrase.vocabulary import PARTS, PARTS_OF_DAY, PERIODS, WORKDAYS

_PLURAL_PARTS = tuple(f"{part}s" for part in PARTS_OF_DAY)
_EXCEPT = ("except", "except for", "but not", "but", "excluding", "other than", "apart from")
_COUNTED_IN = ("month", "quarter", "year")


def accept_days(cursor: Cursor, said: Said) -> bool:
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


def accept_edge(cursor: Cursor, said: Said) -> bool:
    """`at the end of the month`, `at the beginning of each quarter`."""
    place = cursor.place
    cursor.accept_one(("at the", "on the", "the"))
    edge = cursor.accept_one(("end", "beginning", "start"))
    span = cursor.span_from(place)
    if not edge or not accept_of(cursor, said, begins=True):
        cursor.place = place
        if edge:
            cursor.accept_one(("at the", "on the", "the"))
            raise cursor.not_understood()
        return False
    said.spans.setdefault("month days", cursor.span_from(place))
    said.put("days", (LAST_DAY if edge == "end" else DayItem.numbered(1),), span)
    return True


def accept_of(cursor: Cursor, said: Said, *, begins: bool = False) -> bool:
    """What days are counted in: `of the month`, `of each quarter`, `of January and July`."""
    place = cursor.place
    if not (said.days or said.nth or begins) or not cursor.accept("of"):
        return False
    if months := accept_months(cursor):
        said.put("months", months, cursor.span_from(place))
        if "month days" in said.spans:
            said.spans["month days"] = (said.spans["month days"][0], cursor.span_from(place)[1])
        return True
    if not cursor.accept_one(("the", "each", "every", "a")) or PERIODS.get(cursor.peek().text) not in _COUNTED_IN:
        cursor.place = place
        return False
    period = Period(1, as_unit(PERIODS[cursor.take().text]))
    if said.period is None or said.period.unit != period.unit:
        said.put("period", period, cursor.span_from(place))
    said.is_recurring = True
    return True


def accept_months_of(cursor: Cursor, said: Said) -> bool:
    """`in December`, `in January and July`, `during August`."""
    place = cursor.place
    cursor.accept_one(("in", "during", "every"))
    months = accept_months(cursor)
    if months is None:
        cursor.place = place
        return False
    said.put("months", months, cursor.span_from(place))
    return True


def accept_except(cursor: Cursor, said: Said) -> bool:
    """`except weekends`, `but not on Mondays`, `except in August`, `except on the 1st`, `except at 3`."""
    begin = cursor.place
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
    said.spans["exception"] = cursor.span_from(begin)
    return True
