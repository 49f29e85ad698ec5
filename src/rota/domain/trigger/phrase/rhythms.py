"""Clauses that say how often: `every …`, `hourly`, `twice a day`."""

from __future__ import annotations

from rota.domain.instant import DAY, HOUR, MINUTE, SECOND, Micros
from rota.domain.trigger.phrase.dates import (
    accept_date,
    accept_month_days,
    accept_months,
    accept_ordinal,
    accept_weekdays,
    accept_workday,
    months_with,
)
from rota.domain.trigger.phrase.errors import Unclear
from rota.domain.trigger.phrase.said import DayItem, Period, PeriodUnit, Said
from rota.domain.trigger.phrase.tokens import Cursor, Kind
from rota.domain.trigger.phrase.vocabulary import (
    ADVERBS,
    LENGTH_ADVERBS,
    LENGTHS,
    NUMBERS,
    PARTS,
    PERIODS,
    WEEKDAYS,
    WORKDAYS,
)

LONGEST: Micros = 100 * 366 * DAY
_MOST_DIGITS = 9
_EVERY = ("every", "each")
_TIMES_PER = {"once": 1, "twice": 2}


def accept_rhythm(cursor: Cursor, said: Said) -> bool:
    """Move past a clause that says how often."""
    return _accept_adverb(cursor, said) or _accept_times_per(cursor, said) or _accept_every(cursor, said)


def accept_length(cursor: Cursor) -> Micros | None:
    """Move past `10 minutes`, `an hour and a half`, `half an hour`, `1h30m`, `1.5 hours`: real time, not days."""
    place = cursor.place
    total: Micros | None = None
    while True:
        part = _length_part(cursor)
        if part is None:
            break
        total = (total or 0) + part
        if not (cursor.peek().kind is Kind.NUMBER and cursor.peek(1).text in LENGTHS):
            break
    if total is None:
        cursor.place = place
    elif total > LONGEST:
        raise Unclear(cursor.typed(cursor.span_from(place)), "is too long", expected="at most 100 years")
    return total


def accept_count(cursor: Cursor) -> int | None:
    """Move past a whole number, in digits or as a word; "a" and "an" are one."""
    token = cursor.peek()
    if token.kind is Kind.NUMBER and token.text.isdigit() and token.text.isascii() and len(token.text) <= _MOST_DIGITS:
        return int(cursor.take().text)
    if token.text in ("a", "an"):
        cursor.take()
        return 1
    word = cursor.accept_one(NUMBERS)
    return NUMBERS[word] if word else None


