"""When a cron expression fires in a zone, by the rules of Debian's cron for clock changes.

- *Fixed* times (`30 2 * * *`): what falls into a gap runs once, at its end; what is repeated runs on the
  first pass only. Both are one rule. Let the wall clock's reading never go back, but stand still while an
  hour is repeated; a fixed time is due at the first instant at which that reading has reached it.
- *Wildcard* minutes or hours (`*/30 * * * *`) follow real time: whatever the wall clock shows, as often as it
  shows it.

For fixed times another rule can be chosen: skip what falls into a gap, run on the second pass, or on both.

Either way an occurrence is an instant: two readings that fall on one instant are one occurrence (Debian runs
`0 2,3 * * *` twice at 03:00 in spring; Rota once). Checked against a minute-by-minute search in `tests/oracle/`
and a recorded run of the real cron in `tests/unit/trigger/`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain

from rota.domain.instant import SECOND, Micros
from rota.domain.trigger.days import days_of_year
from rota.domain.trigger.dialect import read_cron
from rota.domain.trigger.fields import ON_THE_MINUTE, CronFields
from rota.domain.trigger.kinds import Fold, Gap
from rota.domain.trigger.wall import DAY, SecondsOfDay, WallPattern
from rota.domain.trigger.zones import FIRST_INSTANT, LAST_INSTANT, Segment, Zone, zone_named

_EVERY_MINUTE = (1 << 60) - 1
_MOST_LISTED = 1440  # times of day that a pattern keeps as a list: as many as `* * * * *` has


class CronTimetable(ABC):
    """The instants of one expression in one zone: a `Timetable`."""

    __slots__ = ()

    @abstractmethod
    def next(self, after: Micros) -> Micros | None:
        """Return the first occurrence strictly later than `after`."""

    @abstractmethod
    def prev(self, before: Micros) -> Micros | None:
        """Return the last occurrence strictly earlier than `before`."""

    @abstractmethod
    def count(self, after: Micros, until: Micros) -> int:
        """Return how many occurrences lie in (after, until]: one step per segment, not one per occurrence."""

    def last_at_or_before(self, until: Micros, after: Micros) -> Micros | None:
        """Return the last occurrence in (after, until]."""
        last = self.prev(until + 1)
        return last if last is not None and last > after else None


class FixedTimes(CronTimetable):
    """Timetable of fixed times by Debian's rule: after a gap, and on the first pass."""

    __slots__ = ("_pattern", "_zone")

    def __init__(self, pattern: WallPattern, zone: Zone) -> None:
        self._pattern, self._zone = pattern, zone

    def next(self, after: Micros) -> Micros | None:
        wall = self._pattern.after(self._zone.latest_wall(after // SECOND))
        return None if wall is None else self._zone.first_reaching(wall) * SECOND

    def prev(self, before: Micros) -> Micros | None:
        wall = self._pattern.at_or_before(self._zone.latest_wall((before - 1) // SECOND))
        return None if wall is None else self._zone.first_reaching(wall) * SECOND

    def count(self, after: Micros, until: Micros) -> int:
        first, last = _within_calendar(after // SECOND), _within_calendar(until // SECOND)
        if first >= last:
            return 0
        total = self._pattern.count(self._zone.latest_wall(first) + 1, self._zone.latest_wall(last) + 1)
        for start, _, offset, ceiling in _segments(self._zone, first + 1, last + 1):
            if start > first and start + offset > ceiling + 1:  # a gap: all in it, and its end, are one instant
                total -= max(self._pattern.count(ceiling + 1, start + offset + 1) - 1, 0)
        return total


class WildcardTimes(CronTimetable):
    """Timetable of an expression that follows real time: its minute or hour begins with `*`."""

    __slots__ = ("_pattern", "_zone")

    def __init__(self, pattern: WallPattern, zone: Zone) -> None:
        self._pattern, self._zone = pattern, zone

    def next(self, after: Micros) -> Micros | None:
        instant = after // SECOND
        if not FIRST_INSTANT <= instant <= LAST_INSTANT:  # not by a call: this is the way of every minute's job
            instant = _within_calendar(instant)
        start, end, offset, _ = self._zone.recent
        if not start <= instant + 1 < end:
            _, end, offset, _ = self._zone.segment_at(instant + 1)
        wall = self._pattern.after(instant + offset)
        while wall is None or wall >= end + offset:
            if end > self._pattern.end + DAY:  # a day, as the last readings may be shown once more
                return None
            start, end, changed, _ = self._zone.segment_at(end)
            if changed != offset:
                offset = changed
                wall = self._pattern.after(start + offset - 1)
        return (wall - offset) * SECOND

    def prev(self, before: Micros) -> Micros | None:
        instant = _within_calendar((before - 1) // SECOND)
        start, _, offset, _ = self._zone.segment_at(instant)
        wall = self._pattern.at_or_before(instant + offset)
        while wall is None or wall < start + offset:
            if start < self._pattern.begin - DAY:
                return None
            start, end, changed, _ = self._zone.segment_at(start - 1)
            if changed != offset:
                offset = changed
                wall = self._pattern.at_or_before(end - 1 + offset)
        return (wall - offset) * SECOND

    def count(self, after: Micros, until: Micros) -> int:
        first, last = _within_calendar(after // SECOND) + 1, _within_calendar(until // SECOND) + 1
        return sum(
            self._pattern.count(max(start, first) + offset, min(end, last) + offset)
            for start, end, offset, _ in _segments(self._zone, first, last)
        )


class ChosenTimes(CronTimetable):
    """Timetable of fixed times under any other rule for clock changes.

    In each segment of the zone a rule lets some of the wall's readings count, and may add the segment's start.
    """

    __slots__ = ("_fold", "_gap", "_pattern", "_zone")

    def __init__(self, pattern: WallPattern, zone: Zone, gap: Gap, fold: Fold) -> None:
        self._pattern, self._zone = pattern, zone
        self._gap, self._fold = gap, fold

    def next(self, after: Micros) -> Micros | None:
        first = _within_calendar(after // SECOND) + 1
        while first <= self._pattern.end + DAY:
            segment = self._zone.segment_at(first)
            if first == segment.start and self._runs_after_gap(segment):
                return first * SECOND
            low, high = self._counted(segment)
            wall = self._pattern.after(max(low, first + segment.offset) - 1)
            if wall is not None and wall < high:
                return (wall - segment.offset) * SECOND
            first = segment.end
        return None

    def prev(self, before: Micros) -> Micros | None:
        last = _within_calendar((before - 1) // SECOND)
        while last >= self._pattern.begin - DAY:
            segment = self._zone.segment_at(last)
            low, high = self._counted(segment)
            wall = self._pattern.at_or_before(min(high - 1, last + segment.offset))
            if wall is not None and wall >= low:
                return (wall - segment.offset) * SECOND
            if self._runs_after_gap(segment):
                return segment.start * SECOND
            last = segment.start - 1
        return None

    def count(self, after: Micros, until: Micros) -> int:
        first, end = _within_calendar(after // SECOND) + 1, _within_calendar(until // SECOND) + 1
        total = 0
        for segment in _segments(self._zone, first, end):
            low, high = self._counted(segment)
            wall = segment.start + segment.offset
            total += self._pattern.count(max(low, first + segment.offset), min(high, end + segment.offset))
            if first <= segment.start and self._runs_after_gap(segment):
                total += not self._pattern.count(max(low, wall), min(high, wall + 1))
        return total

    def _counted(self, segment: Segment) -> tuple[int, int]:
        """Return the readings [low, high) of this segment that are occurrences if they match."""
        start, end, offset, ceiling = segment
        low, high = start + offset, end + offset
        if self._fold is Fold.FIRST:
            low = max(low, ceiling + 1)
        elif self._fold is Fold.SECOND:
            high = min(high, self._zone.earliest_wall(end))
        return low, high

    def _runs_after_gap(self, segment: Segment) -> bool:
        """Whether the segment's start is an occurrence because a match fell into the gap before it."""
        start, _, offset, ceiling = segment
        return self._gap is Gap.RUN_AFTER and self._pattern.count(ceiling + 1, start + offset) > 0


def fixed_times(pattern: WallPattern, zone: Zone, gap: Gap = Gap.RUN_AFTER, fold: Fold = Fold.FIRST) -> CronTimetable:
    """Return the timetable of fixed times of day under a rule for clock changes."""
    if zone.never_changes or (gap, fold) == (Gap.RUN_AFTER, Fold.FIRST):
        return FixedTimes(pattern, zone)
    if (gap, fold) == (Gap.SKIP, Fold.BOTH):  # whatever the wall shows, as often as it shows it
        return WildcardTimes(pattern, zone)
    return ChosenTimes(pattern, zone, gap, fold)


@lru_cache(maxsize=4096)
def wall_pattern(fields: CronFields) -> WallPattern:
    """Return the matching readings of the wall clock: the same for all zones."""
    years = None if fields.year is None else fields.year.values
    return WallPattern(_seconds_of_day(fields), partial(days_of_year, fields), years)


def _seconds_of_day(fields: CronFields) -> Sequence[int]:
    hours = [hour * 3600 for hour in fields.hour.values]
    if fields.minute.mask == _EVERY_MINUTE:  # twice as fast as adding up 1440 numbers
        minutes = tuple(chain.from_iterable([range(hour, hour + 3600, 60) for hour in hours]))
    else:
        within_hour = [minute * 60 for minute in fields.minute.values]
        minutes = tuple([hour + minute for hour in hours for minute in within_hour])
    if fields.second == ON_THE_MINUTE:
        return minutes
    seconds = SecondsOfDay(minutes, fields.second.values)
    return tuple(seconds) if len(seconds) <= _MOST_LISTED else seconds


def cron_timetable(
    expression: str, zone: str, *, seed: str = "", gap: Gap = Gap.RUN_AFTER, fold: Fold = Fold.FIRST
) -> CronTimetable:
    """Return the timetable of `expression` in `zone`. Raises InvalidInput.

    `seed` is what `H` and `~` are hashed from. `gap` and `fold` say what becomes of fixed times; expressions that
    follow real time need no such rule.
    """
    fields = read_cron(expression, seed)
    if fields.follows_real_time:
        return WildcardTimes(wall_pattern(fields), zone_named(zone))
    return fixed_times(wall_pattern(fields), zone_named(zone), gap, fold)


def _within_calendar(instant: int) -> int:
    """Bring an instant that no calendar has to its end, or a walk along the segments would never reach it."""
    return instant if FIRST_INSTANT <= instant <= LAST_INSTANT else min(max(instant, FIRST_INSTANT), LAST_INSTANT)


def _segments(zone: Zone, first: int, end: int) -> Iterator[Segment]:
    """Yield the segments that share an instant with [first, end)."""
    while first < end:
        segment = zone.segment_at(first)
        yield segment
        first = segment.end
