"""Sets of time windows that answer two questions without being enumerated: what holds this instant, what comes next.

A window is half open: its start belongs to it, its end does not. Wall-clock windows are those of a zone; where a clock
change leaves a reading out, it stands for the end of the gap, and of a reading shown twice the first counts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, Protocol

from rota.domain.instant import DAY, SECOND, Micros
from rota.domain.trigger.timetable import Timetable
from rota.domain.trigger.zones import Zone

FOREVER: Micros = 1 << 62
"""Later than any instant: what ends then does not end."""
HORIZON: Micros = 2 * 366 * DAY  # what is not over after two years counts as never over
DAY_SECONDS = 86_400
_EPOCH = date(1970, 1, 1).toordinal()
_THURSDAY = 3  # 1970-01-01


class Span(NamedTuple):
    start: Micros
    end: Micros


class Windows(Protocol):
    def holding(self, at: Micros) -> Span | None:
        """Return a window that holds `at`; of several, the one that begins last."""

    def next_start(self, after: Micros) -> Micros | None:
        """Return the start of the first window that begins strictly later than `after`; None if there is none soon."""


@dataclass(frozen=True, slots=True)
class WeeklyWindows:
    """From `start` to `end`, in seconds since midnight, on weekdays (0 = Monday). `end` may lie on the next day."""

    weekdays: frozenset[int]
    start: int
    end: int  # start < end <= start + a day
    zone: Zone

    def holding(self, at: Micros) -> Span | None:
        return _holding(self._around(at, -2, 2), at)

    def next_start(self, after: Micros) -> Micros | None:
        return next((span.start for span in self._around(after, -1, 16) if span.start > after), None)

    def _around(self, at: Micros, first: int, last: int) -> Iterator[Span]:
        today = self.zone.wall_at(at // SECOND) // DAY_SECONDS
        for day in range(today + first, today + last):
            if (day + _THURSDAY) % 7 in self.weekdays:
                yield from _wall_span(self.zone, day * DAY_SECONDS + self.start, day * DAY_SECONDS + self.end)


@dataclass(frozen=True, slots=True)
class DayWindows:
    """Whole days, those that `is_chosen` says of: holidays, business days."""

    is_chosen: Callable[[date], bool]
    zone: Zone

    def holding(self, at: Micros) -> Span | None:
        return _holding(self._around(at, -1, 2), at)

    def next_start(self, after: Micros) -> Micros | None:
        days = HORIZON // DAY
        return next((span.start for span in self._around(after, 0, days) if span.start > after), None)

    def _around(self, at: Micros, first: int, last: int) -> Iterator[Span]:
        today = self.zone.wall_at(at // SECOND) // DAY_SECONDS
        for day in range(today + first, today + last):
            if self.is_chosen(date.fromordinal(_EPOCH + day)):
                yield from _wall_span(self.zone, day * DAY_SECONDS, (day + 1) * DAY_SECONDS)


@dataclass(frozen=True, slots=True)
class YearlyWindows:
    """The same days every year, (month, day) to (month, day), both included; over new year where they must."""

    first: tuple[int, int]
    last: tuple[int, int]
    zone: Zone

    def holding(self, at: Micros) -> Span | None:
        return _holding(self._around(at), at)

    def next_start(self, after: Micros) -> Micros | None:
        return next((span.start for span in self._around(after) if span.start > after), None)

    def _around(self, at: Micros) -> Iterator[Span]:
        today = date.fromordinal(_EPOCH + self.zone.wall_at(at // SECOND) // DAY_SECONDS)
        for year in range(today.year - 1, today.year + 2):
            first = _day_of_year(year, self.first)
            last = _day_of_year(year + (self.last < self.first), self.last)
            yield from _wall_span(self.zone, first * DAY_SECONDS, (last + 1) * DAY_SECONDS)


@dataclass(frozen=True, slots=True)
class SetWindows:
    """These windows and no others: in order, none touching the next."""

    spans: tuple[Span, ...]

    def holding(self, at: Micros) -> Span | None:
        place = bisect_right(self.spans, at, key=_start) - 1
        return self.spans[place] if place >= 0 and at < self.spans[place].end else None

    def next_start(self, after: Micros) -> Micros | None:
        place = bisect_right(self.spans, after, key=_start)
        return self.spans[place].start if place < len(self.spans) else None


@dataclass(frozen=True, slots=True)
class RecurringWindows:
    """A window of `length` at each instant of a timetable that is not one of `without`."""

    starts: Timetable
    length: Micros
    without: frozenset[Micros] = frozenset()

    def holding(self, at: Micros) -> Span | None:
        start = self.starts.prev(at + 1)
        while start is not None and start in self.without:
            start = self.starts.prev(start)
        return None if start is None or start + self.length <= at else Span(start, start + self.length)

    def next_start(self, after: Micros) -> Micros | None:
        start = self.starts.next(after)
        while start is not None and start in self.without:
            start = self.starts.next(start)
        return start


def gathered(windows: Iterable[Windows]) -> tuple[Windows, ...]:
    """The same windows with all the single ones in one set: an imported file has thousands."""
    single: list[Span] = []
    others: list[Windows] = []
    for one in windows:
        if isinstance(one, SetWindows):
            single += one.spans
        else:
            others.append(one)
    joined: list[Span] = []
    for span in sorted(single):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return (*others, SetWindows(tuple(joined))) if joined else tuple(others)


def end_of_union(windows: Sequence[Windows], at: Micros) -> Micros | None:
    """When the windows that hold `at`, and those that take over from them, are over. None if none holds it.

    FOREVER for what is not over within two years.
    """
    end = at
    while end - at <= HORIZON:
        further = max((span.end for one in windows if (span := one.holding(end)) is not None), default=end)
        if further <= end:
            return end if end > at else None
        end = further
    return FOREVER


def first_start(windows: Sequence[Windows], after: Micros) -> Micros:
    """The first start of any window later than `after`; FOREVER if there is none."""
    return min((start for one in windows if (start := one.next_start(after)) is not None), default=FOREVER)


def upcoming(windows: Sequence[Windows], after: Micros, count: int) -> list[Span]:
    """The next `count` stretches that the windows cover together, the one that holds `after` among them."""
    found: list[Span] = []
    start = after
    while len(found) < count:
        end = end_of_union(windows, start)
        if end is None:
            start = first_start(windows, start)
            if start == FOREVER:
                break
            continue
        found.append(Span(start, end))
        if end == FOREVER:
            break
        start = end
    return found


def _start(span: Span) -> Micros:
    return span.start


def _holding(spans: Iterator[Span], at: Micros) -> Span | None:
    found = None
    for span in spans:
        if span.start <= at < span.end and (found is None or span.start >= found.start):
            found = span
    return found


def _wall_span(zone: Zone, start: int, end: int) -> Iterator[Span]:
    """The window between two readings of the wall clock; none where a clock change leaves all of it out."""
    first, last = zone.first_reaching(start) * SECOND, zone.first_reaching(end) * SECOND
    if first < last:
        yield Span(first, last)


def _day_of_year(year: int, month_day: tuple[int, int]) -> int:
    """Days since 1970-01-01; the 29th of February is the 1st of March in a year that has none."""
    month, day = month_day
    try:
        return date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return date(year, 3, 1).toordinal() - _EPOCH
