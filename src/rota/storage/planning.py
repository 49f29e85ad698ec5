"""The planner's transaction: due instants become runs or ledger rows, and every trigger gets its next instant.

All rules come from `domain.policy`; this module puts their answers into rows. One call handles one batch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rota.domain.calendars import NO_RULES, Rules, verdict_at
from rota.domain.instant import DAY, Micros
from rota.domain.policy import most_at_once, on_overlap, refusal
from rota.domain.reasons import Reason
from rota.domain.reckoning import MAX_INSTANTS_AT_ONCE, Course, Pending, Refused, Start, reckon
from rota.domain.trigger.spec import ContinuousTrigger
from rota.domain.trigger.timetable import Timetable, are_all
from rota.domain.trigger.without import WithoutTimes
from rota.ports import Hint, Tx
from rota.storage.cards import Card
from rota.storage.clock_changes import ran_ahead
from rota.storage.counters import current
from rota.storage.events import LOOK_AGAIN, Event, high_water_of, ready_at, refused_until
from rota.storage.finishing import CancelOrder, cancel_runs_of
from rota.storage.launching import Draft, Launch, Requested
from rota.storage.ledger import record_span
from rota.storage.quota import count_runs, runs_left
from rota.storage.row_locks import hold_due, hold_jobs
from rota.storage.statements import Statements
from rota.storage.turns import Turn
from rota.storage.windows import EMPTY_BOOK, Book, load_book
from rota.storage.work import Assignment

_PLAN = Statements("plan")
# Missed instants that are caught up are as many runs each as their job says: so many are made in one transaction.
MOST_DRAFTS = 10_000
MOST_BESIDE_OTHERS = 2_000  # due rows that one node takes together: at the end of a herd the others wait for no more


@dataclass(slots=True)
class Planned:
    at: Micros
    handled: int  # triggers of this batch that were settled
    missing: list[int]  # trigger ids whose card is unknown or out of date
    work: list[Assignment] = field(default_factory=list)
    cancels: list[CancelOrder] = field(default_factory=list)
    next_fire: Micros | None = None
    left_waiting: bool = False  # runs or targets were made that nobody has claimed yet
    continuous: bool = False  # a continuous trigger was among them: it goes on when its run ends


class _Blocked(NamedTuple):
    """An instant that a run of this very batch stands in the way of; its id is known once it is inserted."""

    card: Card
    trigger_id: int
    instant: Micros
    by: Draft


@dataclass(slots=True)
class _Batch:
    """What one call has decided so far. `drafted`: the drafts of each job; `left`: what `max_runs` left it before."""

    outcome: Planned
    launch: Launch
    drafted: dict[int, list[Draft]] = field(default_factory=dict)
    blocked: list[_Blocked] = field(default_factory=list)
    left: dict[int, int] = field(default_factory=dict)
    book: Book = EMPTY_BOOK

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
    fire_at: Micros
    deferred_by: str | None


class _Advance(NamedTuple):
    """What the `due` row of a trigger off the common path says next."""

    nominal: Micros | None
    fire_at: Micros | None
    high_water: Micros
    deferred_by: str | None
    trigger_id: int


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
    apart: list[_Advance] = []
    drafted, drafts = batch.drafted, launch.drafts
    nexts: dict[tuple[int, Micros], Micros | None] = {}  # a herd shares few timetables: ask each once per instant
    rows = driver.execute(_PLAN.due, (at, limit)).fetchall() if tx.is_exclusive else _held(tx, limit)
    if rows:
        batch.book = load_book(tx, since=_Due._make(rows[0]).fire_at)
    is_free = not batch.book
    for row in rows:
        trigger_id, nominal, generation, job_id, unfinished, _, _, deferred_by = row
        card = cards.get(trigger_id)
        if card is None or not card.is_current(generation, inventory, library):
            outcome.missing.append(trigger_id)
            continue
        terms = card.terms
        outcome.handled += 1
        if (
            is_free
            and deferred_by is None
            and terms.is_plain
            and card.ran_until is None
            and nominal >= at - terms.grace
        ):
            timetable = terms.timetable
            key = (id(timetable), nominal)
            following = nexts[key] if key in nexts else nexts.setdefault(key, timetable.next(nominal))
            if following is None or following > at:  # the common case: one instant, on time
                if unfinished or job_id in drafted or terms.refusal is not None:
                    _decide(batch, card, _Due._make(row), Start(nominal, nominal))
                else:
                    draft = Draft(card, trigger_id, nominal)
                    drafts.append(draft)
                    drafted[job_id] = [draft]
                advances.append((following, following, nominal, trigger_id))
                continue
        apart.append(_settle_apart(batch, card, _Due._make(row)))
        if len(drafts) >= MOST_DRAFTS:
            break  # the rest is still due
    _advance(tx, advances, apart, are_alike=len(nexts) == 1)
    for job_id in batch.left:
        count_runs(tx, job_id, len(drafted.get(job_id, ())))
    _, outcome.work = launch.flush()  # last of what takes long: from its end on the caps are held
    outcome.left_waiting = launch.left_waiting
    if launch.left_waiting:
        tx.tell(Hint.WORK)
    for blocked in batch.blocked:
        instant, terms = blocked.instant, blocked.card.terms
        assert terms.overlap is not None  # jobs always have one
        message = refusal(terms.overlap, terms.overlap_limit)
        record_refusal(
            tx, blocked.card, blocked.trigger_id, Reason.OVERLAP_SKIP, instant, instant, 1, blocked.by.run_id, message,
            times=terms.timetable,
        )  # fmt: skip
    (outcome.next_fire,) = driver.execute(_PLAN.next_fire).fetchone()
    return outcome


def _advance(
    tx: Tx, advances: Sequence[tuple[Micros | None, Micros | None, Micros, int]], apart: Sequence[_Advance], *,
    are_alike: bool,
) -> None:  # fmt: skip
    """Write the next instants. Where they are all the same one statement does it: a third less for each row."""
    driver = tx.driver
    if are_alike and advances:
        driver.execute(_PLAN.advance_alike, (*advances[0][:3], json.dumps([trigger_id for *_, trigger_id in advances])))
    else:
        driver.executemany(_PLAN.advance, advances)
    driver.executemany(_PLAN.advance_deferred, apart)


def _held(tx: Tx, limit: int) -> list[_Due]:
    """What is due and held by nobody else, as on an exclusive store, with the jobs' states held too."""
    rows = hold_due(tx, limit=min(limit, MOST_BESIDE_OTHERS))
    jobs = hold_jobs(tx, (row.job_id for row in rows))
    return [_Due(*row[:4], *jobs[row.job_id], row.fire_at, row.deferred_by) for row in rows]


