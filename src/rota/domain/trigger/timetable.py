"""The due instants of a trigger. Equal triggers share one timetable: a herd costs one evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, assert_never

from rota.domain.instant import Micros
from rota.domain.trigger.calendar import calendar_times
from rota.domain.trigger.cron import cron_timetable
from rota.domain.trigger.interval import IntervalTimes, OnceTimes
from rota.domain.trigger.kinds import (
    CalendarTrigger,
    ContinuousTrigger,
    CronTrigger,
    IntervalTrigger,
    ManualTrigger,
    OnceTrigger,
    OnStartTrigger,
    TriggerSpec,
)


class Timetable(Protocol):
    """A set of instants, none twice. No method enumerates it: a year of minutes costs as little as a day."""

    def next(self, after: Micros) -> Micros | None:
        """Return the first instant strictly later than `after`; None if there is none up to 9999-12-29."""

    def prev(self, before: Micros) -> Micros | None:
        """Return the last instant strictly earlier than `before`; None if there is none."""

    def last_at_or_before(self, until: Micros, after: Micros) -> Micros | None:
        """Return the last instant in (after, until]; None if there is none."""

    def count(self, after: Micros, until: Micros) -> int:
        """Return how many instants lie in (after, until]; 0 if `until` is not later."""


def are_all(times: Timetable, first: Micros, last: Micros, count: int) -> bool:
    """Whether `count` instants from `first` to `last` are all that the timetable has there, those two among them."""
    return times.next(first - 1) == first and times.prev(last + 1) == last and 1 + times.count(first, last) == count


_EVER: Micros = 1 << 62


@dataclass(frozen=True, slots=True)
class BoundedTimes:
    """The instants of `times` in [start, end]: both ends belong to it."""

    times: Timetable
    start: Micros
    end: Micros

    def next(self, after: Micros) -> Micros | None:
        found = self.times.next(max(after, self.start - 1))
        return found if found is not None and found <= self.end else None

    def prev(self, before: Micros) -> Micros | None:
        found = self.times.prev(min(before, self.end + 1))
        return found if found is not None and found >= self.start else None

    def last_at_or_before(self, until: Micros, after: Micros) -> Micros | None:
        return self.times.last_at_or_before(min(until, self.end), max(after, self.start - 1))

    def count(self, after: Micros, until: Micros) -> int:
        return self.times.count(max(after, self.start - 1), min(until, self.end))


@lru_cache(maxsize=65_536)
def timetable_within(spec: TriggerSpec, start: Micros | None, end: Micros | None) -> Timetable | None:
    """Return the timetable of a job that begins at `start` and ends at `end`, where it says so."""
    times = timetable(spec)
    if times is None or (start is None and end is None):
        return times
    return BoundedTimes(times, -_EVER if start is None else start, _EVER if end is None else end)


@lru_cache(maxsize=65_536)
def timetable(spec: TriggerSpec) -> Timetable | None:
    """Return the one timetable of `spec`. Raises InvalidInput.

    None for what no clock decides: manual, and what is due when something happens (continuous, on_start).
    """
    match spec:
        case CronTrigger():
            return cron_timetable(spec.expression, spec.zone, seed=spec.seed, gap=spec.gap, fold=spec.fold)
        case IntervalTrigger():
            return IntervalTimes(spec.every, spec.anchor)
        case OnceTrigger():
            return OnceTimes(spec.at)
        case CalendarTrigger():
            return calendar_times(spec)
        case ContinuousTrigger() | OnStartTrigger() | ManualTrigger():
            return None
        case _:
            assert_never(spec)
