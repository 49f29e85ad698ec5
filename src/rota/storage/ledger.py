"""The ledger rows that are not the planner's: decided when a job is edited, deleted or triggered by hand."""

from __future__ import annotations

from rota.domain.instant import Micros
from rota.domain.reasons import Reason
from rota.ports import Tx
from rota.storage import tables
from rota.storage.insert import insert_row


def record_span(
    tx: Tx,
    *,
    job_id: int,
    job_name: str,
    trigger_id: int | None,
    kind: str,
    reason: Reason,
    message: str | None,
    first: Micros,
    last: Micros,
    count: int,
    blocked_by: int | None = None,
) -> None:
    """Say that `count` occurrences from `first` to `last` will never run, and why. `kind` is the trigger's."""
    values = (
        tx.take_ids("ledger"),
        job_id,
        job_name,
        trigger_id,
        kind,
        reason.value,
        message,
        first,
        last,
        count,
        blocked_by,
    )
    insert_row(tx, tables.ledger, (*values, tx.at))
