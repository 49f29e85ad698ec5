"""Output on its way from where it is made to the output store: in bounded batches, behind state changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from rota.domain.errors import NotFound, Unavailable
from rota.engine.events import RunEvents
from rota.ports import Clock, OutputPiece
from rota.storage.output import Chunk, Outputs

PACE_SECONDS = 0.2  # between rounds while output grows; an attempt's end does not wait for it
PIECE_BYTES = 262_144  # per attempt and round


ReadOutput = Callable[[int, int], Awaitable[OutputPiece]]  # (offset, limit)


@dataclass(eq=False, slots=True)
class Tap:
    """One attempt's output. `read` raises NotFound or Unavailable when its source is gone."""

    pump: OutputPump
    run_id: int
    attempt_id: int
    read: ReadOutput
    offset: int = 0  # stored so far
    total: int = 0
    drained: list[asyncio.Future[None]] = field(default_factory=list)

    def grew(self, total: int) -> None:
        """There is more to read, up to `total` bytes."""
        if total > self.total:
            self.total = total
            self.pump.wants(self)

    async def drain(self) -> None:
        """Return when all that is known of is stored, or cannot be had any more."""
        if self.offset < self.total:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.drained.append(future)
            self.pump.wants(self, now=True)
            await future


class OutputPump:
    def __init__(self, store: Outputs, clock: Clock, events: RunEvents) -> None:
        self._store, self._clock, self._events = store, clock, events
        self._dirty: dict[Tap, None] = {}
        self._wake, self._now = asyncio.Event(), asyncio.Event()

    def open(self, run_id: int, attempt_id: int, read: ReadOutput, *, offset: int = 0) -> Tap:
        return Tap(self, run_id, attempt_id, read, offset)

    async def stored(self, attempt_id: int) -> int:
        """How much of an attempt's output an earlier owner has stored. 0 if that cannot be told now: no verdict may
        hang on where output goes."""
        try:
            return await self._store.end_of(attempt_id)
        except Unavailable:
            return 0

    def wants(self, tap: Tap, *, now: bool = False) -> None:
        self._dirty[tap] = None
        self._wake.set()
        if now:
            self._now.set()

    async def run(self) -> None:
        """Move output until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._now.is_set():
                await self._clock.sleep(PACE_SECONDS, wake=self._now)
            self._now.clear()
            await self._round()

    async def _round(self) -> None:
        taps, self._dirty = list(self._dirty), {}
        chunks = []
        for tap in taps:
            piece = await self._next(tap)
            if piece is not None:
                chunks.append(Chunk(tap.run_id, tap.attempt_id, piece.offset, piece.data))
                tap.offset = piece.offset + len(piece.data)
            else:
                tap.offset = tap.total  # nothing further to be had
        try:
            if chunks:
                await self._store.append(chunks)
        except Unavailable:
            await self._clock.sleep(1.0)  # output is exempt from the promise; results are not held up by it
        for tap in taps:
            self._events.touched(tap.run_id)
            if tap.offset < tap.total:
                self.wants(tap, now=bool(tap.drained))
            else:
                for future in tap.drained:
                    if not future.done():
                        future.set_result(None)
                tap.drained.clear()

    async def _next(self, tap: Tap) -> OutputPiece | None:
        try:
            piece = await tap.read(tap.offset, PIECE_BYTES)
        except (NotFound, Unavailable):
            return None
        return piece if piece.data else None
