"""When jobs are due, reckoned apart from Rota: by arithmetic, and by cronsim."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile

from cronsim import CronSim

from rota.domain.instant import SECOND, Micros
from rota.domain.trigger.spec import CronTrigger, IntervalTrigger, TriggerSpec
from tests.simulation.clock import EPOCH


@dataclass(frozen=True, slots=True)
class Every:
    """Each so many seconds from a fixed beginning."""

    seconds: int
    anchor: Micros = EPOCH

    @property
    def rule(self) -> TriggerSpec:
        return IntervalTrigger(self.seconds * SECOND, self.anchor, "UTC")

    def from_(self, after: Micros) -> Iterator[Micros]:
        step = self.seconds * SECOND
        instant = self.anchor + ((after - self.anchor) // step + 1) * step
        while True:
            yield instant
            instant += step


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression in UTC."""

    expression: str

    @property
    def rule(self) -> TriggerSpec:
        return CronTrigger(self.expression, "UTC")

    def from_(self, after: Micros) -> Iterator[Micros]:
        start = datetime.fromtimestamp(after // SECOND, UTC)
        return (round(moment.timestamp()) * SECOND for moment in CronSim(self.expression, start))


Rhythm = Every | Cron


def between(rhythm: Rhythm, after: Micros, until: Micros) -> list[Micros]:
    """Its instants in (after, until]."""
    return list(takewhile(lambda instant: instant <= until, rhythm.from_(after)))
