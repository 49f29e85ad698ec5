"""Days: weekdays, days of the month, months, and dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from rota.domain.trigger.phrase.errors import Unclear
from rota.domain.trigger.phrase.said import FIRST_WORKDAY, LAST_BUT_ONE, LAST_DAY, LAST_WORKDAY, DayItem
from rota.domain.trigger.phrase.tokens import Cursor, Kind, Span
from rota.domain.trigger.phrase.vocabulary import (
    MONTHS,
    ORDINAL_ENDINGS,
    ORDINALS,
    PLURAL_WEEKDAYS,
    WEEKDAYS,
    WEEKEND,
    WORKDAY_NAMES,
    WORKDAY_PLURALS,
    WORKDAYS,
)

_TO = ("to", "through", "thru", "till", "until", "-")
_FIRST_YEAR, _LAST_YEAR = 1970, 9000
_LENGTHS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


@dataclass(frozen=True, slots=True)
class Weekdays:
    """`is_plural`: Mondays, weekdays, and whatever else can only mean every week."""

    days: frozenset[int]
    is_plural: bool
    span: Span


@dataclass(frozen=True, slots=True)
class MonthDays:
    """Days of a month: by number, or the nth of a weekday. `span`: of the words, without what follows ("of …")."""

    days: tuple[DayItem, ...]
    nth: tuple[tuple[int, int], ...]
    span: Span


def accept_weekdays(cursor: Cursor) -> Weekdays | None:
    """Move past `Monday`, `Mon, Wed and Fri`, `Monday to Thursday`, `weekdays`, `weekends`."""
    place = cursor.place
    if cursor.accept_one(WORKDAY_PLURALS):
        return Weekdays(frozenset(WORKDAYS), True, cursor.span_from(place))
    if cursor.accept("weekends"):
        return Weekdays(frozenset(WEEKEND), True, cursor.span_from(place))
    first = _weekday(cursor)
    if first is None:
        return None
    chosen, is_plural = {first}, cursor.tokens[place].text in PLURAL_WEEKDAYS
    if cursor.peek(1).text in WEEKDAYS and cursor.accept_one(_TO):
        last = _weekday(cursor)
        assert last is not None  # it was seen
        chosen = {(first + step) % 7 for step in range((last - first) % 7 + 1)}
    while (following := _next_weekday(cursor)) is not None:
        cursor.place = following
        is_plural |= cursor.peek().text in PLURAL_WEEKDAYS
        chosen.add(WEEKDAYS[cursor.take().text])
    return Weekdays(frozenset(chosen), is_plural, cursor.span_from(place))


def _next_weekday(cursor: Cursor) -> int | None:
    """Where the next of a list stands: `Mon, Wed and Fri`, `mon wed fri`."""
    return cursor.place if cursor.peek().text in WEEKDAYS else _another(cursor, WEEKDAYS)


def accept_workday(cursor: Cursor) -> bool:
    """Move past `weekday`, `business day`, in the singular or the plural."""
    return bool(cursor.accept_one((*WORKDAY_NAMES, *WORKDAY_PLURALS)))


def accept_months(cursor: Cursor) -> frozenset[int] | None:
    """Move past `January`, `June to August`, `January, April and July`."""
    if cursor.peek().text not in MONTHS:
        return None
    first = MONTHS[cursor.take().text]
    chosen = {first}
    if cursor.peek(1).text in MONTHS and cursor.accept_one(_TO):
        last = MONTHS[cursor.take().text]
        chosen = {(first - 1 + step) % 12 + 1 for step in range((last - first) % 12 + 1)}
    while following := _another(cursor, MONTHS):
        cursor.place = following
        chosen.add(MONTHS[cursor.take().text])
    return frozenset(chosen)


def accept_ordinal(cursor: Cursor) -> int | None:
    """Move past `first`, `15th`, `last`: 1 …, or -1 for the last."""
    token = cursor.peek()
    if token.text in ORDINALS:
        cursor.take()
        return ORDINALS[token.text]
    if token.kind is Kind.NUMBER and token.text.isdigit() and cursor.peek(1).text in ORDINAL_ENDINGS:
        if cursor.peek(1).start != token.end:
            return None
        cursor.place += 2
        return int(token.text)
    return None


def accept_month_days(cursor: Cursor) -> MonthDays | None:
    """Move past `1st and 15th`, `15th and last day`, `first and third Wednesday`, `last business day`, `day 10`.

    Raises Unclear for a day that no month has, or that cannot be counted.
    """
    place = cursor.place
    if cursor.accept("day") or cursor.accept("days"):
        return _counted_days(cursor, place)
    days: list[DayItem] = []
    nth: list[tuple[int, int]] = []
    waiting: list[int] = []  # ordinals whose noun has not come yet
    while True:
        begin = cursor.place
        if cursor.accept("second", "to", "last"):
            cursor.accept("day")
            days.append(LAST_BUT_ONE)
        else:
            number = accept_ordinal(cursor)
            if number is None:
                if begin == place:
                    return None
                break
            waiting.append(number)
            _noun(cursor, waiting, days, nth, begin)
        span = cursor.span_from(place)
        behind = _behind_comma(cursor)
        if behind is None:
            break
        back, cursor.place = cursor.place, behind
        cursor.accept("the")
        if accept_ordinal(cursor) is None:
            cursor.place = back
            break
        cursor.place = behind
        cursor.accept("the")
    days += [_day(number, cursor, span) for number in waiting]
    return MonthDays(tuple(days), tuple(nth), span)


def _noun(cursor: Cursor, waiting: list[int], days: list[DayItem], nth: list[tuple[int, int]], begin: int) -> None:
    """What an ordinal counts, for it and for those before it: `first and third Wednesday`."""
    if accept_workday(cursor):
        edges = {1: FIRST_WORKDAY, -1: LAST_WORKDAY}
        if any(number not in edges for number in waiting):
            words = cursor.typed(cursor.span_from(begin))
            raise Unclear(words, "cannot be counted", expected="the first or the last workday of the month")
        days += [edges[number] for number in waiting]
    elif (weekday := _weekday(cursor)) is not None:
        if any(number > 5 for number in waiting):
            words = cursor.typed(cursor.span_from(begin))
            raise Unclear(words, "is in no month", expected="the first to the fifth, or the last")
        nth += [(number, weekday) for number in waiting]
    elif cursor.accept_one(("day", "days")):
        days += [_day(number, cursor, cursor.span_from(begin)) for number in waiting]
    else:
        return
    waiting.clear()


def _counted_days(cursor: Cursor, place: int) -> MonthDays | None:
    """`day 10`, `days 1, 10 and 20`."""
    found = []
    while cursor.peek().kind is Kind.NUMBER and cursor.peek().text.isdigit():
        found.append(int(cursor.take().text))
        span = cursor.span_from(place)
        behind = _behind_comma(cursor)
        if behind is None or cursor.tokens[behind].kind is not Kind.NUMBER:
            break
        cursor.place = behind
    if not found:
        cursor.place = place
        return None
    return MonthDays(tuple(_day(number, cursor, span) for number in found), (), span)


def _day(number: int, cursor: Cursor, span: Span) -> DayItem:
    if number == -1:
        return LAST_DAY
    if not 1 <= number <= 31:
        raise Unclear(cursor.typed(span), "is no day of a month", expected="1 to 31, or the last")
    return DayItem.numbered(number)


@dataclass(frozen=True, slots=True)
class DateSaid:
    """`December 1st` has no year."""

    year: int | None
    month: int
    day: int
    span: Span


def accept_date(cursor: Cursor) -> DateSaid | None:
    """Move past `2026-12-01`, `December 1, 2026`, `1 December`, `5th of May 2026`. Raises Unclear for no real day."""
    place, token = cursor.place, cursor.peek()
    if token.kind is Kind.DATE:
        cursor.take()
        year, month, day = map(int, token.text.split("-"))
        return _real(cursor, DateSaid(year, month, day, cursor.span_from(place)))
    if token.kind is Kind.SLASHED:
        raise _slashed(cursor)
    if token.text in MONTHS:
        month = MONTHS[cursor.take().text]
        number = _day_number(cursor)
    else:
        number = _day_number(cursor)
        cursor.accept("of")
        month = MONTHS.get(cursor.peek().text, 0)
        if number is None or not month:
            cursor.place = place
            return None
        cursor.take()
    if number is None or _another(cursor, MONTHS):
        cursor.place = place
        return None
    return _real(cursor, DateSaid(_year(cursor), month, number, cursor.span_from(place)))


def _day_number(cursor: Cursor) -> int | None:
    """`1st`, or a number alone that is no time of day."""
    number = accept_ordinal(cursor)
    if number is not None:
        return number if number > 0 else None
    token, following = cursor.peek(), cursor.peek(1).text
    if token.kind is Kind.NUMBER and token.text.isdigit() and len(token.text) <= 2 and following not in ("am", "pm"):
        cursor.take()
        return int(token.text)
    return None


def _year(cursor: Cursor) -> int | None:
    place = cursor.place
    cursor.accept(",")
    token = cursor.peek()
    if token.kind is Kind.NUMBER and token.text.isdigit() and len(token.text) == 4:
        return int(cursor.take().text)
    cursor.place = place
    return None


def _real(cursor: Cursor, said: DateSaid) -> DateSaid:
    try:
        date(said.year or 2024, said.month, said.day)  # a leap year has every day there is
    except ValueError as fault:
        raise Unclear(cursor.typed(said.span), "is no day of the calendar") from fault
    if said.year is not None and not _FIRST_YEAR <= said.year <= _LAST_YEAR:
        raise Unclear(cursor.typed(said.span), "is too far away", expected=f"a year from {_FIRST_YEAR} to {_LAST_YEAR}")
    return said


def _slashed(cursor: Cursor) -> Unclear:
    """`05/06/2026` is May or June."""
    place, token = cursor.place, cursor.take()
    first, second, year = map(int, token.text.replace(".", "/").split("/"))
    year += 2000 if year < 100 else 0
    candidates = []
    for month, day in ((first, second), (second, first)):
        try:
            candidates.append(cursor.edited({cursor.span_from(place): date(year, month, day).isoformat()}))
        except ValueError:
            continue
    return Unclear(token.text, "is written in an order that differs by country", candidates=dict.fromkeys(candidates))


def months_with(day: int) -> list[int]:
    """The months that have such a day in every year, or in leap years."""
    return [month for month in range(1, 13) if day <= _LENGTHS.get(month, 31)]


def _weekday(cursor: Cursor) -> int | None:
    if cursor.peek().text not in WEEKDAYS:
        return None
    return WEEKDAYS[cursor.take().text]


def _behind_comma(cursor: Cursor) -> int | None:
    """The place behind `, and`, `&` or `/`, where something may follow."""
    place = cursor.place
    comma = cursor.accept_one((",", "/", "-")) if cursor.peek().text != "-" else ""
    joined = cursor.accept_one(("and", "&")) or comma
    behind, cursor.place = cursor.place, place
    return behind if joined and behind < len(cursor.tokens) else None


def _another(cursor: Cursor, words: dict[str, int]) -> int | None:
    """Where the next of a list of such words stands: behind `, and on the`."""
    behind = _behind_comma(cursor)
    if behind is None:
        return None
    place, cursor.place = cursor.place, behind
    cursor.accept("on")
    found, cursor.place = cursor.place, place
    return found if found < len(cursor.tokens) and cursor.tokens[found].text in words else None
