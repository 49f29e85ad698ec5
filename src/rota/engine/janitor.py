"""The janitor: history older than its keep goes, daily, in batches that nobody waits for."""

from __future__ import annotations

from rota.domain.instant import DAY, Micros
from rota.ports import Clock, Store
from rota.storage.output import OutputStore
from rota.storage.pauses import delete_ended_pauses
from rota.storage.retention import delete_old_ledger, delete_old_runs

BATCH = 500


class Janitor:
    """`retention_days` 0 keeps everything."""

    def __init__(self, *, store: Store, output: OutputStore, clock: Clock, retention_days: int) -> None:
        self._store, self._output, self._clock, self._days = store, output, clock, retention_days
        self._next: Micros = 0

    async def sweep_if_due(self) -> int:
        """Clean up if a day has passed since the last time. Returns how many runs went."""
        now = self._clock.now()
        if not self._days or now < self._next:
            return 0
        gone = await self.sweep(before=now - self._days * DAY)
        self._next = now + DAY
        return gone

    async def sweep(self, *, before: Micros) -> int:
        """Forget runs, refusals and pauses that were over by `before`. Returns how many runs went."""
        gone = 0
        while run_ids := await self._store.write(lambda tx: delete_old_runs(tx, before=before, limit=BATCH)):
            await self._output.forget(run_ids)
            gone += len(run_ids)
            if len(run_ids) < BATCH:
                break
        await self._store.write(lambda tx: delete_old_ledger(tx, before=before))
        await self._store.write(lambda tx: delete_ended_pauses(tx, before=before))
        return gone
