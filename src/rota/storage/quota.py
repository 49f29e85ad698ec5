"""How many runs a job's clock triggers have made, where `max_runs` limits them. Other jobs have no row here."""

from __future__ import annotations

from rota.ports import Tx


def keep_count(tx: Tx, job_id: int, max_runs: int | None) -> bool:
    """Count from now on, or no longer; a count that has begun goes on. Returns whether the clock may make more."""
    if max_runs is None:
        tx.driver.execute("DELETE FROM run_quota WHERE job_id = ?", (job_id,))
        return True
    tx.driver.execute(
        "INSERT INTO run_quota (job_id, made, most) VALUES (?, 0, ?)"
        " ON CONFLICT (job_id) DO UPDATE SET most = excluded.most",
        (job_id, max_runs),
    )
    return bool(runs_left(tx, job_id, max_runs))


def runs_left(tx: Tx, job_id: int, max_runs: int | None) -> int | None:
    """How many more of `max_runs` the clock may make; all of them where nothing was counted yet. None: no limit."""
    if max_runs is None:
        return None
    row = tx.driver.execute("SELECT made FROM run_quota WHERE job_id = ?", (job_id,)).fetchone()
    return max(max_runs - (0 if row is None else int(row[0])), 0)


def count_runs(tx: Tx, job_id: int, made: int) -> None:
    """Count what was just planned. With the last run that is allowed, nothing of the job is due any more."""
    (left,) = tx.driver.execute(
        "UPDATE run_quota SET made = made + ? WHERE job_id = ? RETURNING most - made", (made, job_id)
    ).fetchone()
    if left <= 0:
        tx.driver.execute(
            "UPDATE due SET nominal = NULL, fire_at = NULL"
            " WHERE trigger_id IN (SELECT id FROM trigger WHERE job_id = ?)",
            (job_id,),
        )
