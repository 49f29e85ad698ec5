"""Queued targets are claimed by an owner, as far as caps, batches, throttles and locks let them.

All of that is decided here in Python inside the transaction, not by clever SQL: a correlated count in the claim
overshoots within one batch (reference/engine.md §3.4). So it holds at every instant, whoever claims.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from rota.domain.fanout import OnOffline
from rota.domain.instant import Micros
from rota.domain.run import CONTROLLER
from rota.domain.states import RunState
from rota.ports import Tx
from rota.storage import fanout, host_locks, parking
from rota.storage.finishing import expire, free_slots
from rota.storage.launching import job_admitted, write_intents
from rota.storage.limits import Room
from rota.storage.row_locks import free_jobs
from rota.storage.statements import Statements
from rota.storage.work import Assignment, Settled

_CLAIM = Statements("claim")
PAGE = 1_000  # queued targets looked at together


def claim(
    tx: Tx, owner: str, *, slots: int, only_runs: Collection[int] | None = None, settled: Settled | None = None
) -> list[Assignment]:
    """Give `owner` up to `slots` queued targets by (priority, id), with their intents written.

    Atomic: two owners never get the same target. `targets_at_once` of each run holds, its batches and its throttle,
    the caps on targets and the locks on hosts. A run whose time is over gives out none: what of it is queued ends
    (named in `settled` where that ends the run; whoever gave it frees the slots). `only_runs`: a command that carries
    out just the run it made (DESIGN §2 Who executes).
    """
    if slots <= 0 or (only_runs is not None and not only_runs):
        return []
    parking.wake(tx)
    (priority,) = tx.driver.execute(_CLAIM.next_priority, (1 << 40,)).fetchone()
    if priority is None or (room := Room.now(tx)).total <= 0:
        return []
    turn = _Turn(tx, only_runs, room)
    for queued in turn.queued(priority, slots):
        if len(turn.work) >= slots or room.total <= 0:
            break
        turn.consider(queued)
    ended = Settled({}, set(), []) if settled is None else settled
    turn.write(owner, ended)
    if settled is None:
        free_slots(tx, ended)
    return turn.work


class _Queued(NamedTuple):
    """A target that may be claimed as far as it itself goes, and its run."""

    target_id: int
    run_id: int
    host: str
    host_version_id: int | None
    connector: str
    site: str | None
    batch: int
    fence: int
    cursor: int
    changed: int | None
    run_public: str
    job_id: int | None
    title: str
    kind: str
    plan_id: int
    total: int
    at_once: int
    run_timeout: Micros
    due_at: Micros
    run_started_at: Micros | None
    on_offline: str | None


@dataclass(slots=True)
class _Gate:
    """What a run may still start in this turn: `room` more targets, of batches up to `open_batch`.

    `begins`: none of it has started before.
    """

    room: int
    begins: bool = False
    open_batch: int = 0
    spacing: Micros | None = None
    lock_hosts: bool = False


@dataclass(slots=True)
class _Turn:
    """One claim. What it decides is written at its end, but for locks, which decide about the next one."""

    tx: Tx
    only_runs: Collection[int] | None
    room: Room
    in_work: dict[int, int] = field(default_factory=dict)  # run id -> targets, of the runs met so far that have some
    gates: dict[int, _Gate] = field(default_factory=dict)
    work: list[Assignment] = field(default_factory=list)
    overdue: dict[int, int | None] = field(default_factory=dict)  # run id -> job id
    locked_out: list[_Queued] = field(default_factory=list)

    def queued(self, priority: int | None, slots: int) -> Iterator[_Queued]:
        """Queued targets in the order of claiming. Those of a run that has no room are passed over in one leap, so
        that the thousands which wait behind `targets_at_once` or a batch stand in nobody's way; those of full sites
        are not looked at. From `priority` on, which is the largest."""
        driver, page, after = self.tx.driver, min(PAGE, slots + 8, self.room.total + 8), 0
        while priority is not None:
            rows = driver.execute(_CLAIM.queued, (priority, after, self.room.full_sites, page)).fetchall()
            found = self._free(list(map(_Queued._make, rows)))
            self._count_in_work({one.run_id for one in found if one.total > 1} - self.gates.keys())
            yield from found
            if len(rows) == page:
                after, run_id = rows[-1][0], rows[-1][1]
                if run_id in self.gates and self.gates[run_id].room <= 0:
                    (after,) = driver.execute(_CLAIM.last_of_run, (run_id,)).fetchone()
            else:
                (priority,) = driver.execute(_CLAIM.next_priority, (priority,)).fetchone()
                after = 0

    def _free(self, found: list[_Queued]) -> list[_Queued]:
        """Those of whose jobs nobody else is about to write: the others' turn comes in a moment."""
        if self.tx.is_exclusive:
            return found
        free = free_jobs(self.tx, {one.job_id for one in found if one.job_id is not None})
        return [one for one in found if one.job_id is None or one.job_id in free]

    def _count_in_work(self, run_ids: Collection[int]) -> None:
        if run_ids:
            self.in_work.update(self.tx.driver.execute(_CLAIM.in_work, (json.dumps(list(run_ids)),)).fetchall())

    def consider(self, queued: _Queued) -> None:
        """Take the target on, or note why not."""
        gate = self.gates.get(queued.run_id) or self._open(queued)
        if gate.room <= 0:
            return
        if queued.batch > gate.open_batch:
            gate.room = 0  # ids are in the order of batches: none behind it may start either
            return
        if not self.room.has(queued.site, queued.host, queued.job_id):
            return
        if gate.lock_hosts and queued.host != CONTROLLER and (locked := self._lock(queued)) is not True:
            if locked is False:
                self.locked_out.append(queued)
            return
        gate.room -= 1
        self.room.take(queued.site, queued.host, queued.job_id)
        self.work.append(self._assignment(queued))

    def write(self, owner: str, settled: Settled) -> None:
        driver, at, work = self.tx.driver, self.tx.at, self.work
        if again := [a for a in work if a.fence > 1]:  # who was never claimed has no attempts
            tried = dict(driver.execute(_CLAIM.last_numbers, (json.dumps([a.target_id for a in again]),)).fetchall())
            for assignment in again:
                assignment.number = tried.get(assignment.target_id, 0) + 1
        driver.executemany(_CLAIM.take, [(owner, at, a.target_id) for a in work])
        runs = {a.run_id: a.run_started_at + a.run_timeout for a in work}
        driver.executemany(_CLAIM.run_started, [(at, run_id) for run_id in runs])
        job_admitted(self.tx, RunState.RUNNING, at, {(a.job_id, a.run_id) for a in work})
        write_intents(self.tx, work)
        for run_id, over_at in runs.items():
            gate = self.gates[run_id]
            if gate.spacing is not None:
                fanout.started_one(self.tx, run_id, next_start_at=min(at + gate.spacing, over_at))
            if gate.lock_hosts and gate.begins:
                host_locks.run_ends_at(self.tx, run_id, over_at)
        if self.locked_out:
            host_locks.lock_out(self.tx, [(one.target_id, self._over_at(one, runs)) for one in self.locked_out])
        for run_id, job_id in self.overdue.items():
            expire(self.tx, run_id, job_id, settled)

    def _open(self, queued: _Queued) -> _Gate:
        """The gate of a run that is met for the first time."""
        gate = self.gates[queued.run_id] = _Gate(0, begins=queued.run_started_at is None)
        if self.only_runs is not None and queued.run_id not in self.only_runs:
            return gate
        at, began = self.tx.at, queued.run_started_at
        if began is not None and began + queued.run_timeout <= at:
            self.overdue[queued.run_id] = queued.job_id
            return gate
        gate.room = min(queued.at_once - self.in_work.get(queued.run_id, 0), self.room.of_job(queued.job_id))
        if queued.on_offline is not None:
            rules = fanout.gate_of(self.tx, queued.run_id)
            gate.open_batch, gate.spacing, gate.lock_hosts = rules.open_batch, rules.spacing, rules.lock_hosts
            if rules.next_start_at is not None and at < rules.next_start_at:
                gate.room = 0
            elif rules.spacing is not None:
                gate.room = min(gate.room, 1)
        return gate

    def _lock(self, queued: _Queued) -> bool | None:
        return host_locks.take(self.tx, queued.host, run_id=queued.run_id, target_id=queued.target_id)

    def _assignment(self, queued: _Queued) -> Assignment:
        return Assignment(
            target_id=queued.target_id, run_id=queued.run_id, run_public=queued.run_public, job_id=queued.job_id,
            title=queued.title, kind=queued.kind, plan_id=queued.plan_id, total=queued.total, host=queued.host,
            host_version_id=queued.host_version_id, connector=queued.connector, fence=queued.fence + 1,
            cursor=queued.cursor, attempt_id=0, number=1, due_at=queued.due_at,
            run_started_at=queued.run_started_at or self.tx.at, run_timeout=queued.run_timeout,
            changed=None if queued.changed is None else bool(queued.changed),
            on_offline=None if queued.on_offline is None else OnOffline(queued.on_offline),
        )  # fmt: skip

    def _over_at(self, queued: _Queued, started: dict[int, Micros]) -> Micros | None:
        """When the time of the run is over; None while it has not begun to count."""
        if queued.run_started_at is not None:
            return queued.run_started_at + queued.run_timeout
        return started.get(queued.run_id)
