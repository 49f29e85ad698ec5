"""The planner's transaction: due instants become runs or ledger rows, and every trigger gets its next instant.

All rules come from `domain.policy`; this module puts their answers into rows. One call handles one batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rota.domain.instant import Micros
from rota.domain.policy import Missed, Overlap, on_overlap
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


class _Refusal(NamedTuple):
    """A ledger row in the making."""

    reason: Reason
    first: Micros
    last: Micros
    times: int
    blocked_by: int | None
    message: str | None


def plan_due(tx: Tx, cards: Mapping[int, Card], *, limit: int, owner: str | None, slots: int) -> Planned:
    """Settle up to `limit` due triggers, oldest first. Each is settled once: its `due` row moves on in the same commit.

    Triggers without an up-to-date card are left alone and named in `missing`; the caller loads them and comes again.
    """
    at, driver = tx.at, tx.driver
    outcome = Planned(at=at, handled=0, missing=[])
    inventory, library = current(tx, "inventory_version"), current(tx, "library_version")
    launch = Launch(tx, owner, slots)
    advances: list[tuple[Micros | None, Micros | None, Micros, int]] = []
    active: dict[int, int] = {}
    nexts: dict[tuple[int, Micros], Micros | None] = {}  # a herd shares few timetables: ask each once per instant
    for trigger_id, nominal, generation, job_id, unfinished, last_run in driver.execute(
        _PLAN.due, (at, limit)
    ).fetchall():
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
                if unfinished or job_id in active or card.refusal is not None:
                    _decide(outcome, launch, card, trigger_id, [nominal], active, job_id, unfinished, last_run)
                else:
                    active[job_id] = 1
                    launch.drafts.append(Draft(card.request, trigger_id, nominal))
                advances.append((following, following, nominal, trigger_id))
                continue
        high_water, following = _catch_up(
            outcome, launch, card, trigger_id, nominal, cutoff, active, job_id, unfinished, last_run
        )
        advances.append((following, following, high_water, trigger_id))
    _, outcome.work = launch.flush()
    driver.executemany(_PLAN.advance, advances)
    (outcome.next_fire,) = driver.execute(_PLAN.next_fire).fetchone()
    return outcome


def _catch_up(
    outcome: Planned, launch: Launch, card: Card, trigger_id: int, nominal: Micros, cutoff: Micros,
    active: dict[int, int], job_id: int, unfinished: int, last_run: int | None,
) -> tuple[Micros, Micros | None]:  # fmt: skip
    """Settle a trigger that has missed instants, or several within grace. Returns (high water, next instant)."""
    at, timetable = launch.tx.at, card.timetable
    instants: list[Micros] = []
    instant: Micros | None = nominal
    high_water = nominal
    if nominal < cutoff:
        last_missed = timetable.last_at_or_before(cutoff - 1, nominal) or nominal
        count = 1 + timetable.count(nominal, last_missed)
        high_water, instant = last_missed, timetable.next(last_missed)
        caught_up = card.missed is Missed.RUN_ONCE and (instant is None or instant > at)
        if caught_up:
            count -= 1  # the newest one runs, late and marked so
            _decide(
                outcome, launch, card, trigger_id, [last_missed], active, job_id, unfinished, last_run, catch_up=True
            )
        if count:
            last = timetable.prev(last_missed) if caught_up else last_missed
            word = "the newest of them was caught up" if card.missed is Missed.RUN_ONCE else None
            _refuse(launch.tx, card, trigger_id, _Refusal(Reason.MISSED, nominal, last or nominal, count, None, word))
    while instant is not None and instant <= at and len(instants) < MAX_INSTANTS_AT_ONCE:
        instants.append(instant)
        high_water, instant = instant, timetable.next(instant)
    if card.request.overlap is Overlap.CANCEL_RUNNING:  # each would replace the one before it: only the newest need run
        for older in instants[:-1]:
            _refuse(launch.tx, card, trigger_id, _Refusal(Reason.OVERLAP_REPLACED, older, older, 1, None, None))
        instants = instants[-1:]
    _decide(outcome, launch, card, trigger_id, instants, active, job_id, unfinished, last_run)
    return high_water, instant


def _decide(
    outcome: Planned, launch: Launch, card: Card, trigger_id: int, instants: Sequence[Micros],
    active: dict[int, int], job_id: int, unfinished: int, last_run: int | None, *, catch_up: bool = False,
) -> None:  # fmt: skip
    """Put each instant through the overlap policy: a draft, or a refusal in the ledger."""
    request = card.request
    for instant in instants:
        if card.refusal is not None:
            reason, message = card.refusal
            _refuse(launch.tx, card, trigger_id, _Refusal(reason, instant, instant, 1, None, message))
            continue
        now_active = unfinished + active.get(job_id, 0)
        assert request.overlap is not None  # jobs always have one
        match on_overlap(request.overlap, now_active):
            case "skip":
                _refuse(launch.tx, card, trigger_id, _Refusal(Reason.OVERLAP_SKIP, instant, instant, 1, last_run, None))
                continue
            case "replace":
                outcome.cancels += cancel_runs_of(launch.tx, job_id, Reason.OVERLAP_REPLACED)
                launch.add(Draft(request, trigger_id, instant, catch_up, waits_for_overlap=True))
            case "start":
                launch.add(Draft(request, trigger_id, instant, catch_up))
        active[job_id] = active.get(job_id, 0) + 1


def _refuse(tx: Tx, card: Card, trigger_id: int, refusal: _Refusal) -> None:
    record_refusal(tx, card.request, trigger_id, refusal.reason, refusal.first, refusal.last, refusal.times,
                   refusal.blocked_by, refusal.message)  # fmt: skip


def record_refusal(
    tx: Tx, request: RunRequest, trigger_id: int | None, reason: Reason, first: Micros, last: Micros, count: int,
    blocked_by: int | None, message: str | None,
) -> None:  # fmt: skip
    """Write the ledger row of a decision not to run. Skips in a row behind one same run grow one row into a span."""
    if blocked_by is not None and trigger_id is not None:
        grown = tx.driver.execute(
            _PLAN.ledger_again, (last, tx.at, request.job_id, trigger_id, reason, blocked_by)
        ).rowcount
        if grown:
            return
    assert request.job_id is not None  # only jobs have policies that refuse
    record_span(
        tx, job_id=request.job_id, job_name=request.title, trigger_id=trigger_id, kind=request.kind, reason=reason,
        message=message, first=first, last=last, count=count, blocked_by=blocked_by,
    )  # fmt: skip
