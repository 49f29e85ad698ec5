"""An event loop of virtual time: no selector, no threads, no real clock. The seed chooses which process runs next.

A callback belongs to the process whose code asked for it (`PROCESS` in its context). Within a process callbacks run in
the order asyncio promises; between processes the order is drawn. A process that is stopped keeps what it was about to
do: it goes on there when it is thawed, and never if it is dead, as after SIGKILL no `finally` runs.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
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


class Turn(asyncio.TimerHandle):
    """A callback that waits for its turn, at once or from a moment on. As asyncio's handles, without what they do for
    whoever debugs, which costs more than the rest."""

    __slots__ = ("context", "do", "given", "is_off", "moment")

    def __init__(self, moment: float, do: Callable[..., object], given: tuple[Any, ...], context: Context) -> None:
        self.moment, self.do, self.given, self.context = moment, do, given, context
        self.is_off = False

    def __repr__(self) -> str:
        return f"{self.do!r} at {self.moment}"

    def cancel(self) -> None:
        self.is_off = True

    def cancelled(self) -> bool:
        return self.is_off

    def when(self) -> float:
        return self.moment


class Numbered(asyncio.Task[Any]):
    """A task whose hash is its number: a set of tasks, as a task group cancels them, has one order in all worlds of a
    seed, wherever they are in memory."""

    def __init__(self, number: int, coroutine: Any, **given: Any) -> None:
        self.number = number  # first: asyncio puts it into a set while it is made
        super().__init__(coroutine, **given)

    def __hash__(self) -> int:
        return self.number


class VirtualLoop(asyncio.BaseEventLoop):
    def __init__(self, draw: random.Random) -> None:
        super().__init__()
        self._draw = draw
        self._now = 0.0
        self._count = 0  # of timers and tasks
        self._timers: list[tuple[float, int, Turn]] = []
        self._lanes: defaultdict[Stoppable | None, deque[Turn]] = defaultdict(deque)
        self._order: list[Stoppable | None] = []  # whose lane has something to do, as they came
        self.turns = 0  # callbacks so far
        self.errors: list[str] = []  # what nobody caught
        self._living: set[asyncio.Task[Any]] = set()  # nobody else holds on to what a dead process was doing
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _loop, context: self.errors.append(_words(context)))

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **given: Any) -> asyncio.Task[Any]:
        self._count += 1
        task = Numbered(self._count, coroutine, loop=loop, **given)
        self._living.add(task)
        task.add_done_callback(self._living.discard, context=_NOBODY)
        return task

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[[*Given], object], *args: *Given, context: Context | None = None
    ) -> asyncio.Handle:
        turn = Turn(self._now, callback, args, copy_context() if context is None else context)
        self._line_up(turn)
        return turn

    def call_soon_threadsafe(
        self, callback: Callable[[*Given], object], *args: *Given, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[[*Given], object], *args: *Given, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Given], object], *args: *Given, context: Context | None = None
    ) -> asyncio.TimerHandle:
        turn = Turn(when, callback, args, copy_context() if context is None else context)
        self._count += 1
        heappush(self._timers, (when, self._count, turn))
        return turn

    async def pause(self, seconds: float) -> None:
        """`asyncio.sleep`, for more than 0 seconds, as often as a world needs it."""
        future = self.create_future()
        timer = self.call_at(self._now + seconds, _wake, future)
        try:
            await future
        finally:
            timer.cancel()

    def thaw(self, process: Stoppable) -> None:
        """It may run again: whatever it was about to do is done now."""
        if self._lanes.get(process) and process not in self._order:
            self._order.append(process)

    def _line_up(self, turn: Turn) -> None:
        process = turn.context.get(PROCESS)
        lane = self._lanes[process]
        if not lane:
            self._order.append(process)
        lane.append(turn)

    def _run_once(self) -> None:
        """Turn after turn, until somebody says stop: asyncio asks for one at a time, which costs as much again."""
        while True:
            if (turn := self._next()) is not None and not turn.is_off:
                try:
                    turn.context.run(turn.do, *turn.given)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    self.call_exception_handler({"message": f"{turn} failed", "exception": error})
            if self._stopping:  # type: ignore[attr-defined]  # of BaseEventLoop, which knows no public way to ask
                return

    def _next(self) -> Turn | None:
        """The first turn of a process that may run; None if it was only time that passed."""
        order = self._order
        while order:
            place = int(self._draw.random() * len(order)) if len(order) > 1 else 0
            process = order[place]
            is_stopped = process is not None and process.is_stopped
            lane = self._lanes[process]
            turn = None if is_stopped else lane.popleft()
            if is_stopped or not lane:
                order[place] = order[-1]
                order.pop()
            if turn is not None:
                self.turns += 1
                return turn
        while self._timers:
            when, _, timer = heappop(self._timers)
            if not timer.is_off:
                self._now = max(self._now, when)
                self._line_up(timer)
                return None
        if not self._stopping:  # type: ignore[attr-defined]
            raise Stalled
        return None

    def _write_to_self(self) -> None:
        """There is nobody to wake: one thread."""

    def _process_events(self, event_list: object) -> None:
        """There are no files to hear from."""


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _words(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"{context['message']}: {error!r}" if error is not None else str(context["message"])
