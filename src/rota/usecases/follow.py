"""Watching one run: a snapshot at once, then each change and all output in order, up to the end.

Nothing polls busily: a watcher sleeps until the run is touched in this process, and looks again after a second in
case another process carries it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import Unavailable
from rota.domain.instant import SECOND, Micros
from rota.ports import OutputItem, Tx
from rota.storage import runs
from rota.storage.runs import RunRow
from rota.usecases import shapes
from rota.usecases.context import Context
from rota.usecases.output import OutputText
from rota.usecases.runs import detail, subject

PACE_SECONDS = 0.2  # five snapshots a second, however fast the run changes
EAGER_LOOKS, EAGER_SECONDS = 5, 0.02  # the first second's five may come at once: most runs are short
LOOK_AGAIN_SECONDS = 1.0
PING_SECONDS = 15.0
# Output is stored behind state changes; the end of a stream waits this long for the last of it.
OUTPUT_GRACE: Micros = 2 * SECOND
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Snapshot:
    run: shapes.Run


@dataclass(frozen=True, slots=True)
class Wrote:
    output: shapes.Output


@dataclass(frozen=True, slots=True)
class Ping:
    """Nothing new; the connection lives."""


@dataclass(frozen=True, slots=True)
class End:
    run: shapes.Run


RunEvent = Snapshot | Wrote | Ping | End


@dataclass(frozen=True, slots=True)
class _Look:
    """The run as one transaction saw it. `written`: how many bytes each attempt that has ended wrote."""

    run: shapes.Run
    ended_ago: Micros | None
    written: dict[int, int]

    def is_over(self, read: dict[int, int]) -> bool:
        """Whether it has ended and all output was read (`read`: up to where, by attempt), or is not coming any more."""
        if self.ended_ago is None:
            return False
        return self.ended_ago >= OUTPUT_GRACE or all(read.get(key, 0) >= size for key, size in self.written.items())


async def find(ctx: Context, principal: Principal, ref: str) -> RunRow:
    """The run to follow: before a stream begins, so that an unknown one is an error and no stream. Raises NotFound."""

    def read(tx: Tx) -> RunRow:
        row = runs.get_run(tx, ref)
        authorize(principal, Verb.READ, subject(row))
        return row

    return await ctx.store.read(read)


async def follow(ctx: Context, row: RunRow, *, after: int = 0) -> AsyncGenerator[RunEvent, None]:
    """The run's events, output from behind `after`. Ends with `End`, or without it where this process stops."""
    text, shown = OutputText(), None
    read: dict[int, int] = {}
    loop = asyncio.get_running_loop()
    quiet_since, looks = loop.time(), 0
    with ctx.events.watch(row.id) as touched:
        while True:
            touched.clear()
            looks += 1
            look = await ctx.store.read(lambda tx: _look(tx, row.id))
            if look.run != shown and look.ended_ago is None:
                shown, quiet_since = look.run, loop.time()
                yield Snapshot(look.run)
            async for item in _behind(ctx, row, after):
                after, read[item.attempt_id] = item.seq, item.offset + len(item.data)
                for output in await text.read(ctx, row, [item], more_comes=True):
                    quiet_since = loop.time()
                    yield Wrote(output)
            if look.is_over(read):
                for output in await text.read(ctx, row, [], more_comes=False):
                    yield Wrote(output)
                yield End(look.run)
                return
            if ctx.stopping.is_set():
                return
            if loop.time() - quiet_since >= PING_SECONDS:
                quiet_since = loop.time()
                yield Ping()
            pace = EAGER_SECONDS if looks < EAGER_LOOKS else PACE_SECONDS
            await _wait(touched, pace=pace, longest=LOOK_AGAIN_SECONDS if look.ended_ago is None else pace)


def _look(tx: Tx, run_id: int) -> _Look:
    row = runs.get_run_by_id(tx, run_id)
    targets = runs.targets_of(tx, run_id)
    written = {attempt.id: attempt.output_bytes or 0 for target in targets for attempt in target.attempts}
    ended_ago = None if row.finished_at is None else tx.at - row.finished_at
    return _Look(detail(tx, row, targets), ended_ago, written)


async def _behind(ctx: Context, row: RunRow, after: int) -> AsyncIterator[OutputItem]:
    """All output behind `after` that is stored now. None where its store fails: how the run ends is told all the
    same, and whoever asks for the output alone hears what is wrong with it."""
    try:
        while items := await ctx.output.after(row.id, after, _PAGE):
            for item in items:
                yield item
            after = items[-1].seq
    except Unavailable:
        return


async def _wait(touched: asyncio.Event, *, pace: float, longest: float) -> None:
    """Return after `longest` seconds, or as soon as the run was touched but not before `pace` seconds."""
    await asyncio.sleep(pace)
    try:
        async with asyncio.timeout(longest - pace):
            await touched.wait()
    except TimeoutError:
        return
