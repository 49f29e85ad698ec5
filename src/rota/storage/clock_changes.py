"""What a clock that was set leaves in the store: a line for people, and nothing that waits for a time that is far off.

What was planned is never planned again: a run's nominal instant is its name. But what a clock that was ahead merely
wrote off (a year of missed instants, say), and waits reckoned from moments that are still to come, are taken back;
else a clock that was wrong once would keep schedules silent for as long as it was wrong by.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from rota.domain.clocks import Change, Kind
from rota.domain.instant import DAY, MINUTE, Micros, format_rfc3339, parse_rfc3339
from rota.domain.job import JobSpec
from rota.domain.trigger.spec import from_dict
from rota.domain.trigger.timetable import Timetable, timetable_within
from rota.ports import Tx
from rota.storage import audit
from rota.storage.statements import Statements
from rota.storage.timing import set_due

SUBJECT = "instance: the clock"
TAKEN_BACK_BEYOND: Micros = DAY  # nearer than this a schedule waits until the clock is there again: nothing is doubled
_ACTOR = "rota"
_CLOCK = Statements("clock")


def record(tx: Tx, change: Change, said: str) -> None:
    """Write down for people that something happened to the clock."""
    detail = {"from": format_rfc3339(change.came_from), "until": format_rfc3339(change.at), "said": said}
    audit.record(tx, _ACTOR, change.kind, SUBJECT, detail)


class Recorded(NamedTuple):
    """`start` and `until`: what the clock said before and after."""

    kind: Kind
    at: Micros
    start: Micros
    until: Micros
    said: str


def latest(tx: Tx, *kinds: Kind) -> Recorded | None:
    """The newest change that was written down, of one of `kinds`, or of any."""
    entry = audit.latest(tx, SUBJECT, *(kinds or Kind))
    if entry is None:
        return None
    start, until = (parse_rfc3339(str(entry.detail[name])) for name in ("from", "until"))
    return Recorded(Kind(entry.verb), entry.at, start, until, str(entry.detail["said"]))


def newest_record(tx: Tx) -> Micros | None:
    """The moment of the newest run and of the newest line of the audit, whichever is later; None in an empty store."""
    rows = tx.driver.execute(_CLOCK.newest_run).fetchone(), tx.driver.execute(_CLOCK.newest_audit).fetchone()
    return max((row[0] for row in rows if row is not None), default=None)


def lies_ahead(tx: Tx) -> bool:
    """Whether schedules are settled beyond now. A look at each trigger: for a start, and for a clock that was set."""
    return tx.driver.execute(_CLOCK.is_ahead, (tx.at + TAKEN_BACK_BEYOND,)).fetchone() is not None


def set_back(tx: Tx, change: Change, said: str, *, is_live: bool) -> bool:
    """Write down that the clock was set back, and let what waits go on as if it had always been right.

    False: another daemon on this store did so, or, where it is only found at a start (not `is_live`), an earlier start.
    """
    tx.driver.execute(_CLOCK.one_at_a_time)
    done = latest(tx, Kind.SET_BACK)
    if done is not None and is_live and not tx.is_exclusive and _is_same(done, change):
        return False
    if done is not None and not is_live and _includes(done, change):
        return False
    record(tx, change, said)
    tx.driver.execute(_CLOCK.hosts, (tx.at, tx.at))
    tx.driver.execute(_CLOCK.retries, (tx.at,) * 3)
    tx.driver.execute(_CLOCK.turns, (tx.at,) * 3)
    tx.driver.execute(_CLOCK.fanouts, (tx.at,) * 2)
    return True


def _is_same(done: Recorded, change: Change) -> bool:
    return abs(done.until - change.at) < MINUTE and abs(done.start - change.came_from) < MINUTE


def _includes(done: Recorded, change: Change) -> bool:
    return done.until <= change.at and done.start >= change.came_from


def take_back(tx: Tx) -> int:
    """Let schedules that are settled beyond now go on from now. Returns how many triggers. Safe to repeat."""
    rows = tx.driver.execute(_CLOCK.ahead, (tx.at + TAKEN_BACK_BEYOND,)).fetchall()
    for trigger_id, rule_text, spec_text, enabled in rows:
        spec, rule = JobSpec.from_dict(json.loads(spec_text)), from_dict(json.loads(rule_text))
        times = timetable_within(rule, spec.start_at, spec.end_at)
        if times is None:
            continue  # it is due when something happens
        _shorten(tx, trigger_id, times)
        tx.driver.execute(_CLOCK.forget_high_water, (tx.at, trigger_id))
        set_due(tx, trigger_id, rule, tx.at, spec, enabled=bool(enabled))
    return len(rows)


def _shorten(tx: Tx, trigger_id: int, times: Timetable) -> None:
    """What was refused and has not come yet will be decided when it comes."""
    tx.driver.execute(_CLOCK.drop_spans, (trigger_id, tx.at))
    for ledger_id, first, count in tx.driver.execute(_CLOCK.spans, (trigger_id, tx.at)).fetchall():
        last = times.last_at_or_before(tx.at, first) or first
        tx.driver.execute(_CLOCK.end_span, (last, min(count, 1 + times.count(first, last)), ledger_id))


def ran_ahead(tx: Tx, trigger_id: int, *, after: Micros, until: Micros) -> Sequence[Micros]:
    """Instants in (after, until] of which there is a run already: it was made while the clock was ahead."""
    return [instant for (instant,) in tx.driver.execute(_CLOCK.ran_ahead, (trigger_id, after, until)).fetchall()]
