"""Locks on hosts: of the runs that lock theirs, one at a time works on a host.

A lock is taken with the claim of a target and goes with the target's end, in the same transactions; a target that is
parked in the middle of its plan keeps it. Each target needs just one, so nobody can wait in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable

from rota.domain.instant import Micros
from rota.ports import Tx
from rota.storage.statements import Statements

_LOCKS = Statements("host_locks")


def take(tx: Tx, host: str, *, run_id: int, target_id: int) -> bool | None:
    """Whether the target has its host to itself now. Asking again is no harm.

    None: the lock is being released at this moment. Whoever parked behind it now would not be let in.
    """
    driver = tx.driver
    if driver.execute(_LOCKS.take, (host, run_id, target_id, tx.at)).rowcount:
        return True
    row = driver.execute(_LOCKS.is_holder, (target_id, host)).fetchone()
    return None if row is None else bool(row[0])


def lock_out(tx: Tx, waiting: Iterable[tuple[int, Micros | None]]) -> None:
    """Park queued targets (id, when their run's time is over) until the locks of their hosts are released."""
    tx.driver.executemany(_LOCKS.lock_out, [(until, target_id) for target_id, until in waiting])


def run_ends_at(tx: Tx, run_id: int, at: Micros) -> None:
    """The run's time began to count: what of it is locked out waits no longer than that."""
    tx.driver.execute(_LOCKS.give_up_at, (at, run_id))


def release(tx: Tx, target_ids: Iterable[int]) -> None:
    """These targets have ended, or wait without having begun: whoever was locked out may try."""
    _let_in(tx, [row for target_id in target_ids for row in tx.driver.execute(_LOCKS.release, (target_id,)).fetchall()])


def release_ended(tx: Tx, run_id: int) -> None:
    """Release what targets of this run held that have ended."""
    _let_in(tx, tx.driver.execute(_LOCKS.release_ended, (run_id,)).fetchall())


def _let_in(tx: Tx, released: list[tuple[str]]) -> None:
    if released:
        tx.driver.executemany(_LOCKS.let_in, released)
