"""Making runs: rows of the run, its targets and the intents of those that start at once, in one batch.

A run that may start at once is inserted already claimed by the owner that plans it, so that one commit makes it
durable and started. That is the short way, for runs without fan-out rules, as far as caps on targets leave room beside
what is queued already; all other targets are queued, for the next claim to judge. What exceeds the cap on runs waits
for a slot, says so, and does not expire.

Where others write at the same time (PostgreSQL), whoever starts or ends runs holds the caps. A batch of many looks at
them, writes its rows, and takes hold of the caps last: another node waits for a commit then, not for a thousand rows.
Should what it saw be gone by then, it begins anew, with the caps held.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Protocol

from rota.domain.fanout import FanOut
from rota.domain.instant import Micros
from rota.domain.states import RunState, TargetState
from rota.ports import Member, RunTerms, Tx
from rota.storage import fanout, turns
from rota.storage.limits import Room
from rota.storage.statements import Statements
from rota.storage.work import Assignment

_ADMIT, _PLAN, _START = Statements("admit"), Statements("plan"), Statements("start")
# As texts, which SQLite's driver need not adapt (see `storage.sqlite`). To adapt a NULL costs it more than to bind a
# value: so there are statements for a run that begins at once, without the columns that are NULL or the same in all.
_WAITING, _QUEUED, _RUNNING = RunState.WAITING.value, RunState.QUEUED.value, RunState.RUNNING.value
MANY = 32  # runs in a batch, from which the caps are held for the commit only


class _NoRoomLeft(Exception):
    """Others took of a cap what was free when it was looked at."""


class Requested(Protocol):
    """What a run is made from: `ports.RunRequest`, or a card of the planner's."""

    @property
    def terms(self) -> RunTerms: ...
    @property
    def title(self) -> str: ...
    @property
    def job_id(self) -> int | None: ...
    @property
    def job_version_id(self) -> int | None: ...
    @property
    def key(self) -> str | None: ...
    @property
    def rerun_of(self) -> int | None: ...


@dataclass(slots=True)
class Draft:
    """A run about to be inserted. `waits_for_overlap`: older runs of the job must end first. `run_id`: set by flush.

    `due_at`: when it was to start, where that is not its nominal instant; `deferred_by` the calendar that put it off.
    `turn`: it is one of several that are caught up.
    """

    request: Requested
    trigger_id: int | None
    nominal: Micros | None
    catch_up: bool = False
    waits_for_overlap: bool = False
    due_at: Micros | None = None
    deferred_by: str | None = None
    turn: turns.Turn | None = None
    run_id: int = 0


@dataclass(slots=True)
class _Rows:
    """What a batch inserts. Runs that begin at once and targets of theirs that are at home go in by a shorter way."""

    runs: list[tuple[object, ...]] = field(default_factory=list)
    begun_runs: list[tuple[object, ...]] = field(default_factory=list)
    targets: list[tuple[object, ...]] = field(default_factory=list)
    begun_targets: list[tuple[object, ...]] = field(default_factory=list)
    states: list[tuple[object, ...]] = field(default_factory=list)
    waits: list[turns.Row] = field(default_factory=list)
    work: list[Assignment] = field(default_factory=list)

    def write(self, tx: Tx) -> None:
        driver = tx.driver
        driver.executemany(_PLAN.run, self.runs)
        driver.executemany(_PLAN.run_begun, self.begun_runs)
        is_herd = self.are_alike
        self._start_jobs(tx, is_herd=is_herd)
        if is_herd:
            self._copy_targets(tx)
        else:
            driver.executemany(_START.target, self.targets)
            driver.executemany(_START.target_begun, self.begun_targets)
            write_intents(tx, self.work)
        if self.waits:
            turns.insert(tx, self.waits)

    @property
    def are_alike(self) -> bool:
        """Whether every run begins at once with one target, all of them at the same place: as a herd of jobs does."""
        if self.runs or self.targets or not len(self.begun_runs) == len(self.begun_targets) > 1:
            return False
        return len({(host, connector) for _, _, host, connector, *_ in self.begun_targets}) == 1

    def _start_jobs(self, tx: Tx, *, is_herd: bool) -> None:
        """Say of the jobs that their runs were made. Of a herd the store knows by its rows, where no other node's work
        could lead it to compare all jobs with all runs."""
        if is_herd and tx.is_exclusive and len({job_id for *_, job_id in self.states}) == len(self.begun_runs):
            tx.driver.execute(_PLAN.jobs_started, (self.work[0].run_id, self.work[-1].run_id))
        else:
            tx.driver.executemany(_PLAN.job_started, self.states)

    def _copy_targets(self, tx: Tx) -> None:
        """Let the store make the rows of targets and attempts from those of the runs: half of what binding costs."""
        first, count = self.work[0], len(self.work)
        runs, first_attempt = (first.run_id, first.run_id + count - 1), tx.take_ids("attempt", count)
        _, _, host, connector, _, owner, _ = self.begun_targets[0]
        tx.driver.execute(_START.targets_of_runs, (first.target_id - first.run_id, host, connector, owner, *runs))
        tx.driver.execute(
            _START.attempts_of_runs, (first_attempt - first.run_id, first.target_id - first.run_id, *runs)
        )
        for attempt_id, assignment in enumerate(self.work, start=first_attempt):
            assignment.attempt_id = attempt_id


