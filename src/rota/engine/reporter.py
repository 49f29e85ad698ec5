"""Reports of ended attempts, committed in batches; each commit also admits and claims what they made room for.

What waits for a moment (a retry, a host to be looked for again, a throttled run, the pause between two batches) is
claimed when that moment has come: between reports the reporter sleeps until the nearest of them.

Where writes go on beside each other (PostgreSQL) so do the reporter's, in lanes: while one settles what has ended, the
other claims. What waits is then what any of those saw that overlapped, as none saw what the other was writing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from rota.domain.errors import Unavailable
from rota.domain.instant import SECOND, Micros
from rota.failpoints import reach
from rota.ports import Clock, Hint, Store, Tx
from rota.storage import turns
from rota.storage.admission import admit, what_waits
from rota.storage.claiming import claim
from rota.storage.finishing import expire_unstarted, free_slots, move_on, settle
from rota.storage.parking import next_look
from rota.storage.repeated import settle_again
from rota.storage.work import Assignment, Report, Settled

_RETRY_SECONDS = 1.0
HELD_SECONDS = 2.0
LARGEST_COMMIT = 5_000  # verdicts, some 0.1 s: whatever is due meanwhile waits for it
HELD_SLICE = 500  # verdicts in one commit while starts go first: a twentieth of what a batch of theirs takes
LANES = 2  # where writes go on beside each other
WORTH_SHARING = 64  # verdicts, from which two lanes take half each
LONGEST_SLEEP_SECONDS = 5.0  # the wall clock is read again at least so often: it may be set, the machine may sleep


class Waits(NamedTuple):
    """What waits when a commit is made. `is_anything`: another process may free what it waits for. `look_at`: the next
    moment at which time alone makes something claimable. `expires_at`: from then on runs have waited long enough."""

    is_anything: bool
    look_at: Micros | None
    expires_at: Micros | None


class Reporter:
    """`slots` tells how many more targets this owner could take on; `only_runs` limits a command to the runs it made.

    `on_work` gets what was claimed, after the commit; `on_finished` the runs that ended.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        owner: str,
        *,
        slots: Callable[[], int],
        only_runs: set[int] | None,
        on_work: Callable[[Sequence[Assignment]], None],
        on_settled: Callable[[Sequence[Report], Settled], None],
        lanes: int = 1,
    ) -> None:
        """`lanes`: so many tasks `run`, and so many of its commits are under way at once."""
        self._store, self._clock, self._owner = store, clock, owner
        self._slots, self._only_runs = slots, only_runs
        self._on_work, self._on_settled = on_work, on_settled
        self._pending: deque[Report] = deque()  # for whose commits nobody waits
        self._awaited: list[tuple[Report, asyncio.Future[Settled]]] = []
        self._lanes, self._taking = lanes, asyncio.Lock()
        self._under_way, self._overlap = 0, False  # commits; whether one of them began beside another
        self._is_wanted, self._stirred = False, asyncio.Event()
        self._held, self._held_until, self._released = False, 0.0, asyncio.Event()
        self._waiting = Waits(is_anything=True, look_at=None, expires_at=0)

    @property
    def something_waits(self) -> bool:
        """As far as the last commit saw: another process may free what it waits for."""
        return self._waiting.is_anything

    def add(self, reports: Sequence[Report]) -> None:
        """Have them committed soon."""
        self._pending.extend(reports)
        if reports:
            self._want()

    async def commit(self, report: Report) -> Settled:
        """Have it committed, and return what the commit it was part of did."""
        future: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        self._awaited.append((report, future))
        self._released.set()
        self._want()
        return await future

    def look(self) -> None:
        """Look for work that waits, even if there is nothing to report."""
        self._waiting = self._waiting._replace(expires_at=0)
        self._want()

    def _want(self) -> None:
        self._is_wanted = True
        self._stirred.set()

    def starts_first(self, held: bool, *, ends_make_room: bool = False) -> None:
        """While `held`, verdicts that nobody waits for let starts go first: for HELD_SECONDS all of them, and then all
        but a slice for each commit. `ends_make_room`: some starts wait for a place, and verdicts are what gives one, so
        it is slices from now on.

        Those are the verdicts of what was done at once, in this process: a step of a longer run is never held up.
        """
        if held and not self._held:
            self._held_until = self._clock.monotonic() + HELD_SECONDS
        self._held = held
        if ends_make_room:
            self._held_until = 0.0
        if ends_make_room or not held:
            self._released.set()

    @property
    def is_idle(self) -> bool:
        return not self._pending and not self._awaited and not self._under_way

    async def run(self) -> None:
        """Commit reports until cancelled. What cannot be written now is kept and tried again: a verdict is not lost."""
        while True:
            async with self._taking:  # one lane at a time waits for what comes
                await self._rest()
                await self._let_starts_go_first()
                self._is_wanted = False
                awaited, self._awaited = self._awaited, []
                reports = [report for report, _ in awaited] + self._some_pending()
                self._overlap = self._under_way > 0
                self._under_way += 1
            if reports:
                reach("report.pending")
            try:
                settled, work, waiting = await self._write(reports)
            finally:
                self._under_way -= 1
            self._saw(waiting)
            if reports:
                reach("report.committed")
            if work:
                reach("claim.committed")
            move_on(reports, settled)
            self._on_settled(reports, settled)
            for _, future in awaited:
                if not future.done():
                    future.set_result(settled)
            self._on_work(work)

    def _saw(self, waiting: Waits) -> None:
        """Note what waits, with what those saw that were under way at the same time."""
        if self._overlap:
            before = self._waiting
            waiting = Waits(
                before.is_anything or waiting.is_anything,
                _earliest(before.look_at, waiting.look_at),
                _earliest(before.expires_at, waiting.expires_at),
            )
            self._overlap = self._under_way > 0
        self._waiting = waiting
        self._stirred.set()  # another lane may rest until a later moment

    async def _rest(self) -> None:
        """Return when there is something to report, when told to look, or when the moment of what waits has come."""
        while not self._is_wanted:
            self._stirred.clear()
            look_at = self._waiting.look_at
            if look_at is None:
                await self._stirred.wait()
            elif (left := look_at - self._clock.now()) > 0:
                await self._clock.sleep(min(left / SECOND, LONGEST_SLEEP_SECONDS), wake=self._stirred)
            else:
                self._waiting = self._waiting._replace(look_at=None)  # what follows sees the next one
                return

    async def _let_starts_go_first(self) -> None:
        self._released.clear()
        while self._held and not self._awaited and (left := self._held_until - self._clock.monotonic()) > 0:
            await self._clock.sleep(left, wake=self._released)

    def _some_pending(self) -> list[Report]:
        """Those that go with this commit, oldest first; what is left wakes the next."""
        most = HELD_SLICE if self._held else LARGEST_COMMIT
        if self._under_way < self._lanes - 1:
            most = min(most, max(WORTH_SHARING, -(-len(self._pending) // self._lanes)))
        some = [self._pending.popleft() for _ in range(min(most, len(self._pending)))]  # there may be a million
        if self._pending:
            self._want()
        return some

    async def _write(self, reports: list[Report]) -> tuple[Settled, list[Assignment], Waits]:
        is_repeated = False
        while True:
            try:
                return await self._store.write(
                    partial(self._turn, reports=reports, slots=self._slots(), is_repeated=is_repeated)
                )
            except Unavailable:
                is_repeated = True
                await self._clock.sleep(_RETRY_SECONDS)

    def _turn(
        self, tx: Tx, reports: Sequence[Report], slots: int, *, is_repeated: bool
    ) -> tuple[Settled, list[Assignment], Waits]:
        settled = settle_again(tx, reports) if is_repeated else settle(tx, reports, keep_slots=True)
        if self._waiting.expires_at is not None and self._waiting.expires_at <= tx.at:
            expire_unstarted(tx, settled, only_runs=self._only_runs)
        admit(tx, only_runs=self._only_runs, settled=settled)
        work = claim(tx, self._owner, slots=slots, only_runs=self._only_runs, settled=settled)
        waiting = what_waits(tx, only_runs=self._only_runs)
        if waiting.expires_at is not None:
            turns.forget(tx, settled.finished_runs)
        if settled.finished_runs and (slots <= 0 or self._only_runs is not None):
            tx.tell(Hint.WORK | Hint.OUTBOX if self._only_runs is not None else Hint.WORK)  # it is left to others
        free_slots(tx, settled)  # last: whoever starts or ends runs waits for this commit from here on
        look_at = _earliest(next_look(tx, self._only_runs), _earliest(waiting.turn_at, waiting.expires_at))
        return settled, work, Waits(waiting.is_anything, look_at, waiting.expires_at)


def _earliest(one: Micros | None, other: Micros | None) -> Micros | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)
