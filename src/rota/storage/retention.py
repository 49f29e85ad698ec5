"""Old history goes, in batches small enough that nothing waits for them."""

from __future__ import annotations

from rota.domain.instant import Micros
from rota.ports import Tx

KEPT_PER_JOB = 20  # the newest runs of a job stay whatever their age (DESIGN §5)


def delete_old_runs(tx: Tx, *, before: Micros, limit: int = 500) -> list[int]:
    """Delete up to `limit` runs that finished before `before`, with their targets and attempts.

    Returns their ids; fewer than `limit` means that no more are due. Ad-hoc runs have no floor.
    """
    driver = tx.driver
    ids = [
        run_id
        for (run_id,) in driver.execute(
            """
            SELECT id FROM run
            WHERE finished_at < ?
              AND (job_id IS NULL OR id NOT IN (SELECT recent.id FROM run AS recent WHERE recent.job_id = run.job_id
                                                ORDER BY recent.id DESC LIMIT ?))
            ORDER BY id LIMIT ?
            """,
            (before, KEPT_PER_JOB, limit),
        )
    ]
    rows = [(run_id,) for run_id in ids]
    driver.executemany("DELETE FROM attempt WHERE run_target_id IN (SELECT id FROM run_target WHERE run_id = ?)", rows)
    for table in ("run_target", "run_fanout", "outbox", "idempotency_key"):
        driver.executemany(f"DELETE FROM {table} WHERE run_id = ?", rows)  # noqa: S608  # table names of our own
    driver.executemany("DELETE FROM run WHERE id = ?", rows)
    return ids


def delete_old_ledger(tx: Tx, *, before: Micros) -> int:
    """Delete refusals decided before `before`. Returns how many."""
    return int(tx.driver.execute("DELETE FROM ledger WHERE at < ?", (before,)).rowcount)
