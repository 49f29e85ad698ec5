"""Where transactions run: writer threads (one, on SQLite) and a few readers, or inline (simulation and small tests).

Writes that wait while one commits are taken together and share the next commit: natural group commit, no lingering.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from rota.domain.errors import Unavailable
from rota.ports import Tx

T = TypeVar("T")
WriteGroup = Callable[[Sequence[Callable[[Tx], Any]]], list[Any]]
MAX_GROUP = 64


class Executor(Protocol):
    def start(self, write_group: WriteGroup) -> None: ...

    async def write(self, fn: Callable[[Tx], T]) -> T: ...

    async def read(self, call: Callable[[], T]) -> T: ...

    def close(self) -> None: ...


class InlineExecutor:
    """Everything at once, in the caller. Deterministic; blocks the loop, which is what the simulation wants."""

    _closed = False

    def start(self, write_group: WriteGroup) -> None:
        self._write_group = write_group

    async def write(self, fn: Callable[[Tx], T]) -> T:
        if self._closed:
            raise Unavailable("the store is closed")
        (result,) = self._write_group([fn])
        if isinstance(result, BaseException):
            raise result
        return result  # type: ignore[no-any-return]  # the group's results are those of its functions

    async def read(self, call: Callable[[], T]) -> T:
        if self._closed:
            raise Unavailable("the store is closed")
        return call()

    def close(self) -> None:
        self._closed = True


class ThreadExecutor:
    """Each of `writers` threads takes up to `group` of the waiting writes at a time. SQLite has one writer."""

    def __init__(self, *, readers: int, writers: int = 1, group: int = MAX_GROUP) -> None:
        self._writers, self._group = writers, group
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="rota-reader")
        self._closing = threading.Lock()  # nothing may be queued behind the end, where nobody would answer it
        self._closed = False

    def start(self, write_group: WriteGroup) -> None:
        self._write_group = write_group
        self._threads = [
            threading.Thread(target=self._serve, name="rota-writer", daemon=True) for _ in range(self._writers)
        ]
        for thread in self._threads:
            thread.start()

    async def write(self, fn: Callable[[Tx], T]) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._closing:
            if self._closed:
                raise Unavailable("the store is closed")
            self._queue.put(_Write(fn, future))
        return await future

    async def read(self, call: Callable[[], T]) -> T:
        if self._closed:
            raise Unavailable("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._readers, call)

    def close(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
            for _ in self._threads:
                self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._readers.shutdown()

    def _serve(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            stop = False
            while len(group) < self._group:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    stop = True
                    break
                group.append(more)
            results = self._write_group([write.fn for write in group])
            _tell(group, results)
            if stop:
                return


class _Write:
    __slots__ = ("fn", "future")

    def __init__(self, fn: Callable[[Tx], Any], future: asyncio.Future[Any]) -> None:
        self.fn = fn
        self.future = future


def _tell(group: Sequence[_Write], results: Sequence[Any]) -> None:
    """Wake the callers in their own loops, one hop per loop and commit."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for write, result in zip(group, results, strict=True):
        by_loop.setdefault(write.future.get_loop(), []).append((write.future, result))
    for loop, pairs in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, pairs)


def _resolve(pairs: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in pairs:
        if future.cancelled():
            continue  # the caller went away; what it wrote stands
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