def _settle_apart(batch: _Batch, card: Card, due: _Due) -> _Advance:
    """Settle what is off the common path: late, moved, held or counted triggers, and those without a timetable."""
    terms = card.terms
    if terms.max_runs is not None and due.job_id not in batch.left:
        batch.left[due.job_id] = runs_left(batch.launch.tx, due.job_id, terms.max_runs) or 0
    rules = batch.book.rules_for(card.subject) if batch.book or terms.subject.names_rules else NO_RULES
    if terms.event is not None:
        return _settle_event(batch, card, terms.event, due, rules)
    pending, timetable = Pending(due.nominal, due.fire_at, due.deferred_by), terms.timetable
    if card.ran_until is not None:
        timetable = _without_what_ran(batch.launch.tx, timetable, due, card.ran_until)
    course = Course(timetable, card.spreading, rules)
    if timetable is not terms.timetable and timetable.prev(due.nominal + 1) != due.nominal:
        ahead = course.after(due.nominal)  # this one ran
        nominal, fire_at = (None, None) if ahead is None else (ahead.nominal, ahead.fire_at)
        return _Advance(nominal, fire_at, due.nominal, None, due.trigger_id)
    reckoning = reckon(course, pending, now=batch.outcome.at, grace=terms.grace, missed=terms.missed,
                       catch_up=terms.catch_up)  # fmt: skip
    for outcome in reckoning.outcomes:
        if isinstance(outcome, Start):
            _decide(batch, card, due, outcome)
        else:
            _write_down(batch.launch.tx, card, due.trigger_id, outcome)
    following = (None, None, None) if reckoning.next is None else reckoning.next
    nominal, fire_at, deferred_by = following
    return _Advance(nominal, fire_at, reckoning.high_water, deferred_by, due.trigger_id)


def _without_what_ran(tx: Tx, timetable: Timetable, due: _Due, until: Micros) -> Timetable:
    """Instants that are due now, and in the next day, less those of which there is a run."""
    ran = ran_ahead(tx, due.trigger_id, after=due.nominal - 1, until=min(until, tx.at + DAY))
    return WithoutTimes(timetable, ran) if ran else timetable


def _settle_event(batch: _Batch, card: Card, event: Event, due: _Due, rules: Rules) -> _Advance:
    """Settle an event that is due, or a continuous trigger that is looked at.

    It is never missed: what counts is that it happened, not when the planner came to it. While something holds it, a
    continuous trigger has no occurrence: one comes about when it may start.
    """
    tx, at, rule, trigger_id = batch.launch.tx, batch.outcome.at, event.rule, due.trigger_id
    high_water, opens_at = high_water_of(tx, trigger_id), event.opens_at(at)
    instant = max(at, high_water + 1)  # its name: later than every one before, whatever was done to the clock
    verdict = verdict_at(at, rules)
    if not isinstance(rule, ContinuousTrigger):
        if opens_at == at and verdict.reason is not None:
            _write_down(tx, card, trigger_id, Refused(verdict.reason, instant, instant, 1, verdict.by))
        elif opens_at == at and verdict.deferred_to is not None:
            return _Advance(instant, verdict.deferred_to, high_water, verdict.by, trigger_id)
        elif opens_at == at:
            _decide(batch, card, due, Start(instant, instant, deferred_by=due.deferred_by))
        return _Advance(None, None, instant, None, trigger_id)
    batch.outcome.continuous = True
    if opens_at is None:
        return _Advance(None, None, high_water, None, trigger_id)
    if due.unfinished or due.job_id in batch.drafted:
        return _Advance(None, at + LOOK_AGAIN, high_water, None, trigger_id)
    ready = max(opens_at, ready_at(tx, due.job_id, rule))
    if card.terms.refusal is not None:
        ready = max(ready, refused_until(tx, due.job_id, trigger_id, rule))
    if ready > at:
        return _Advance(ready, ready, high_water, None, trigger_id)
    if verdict.by is not None:
        return _Advance(None, min(verdict.until, at + LOOK_AGAIN), high_water, None, trigger_id)
    _decide(batch, card, due, Start(instant, instant))
    return _Advance(None, at + LOOK_AGAIN, instant, None, trigger_id)


