"""Runs that waited for a slot, for older runs of their job or for their turn are admitted: their targets are queued."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from itertools import islice
from typing import NamedTuple

from rota.domain.instant import Micros
from rota.domain.states import RunState
from rota.ports import Member, Tx
from rota.storage import fanout, limits, turns
from rota.storage.finishing import free_slots
from rota.storage.launching import job_admitted, queued_rows
from rota.storage.row_locks import free_runs
from rota.storage.statements import Statements
from rota.storage.work import Settled

_PLAN, _ADMIT, _START = Statements("plan"), Statements("admit"), Statements("start")
MAX_ADMITTED = 1000
_ALL = 1 << 40  # rows


class _Waiting(NamedTuple):
    """A run that may be admitted. `has_turn`: it has a row in `run_turn`; `spacing`: and is caught up in its turn."""

    run_id: int
    job_id: int | None
    total: int
    priority: int
    members: str
    rules: str | None
    has_turn: int | None
    spacing: Micros | None


def admit(tx: Tx, *, only_runs: Collection[int] | None = None, settled: Settled | None = None) -> list[int]:
    """Move waiting runs whose turn has come to `queued`, by (priority, due, id), as far as the cap allows.

    Makes their target rows. Returns the run ids. `only_runs`: see `claim`. `settled`: what has ended just now, and
    makes room.
    """
    if not tx.is_exclusive:
        # Nobody need wait for us to see that no run waits. Whoever adds one meanwhile looks after it.
        if not tx.driver.execute(_ADMIT.any_waiting).fetchone()[0]:
            return []
        limits.hold_caps(tx)
    if settled is not None:
        free_slots(tx, settled)
    cap, used = tx.driver.execute(_PLAN.limit).fetchone()
    room = min(cap - used, MAX_ADMITTED)
    admitted: list[int] = []
    while room > 0 and (found := _waiting(tx, room, only_runs)):
        taken = _in_turn(tx, found)
        _queue(tx, taken)
        admitted += [one.run_id for one in taken]
        if len(taken) == len(found):
            break
        room -= len(taken)  # others may take the places of those that are held back until later
    return admitted


def _waiting(tx: Tx, room: int, only_runs: Collection[int] | None) -> list[_Waiting]:
    if only_runs is None:
        rows = tx.driver.execute(_ADMIT.waiting, (tx.at, tx.at, room)).fetchall()
    elif only_runs:
        everything = tx.driver.execute(_ADMIT.waiting, (tx.at, tx.at, _ALL)).fetchall()
        rows = list(islice((row for row in everything if row[0] in only_runs), room))
    else:
        rows = []
    free = free_runs(tx, {row[0] for row in rows}, state=RunState.WAITING)
    return [_Waiting._make(row) for row in rows if row[0] in free]


def _in_turn(tx: Tx, found: Sequence[_Waiting]) -> Sequence[_Waiting]:
    """Those of `found` that may start beside each other: of the runs that a job catches up, one at a time."""
    if not any(one.has_turn for one in found):
        return found
    taken, paced = [], set()
    for one in found:
        if one.spacing is not None and one.job_id is not None:
            if one.job_id in paced:
                continue
            paced.add(one.job_id)
            turns.pace(tx, one.job_id, not_before=tx.at + one.spacing)
        taken.append(one)
    turns.began(tx, [one.run_id for one in taken if one.has_turn])
    return taken


def _queue(tx: Tx, taken: Sequence[_Waiting]) -> None:
    driver = tx.driver
    first = tx.take_ids("run_target", sum(one.total for one in taken))
    targets: list[tuple[object, ...]] = []
    for one in taken:
        frozen = [Member(*member) for member in json.loads(one.members)]
        rules = fanout.read(one.rules) if one.rules else None
        targets += queued_rows(first, one.run_id, frozen, one.priority, rules)
        first += one.total
    driver.executemany(_ADMIT.admitted, [(RunState.QUEUED, tx.at, None, one.run_id) for one in taken])
    job_admitted(tx, RunState.QUEUED, None, [(one.job_id, one.run_id) for one in taken])
    driver.executemany(_START.target, targets)
    driver.execute(_PLAN.use_limit, (len(taken),))


class Waiting(NamedTuple):
    """Whether some run waits to be admitted, or some target to be claimed: what another process may make possible.

    What is parked until a moment is not meant: that comes by itself (`parking.next_look`). `turn_at`: when the turn of
    a run comes that is caught up; `expires_at`: when the patience of the first run is over.
    """

    is_anything: bool
    turn_at: Micros | None
    expires_at: Micros | None


def what_waits(tx: Tx, *, only_runs: Collection[int] | None = None) -> Waiting:
    """What waits now. `only_runs`: a command looks after the moments of the runs that it made, and of no others."""
    anything, turn_at, expires_at = tx.driver.execute(_ADMIT.anything, (tx.at,)).fetchone()
    if only_runs is None or (turn_at is None and expires_at is None):
        return Waiting(bool(anything), turn_at, expires_at)
    rows = [row for run_id in only_runs if (row := turns.turn_of(tx, run_id)) is not None]
    return Waiting(
        bool(anything),
        min((row.not_before for row in rows if row.not_before is not None and row.not_before > tx.at), default=None),
        min((row.expires_at for row in rows if row.expires_at is not None), default=None),
    )
