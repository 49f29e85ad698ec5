"""Which days, in English: the same sentences for cron's masks and rules and for calendar rules.

"And" and "or" are never wrong here: whether a day must match both kinds of choice or either is part of what is told.
"""

from __future__ import annotations

from dataclasses import dataclass

from rota.domain.trigger.english import WEEKDAYS, counted, join, named_months, named_weekdays, numbers, ordinal
from rota.domain.trigger.fields import CronFields
from rota.domain.trigger.kinds import CalendarTrigger, Overflow
from rota.domain.trigger.rules import DayRule, LastDay, LastWeekday, LastWorkday, NearestWorkday, NthWeekday

_ALL_DAYS, _ALL_WEEKDAYS, _ALL_MONTHS = 31, 7, 12
_SHORTEST = 28  # days of a month


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Choices of days; empty = any. `numbers` and `named` ("the last day") are days of the month, one of which will
    do; `weekdays` (0 = Sunday) and `nth` ("the third Friday") likewise. `both`: a day must be in either group."""

    numbers: tuple[int, ...] = ()
    named: tuple[str, ...] = ()
    weekdays: tuple[int, ...] = ()
    nth: tuple[str, ...] = ()
    months: tuple[int, ...] = ()
    years: tuple[int, ...] = ()
    both: bool = False


def cron_days(fields: CronFields) -> str:
    """Return the day part of a cron expression, empty if it is every day."""
    all_days, all_weekdays = len(fields.day.values) == _ALL_DAYS, len(fields.weekday.values) == _ALL_WEEKDAYS
    any_day = (all_days and all_weekdays) or (not fields.needs_both_days and (all_days or all_weekdays))
    months, years = fields.month.values, () if fields.year is None else fields.year.values
    return in_english(
        Days(
            numbers=() if any_day or all_days else fields.day.values,
            named=() if any_day or all_days else tuple(map(_rule, fields.day.rules)),
            weekdays=() if any_day or all_weekdays else fields.weekday.values,
            nth=() if any_day or all_weekdays else tuple(map(_rule, fields.weekday.rules)),
            months=() if len(months) == _ALL_MONTHS else months,
            years=years,
            both=fields.needs_both_days,
        )
    )


def calendar_days(spec: CalendarTrigger) -> str:
    """Return the days of a calendar rule within its periods, empty if it is every day."""
    words = in_english(
        Days(
            numbers=tuple(day for day in spec.month_days if day > 0),
            named=(
                *(_nth(n, (weekday + 1) % 7) for n, weekday in spec.nth),
                *(_from_the_end(day) for day in reversed(spec.month_days) if day < 0),
            ),
            weekdays=tuple(sorted((weekday + 1) % 7 for weekday in spec.weekdays)),
            months=spec.months,
            both=True,
        )
    )
    is_cut_short = spec.overflow is Overflow.LAST_DAY and any(day > _SHORTEST for day in spec.month_days)
    return f"{words} (the last day where there is none)" if is_cut_short else words


def in_english(days: Days) -> str:
    """`every Monday in June`, `on day 13 of every month, and also every Friday`; empty for every day."""
    months = named_months(days.months) if days.months else ""
    within = f" in {months}" if months else ""
    year = f" of {numbers(days.years)}" if days.years and months else f" in {numbers(days.years)}" if days.years else ""
    by_day = f"on {_day_words(days, 'and')} of {months or 'every month'}" if days.numbers or days.named else ""
    by_weekday = _weekday_words(days, months)
    if not by_day and not by_weekday:
        return f"every day{within}{year}" if months or year else ""
    if not by_day or not by_weekday:
        return f"{by_day or by_weekday}{year}"
    if not days.both:
        return f"{by_day}, and also {by_weekday}{year}"
    if days.nth:
        return f"{by_weekday}, if that is {_day_words(days, 'or')} of the month{year}"
    return f"{by_weekday} that is {_day_words(days, 'or')} of the month{year}"


def _day_words(days: Days, last: str) -> str:
    """`days 1 and 15 and the last day`."""
    words = []
    if days.numbers:
        alone = last == "or" or len(days.numbers) == 1
        words.append(f"day {numbers(days.numbers, last)}" if alone else counted("day", days.numbers))
    return join([*words, *days.named], last)


def _weekday_words(days: Days, months: str) -> str:
    """`every Monday in June`, `on the first and third Friday of every month`."""
    words = []
    if days.weekdays:
        words.append(f"every {named_weekdays(days.weekdays)}" + (f" in {months}" if months else ""))
    if days.nth:
        words.append(f"on {join(days.nth)} of {months or 'every month'}")
    return ", and also ".join(words)


def _rule(rule: DayRule) -> str:
    match rule:
        case LastDay():
            return _from_the_end(-1 - rule.back)
        case LastWorkday():
            return "the last workday"
        case NearestWorkday():
            return "the first workday" if rule.day == 1 else f"the workday nearest to day {rule.day}"
        case LastWeekday():
            return _nth(-1, rule.weekday)
        case NthWeekday():
            return _nth(rule.nth, rule.weekday)


def _nth(n: int, weekday: int) -> str:
    name = WEEKDAYS[weekday]
    if n > 0:
        return f"the {ordinal(n)} {name}"
    return f"the last {name}" if n == -1 else f"the {ordinal(-n)} {name} from the end"


def _from_the_end(day: int) -> str:
    """`the last day` for -1; -4 is three days before it."""
    if day == -1:
        return "the last day"
    return "the last day but one" if day == -2 else f"the day {-day - 1} days before the last"
