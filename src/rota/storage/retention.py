"""Old history goes, in slices so small that nothing waits for them, and by no index that a start would have to pay for.

Ids are handed out in the order of time, so whatever is old lies at the small ids: each table is walked from there and
left at the first row that is young. What is to go is found by a reader; a write only deletes, by key.

Freed pages are used again, so the file of a store in balance stops growing; it is not made smaller.
"""

from __future__ import annotations

from typing import NamedTuple

from rota.domain.instant import Micros
from rota.ports import Tx

KEPT_PER_JOB = 20  # the newest runs of a job stay whatever their age (DESIGN §5)
LOOKED_AT = 500  # rows of `run` that one look may touch; each may cost a walk over KEPT_PER_JOB entries of an index
MOST_TARGETS = 500  # that one write deletes: about 10 ms
MOST_ROWS = 1000  # of the narrower tables

# A run that began before it can have ended later; one that was made later cannot have ended before.
_OLD = f"""
SELECT run.id, run.created_at, run.total,
       CASE WHEN run.finished_at IS NULL OR run.finished_at >= ? THEN 1
            WHEN job.id IS NULL THEN 0
            WHEN run.id >= coalesce((SELECT recent.id FROM run AS recent WHERE recent.job_id = run.job_id
                                     ORDER BY recent.id DESC LIMIT 1 OFFSET {KEPT_PER_JOB - 1}), 0) THEN 1
            ELSE 0 END
FROM run LEFT JOIN job ON job.id = run.job_id AND job.deleted_at IS NULL
WHERE run.id > ? ORDER BY run.id LIMIT {LOOKED_AT}
"""  # noqa: S608  # numbers of our own


class OldRun(NamedTuple):
    id: int
    targets: int


class Found(NamedTuple):
    """Runs that may go, oldest first. `after`: where the next look begins; None: all that follow are young."""

    runs: list[OldRun]
    after: int | None


def find_old_runs(tx: Tx, *, before: Micros, after: int) -> Found:
    """Look at the next runs by id: those that ended before `before`, but for the last 20 of each living job."""
    found: list[OldRun] = []
    rows = tx.driver.execute(_OLD, (before, after)).fetchall()
    for run_id, created_at, targets, stays in rows:
        if created_at >= before:
            return Found(found, None)
        if not stays:
            found.append(OldRun(run_id, targets))
    return Found(found, rows[-1][0] if len(rows) == LOOKED_AT else None)


def thin_out(tx: Tx, run_id: int) -> int:
    """Delete up to MOST_TARGETS targets of a run that may go, with their attempts. Returns how many there were."""
    driver = tx.driver
    ids = driver.execute("SELECT id FROM run_target WHERE run_id = ? LIMIT ?", (run_id, MOST_TARGETS)).fetchall()
    driver.executemany("DELETE FROM attempt WHERE run_target_id = ?", ids)
    driver.executemany("DELETE FROM run_target WHERE id = ?", ids)
    return len(ids)


def delete_runs(tx: Tx, run_ids: list[int]) -> None:
    """Delete runs that may go, with what hangs on them. Their targets together are bounded by the caller."""
    driver, rows = tx.driver, [(run_id,) for run_id in run_ids]
    driver.executemany("DELETE FROM attempt WHERE run_target_id IN (SELECT id FROM run_target WHERE run_id = ?)", rows)
    for table in ("run_target", "run_fanout", "run_turn"):
        driver.executemany(f"DELETE FROM {table} WHERE run_id = ?", rows)  # noqa: S608  # names of our own
    driver.executemany("DELETE FROM run WHERE id = ?", rows)


def delete_old_ledger(tx: Tx, *, before: Micros) -> int:
    """Delete up to MOST_ROWS refusals decided before `before`. Returns how many."""
    statement = "DELETE FROM ledger WHERE id IN (SELECT id FROM ledger WHERE at < ? ORDER BY at LIMIT ?)"
    return int(tx.driver.execute(statement, (before, MOST_ROWS)).rowcount)


def delete_old_events(tx: Tx, *, before: Micros, after: int) -> int | None:
    """Delete what of the next MOST_ROWS outbox rows is delivered and old. Returns where to go on, None at the end."""
    driver = tx.driver
    statement = "SELECT id, at, delivered_at FROM outbox WHERE id > ? ORDER BY id LIMIT ?"
    rows = driver.execute(statement, (after, MOST_ROWS)).fetchall()
    old = [(event_id,) for event_id, at, delivered_at in rows if at < before and delivered_at is not None]
    driver.executemany("DELETE FROM outbox WHERE id = ?", old)
    return int(rows[-1][0]) if len(rows) == MOST_ROWS and rows[-1][1] < before else None


def delete_old_keys(tx: Tx, *, before: Micros, after: str) -> str | None:
    """Delete what of the next MOST_ROWS idempotency keys is old. Returns where to go on, None at the end."""
    driver = tx.driver
    statement = "SELECT key, at FROM idempotency_key WHERE key > ? ORDER BY key LIMIT ?"
    rows = driver.execute(statement, (after, MOST_ROWS)).fetchall()
    driver.executemany("DELETE FROM idempotency_key WHERE key = ?", [(key,) for key, at in rows if at < before])
    return str(rows[-1][0]) if len(rows) == MOST_ROWS else None


def delete_ended_owners(tx: Tx, *, before: Micros) -> int:
    """Delete up to MOST_ROWS owners that ended before `before`: each command without a daemon is one."""
    statement = "DELETE FROM owner WHERE id IN (SELECT id FROM owner WHERE ended_at < ? LIMIT ?)"
    return int(tx.driver.execute(statement, (before, MOST_ROWS)).rowcount)
