"""Rows are held before what they say is judged, where other writes go on at the same time (PostgreSQL).

One order everywhere, so that nobody waits in a circle: due, job_state, run, run target, the caps on targets by their
keys, and last the cap on runs (both `run_limit`), which whoever starts or ends runs holds until the commit: so what
starts is decided by one at a time. It is therefore held late and briefly. Whoever holds a cap and wants an earlier row
takes only what is free (`free_…`), and comes back for the rest.

On SQLite nothing of this is asked: a write has the store to itself.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import NamedTuple

from rota.domain.instant import Micros
from rota.domain.states import RunState
from rota.ports import Tx
from rota.storage.statements import Statements

_LOCKS = Statements("row_locks")


class JobNow(NamedTuple):
    """What `job_state` says once it is held: unfinished runs, and the newest run."""

    active: int
    last_run: int | None


class Due(NamedTuple):
    """A due row, and the job whose trigger it is."""

    trigger_id: int
    nominal: Micros
    generation: int
    job_id: int
    fire_at: Micros
    deferred_by: str | None


def hold_due(tx: Tx, *, limit: int) -> list[Due]:
    """Hold up to `limit` due rows that nobody else holds, oldest first. Not on an exclusive store.

    What others hold is passed over before anything is joined to it: a herd that one node is planning costs the next one
    little more than its index.
    """
    return list(map(Due._make, tx.driver.execute(_LOCKS.due, (tx.at, limit)).fetchall()))


def hold_jobs(tx: Tx, job_ids: Iterable[int | None]) -> dict[int, JobNow]:
    """Hold these jobs' states in the order of their ids, and tell what they say now. Not on an exclusive store."""
    rows = tx.driver.execute(_LOCKS.jobs, (_ids(job_ids),)).fetchall()
    return {job_id: JobNow(active, last_run) for job_id, active, last_run in rows}


def hold_ends(tx: Tx, run_ids: Collection[int]) -> None:
    """Hold what the end of these runs writes: their jobs' states, then they themselves."""
    if tx.is_exclusive or not run_ids:
        return
    ids = _ids(run_ids)
    tx.driver.execute(_LOCKS.jobs_of_runs, (ids,))
    tx.driver.execute(_LOCKS.runs, (ids,))


def free_runs(tx: Tx, run_ids: Collection[int], *, state: RunState | None = None) -> set[int]:
    """Hold those of these runs that nobody else holds, nor their jobs' states, and that are still in `state`: they
    were found before they were held. On an exclusive store that is all."""
    if tx.is_exclusive or not run_ids:
        return set(run_ids)
    rows = tx.driver.execute(_LOCKS.free_runs, (_ids(run_ids),)).fetchall()
    held = {run_id: job_id for run_id, job_id, now in rows if state is None or now == state}
    free = free_jobs(tx, {job_id for job_id in held.values() if job_id is not None})
    return {run_id for run_id, job_id in held.items() if job_id is None or job_id in free}


def free_jobs(tx: Tx, job_ids: Collection[int]) -> set[int]:
    """Hold those of these jobs' states that nobody else holds. On an exclusive store that is all."""
    if tx.is_exclusive or not job_ids:
        return set(job_ids)
    return {job_id for (job_id,) in tx.driver.execute(_LOCKS.free_jobs, (_ids(job_ids),)).fetchall()}


def hold_targets(tx: Tx, owner: str) -> None:
    """Hold what an owner has in work: it may be writing at this moment, and goes on, or ends, in the next."""
    if not tx.is_exclusive:
        tx.driver.execute(_LOCKS.targets_of, (owner,))


def hold_triggers(tx: Tx, job_id: int) -> None:
    """Hold the `due` rows of a job's triggers: no planner moves them while it is edited."""
    if not tx.is_exclusive:
        tx.driver.execute(_LOCKS.triggers, (job_id,))


def _ids(ids: Iterable[int | None]) -> str:
    """A JSON list without gaps, as one parameter."""
    return json.dumps(sorted({one for one in ids if one is not None}))
