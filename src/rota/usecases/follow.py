"""Watching one run: the whole of it at once, then what changes and all output in order, up to the end.

Nothing polls busily: a watcher sleeps until the run is touched in this process, and looks again after a second in
case another process carries it out. A look reads what may have changed, not ten thousand targets that have not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import Unavailable
from rota.domain.instant import SECOND, Micros
from rota.ports import OutputItem, Tx
from rota.storage import runs
from rota.storage.runs import RunRow, TargetRow
from rota.usecases import resources, shapes
from rota.usecases.context import Context
from rota.usecases.output import OutputText
from rota.usecases.runs import detail, subject

PACE_SECONDS = 0.2  # five looks a second, however fast the run changes
LOOK_SHARE = 10  # and one that takes long is followed by a pause of ten times as long
EAGER_LOOKS, EAGER_SECONDS = 5, 0.02  # the first second's five may come at once: most runs are short
LOOK_AGAIN_SECONDS = 1.0
PING_SECONDS = 15.0
# Output is stored behind state changes; the end of a stream waits this long for the last of it.
OUTPUT_GRACE: Micros = 2 * SECOND
_PAGE = 200
_TOLD_BYTES = 65_536  # of output in one event, unless a single piece has more: a flood is not told at once


@dataclass(frozen=True, slots=True)
class Snapshot:
    run: shapes.Run


@dataclass(frozen=True, slots=True)
class Changed:
    change: shapes.RunChange


@dataclass(frozen=True, slots=True)
class Wrote:
    """Pieces of output, in order."""

    outputs: Sequence[shapes.Output]


@dataclass(frozen=True, slots=True)
class Ping:
    """Nothing new; the connection lives."""


@dataclass(frozen=True, slots=True)
class End:
    run: shapes.Run


RunEvent = Snapshot | Changed | Wrote | Ping | End


@dataclass(slots=True)
class _Watched:
    """What a watcher has seen of its run. `written` and `read`: bytes of each attempt that there are, and it got."""

    run_id: int
    names: list[str] = field(default_factory=list)  # of the steps
    head: shapes.Run | None = None
    targets: dict[str, shapes.Target] = field(default_factory=dict)
    since: Micros = 0
    ended_ago: Micros | None = None
    written: dict[int, int] = field(default_factory=dict)
    read: dict[int, int] = field(default_factory=dict)

    def whole(self, tx: Tx) -> shapes.Run:
        """The run with its plan and all targets."""
        row, targets = self._look(tx, since=None)
        run = detail(tx, row, targets)
        self.names = [step["name"] for step in run["plan"]["steps"]]
        self.head = {key: value for key, value in run.items() if key not in {"plan", "targets", "fan_out"}}  # type: ignore[assignment]  # a Run without what is optional
        self.targets = {target["id"]: target for target in run["targets"]}
        return run

    def change(self, tx: Tx) -> shapes.RunChange | None:
        """What is different since the last look; None where nothing is, or the run has ended: its end tells all."""
        row, targets = self._look(tx, since=self.since - SECOND)  # another process's clock may be a little behind
        if self.ended_ago is not None:
            return None
        by_state = runs.targets_by_state(tx, [row.id]).get(row.id, {})
        change = resources.run_change(row, by_state, targets, self.names)
        change["targets"] = [target for target in change["targets"] if self.targets.get(target["id"]) != target]
        if not change["targets"] and change["run"] == self.head:
            return None
        self.head = change["run"]
        self.targets.update((target["id"], target) for target in change["targets"])
        return change

    def is_over(self) -> bool:
        """Whether it has ended and all output was read, or is not coming any more."""
        if self.ended_ago is None:
            return False
        return self.ended_ago >= OUTPUT_GRACE or all(
            self.read.get(key, 0) >= size for key, size in self.written.items()
        )

    def _look(self, tx: Tx, *, since: Micros | None) -> tuple[RunRow, list[TargetRow]]:
        row = runs.get_run_by_id(tx, self.run_id)
        targets = runs.targets_of(tx, self.run_id, since=since)
        self.written.update((a.id, a.output_bytes or 0) for target in targets for a in target.attempts)
        self.ended_ago = None if row.finished_at is None else tx.at - row.finished_at
        self.since = tx.at
        return row, targets


async def find(ctx: Context, principal: Principal, ref: str) -> RunRow:
    """The run to follow: before a stream begins, so that an unknown one is an error and no stream. Raises NotFound."""

    def read(tx: Tx) -> RunRow:
        row = runs.get_run(tx, ref)
        authorize(principal, Verb.READ, subject(row))
        return row

    return await ctx.store.read(read)


async def follow(ctx: Context, row: RunRow, *, after: int = 0) -> AsyncGenerator[RunEvent, None]:
    """The run's events, output from behind `after`. Ends with `End`, or without it where this process stops."""
    text, watched = OutputText(), _Watched(row.id)
    loop = asyncio.get_running_loop()
    quiet_since, looks = loop.time(), 0
    with ctx.events.watch(row.id) as touched, ctx.events.watch_end(row.id) as ended:
        while True:
            touched.clear()
            ended.clear()
            looks += 1
            began = loop.time()
            if looks == 1:
                run = await ctx.store.read(watched.whole)
                if watched.ended_ago is None:
                    yield Snapshot(run)
            elif (change := await ctx.store.read(watched.change)) is not None:
                quiet_since = loop.time()
                yield Changed(change)
            took = loop.time() - began
            async for items in _behind(ctx, row, after):
                after = items[-1].seq
                watched.read.update((item.attempt_id, item.offset + len(item.data)) for item in items)
                if outputs := await text.read(ctx, row, items, more_comes=True):
                    quiet_since = loop.time()
                    yield Wrote(outputs)
            if watched.is_over():
                if outputs := await text.read(ctx, row, [], more_comes=False):
                    yield Wrote(outputs)
                yield End(await ctx.store.read(watched.whole))
                return
            if ctx.stopping.is_set():
                return
            if loop.time() - quiet_since >= PING_SECONDS:
                quiet_since = loop.time()
                yield Ping()
            pace = EAGER_SECONDS if looks < EAGER_LOOKS else max(PACE_SECONDS, took * LOOK_SHARE)
            longest = max(pace, LOOK_AGAIN_SECONDS) if watched.ended_ago is None else pace
            await _wait(touched, ended, pace=pace, longest=longest)


async def _behind(ctx: Context, row: RunRow, after: int) -> AsyncIterator[Sequence[OutputItem]]:
    """All output behind `after` that is stored now, a few pieces at a time. None where its store fails: how the run
    ends is told all the same, and whoever asks for the output alone hears what is wrong with it."""
    try:
        while items := await ctx.output.after(row.id, after, _PAGE):
            for some in _told_together(items):
                yield some
            after = items[-1].seq
    except Unavailable:
        return


def _told_together(items: Sequence[OutputItem]) -> Iterator[list[OutputItem]]:
    some: list[OutputItem] = []
    held = 0
    for item in items:
        if some and held + len(item.data) > _TOLD_BYTES:
            yield some
            some, held = [], 0
        some.append(item)
        held += len(item.data)
    yield some


async def _wait(touched: asyncio.Event, ended: asyncio.Event, *, pace: float, longest: float) -> None:
    """Return after `longest` seconds, or as soon as the run was touched but not before `pace` seconds; at its end at
    once."""
    for event, seconds in (ended, pace), (touched, longest - pace):
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
                return
        except TimeoutError:
            continue
