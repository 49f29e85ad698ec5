"""Clocks of the simulated world: true time is the loop's; what a machine believes is its wall, which may be set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rota.clock import SystemClock
from rota.domain.instant import SECOND, Micros, parse_rfc3339

EPOCH: Micros = parse_rfc3339("2026-03-04T11:59:30Z")  # when true time is 0


class Wall:
    """The clock on one machine's wall: true time, and how far it is off (µs)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, off: Micros = 0) -> None:
        self._loop, self.off = loop, off

    def now(self) -> Micros:
        return EPOCH + round(self._loop.time() * SECOND) + self.off


class WorldClock(SystemClock):
    """A `ports.Clock` that shows a wall. It sleeps as the real one does, in the loop's time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wall: Callable[[], Micros]) -> None:
        self._loop, self._wall = loop, wall

    def now(self) -> Micros:
        return self._wall()

    def monotonic(self) -> float:
        return self._loop.time()

    def boottime(self) -> float:
        return self._loop.time()
