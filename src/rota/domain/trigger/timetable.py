"""The due instants of a trigger. Equal triggers share one timetable: a herd costs one evaluation."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol, assert_never

from rota.domain.instant import Micros
from rota.domain.trigger.cron import cron_timetable
from rota.domain.trigger.interval import IntervalTimes, OnceTimes
from rota.domain.trigger.spec import (
    CronTrigger,
    IntervalTrigger,
    ManualTrigger,
    OnceTrigger,
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


@lru_cache(maxsize=65_536)
def timetable(spec: TriggerSpec) -> Timetable | None:
    """Return the one timetable of `spec`, or None for a manual trigger. Raises InvalidInput."""
    match spec:
        case CronTrigger():
            return cron_timetable(spec.expression, spec.zone)
        case IntervalTrigger():
            return IntervalTimes(spec.every, spec.anchor)
        case OnceTrigger():
            return OnceTimes(spec.at)
        case ManualTrigger():
            return None
        case _:
            assert_never(spec)
