"""The one place that reads this machine's clocks."""

from __future__ import annotations

import asyncio
import time

from rota.domain.instant import Micros

# Where a system has no clock that goes on in its sleep, waking up looks like a clock that was set forward.
_BOOTTIME: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """See `ports.Clock`."""

    def now(self) -> Micros:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        return time.clock_gettime(_BOOTTIME)

    async def sleep(self, seconds: float, *, wake: asyncio.Event | None = None) -> bool:
        if wake is None:
            await asyncio.sleep(seconds)
            return False
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await wake.wait()
        except TimeoutError:
            return False
        wake.clear()
        return True
