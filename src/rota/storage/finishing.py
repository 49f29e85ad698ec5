"""Verdicts: attempts, targets and runs come to their ends here and nowhere else.

Every write names the fence of the claim. Lock order everywhere: job_state, run, run target.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.run import BAD, RunEnd, roll_up
from rota.domain.run import TargetEnd as Group
from rota.domain.states import RunState, TargetState
from rota.ports import Hint, Tx
from rota.storage import fanout, host_locks, turns
from rota.storage.launching import insert_attempts
from rota.storage.parking import park
from rota.storage.row_locks import hold_ends
from rota.storage.statements import Statements
from rota.storage.work import Report, Settled, TargetEnd

_PLAN, _START, _FINISH = Statements("plan"), Statements("start"), Statements("finish")
_SUCCESS = RunEnd(RunState.SUCCEEDED, None, None, 1)


class CancelOrder(NamedTuple):
    """A run whose targets in work must be ended by whoever holds them."""

    run_id: int
    reason: Reason


def settle(tx: Tx, reports: Sequence[Report], *, keep_slots: bool = False) -> Settled:
    """Record a batch of ended attempts, and with them the ends of targets and runs.

    `keep_slots`: the slots of ended runs are given back by the caller (`free_slots`), who has more to do before: from
    then on whoever starts or ends runs waits for this transaction, on a store where others write too.

    A report whose fence is old, or whose target has ended, changes nothing and is named in `fenced`. Runs whose last
    target ended are rolled up; of those with batches the next may open, and of those with too many bad targets the
    rest is skipped. The assignments stay as they are until `move_on`: a commit may fail and be tried again.
    """
    driver, settled = tx.driver, Settled({}, set(), [])
    if not tx.is_exclusive:
        hold_ends(tx, {report.work.run_id for report in reports if report.then is None})
    driver.executemany(_FINISH.attempt, [_attempt_row(report) for report in reports if report.attempt is not None])
    ending = [report for report in reports if report.end is not None]
    if len(ending) != len(reports):
        _go_on(tx, [report for report in reports if report.then is not None], settled)
        ending += park(tx, [report for report in reports if report.park is not None], settled)
    if ending:
        ending = _end_targets(tx, ending, settled)
        host_locks.release(tx, [report.work.target_id for report in ending if report.work.has_rules])
    singles: list[tuple[int, int | None, RunEnd]] = []
    closing: dict[int, _Closing] = {}
    for report in ending:
        end, work = report.end, report.work
        assert end is not None
        if work.total == 1:
            alone = end.state is TargetState.SUCCEEDED
            singles.append(
                (
                    work.run_id,
                    work.job_id,
                    _SUCCESS if alone else roll_up([Group(end.state, end.reason, 1, end.message)]),
                )
            )
        else:
            closing.setdefault(work.run_id, _Closing(work.job_id, work.has_rules)).count(end.state)
    for run_id, closed in closing.items():
        _close_targets(tx, run_id, closed, settled)
    finish_runs(tx, singles, settled)
    if not keep_slots:
        free_slots(tx, settled)
    return settled


def free_slots(tx: Tx, settled: Settled) -> None:
    """Give back the slots of runs that ended in this transaction. Asking again is no harm."""
    if settled.slots:
        tx.driver.execute(_PLAN.use_limit, (-settled.slots,))
        settled.slots = 0


def finish_runs(
    tx: Tx, ends: Sequence[tuple[int, int | None, RunEnd]], settled: Settled | None = None, *, held_slots: bool = True
) -> None:
    """Write the ends of runs (run id, job id, end) whose targets are all final, and free the slots they held: with
    `settled` that is left to `free_slots`."""
    if not ends:
        return
    driver, at = tx.driver, tx.at
    driver.executemany(_FINISH.run, [(e.state, e.reason, e.message, e.ok, at, run_id) for run_id, _, e in ends])
    driver.executemany(
        _FINISH.job_finished,
        [(run_id, e.state, run_id, e.reason, run_id, at, job_id) for run_id, job_id, e in ends if job_id is not None],
    )
    first = tx.take_ids("outbox", len(ends))
    driver.executemany(_FINISH.outbox, [(first + i, run_id, e.state, at) for i, (run_id, _, e) in enumerate(ends)])
    if held_slots and settled is None:
        driver.execute(_PLAN.use_limit, (-len(ends),))
    if settled is not None:
        settled.slots += len(ends) if held_slots else 0
        settled.finished_runs += [run_id for run_id, _, _ in ends]


def cancel_run(tx: Tx, run_id: int, reason: Reason) -> CancelOrder | bool | None:
    """Ask for the end of one run. False: it was final already, or cancelled before. None: it ended at once, as
    nothing of it was in work. Otherwise the order for whoever holds its targets."""
    driver, at = tx.driver, tx.at
    hold_ends(tx, [run_id])
    row = driver.execute(_FINISH.cancel_request, (at, reason, run_id)).fetchone()
    if row is None:
        return False
    state, job_id, _total = row
    turns.forget(tx, [run_id])  # whatever it waited for: it ends
    if state == RunState.WAITING:
        never = RunState.SKIPPED if reason is Reason.OVERLAP_REPLACED else RunState.CANCELLED
        finish_runs(tx, [(run_id, job_id, RunEnd(never, reason, EXPLANATIONS[reason], 0))], held_slots=False)
        return None
    settled = Settled({}, set(), [])
    _end_queued(tx, run_id, job_id, TargetEnd(state=TargetState.CANCELLED, reason=reason), settled)
    free_slots(tx, settled)
    if settled.finished_runs:
        return None
    tx.tell(Hint.CANCELS)
    return CancelOrder(run_id, reason)


def expire(tx: Tx, run_id: int, job_id: int | None, settled: Settled) -> None:
    """The time of a run is over: what of it is still queued ends now. What is at work has a timeout of its own."""
    _end_queued(tx, run_id, job_id, TargetEnd(state=TargetState.TIMED_OUT, reason=Reason.RUN_TIMEOUT), settled)


def expire_unstarted(tx: Tx, settled: Settled | None = None, *, only_runs: Collection[int] | None = None) -> None:
    """End the runs that have not started within the time their jobs allow. `only_runs`: see `claim`. Where
    `settled` is given the slots that they held are left to `free_slots`."""
    expired = turns.expire(tx, only_runs)
    for held_slot in (True, False):
        ends = [(one.run_id, one.job_id, one.end) for one in expired if one.held_slot is held_slot]
        finish_runs(tx, ends, settled, held_slots=held_slot)


def cancel_runs_of(tx: Tx, job_id: int, reason: Reason) -> list[CancelOrder]:
    """Cancel every unfinished run of a job. Returns the orders for those with work in hand."""
    rows = tx.driver.execute("SELECT id FROM run WHERE job_id = ? AND finished_at IS NULL", (job_id,)).fetchall()
    orders = [cancel_run(tx, run_id, reason) for (run_id,) in rows]
    return [order for order in orders if isinstance(order, CancelOrder)]


@dataclass(slots=True)
class _Closing:
    """Targets of one run that have ended in this transaction."""

    job_id: int | None
    has_rules: bool = False
    closed: int = 0
    ok: int = 0
    bad: int = 0

    def count(self, state: TargetState) -> None:
        self.closed += 1
        self.ok += state is TargetState.SUCCEEDED
        self.bad += state in BAD


def _close_targets(tx: Tx, run_id: int, closing: _Closing, settled: Settled) -> None:
    """Count targets of a run as final; whoever brings the count to 0 rolls the run up."""
    driver = tx.driver
    (left,) = driver.execute(_FINISH.close_one, (closing.closed, closing.ok, run_id)).fetchone()
    if left and closing.has_rules and (skipped := fanout.targets_ended(tx, run_id, bad=closing.bad)):
        host_locks.release_ended(tx, run_id)
        (left,) = driver.execute(_FINISH.close_one, (skipped, 0, run_id)).fetchone()
    if left == 0:
        groups = [
            Group(TargetState(state), Reason(reason) if reason else None, count, message)
            for state, reason, count, message in driver.execute(_FINISH.ends, (run_id,))
        ]
        finish_runs(tx, [(run_id, closing.job_id, roll_up(groups))], settled)


def _end_queued(tx: Tx, run_id: int, job_id: int | None, end: TargetEnd, settled: Settled) -> None:
    """End whatever of a run is in the queue, parked or not."""
    assert end.reason is not None
    row = (end.state, end.reason, EXPLANATIONS[end.reason], tx.at, run_id)
    if ended := tx.driver.execute(_FINISH.end_queued, row).rowcount:
        host_locks.release_ended(tx, run_id)
        _close_targets(tx, run_id, _Closing(job_id, closed=ended), settled)


def move_on(reports: Sequence[Report], settled: Settled) -> None:
    """After the commit, bring the assignments that go on in line with their rows."""
    for report in reports:
        attempt_id = settled.next_attempts.get(report.work.claim)
        if report.then is not None and attempt_id is not None:
            report.work.cursor, report.work.number = report.then
            report.work.attempt_id = attempt_id


def _go_on(tx: Tx, reports: list[Report], settled: Settled) -> None:
    """Write the next intent of each."""
    rows = []
    for report in reports:
        work, then = report.work, report.then
        assert then is not None
        rows.append((then[0], work.changed, work.target_id, work.fence))
    ours = _still_ours(tx, _START.move_cursor, rows, reports, settled)
    intents = [(report.work.target_id, *report.then) for report in ours if report.then is not None]
    if intents:
        first = insert_attempts(tx, intents)
        settled.next_attempts = {report.work.claim: first + i for i, report in enumerate(ours)}


def _end_targets(tx: Tx, ending: list[Report], settled: Settled) -> list[Report]:
    """Write the ends of targets. Returns the reports that did; the others' targets are not theirs any more."""
    return _still_ours(tx, _FINISH.target, [_target_row(tx, report) for report in ending], ending, settled)


