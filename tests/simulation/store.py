"""Where transactions run in the simulated world: inline, in the seed's order, after as long as the disk takes.

Writes of one process that wait are taken together, as the real executor does. A process may die before its commit and
after it, when nobody has told it yet; the store may be away; each write and read is a place where others come first.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from rota.domain.errors import Unavailable
from rota.ports import Tx
from rota.storage.executor import MAX_GROUP
from rota.storage.postgres import WRITERS
from tests.simulation.loop import PROCESS
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")
WriteGroup = Callable[[Sequence[Callable[[Tx], Any]]], list[Any]]
Waiting = tuple[Callable[[Tx], Any], "asyncio.Future[Any]"]
Line = tuple[Process, bool]  # whether signs of life go over it


class Signs:
    """The store over a line of its own, on which signs of life wait for nothing else."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def write(self, fn: Callable[[Tx], T]) -> T:
        return await self._disk.write(fn, is_sign=True)

    async def read(self, fn: Callable[[Tx], T]) -> T:
        raise NotImplementedError("nobody reads over it")


class Disk:
    """An `Executor` for all processes of a world over one store.

    Of a store that machines share each process has several connections, and each write is a commit of its own, as on
    PostgreSQL; on one machine writes that wait share the next.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._queues: dict[Line, deque[Waiting]] = {}
        self._serving: Counter[Line] = Counter()
        self._connections, self._most = (WRITERS, 1) if world.nature.shares_store else (1, MAX_GROUP)

    def start(self, write_group: WriteGroup) -> None:
        self._write_group = write_group

    async def write(self, fn: Callable[[Tx], T], *, is_sign: bool = False) -> T:
        """`is_sign`: over the line where nothing else is written."""
        process = PROCESS.get()
        if not isinstance(process, Process):  # the world itself: at once
            (result,) = self._write_group([fn])
            self._world.committed(None)
            if isinstance(result, BaseException):
                raise result
            return result  # type: ignore[no-any-return]  # the group's results are those of its functions
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        line = process, is_sign
        self._queues.setdefault(line, deque()).append((fn, future))
        if self._serving[line] < self._connections:
            self._serving[line] += 1
            process.spawn(self._serve(line))
        return await future

    async def read(self, call: Callable[[], T]) -> T:
        process = PROCESS.get()
        if not isinstance(process, Process):
            return call()
        await self._world.passing(process, "read")
        await self._world.reach_store(process)
        process.observe(self._world.wall.now())
        return call()

    def close(self) -> None:
        """There is nothing of its own to let go of."""

    async def _serve(self, line: Line) -> None:
        queue, world, process = self._queues[line], self._world, line[0]
        while queue:
            await world.passing(process, "write")
            group = [queue.popleft() for _ in range(min(self._most, len(queue)))]
            if group:
                _tell(group, await self._carry_out(process, [fn for fn, _ in group]))
        self._serving[line] -= 1

    async def _carry_out(self, process: Process, group: Sequence[Callable[[Tx], Any]]) -> list[Any]:
        world = self._world
        try:
            await world.reach_store(process)
        except Unavailable as error:
            return [error] * len(group)
        await world.nod_off(process, "commit")
        process.observe(world.wall.now())
        if world.nature.loses_answer():
            return await self._without_answer(process, group)
        results = self._commit(process, group)
        await world.nod_off(process, "answer")
        await world.passing(process, "was written")
        return results

    def _commit(self, process: Process, group: Sequence[Callable[[Tx], Any]]) -> list[Any]:
        results = self._write_group(group)
        self._world.committed(process)
        return results

    async def _without_answer(self, process: Process, group: Sequence[Callable[[Tx], Any]]) -> list[Any]:
        """The connection is lost with the commit, before or after it: the store is asked which, however long that
        takes."""
        world, results = self._world, None
        if world.draw.random() < 0.5:
            results = self._commit(process, group)
        world.note("answer lost", process.owner)
        while True:
            await asyncio.sleep(world.draw.uniform(0.1, 4.0))
            with suppress(Unavailable):
                await world.reach_store(process)
                break
        await world.passing(process, "was told")
        return await self.learn(process, group, results)

    async def learn(
        self, process: Process, group: Sequence[Callable[[Tx], Any]], results: list[Any] | None
    ) -> list[Any]:
        """What became of a commit whose answer was lost. `results` None: nothing of it was kept."""
        return [Unavailable("the connection was lost")] * len(group) if results is None else results


def _tell(group: Sequence[Waiting], results: Sequence[Any]) -> None:
    for (_, future), result in zip(group, results, strict=True):
        if future.cancelled():
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
