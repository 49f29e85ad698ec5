"""Runs that people ask for, and their cancelling. See `ports.Launcher`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rota.domain.errors import Skipped
from rota.domain.policy import on_overlap, refusal
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.engine.events import RunEvents
from rota.engine.plans import Plans
from rota.engine.worker import Worker
from rota.failpoints import reach
from rota.ports import Hint, RunRequest, Store, Tx
from rota.storage.finishing import CancelOrder, cancel_run, cancel_runs_of
from rota.storage.launching import Draft, Launch
from rota.storage.planning import record_refusal
from rota.storage.work import Assignment


class Launched(NamedTuple):
    """What became of a request: its run, what of that is this owner's already, and what it replaces."""

    run_id: int
    work: list[Assignment]
    cancels: list[CancelOrder]


class EngineLauncher:
    """`made` collects the runs of a command that carries out only its own; None in the daemon."""

    def __init__(
        self,
        *,
        store: Store,
        worker: Worker,
        plans: Plans,
        events: RunEvents,
        owner: str,
        nudge: Callable[[], None],
        made: set[int] | None = None,
        for_ends: Store | None = None,
    ) -> None:
        """`for_ends`: where cancels are written, also when `store` takes nothing new."""
        self._for_ends = for_ends or store
        self._store, self._worker, self._plans, self._events = store, worker, plans, events
        self._owner, self._nudge, self._made = owner, nudge, made

    async def launch(self, request: RunRequest) -> int:
        await self._plans.load([request.plan_id])
        slots = self._worker.slots()
        made = await self._worker.given_by(
            self._store, lambda tx: _launch(tx, request, self._owner, slots), self._launched
        )
        if isinstance(made, Skipped):
            raise made
        return made.run_id

    def _launched(self, made: Launched | Skipped) -> None:
        if isinstance(made, Skipped):
            return
        reach("launch.committed")
        run_id, work, cancels = made
        if self._made is not None:
            self._made.add(run_id)
        for order in cancels:
            self._worker.cancel(order.run_id, order.reason)
        self._worker.accept(work)
        if not work:
            self._worker.claimer.look()

    async def cancel(self, run_id: int, *, reason: Reason) -> bool:
        done = await self._for_ends.write(lambda tx: cancel_run(tx, run_id, reason))
        if isinstance(done, CancelOrder):
            self._worker.cancel(run_id, reason)
        self._events.touched(run_id)
        self._worker.claimer.look()  # its slot, or its job's turn, may be free now
        return done is not False

    def jobs_changed(self) -> None:
        self._nudge()

    def limits_changed(self) -> None:
        self._worker.claimer.look()


def _launch(tx: Tx, request: RunRequest, owner: str, slots: int) -> Launched | Skipped:
    """Insert the run as its job's overlap policy has it. A refusal is committed, hence returned rather than raised."""
    cancels: list[CancelOrder] = []
    waits = False
    if request.key is not None:
        known = tx.driver.execute(
            "SELECT id FROM run WHERE job_id IS /*pg: NOT DISTINCT FROM */ ? AND key = ?", (request.job_id, request.key)
        ).fetchone()
        if known is not None:
            return Launched(int(known[0]), [], [])
    if request.job_id is not None:
        active, last_run = tx.driver.execute(
            "SELECT active, last_run_id FROM job_state WHERE job_id = ? /*pg: FOR UPDATE */", (request.job_id,)
        ).fetchone()
        policy, limit = request.overlap, request.overlap_limit
        decision = "start" if policy is None else on_overlap(policy, active, limit)
        if policy is not None and decision == "skip":
            message = refusal(policy, limit)
            record_refusal(tx, request, None, Reason.OVERLAP_SKIP, tx.at, tx.at, 1, last_run, message)
            return Skipped(
                f"{request.title} was not started: {message or EXPLANATIONS[Reason.OVERLAP_SKIP]}",
                reason=Reason.OVERLAP_SKIP,
                hint=f"see it run: rota schedule logs {request.title}",
            )
        if decision == "replace":
            cancels = cancel_runs_of(tx, request.job_id, Reason.OVERLAP_REPLACED)
        waits = decision in {"replace", "queue"}
    launch = Launch(tx, owner, slots)
    launch.add(Draft(request, None, None, waits_for_overlap=waits))
    (run_id,), work = launch.flush()
    if launch.left_waiting:
        tx.tell(Hint.WORK)
    return Launched(run_id, work, cancels)
