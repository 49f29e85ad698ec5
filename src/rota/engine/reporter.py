"""Reports of ended attempts, committed in batches. What they made room for is claimed in the same commit, or beside
the next one where writes go on beside each other (`engine/claimer.py`)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from rota.domain.errors import Unavailable
from rota.engine.claimer import Claimer, Looked
from rota.engine.patience import RETRY_SECONDS
from rota.failpoints import reach
from rota.ports import Clock, Store, Tx
from rota.storage.finishing import move_on, settle
from rota.storage.repeated import settle_again
from rota.storage.work import Report, Settled

HELD_SECONDS = 2.0
LARGEST_COMMIT = 5_000  # verdicts, some 0.1 s: whatever is due meanwhile waits for it
HELD_SLICE = 500  # verdicts in one commit while starts go first: a twentieth of what a batch of theirs takes


class Reporter:
    """`slots` tells how many more targets this owner could take on. `on_settled` hears of each commit."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        claimer: Claimer,
        *,
        slots: Callable[[], int],
        on_settled: Callable[[Sequence[Report], Settled], None],
    ) -> None:
        self._store, self._clock, self._claimer = store, clock, claimer
        self._slots, self._on_settled = slots, on_settled
        self._pending: deque[Report] = deque()  # for whose commits nobody waits
        self._awaited: list[tuple[Report, asyncio.Future[Settled]]] = []
        self._wake = asyncio.Event()
        self._busy = False
        self._held, self._held_until, self._released = False, 0.0, asyncio.Event()

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
            await self._wake.wait()
            await self._let_starts_go_first()
            self._wake.clear()
            awaited, self._awaited = self._awaited, []
            reports = [report for report, _ in awaited] + self._some_pending()
            if not reports:
                continue
            reach("report.pending")
            self._busy = True
            try:
                settled, looked = await self._write(reports)
            finally:
                self._busy = False
            reach("report.committed")
            move_on(reports, settled)
            self._on_settled(reports, settled)
            for _, future in awaited:
                if not future.done():
                    future.set_result(settled)
            if looked is not None:
                self._claimer.took(looked)
            elif any(report.then is None for report in reports):
                self._claimer.look_again()

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

    async def _write(self, reports: list[Report]) -> tuple[Settled, Looked | None]:
        is_repeated = False
        while True:
            try:
                return await self._store.write(
                    partial(self._turn, reports=reports, slots=self._slots(), is_repeated=is_repeated)
                )
            except Unavailable:
                is_repeated = True
                await self._clock.sleep(RETRY_SECONDS)

    def _turn(
        self, tx: Tx, reports: Sequence[Report], slots: int, *, is_repeated: bool
    ) -> tuple[Settled, Looked | None]:
        settled = settle_again(tx, reports) if is_repeated else settle(tx, reports, keep_slots=True)
        if not self._claimer.is_apart:
            return settled, self._claimer.look_in(tx, slots, settled)
        self._claimer.have_ended(tx, slots, settled, self._claimer.waiting)
        return settled, None
