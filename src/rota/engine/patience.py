"""Asking a store that may be away: what is at work must not fall because its plan or host cannot be read just now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from rota.domain.errors import Unavailable
from rota.ports import Clock

T = TypeVar("T")
RETRY_SECONDS = 1.0


async def patiently(clock: Clock, ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` answers; while the store is away it is asked again each second."""
    while True:
        try:
            return await ask()
        except Unavailable:
            await clock.sleep(RETRY_SECONDS)
