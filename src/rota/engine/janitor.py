"""The janitor: history older than its keep goes, daily, a few slices at a time, so that nobody waits for it.

A round is a generator of slices. Each turn (every few seconds, between the other chores) takes some, and the next one
goes on where this one stopped: so a year's worth of runs holds up neither a start nor a cancel.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from rota.domain.errors import DiskFull, Unavailable
from rota.domain.instant import DAY, Micros
from rota.engine.leftovers import Leftovers
from rota.failpoints import reach
from rota.ports import Clock, Store
from rota.storage import retention
from rota.storage.output import Outputs
from rota.storage.pauses import delete_ended_pauses
from rota.storage.retention import MOST_ROWS, MOST_TARGETS, OldRun

TURN_SECONDS = 0.25
MOST_SLICES = 200  # of one turn, whatever the clock says


class Janitor:
    """`retention_days` 0 keeps everything."""

    def __init__(self, *, store: Store, output: Outputs, clock: Clock, retention_days: int) -> None:
        self._store, self._output, self._clock, self._days = store, output, clock, retention_days
        self._next: Micros = 0
        self._round: AsyncGenerator[int, None] | None = None

    async def sweep_if_due(self) -> int:
        """Begin a round if a day has passed since the last one, or go on with it. Returns how many runs went now.

        Raises Unavailable: the round begins anew at the next call, where it finds only what is left.
        """
        now = self._clock.now()
        if self._round is None:
            is_early = self._next - DAY <= now < self._next  # earlier than that: the clock was set back meanwhile
            if not self._days or is_early:
                return 0
            self._round = self.slices(before=now - self._days * DAY)
        round_, self._round = self._round, None  # lost if a slice fails
        gone, until = 0, self._clock.monotonic() + TURN_SECONDS
        for _ in range(MOST_SLICES):
            try:
                gone += await anext(round_)
            except StopAsyncIteration:
                self._next = now + DAY
                return gone
            if self._clock.monotonic() >= until:
                break
        self._round = round_
        return gone

    async def slices(self, *, before: Micros) -> AsyncGenerator[int, None]:
        """Forget what was over by `before`, a slice at a time; each tells how many runs went with it.

        Keys go before the runs they stand for, and output before the run whose it is: what a crash leaves behind is
        found again, and points at nothing that is gone.
        """
        key: str | None = ""
        while key is not None:
            key = await self._store.write(lambda tx, key=key: retention.delete_old_keys(tx, before=before, after=key))  # type: ignore[misc]
            yield 0
        after: int | None = 0
        while after is not None:
            found = await self._store.read(
                lambda tx, after=after: retention.find_old_runs(tx, before=before, after=after)  # type: ignore[misc]
            )
            after = found.after
            for runs in _slices(found.runs):
                ids = [run.id for run in runs]
                await self._forget_output(ids)
                reach("retention.output")
                # A run with more targets than one write may delete is alone in its slice.
                thinning = runs[0].targets > MOST_TARGETS
                while thinning:
                    thinning = await self._store.write(lambda tx, ids=ids: retention.thin_out(tx, ids[0])) > 0  # type: ignore[misc]
                    yield 0
                await self._store.write(lambda tx, ids=ids: retention.delete_runs(tx, ids))  # type: ignore[misc]
                reach("retention.slice")
                yield len(ids)
            yield 0
        async for _ in self._narrower_tables(before):
            yield 0
        async for _ in Leftovers(self._store, before=before).slices():
            yield 0

    async def _forget_output(self, run_ids: list[int]) -> None:
        """A store of output that is broken keeps no history from going; one that is full is waited for."""
        try:
            await self._output.forget(run_ids)
        except DiskFull:
            raise
        except Unavailable:
            return

    async def _narrower_tables(self, before: Micros) -> AsyncGenerator[None, None]:
        after: int | None = 0
        while after is not None:
            after = await self._store.write(
                lambda tx, after=after: retention.delete_old_events(tx, before=before, after=after)  # type: ignore[misc]
            )
            yield
        while await self._store.write(lambda tx: retention.delete_old_ledger(tx, before=before)) == MOST_ROWS:
            yield
        while await self._store.write(lambda tx: retention.delete_ended_owners(tx, before=before)) == MOST_ROWS:
            yield
        await self._store.write(lambda tx: delete_ended_pauses(tx, before=before))


def _slices(runs: list[OldRun]) -> list[list[OldRun]]:
    """Runs in order, as many at a time as have MOST_TARGETS targets together; a larger one alone."""
    slices: list[list[OldRun]] = []
    room = 0
    for run in runs:
        if not slices or run.targets > room:
            slices.append([])
            room = MOST_TARGETS
        slices[-1].append(run)
        room -= run.targets
    return slices