@dataclass(slots=True)
class Launch:
    """Collects drafts, then inserts them all. `owner` None: nobody here works, so everything is queued.

    `slots` is how many targets this owner can take on now. Both caps hold within the batch too.
    """

    tx: Tx
    owner: str | None
    slots: int
    drafts: list[Draft] = field(default_factory=list)
    left_waiting: bool = False  # after `flush`: some run or target of it waits to be admitted or claimed

    def add(self, draft: Draft) -> None:
        self.drafts.append(draft)

    def flush(self) -> tuple[list[int], list[Assignment]]:
        """Insert everything, larger priorities first: they get what room there is under the caps.

        Returns the run ids in that order, and what this owner has claimed.
        """
        if not self.drafts:
            return [], []
        self.drafts.sort(key=lambda draft: -draft.request.terms.priority)
        if self.tx.is_exclusive or len(self.drafts) < MANY:
            return self._insert(hold=True)
        driver = self.tx.driver
        driver.execute("SAVEPOINT launch")
        try:
            made = self._insert(hold=False)
        except _NoRoomLeft:
            driver.execute("ROLLBACK TO launch")
            made = self._insert(hold=True)
        driver.execute("RELEASE launch")
        return made

    def _insert(self, *, hold: bool) -> tuple[list[int], list[Assignment]]:
        """`hold`: the caps are held from the beginning. Otherwise raises _NoRoomLeft where others were quicker."""
        tx, at, owner = self.tx, self.tx.at, self.owner
        count = len(self.drafts)
        first_run = tx.take_ids("run", count)
        public_ids = tx.new_public_ids(count)
        room = None if owner is None else Room.beside_queue(tx, hold=hold)
        cap, used = tx.driver.execute(_PLAN.limit if hold else _PLAN.limit_seen).fetchone()
        free_runs, free_slots = max(0, cap - used), self.slots
        rows = _Rows()
        targets, begun_targets, work = rows.targets, rows.begun_targets, rows.work
        target_id = tx.take_ids("run_target", sum(len(d.request.terms.members) for d in self.drafts))
        admitted = 0
        for run_id, public_id, draft in zip(range(first_run, first_run + count), public_ids, self.drafts, strict=True):
            request, draft.run_id = draft.request, run_id
            terms = request.terms
            total = len(terms.members)
            due_at = draft.due_at or draft.nominal or at
            waiting_for = "overlap" if draft.waits_for_overlap else "slot" if free_runs <= 0 else None
            state, started_at = _WAITING, None
            if waiting_for is None:
                free_runs -= 1
                admitted += 1
                rules = terms.fan_out
                claim = min(total, terms.targets_at_once, free_slots) if owner is not None and rules is None else 0
                if room is not None and claim:
                    claim = room.take_first(terms.members[:claim], request.job_id)
                free_slots -= claim
                state, started_at = (_RUNNING, at) if claim else (_QUEUED, None)
                for place, member in enumerate(terms.members[:claim]):
                    if member.host_version_id is None and member.site is None:
                        begun_targets.append(
                            (target_id + place, run_id, member.host, member.connector, terms.priority, owner, at)
                        )
                    else:
                        targets.append(
                            (target_id + place, run_id, member.host, member.host_version_id, member.connector,
                             member.site, _RUNNING, terms.priority, 0, owner, 1, at)
                        )  # fmt: skip
                    work.append(
                        Assignment(
                            target_id=target_id + place, run_id=run_id, run_public=public_id, job_id=request.job_id,
                            title=request.title, kind=terms.kind, plan_id=terms.plan_id, total=total,
                            host=member.host, host_version_id=member.host_version_id, connector=member.connector,
                            fence=1, cursor=0, attempt_id=0, number=1, due_at=due_at, run_started_at=at,
                            run_timeout=terms.run_timeout,
                        )
                    )  # fmt: skip
                if claim < total:
                    left = terms.members[claim:]
                    targets += queued_rows(target_id + claim, run_id, left, terms.priority, rules)
                target_id += total
            if started_at is None or draft.catch_up or draft.deferred_by or request.key or request.rerun_of:
                rows.runs.append(
                    (run_id, public_id, request.job_id, request.job_version_id, request.title, draft.trigger_id,
                     draft.nominal, request.key, terms.kind, draft.catch_up, state, waiting_for, terms.priority,
                     terms.plan_id, terms.target_set_id, total, total, terms.targets_at_once,
                     terms.run_timeout, terms.principal, request.rerun_of, at, due_at,
                     None if waiting_for else at, started_at, draft.deferred_by)
                )  # fmt: skip
            else:
                rows.begun_runs.append(
                    (run_id, public_id, request.job_id, request.job_version_id, request.title, draft.trigger_id,
                     draft.nominal, terms.kind, terms.priority, terms.plan_id, terms.target_set_id, total,
                     total, terms.targets_at_once, terms.run_timeout, terms.principal, at, due_at, at, at)
                )  # fmt: skip
            if started_at is None and (draft.turn is not None or terms.patience is not None):
                job_id, turn, patience = request.job_id, draft.turn, terms.patience
                rows.waits.append(turns.row_of(run_id, job_id, turn, patience, due_at=due_at, made_at=at))
            if terms.fan_out is not None:
                fanout.insert(tx, run_id, terms.fan_out, total)
            if request.job_id is not None:
                rows.states.append((run_id, state, terms.kind, started_at, request.job_id))
        rows.write(tx)
        _use_caps(tx, admitted, room if work else None, held=hold)
        self.left_waiting = admitted < count or len(work) < len(targets) + len(begun_targets)
        return list(range(first_run, first_run + count)), work