def _decide(batch: _Batch, card: Card, due: _Due, start: Start) -> None:
    """Put a start through the overlap policy: a draft, or a refusal in the ledger."""
    terms, job_id, tx, instant = card.terms, due.job_id, batch.launch.tx, start.nominal
    assert terms.overlap is not None  # jobs always have one
    if len(batch.drafted.get(job_id, ())) >= batch.left.get(job_id, MAX_INSTANTS_AT_ONCE + 1):
        return  # `max_runs` is reached: nothing is due any more
    if terms.refusal is not None:
        reason, message = terms.refusal
        _write_down(tx, card, due.trigger_id, Refused(reason, instant, instant, 1, message))
        return
    due_at = None if start.catch_up else start.due_at
    if terms.patience is not None and terms.patience.is_past(due_at or instant, tx.at):
        _write_down(tx, card, due.trigger_id, Refused(Reason.PAST_DEADLINE, instant, instant, 1))
        return
    draft = Draft(card, due.trigger_id, instant, start.catch_up, deferred_by=start.deferred_by, due_at=due_at)
    if start.in_turn:  # all of these run: none is in another's way
        draft.waits_for_overlap = True
        at_once = most_at_once(terms.overlap, terms.overlap_limit)
        draft.turn = Turn(at_once, terms.catch_up.spacing, not_before=start.due_at)
        batch.draft(job_id, draft)
        return
    drafted = batch.drafted.get(job_id, [])
    match on_overlap(terms.overlap, due.unfinished + len(drafted), terms.overlap_limit):
        case "skip" if drafted:
            batch.blocked.append(_Blocked(card, due.trigger_id, instant, by=drafted[-1]))
        case "skip":
            message = refusal(terms.overlap, terms.overlap_limit)
            record_refusal(tx, card, due.trigger_id, Reason.OVERLAP_SKIP, instant, instant, 1, due.last_run, message,
                           times=terms.timetable)  # fmt: skip
        case "queue":
            draft.waits_for_overlap = True
            batch.draft(job_id, draft)
        case "replace":
            for older in batch.drop(job_id):  # it would have been replaced before it could start
                assert older.nominal is not None  # the planner's drafts have one
                record_refusal(tx, older.request, older.trigger_id, Reason.OVERLAP_REPLACED, older.nominal,
                               older.nominal, 1, None, None)  # fmt: skip
            if due.unfinished:
                batch.outcome.cancels += cancel_runs_of(tx, job_id, Reason.OVERLAP_REPLACED)
            draft.waits_for_overlap = due.unfinished > 0
            batch.draft(job_id, draft)
        case "start":
            batch.draft(job_id, draft)


def _write_down(tx: Tx, card: Card, trigger_id: int, refused: Refused) -> None:
    """The ledger row of instants that come to nothing. What was missed is a span of its own; else spans grow."""
    times = None if refused.reason is Reason.MISSED else card.terms.timetable
    record_refusal(tx, card, trigger_id, refused.reason, refused.first, refused.last, refused.occurrences, None,
                   refused.message, times=times)  # fmt: skip


def record_refusal(
    tx: Tx, request: Requested, trigger_id: int | None, reason: Reason, first: Micros, last: Micros, count: int,
    blocked_by: int | None, message: str | None, *, times: Timetable | None = None,
) -> None:  # fmt: skip
    """Write the ledger row of a decision not to run, or let the last row grow into a span, of the rhythm `times`: by
    the instant right after the last one, refused for the same reason and behind the same run. So a span is of one
    rhythm: else nobody could tell how many of its instants came before a moment within it."""
    if times is not None:
        same = (request.job_id, trigger_id, reason, blocked_by, message)
        row = tx.driver.execute(_PLAN.ledger_last, same).fetchone()
        if row is not None and _goes_on(times, first, *row[1:]):
            tx.driver.execute(_PLAN.ledger_again, (last, count, tx.at, row[0]))
            return
    assert request.job_id is not None  # only jobs have policies that refuse
    record_span(
        tx, job_id=request.job_id, job_name=request.title, trigger_id=trigger_id, kind=request.terms.kind,
        reason=reason, message=message, first=first, last=last, count=count, blocked_by=blocked_by,
    )  # fmt: skip


def _goes_on(times: Timetable, instant: Micros, first: Micros, last: Micros, count: int) -> bool:
    """Whether a span of so many instants is of this rhythm, and `instant` comes right after it."""
    return times.prev(instant) == last and are_all(times, first, last, count)
