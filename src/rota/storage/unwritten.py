"""Spares a look at a SQLite store that nobody has written to since the last one.

A look takes two threads some five switches, and an idle daemon would do nothing else: `idle` measured 2.6 wake-ups a
second with two looks every five seconds. What every writer must touch is the WAL file, and to ask when costs no thread.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from rota.domain.instant import SECOND
from rota.ports import Clock

_State = tuple[int, int, int]


class Unwritten:
    """One for each look that is to be spared."""

    def __init__(self, store: Path, clock: Clock) -> None:
        self._wal, self._clock = f"{store}-wal", clock
        self._seen: _State | None = None

    async def spare(self, look: Callable[[], Awaitable[object]]) -> None:
        """Look, unless it is certain that there is nothing new. A look that fails counts for nothing."""
        state = self._state()
        if state is None or state != self._seen:
            await look()
            self._seen = state

    def _state(self) -> _State | None:
        """What differs after the next write; None while that is not certain: file systems count time in steps, so the
        next write may bear the time of one that has just been made, and a clock may be set."""
        try:
            found = os.stat(self._wal)  # noqa: PTH116  # three times as fast, in every daemon's every tick
        except OSError:
            return None
        if self._clock.now() - found.st_mtime_ns // 1000 < SECOND:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