def _use_caps(tx: Tx, runs: int, room: Room | None, *, held: bool) -> None:
    """Note what was started. Caps that are not `held` are from now on; raises _NoRoomLeft where that is too much."""
    if held:
        if runs:
            tx.driver.execute(_PLAN.use_limit, (runs,))
        return
    if room is not None and room.is_overshot(tx):
        raise _NoRoomLeft
    if runs and not tx.driver.execute(_PLAN.use_if_free, (runs, runs)).rowcount:
        raise _NoRoomLeft


def queued_rows(
    first: int, run_id: int, members: Sequence[Member], priority: int, rules: FanOut | None
) -> list[tuple[object, ...]]:
    """Rows for `_START.target`, with ids from `first`, of targets that nobody has claimed. With rules, `members` are
    all there are: batches are counted from the first."""
    batches = repeat(0) if rules is None else rules.batch_numbers(len(members))
    return [
        (target_id, run_id, *member, TargetState.QUEUED, priority, batch, None, 0, None)
        for target_id, (member, batch) in enumerate(zip(members, batches, strict=False), start=first)
    ]


def job_admitted(tx: Tx, state: RunState, started_at: Micros | None, runs: Iterable[tuple[int | None, int]]) -> None:
    """Say in the jobs' states what has become of their runs (job id, run id), where those are their newest."""
    newest = dict(sorted((job_id, run_id) for job_id, run_id in runs if job_id is not None))
    tx.driver.executemany(_ADMIT.job_admitted, [(state, started_at, *one) for one in newest.items()])


def write_intents(tx: Tx, work: list[Assignment]) -> None:
    """Insert the attempt row of each assignment's cursor and number, and note its id in the assignment."""
    if not work:
        return
    first = insert_attempts(tx, [(a.target_id, a.cursor, a.number) for a in work])
    for attempt_id, assignment in enumerate(work, start=first):
        assignment.attempt_id = attempt_id


def insert_attempts(tx: Tx, intents: Sequence[tuple[int, int, int]]) -> int:
    """Insert one attempt per (target id, step, number). Their ids are consecutive; returns the first."""
    first, at = tx.take_ids("attempt", len(intents)), tx.at
    rows = [(attempt_id, *intent, at) for attempt_id, intent in enumerate(intents, start=first)]
    tx.driver.executemany(_START.attempt, rows)
    return first
