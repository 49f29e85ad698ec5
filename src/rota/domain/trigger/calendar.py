"""When a calendar trigger is due: chosen days of every so many days, weeks, months or years, at times of day.

The days of one year are one integer of 366 bits, as for cron (`wall`), only that they differ from year to year
and not merely by the year's shape. Clock changes are treated as for a cron expression with fixed times.
"""

from __future__ import annotations

from calendar import isleap
from datetime import date
from functools import lru_cache

from rota.domain.trigger.cron import CronTimetable, fixed_times
from rota.domain.trigger.kinds import CalendarTrigger, Overflow, Unit
from rota.domain.trigger.wall import MONTH_LENGTHS, Shape, WallPattern, Year
from rota.domain.trigger.zones import zone_named

_EPOCH = date(1970, 1, 1).toordinal()
_ALL_WEEKS = sum(1 << 7 * week for week in range(54))
_DAYS_IN_WEEK = (1 << 7) - 1


def calendar_times(spec: CalendarTrigger) -> CronTimetable:
    """Return the timetable of a rule that was checked. Raises InvalidInput for an unknown zone."""
    return fixed_times(_pattern(spec), zone_named(spec.zone), spec.gap, spec.fold)


class CalendarPattern(WallPattern):
    """Readings of the wall clock that match a calendar rule."""

    __slots__ = ("_spec",)

    def __init__(self, spec: CalendarTrigger) -> None:
        self._spec = spec
        super().__init__(spec.times, _no_shape)

    def _find_year(self, year: int) -> Year:
        first = date(year, 1, 1).toordinal() - _EPOCH
        return first, first + 365 + isleap(year), days_of_year(self._spec, year)


def _no_shape(_: Shape) -> int:
    raise AssertionError("the days of a calendar rule are found by year, not by shape")


@lru_cache(maxsize=4096)
def _pattern(spec: CalendarTrigger) -> CalendarPattern:
    return CalendarPattern(spec)


def days_of_year(spec: CalendarTrigger, year: int) -> int:
    """Return the days of `year` on which the rule is due: bit 0 is 1 January."""
    january = date(year, 1, 1)
    chosen, start = 0, 0
    for month, length in enumerate(MONTH_LENGTHS[isleap(year)], 1):
        if (not spec.months or month in spec.months) and _is_due_month(spec, year, month):
            first_weekday = (january.weekday() + start) % 7
            chosen |= _days_of_month(spec, first_weekday, length) << start
        start += length
    if spec.every > 1 and chosen:
        if spec.unit is Unit.DAY:
            chosen &= _every_nth_day(january.toordinal(), spec)
        elif spec.unit is Unit.WEEK:
            chosen &= _every_nth_week(january.toordinal(), spec)
    return chosen


def _days_of_month(spec: CalendarTrigger, first_weekday: int, length: int) -> int:
    """The days that weekdays, month days and nth weekdays choose: bit 0 is the first."""
    whole = (1 << length) - 1
    days = whole if not (spec.month_days or spec.nth) else 0
    for asked in spec.month_days:
        day = min(asked, length) if spec.overflow is Overflow.LAST_DAY else asked
        if -length <= day <= length:
            days |= 1 << (day - 1 if day > 0 else length + day)
    for n, weekday in spec.nth:
        first = (weekday - first_weekday) % 7
        last = first + (length - 1 - first) // 7 * 7
        place = first + 7 * (n - 1) if n > 0 else last + 7 * (n + 1)
        if 0 <= place < length:
            days |= 1 << place
    if spec.weekdays:
        days &= sum(_ALL_WEEKS << (weekday - first_weekday) % 7 for weekday in spec.weekdays)
    return days & whole


def _is_due_month(spec: CalendarTrigger, year: int, month: int) -> bool:
    if spec.every == 1 or spec.unit in (Unit.DAY, Unit.WEEK):
        return True
    anchor = date.fromisoformat(spec.anchor)
    if spec.unit is Unit.YEAR:
        return (year - anchor.year) % spec.every == 0
    return ((year - anchor.year) * 12 + month - anchor.month) % spec.every == 0


def _every_nth_day(january: int, spec: CalendarTrigger) -> int:
    first = (date.fromisoformat(spec.anchor).toordinal() - january) % spec.every
    return sum(1 << day for day in range(first, 366, spec.every))


def _every_nth_week(january: int, spec: CalendarTrigger) -> int:
    """Bits of the days whose week is due. Ordinal 1, 1 January of the year 1, was a Monday."""
    weeks_since_anchor = (january - 1) // 7 - (date.fromisoformat(spec.anchor).toordinal() - 1) // 7
    into_week = (january - 1) % 7  # the year begins so many days into its first week
    due = range(-weeks_since_anchor % spec.every, 54, spec.every)
    return sum(_DAYS_IN_WEEK << 7 * week for week in due) >> into_week
