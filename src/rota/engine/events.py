"""Who watches a run in this process is told that it changed. A hint only: watchers read the store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class RunEvents:
    """See `ports.Events`."""

    def __init__(self) -> None:
        self._watchers: dict[int, set[asyncio.Event]] = {}

    def touched(self, run_id: int) -> None:
        for event in self._watchers.get(run_id, ()):
            event.set()

    def touched_all(self, run_ids: Iterable[int]) -> None:
        if self._watchers:  # a herd of 100,000 runs that nobody watches costs nothing here
            for run_id in run_ids:
                self.touched(run_id)

    @contextmanager
    def watch(self, run_id: int) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._watchers.setdefault(run_id, set()).add(event)
        try:
            yield event
        finally:
            watchers = self._watchers[run_id]
            watchers.discard(event)
            if not watchers:
                del self._watchers[run_id]
