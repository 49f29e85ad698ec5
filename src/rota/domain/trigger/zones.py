"""Time zones as tables of segments: stretches of time during which the offset from UTC stays the same.

All numbers are whole seconds. *Instant* means seconds since the epoch, UTC. *Wall* means the reading of the
zone's wall clock, counted as if it were UTC: 1970-01-01 00:00:00 on the wall is 0. Inside a segment wall =
instant + offset.

`zoneinfo` tells an offset but not when it changes, so changes are found by bisection, a chunk of two years at
a time, and kept for the life of the process. Before 1800 nothing changes, and from 2200 on everything repeats
every 400 years, as the calendar does; so a search through all of history meets few chunks.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import available_timezones

from rota.domain.errors import InvalidInput, near
from rota.domain.trigger.tzversion import zone_info

DAY_SECONDS = 86_400
_CHUNK_SECONDS = 1 << 26  # about two years: some 4 changes, found in under a millisecond
# Two changes that cancel out are at least 6.96 days apart in all of tzdata (Boa Vista 2000, Gaza 2040 and
# later).
_STRIDE = 2 * DAY_SECONDS
# A wall clock that went back shows readings again for at most a day (Alaska 1867), so older history is
# irrelevant.
_LOOK_BACK = 3 * DAY_SECONDS
_MAX_OFFSET = DAY_SECONDS
_EVER = 1 << 62
# No zone of tzdata changed before 1835 (Amsterdam), and its lists end in 2087 (Casablanca): what follows is a rule
# for every year, and years repeat after 400. `test_zones.py` holds both for every zone.
_FIRST_CHANGES = int(datetime(1800, 1, 1, tzinfo=UTC).timestamp())
_ONLY_RULES = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())
_CYCLE = 146_097 * DAY_SECONDS
_REPEATS = _ONLY_RULES + _CYCLE
_NONE, _ONE = timedelta(), timedelta(seconds=1)
# As far as offsets are asked for: a day inside what `datetime` can hold, so that the wall's date fits too. The
# days that may match (`wall.FIRST_DAY` to `LAST_DAY`) end a day earlier still, in every zone.
FIRST_INSTANT = int(datetime(1, 1, 2, tzinfo=UTC).timestamp())
LAST_INSTANT = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())
_SAFE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*)*")
_NOT_PLACES = ("posix/", "right/", "posixrules", "localtime", "Factory")


class Segment(NamedTuple):
    """A stretch of constant offset, or a part of one where a chunk ends."""

    start: int  # first instant
    end: int  # first instant after it
    offset: int  # wall = instant + offset
    ceiling: int  # the latest wall reading shown at any instant before `start`


class Zone:
    """The segments of one zone, made by `zone_named`. Threads may share it: a lost race only works twice.

    `recent` is the segment last asked for, which is the next one asked for, too, nearly always.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._info = zone_info(name)
        self._chunks: dict[int, tuple[list[int], list[Segment]]] = {}
        constant = self._info.utcoffset(None)  # known without a date only where the offset never changes (UTC)
        self.never_changes = constant is not None
        self._oldest = Segment(-_EVER, _FIRST_CHANGES, self._offset_at(_FIRST_CHANGES), -_EVER)
        self.recent = self._find(0) if constant is None else _always(constant)

    def segment_at(self, instant: int) -> Segment:
        """Return the segment that holds `instant`."""
        recent = self.recent
        if recent[0] <= instant < recent[1]:
            return recent
        self.recent = found = self._find(instant)
        return found

    def wall_at(self, instant: int) -> int:
        """Return what the wall clock shows at `instant`."""
        return instant + self.segment_at(instant).offset

    def earliest_wall(self, instant: int) -> int:
        """Return the earliest reading that the wall clock shows at `instant` or later: the mirror of `latest_wall`."""
        _, end, offset, _ = self.segment_at(instant)
        earliest, last = instant + offset, instant + _LOOK_BACK
        while end <= last:
            start, end, offset, _ = self.segment_at(end)
            earliest = min(earliest, start + offset)
        return earliest

    def latest_wall(self, instant: int) -> int:
        """Return the latest reading the wall clock has shown up to and including `instant`.

        It differs from `wall_at` only while a repeated hour is shown for the second time: then it stands
        still at the end of that hour.
        """
        start, end, offset, ceiling = self.recent
        if not start <= instant < end:
            _, _, offset, ceiling = self.segment_at(instant)
        wall = instant + offset
        return wall if wall > ceiling else ceiling

    def first_reaching(self, wall: int) -> int:
        """Return the first instant at which the wall clock has shown `wall` or later.

        For a reading that was repeated this is its first pass; for one that was left out, the end of the gap.
        """
        start, end, offset, ceiling = self.recent
        if not ceiling < wall < end + offset:
            start, end, offset, ceiling = self.segment_at(wall - _MAX_OFFSET)
            while end + offset <= wall:
                start, end, offset, ceiling = self.segment_at(end)
        instant = wall - offset
        return instant if instant > start else start

    def _find(self, instant: int) -> Segment:
        if _FIRST_CHANGES <= instant < _REPEATS:
            number = instant // _CHUNK_SECONDS
            chunk = self._chunks.get(number)
            if chunk is None:
                chunk = self._chunks[number] = self._read_chunk(number)
            starts, segments = chunk
            return segments[bisect_right(starts, instant) - 1]
        if instant < _FIRST_CHANGES:
            return self._oldest
        cycles = (instant - _ONLY_RULES) // _CYCLE * _CYCLE
        start, end, offset, ceiling = self._find(instant - cycles)
        return Segment(start + cycles, end + cycles, offset, ceiling + cycles)

    def _read_chunk(self, number: int) -> tuple[list[int], list[Segment]]:
        first, last = number * _CHUNK_SECONDS, (number + 1) * _CHUNK_SECONDS
        segments: list[Segment] = []
        ceiling = -_EVER
        for start, end, offset in self._stretches(first - _LOOK_BACK, last):
            if end > first:
                if start < first:
                    ceiling = max(ceiling, first - 1 + offset)
                segments.append(Segment(max(start, first), end, offset, ceiling))
            ceiling = max(ceiling, end - 1 + offset)
        return [segment.start for segment in segments], segments

    def _stretches(self, first: int, last: int) -> list[tuple[int, int, int]]:
        """Return (start, end, offset) of every stretch within [first, last), in order and without a hole."""
        found = []
        start, offset = first, self._offset_at(first)
        for low in range(first, last, _STRIDE):
            high = min(low + _STRIDE, last)
            if self._offset_at(high) != offset:
                change = self._bisect(low, high, offset)
                if change < last:
                    found.append((start, change, offset))
                    start, offset = change, self._offset_at(high)
        return [*found, (start, last, offset)]

    def _bisect(self, low: int, high: int, offset: int) -> int:
        """Return the first instant in (low, high] whose offset is not `offset`, which `low` has."""
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset_at(middle) == offset:
                low = middle
            else:
                high = middle
        return high

    def _offset_at(self, instant: int) -> int:
        within = min(max(instant, FIRST_INSTANT), LAST_INSTANT)
        return (datetime.fromtimestamp(within, self._info).utcoffset() or _NONE) // _ONE