def _still_ours(
    tx: Tx, statement: str, rows: Sequence[tuple[object, ...]], reports: list[Report], settled: Settled
) -> list[Report]:
    """Execute a fenced statement for the target of each report. Returns those that found theirs; the others' claims
    are named in `settled`."""
    driver = tx.driver
    if len(rows) > 1:
        driver.execute("SAVEPOINT fenced")
        if driver.executemany(statement, rows).rowcount == len(rows):
            driver.execute("RELEASE fenced")
            return reports
        driver.execute("ROLLBACK TO fenced")  # again, one by one, to see which
        driver.execute("RELEASE fenced")
    matched = [driver.execute(statement, row).rowcount == 1 for row in rows]
    settled.fenced.update(r.work.claim for r, ours in zip(reports, matched, strict=True) if not ours)
    return [report for report, ours in zip(reports, matched, strict=True) if ours]


def _attempt_row(report: Report) -> tuple[object, ...]:
    a = report.attempt
    assert a is not None
    return (a.state, a.reason, a.message, a.exit_code, a.signal, a.changed, a.registered, a.output_bytes,
            a.started_at, a.finished_at, report.work.attempt_id, report.work.fence)  # fmt: skip


def _target_row(tx: Tx, report: Report) -> tuple[object, ...]:
    end, work = report.end, report.work
    assert end is not None
    return (end.state, end.reason, end.message, work.changed, tx.at, work.target_id, work.fence)
