"""Runs that waited for a slot, or for older runs of their job, are admitted: their targets are queued."""

from __future__ import annotations

import json
from collections.abc import Collection
from itertools import islice

from rota.domain.states import RunState
from rota.ports import Member, Tx
from rota.storage import fanout
from rota.storage.launching import queued_rows
from rota.storage.statements import Statements

_PLAN, _ADMIT, _START = Statements("plan"), Statements("admit"), Statements("start")
MAX_ADMITTED = 1000


def admit(tx: Tx, *, only_runs: Collection[int] | None = None) -> list[int]:
    """Move waiting runs whose turn has come to `queued`, by (priority, due, id), as far as the cap allows.

    Makes their target rows. Returns the run ids. `only_runs`: see `claim`.
    """
    driver = tx.driver
    cap, used = driver.execute(_PLAN.limit).fetchone()
    room = min(cap - used, MAX_ADMITTED)
    if room <= 0 or (only_runs is not None and not only_runs):
        return []
    if only_runs is None:
        rows = driver.execute(_ADMIT.waiting, (room,)).fetchall()
    else:
        everything = driver.execute(_ADMIT.waiting, (-1,))
        rows = list(islice((row for row in everything if row[0] in only_runs), room))
    if not rows:
        return []
    first = tx.take_ids("run_target", sum(row[7] for row in rows))
    targets: list[tuple[object, ...]] = []
    for run_id, *_, total, _at_once, _timeout, _due_at, priority, members, rules in rows:
        frozen = [Member(*member) for member in json.loads(members)]
        targets += queued_rows(first, run_id, frozen, priority, fanout.read(rules) if rules else None)
        first += total
    driver.executemany(_ADMIT.admitted, [(RunState.QUEUED, tx.at, None, row[0]) for row in rows])
    driver.executemany(_ADMIT.job_admitted, [(RunState.QUEUED, None, row[0]) for row in rows])
    driver.executemany(_START.target, targets)
    driver.execute(_PLAN.use_limit, (len(rows),))
    return [row[0] for row in rows]


def is_anything_waiting(tx: Tx) -> bool:
    """Whether some run waits to be admitted, or some target to be claimed: what another process may make possible.

    What is parked until a moment is not meant: that comes by itself (`parking.next_look`).
    """
    (waiting,) = tx.driver.execute(_ADMIT.anything).fetchone()
    return bool(waiting)