def _always(offset: timedelta) -> Segment:
    return Segment(-_EVER, _EVER, offset // _ONE, -_EVER)


@lru_cache(maxsize=1024)
def zone_named(name: str) -> Zone:
    """Return the one table of the zone `name`. Raises InvalidInput with a near name."""
    if not _SAFE_NAME.fullmatch(name) or len(name) > 64 or name.startswith(_NOT_PLACES):
        raise _unknown(name)
    try:
        return Zone(name)
    except (KeyError, ValueError, OSError) as fault:  # KeyError: ZoneInfoNotFoundError; OSError: a folder
        raise _unknown(name) from fault


def parse_zone(name: str) -> str:
    """Check an IANA zone name (`Europe/Zurich`, `UTC`) and return it. Raises InvalidInput."""
    return zone_named(name.strip()).name


def _unknown(name: str) -> InvalidInput:
    return InvalidInput(
        f'"{name[:64]}" is not a time zone',
        expected='an IANA name such as "Europe/Zurich", "America/New_York" or "UTC"',
        hint=_nearest(name[:64]),
    )


def _nearest(name: str) -> str:
    """Compare without case, and with the city alone (`zurich`), as that is how names are mistyped."""
    zones = sorted(available_timezones())
    spellings = {zone.rsplit("/", 1)[-1].lower(): zone for zone in zones if "/" in zone}
    spellings |= {zone.lower(): zone for zone in zones}
    word = name.strip().lower().replace(" ", "_")
    if word in spellings:
        return f'did you mean "{spellings[word]}"?'
    answer = near(word, spellings)
    for spelling in spellings:
        if answer == f'did you mean "{spelling}"?':
            return f'did you mean "{spellings[spelling]}"?'
    return ""
