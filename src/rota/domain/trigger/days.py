"""Which days of a year a cron expression matches, for a year of each of the 14 shapes.

Every rule about days ends here as bits of one integer, so a new rule (last day, nearest weekday, nth weekday)
is one more function of (fields, month) and touches nothing else.
"""

from __future__ import annotations

from rota.domain.trigger.fields import CronFields
from rota.domain.trigger.wall import MONTH_LENGTHS, SHAPES, Shape

_ONE_IN_SEVEN = sum(1 << 7 * week for week in range(53))


def days_of_year(fields: CronFields, shape: Shape) -> int:
    """Return the matching days of a year of that shape: bit 0 is 1 January."""
    weekday, leap = shape
    lengths = MONTH_LENGTHS[leap]
    by_day, in_months, start = 0, 0, 0
    for month, length in enumerate(lengths, 1):
        if fields.month.mask >> month & 1:
            whole_month = (1 << length) - 1
            in_months |= whole_month << start
            by_day |= (fields.day.mask >> 1 & whole_month) << start
        start += length
    by_weekday = 0
    for chosen in fields.weekday.values:
        by_weekday |= _ONE_IN_SEVEN << (chosen - weekday) % 7
    chosen_days = by_day & by_weekday if fields.needs_both_days else by_day | by_weekday
    return chosen_days & in_months


def ever_matches(fields: CronFields) -> bool:
    """Whether any day of any year matches. Exact: there is no fifteenth shape."""
    return any(days_of_year(fields, shape) for shape in SHAPES)
