"""A SQLite store as long use leaves it: many jobs, each with its next instant, and a history of runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from rota.domain.job import JobSpec, NamedTrigger
from rota.domain.step import Step
from rota.domain.trigger.spec import CronTrigger
from rota.ports import Tx
from rota.storage.executor import InlineExecutor
from rota.storage.jobs import insert_job
from rota.storage.schema import prepare
from rota.storage.sqlite import SqliteStore
from tests.support.clock import NOON, ManualClock

_AT_ONCE = 5_000
_MINUTE = 60_000_000
_PLAN = "INSERT INTO plan VALUES (1, 'one', '{}')"
_TARGET_SET = "INSERT INTO target_set VALUES (1, 'one', 1, '[]')"
# As the planner makes them: a run, its target and its attempt, with public ids in no order.
_RUNS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :runs)
INSERT INTO run (id, public_id, job_id, job_version_id, title, trigger_id, nominal, kind, catch_up, state, priority,
                 plan_id, target_set_id, total, ok, open_targets, targets_at_once, run_timeout, principal,
                 created_at, due_at, queued_at, started_at, finished_at)
SELECT i, lower(hex(randomblob(8))), i % :jobs + 1, i % :jobs + 1, 'job-' || (i % :jobs), i % :jobs + 1,
       :noon + i, 'cron', 0, CASE WHEN i % 50 THEN 'succeeded' ELSE 'failed' END, 0, 1, 1, 1, i % 50 > 0, 0, 10,
       3600000000, 'ada', :noon + i, :noon + i, :noon + i, :noon + i, :noon + i + 1000
FROM n
"""
_TARGETS = """
INSERT INTO run_target (id, run_id, host, connector, state, priority, fence, cursor, changed, started_at, finished_at)
SELECT id, id, '@controller', 'local', state, 0, 1, 1, id % 2, started_at, finished_at FROM run
"""
_ATTEMPTS = """
INSERT INTO attempt (id, run_target_id, step, number, state, exit_code, changed, output_bytes, intended_at, started_at,
                     finished_at)
SELECT id, id, 0, 1, state, iif(state = 'succeeded', 0, 1), id % 2, 0, queued_at, started_at, finished_at FROM run
"""
_IDS = "INSERT INTO sequence VALUES ('run', :runs), ('run_target', :runs), ('attempt', :runs)"


async def a_large_store(path: Path, *, jobs: int, runs: int) -> None:
    """Make it at `path`: `runs` runs, spread evenly over `jobs` jobs."""
    prepare(path, create=True)
    store = SqliteStore(path, clock=ManualClock(), executor=InlineExecutor())
    for first in range(0, jobs, _AT_ONCE):
        await store.write(lambda tx, first=first: _insert(tx, range(first, min(first + _AT_ONCE, jobs))))  # type: ignore[misc]
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("BEGIN")
        for statement in (_PLAN, _TARGET_SET, _RUNS, _TARGETS, _ATTEMPTS, _IDS):
            driver.execute(statement, {"jobs": jobs, "runs": runs, "noon": NOON})
        driver.execute("COMMIT")


def _insert(tx: Tx, numbers: range) -> None:
    for number in numbers:
        rule = CronTrigger(f"{number % 60} {number // 60 % 24} * * *", "Europe/Berlin")
        insert_job(
            tx,
            JobSpec(
                name=f"job-{number}",
                steps=(Step(name="main", action="noop"),),
                triggers=(NamedTrigger(name="main", rule=rule),),
            ),
            "ada",
        )
