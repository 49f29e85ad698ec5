"""Targets that must wait are parked: back in the queue, held by nobody, with the moment they are looked at again.

So a retry in an hour, or a host that is away, costs a row and no coroutine, and outlives every process. What earlier
steps registered is read back when the target is claimed again (`engine/registered.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rota.domain.instant import Micros
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.states import TargetState
from rota.ports import Tx
from rota.storage import fanout, host_locks
from rota.storage.statements import Statements
from rota.storage.work import Report, Settled, TargetEnd

_PARK = Statements("park")


def park(tx: Tx, reports: Sequence[Report], settled: Settled) -> list[Report]:
    """Put targets back into the queue. Returns reports of the ends of those that must not wait: somebody asked for
    the run's end, or the run was stopped before they had begun.

    Fenced like every verdict.
    """
    driver, ending = tx.driver, []
    for report in reports:
        work, parked = report.work, report.park
        assert parked is not None
        if report.attempt is None and work.attempt_id:
            driver.execute(_PARK.withdraw, (work.attempt_id, work.fence))
        if (end := _end_instead(tx, report)) is not None:
            ending.append(Report(work=work, attempt=None, end=end))
            continue
        row = (parked.waiting_for, parked.until, parked.reason, parked.message, work.changed, not parked.has_begun,
               work.target_id, work.fence)  # fmt: skip
        if not driver.execute(_PARK.park, row).rowcount:
            settled.fenced.add(work.claim)
        elif work.has_rules and not parked.has_begun:
            host_locks.release(tx, [work.target_id])
    return ending


def wake(tx: Tx) -> None:
    """Those whose moment has come may be claimed."""
    tx.driver.execute(_PARK.wake, (tx.at,))


def next_look(tx: Tx, only_runs: Collection[int] | None) -> Micros | None:
    """The next moment at which something may be claimed, or must be given up, just because time has passed."""
    if only_runs is None:
        found = [tx.driver.execute(_PARK.next_wake, (tx.at,)).fetchone()[0]]
    else:
        found = [tx.driver.execute(_PARK.next_wake_of, (tx.at, run_id)).fetchone()[0] for run_id in only_runs]
    found.append(fanout.next_start(tx, only_runs))
    return min((moment for moment in found if moment is not None), default=None)


def _end_instead(tx: Tx, report: Report) -> TargetEnd | None:
    work, parked = report.work, report.park
    assert parked is not None
    row = tx.driver.execute(_PARK.cancel_asked, (work.run_id,)).fetchone()
    if row is not None:
        reason = Reason(row[0])
        return TargetEnd(state=TargetState.CANCELLED, reason=reason, message=EXPLANATIONS[reason])
    if work.has_rules and not parked.has_begun and fanout.is_stopped(tx, work.run_id):
        return TargetEnd(state=TargetState.SKIPPED, reason=Reason.MAX_FAIL, message=EXPLANATIONS[Reason.MAX_FAIL])
    return None
