"""An event loop of virtual time: no selector, no threads, no real clock. The seed chooses which process runs next.

A callback belongs to the process whose code asked for it (`PROCESS` in its context). Within a process callbacks run in
the order asyncio promises; between processes the order is drawn. A process that is stopped keeps what it was about to
do: it goes on there when it is thawed, and never if it is dead, as after SIGKILL no `finally` runs.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any, Protocol, TypeVarTuple

Given = TypeVarTuple("Given")


class Stoppable(Protocol):
    @property
    def is_stopped(self) -> bool:
        """Dead or frozen: nothing of it runs."""


PROCESS: ContextVar[Stoppable | None] = ContextVar("PROCESS", default=None)  # None: the world itself


_NOBODY = Context()


class Stalled(Exception):  # the house's names say what happened
    """Nothing can ever happen any more: everybody waits for something, and no timer is set."""


class VirtualLoop(asyncio.BaseEventLoop):
    def __init__(self, draw: random.Random) -> None:
        super().__init__()
        self._draw = draw
        self._now = 0.0
        self._count = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._lanes: dict[Stoppable | None, deque[asyncio.Handle]] = {}
        self._order: list[Stoppable | None] = []  # whose lane has something to do, as they came
        self.turns = 0  # callbacks so far
        self.errors: list[str] = []  # what nobody caught
        self._living: set[asyncio.Task[Any]] = set()  # nobody else holds on to what a dead process was doing
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _loop, context: self.errors.append(_words(context)))

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **given: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **given)
        self._living.add(task)
        task.add_done_callback(self._living.discard, context=_NOBODY)
        return task

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[[*Given], object], *args: *Given, context: Context | None = None
    ) -> asyncio.Handle:
        context = copy_context() if context is None else context
        handle = asyncio.Handle(callback, args, self, context)
        self._enqueue(context.get(PROCESS), handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Given], object], *args: *Given, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Given], object], *args: *Given, context: Context | None = None
    ) -> asyncio.TimerHandle:
        context = copy_context() if context is None else context
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is passed over when its time comes."""

    def thaw(self, process: Stoppable) -> None:
        """It may run again: whatever it was about to do is done now."""
        if self._lanes.get(process) and process not in self._order:
            self._order.append(process)

    def _enqueue(self, process: Stoppable | None, handle: asyncio.Handle) -> None:
        lane = self._lanes.get(process)
        if lane is None:
            lane = self._lanes[process] = deque()
        lane.append(handle)
        if len(lane) == 1:
            self._order.append(process)

    def _run_once(self) -> None:
        """One callback of one process that may run; if there is none, time passes to the next timer."""
        order = self._order
        while order:
            place = int(self._draw.random() * len(order)) if len(order) > 1 else 0
            process = order[place]
            lane = self._lanes[process]
            if not lane or (process is not None and process.is_stopped):
                order[place] = order[-1]
                order.pop()
                continue
            handle = lane.popleft()
            if not lane:
                order[place] = order[-1]
                order.pop()
            self.turns += 1
            if not handle.cancelled():
                handle._run()
            return
        while self._timers:
            when, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled():
                self._now = max(self._now, when)
                self._enqueue(timer._context.get(PROCESS), timer)  # type: ignore[attr-defined]  # as call_soon made it
                return
        if not self._stopping:  # type: ignore[attr-defined]  # of BaseEventLoop, which knows no public way to ask
            raise Stalled

    def _write_to_self(self) -> None:
        """There is nobody to wake: one thread."""

    def _process_events(self, event_list: object) -> None:
        """There are no files to hear from."""


def _words(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"{context['message']}: {error!r}" if error is not None else str(context["message"])
