"""What a clock that was set leaves in the store: a line for people, and nothing that waits for a time that is far off.

What was planned is never planned again: a run's nominal instant is its name. But what a clock that was ahead merely
wrote off (a year of missed instants, say), and waits reckoned from moments that are still to come, are taken back;
else a clock that was wrong once would keep schedules silent for as long as it was wrong by.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from rota.domain.clocks import Change, Kind
from rota.domain.instant import DAY, MINUTE, Micros, format_rfc3339, parse_rfc3339
from rota.domain.job import JobSpec
from rota.domain.trigger.spec import from_dict
from rota.domain.trigger.timetable import Timetable, are_all, timetable_within
from rota.ports import Tx
from rota.storage import audit
from rota.storage.statements import Statements
from rota.storage.timing import set_due

SUBJECT = "instance: the clock"
TAKEN_BACK_BEYOND: Micros = DAY  # nearer than this a schedule waits until the clock is there again: nothing is doubled
_ACTOR = "rota"
_VERSIONS = 50  # of a job that are looked at: so often nobody saves one while the clock is wrong
_CLOCK = Statements("clock")


class Recorded(NamedTuple):
    """`start` and `until`: what the clock said before and after. `machine`: whose clock it was, as far as one knows."""

    kind: Kind
    at: Micros
    start: Micros
    until: Micros
    said: str
    machine: str | None = None


def record(tx: Tx, change: Change, said: str, *, machine: str | None = None) -> None:
    """Write down for people that something happened to the clock."""
    detail = {"from": format_rfc3339(change.came_from), "until": format_rfc3339(change.at), "said": said}
    audit.record(tx, _ACTOR, change.kind, SUBJECT, detail | ({} if machine is None else {"machine": machine}))


def record_once(tx: Tx, change: Change, said: str, *, machine: str | None, known: Recorded | None) -> Recorded | None:
    """Write it down, unless another daemon on this store did. Returns the line that tells of it.

    `machine`: whose clock it was; None: the store's, which all see. `known`: the line by which the asker knew of the
    change before: what it sees now is another one, though it may look the same.
    """
    tx.driver.execute(_CLOCK.one_at_a_time)
    if not _has_told(tx, latest(tx, change.kind), change, machine, known):
        record(tx, change, said, machine=machine)
    return latest(tx, change.kind)


def latest(tx: Tx, *kinds: Kind) -> Recorded | None:
    """The newest change that was written down, of one of `kinds`, or of any."""
    entry = audit.latest(tx, SUBJECT, *(kinds or Kind))
    if entry is None:
        return None
    start, until = (parse_rfc3339(str(entry.detail[name])) for name in ("from", "until"))
    machine = entry.detail.get("machine")
    said = str(entry.detail["said"])
    return Recorded(Kind(entry.verb), entry.at, start, until, said, None if machine is None else str(machine))


def newest_record(tx: Tx) -> Micros | None:
    """The moment of the newest run and of the newest line of the audit, whichever is later; None in an empty store."""
    rows = tx.driver.execute(_CLOCK.newest_run).fetchone(), tx.driver.execute(_CLOCK.newest_audit).fetchone()
    return max((row[0] for row in rows if row is not None), default=None)


def settled_ahead(tx: Tx) -> Micros | None:
    """Up to when schedules are settled, if that is beyond now. A look at each trigger: for a start."""
    (until,) = tx.driver.execute(_CLOCK.furthest).fetchone()
    return until if until is not None and until > tx.at + TAKEN_BACK_BEYOND else None


def set_back(tx: Tx, change: Change, said: str, *, is_live: bool, known: Recorded | None = None) -> bool:
    """Let what waits go on as if the clock that was set back had always been right, and write it down. Safe to repeat:
    who was silent for a while sees late what another daemon has settled.

    False: it is written down already, by another daemon on this store, or, where it is only found at a start (not
    `is_live`), by an earlier start. `known`: as for `record_once`.
    """
    tx.driver.execute(_CLOCK.one_at_a_time)
    done = latest(tx, Kind.SET_BACK)
    is_known = _has_told(tx, done, change, None, known) if is_live else done is not None and _includes(done, change)
    if not is_known:
        record(tx, change, said)
    tx.driver.execute(_CLOCK.hosts, (tx.at, tx.at))
    for waits in (_CLOCK.retries, _CLOCK.patience):
        tx.driver.execute(waits, (change.by, tx.at, tx.at, tx.at + change.by))
    for moments in (_CLOCK.paces, _CLOCK.deferred, _CLOCK.fanouts):
        tx.driver.execute(moments, (tx.at, tx.at))
    return not is_known


def _has_told(tx: Tx, done: Recorded | None, change: Change, machine: str | None, known: Recorded | None) -> bool:
    """Whether `done` is another daemon's line of this very change. On a store of its own a daemon is the only one."""
    if tx.is_exclusive or done is None or done == known or done.machine != machine:
        return False
    return abs(done.until - change.at) < MINUTE and abs(done.start - change.came_from) < MINUTE


def _includes(done: Recorded, change: Change) -> bool:
    return done.until <= change.at and done.start >= change.came_from


def take_back(tx: Tx) -> int:
    """Let schedules that are settled beyond now go on from now. Returns how many triggers. Safe to repeat."""
    rows = tx.driver.execute(_CLOCK.ahead, (tx.at + TAKEN_BACK_BEYOND,)).fetchall()
    for trigger_id, name, job_id, rule_text, spec_text, enabled in rows:
        spec, rule = JobSpec.from_dict(json.loads(spec_text)), from_dict(json.loads(rule_text))
        times = timetable_within(rule, spec.start_at, spec.end_at)
        if times is None:
            continue  # it is due when something happens
        _shorten(tx, trigger_id, job_id, name, times)
        tx.driver.execute(_CLOCK.forget_high_water, (tx.at, trigger_id))
        set_due(tx, trigger_id, rule, tx.at, spec, enabled=bool(enabled))
    return len(rows)


def _shorten(tx: Tx, trigger_id: int, job_id: int, name: str, times: Timetable) -> None:
    """What was refused and has not come yet will be decided when it comes. `times`: the rhythm of the trigger `name` by
    now; a span may be of an earlier one, which its instants tell: all are of one (see `planning.record_refusal`)."""
    tx.driver.execute(_CLOCK.drop_spans, (trigger_id, tx.at))
    for ledger_id, first, last, count in tx.driver.execute(_CLOCK.spans, (trigger_id, tx.at)).fetchall():
        known = chain((times,), _earlier(tx, job_id, name))
        rhythm = next((one for one in known if are_all(one, first, last, count)), times)
        until = rhythm.last_at_or_before(tx.at, first) or first
        tx.driver.execute(_CLOCK.end_span, (until, min(count, 1 + rhythm.count(first, until)), ledger_id))


def _earlier(tx: Tx, job_id: int, name: str) -> Iterator[Timetable]:
    """The rhythms that the trigger had by the job's versions, newest first; looked up only where they are asked for."""
    for (text,) in tx.driver.execute(_CLOCK.specs, (job_id, _VERSIONS)).fetchall():
        spec = JobSpec.from_dict(json.loads(text))
        for trigger in spec.triggers:
            times = timetable_within(trigger.rule, spec.start_at, spec.end_at) if trigger.name == name else None
            if times is not None:
                yield times


def ran_ahead(tx: Tx, trigger_id: int, *, after: Micros, until: Micros) -> Sequence[Micros]:
    """Instants in (after, until] of which there is a run already: it was made while the clock was ahead."""
    return [instant for (instant,) in tx.driver.execute(_CLOCK.ran_ahead, (trigger_id, after, until)).fetchall()]
