"""Jobs and their versions. Every save adds a version, none ever changes; deleting frees the name and keeps the rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, func, select, update

from rota.domain.calendars import has_tag
from rota.domain.errors import Conflict
from rota.domain.ids import Kind
from rota.domain.instant import Micros
from rota.domain.job import JobSpec, canonical
from rota.ports import Hint, Tx
from rota.storage import limits, tables
from rota.storage.insert import insert_row
from rota.storage.references import find_named, names_of, unknown
from rota.storage.timing import change_triggers, start_triggers, stop_triggers

LIVE: ColumnElement[bool] = tables.job.c.deleted_at.is_(None)


class LastRun(NamedTuple):
    public_id: str
    state: str
    reason: str | None
    kind: str
    started_at: Micros | None
    finished_at: Micros | None


class JobRow(NamedTuple):
    """A job with its newest version. `spec_text` is that version's canonical JSON."""

    id: int
    public_id: str
    name: str
    enabled: bool
    version: int
    version_id: int
    created_at: Micros
    created_by: str
    updated_at: Micros
    updated_by: str
    deleted_at: Micros | None
    spec_text: str
    digest: str
    active: int
    last_run: LastRun | None

    @property
    def data(self) -> dict[str, Any]:
        """The version's JSON, as `JobSpec.to_dict` wrote it."""
        content: dict[str, Any] = json.loads(self.spec_text)
        return content

    @property
    def spec(self) -> JobSpec:
        return JobSpec.from_dict(self.data)


def _rows(*conditions: ColumnElement[bool]) -> Select[Any]:
    job, version, state, run = tables.job, tables.job_version, tables.job_state, tables.run
    return (
        select(
            job.c.id, job.c.public_id, job.c.name, job.c.enabled, job.c.version, job.c.version_id,
            job.c.created_at, job.c.created_by, job.c.updated_at, job.c.updated_by, job.c.deleted_at,
            version.c.spec, version.c.digest, state.c.active,
            run.c.public_id, state.c.last_state, state.c.last_reason, state.c.last_kind,
            state.c.last_started_at, state.c.last_finished_at,
        )
        .join(version, version.c.id == job.c.version_id)
        .join(state, state.c.job_id == job.c.id)
        .outerjoin(run, run.c.id == state.c.last_run_id)
        .where(*conditions)
    )  # fmt: skip


def _row(row: Row[Any]) -> JobRow:
    *own, run_id, state, reason, kind, started_at, finished_at = tuple[Any, ...](row)
    last = None if run_id is None else LastRun(run_id, state, reason, kind, started_at, finished_at)
    return JobRow._make((*own, last))


def find_job(tx: Tx, ref: str) -> JobRow | None:
    """The live job called `ref`. Raises InvalidInput for an ambiguous id prefix."""
    job_id = find_named(tx, tables.job, Kind.JOB, ref, LIVE)
    return None if job_id is None else get_job_by_id(tx, job_id)


def get_job(tx: Tx, ref: str) -> JobRow:
    """The live job called `ref`. Raises NotFound with a near name."""
    row = find_job(tx, ref)
    if row is None:
        raise unknown("schedule", ref, names_of(tx, tables.job, LIVE), see="rota schedule list")
    return row


def find_job_ever(tx: Tx, ref: str) -> JobRow | None:
    """The live job called `ref`, else the one deleted last of that name or id: its runs are still there."""
    job_id = find_named(tx, tables.job, Kind.JOB, ref, LIVE)
    if job_id is None:
        job_id = find_named(tx, tables.job, Kind.JOB, ref)
    return None if job_id is None else get_job_by_id(tx, job_id)


def get_job_ever(tx: Tx, ref: str) -> JobRow:
    """Like `find_job_ever`. Raises NotFound with a near name."""
    row = find_job_ever(tx, ref)
    if row is None:
        raise unknown("schedule", ref, names_of(tx, tables.job, LIVE), see="rota schedule list")
    return row


def get_job_by_id(tx: Tx, job_id: int) -> JobRow:
    """The job with this row id, deleted or not."""
    return _row(tx.execute(_rows(tables.job.c.id == job_id)).one())


def list_jobs(tx: Tx, *, after: str | None = None, limit: int, having: Sequence[str] = ()) -> list[JobRow]:
    """Live jobs by name, those behind the name `after`. `having`: tags, `k` or `k=v`, each of which they have."""
    statement = _rows(LIVE).order_by(tables.job.c.name)
    if after is not None:
        statement = statement.where(tables.job.c.name > after)
    if not having:
        return [_row(row) for row in tx.execute(statement.limit(limit))]
    for tag in having:  # a first sieve; the rows are looked at closely below
        name = tag.partition("=")[0]
        statement = statement.where(tables.job_version.c.spec.contains(f'"{name}":', autoescape=True))
    rows = map(_row, tx.execute(statement))
    return [*islice((row for row in rows if all(has_tag(row.data.get("tags", {}), tag) for tag in having)), limit)]


def count_jobs(tx: Tx) -> tuple[int, int]:
    """(live jobs, enabled ones among them)."""
    enabled = func.count().filter(tables.job.c.enabled)
    row = tx.execute(select(func.count().label("total"), enabled.label("on")).select_from(tables.job).where(LIVE)).one()
    return row.total, row.on


