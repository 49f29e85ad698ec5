"""What waits is looked at: runs are admitted, targets claimed, and those given up that have waited too long.

What waits for a moment (a retry, a host to be looked for again, a throttled run, the pause between two batches) is
claimed when that moment has come: between looks the claimer sleeps until the nearest of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rota.domain.instant import SECOND, Micros
from rota.engine.patience import patiently
from rota.failpoints import reach
from rota.ports import Clock, Hint, Store, Tx
from rota.storage import turns
from rota.storage.admission import Waiting, admit, what_waits
from rota.storage.claiming import claim
from rota.storage.finishing import expire_unstarted, free_slots
from rota.storage.parking import next_look
from rota.storage.work import Assignment, Report, Settled

LONGEST_SLEEP_SECONDS = 5.0  # the wall clock is read again at least so often: it may be set, the machine may sleep


class Looked(NamedTuple):
    """What a look found and did."""

    settled: Settled
    work: list[Assignment]
    waiting: Waiting
    look_at: Micros | None  # the next moment at which time alone makes something claimable


class Claimer:
    """`slots` tells how many more targets this owner could take on; `only_runs` limits a command to the runs it made.

    `is_apart`: writes go on beside each other (PostgreSQL), and so do its looks beside the commits of the `Reporter`;
    else each of those looks too (`look_in`), as the next commit would have to wait for it anyway.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        owner: str,
        *,
        slots: Callable[[], int],
        only_runs: set[int] | None,
        is_apart: bool,
        on_work: Callable[[Sequence[Assignment]], None],
        on_settled: Callable[[Sequence[Report], Settled], None],
    ) -> None:
        self._store, self._clock, self._owner = store, clock, owner
        self._slots, self._only_runs, self.is_apart = slots, only_runs, is_apart
        self._on_work, self._on_settled = on_work, on_settled
        self._is_wanted, self._busy = False, False
        self._stirred = asyncio.Event()
        self.waiting = Waiting(is_anything=True, turn_at=None, expires_at=0)  # as far as the last look saw
        self._look_at: Micros | None = None

    @property
    def something_waits(self) -> bool:
        """As far as the last look saw: another process may free what it waits for."""
        return self.waiting.is_anything

    @property
    def is_idle(self) -> bool:
        return not self._busy

    def look(self) -> None:
        """Look for what waits, soon: others may have written what concerns it."""
        self.waiting = self.waiting._replace(expires_at=0)
        self.look_again()

    def look_again(self) -> None:
        """Look soon: this owner has written what concerns it."""
        self._is_wanted = True
        self._stirred.set()

    async def run(self) -> None:
        """Look whenever told to, and whenever the moment of what waits has come; until cancelled."""
        while True:
            await self._rest()
            self._is_wanted, self._busy = False, True
            try:
                looked = await patiently(self._clock, self._look)
            finally:
                self._busy = False
            self._on_settled((), looked.settled)
            self.took(looked)

    def look_in(self, tx: Tx, slots: int, settled: Settled) -> Looked:
        """Look, in a transaction that may have `settled` something before."""
        expires_at = self.waiting.expires_at
        if expires_at is not None and expires_at <= tx.at:
            expire_unstarted(tx, settled, only_runs=self._only_runs)
        admit(tx, only_runs=self._only_runs, settled=settled)
        work = claim(tx, self._owner, slots=slots, only_runs=self._only_runs, settled=settled)
        waiting = what_waits(tx, only_runs=self._only_runs)
        moments = (next_look(tx, self._only_runs), waiting.turn_at, waiting.expires_at)
        look_at = min((moment for moment in moments if moment is not None), default=None)
        self.have_ended(tx, slots, settled, waiting)
        return Looked(settled, work, waiting, look_at)

    def have_ended(self, tx: Tx, slots: int, settled: Settled, waiting: Waiting) -> None:
        """Do, last in a transaction, what ended runs ask for. `waiting`: as far as it is known."""
        if waiting.expires_at is not None:
            turns.forget(tx, settled.finished_runs)
        if settled.finished_runs and (slots <= 0 or self._only_runs is not None):  # what they make room for is others'
            tx.tell(Hint.WORK | Hint.OUTBOX if self._only_runs is not None else Hint.WORK)
        free_slots(tx, settled)  # whoever starts or ends runs waits for this commit from here on

    def took(self, looked: Looked) -> None:
        """After the commit: note what waits, and hand on what was claimed."""
        self.waiting, self._look_at = looked.waiting, looked.look_at
        self._stirred.set()  # there may be another moment to sleep until
        if looked.work:
            reach("claim.committed")
        self._on_work(looked.work)

    async def _rest(self) -> None:
        while not self._is_wanted:
            self._stirred.clear()
            if self._look_at is None:
                await self._stirred.wait()
            elif (left := self._look_at - self._clock.now()) > 0:
                await self._clock.sleep(min(left / SECOND, LONGEST_SLEEP_SECONDS), wake=self._stirred)
            else:
                return

    async def _look(self) -> Looked:
        slots = self._slots()
        return await self._store.write(lambda tx: self.look_in(tx, slots, Settled({}, set(), [])))
