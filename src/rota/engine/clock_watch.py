"""Watches the clock of one engine: that it was set, the machine slept, it cannot be right, is told and heeded.

Told: a line in the log, a line of the audit, what `rota daemon status` and `rota why` say. Heeded: whoever waits looks
at the time again; what waits for a time that is far off by mistake no longer does (`storage.clock_changes`); and while
the clock cannot be right nothing is planned or begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from rota.domain.clocks import FAR, NOTICED, PATIENCE_SECONDS, SETTLES_SECONDS, Change, Doubt, Kind, Reading, changes
from rota.domain.clocks import doubt as doubt_of
from rota.domain.errors import DiskFull, Unavailable
from rota.domain.instant import Micros
from rota.ports import Clock, Store, Tx
from rota.storage import clock_changes

LOOK_SECONDS = 2.0
LOOK_SHARED_SECONDS = 10.0  # where each look is a question to a server
_SLOW_SECONDS = 1.0  # an answer that took longer says nothing about the clock


class ClockWatch:
    """`ahead`: how far the store's clock is ahead of this machine's, where it is another one (None: it is the same).

    `machine`: its name, for those who read what several have written. `trusts`: the clock is believed whatever it says.
    `tell` hears of each change and what was done about it. `changed` is called when whoever waits for a moment should
    look at the time again.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        ahead: Callable[[], Micros] | None,
        machine: str,
        trusts: bool,
        tell: Callable[[Change, str], None],
    ) -> None:
        self._store, self._clock, self._ahead, self._trusts, self._tell = store, clock, ahead, trusts, tell
        self._machine = machine
        self._known: dict[Kind, clock_changes.Recorded | None] = {}  # the lines by which each was told last
        self.changed: Callable[[], None] = lambda: None
        self._doubt: Doubt | None = None
        self._believed = asyncio.Event()
        self._last: Reading | None = None
        self._unheeded: list[Change] = []  # seen, and the store has not been told yet
        self._skewed = False
        self._unsettled_until = 0.0  # on the monotonic clock
        self._started = 0.0
        self._newest: Micros | None = None

    @property
    def doubt(self) -> str | None:
        """Why nothing is begun; None while the clock is believed."""
        return None if self._doubt is None else self._doubt.said

    @property
    def is_settled(self) -> bool:
        """False for a while after the clock was set far: nothing is forgotten for its age meanwhile."""
        return self._doubt is None and self._clock.monotonic() >= self._unsettled_until

    async def begin(self) -> None:
        """Judge the clock that this process starts with, and settle what lies ahead of it. Raises Unavailable."""
        self._started, self._newest = self._clock.monotonic(), await self._store.read(clock_changes.newest_record)
        self._last = self._read(self._clock.now())
        found = None if self._trusts else doubt_of(self._last.wall, self._newest)
        if found is None:
            self._believed.set()
            with suppress(DiskFull):  # what lies ahead is met again at the next start
                await self._found_set_back()
            return
        self._doubt = found
        change = Change(kind=Kind.DOUBTED, at=self._last.wall)
        self._tell(change, f"{found.said}: nothing is begun until it is set right")

    async def believed(self) -> None:
        """Return when the clock is believed."""
        await self._believed.wait()

    async def run(self) -> None:
        """Look until cancelled, after `begin`."""
        while True:
            await self._clock.sleep(LOOK_SECONDS if self._ahead is None else LOOK_SHARED_SECONDS)
            try:
                await self._look()
            except Unavailable:
                continue  # what happened is heeded at the next look

    async def _look(self) -> None:
        if (reading := await self._reading()) is None:
            return
        assert self._last is not None, "begin comes first"
        found, self._last = changes(self._last, reading), reading
        if self._doubt is not None:
            await self._judge_again(reading.wall)
            return
        self._unheeded += found  # kept, not seen again: the clock may be back where it was by the next look
        is_changed = bool(self._unheeded)
        while self._unheeded:
            await self._heed(self._unheeded[0])
            del self._unheeded[0]
        if self._ahead is not None:
            await self._compare(reading.wall, self._ahead())
        if is_changed:
            self.changed()

    async def _reading(self) -> Reading | None:
        """The clocks now. Where the store has its own, that is asked; None if its answer took too long to be exact."""
        if self._ahead is None:
            return self._read(self._clock.now())
        began = self._clock.monotonic()
        wall = await self._store.read(lambda tx: tx.at)
        return self._read(wall) if self._clock.monotonic() - began < _SLOW_SECONDS else None

    def _read(self, wall: Micros) -> Reading:
        return Reading(wall, self._clock.monotonic(), self._clock.boottime())

    async def _heed(self, change: Change) -> None:
        if change.by >= FAR:
            self._unsettled_until = self._clock.monotonic() + SETTLES_SECONDS
        if change.kind is Kind.SET_BACK:
            await self._set_back(change, is_live=True)
        else:
            await self._record(change)

    async def _record(self, change: Change) -> None:
        """One line for each change of the store's clock, and of each machine's. Each daemon's log tells what it saw."""
        machine = None if change.kind is Kind.SET_FORWARD else self._machine
        write = partial(
            clock_changes.record_once, change=change, said=str(change), machine=machine,
            known=self._known.get(change.kind),
        )  # fmt: skip
        self._known[change.kind] = await self._store.write(write)
        self._tell(change, str(change))

    async def _set_back(self, change: Change, *, is_live: bool) -> None:
        def settle(tx: Tx) -> tuple[str | None, clock_changes.Recorded | None]:
            said = str(change)
            if triggers := clock_changes.take_back(tx):
                said += f"; what was settled far ahead goes on from now (triggers: {triggers})"
            is_first = clock_changes.set_back(tx, change, said, is_live=is_live, known=self._known.get(change.kind))
            return said if is_first or triggers else None, clock_changes.latest(tx, change.kind)

        said, self._known[change.kind] = await self._store.write(settle)
        if said is not None:
            self._tell(change, said)

    async def _found_set_back(self) -> None:
        """What happened to the clock while no daemon ran is seen by the records alone."""
        assert self._last is not None, "the caller has read the clocks"
        at, newest = self._last.wall, self._newest
        if newest is None or newest - at <= NOTICED:  # something was recorded since the clock is right again
            newest = await self._store.read(clock_changes.settled_ahead)
        if newest is not None:
            await self._set_back(Change(kind=Kind.SET_BACK, at=at, by=newest - at), is_live=False)

    async def _judge_again(self, wall: Micros) -> None:
        """Believe a clock that was set right; or one that is merely behind the records, when nobody has set it."""
        assert self._doubt is not None, "the caller knows of one"
        found = doubt_of(wall, self._newest)
        waited = self._clock.monotonic() - self._started
        if found is not None and (found.is_certain or waited < PATIENCE_SECONDS):
            self._doubt = found
            return
        change = Change(kind=Kind.BELIEVED, at=wall)
        said = f"{change}; before, {self._doubt.said}"
        if found is not None:
            said = f"{found.said}, and nobody has set it right: it is believed now"
        await self._store.write(partial(clock_changes.record, change=change, said=said))
        self._tell(change, said)
        await self._found_set_back()
        self._doubt = None
        self._believed.set()
        self.changed()

    async def _compare(self, wall: Micros, ahead: Micros) -> None:
        """This machine's clock and the store's, where they are two."""
        is_skewed = abs(ahead) > NOTICED
        if is_skewed != self._skewed:
            self._skewed = is_skewed
            await self._record(Change(kind=Kind.SKEW, at=wall, by=abs(ahead)))
