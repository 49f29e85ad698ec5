"""Pauses: who stopped what from starting by itself, since when, until when, and why. Ended ones stay a while."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Row, select, update

from rota.domain.calendars import Pause, Scope
from rota.domain.instant import Micros
from rota.ports import Hint, Tx
from rota.storage import tables
from rota.storage.insert import insert_row

_UNTIL = "CASE WHEN ended_at < until THEN ended_at ELSE coalesce(until, ended_at) END"
# A pause that is not over at `?`: neither its own end nor a person has ended it by then.
_OPEN = f"""
SELECT public_id, scope, key, job_id, since, {_UNTIL}, reason, created_by FROM pause
WHERE coalesce({_UNTIL} > ?, TRUE) ORDER BY id
"""  # noqa: S608  # text of our own
# One that still says why an instant did not start stays until the ledger says so: a daemon may have been away longer.
_OVER = f"""
DELETE FROM pause WHERE {_UNTIL} < ? AND {_UNTIL} < coalesce((SELECT min(nominal) FROM due), ?)
"""  # noqa: S608  # text of our own


class PauseRow(NamedTuple):
    """A pause as it is kept. `ended_at`: when somebody resumed, before its time was over."""

    pause: Pause
    ended_at: Micros | None
    ended_by: str | None


def pauses_since(tx: Tx, since: Micros) -> list[Pause]:
    """Pauses that were not over at `since`, oldest first. One that was ended early lasts until then."""
    return [
        Pause(
            public_id=public_id, scope=Scope(scope), key=key, job_id=job_id, since=began, until=until, reason=reason,
            by=by,
        )
        for public_id, scope, key, job_id, began, until, reason, by in tx.driver.execute(_OPEN, (since,))
    ]  # fmt: skip


def list_pauses(tx: Tx, *, limit: int) -> list[PauseRow]:
    """All that are kept, newest first."""
    statement = select(tables.pause).order_by(tables.pause.c.id.desc()).limit(limit)
    return [_row(row) for row in tx.execute(statement)]


def insert_pause(
    tx: Tx,
    *,
    scope: Scope,
    key: str,
    job_id: int | None,
    until: Micros | None,
    reason: str,
    by: str,
    since: Micros | None = None,
) -> Pause:
    """Begin a pause, now unless `since` says an earlier moment."""
    (public_id,) = tx.new_public_ids(1)
    began = tx.at if since is None else since
    values = (tx.take_ids("pause"), public_id, scope.value, key, job_id, began, until, reason, by, None, None)
    insert_row(tx, tables.pause, values)
    return Pause(
        public_id=public_id, scope=scope, key=key, job_id=job_id, since=began, until=until, reason=reason, by=by
    )


def end_pause(tx: Tx, public_id: str, *, by: str) -> None:
    """End it now. One that is over already keeps its end."""
    pause = tables.pause
    statement = update(pause).where(pause.c.public_id == public_id, pause.c.ended_at.is_(None))
    tx.execute(statement.values(ended_at=tx.at, ended_by=by))
    tx.tell(Hint.JOBS)


def delete_ended_pauses(tx: Tx, *, before: Micros) -> int:
    """Forget pauses that were over by `before`, and before whatever is still to be judged. Returns how many."""
    return int(tx.driver.execute(_OVER, (before, before)).rowcount)


def _row(row: Row[Any]) -> PauseRow:
    pause = Pause(
        public_id=row.public_id, scope=Scope(row.scope), key=row.key, job_id=row.job_id, since=row.since,
        until=row.until, reason=row.reason, by=row.created_by,
    )  # fmt: skip
    return PauseRow(pause, row.ended_at, row.ended_by)
