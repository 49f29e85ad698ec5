"""The rules of runs that say how they spread over their hosts (`domain.fanout`), and what has become of them.

Most runs say nothing and have no row here. Throttle and batches are gates that a claim passes; batches open, and a run
that goes wrong is stopped, in the very transaction in which a target ends.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple

from rota.domain.fanout import PLAIN, FanOut
from rota.domain.instant import SECOND, Micros
from rota.domain.job import canonical
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.ports import Tx
from rota.storage import tables
from rota.storage.insert import insert_row
from rota.storage.statements import Statements

_FANOUT = Statements("fanout")


class Gate(NamedTuple):
    """What a claim must know of a run's rules."""

    lock_hosts: bool
    spacing: Micros | None
    open_batch: int
    next_start_at: Micros | None


class Progress(NamedTuple):
    """How far a run with rules has come. `last_batch` 0: there are no batches."""

    rules: FanOut
    last_batch: int
    open_batch: int
    next_start_at: Micros | None
    most_bad: int | None
    bad: int


def insert(tx: Tx, run_id: int, rules: FanOut, total: int) -> None:
    """Note the rules of a new run of `total` targets."""
    insert_row(
        tx,
        tables.run_fanout,
        (
            run_id,
            canonical(rules.to_dict()),
            rules.on_offline,
            rules.lock_hosts,
            None if rules.throttle is None else rules.throttle.spacing,
            sum(1 for _ in rules.sizes(total)),
            round(rules.batch_pause_seconds * SECOND),
            rules.most_bad(total),
            1 if rules.batch else 0,
            None,
            0,
        ),
    )


def read(text: str | None) -> FanOut:
    """The rules as `run_fanout.rules` has them; None for a run without."""
    return PLAIN if text is None else FanOut.from_dict(json.loads(text))


def rules_of(tx: Tx, run_id: int) -> FanOut | None:
    """The rules as they were said; None where nothing was."""
    row = tx.driver.execute(_FANOUT.rules, (run_id,)).fetchone()
    return None if row is None else read(row[0])


def progress_of(tx: Tx, run_id: int) -> Progress | None:
    row = tx.driver.execute(_FANOUT.progress, (run_id,)).fetchone()
    return None if row is None else Progress(read(row[0]), *row[1:])


def gate_of(tx: Tx, run_id: int) -> Gate:
    return Gate._make(tx.driver.execute(_FANOUT.gate, (run_id,)).fetchone())


def started_one(tx: Tx, run_id: int, *, next_start_at: Micros) -> None:
    """A throttled run has started a target: the next may start then."""
    tx.driver.execute(_FANOUT.started_one, (next_start_at, run_id))


def targets_ended(tx: Tx, run_id: int, *, bad: int) -> int:
    """Targets of this run have ended, `bad` of them badly, and others have not: open the next batch when the last one
    is over, or stop the run when too many were bad.

    Returns how many targets that ended, skipped. What has begun is never stopped by this.
    """
    driver, at = tx.driver, tx.at
    open_batch, last_batch, pause, next_start_at, most_bad, bad_now = driver.execute(
        _FANOUT.ended, (bad, run_id)
    ).fetchone()
    if most_bad is not None and bad_now > most_bad:
        words = f"{EXPLANATIONS[Reason.MAX_FAIL]}: {bad_now}, and at most {most_bad} may"
        return int(driver.execute(_FANOUT.skip_rest, (words, at, run_id)).rowcount)
    if open_batch < last_batch and not driver.execute(_FANOUT.is_batch_open, (run_id, open_batch)).fetchone()[0]:
        if pause:
            (over_at,) = driver.execute(_FANOUT.run_ends_at, (run_id,)).fetchone()
            next_start_at = min(max(at + pause, next_start_at or 0), over_at)
        driver.execute(_FANOUT.open_next, (next_start_at, run_id))
    return 0


def is_stopped(tx: Tx, run_id: int) -> bool:
    """Whether too many targets were bad, so that none that has not begun may begin."""
    row = tx.driver.execute(_FANOUT.is_stopped, (run_id,)).fetchone()
    return row is not None and bool(row[0])


def next_start(tx: Tx, only_runs: Collection[int] | None) -> Micros | None:
    """When the next gate opens by itself, of all runs or of these."""
    if only_runs is None:
        (soonest,) = tx.driver.execute(_FANOUT.next_start, (tx.at,)).fetchone()
        return None if soonest is None else int(soonest)
    found = [tx.driver.execute(_FANOUT.next_start_of, (tx.at, run_id)).fetchone() for run_id in only_runs]
    return min((int(row[0]) for row in found if row is not None), default=None)
