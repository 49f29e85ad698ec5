"""Reports of ended attempts, committed in batches; each commit also admits and claims what they made room for.

What waits for a moment (a retry, a host to be looked for again, a throttled run, the pause between two batches) is
claimed when that moment has come: between reports the reporter sleeps until the nearest of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

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
LONGEST_SLEEP_SECONDS = 5.0  # the wall clock is read again at least so often: it may be set, the machine may sleep


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
    ) -> None:
        self._store, self._clock, self._owner = store, clock, owner
        self._slots, self._only_runs = slots, only_runs
        self._on_work, self._on_settled = on_work, on_settled
        self._pending: deque[Report] = deque()  # for whose commits nobody waits
        self._awaited: list[tuple[Report, asyncio.Future[Settled]]] = []
        self._wake = asyncio.Event()
        self._busy = False
        self._held, self._held_until, self._released = False, 0.0, asyncio.Event()
        self.something_waits = True  # as far as the last commit saw: another process may free what it waits for
        self._look_at: Micros | None = None  # the next moment at which time alone makes something claimable
        self._expires_at: Micros | None = 0  # from then on runs may have waited as long as they may

    def add(self, reports: Sequence[Report]) -> None:
        """Have them committed soon."""
        self._pending.extend(reports)
        if reports:
            self._wake.set()

    async def commit(self, report: Report) -> Settled:
        """Have it committed, and return what the commit it was part of did."""
        future: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        self._awaited.append((report, future))
        self._released.set()
        self._wake.set()
        return await future

    def look(self) -> None:
        """Look for work that waits, even if there is nothing to report."""
        self._expires_at = 0
        self._wake.set()

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
        return not self._pending and not self._awaited and not self._busy

    async def run(self) -> None:
        """Commit reports until cancelled. What cannot be written now is kept and tried again: a verdict is not lost."""
        while True:
            await self._rest()
            await self._let_starts_go_first()
            self._wake.clear()
            self._busy = True
            awaited, self._awaited = self._awaited, []
            reports = [report for report, _ in awaited] + self._some_pending()
            if reports:
                reach("report.pending")
            try:
                settled, work = await self._write(reports)
            finally:
                self._busy = False
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

    async def _rest(self) -> None:
        """Return when there is something to report, when told to look, or when the moment of what waits has come."""
        while self._look_at is not None and (left := self._look_at - self._clock.now()) > 0:
            if await self._clock.sleep(min(left / SECOND, LONGEST_SLEEP_SECONDS), wake=self._wake):
                return
        if self._look_at is None:
            await self._wake.wait()

    async def _let_starts_go_first(self) -> None:
        self._released.clear()
        while self._held and not self._awaited and (left := self._held_until - self._clock.monotonic()) > 0:
            await self._clock.sleep(left, wake=self._released)

    def _some_pending(self) -> list[Report]:
        """Those that go with this commit, oldest first; what is left wakes the next."""
        most = HELD_SLICE if self._held else LARGEST_COMMIT
        some = [self._pending.popleft() for _ in range(min(most, len(self._pending)))]  # there may be a million
        if self._pending:
            self._wake.set()
        return some

    async def _write(self, reports: list[Report]) -> tuple[Settled, list[Assignment]]:
        is_repeated = False
        while True:
            try:
                settled, work, self._look_at = await self._store.write(
                    partial(self._turn, reports=reports, slots=self._slots(), is_repeated=is_repeated)
                )
                return settled, work
            except Unavailable:
                is_repeated = True
                await self._clock.sleep(_RETRY_SECONDS)

    def _turn(
        self, tx: Tx, reports: Sequence[Report], slots: int, *, is_repeated: bool
    ) -> tuple[Settled, list[Assignment], Micros | None]:
        settled = settle_again(tx, reports) if is_repeated else settle(tx, reports, keep_slots=True)
        if self._expires_at is not None and self._expires_at <= tx.at:
            expire_unstarted(tx, settled, only_runs=self._only_runs)
        admit(tx, only_runs=self._only_runs, settled=settled)
        work = claim(tx, self._owner, slots=slots, only_runs=self._only_runs, settled=settled)
        waiting = what_waits(tx, only_runs=self._only_runs)
        self.something_waits, self._expires_at = waiting.is_anything, waiting.expires_at
        if waiting.expires_at is not None:
            turns.forget(tx, settled.finished_runs)
        if settled.finished_runs and (slots <= 0 or self._only_runs is not None):
            tx.tell(Hint.WORK | Hint.OUTBOX if self._only_runs is not None else Hint.WORK)  # it is left to others
        free_slots(tx, settled)  # last: whoever starts or ends runs waits for this commit from here on
        moments = (next_look(tx, self._only_runs), waiting.turn_at, waiting.expires_at)
        return settled, work, min((moment for moment in moments if moment is not None), default=None)
