"""Which days of a year a cron expression matches, for a year of each of the 14 shapes.

Every rule about days ends here as bits of one integer: weekdays the year round, days of the month and the rules
that each month decides on (`L LW 15W 5L 5#3`) month by month.
"""

from __future__ import annotations

from collections.abc import Iterable

from rota.domain.trigger.fields import CronFields
from rota.domain.trigger.rules import DayRule
from rota.domain.trigger.wall import MONTH_LENGTHS, SHAPES, Shape, shape_of

_ONE_IN_SEVEN = sum(1 << 7 * week for week in range(53))
_WHOLE_YEAR = {leap: (1 << sum(lengths)) - 1 for leap, lengths in MONTH_LENGTHS.items()}
_EVERY_DAY, _EVERY_MONTH, _EVERY_WEEKDAY = (1 << 32) - 2, (1 << 13) - 2, (1 << 7) - 1


def days_of_year(fields: CronFields, shape: Shape) -> int:
    """Return the matching days of a year of that shape: bit 0 is 1 January."""
    weekday, leap = shape
    by_weekday = _WHOLE_YEAR[leap]
    if fields.weekday.mask != _EVERY_WEEKDAY:
        by_weekday = 0
        for chosen in fields.weekday.values:
            by_weekday |= _ONE_IN_SEVEN << (chosen - weekday) % 7
    if fields.day.mask == _EVERY_DAY and fields.month.mask == _EVERY_MONTH and not fields.weekday.rules:
        by_day = in_months = _WHOLE_YEAR[leap]  # most expressions: nothing differs from month to month
    else:
        by_day = in_months = start = 0
        for month, length in enumerate(MONTH_LENGTHS[leap], 1):
            if fields.month.mask >> month & 1:
                first, whole_month = (weekday + start) % 7, (1 << length) - 1
                in_months |= whole_month << start
                by_day |= (fields.day.mask >> 1 & whole_month | _ruled(fields.day.rules, first, length)) << start
                by_weekday |= _ruled(fields.weekday.rules, first, length) << start
            start += length
    return (by_day & by_weekday if fields.needs_both_days else by_day | by_weekday) & in_months


def _ruled(rules: Iterable[DayRule], first: int, length: int) -> int:
    """Return the days of one month that its rules choose: bit 0 is day 1."""
    days = 0
    for rule in rules:
        day = rule.day_in(first, length)
        if day is not None:
            days |= 1 << day - 1
    return days


def ever_matches(fields: CronFields) -> bool:
    """Whether any day of any year matches. Exact: there is no fifteenth shape."""
    shapes = SHAPES if fields.year is None else {shape_of(year) for year in fields.year.values}
    return any(days_of_year(fields, shape) for shape in shapes)
