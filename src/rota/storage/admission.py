"""Work for an owner: runs that waited are admitted, queued targets are claimed. Caps hold at every instant.

Caps are decided here in Python inside the transaction, not by clever SQL: a correlated count in the claim overshoots
within one batch (reference/engine.md §3.4).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

from rota.domain.states import RunState, TargetState
from rota.ports import Tx
from rota.storage.launching import write_intents
from rota.storage.statements import Statements
from rota.storage.work import Assignment

_PLAN, _ADMIT, _CLAIM, _START = Statements("plan"), Statements("admit"), Statements("claim"), Statements("start")
MAX_ADMITTED = 1000
PAGE = 256  # queued targets looked at together


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
    targets = []
    for run_id, *_, priority, members in rows:
        for host, version_id, connector in json.loads(members):
            targets.append((first, run_id, host, version_id, connector, TargetState.QUEUED, priority, None, 0, None))
            first += 1
    driver.executemany(_ADMIT.admitted, [(RunState.QUEUED, tx.at, None, row[0]) for row in rows])
    driver.executemany(_ADMIT.job_admitted, [(RunState.QUEUED, None, row[0]) for row in rows])
    driver.executemany(_START.target, targets)
    driver.execute(_PLAN.use_limit, (len(rows),))
    return [row[0] for row in rows]


def claim(tx: Tx, owner: str, *, slots: int, only_runs: Collection[int] | None = None) -> list[Assignment]:
    """Give `owner` up to `slots` queued targets by (priority, id), with their intents written.

    Atomic: two owners never get the same target. `targets_at_once` of each run holds. `only_runs`: a command that
    carries out just the run it made (DESIGN §2 Who executes).
    """
    if slots <= 0 or (only_runs is not None and not only_runs):
        return []
    driver, at = tx.driver, tx.at
    room: dict[int, int] = {}
    work: list[Assignment] = []
    for (target_id, run_id, host, version_id, connector, fence, cursor, public_id, job_id, title, kind, plan_id, total,
         at_once, run_timeout, due_at, started_at, _) in _queued(tx, room, slots):  # fmt: skip
        if len(work) >= slots:
            break
        if run_id not in room:
            mine = only_runs is None or run_id in only_runs
            room[run_id] = at_once - driver.execute(_CLAIM.in_work, (run_id,)).fetchone()[0] if mine else 0
        if room[run_id] <= 0:
            continue
        room[run_id] -= 1
        (number,) = driver.execute(_CLAIM.last_number, (target_id, cursor)).fetchone()
        work.append(
            Assignment(
                target_id=target_id, run_id=run_id, run_public=public_id, job_id=job_id, title=title, kind=kind,
                plan_id=plan_id, total=total, host=host, host_version_id=version_id, connector=connector,
                fence=fence + 1, cursor=cursor, attempt_id=0, number=number + 1, due_at=due_at,
                run_started_at=started_at or at, run_timeout=run_timeout,
            )
        )  # fmt: skip
    driver.executemany(_CLAIM.take, [(owner, at, a.target_id) for a in work])
    runs = {a.run_id for a in work}
    driver.executemany(_CLAIM.run_started, [(at, run_id) for run_id in runs])
    driver.executemany(_ADMIT.job_admitted, [(RunState.RUNNING, at, run_id) for run_id in runs])
    write_intents(tx, work)
    return work


def _queued(tx: Tx, room: dict[int, int], slots: int) -> Iterator[tuple[Any, ...]]:
    """Queued targets in the order of claiming. Those of a run that has no `room` are passed over in one leap, so that
    the thousands which wait behind `targets_at_once` stand in nobody's way."""
    driver, page = tx.driver, min(PAGE, slots + 8)
    (priority,) = driver.execute(_CLAIM.next_priority, (1 << 40,)).fetchone()
    after = 0
    while priority is not None:
        rows = driver.execute(_CLAIM.queued, (priority, after, page)).fetchall()
        yield from rows
        if len(rows) == page:
            after, run_id = rows[-1][0], rows[-1][1]
            if room[run_id] <= 0:
                (after,) = driver.execute(_CLAIM.last_of_run, (run_id,)).fetchone()
        else:
            (priority,) = driver.execute(_CLAIM.next_priority, (priority,)).fetchone()
            after = 0


def is_anything_waiting(tx: Tx) -> bool:
    """Whether some run waits to be admitted, or some target to be claimed."""
    (waiting,) = tx.driver.execute(_ADMIT.anything).fetchone()
    return bool(waiting)