def _length_part(cursor: Cursor) -> Micros | None:
    place = cursor.place
    cursor.accept("a")
    if cursor.accept("quarter"):
        cursor.accept_one(("of an", "of"))
        if cursor.accept("hour"):
            return HOUR // 4
        cursor.place = place
        return None
    if cursor.accept("half"):
        cursor.accept_one(("an", "a"))
        for unit, size in (("hour", HOUR), ("minute", MINUTE)):
            if cursor.accept(unit):
                return size // 2
        cursor.place = place
        return None
    cursor.place = place
    token = cursor.peek()
    if token.kind is Kind.NUMBER and "." in token.text:
        cursor.take()
        whole, _, fraction = token.text.partition(".")
        unit = cursor.accept_one(LENGTHS)
        if unit:
            length, rest = divmod(int(f"{whole}{fraction}") * LENGTHS[unit], int("1" + "0" * len(fraction)))
            if rest or length % SECOND:
                raise Unclear(cursor.typed(cursor.span_from(place)), "is no whole number of seconds")
            return length
        cursor.place = place
        return None
    count = accept_count(cursor)
    halves = count is not None and cursor.accept("and", "a", "half")
    unit = cursor.accept_one(LENGTHS)
    if count is None or not unit:
        cursor.place = place
        return None
    halves = halves or cursor.accept("and", "a", "half")
    return count * LENGTHS[unit] + (LENGTHS[unit] // 2 if halves else 0)


def _accept_adverb(cursor: Cursor, said: Said) -> bool:
    """`hourly`, `daily`, `monthly`; `nightly` is every night."""
    place = cursor.place
    if word := cursor.accept_one(LENGTH_ADVERBS):
        said.put("length", LENGTH_ADVERBS[word], cursor.span_from(place))
    elif word := cursor.accept_one(ADVERBS):
        count, unit = ADVERBS[word]
        said.put("period", Period(count, as_unit(unit)), cursor.span_from(place))
    elif cursor.accept("nightly"):
        said.put("part", "night", cursor.span_from(place))
        said.put("period", Period(1, "day"), cursor.span_from(place))
    else:
        return False
    said.is_recurring = True
    return True


def _accept_times_per(cursor: Cursor, said: Said) -> bool:
    """`once a week`, `twice daily`, `4 times an hour`. Raises Unclear where it is not said when."""
    place = cursor.place
    word = cursor.accept_one(_TIMES_PER)
    count = _TIMES_PER[word] if word else accept_count(cursor)
    if count is None or (not word and not cursor.accept("times")):
        cursor.place = place
        return False
    if cursor.accept("daily"):
        name = "day"
    elif cursor.accept_one(("a", "an", "per", *(() if word == "once" else _EVERY))):
        name = cursor.take().text
    else:
        cursor.place = place
        if not word:
            cursor.place += 2
            raise Unclear(cursor.typed(cursor.span_from(place)), "is an end of its own", hint=f"add --max-runs {count}")
        return False
    span = cursor.span_from(place)
    if name in LENGTHS and count and LENGTHS[name] % count == 0:
        said.put("length", LENGTHS[name] // count, span)
    elif name in PERIODS and count:
        said.put("period", Period(1, as_unit(PERIODS[name])), span)
        said.put("per", count, span)
    else:
        raise Unclear(cursor.typed(span), "leaves open when", expected="the days or the times themselves")
    said.is_recurring = True
    return True


def _accept_every(cursor: Cursor, said: Said) -> bool:
    place = cursor.place
    if not cursor.accept_one(_EVERY):
        return False
    if cursor.is_done:
        raise cursor.not_understood()
    cursor.accept_one(("single", "the"))
    found = (
        _every_number_of(cursor, said, place)
        or _every_other(cursor, said, place)
        or _every_part(cursor, said, place)
        or _every_day(cursor, said, place)
    )
    if not found:
        raise cursor.not_understood()
    said.is_recurring = True
    return True


def _every_number_of(cursor: Cursor, said: Said, place: int) -> bool:
    """`every 15 minutes`, `every hour and a half`, `every 2 weeks`, `every day`."""
    begin = cursor.place
    length = accept_length(cursor)
    if length is None and cursor.peek().text in LENGTHS and not _counts(cursor):
        length = LENGTHS[cursor.take().text]
        if cursor.accept("and", "a", "half"):
            length = length * 3 // 2
    if length is not None:
        if length <= 0:
            raise Unclear(cursor.typed(cursor.span_from(begin)), "is no length of time")
        said.put("length", length, cursor.span_from(place))
        return True
    count = 1 if cursor.peek().text in PERIODS else accept_count(cursor)
    if count is not None and cursor.peek().text in PERIODS:
        unit = as_unit(PERIODS[cursor.take().text])
        if count == 0:
            raise Unclear(cursor.typed(cursor.span_from(begin)), "is no length of time")
        said.put("period", Period(count, unit), cursor.span_from(place))
        return True
    cursor.place = begin
    return False


def _counts(cursor: Cursor) -> bool:
    """Whether "second" is an ordinal here: something that can be counted follows it."""
    following = cursor.peek(1).text
    return cursor.peek().text == "second" and (
        following in LENGTHS or following in PERIODS or following in WEEKDAYS or following == "to"
    )


def _every_other(cursor: Cursor, said: Said, place: int) -> bool:
    """`every other day`, `every second hour`, `every other Friday`; "every third Friday" may mean two things."""
    begin = cursor.place
    is_other = cursor.accept("other")
    number = 2 if is_other else accept_ordinal(cursor)
    token = cursor.peek()
    if number is not None and number > 1 and token.text in LENGTHS:
        cursor.take()
        said.put("length", number * LENGTHS[token.text], cursor.span_from(place))
        return True
    if number is not None and number > 1 and token.text in PERIODS and cursor.peek(1).text != "of":
        cursor.take()
        said.put("period", Period(number, as_unit(PERIODS[token.text])), cursor.span_from(place))
        return True
    if number is not None and number > 1 and token.text in WEEKDAYS:
        weekdays = accept_weekdays(cursor)
        assert weekdays is not None  # a weekday was seen
        if is_other:
            said.put("period", Period(2, "week"), cursor.span_from(place))
            said.put("weekdays", weekdays.days, weekdays.span)
            return True
        if not cursor.sees("of") and not cursor.sees("in"):
            span, day = cursor.span_from(place), cursor.typed(weekdays.span)
            ordinal = cursor.typed(cursor.span_from(begin))
            often = f"every other {day}" if number == 2 else f"every {number} weeks on {day}"
            candidates = [cursor.edited({span: often}), cursor.edited({span: f"{ordinal} of the month"})]
            raise Unclear(ordinal, "can be counted in weeks or within the month", candidates=candidates)
    cursor.place = begin
    if is_other:
        cursor.take()
        raise cursor.not_understood()
    return False


def _every_part(cursor: Cursor, said: Said, place: int) -> bool:
    """`every morning`."""
    part = cursor.accept_one(PARTS)
    if not part:
        return False
    said.put("part", PARTS[part], cursor.span_from(place))
    said.put("period", Period(1, "day"), cursor.span_from(place))
    return True


def _every_day(cursor: Cursor, said: Said, place: int) -> bool:
    """`every weekday`, `every Monday and Thursday`, `every 1st and 15th`, `every January 1st`, `every last Friday`."""
    begin = cursor.place
    if accept_workday(cursor):
        said.put("weekdays", frozenset(WORKDAYS), cursor.span_from(place))
        return True
    if weekdays := accept_weekdays(cursor):
        said.put("period", Period(1, "week"), cursor.span_from(place))
        said.put("weekdays", weekdays.days, cursor.span_from(place))
        return True
    if (dated := accept_date(cursor)) and dated.year is None:
        span = cursor.span_from(place)
        said.put("period", Period(1, "year"), span)
        _put_date(cursor, said, dated.month, dated.day, place)
        return True
    cursor.place = begin
    if days := accept_month_days(cursor):
        said.put("period", Period(1, "month"), cursor.span_from(place))
        if days.days:
            said.put("days", days.days, days.span)
        if days.nth:
            said.put("nth", days.nth, days.span)
        return True
    if months := accept_months(cursor):
        said.put("period", Period(1, "year"), cursor.span_from(place))
        said.put("months", months, cursor.span_from(begin))
        return True
    return False


def _put_date(cursor: Cursor, said: Said, month: int, day: int, place: int) -> None:
    span = cursor.span_from(place)
    if month not in months_with(day):
        raise Unclear(cursor.typed(span), "is no day of the calendar")
    said.put("months", frozenset({month}), span)
    said.put("days", (DayItem.numbered(day),), span)


def as_unit(name: str) -> PeriodUnit:
    """The unit that a word of `PERIODS` names."""
    units: dict[str, PeriodUnit] = {
        "day": "day", "week": "week", "month": "month", "quarter": "quarter", "year": "year"
    }  # fmt: skip
    return units[name]
