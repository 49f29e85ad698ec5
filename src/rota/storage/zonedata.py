"""The release of the time zone database that due instants were computed with, and what a new one changes.

Kept once, not with every run: what was planned at an instant was computed with the release in force then.
"""

from __future__ import annotations

import json

from rota.domain.instant import Micros
from rota.domain.job import JobSpec
from rota.domain.trigger.spec import ZonedTrigger, from_dict
from rota.domain.trigger.timetable import timetable, timetable_within
from rota.ports import Tx
from rota.storage import tables
from rota.storage.insert import insert_row
from rota.storage.timing import set_due

_DUE = """
SELECT due.trigger_id, due.nominal, due.high_water, job_version.spec
FROM due
JOIN trigger ON trigger.id = due.trigger_id
JOIN job ON job.id = trigger.job_id
JOIN job_version ON job_version.id = job.version_id
WHERE trigger.timetable_id = ? AND due.nominal > ?
  AND (NOT (due.nominal IS /*pg: NOT DISTINCT FROM */ ?) OR due.high_water > ?)
/*pg: FOR UPDATE OF due */
"""
DEPEND_ON_CLOCK_CHANGES = ("cron", "calendar")
"""Kinds of trigger whose instants depend on when clocks change."""


def release_at(tx: Tx, at: Micros) -> str | None:
    """The release that what was planned at `at` was computed with; None before the first that is known."""
    row = tx.driver.execute("SELECT version FROM zone_data WHERE since <= ? ORDER BY id DESC LIMIT 1", (at,)).fetchone()
    return None if row is None else str(row[0])


def use_release(tx: Tx, version: str) -> int:
    """Note the release in use; where it is a new one, compute all due instants again. Returns how many moved.

    What has passed unplanned stays as it is: it was due by the rules of that day.
    """
    row = tx.driver.execute("SELECT version FROM zone_data ORDER BY id DESC LIMIT 1").fetchone()
    if row is not None and row[0] == version:
        return 0
    insert_row(tx, tables.zone_data, (tx.take_ids("zone_data"), version, tx.at))
    if row is None:
        return 0
    timetables = tx.driver.execute("SELECT id, kind, rule FROM timetable").fetchall()
    return sum(_recompute(tx, table_id, rule) for table_id, kind, rule in timetables if kind in DEPEND_ON_CLOCK_CHANGES)


def _recompute(tx: Tx, timetable_id: int, rule_text: str) -> int:
    """Compute one timetable again. Its next instant is asked for once; only rows that have another are looked at."""
    rule = from_dict(json.loads(rule_text))
    times = timetable(rule)
    assert isinstance(rule, ZonedTrigger) and times is not None  # a cron or calendar trigger
    moved = 0
    rows = tx.driver.execute(_DUE, (timetable_id, tx.at, times.next(tx.at), tx.at)).fetchall()
    for trigger_id, nominal, high_water, spec_text in rows:
        spec = JobSpec.from_dict(json.loads(spec_text))
        within = timetable_within(rule, spec.start_at, spec.end_at) or times
        if within.next(max(high_water, tx.at)) != nominal:
            moved += 1
            set_due(tx, trigger_id, rule, high_water, spec, enabled=True)
    return moved
