"""A timetable less some of its instants: those that ran already, while the clock was ahead of its time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from rota.domain.instant import Micros
from rota.domain.trigger.timetable import Timetable


class WithoutTimes:
    """See `Timetable`. Of `gone` only what is an instant of `times` counts. Each that is passed over costs a step."""

    def __init__(self, times: Timetable, gone: Iterable[Micros]) -> None:
        self._times = times
        self._gone = sorted(instant for instant in set(gone) if times.next(instant - 1) == instant)
        self._is_gone = frozenset(self._gone)

    def next(self, after: Micros) -> Micros | None:
        found = self._times.next(after)
        while found is not None and found in self._is_gone:
            found = self._times.next(found)
        return found

    def prev(self, before: Micros) -> Micros | None:
        found = self._times.prev(before)
        while found is not None and found in self._is_gone:
            found = self._times.prev(found)
        return found

    def last_at_or_before(self, until: Micros, after: Micros) -> Micros | None:
        found = self._times.last_at_or_before(until, after)
        while found is not None and found in self._is_gone:
            found = self._times.last_at_or_before(found - 1, after)
        return found

    def count(self, after: Micros, until: Micros) -> int:
        gone = bisect_right(self._gone, until) - bisect_right(self._gone, after)
        return self._times.count(after, until) - max(0, gone)
