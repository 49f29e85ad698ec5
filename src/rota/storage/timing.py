"""A job's triggers and when each is due next, as saving the job leaves them.

A trigger keeps its id for as long as (job, trigger name) lives, also while an edit has taken it away. Its
`high_water` is moved back by no edit: that stops a clock set back from firing anything twice (see `clock_changes` for
one that was far ahead). Triggers without a timetable (continuous, on_start) are due when something happens: `events`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from rota.domain.instant import Micros
from rota.domain.job import JobSpec, NamedTrigger, canonical
from rota.domain.reasons import Reason
from rota.domain.spreading import spreading_of
from rota.domain.step import Json
from rota.domain.trigger.spec import ContinuousTrigger, ManualTrigger, TriggerSpec, from_dict, to_dict
from rota.domain.trigger.timetable import timetable_within
from rota.ports import Tx
from rota.storage import tables
from rota.storage.insert import insert_row
from rota.storage.ledger import record_span
from rota.storage.quota import keep_count
from rota.storage.row_locks import hold_triggers


@dataclass(frozen=True, slots=True)
class Timing:
    """When one trigger is due. `nominal` may have passed: then no daemon has planned it yet, or it is put off.

    `fire_at`: when it is to start; `deferred_by` the calendar that has put it off until then.
    """

    trigger_id: int
    name: str
    kind: str
    rule: TriggerSpec | None  # None = manual, or taken away by an edit
    nominal: Micros | None
    high_water: Micros
    fire_at: Micros | None = None
    deferred_by: str | None = None


def timings_of(tx: Tx, job_id: int) -> list[Timing]:
    """Every trigger the job has or had, by id."""
    rows = tx.driver.execute(
        """
        SELECT trigger.id, trigger.name, trigger.kind, timetable.rule, due.nominal, due.high_water,
               due.fire_at, due.deferred_by
        FROM trigger
        LEFT JOIN timetable ON timetable.id = trigger.timetable_id
        LEFT JOIN due ON due.trigger_id = trigger.id
        WHERE trigger.job_id = ? ORDER BY trigger.id
        """,
        (job_id,),
    ).fetchall()
    return [
        Timing(
            trigger_id, name, kind, None if rule is None else from_dict(json.loads(rule)), nominal, high_water or 0,
            fire_at, deferred_by,
        )
        for trigger_id, name, kind, rule, nominal, high_water, fire_at, deferred_by in rows
    ]  # fmt: skip


def start_triggers(tx: Tx, job_id: int, spec: JobSpec) -> None:
    """Insert the triggers of a new job. The first instant of each is the next one after now."""
    enabled = spec.enabled if spec.max_runs is None else keep_count(tx, job_id, spec.max_runs) and spec.enabled
    first = tx.take_ids("trigger", len(spec.triggers))
    for trigger_id, trigger in enumerate(spec.triggers, start=first):
        _insert(tx, trigger_id, job_id, trigger, spec, enabled=enabled)


def change_triggers(tx: Tx, job_id: int, old: JobSpec, spec: JobSpec, *, why: str) -> None:
    """Bring the rows of a saved job in line with its new version.

    A rule that is the same and goes on keeps its place, so that windows no daemon has planned yet are not lost.
    Where a rule changes or stops, windows that have passed unplanned go to the ledger as missed, with `why`.
    """
    hold_triggers(tx, job_id)
    known = {timing.name: timing for timing in timings_of(tx, job_id)}
    enabled, job_name = keep_count(tx, job_id, spec.max_runs) and spec.enabled, spec.name
    same_bounds = (old.start_at, old.end_at) == (spec.start_at, spec.end_at)
    for trigger in spec.triggers:
        timing = known.pop(trigger.name, None)
        if timing is None:
            _insert(tx, tx.take_ids("trigger"), job_id, trigger, spec, enabled=enabled)
        elif enabled and timing.nominal is not None and timing.rule == trigger.rule and same_bounds:
            tx.driver.execute(
                "UPDATE due SET generation = generation + 1, fire_at = ? WHERE trigger_id = ?",
                (_moved(tx, timing, old, spec), timing.trigger_id),
            )
        else:
            _cover_passed(tx, job_id, job_name, old, timing, why)
            tx.driver.execute(
                "UPDATE trigger SET kind = ?, timetable_id = ? WHERE id = ?",
                (trigger.rule.kind, _intern(tx, trigger.rule), timing.trigger_id),
            )
            set_due(tx, timing.trigger_id, trigger.rule, timing.high_water, spec, enabled=enabled)
    for timing in known.values():
        _stop(tx, job_id, job_name, old, timing, why)
        tx.driver.execute("UPDATE trigger SET timetable_id = NULL WHERE id = ?", (timing.trigger_id,))


def stop_triggers(tx: Tx, job_id: int, spec: JobSpec, *, why: str) -> None:
    """Nothing of this job is due any more."""
    hold_triggers(tx, job_id)
    for timing in timings_of(tx, job_id):
        _stop(tx, job_id, spec.name, spec, timing, why)


def _insert(tx: Tx, trigger_id: int, job_id: int, trigger: NamedTrigger, spec: JobSpec, *, enabled: bool) -> None:
    values = (trigger_id, job_id, trigger.name, trigger.rule.kind, _intern(tx, trigger.rule))
    insert_row(tx, tables.trigger, values)
    set_due(tx, trigger_id, trigger.rule, tx.at, spec, enabled=enabled)


def set_due(tx: Tx, trigger_id: int, rule: TriggerSpec, high_water: Micros, spec: JobSpec, *, enabled: bool) -> None:
    """Name the next instant after now and after everything that was ever planned.

    A continuous trigger has none that is known: the planner looks at it at once, and decides.
    """
    times = timetable_within(rule, spec.start_at, spec.end_at)
    after = max(high_water, tx.at)
    nominal = times.next(after) if times is not None and enabled else None
    fire_at = tx.at if enabled and isinstance(rule, ContinuousTrigger) else _fire_at(spec, nominal)
    tx.driver.execute(
        """
        INSERT INTO due (trigger_id, nominal, fire_at, high_water, generation) VALUES (?, ?, ?, ?, 1)
        ON CONFLICT (trigger_id) DO UPDATE SET nominal = excluded.nominal, fire_at = excluded.fire_at,
            generation = due.generation + 1, deferred_by = NULL,
            high_water = CASE WHEN due.high_water > excluded.high_water THEN due.high_water
                              ELSE excluded.high_water END
        """,
        (trigger_id, nominal, fire_at, after),
    )


def _fire_at(spec: JobSpec, nominal: Micros | None) -> Micros | None:
    """When an instant is due to start."""
    spreading = spreading_of(spec.name, spec.spread_seconds, spec.jitter_seconds)
    return nominal if nominal is None or spreading is None else nominal + spreading.offset(nominal)


def _moved(tx: Tx, timing: Timing, old: JobSpec, spec: JobSpec) -> Micros | None:
    """When a trigger that keeps its place is due to start, now that its job may move or hold it in another way.

    What was still to come never becomes late by an edit: it is due now at the earliest.
    """
    if timing.fire_at is None or timing.fire_at <= tx.at:
        return timing.fire_at
    if timing.deferred_by is not None:
        held = (old.calendars, old.windows, old.tags, old.target)
        return timing.fire_at if held == (spec.calendars, spec.windows, spec.tags, spec.target) else tx.at
    return max(_fire_at(spec, timing.nominal) or timing.fire_at, tx.at)


def _stop(tx: Tx, job_id: int, job_name: str, old: JobSpec, timing: Timing, why: str) -> None:
    _cover_passed(tx, job_id, job_name, old, timing, why)
    tx.driver.execute(
        """
        UPDATE due SET nominal = NULL, fire_at = NULL, generation = generation + 1, deferred_by = NULL,
            high_water = CASE WHEN high_water < ? THEN ? ELSE high_water END
        WHERE trigger_id = ?
        """,
        (tx.at, tx.at, timing.trigger_id),
    )


def _cover_passed(tx: Tx, job_id: int, job_name: str, old: JobSpec, timing: Timing, why: str) -> None:
    """No silent loss (DESIGN §3): what has passed and was planned by nobody is written down before it is forgotten."""
    times = None if timing.rule is None else timetable_within(timing.rule, old.start_at, old.end_at)
    if times is None or timing.nominal is None or timing.nominal > tx.at:
        return
    record_span(
        tx,
        job_id=job_id,
        job_name=job_name,
        trigger_id=timing.trigger_id,
        kind=timing.kind,
        reason=Reason.MISSED,
        message=why,
        first=timing.nominal,
        last=times.last_at_or_before(tx.at, timing.nominal) or timing.nominal,
        count=1 + times.count(timing.nominal, tx.at),
    )


def _intern(tx: Tx, rule: TriggerSpec) -> int | None:
    """The row id of the rule's timetable; equal rules share one. None for a manual trigger."""
    if isinstance(rule, ManualTrigger):
        return None
    content: dict[str, Json] = to_dict(rule)  # type: ignore[assignment]  # texts and numbers only
    text = canonical(content)
    row = tx.driver.execute("SELECT id FROM timetable WHERE rule = ?", (text,)).fetchone()
    if row is not None:
        return int(row[0])
    timetable_id = tx.take_ids("timetable")
    insert_row(tx, tables.timetable, (timetable_id, rule.kind, text))
    return timetable_id
