"""Timetables of the simple triggers: every so often, once, and never."""

from __future__ import annotations

from dataclasses import dataclass

from rota.domain.instant import Micros


@dataclass(frozen=True, slots=True)
class IntervalTimes:
    """Due at `anchor` + n × `every` for every whole n, also negative."""

    every: Micros
    anchor: Micros

    def next(self, after: Micros) -> Micros | None:
        """Return the first occurrence strictly later than `after`."""
        return after + self.every - (after - self.anchor) % self.every

    def prev(self, before: Micros) -> Micros | None:
        """Return the last occurrence strictly earlier than `before`."""
        return before - 1 - (before - 1 - self.anchor) % self.every

    def last_at_or_before(self, until: Micros, after: Micros) -> Micros | None:
        """Return the last occurrence in (after, until]."""
        last = until - (until - self.anchor) % self.every
        return last if last > after else None

    def count(self, after: Micros, until: Micros) -> int:
        """Return how many occurrences lie in (after, until]."""
        return max((until - self.anchor) // self.every - (after - self.anchor) // self.every, 0)


@dataclass(frozen=True, slots=True)
class OnceTimes:
    """Due at `at` and never again."""

    at: Micros

    def next(self, after: Micros) -> Micros | None:
        """Return the occurrence if it is strictly later than `after`."""
        return self.at if self.at > after else None

    def prev(self, before: Micros) -> Micros | None:
        """Return the occurrence if it is strictly earlier than `before`."""
        return self.at if self.at < before else None

    def last_at_or_before(self, until: Micros, after: Micros) -> Micros | None:
        """Return the occurrence if it lies in (after, until]."""
        return self.at if after < self.at <= until else None

    def count(self, after: Micros, until: Micros) -> int:
        """Return 1 if the occurrence lies in (after, until]."""
        return int(after < self.at <= until)


@dataclass(frozen=True, slots=True)
class NeverTimes:
    """No instants: what is due when something happens is not due by a timetable."""

    def next(self, after: Micros) -> Micros | None:
        return None

    def prev(self, before: Micros) -> Micros | None:
        return None

    def last_at_or_before(self, until: Micros, after: Micros) -> Micros | None:
        return None

    def count(self, after: Micros, until: Micros) -> int:
        return 0


NEVER = NeverTimes()
