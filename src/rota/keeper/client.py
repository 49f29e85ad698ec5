"""The daemon's connection to its keeper: start one or adopt one, send orders, take events.

Everything runs in the event loop, and `on_events` is called from it with all events of one read.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from rota.domain.errors import NotFound, Unavailable
from rota.domain.states import Fate
from rota.keeper import records
from rota.keeper.generation import connect, is_alive, last_epoch, next_epoch, spawn
from rota.keeper.orders import Event, OutputGrew, OutputSlice, Started, StartOrder
from rota.keeper.process.protocol import OUTPUTS, PROTO, Lines, Message, encode
from rota.keeper.process.ring import read_ring
from rota.keeper.remains import Remains

OnEvents = Callable[[Sequence[Event]], None]

_HELLO_SECONDS = 10.0
_READ_SECONDS = 30.0
_STOP_MARGIN_SECONDS = 15.0
_DYING_TRIES, _DYING_SECONDS = 40, 0.05  # between a keeper's last word and the release of its lock
_ORDERS_PER_WRITE = 32  # so that the keeper starts the first ones while we write the others
_REMEMBERED = 10_000  # acknowledged ids whose fate is still known


class Keeper(asyncio.Protocol):
    """A living keeper that this process owns. Made by `start` and `adopt` only.

    `lost` is set when the connection is gone: the keeper has died, or (`superseded`) another owner has taken it.
    In the first case call `adopt` again: it tells what remains.
    """

    def __init__(self, directory: Path, on_events: OnEvents) -> None:
        self.directory = directory
        self.pid = 0
        self.lost = asyncio.Event()
        self.superseded = False
        self._on_events = on_events
        self._epoch = 0
        self._lines, self._writer = Lines(), records.OrderWriter()
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.Event()
        self._greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._early: list[Event] | None = []  # held back until `start` or `adopt` has returned
        self._leaving = False  # we close the connection ourselves
        self._live: set[str] = set()  # sent, or told so by the hello; until ended
        self._ended: dict[str, tuple[bytes | None, int]] = {}  # output where small, and total; until acknowledged
        self._acknowledged: dict[str, None] = {}
        self._numbers = itertools.count(1)
        self._reads: dict[int, asyncio.Future[Message]] = {}

    @classmethod
    async def start(cls, directory: Path, *, on_events: OnEvents, idle_exit_seconds: float = 60) -> Keeper:
        """Begin a generation: make `directory` (0700), start a keeper in it and connect.

        The keeper leaves by itself after `idle_exit_seconds` with neither an owner nor a child.
        Raises Conflict when the directory has had a keeper, Unavailable when the keeper cannot start.
        """
        await asyncio.to_thread(spawn, directory, idle_exit_seconds)
        return await cls._connect(directory, on_events)

    @classmethod
    async def adopt(cls, directory: Path, *, on_events: OnEvents) -> Keeper | Remains:
        """Take over what an earlier owner left: a living keeper, or what a dead one wrote.

        A living one tells through `on_events`, as soon as the caller awaits something, all that runs (as `Started`)
        and every result that was not acknowledged. The earlier owner, should it still live, is cut off.
        Raises Unavailable when the keeper lives and does not answer.
        """
        for attempt in itertools.count(1):
            if not is_alive(directory):
                break
            try:
                return await cls._connect(directory, on_events)
            except Unavailable:
                if attempt == _DYING_TRIES:
                    raise
                await asyncio.sleep(_DYING_SECONDS)
        return await asyncio.to_thread(Remains.examine, directory)

    @classmethod
    async def _connect(cls, directory: Path, on_events: OnEvents) -> Keeper:
        keeper = cls(directory, on_events)
        loop = asyncio.get_running_loop()
        try:
            keeper._epoch = next_epoch(directory)
            async with asyncio.timeout(_HELLO_SECONDS):
                await loop.create_unix_connection(lambda: keeper, sock=connect(directory))
                await keeper._greeted
        except (OSError, TimeoutError) as error:
            keeper._leaving = True
            if keeper._transport is not None:
                keeper._transport.abort()
            raise Unavailable(
                f"the keeper in {directory} does not answer: {error or 'no hello'}",
                hint=f"its own words are in {directory / 'log'}",
            ) from error
        loop.call_soon(keeper._release_early)
        return keeper

    # What the owner wants

    def order(self, orders: Sequence[StartOrder]) -> None:
        """Send orders, at once. Each is started at most once, however often it is sent."""
        self._live.update(one.id for one in orders if one.id not in self._ended)
        for first in range(0, len(orders), _ORDERS_PER_WRITE):
            self._send(self._writer.lines(orders[first : first + _ORDERS_PER_WRITE]))

    def kill(self, id: str, *, cause: str, grace_seconds: float | None = None) -> None:  # noqa: A002
        """End an attempt's whole tree: TERM, grace (the order's own by default), KILL. Its `Ended` tells the cause.

        An order that has not started is taken back (`StartFailed`, stage `cancelled`); one that has ended is left.
        """
        self._send([encode({"m": "kill", "id": id, "cause": cause, "grace": grace_seconds})])

    def ack(self, ids: Iterable[str]) -> None:
        """After the owner's COMMIT: the keeper may forget these results and their output."""
        known = list(ids)
        for one in known:
            self._ended.pop(one, None)
            self._acknowledged[one] = None
        while len(self._acknowledged) > _REMEMBERED:
            del self._acknowledged[next(iter(self._acknowledged))]
        self._send([encode({"m": "ack", "ids": known})])

    async def read(self, id: str, offset: int, limit: int = 65_536) -> OutputSlice:  # noqa: A002
        """Output from `offset` on, while it runs and after its end until `ack`.

        Raises NotFound for an id that the keeper does not know (any more), Unavailable when it is lost.
        """
        small, total = self._ended.get(id, (None, None))
        if small is not None and total is not None:
            return records.memory_slice(small, offset, limit, total)
        if id in self._acknowledged:
            raise NotFound(f"the output of attempt {id!r} was acknowledged and is forgotten")
        if (piece := self._read_file(id, offset, limit, total)) is not None:
            return piece
        number = next(self._numbers)
        answer = self._reads[number] = asyncio.get_running_loop().create_future()
        self._send([encode({"m": "read", "n": number, "id": id, "offset": offset, "limit": limit})])
        try:
            async with asyncio.timeout(_READ_SECONDS):
                message: dict[str, Any] = await answer
        except TimeoutError:
            raise Unavailable(f"the keeper did not answer within {_READ_SECONDS:g} s") from None
        finally:
            del self._reads[number]
        if message["where"] == "here":
            kept = base64.b64decode(message["data"])
            return records.slice_of(kept, offset, message["kept"], message["total"])
        piece = self._read_file(id, offset, limit, total) if message["where"] == "file" else None
        if piece is None:
            raise NotFound(f"the keeper has no output of attempt {id!r}", expected="an id not yet acknowledged")
        return piece

    def fate(self, id: str) -> Fate:  # noqa: A002
        """LIVE, ENDED (its result comes, or came, through `on_events`) or NEVER_STARTED (it may be sent again)."""
        if id in self._ended or id in self._acknowledged:
            return Fate.ENDED
        return Fate.LIVE if id in self._live else Fate.NEVER_STARTED

    async def detach(self) -> None:
        """Leave the keeper alone: its children live on, and the next owner adopts them."""
        self._leaving = True
        if self._transport is not None:
            self._transport.close()
            await self._closed.wait()

    async def stop(self, *, grace_seconds: float) -> None:
        """End all children (cause `shutdown`), then let the keeper leave; returns when it has.

        Results come through `on_events` meanwhile; acknowledge them, or they stay in the journal for the next owner.
        Raises Unavailable when the keeper is still there 15 s after the grace.
        """
        if self._closed.is_set() and is_alive(self.directory):
            raise Unavailable(f"the connection to keeper {self.pid} is lost", hint="adopt its directory, then stop it")
        self._leaving = True
        self._send([encode({"m": "stop", "grace": grace_seconds})])
        try:
            async with asyncio.timeout(grace_seconds + _STOP_MARGIN_SECONDS):
                await self._closed.wait()
                while is_alive(self.directory):  # noqa: ASYNC110 (a lock elsewhere is no event)
                    await asyncio.sleep(0.002)
        except TimeoutError:
            raise Unavailable(
                f"keeper {self.pid} has not left {_STOP_MARGIN_SECONDS:g} s after the grace",
                hint="a command that even KILL does not end may sleep in the kernel (state D in ps)",
            ) from None

    # The connection

    def _send(self, lines: Iterable[bytes]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(line + b"\n" for line in lines))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send([encode({"m": "hello", "proto": PROTO, "epoch": self._epoch})])

    def data_received(self, data: bytes) -> None:
        events = [event for message in self._lines.feed(data) if (event := self._take(message)) is not None]
        if self._early is not None:
            self._early += events
        elif events:
            self._on_events(events)

    def _release_early(self) -> None:
        events, self._early = self._early, None
        if events:
            self._on_events(events)

    def _take(self, message: dict[str, Any]) -> Event | None:
        if (kind := message.get("k")) is not None:
            if kind == "S":
                return Started(id=message["id"], pid=message["pid"], at=message["at"])
            return self._take_result(kind, message)
        match message["m"]:
            case "out":
                return OutputGrew(id=message["id"], total=message["total"])
            case "slice":
                if (waiting := self._reads.get(message["n"])) is not None and not waiting.done():
                    waiting.set_result(message)
            case "hello":
                self.pid = message["pid"]
                self._live.update(one for one, _, _ in message["live"])
                self._live.update(message["queued"])
                self._ended.update(dict.fromkeys(message["ended"], (None, 0)))  # each result follows
                self._early = [Started(id=one, pid=pid, at=at) for one, pid, at in message["live"]]
                self._greeted.set_result(None)
            case "refused":
                self._greeted.set_exception(ConnectionRefusedError(message["why"]))
        return None

    def _take_result(self, kind: str, record: dict[str, Any]) -> Event:
        self._live.discard(record["id"])
        if kind == "F":
            self._ended[record["id"]] = b"", 0
            return records.start_failed(record)
        total = record["total"]
        is_small = "out" in record or total == 0
        self._ended[record["id"]] = base64.b64decode(record.get("out", "")) if is_small else None, total
        return records.ended(record)

    def connection_lost(self, _: Exception | None) -> None:
        self._closed.set()
        if not self._greeted.done():
            self._greeted.set_exception(ConnectionResetError("the connection closed before its hello"))
        for waiting in self._reads.values():
            if not waiting.done():
                waiting.set_exception(Unavailable("the keeper is lost", hint="adopt its directory to see what remains"))
        if not self._leaving:
            self.superseded = last_epoch(self.directory) > self._epoch
            self.lost.set()

    def _read_file(self, id: str, offset: int, limit: int, total: int | None) -> OutputSlice | None:  # noqa: A002
        try:
            data, at, size, cut = read_ring(f"{self.directory}/{OUTPUTS}/{id}", offset, limit, total=total)
        except FileNotFoundError:
            return None
        return OutputSlice(data=data, offset=at, total=size, cut=cut)
