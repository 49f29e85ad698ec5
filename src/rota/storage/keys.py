"""Idempotency keys of requests that no job stands behind; those of a job's runs are a column of the run."""

from __future__ import annotations

from rota.domain.errors import Conflict
from rota.domain.instant import MINUTE, Micros
from rota.ports import Tx
from rota.storage import tables
from rota.storage.insert import insert_row

_NO_RUN_YET = 0
IN_HAND: Micros = MINUTE  # a request that has made no run for this long died on the way


def claim(tx: Tx, key: str, *, route: str, request: str) -> int | None:
    """Note the key; return the run it stands for if it has been used. `request` is a digest of the words.

    Raises Conflict if the key was used with other words, or if the first request with it is still being carried out.
    """
    row = tx.driver.execute("SELECT route, request, run_id, at FROM idempotency_key WHERE key = ?", (key,)).fetchone()
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
    # The run carries the key too: a process that died between making it and saying so here makes no second one.
    made = tx.driver.execute("SELECT id FROM run WHERE job_id IS NULL AND key = ?", (key,)).fetchone()
    if made is not None:
        return int(made[0])
    if tx.at - row[3] < IN_HAND:
        raise Conflict(
            f'the first request with the idempotency key "{key}" is still being carried out',
            hint="try again in a moment",
        )
    tx.driver.execute("UPDATE idempotency_key SET at = ? WHERE key = ?", (tx.at, key))
    return None


def fulfil(tx: Tx, key: str, run_id: int) -> None:
    """Say which run the key stands for."""
    tx.driver.execute("UPDATE idempotency_key SET run_id = ? WHERE key = ?", (run_id, key))


def release(tx: Tx, key: str) -> None:
    """The request made no run: its key may be used again at once."""
    tx.driver.execute("DELETE FROM idempotency_key WHERE key = ? AND run_id = ?", (key, _NO_RUN_YET))
