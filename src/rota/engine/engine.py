"""The engine of one process: what runs side by side, and the order in which it ends.

A daemon's engine plans, rescues, delivers and cleans. A command without a daemon has only the worker: it carries out
the runs that it made, and nothing else (DESIGN §2 Who executes).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

from rota.domain.errors import Unavailable
from rota.domain.reasons import Reason
from rota.engine.clock_watch import ClockWatch
from rota.engine.evidence import Evidence
from rota.engine.janitor import Janitor
from rota.engine.leases import Leases
from rota.engine.outbox import Outbox
from rota.engine.output import OutputPump
from rota.engine.patience import patiently
from rota.engine.planner import Planner
from rota.engine.rescuer import Rescuer
from rota.engine.worker import Worker
from rota.ports import Clock, Connector, Hint, Hints, Store
from rota.storage.finishing import cancel_run
from rota.storage.rescue import cancels_for, end_owner

BUSY_SECONDS, IDLE_SECONDS = 1.0, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overseeing:
    """What only the holder of `engine.lock` does. `planner` None: `schedule.enabled` is false."""

    planner: Planner | None
    rescuer: Rescuer
    outbox: Outbox
    janitor: Janitor
    evidence: Evidence
    watch: ClockWatch | None = None
    chores: Sequence[Callable[[], Awaitable[object]]] = ()  # looked after with each sweep (playbook folder)

    @property
    def is_held(self) -> bool:
        """Whether the clock is not believed: nothing is taken over, planned or forgotten yet."""
        return self.watch is not None and self.watch.doubt is not None

    def runs_ended(self) -> None:
        """Some run may have ended: there is something to deliver, and a continuous trigger may go on."""
        self.outbox.nudge()
        if self.planner is not None:
            self.planner.runs_ended()


class Engine:
    def __init__(
        self,
        *,
        owner: str,
        store: Store,
        clock: Clock,
        worker: Worker,
        connectors: Mapping[str, Connector],
        pump: OutputPump,
        oversees: Overseeing | None,
        leases: Leases | None = None,
        hints: Hints | None = None,
        stopped: asyncio.Event | None = None,
    ) -> None:
        """`leases`: other machines share the store; `hints`: and tell what they write to it. `stopped` is set when all
        that ran has ended and is recorded, or was left to the keeper."""
        self._owner, self._store, self._clock = owner, store, clock
        self._worker, self._connectors, self._pump, self._oversees = worker, connectors, pump, oversees
        self._leases, self._hints = leases, hints
        self._heard_of_cancels = asyncio.Event()
        self._planning: asyncio.Task[None] | None = None
        self._stopped = stopped or asyncio.Event()
        self.ready = asyncio.Event()  # work may be given to the worker

    async def run(self) -> None:
        """Run until `stop`. An error that it cannot live with is raised."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._pump.run(), name="output"),
                group.create_task(self._worker.run(), name="worker"),
            ]
            await asyncio.sleep(0)  # let the worker open its task group
            if self._leases is not None:  # before anything that may take long
                tasks.append(group.create_task(self._leases.run(), name="leases"))
            if (overseeing := self._oversees) is not None:
                if overseeing.watch is not None:
                    await overseeing.watch.begin()
                    overseeing.watch.changed = self._clock_changed
                    tasks.append(group.create_task(overseeing.watch.run(), name="clock"))
                if overseeing.watch is not None and overseeing.is_held:  # the API answers meanwhile, and says so
                    tasks.append(group.create_task(self._oversee_later(overseeing.watch, overseeing, group, tasks)))
                else:
                    await self._oversee(overseeing, group, tasks)
            if self._leases is not None and self._oversees is not None:
                tasks.append(group.create_task(self._leases.look_after(), name="silent owners"))
            tasks.append(group.create_task(self._housekeep(), name="housekeeping"))
            if self._hints is not None:
                tasks.append(group.create_task(self._hints.listen(self._hear), name="hints"))
            self._worker.claimer.look()
            self.ready.set()
            await self._stopped.wait()
            for task in tasks:
                task.cancel()

    async def _oversee(self, overseeing: Overseeing, group: asyncio.TaskGroup, tasks: list[asyncio.Task[None]]) -> None:
        """Take over what the dead left, then plan and deliver."""
        await overseeing.rescuer.sweep()
        self._worker.runs_ended = overseeing.runs_ended
        tasks.append(group.create_task(overseeing.outbox.run(), name="outbox"))
        if overseeing.planner is not None:
            self._planning = group.create_task(overseeing.planner.run(), name="planner")
            tasks.append(self._planning)

    async def _oversee_later(
        self, watch: ClockWatch, overseeing: Overseeing, group: asyncio.TaskGroup, tasks: list[asyncio.Task[None]]
    ) -> None:
        await watch.believed()
        await patiently(self._clock, lambda: self._oversee(overseeing, group, tasks))
        self._worker.claimer.look()

    def _clock_changed(self) -> None:
        """Whoever waits for a moment looks at the time again."""
        self._worker.claimer.look()
        if self._oversees is not None and self._oversees.planner is not None:
            self._oversees.planner.nudge()

    async def stop(self, mode: Literal["cancel", "leave"], grace_seconds: float) -> None:
        """Start nothing more; cancel what runs, or leave it to the keeper; return when all is recorded, or after
        `grace_seconds`. Cancelling this coroutine ends the wait at once."""
        try:
            if self._planning is not None:
                self._planning.cancel()
            self._worker.close()
            if mode == "cancel":
                async with asyncio.timeout(grace_seconds):
                    await self._cancel_all()
        except (TimeoutError, Unavailable):
            pass  # what still runs is ended by the keeper; the next owner finds how
        finally:
            try:
                await self._let_go(leave=mode == "leave")
            finally:
                self._stopped.set()

    async def _cancel_all(self) -> None:
        worker = self._worker
        while not worker.is_idle:  # what was being claimed when it was closed comes in meanwhile
            for run_id in worker.runs_going_on:
                await self._store.write(partial(cancel_run, run_id=run_id, reason=Reason.SHUTDOWN))
                worker.cancel(run_id, Reason.SHUTDOWN)
            await worker.nearly_idle()

    async def _let_go(self, *, leave: bool) -> None:
        nothing_left = self._worker.is_idle  # a verdict that could not be written is the next owner's to find
        if self._oversees is not None:
            await self._oversees.evidence.stop()
        for connector in self._connectors.values():
            await connector.close(leave=leave)
        if nothing_left:
            with suppress(Unavailable):  # the next owner finds our lock free, and nothing to rescue
                await self._store.write(lambda tx: end_owner(tx, self._owner))

    def _hear(self, hint: Hint, ended: Sequence[int]) -> None:
        """What another process has written sets off what it would, had it been written here."""
        if Hint.CANCELS in hint and self._worker.held_runs:
            self._heard_of_cancels.set()
        if Hint.WORK in hint:
            self._worker.claimer.look()
        if (overseeing := self._oversees) is not None:
            if Hint.JOBS in hint and overseeing.planner is not None:
                overseeing.planner.nudge()
            if Hint.OUTBOX in hint:
                overseeing.runs_ended()
            overseeing.outbox.delivered_elsewhere(ended)

    async def _housekeep(self) -> None:
        """What need not be done at once: cancels asked for elsewhere, dead owners, old history, chores."""
        worker = self._worker
        while True:
            is_busy = worker.held_runs or worker.claimer.something_waits
            await self._clock.sleep(BUSY_SECONDS if is_busy else IDLE_SECONDS, wake=self._heard_of_cancels)
            try:
                if worker.held_runs:
                    for run_id, reason in await self._store.read(lambda tx: cancels_for(tx, self._owner)):
                        worker.cancel(run_id, reason)
                if worker.claimer.something_waits:
                    worker.claimer.look()
                if (overseeing := self._oversees) is not None and overseeing.is_held:
                    continue
                if overseeing is not None:
                    await overseeing.rescuer.sweep_if_needed()
                settled = overseeing is None or overseeing.rescuer.is_done
                for connector in list(self._connectors.values()):
                    await connector.tidy(settled=settled)
                if overseeing is not None:
                    await overseeing.outbox.look()
                    await overseeing.evidence.seek_if_due()
                    if overseeing.watch is None or overseeing.watch.is_settled:
                        await overseeing.janitor.sweep_if_due()
                    for chore in overseeing.chores:
                        await chore()
            except Unavailable:
                continue  # the store is away; it is looked at again in a moment
