"""Readings of a wall clock that a cron expression matches, without any zone: plain calendar arithmetic.

A reading is whole seconds, counted as if the wall clock showed UTC. A year has one of 14 shapes (weekday of 1
January, leap or not); for each shape the matching days are one integer of 366 bits, so the next one is its
lowest set bit, and "it never fires" is decided exactly by looking at 14 integers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import isleap
from collections.abc import Callable, Sequence
from datetime import date
from typing import overload

DAY = 86_400
_EPOCH = date(1970, 1, 1).toordinal()
# Two days are kept free at either end of the calendar, so that every match is an instant with a date in every zone.
FIRST_DAY = date(1, 1, 3).toordinal() - _EPOCH
LAST_DAY = date(9999, 12, 29).toordinal() - _EPOCH
_DAY_AFTER = date(9999, 12, 31).toordinal() + 1 - _EPOCH

Shape = tuple[int, bool]
"""(weekday of 1 January, 0 = Sunday; leap year?)"""
# Leap years first: what matches at all matches in one of those, nearly always.
SHAPES: tuple[Shape, ...] = tuple((weekday, leap) for leap in (True, False) for weekday in range(7))
MONTH_LENGTHS = {
    False: (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31),
    True: (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31),
}

DaysOfShape = Callable[[Shape], int]
"""Matching days of a year of that shape: bit 0 is 1 January."""
Year = tuple[int, int, int]
"""(day number of 1 January, that of the next 1 January, matching days); or several years without a match at once"""
_NOWHERE: Year = (0, 0, 0)
_MOST_YEARS = 400  # kept by one pattern, which lives long: a search through all of history must leave no trace


class WallPattern:
    """The readings that match: `seconds` of the day (sorted, not empty) on the days that `days` chooses.

    `years` (sorted, not empty) are the only ones that have matches; None: all of them.
    """

    __slots__ = ("_days", "_first", "_last", "_only", "_recent", "_seconds", "_years", "begin", "end")

    def __init__(self, seconds: Sequence[int], days: DaysOfShape, years: tuple[int, ...] | None = None) -> None:
        self._seconds = seconds
        self._first, self._last = seconds[0], seconds[-1]
        self._days = days
        self._only = years
        self._years: dict[int, Year] = {}
        self._recent = _NOWHERE
        self.begin = (_january(years[0]) if years else FIRST_DAY) * DAY  # no match is earlier
        self.end = (_january(years[-1] + 1) if years else LAST_DAY + 1) * DAY  # nor as late as this

    def after(self, wall: int) -> int | None:
        """Return the first match later than `wall`, or None if the calendar ends before."""
        day, second = divmod(wall, DAY)
        if day < FIRST_DAY:
            day, second = FIRST_DAY, -1
        elif day > LAST_DAY:
            return None
        january, end, mask = self._recent
        if not january <= day < end:
            january, end, mask = self._recent = self._year_of(day)
        rest = mask >> (day - january)
        if rest & 1:
            if second < self._last:
                return day * DAY + self._seconds[bisect_right(self._seconds, second)]
            rest ^= 1
        while not rest:
            if end > LAST_DAY:
                return None
            day, end, rest = self._year_of(end)
        day += (rest & -rest).bit_length() - 1
        return day * DAY + self._first if day <= LAST_DAY else None

    def at_or_before(self, wall: int) -> int | None:
        """Return the last match not later than `wall`, or None if the calendar begins after."""
        day, second = divmod(wall, DAY)
        if day > LAST_DAY:
            day, second = LAST_DAY, DAY
        elif day < FIRST_DAY:
            return None
        january, _, mask = self._year_of(day)
        index = day - january
        if mask >> index & 1 and second >= self._first:
            return day * DAY + self._seconds[bisect_right(self._seconds, second) - 1]
        mask = mask and mask & (1 << index) - 1
        while not mask:
            if january <= FIRST_DAY:
                return None
            january, _, mask = self._year_of(january - 1)
        day = january + mask.bit_length() - 1
        return day * DAY + self._last if day >= FIRST_DAY else None

    def count(self, low: int, high: int) -> int:
        """Return how many matches lie in [low, high): one step a year, whose days are counted at once."""
        low, high = max(low, FIRST_DAY * DAY), min(high, (LAST_DAY + 1) * DAY)
        if low >= high:
            return 0
        low_day, low_second = divmod(low, DAY)
        high_day, high_second = divmod(high, DAY)
        if low_day == high_day:
            return self._count_in_day(low_day, low_second, high_second)
        return (
            self._count_in_day(low_day, low_second, DAY)
            + self._count_days(low_day + 1, high_day) * len(self._seconds)
            + self._count_in_day(high_day, 0, high_second)
        )

    def _count_in_day(self, day: int, low: int, high: int) -> int:
        if low == high or not self._count_days(day, day + 1):
            return 0
        return bisect_left(self._seconds, high) - bisect_left(self._seconds, low)

    def _count_days(self, low: int, high: int) -> int:
        """Matching days in [low, high)."""
        total, day = 0, low
        while day < high:
            january, end, mask = self._year_of(day)
            end = min(high, end)
            if mask:
                total += (mask >> (day - january) & (1 << (end - day)) - 1).bit_count()
            day = end
        return total

    def _year_of(self, day: int) -> Year:
        return self._year(date.fromordinal(day + _EPOCH).year)

    def _year(self, year: int) -> Year:
        known = self._years.get(year)
        if known is None:
            if len(self._years) >= _MOST_YEARS:
                self._years.clear()
            known = self._years[year] = self._find_year(year)
        return known

    def _find_year(self, year: int) -> Year:
        if self._only is not None and year not in self._only:
            place = bisect_left(self._only, year)
            before = self._only[place - 1] if place else 0
            after = self._only[place] if place < len(self._only) else 10_000
            return _january(before + 1), _january(after), 0
        return _january(year), _january(year + 1), self._days(shape_of(year))


class SecondsOfDay(Sequence[int]):
    """The seconds of a day that a seconds field chooses within `minutes` (each its first second), without a list.

    `* * * * * *` would be a list of 86,400 numbers in each pattern.
    """

    __slots__ = ("_minutes", "_seconds")

    def __init__(self, minutes: tuple[int, ...], seconds: tuple[int, ...]) -> None:
        self._minutes, self._seconds = minutes, seconds

    def __len__(self) -> int:
        return len(self._minutes) * len(self._seconds)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        minute, second = divmod(index, len(self._seconds))
        return self._minutes[minute] + self._seconds[second]


def shape_of(year: int) -> Shape:
    """Return what decides about the days of `year`: the weekday of 1 January (0 = Sunday), and whether it is leap."""
    return date(year, 1, 1).toordinal() % 7, isleap(year)


def _january(year: int) -> int:
    """Return the day number of 1 January, also of the year 10000, which no date can hold."""
    return date(year, 1, 1).toordinal() - _EPOCH if year < 10_000 else _DAY_AFTER
