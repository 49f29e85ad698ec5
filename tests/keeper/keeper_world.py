"""What keeper tests share: an owner that remembers its events, builders of orders, a look at living processes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from rota.keeper.client import Keeper
from rota.keeper.orders import Ended, Event, OutputGrew, Started, StartFailed, StartOrder
from rota.keeper.process.proctree import ProcessTable, token_of

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
PATIENCE = 20.0
E = TypeVar("E", bound=Event)


class Owner:
    """Takes the events of one keeper."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()
        self._acknowledge: Callable[[Iterable[str]], None] | None = None

    def take(self, events: Sequence[Event]) -> None:
        self.events += events
        if self._acknowledge is not None:
            self._acknowledge([event.id for event in events if isinstance(event, Ended | StartFailed)])
        self._news.set()

    def acknowledge_to(self, keeper: Keeper) -> None:
        """From now on, and what has come already."""
        self._acknowledge = keeper.ack
        keeper.ack([event.id for event in self.events if isinstance(event, Ended | StartFailed)])

    def all(self, kind: type[E], id: str | None = None) -> list[E]:  # noqa: A002
        return [event for event in self.events if isinstance(event, kind) and id in (None, event.id)]

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait for events until `happened`."""
        async with asyncio.timeout(PATIENCE):
            while not happened():
                self._news.clear()
                await self._news.wait()

    async def first(self, kind: type[E], id: str) -> E:  # noqa: A002
        await self.until(lambda: bool(self.all(kind, id)))
        return self.all(kind, id)[0]

    async def started(self, id: str) -> Started:  # noqa: A002
        return await self.first(Started, id)

    async def ended(self, id: str) -> Ended:  # noqa: A002
        return await self.first(Ended, id)

    async def failed(self, id: str) -> StartFailed:  # noqa: A002
        return await self.first(StartFailed, id)

    async def grown(self, id: str, total: int) -> None:  # noqa: A002
        await self.until(lambda: any(event.total >= total for event in self.all(OutputGrew, id)))


class World:
    """A keeper, its owner, and commands for it."""

    def __init__(self, keeper: Keeper, owner: Owner) -> None:
        self.keeper, self.owner = keeper, owner

    @classmethod
    async def begin(cls, directory: Path, *, idle_exit_seconds: float = 60) -> World:
        owner = Owner()
        return cls(await Keeper.start(directory, on_events=owner.take, idle_exit_seconds=idle_exit_seconds), owner)

    def start(self, id: str, *argv: str, **more: object) -> None:  # noqa: A002
        self.keeper.order([an_order(id, *argv, **more)])

    def sh(self, id: str, script: str, **more: object) -> None:  # noqa: A002
        self.start(id, "sh", "-c", script, **more)

    async def result_of(self, id: str, *argv: str, **more: object) -> Ended:  # noqa: A002
        self.start(id, *argv, **more)
        return await self.owner.ended(id)

    async def output(self, id: str) -> bytes:  # noqa: A002
        """All that is kept."""
        return b"".join(data for _, data in await self.pieces(id))

    async def pieces(self, id: str) -> list[tuple[int, bytes]]:  # noqa: A002
        return await pieces(self.keeper.read, id)


async def pieces(read: Callable[..., object], id: str) -> list[tuple[int, bytes]]:  # noqa: A002
    """Every kept piece with its offset, read as a daemon does."""
    found: list[tuple[int, bytes]] = []
    offset = 0
    while True:
        piece = await read(id, offset)  # type: ignore[misc]
        if not piece.data:
            return found
        found.append((piece.offset, piece.data))
        offset = piece.offset + len(piece.data)


def an_order(id: str, *argv: str, **more: object) -> StartOrder:  # noqa: A002
    fields: dict[str, object] = {"env": ENVIRONMENT, "cwd": "/", "grace_seconds": 5.0, **more}
    return StartOrder(id=id, argv=argv, **fields)  # type: ignore[arg-type]


def living(id: str) -> set[int]:  # noqa: A002
    """Processes that carry the attempt's token, wherever they are."""
    return {pid for pid in ProcessTable().start if token_of(pid) == id}


def kill_9(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


async def gone(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fd, ended.set)
    try:
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)
