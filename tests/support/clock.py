"""A clock that a test moves by hand: time passes only when the test says so."""

from __future__ import annotations

import asyncio
import heapq
from typing import Any

from rota.domain.instant import SECOND, Micros, parse_rfc3339

NOON: Micros = parse_rfc3339("2026-03-04T12:00:00Z")


class ManualClock:
    """A `ports.Clock`. `advance` moves both times and wakes whoever slept that long; `set_wall` is a clock jump."""

    def __init__(self, at: Micros = NOON) -> None:
        self._wall = at
        self._monotonic = 0.0
        self._slept = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = 0

    def now(self) -> Micros:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    def boottime(self) -> float:
        return self._monotonic + self._slept

    async def sleep(self, seconds: float, *, wake: asyncio.Event | None = None) -> bool:
        if wake is not None and wake.is_set():
            wake.clear()
            return True
        self._order += 1
        slept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, self._order, slept))
        if wake is None:
            await slept
            return False
        woken = asyncio.ensure_future(wake.wait())
        either: set[asyncio.Future[Any]] = {slept, woken}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
        if not wake.is_set():
            return False
        wake.clear()
        return True

    def advance(self, seconds: float) -> None:
        self._wall += round(seconds * SECOND)
        self._monotonic += seconds
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    def set_wall(self, at: Micros) -> None:
        """Let the wall clock jump, as NTP does. Durations do not notice."""
        self._wall = at

    def suspend(self, seconds: float) -> None:
        """Let the machine sleep: the wall clock and the time since boot go on, monotonic time stands still."""
        self._wall += round(seconds * SECOND)
        self._slept += seconds
