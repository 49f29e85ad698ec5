"""Where transactions run in the simulated world: inline, in the seed's order, after as long as the disk takes.

Writes of one process that wait are taken together, as the real executor does. A process may die before its commit and
after it, when nobody has told it yet; the store may be away; each write and read is a place where others come first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rota.domain.errors import Unavailable
from rota.ports import Tx
from tests.simulation.loop import PROCESS
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")
WriteGroup = Callable[[Sequence[Callable[[Tx], Any]]], list[Any]]
Waiting = tuple[Callable[[Tx], Any], "asyncio.Future[Any]"]
MOST_AT_ONCE = 64


class Disk:
    """An `Executor` for all processes of a world over one store."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._queues: dict[Process, list[Waiting]] = {}

    def start(self, write_group: WriteGroup) -> None:
        self._write_group = write_group

    async def write(self, fn: Callable[[Tx], T]) -> T:
        process = PROCESS.get()
        if not isinstance(process, Process):  # the world itself: at once
            (result,) = self._write_group([fn])
            if isinstance(result, BaseException):
                raise result
            return result  # type: ignore[no-any-return]  # the group's results are those of its functions
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        queue = self._queues.get(process)
        if queue is None:
            self._queues[process] = [(fn, future)]
            process.spawn(self._serve(process))
        else:
            queue.append((fn, future))
        return await future

    async def read(self, call: Callable[[], T]) -> T:
        process = PROCESS.get()
        if not isinstance(process, Process):
            return call()
        await self._world.passing(process, "read")
        self._world.require_store()
        return call()

    def close(self) -> None:
        """There is nothing of its own to let go of."""

    async def _serve(self, process: Process) -> None:
        queues, world = self._queues, self._world
        while queues[process]:
            await world.passing(process, "write")
            group, queues[process] = queues[process][:MOST_AT_ONCE], queues[process][MOST_AT_ONCE:]
            try:
                world.require_store()
            except Unavailable as error:
                results: list[Any] = [error] * len(group)
            else:
                results = self._write_group([fn for fn, _ in group])
                world.committed()
            await world.passing(process, "was written")
            for (_, future), result in zip(group, results, strict=True):
                if future.cancelled():
                    continue
                if isinstance(result, BaseException):
                    future.set_exception(result)
                else:
                    future.set_result(result)
        del queues[process]
