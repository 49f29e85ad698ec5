"""Who changed what: one row per change, written in the change's own transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import desc, select

from rota.domain.instant import Micros
from rota.domain.step import Json
from rota.ports import Tx
from rota.storage import tables
from rota.storage.insert import insert_row


class Entry(NamedTuple):
    at: Micros
    principal: str
    verb: str  # create update enable disable delete trigger cancel rerun run import remove add
    subject: str  # `job sched_…`, `run run_…`, `host host_…`, `playbook play_…`
    detail: dict[str, Json]


def record(tx: Tx, principal: str, verb: str, subject: str, detail: Mapping[str, object] | None = None) -> None:
    """Add one row as of `tx.at`."""
    text = json.dumps(detail, ensure_ascii=False) if detail else None
    insert_row(tx, tables.audit, (tx.take_ids("audit"), tx.at, principal, verb, subject, text))


def latest(tx: Tx, subject: str, *verbs: str) -> Entry | None:
    """The newest entry about `subject` with one of `verbs`, or None."""
    a = tables.audit.c
    row = tx.execute(
        select(a.at, a.principal, a.verb, a.subject, a.detail)
        .where(a.subject == subject, a.verb.in_(verbs))
        .order_by(desc(a.id))
        .limit(1)
    ).first()
    return None if row is None else Entry(row.at, row.principal, row.verb, row.subject, json.loads(row.detail or "{}"))