def next_due(tx: Tx) -> tuple[str, Micros] | None:
    """(job name, instant) of whatever is due first, or None."""
    due, trigger, job = tables.due, tables.trigger, tables.job
    row = tx.execute(
        select(job.c.name, due.c.fire_at)
        .join(trigger, trigger.c.id == due.c.trigger_id)
        .join(job, job.c.id == trigger.c.job_id)
        .where(due.c.fire_at.is_not(None), due.c.nominal.is_not(None))
        .order_by(due.c.fire_at, due.c.trigger_id)
        .limit(1)
    ).first()
    return None if row is None else (row.name, row.fire_at)


def users_of(tx: Tx, text: str) -> list[tuple[str, JobSpec]]:
    """(name, spec) of the live jobs in whose spec `text` occurs anywhere; the caller looks closer."""
    statement = (
        select(tables.job.c.name, tables.job_version.c.spec)
        .join(tables.job_version, tables.job_version.c.id == tables.job.c.version_id)
        .where(LIVE, tables.job_version.c.spec.contains(text, autoescape=True))
        .order_by(tables.job.c.name)
    )
    return [(row.name, JobSpec.from_dict(json.loads(row.spec))) for row in tx.execute(statement)]


def require_free_name(tx: Tx, name: str) -> None:
    """Raise Conflict if a live job has that name."""
    if tx.driver.execute("SELECT 1 FROM job WHERE name = ? AND deleted_at IS NULL", (name,)).fetchone():
        raise Conflict(
            f'there is a schedule "{name}" already',
            expected="another name",
            hint=f"change it: rota schedule update {name}",
        )


def insert_job(tx: Tx, spec: JobSpec, principal: str) -> JobRow:
    """Save a new job as its version 1, with its triggers, due from now on. Raises Conflict if the name is taken.

    Driver statements throughout: a thousand jobs a second can be added (bench `add`).
    """
    require_free_name(tx, spec.name)
    at, job_id = tx.at, tx.take_ids("job")
    (public_id,) = tx.new_public_ids(1)
    version_id, text, spec_digest = tx.take_ids("job_version"), *_content(spec)
    values = (job_id, public_id, spec.name, spec.enabled, 1, version_id, at, principal, at, principal, None)
    insert_row(tx, tables.job, values)
    insert_row(tx, tables.job_version, (version_id, job_id, 1, text, spec_digest, principal, at))
    insert_row(tx, tables.job_state, (job_id, 0, None, None, None, None, None, None))
    start_triggers(tx, job_id, spec)
    tx.tell(Hint.JOBS)
    return JobRow(*values, text, spec_digest, 0, None)


def unsaved_job(spec: JobSpec, principal: str, *, at: Micros) -> JobRow:
    """What `insert_job` would give, with an id of zeros: for a dry run."""
    return JobRow(
        0, "0" * 16, spec.name, spec.enabled, 1, 0, at, principal, at, principal, None, *_content(spec), 0, None
    )


def as_if(job: JobRow, spec: JobSpec) -> JobRow:
    """The job as it would be with this spec: for a dry run."""
    text, spec_digest = _content(spec)
    return job._replace(name=spec.name, enabled=spec.enabled, spec_text=text, digest=spec_digest)


def save_version(tx: Tx, job: JobRow, spec: JobSpec, principal: str, *, why: str) -> JobRow:
    """Save the job's next version. Raises Conflict if the new name is taken. `why`: see `change_triggers`."""
    if spec.name != job.name:
        require_free_name(tx, spec.name)
    version_id, text, spec_digest = tx.take_ids("job_version"), *_content(spec)
    number = job.version + 1
    insert_row(tx, tables.job_version, (version_id, job.id, number, text, spec_digest, principal, tx.at))
    tx.execute(
        update(tables.job)
        .where(tables.job.c.id == job.id)
        .values(
            name=spec.name,
            enabled=spec.enabled,
            version=number,
            version_id=version_id,
            updated_at=tx.at,
            updated_by=principal,
        )
    )
    change_triggers(tx, job.id, job.spec, spec, why=why)
    tx.tell(Hint.JOBS)
    if spec.name != job.name:
        limits.move_limit(tx, f"{limits.JOB}{job.name}", f"{limits.JOB}{spec.name}")
    return get_job_by_id(tx, job.id)


def delete_job(tx: Tx, job: JobRow, *, why: str) -> None:
    """The definition is gone and its name free; versions, runs and ledger stay until retention."""
    tx.execute(update(tables.job).where(tables.job.c.id == job.id).values(deleted_at=tx.at, enabled=False))
    stop_triggers(tx, job.id, job.spec, why=why)
    tx.tell(Hint.JOBS)


def count_runs(tx: Tx, job_id: int) -> int:
    return int(tx.execute(select(func.count()).where(tables.run.c.job_id == job_id)).scalar_one())


def spec_of_version(tx: Tx, version_id: int) -> JobSpec:
    """What one version says."""
    version = tables.job_version.c
    text = tx.execute(select(version.spec).where(version.id == version_id)).scalar_one()
    return JobSpec.from_dict(json.loads(text))


def _content(spec: JobSpec) -> tuple[str, str]:
    text = canonical(spec.to_dict())
    return text, hashlib.sha256(text.encode()).hexdigest()  # `domain.job.digest`, without writing the JSON again
