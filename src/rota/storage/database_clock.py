"""The database's clock, kept at hand: what several processes must agree on is judged by one clock (house style §7).

Every transaction tells the server's time; between two of them it is this machine's clock, corrected by how far the two
were apart. So sleeping until something is due is right on a machine whose clock is wrong.
"""

from __future__ import annotations

import asyncio

from rota.domain.instant import Micros
from rota.ports import Clock


class DatabaseClock:
    """See `ports.Clock`. Until the server was heard of it is this machine's clock."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._ahead: Micros = 0  # how far the server's clock is ahead of this machine's

    def observe(self, at: Micros) -> None:
        """The server said that it is `at`. The answer took its time to come, so we are late by that, never early:
        whoever wakes when something is due finds it due."""
        self._ahead = at - self._machine.now()

    @property
    def ahead(self) -> Micros:
        """How far the server's clock is ahead of this machine's; negative where it is behind."""
        return self._ahead

    def now(self) -> Micros:
        return self._machine.now() + self._ahead

    def monotonic(self) -> float:
        return self._machine.monotonic()

    def boottime(self) -> float:
        return self._machine.boottime()

    async def sleep(self, seconds: float, *, wake: asyncio.Event | None = None) -> bool:
        return await self._machine.sleep(seconds, wake=wake)
