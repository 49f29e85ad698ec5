"""Idempotency keys of requests that no job stands behind; those of a job's runs are a column of the run."""

from __future__ import annotations

from rota.domain.errors import Conflict
from rota.ports import Tx
from rota.storage import tables
from rota.storage.insert import insert_row

_NO_RUN_YET = 0


def claim(tx: Tx, key: str, *, route: str, request: str) -> int | None:
    """Note the key; return the run it stands for if it has been used. `request` is a digest of the words.

    Raises Conflict if the key was used with other words. A key whose run was never made (a crash in between) may be
    used again: the run itself carries the key too, so there is never a second one.
    """
    row = tx.driver.execute("SELECT route, request, run_id FROM idempotency_key WHERE key = ?", (key,)).fetchone()
    if row is None:
        insert_row(tx, tables.idempotency_key, (key, route, request, _NO_RUN_YET, tx.at))
        return None
    if (row[0], row[1]) != (route, request):
        raise Conflict(
            f'the idempotency key "{key}" was used for another request',
            expected="the same words as the first time",
            hint="use a new key for a new request",
        )
    if row[2] != _NO_RUN_YET:
        return int(row[2])
    made = tx.driver.execute("SELECT id FROM run WHERE job_id IS NULL AND key = ?", (key,)).fetchone()
    return None if made is None else int(made[0])


def fulfil(tx: Tx, key: str, run_id: int) -> None:
    """Say which run the key stands for."""
    tx.driver.execute("UPDATE idempotency_key SET run_id = ? WHERE key = ?", (run_id, key))
