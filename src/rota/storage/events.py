"""Triggers without a timetable: continuous ones, and those that are due when a daemon starts.

A continuous trigger never dies, because its `due` row always says when it is looked at next (`fire_at`): while a run
of its job is unfinished that is LOOK_AGAIN away, whatever becomes of the run and of the daemon. Its end brings that
forward (`look_at_continuous`). `nominal` is known only at the moment of planning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rota.domain.instant import SECOND, Micros
from rota.domain.reasons import Reason
from rota.domain.states import RunState
from rota.domain.trigger.continuous import ENDS_LOOKED_AT, pause
from rota.domain.trigger.spec import ContinuousTrigger, OnStartTrigger
from rota.ports import Tx
from rota.storage.ledger import record_span

LOOK_AGAIN: Micros = 60 * SECOND
_BEFORE_PLANNED = "the daemon stopped before it had planned this start"


@dataclass(frozen=True, slots=True)
class Event:
    """What is due when something happens, within the bounds of its job."""

    rule: ContinuousTrigger | OnStartTrigger
    start_at: Micros | None
    end_at: Micros | None

    def opens_at(self, at: Micros) -> Micros | None:
        """The first instant from `at` on within the bounds."""
        opened = max(at, self.start_at or at)
        return opened if self.end_at is None or opened <= self.end_at else None


def ready_at(tx: Tx, job_id: int, rule: ContinuousTrigger) -> Micros:
    """When a job without unfinished runs may go on: after its last run's end and a pause; at once if it has none."""
    rows: Sequence[tuple[str, str | None, Micros]] = tx.driver.execute(
        "SELECT state, reason, finished_at FROM run WHERE job_id = ? AND finished_at IS NOT NULL"
        " ORDER BY id DESC LIMIT ?",
        (job_id, ENDS_LOOKED_AT),
    ).fetchall()
    # An end that is still to come was written before the clock was set back: nobody can wait for that one.
    last = max((finished for _, _, finished in rows if finished <= tx.at), default=None)
    if last is None:
        return tx.at
    return last + pause(rule, [(RunState(state), Reason(reason) if reason else None) for state, reason, _ in rows])


def refused_until(tx: Tx, job_id: int, trigger_id: int, rule: ContinuousTrigger) -> Micros:
    """How long a job that has nothing to run on is left alone since that was last written down."""
    row = tx.driver.execute(
        "SELECT at FROM ledger WHERE job_id = ? AND trigger_id = ? AND at <= ? ORDER BY id DESC LIMIT 1",
        (job_id, trigger_id, tx.at),
    ).fetchone()
    return tx.at if row is None else int(row[0]) + max(rule.backoff, LOOK_AGAIN)


def high_water_of(tx: Tx, trigger_id: int) -> Micros:
    (high_water,) = tx.driver.execute("SELECT high_water FROM due WHERE trigger_id = ?", (trigger_id,)).fetchone()
    return int(high_water)


def look_at_continuous(tx: Tx) -> None:
    """Have the planner look at each continuous trigger whose job is idle.

    Also at those in a pause: the clock may have been set back since, and a pause is reckoned anew from what is
    recorded. And at those that are looked at later than they ever are: the clock was ahead.
    """
    tx.driver.execute(
        """
        UPDATE due SET fire_at = ?
        WHERE trigger_id IN (
            SELECT trigger_id FROM due WHERE fire_at > ? AND trigger_id IN (
                SELECT trigger.id FROM trigger JOIN job_state ON job_state.job_id = trigger.job_id
                WHERE trigger.kind = 'continuous' AND (job_state.active = 0 OR fire_at > ?))
            /*pg: FOR UPDATE SKIP LOCKED */)
        """,
        (tx.at, tx.at, tx.at + LOOK_AGAIN),
    )


def daemon_started(tx: Tx) -> bool:
    """Make the `on_start` triggers of enabled jobs due now. Returns whether there are continuous triggers."""
    rows = tx.driver.execute(
        """
        SELECT trigger.id, trigger.job_id, job.name, due.nominal
        FROM trigger
        JOIN job ON job.id = trigger.job_id
        JOIN due ON due.trigger_id = trigger.id
        LEFT JOIN run_quota ON run_quota.job_id = job.id
        WHERE trigger.kind = 'on_start' AND trigger.timetable_id IS NOT NULL AND job.enabled
            AND coalesce(run_quota.made < run_quota.most, TRUE)
        ORDER BY trigger.id
        /*pg: FOR UPDATE OF due */
        """
    ).fetchall()
    for trigger_id, job_id, job_name, unplanned in rows:
        if unplanned is not None:  # no silent loss
            record_span(
                tx, job_id=job_id, job_name=job_name, trigger_id=trigger_id, kind="on_start", reason=Reason.MISSED,
                message=_BEFORE_PLANNED, first=unplanned, last=unplanned, count=1,
            )  # fmt: skip
        tx.driver.execute(
            "UPDATE due SET nominal = CASE WHEN high_water < ? THEN ? ELSE high_water + 1 END, fire_at = ?,"
            " deferred_by = NULL WHERE trigger_id = ?",
            (tx.at, tx.at, tx.at, trigger_id),
        )
    return tx.driver.execute("SELECT 1 FROM trigger WHERE kind = 'continuous' LIMIT 1").fetchone() is not None
