"""Who watches a run in this process is told that it changed. A hint only: watchers read the store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_Watchers = dict[int, set[asyncio.Event]]


class RunEvents:
    """See `ports.Events`."""

    def __init__(self) -> None:
        self._watchers: _Watchers = {}
        self._end_watchers: _Watchers = {}

    def touched(self, run_id: int) -> None:
        for event in self._watchers.get(run_id, ()):
            event.set()

    def ended_all(self, run_ids: Iterable[int]) -> None:
        """These runs have reached their end."""
        if self._watchers or self._end_watchers:
            for run_id in run_ids:
                self.touched(run_id)
                for event in self._end_watchers.get(run_id, ()):
                    event.set()

    def touched_all(self, run_ids: Iterable[int]) -> None:
        if self._watchers:  # a herd of 100,000 runs that nobody watches costs nothing here
            for run_id in run_ids:
                self.touched(run_id)

    @contextmanager
    def watch(self, run_id: int) -> Iterator[asyncio.Event]:
        with _among(self._watchers, run_id) as event:
            yield event

    @contextmanager
    def watch_end(self, run_id: int) -> Iterator[asyncio.Event]:
        with _among(self._end_watchers, run_id) as event:
            yield event


@contextmanager
def _among(watchers: _Watchers, run_id: int) -> Iterator[asyncio.Event]:
    event = asyncio.Event()
    watchers.setdefault(run_id, set()).add(event)
    try:
        yield event
    finally:
        watchers[run_id].discard(event)
        if not watchers[run_id]:
            del watchers[run_id]
