"""When a cron expression fires in a zone, by the rules of Debian's cron for clock changes.

- *Fixed* times (`30 2 * * *`): what falls into a gap runs once, at its end; what is repeated runs on the
  first pass only. Both are one rule. Let the wall clock's reading never go back, but stand still while an
  hour is repeated; a fixed time is due at the first instant at which that reading has reached it.
- *Wildcard* minutes or hours (`*/30 * * * *`) follow real time: whatever the wall clock shows, as often as it
  shows it.

Either way an occurrence is an instant: two readings that fall on one instant are one occurrence (Debian runs
`0 2,3 * * *` twice at 03:00 in spring; Rota once). Checked against a minute-by-minute search and a recorded
run of the real cron in `tests/unit/trigger/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial

from rota.domain.instant import SECOND, Micros
from rota.domain.trigger.days import days_of_year
from rota.domain.trigger.dialect import read_cron
from rota.domain.trigger.fields import CronFields
from rota.domain.trigger.wall import WallPattern
from rota.domain.trigger.zones import FIRST_INSTANT, LAST_INSTANT, Segment, Zone, zone_named


class FixedTimes:
    """Timetable of an expression whose minute and hour are fixed."""

    __slots__ = ("_pattern", "_zone")

    def __init__(self, pattern: WallPattern, zone: Zone) -> None:
        self._pattern, self._zone = pattern, zone

    def next(self, after: Micros) -> Micros | None:
        """Return the first occurrence strictly later than `after`."""
        wall = self._pattern.after(self._zone.latest_wall(after // SECOND))
        return None if wall is None else self._zone.first_reaching(wall) * SECOND

    def prev(self, before: Micros) -> Micros | None:
        """Return the last occurrence strictly earlier than `before`."""
        wall = self._pattern.at_or_before(self._zone.latest_wall((before - 1) // SECOND))
        return None if wall is None else self._zone.first_reaching(wall) * SECOND

    def last_at_or_before(self, until: Micros, after: Micros) -> Micros | None:
        """Return the last occurrence in (after, until]."""
        last = self.prev(until + 1)
        return last if last is not None and last > after else None

    def count(self, after: Micros, until: Micros) -> int:
        """Return how many occurrences lie in (after, until]: one step per segment, not one per occurrence."""
        first, last = _within_calendar(after // SECOND), _within_calendar(until // SECOND)
        if first >= last:
            return 0
        total = self._pattern.count(self._zone.latest_wall(first) + 1, self._zone.latest_wall(last) + 1)
        for start, _, offset, ceiling in _segments(self._zone, first + 1, last + 1):
            if start > first and start + offset > ceiling + 1:  # a gap: all in it, and its end, are one instant
                total -= max(self._pattern.count(ceiling + 1, start + offset + 1) - 1, 0)
        return total


class WildcardTimes:
    """Timetable of an expression that follows real time: its minute or hour begins with `*`."""

    __slots__ = ("_pattern", "_zone")

    def __init__(self, pattern: WallPattern, zone: Zone) -> None:
        self._pattern, self._zone = pattern, zone

    def next(self, after: Micros) -> Micros | None:
        """Return the first occurrence strictly later than `after`."""
        instant = _within_calendar(after // SECOND)
        _, end, offset, _ = self._zone.segment_at(instant + 1)
        wall = self._pattern.after(instant + offset)
        while wall is not None and wall >= end + offset:
            start, end, changed, _ = self._zone.segment_at(end)
            if changed != offset:
                offset = changed
                wall = self._pattern.after(start + offset - 1)
        return None if wall is None else (wall - offset) * SECOND

    def prev(self, before: Micros) -> Micros | None:
        """Return the last occurrence strictly earlier than `before`."""
        instant = _within_calendar((before - 1) // SECOND)
        start, _, offset, _ = self._zone.segment_at(instant)
        wall = self._pattern.at_or_before(instant + offset)
        while wall is not None and wall < start + offset:
            start, end, changed, _ = self._zone.segment_at(start - 1)
            if changed != offset:
                offset = changed
                wall = self._pattern.at_or_before(end - 1 + offset)
        return None if wall is None else (wall - offset) * SECOND

    def last_at_or_before(self, until: Micros, after: Micros) -> Micros | None:
        """Return the last occurrence in (after, until]."""
        last = self.prev(until + 1)
        return last if last is not None and last > after else None

    def count(self, after: Micros, until: Micros) -> int:
        """Return how many occurrences lie in (after, until]: one step per segment, not one per occurrence."""
        first, last = _within_calendar(after // SECOND) + 1, _within_calendar(until // SECOND) + 1
        return sum(
            self._pattern.count(max(start, first) + offset, min(end, last) + offset)
            for start, end, offset, _ in _segments(self._zone, first, last)
        )


CronTimetable = FixedTimes | WildcardTimes


@lru_cache(maxsize=4096)
def wall_pattern(fields: CronFields) -> WallPattern:
    """Return the matching readings of the wall clock: the same for all zones."""
    minutes = [minute * 60 for minute in fields.minute.values]
    seconds = tuple([hour * 3600 + minute for hour in fields.hour.values for minute in minutes])
    return WallPattern(seconds, partial(days_of_year, fields))


def cron_timetable(expression: str, zone: str) -> CronTimetable:
    """Return the timetable of `expression` in `zone`. Raises InvalidInput."""
    fields = read_cron(expression)
    times = WildcardTimes if fields.follows_real_time else FixedTimes
    return times(wall_pattern(fields), zone_named(zone))


def _within_calendar(instant: int) -> int:
    """Bring an instant that no calendar has to its end, or a walk along the segments would never reach it."""
    return instant if FIRST_INSTANT <= instant <= LAST_INSTANT else min(max(instant, FIRST_INSTANT), LAST_INSTANT)


def _segments(zone: Zone, first: int, end: int) -> Iterator[Segment]:
    """Yield the segments that share an instant with [first, end)."""
    while first < end:
        segment = zone.segment_at(first)
        yield segment
        first = segment.end
