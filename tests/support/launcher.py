"""A Launcher without an engine: runs are made and queued for real, and nobody carries them out."""

from __future__ import annotations

from rota.domain.errors import Skipped
from rota.domain.policy import on_overlap, refusal
from rota.domain.reasons import Reason
from rota.ports import RunRequest, Store, Tx
from rota.storage.finishing import cancel_run
from rota.storage.launching import Draft, Launch
from rota.storage.planning import record_refusal


class QueueingLauncher:
    """`changes` counts the calls of `jobs_changed`, `looks` those of `limits_changed`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.requests: list[RunRequest] = []
        self.changes = 0
        self.looks = 0

    async def launch(self, request: RunRequest) -> int:
        self.requests.append(request)
        made = await self._store.write(lambda tx: _launch(tx, request))
        if isinstance(made, Skipped):
            raise made
        return made

    async def cancel(self, run_id: int, *, reason: Reason) -> bool:
        return await self._store.write(lambda tx: cancel_run(tx, run_id, reason)) is not False

    def jobs_changed(self) -> None:
        self.changes += 1

    def limits_changed(self) -> None:
        self.looks += 1


def _launch(tx: Tx, request: RunRequest) -> int | Skipped:
    driver = tx.driver
    if request.key is not None:
        known = driver.execute("SELECT id FROM run WHERE job_id IS ? AND key = ?", (request.job_id, request.key))
        if row := known.fetchone():
            return int(row[0])
    decision = "start"
    if request.overlap is not None:
        active, last = driver.execute(
            "SELECT active, last_run_id FROM job_state WHERE job_id = ?", (request.job_id,)
        ).fetchone()
        decision = on_overlap(request.overlap, active, request.overlap_limit)
        if decision == "skip":
            message = refusal(request.overlap, request.overlap_limit)
            record_refusal(tx, request, None, Reason.OVERLAP_SKIP, tx.at, tx.at, 1, last, message)
            return Skipped(f"{request.title} is running", reason=Reason.OVERLAP_SKIP)
    launch = Launch(tx, None, 0)
    launch.add(Draft(request, None, None, waits_for_overlap=decision == "queue"))
    (run_id,), _ = launch.flush()
    return run_id
