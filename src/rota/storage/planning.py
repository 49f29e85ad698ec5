"""The planner's transaction: due instants become runs or ledger rows, and every trigger gets its next instant.

All rules come from `domain.policy`; this module puts their answers into rows. One call handles one batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rota.domain.instant import Micros
from rota.domain.policy import Missed, on_overlap
from rota.domain.reasons import Reason
from rota.domain.trigger.timetable import Timetable
from rota.ports import RunRequest, Tx
from rota.storage.counters import current
from rota.storage.finishing import CancelOrder, cancel_runs_of
from rota.storage.launching import Draft, Launch
from rota.storage.ledger import record_span
from rota.storage.statements import Statements
from rota.storage.work import Assignment

_PLAN = Statements("plan")
# A grace of a day on a one-second interval would be 86,400 runs in one transaction; the rest comes with the next batch.
MAX_INSTANTS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Card:
    """What the planner must know of one trigger, frozen at `generation` and under the versions it depends on.

    `refusal`: there is nothing to run, for this reason (no host matches, the playbook is gone).
    """

    generation: int
    inventory_version: int | None  # None: its targets do not come from the inventory
    library_version: int | None  # None: it names no playbook
    timetable: Timetable
    request: RunRequest
    missed: Missed
    grace: Micros
    refusal: tuple[Reason, str | None] | None = None

    def is_current(self, generation: int, inventory: int, library: int) -> bool:
        return (
            self.generation == generation
            and self.inventory_version in {None, inventory}
            and self.library_version in {None, library}
        )


@dataclass(slots=True)
class Planned:
    at: Micros
    handled: int  # triggers of this batch that were settled
    missing: list[int]  # trigger ids whose card is unknown or out of date
    work: list[Assignment] = field(default_factory=list)
    cancels: list[CancelOrder] = field(default_factory=list)
    next_fire: Micros | None = None
    left_waiting: bool = False  # runs or targets were made that nobody has claimed yet


class _Refusal(NamedTuple):
    """A ledger row in the making."""

    reason: Reason
    first: Micros
    last: Micros
    times: int
    blocked_by: int | None
    message: str | None


class _Blocked(NamedTuple):
    """An instant that a run of this very batch stands in the way of; its id is known once it is inserted."""

    card: Card
    trigger_id: int
    instant: Micros
    by: Draft


@dataclass(slots=True)
class _Batch:
    """What one call has decided so far. `drafted`: the drafts of each job."""

    outcome: Planned
    launch: Launch
    drafted: dict[int, list[Draft]] = field(default_factory=dict)
    blocked: list[_Blocked] = field(default_factory=list)

    def draft(self, job_id: int, draft: Draft) -> None:
        self.launch.drafts.append(draft)
        self.drafted.setdefault(job_id, []).append(draft)

    def drop(self, job_id: int) -> list[Draft]:
        """Take back what this batch has drafted of a job."""
        dropped = self.drafted.pop(job_id, [])
        for draft in dropped:
            self.launch.drafts.remove(draft)
        return dropped


class _Due(NamedTuple):
    """A due trigger as it was read. `unfinished` runs of its job, the newest of which is `last_run`."""

    trigger_id: int
    nominal: Micros
    generation: int
    job_id: int
    unfinished: int
    last_run: int | None


def plan_due(tx: Tx, cards: Mapping[int, Card], *, limit: int, owner: str | None, slots: int) -> Planned:
    """Settle up to `limit` due triggers, oldest first. Each is settled once: its `due` row moves on in the same commit.

    Triggers without an up-to-date card are left alone and named in `missing`; the caller loads them and comes again.
    """
    at, driver = tx.at, tx.driver
    outcome = Planned(at=at, handled=0, missing=[])
    inventory, library = current(tx, "inventory_version"), current(tx, "library_version")
    launch = Launch(tx, owner, slots)
    batch = _Batch(outcome, launch)
    advances: list[tuple[Micros | None, Micros | None, Micros, int]] = []
    drafted, drafts = batch.drafted, launch.drafts
    nexts: dict[tuple[int, Micros], Micros | None] = {}  # a herd shares few timetables: ask each once per instant
    for row in driver.execute(_PLAN.due, (at, limit)).fetchall():
        trigger_id, nominal, generation, job_id, unfinished, _ = row
        card = cards.get(trigger_id)
        if card is None or not card.is_current(generation, inventory, library):
            outcome.missing.append(trigger_id)
            continue
        outcome.handled += 1
        timetable, cutoff = card.timetable, at - card.grace
        if nominal >= cutoff:
            key = (id(timetable), nominal)
            following = nexts[key] if key in nexts else nexts.setdefault(key, timetable.next(nominal))
            if following is None or following > at:  # the common case: one instant, on time
                if unfinished or job_id in drafted or card.refusal is not None:
                    _decide(batch, card, _Due._make(row), [nominal])
                else:
                    draft = Draft(card.request, trigger_id, nominal)
                    drafts.append(draft)
                    drafted[job_id] = [draft]
                advances.append((following, following, nominal, trigger_id))
                continue
        high_water, following = _catch_up(batch, card, _Due._make(row), cutoff)
        advances.append((following, following, high_water, trigger_id))
    _, outcome.work = launch.flush()
    outcome.left_waiting = launch.left_waiting
    for blocked in batch.blocked:
        instant = blocked.instant
        refusal = _Refusal(Reason.OVERLAP_SKIP, instant, instant, 1, blocked.by.run_id, None)
        _refuse(tx, blocked.card, blocked.trigger_id, refusal)
    driver.executemany(_PLAN.advance, advances)
    (outcome.next_fire,) = driver.execute(_PLAN.next_fire).fetchone()
    return outcome


def _catch_up(batch: _Batch, card: Card, due: _Due, cutoff: Micros) -> tuple[Micros, Micros | None]:
    """Settle a trigger that has missed instants, or several within grace. Returns (high water, next instant)."""
    tx, timetable, nominal = batch.launch.tx, card.timetable, due.nominal
    instants: list[Micros] = []
    instant: Micros | None = nominal
    high_water = nominal
    if nominal < cutoff:
        last_missed = timetable.last_at_or_before(cutoff - 1, nominal) or nominal
        count = 1 + timetable.count(nominal, last_missed)
        high_water, instant = last_missed, timetable.next(last_missed)
        last: Micros | None = last_missed
        word = None
        if card.missed is Missed.RUN_ONCE:
            word = "a newer one was still in time"
            if instant is None or instant > tx.at:  # the newest one runs, late and marked so
                word = "the newest of them was caught up"
                last, count = timetable.prev(last_missed), count - 1
                _decide(batch, card, due, [last_missed], catch_up=True)
        if count:
            _refuse(tx, card, due.trigger_id, _Refusal(Reason.MISSED, nominal, last or nominal, count, None, word))
    while instant is not None and instant <= tx.at and len(instants) < MAX_INSTANTS_AT_ONCE:
        instants.append(instant)
        high_water, instant = instant, timetable.next(instant)
    _decide(batch, card, due, instants)
    return high_water, instant


def _decide(batch: _Batch, card: Card, due: _Due, instants: Sequence[Micros], *, catch_up: bool = False) -> None:
    """Put each instant through the overlap policy: a draft, or a refusal in the ledger."""
    request, job_id, tx = card.request, due.job_id, batch.launch.tx
    assert request.overlap is not None  # jobs always have one
    for instant in instants:
        if card.refusal is not None:
            reason, message = card.refusal
            record_refusal(tx, request, due.trigger_id, reason, instant, instant, 1, None, message,
                           before=card.timetable.prev(instant))  # fmt: skip
            continue
        drafted = batch.drafted.get(job_id, [])
        match on_overlap(request.overlap, due.unfinished + len(drafted)):
            case "skip" if drafted:
                batch.blocked.append(_Blocked(card, due.trigger_id, instant, by=drafted[-1]))
            case "skip":
                refusal = _Refusal(Reason.OVERLAP_SKIP, instant, instant, 1, due.last_run, None)
                _refuse(tx, card, due.trigger_id, refusal)
            case "replace":
                for older in batch.drop(job_id):  # it would have been replaced before it could start
                    assert older.nominal is not None  # the planner's drafts have one
                    record_refusal(tx, older.request, older.trigger_id, Reason.OVERLAP_REPLACED, older.nominal,
                                   older.nominal, 1, None, None)  # fmt: skip
                if due.unfinished:
                    batch.outcome.cancels += cancel_runs_of(tx, job_id, Reason.OVERLAP_REPLACED)
                waits = due.unfinished > 0
                batch.draft(job_id, Draft(request, due.trigger_id, instant, catch_up, waits_for_overlap=waits))
            case "start":
                batch.draft(job_id, Draft(request, due.trigger_id, instant, catch_up))


def _refuse(tx: Tx, card: Card, trigger_id: int, refusal: _Refusal) -> None:
    record_refusal(tx, card.request, trigger_id, refusal.reason, refusal.first, refusal.last, refusal.times,
                   refusal.blocked_by, refusal.message)  # fmt: skip


def record_refusal(
    tx: Tx, request: RunRequest, trigger_id: int | None, reason: Reason, first: Micros, last: Micros, count: int,
    blocked_by: int | None, message: str | None, *, before: Micros | None = None,
) -> None:  # fmt: skip
    """Write the ledger row of a decision not to run, or let the last row grow into a span: by a skip behind the same
    run, or by the instant right after the last one (that is `before`), refused for the same reason."""
    if trigger_id is not None and (blocked_by is not None or before is not None):
        same = (request.job_id, trigger_id, reason, blocked_by, message, before)
        if tx.driver.execute(_PLAN.ledger_again, (last, tx.at, *same)).rowcount:
            return
    assert request.job_id is not None  # only jobs have policies that refuse
    record_span(
        tx, job_id=request.job_id, job_name=request.title, trigger_id=trigger_id, kind=request.kind, reason=reason,
        message=message, first=first, last=last, count=count, blocked_by=blocked_by,
    )  # fmt: skip
