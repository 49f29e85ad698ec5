"""A small epoll loop: file handlers, timers, and nothing that wakes up when there is nothing to do."""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections.abc import Callable

READ, WRITE = select.EPOLLIN, select.EPOLLOUT


class Loop:
    """One turn: wait, serve files, fire timers. What must follow each turn is the caller's."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._heap: list[tuple[float, int]] = []
        self._timers: dict[int, Callable[[], None]] = {}
        self._numbers = itertools.count(1)

    def watch(self, fd: int, handler: Callable[[int], None], mask: int = READ) -> None:
        self._handlers[fd] = handler
        self._epoll.register(fd, mask)

    def change(self, fd: int, mask: int) -> None:
        self._epoll.modify(fd, mask)

    def forget(self, fd: int) -> None:
        """Call before the descriptor is closed."""
        del self._handlers[fd]
        self._epoll.unregister(fd)

    def after(self, seconds: float, action: Callable[[], None]) -> int:
        """Call `action` once; returns a number for `cancel`."""
        number = next(self._numbers)
        self._timers[number] = action
        heapq.heappush(self._heap, (time.monotonic() + seconds, number))
        return number

    def cancel(self, number: int) -> None:
        self._timers.pop(number, None)
        # A timeout of an hour outlives thousands of quick commands: sweep when most of the heap is dead.
        if len(self._heap) > 64 and len(self._heap) > 2 * len(self._timers):
            self._heap = [entry for entry in self._heap if entry[1] in self._timers]
            heapq.heapify(self._heap)

    def turn(self, *, busy: bool) -> None:
        """Serve what is ready; wait for it unless `busy`."""
        while self._heap and self._heap[0][1] not in self._timers:
            heapq.heappop(self._heap)
        wait = 0.0 if busy else max(0.0, self._heap[0][0] - time.monotonic()) if self._heap else None
        for fd, mask in self._epoll.poll(wait):
            handler = self._handlers.get(fd)  # an earlier handler of this turn may have closed it
            if handler is not None:
                handler(mask)
        now = time.monotonic()
        while self._heap and self._heap[0][0] <= now:
            action = self._timers.pop(heapq.heappop(self._heap)[1], None)
            if action is not None:
                action()
