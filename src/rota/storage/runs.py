"""Reading runs, their targets and attempts, and history: one query over runs and ledger. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, literal, literal_column, select, union_all

from rota.domain.errors import NotFound
from rota.domain.ids import Kind
from rota.domain.instant import Micros
from rota.domain.plan import plan_digest
from rota.domain.reasons import Reason
from rota.domain.states import TargetState
from rota.ports import Tx
from rota.storage import tables
from rota.storage.references import find_by_id


class RunRow(NamedTuple):
    """A run with the words that name what it came from. `*_public_id` and `rerun_of` are 16 hex digits."""

    id: int
    public_id: str
    job_id: int | None
    job_version_id: int | None
    title: str
    trigger_id: int | None
    nominal: Micros | None
    kind: str
    catch_up: bool
    state: str
    reason: str | None
    message: str | None
    waiting_for: str | None
    priority: int
    plan_id: int
    target_set_id: int
    total: int
    ok: int
    targets_at_once: int
    run_timeout: Micros
    principal: str
    created_at: Micros
    due_at: Micros
    queued_at: Micros | None
    started_at: Micros | None
    finished_at: Micros | None
    cancel_requested_at: Micros | None
    cancel_reason: str | None
    deferred_by: str | None
    job_name: str | None
    job_public_id: str | None
    job_version: int | None
    job_digest: str | None
    rerun_of: str | None


class AttemptRow(NamedTuple):
    id: int
    run_target_id: int
    step: int
    number: int
    state: str
    reason: str | None
    message: str | None
    exit_code: int | None
    signal: int | None
    changed: bool | None
    registered: str | None
    output_bytes: int | None
    evidence: str | None
    started_at: Micros | None
    finished_at: Micros | None


class TargetRow(NamedTuple):
    """A run target with its attempts, in the order they were made.

    `held_by`: the run (its id's 16 hex digits) that has the host's lock, and its title, for a target locked out.
    """

    id: int
    host: str
    state: str
    reason: str | None
    message: str | None
    batch: int
    waiting_for: str | None
    not_before: Micros | None
    held_by: str | None
    held_by_title: str | None
    cursor: int
    changed: bool | None
    owner: str | None
    lost_since: Micros | None
    started_at: Micros | None
    finished_at: Micros | None
    attempts: tuple[AttemptRow, ...]


class LedgerRow(NamedTuple):
    """`blocked_by` is the public id (16 hex digits) of the run that was in the way, where it is still there."""

    id: int
    job_id: int
    job_name: str
    trigger_id: int | None
    kind: str
    reason: str
    message: str | None
    first_nominal: Micros
    last_nominal: Micros
    occurrences: int
    at: Micros
    blocked_by: str | None


class HistoryCursor(NamedTuple):
    """Where a page of history ended: the ids of the last run and the last ledger row that were shown."""

    run_id: int
    ledger_id: int


class Writer(NamedTuple):
    """Of one attempt's output. `step` is the place of the step in the run's plan, from 0."""

    host: str
    step: int
    number: int


BEGINNING = HistoryCursor(1 << 62, 1 << 62)
# Once: the columns of an alias are made anew for each, and who watches a run asks five times a second.
_ORIGINAL, _HOLDER = tables.run.alias("original"), tables.run.alias("holder")


def _runs(*conditions: ColumnElement[bool]) -> Select[Any]:
    run, job, version = tables.run, tables.job, tables.job_version
    own = [run.c[name] for name in RunRow._fields[: RunRow._fields.index("job_name")]]
    return (
        select(*own, job.c.name, job.c.public_id, version.c.number, version.c.digest, _ORIGINAL.c.public_id)
        .outerjoin(job, job.c.id == run.c.job_id)
        .outerjoin(version, version.c.id == run.c.job_version_id)
        .outerjoin(_ORIGINAL, _ORIGINAL.c.id == run.c.rerun_of)
        .where(*conditions)
    )


def find_run(tx: Tx, ref: str) -> RunRow | None:
    """The run whose id begins with `ref`. Raises InvalidInput if several do."""
    run_id = find_by_id(tx, tables.run, Kind.RUN, ref)
    return None if run_id is None else get_run_by_id(tx, run_id)


def get_run(tx: Tx, ref: str) -> RunRow:
    """The run whose id begins with `ref`. Raises NotFound."""
    row = find_run(tx, ref)
    if row is None:
        raise NotFound(
            f'there is no run "{ref}"', expected="a run id, or its first 4 digits or more", hint="see: rota runs list"
        )
    return row


def get_run_by_id(tx: Tx, run_id: int) -> RunRow:
    return RunRow._make(tx.execute(_runs(tables.run.c.id == run_id)).one())


def list_runs(
    tx: Tx,
    *,
    job_id: int | None = None,
    states: Sequence[str] = (),
    before: int | None = None,
    limit: int,
) -> list[RunRow]:
    """Newest first, those with a row id below `before`."""
    run = tables.run.c
    statement = _runs().order_by(run.id.desc()).limit(limit)
    if job_id is not None:
        statement = statement.where(run.job_id == job_id)
    if states:
        statement = statement.where(run.state.in_(states))
    if before is not None:
        statement = statement.where(run.id < before)
    return [RunRow._make(row) for row in tx.execute(statement)]


def runs_by_id(tx: Tx, run_ids: Iterable[int]) -> dict[int, RunRow]:
    rows = tx.execute(_runs(tables.run.c.id.in_(list(run_ids))))
    return {row.id: RunRow._make(row) for row in rows}


def targets_by_state(tx: Tx, run_ids: Iterable[int]) -> dict[int, dict[str, int]]:
    """Run id -> state -> how many of its targets are in it. Waiting runs have no targets yet."""
    target = tables.run_target.c
    counts: dict[int, dict[str, int]] = {}
    rows = tx.execute(
        select(target.run_id, target.state, func.count().label("targets"))
        .where(target.run_id.in_(list(run_ids)))
        .group_by(target.run_id, target.state)
    )
    for row in rows:
        counts.setdefault(row.run_id, {})[row.state] = row.targets
    return counts


def targets_of(tx: Tx, run_id: int, *, since: Micros | None = None) -> list[TargetRow]:
    """The run's targets in the order of its target set, each with its attempts.

    `since`: only those that may have changed after that instant, so that a watcher of ten thousand reads a few.
    """
    target, attempt = tables.run_target.c, tables.attempt.c
    lock, holder = tables.host_lock, _HOLDER
    wanted = [target.run_id == run_id]
    if since is not None:
        at_work = (target.state != TargetState.QUEUED) & target.finished_at.is_(None)
        wanted.append(at_work | target.waiting_for.is_not(None) | (target.finished_at >= since))
    attempts: dict[int, list[AttemptRow]] = {}
    columns = [attempt[name] for name in AttemptRow._fields]
    made = select(*columns).join(tables.run_target, target.id == attempt.run_target_id).where(*wanted)
    for one in map(AttemptRow._make, tx.execute(made.order_by(attempt.id)).all()):
        attempts.setdefault(one.run_target_id, []).append(one)
    found = tx.execute(
        select(
            target.id, target.host, target.state, target.reason, target.message, target.batch, target.waiting_for,
            target.not_before, holder.c.public_id, holder.c.title, target.cursor,
            target.changed, target.owner, target.lost_since, target.started_at, target.finished_at,
        )
        .select_from(tables.run_target)
        .outerjoin(lock, (target.reason == Reason.HOST_LOCKED) & (lock.c.host == target.host))
        .outerjoin(holder, holder.c.id == lock.c.run_id)
        .where(*wanted)
        .order_by(target.id)
    )  # fmt: skip
    return [TargetRow._make((*row, tuple(attempts.get(row.id, ())))) for row in found.all()]


def writers_of(tx: Tx, attempt_ids: Iterable[int]) -> dict[int, Writer]:
    """Attempt id -> whose output it is."""
    target, attempt = tables.run_target.c, tables.attempt.c
    statement = (
        select(attempt.id, target.host, attempt.step, attempt.number)
        .join(tables.run_target, target.id == attempt.run_target_id)
        .where(attempt.id.in_(list(attempt_ids)))
    )
    return {row.id: Writer(row.host, row.step, row.number) for row in tx.execute(statement).all()}


def digest_of(tx: Tx, run: RunRow, plan: str) -> str:
    """What dry run showed for this run. `plan` is the digest of its plan's content."""
    target_set = tx.execute(select(tables.target_set.c.digest).where(tables.target_set.c.id == run.target_set_id))
    return plan_digest(job_version=run.job_digest or "", plan=plan, target_set=str(target_set.scalar_one()))


def unfinished_of(tx: Tx, job_id: int) -> list[RunRow]:
    """The job's unfinished runs, oldest first."""
    run = tables.run.c
    statement = _runs(run.job_id == job_id, run.finished_at.is_(None)).order_by(run.id)
    return [RunRow._make(row) for row in tx.execute(statement)]


def queue_length(tx: Tx, run: RunRow) -> int:
    """How many runs that wait for a slot would be admitted before this one."""
    other = tables.run.c
    before = (other.priority > run.priority) | (
        (other.priority == run.priority)
        & ((other.due_at < run.due_at) | ((other.due_at == run.due_at) & (other.id < run.id)))
    )
    statement = select(func.count()).select_from(tables.run)
    return int(tx.execute(statement.where(other.state == "waiting", other.waiting_for == "slot", before)).scalar_one())


def history(
    tx: Tx, *, job_id: int | None = None, cursor: HistoryCursor = BEGINNING, limit: int
) -> tuple[list[RunRow | LedgerRow], HistoryCursor | None]:
    """Runs and refusals together, newest first, and where the next page begins (None: this was the last).

    One query over both, which reads no more than a page of each one's index. Within each table ids grow with time, or
    nearly so: several processes write, and clocks are set back. So each side goes by its ids, and pages lose nothing.
    """
    run, entry = tables.run.c, tables.ledger.c
    runs = select(literal("run").label("kind"), run.id.label("id"), run.created_at.label("at"))
    entries = select(literal("ledger").label("kind"), entry.id.label("id"), entry.at.label("at"))
    runs, entries = runs.where(run.id < cursor.run_id), entries.where(entry.id < cursor.ledger_id)
    if job_id is not None:
        runs, entries = runs.where(run.job_id == job_id), entries.where(entry.job_id == job_id)
    # A subselect around each arm: SQLite takes no LIMIT inside a compound.
    sides = [arm.order_by(literal_column("id").desc()).limit(limit + 1).subquery() for arm in (runs, entries)]
    rows = sorted(
        tx.execute(union_all(*(select(one.c.kind, one.c.id, one.c.at) for one in sides))), key=lambda row: -row.id
    )
    heads = ([row for row in rows if row.kind == kind] for kind in ("run", "ledger"))
    found = list(islice(merge(*heads, key=lambda row: -row.at), limit + 1))
    shown = found[:limit]
    run_rows = runs_by_id(tx, [row.id for row in shown if row.kind == "run"])
    ledger_rows = _ledger_by_id(tx, [row.id for row in shown if row.kind == "ledger"])
    items: list[RunRow | LedgerRow] = [run_rows[row.id] if row.kind == "run" else ledger_rows[row.id] for row in shown]
    if len(found) <= limit:
        return items, None
    last_run = min((row.id for row in shown if row.kind == "run"), default=cursor.run_id)
    last_entry = min((row.id for row in shown if row.kind == "ledger"), default=cursor.ledger_id)
    return items, HistoryCursor(last_run, last_entry)


def ledger_at(tx: Tx, job_id: int, at: Micros) -> LedgerRow | None:
    """The newest refusal of the job whose span holds `at`."""
    entry = tables.ledger.c
    statement = _ledger(entry.job_id == job_id, entry.first_nominal <= at, entry.last_nominal >= at)
    row = tx.execute(statement.order_by(entry.id.desc()).limit(1)).first()
    return None if row is None else LedgerRow._make(row)


def latest_refusal(tx: Tx, job_id: int) -> LedgerRow | None:
    entry = tables.ledger.c
    row = tx.execute(_ledger(entry.job_id == job_id).order_by(entry.id.desc()).limit(1)).first()
    return None if row is None else LedgerRow._make(row)


def run_at(tx: Tx, job_id: int, at: Micros) -> RunRow | None:
    """The job's run for the nominal instant `at`, else the one that was going on then, else None."""
    run = tables.run.c
    going_on = (run.created_at <= at) & ((run.finished_at.is_(None)) | (run.finished_at >= at))
    statement = _runs(run.job_id == job_id, (run.nominal == at) | going_on)
    row = tx.execute(statement.order_by((run.nominal == at).desc().nulls_last(), run.id.desc()).limit(1)).first()
    return None if row is None else RunRow._make(row)


def latest_run(tx: Tx, job_id: int) -> RunRow | None:
    row = tx.execute(_runs(tables.run.c.job_id == job_id).order_by(tables.run.c.id.desc()).limit(1)).first()
    return None if row is None else RunRow._make(row)


def _ledger(*conditions: ColumnElement[bool]) -> Select[Any]:
    entry, run = tables.ledger, tables.run
    own = [entry.c["count" if name == "occurrences" else name] for name in LedgerRow._fields[:-1]]
    return select(*own, run.c.public_id).outerjoin(run, run.c.id == entry.c.blocked_by).where(*conditions)


def _ledger_by_id(tx: Tx, ids: Sequence[int]) -> dict[int, LedgerRow]:
    return {row.id: LedgerRow._make(row) for row in tx.execute(_ledger(tables.ledger.c.id.in_(ids)))}
