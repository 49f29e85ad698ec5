"""Days that each month decides on anew: `L L-3 LW 15W` (day of month), `5L 5#3` (day of week).

Spelt as Quartz and the Open Cron Pattern Specification spell them. Each rule answers one question: which day is
it in a month that begins on a given weekday and has so many days? Weekdays are 0 = Sunday to 6 = Saturday.
"""

from __future__ import annotations

from dataclasses import dataclass

_SUNDAY, _SATURDAY = 0, 6


@dataclass(frozen=True, slots=True)
class LastDay:
    """`L`: the last day of the month. `L-3`: three days before it."""

    back: int = 0

    def day_in(self, first: int, length: int) -> int | None:
        """Return the day of the month, or None in a month that is too short."""
        day = length - self.back
        return day if day >= 1 else None

    def __str__(self) -> str:
        return f"L-{self.back}" if self.back else "L"


@dataclass(frozen=True, slots=True)
class NearestWorkday:
    """`15W`: the Monday to Friday nearest to day 15, within the month."""

    day: int

    def day_in(self, first: int, length: int) -> int | None:
        """Return the day of the month, or None in a month that has no such day to be near to."""
        if self.day > length:
            return None
        weekday = (first + self.day - 1) % 7
        if weekday == _SATURDAY:
            return self.day - 1 if self.day > 1 else self.day + 2
        if weekday == _SUNDAY:
            return self.day + 1 if self.day < length else self.day - 2
        return self.day

    def __str__(self) -> str:
        return f"{self.day}W"


@dataclass(frozen=True, slots=True)
class LastWorkday:
    """`LW`: the last Monday to Friday of the month."""

    def day_in(self, first: int, length: int) -> int | None:
        """Return the day of the month."""
        return NearestWorkday(length).day_in(first, length)

    def __str__(self) -> str:
        return "LW"


@dataclass(frozen=True, slots=True)
class LastWeekday:
    """`5L`: the last Friday of the month."""

    weekday: int

    def day_in(self, first: int, length: int) -> int | None:
        """Return the day of the month."""
        return length - (first + length - 1 - self.weekday) % 7

    def __str__(self) -> str:
        return f"{self.weekday}L"


@dataclass(frozen=True, slots=True)
class NthWeekday:
    """`5#3`: the third Friday of the month."""

    weekday: int
    nth: int

    def day_in(self, first: int, length: int) -> int | None:
        """Return the day of the month, or None in a month that has no fifth one."""
        day = 1 + (self.weekday - first) % 7 + 7 * (self.nth - 1)
        return day if day <= length else None

    def __str__(self) -> str:
        return f"{self.weekday}#{self.nth}"


DayRule = LastDay | NearestWorkday | LastWorkday | LastWeekday | NthWeekday
