"""What a run that has not started waits for, where its job says more than "older runs first, then a free slot".

Runs caught up by `run_all` start in their turn: oldest first, so many at once as the overlap policy allows, and no
faster than their rate. Runs of an impatient job expire: `start_within` after they were due, `queue_timeout` after they
were made. Each is a row of `run_turn`; other runs have none and are asked nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from rota.domain.instant import Micros
from rota.domain.policy import Patience
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.run import RunEnd
from rota.domain.states import RunState, TargetState
from rota.ports import Tx
from rota.storage.row_locks import free_runs
from rota.storage.statements import Statements

_TURN, _FINISH = Statements("turn"), Statements("finish")


class Turn(NamedTuple):
    """How a run is caught up. `at_once`: so many unfinished runs of its job may go beside it, itself included."""

    at_once: int
    spacing: Micros
    not_before: Micros


class TurnRow(NamedTuple):
    """What a run still waits for: its start at the earliest, and its end unless it has started by then."""

    not_before: Micros | None
    expires_at: Micros | None
    expires_as: Reason | None


Row = tuple[object, ...]


def row_of(
    run_id: int, job_id: int | None, turn: Turn | None, patience: Patience | None, *, due_at: Micros, made_at: Micros
) -> Row:
    """The row of a run, for `insert`."""
    ends_at, reason = (patience and patience.ends(due_at=due_at, made_at=made_at)) or (None, None)
    at_once, spacing, not_before = turn or (1, None, None)
    return (run_id, job_id, at_once, spacing, not_before, ends_at, reason)


def insert(tx: Tx, rows: Iterable[Row]) -> None:
    tx.driver.executemany(_TURN.insert, rows)


def began(tx: Tx, run_ids: Iterable[int]) -> None:
    """These runs are queued: only the end of their patience still concerns them."""
    tx.driver.executemany(_TURN.begun, [(run_id,) for run_id in run_ids])


def pace(tx: Tx, job_id: int, *, not_before: Micros) -> None:
    """One run of the job was caught up now: the next may follow at `not_before`."""
    tx.driver.execute(_TURN.pace, (not_before, job_id, not_before))


def forget(tx: Tx, run_ids: Iterable[int]) -> None:
    """These runs have ended. Whoever ends runs says so, but only where some run has a row: most stores have none."""
    tx.driver.executemany(_TURN.forget, [(run_id,) for run_id in run_ids])


def turn_of(tx: Tx, run_id: int) -> TurnRow | None:
    """What is written of a run; None for most."""
    row = tx.driver.execute(_TURN.of_run, (run_id,)).fetchone()
    return None if row is None else TurnRow(row[0], row[1], Reason(row[2]) if row[2] else None)


class Expired(NamedTuple):
    """The end of a run that never started. `held_slot`: it was queued, with targets."""

    run_id: int
    job_id: int | None
    end: RunEnd
    held_slot: bool


def expire(tx: Tx, only_runs: Collection[int] | None) -> list[Expired]:
    """End the targets of the runs whose patience is over, and name the runs: `finishing` ends those.

    Runs that have started, or ended, or gone, are merely forgotten here. `only_runs`: see `claim`.
    """
    rows = tx.driver.execute(_TURN.expired, (tx.at,)).fetchall()
    if only_runs is not None:
        rows = [row for row in rows if row[0] in only_runs]
    free = free_runs(tx, {run_id for run_id, _, is_there in rows if is_there})
    found = []
    for run_id, reason, is_there in rows:
        if is_there and run_id not in free:
            continue  # somebody else is at it: it is looked at again in a moment
        forget(tx, [run_id])
        now = tx.driver.execute(_TURN.run_now, (run_id,)).fetchone()
        if now is None or now[1] not in {RunState.WAITING, RunState.QUEUED}:
            continue
        job_id, state = now
        said = EXPLANATIONS[Reason(reason)]
        tx.driver.execute(_FINISH.end_queued, (TargetState.SKIPPED, reason, said, tx.at, run_id))
        end = RunEnd(RunState.EXPIRED, Reason(reason), said, 0)
        found.append(Expired(run_id, job_id, end, held_slot=state == RunState.QUEUED))
    return found
