"""Jobs: make, list, show, change, enable, disable, delete, trigger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.calendar_spec import tag_filter_faults
from rota.domain.errors import Conflict, FieldError, InvalidInput, Skipped
from rota.domain.ids import Kind, public
from rota.domain.instant import SECOND
from rota.domain.job import JobSpec, NamedTrigger
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.reckoning import Pending
from rota.domain.trigger.caution import warnings_of
from rota.ports import RunRequest, Tx
from rota.storage import audit, jobs, runs
from rota.storage.freeze import plan_for, target_set_for
from rota.storage.jobs import JobRow
from rota.storage.ledger import record_span
from rota.storage.quota import runs_left
from rota.storage.timing import timings_of
from rota.storage.windows import Book, load_book, rules_of
from rota.usecases import resources, shapes
from rota.usecases.calendars import missing_calendars
from rota.usecases.changes import changes_between
from rota.usecases.checks import examine, variable_faults
from rota.usecases.context import Context
from rota.usecases.drafts import UNSET, Drafted, JobDraft, changed_spec, new_spec
from rota.usecases.pauses import mark_paused

MOST_LISTED = 1000


class StaleVersion(Conflict):
    """The job is no longer at the version that the change was made for (If-Match)."""

    code = "precondition"


async def create(ctx: Context, principal: Principal, draft: JobDraft, *, dry_run: bool = False) -> shapes.Job:
    """Save a new job, due from now on. With `dry_run` answer what would be, and change nothing.

    Raises InvalidInput with every fault, else NotFound with everything that is missing, else Conflict.
    """
    authorize(principal, Verb.WRITE, f"job {draft.name if draft.name is not UNSET else ''}")

    def checked(tx: Tx) -> tuple[JobSpec, _Told]:
        drafted = new_spec(draft, targets_at_once=ctx.targets_at_once, now=tx.at)
        return drafted.spec, _require_good(tx, drafted)

    def would_be(tx: Tx) -> shapes.Job:
        spec, told = checked(tx)
        jobs.require_free_name(tx, spec.name)
        return _telling(_fresh(tx, jobs.unsaved_job(spec, principal.name, at=tx.at), spec), told)

    def save(tx: Tx) -> shapes.Job:
        spec, told = checked(tx)
        row = jobs.insert_job(tx, spec, principal.name)
        audit.record(tx, principal.name, "create", subject(row), {"name": row.name, "enabled": row.enabled})
        return _telling(_fresh(tx, row, spec), told)

    if dry_run:
        return await ctx.store.read(would_be)
    saved = await ctx.store.write(save)
    ctx.launcher.jobs_changed()
    return saved


async def show(ctx: Context, principal: Principal, ref: str) -> shapes.Job:
    """One job, whole. Raises NotFound with a near name."""

    def read(tx: Tx) -> shapes.Job:
        row = jobs.get_job(tx, ref)
        authorize(principal, Verb.READ, f"job {row.name}")
        return whole(tx, row)

    return await ctx.store.read(read)


async def list_all(
    ctx: Context, principal: Principal, *, after: str | None, limit: int, short: bool, tags: Sequence[str] = ()
) -> shapes.JobPage:
    """Jobs by name, those behind the name `after`. `short` leaves out steps, variables and next runs.

    `tags`, each `k` or `k=v`: only jobs that have them all. Raises InvalidInput for what is no tag.
    """
    authorize(principal, Verb.READ, "jobs")
    if faults := [fault for tag in tags for fault in tag_filter_faults(tag)]:
        raise InvalidInput.of(faults)

    def read(tx: Tx) -> tuple[list[shapes.Job], str | None]:
        rows = jobs.list_jobs(tx, after=after, limit=limit + 1, having=tags)
        page = rows[:limit]
        if not short:
            return [whole(tx, row) for row in page], page[-1].name if len(rows) > limit else None
        items = [resources.job_in_list(row) for row in page]
        mark_paused(tx, load_book(tx, since=tx.at), page, items)
        return items, page[-1].name if len(rows) > limit else None

    items, following = await ctx.store.read(read)
    return {"items": items, "next": following, "daemon": resources.daemon(ctx.info.daemon)}


async def change(
    ctx: Context,
    principal: Principal,
    ref: str,
    draft: JobDraft,
    *,
    only_version: int | None = None,
    dry_run: bool = False,
) -> shapes.Changed:
    """Save the job's next version with what the draft says; equal content saves nothing.

    Raises StaleVersion if the job is not at `only_version`, and what `create` raises.
    """

    def prepared(tx: Tx) -> tuple[JobRow, JobSpec, _Told]:
        row = jobs.get_job(tx, ref)
        authorize(principal, Verb.WRITE, f"job {row.name}")
        if only_version is not None and row.version != only_version:
            raise StaleVersion(
                f'schedule "{row.name}" is at version {row.version}, changed by {row.updated_by}',
                expected=f"version {only_version}",
                hint=f"look at it again: rota schedule show {row.name}",
            )
        drafted = changed_spec(draft, row.spec, now=tx.at)
        return row, drafted.spec, _require_good(tx, drafted, before=row.spec.triggers)

    def would_be(tx: Tx) -> shapes.Changed:
        row, spec, told = prepared(tx)
        if spec.name != row.name:
            jobs.require_free_name(tx, spec.name)
        return {"job": _telling(whole(tx, jobs.as_if(row, spec)), told), "changes": changes_between(row.spec, spec)}

    def save(tx: Tx) -> shapes.Changed:
        row, spec, told = prepared(tx)
        changes = changes_between(row.spec, spec)
        saved = _save(tx, principal, row, spec, changes) if changes else row
        return {"job": _telling(whole(tx, saved), told), "changes": changes}

    if dry_run:
        return await ctx.store.read(would_be)
    changed = await ctx.store.write(save)
    ctx.launcher.jobs_changed()
    return changed


async def enable(ctx: Context, principal: Principal, ref: str) -> shapes.Job:
    """Let its triggers be due again, from now on: what passed while it was disabled is not missed."""
    return await _switch(ctx, principal, ref, enabled=True)


async def disable(ctx: Context, principal: Principal, ref: str) -> shapes.Job:
    """Nothing of it is due until it is enabled; runs that have begun go on."""
    return await _switch(ctx, principal, ref, enabled=False)


async def delete(ctx: Context, principal: Principal, ref: str) -> shapes.Deleted:
    """The definition is gone and its name is free. Its runs stay until retention; unfinished ones go on."""

    def remove(tx: Tx) -> shapes.Deleted:
        row = jobs.get_job(tx, ref)
        authorize(principal, Verb.WRITE, f"job {row.name}")
        jobs.delete_job(tx, row, why=f"{principal.name} deleted the schedule before a daemon planned them")
        audit.record(tx, principal.name, "delete", subject(row), {"name": row.name})
        return {
            "deleted": row.name,
            "id": public(Kind.JOB, row.public_id),
            "runs_kept": jobs.count_runs(tx, row.id),
            "active_runs": row.active,
        }

    deleted = await ctx.store.write(remove)
    ctx.launcher.jobs_changed()
    return deleted


@dataclass(frozen=True, slots=True)
class _NoTargets:
    """The refusal is in the ledger; the error is raised once that is durable."""

    job: str
    target: str


async def trigger(
    ctx: Context,
    principal: Principal,
    ref: str,
    *,
    variables: Mapping[str, str] | None = None,
    key: str | None = None,
    faults: Sequence[FieldError] = (),
) -> shapes.Run:
    """Run the job now, from its saved definition; its timetable does not move. `variables` lie over the job's.

    A second call with the same `key` answers with the first one's run. Raises Skipped if the overlap policy says
    no, or if the selector picks no host: both are in the ledger then.
    """

    def freeze(tx: Tx) -> RunRequest | _NoTargets:
        row = jobs.get_job(tx, ref)
        authorize(principal, Verb.RUN, f"job {row.name}")
        spec = replace(row.spec, variables={**row.spec.variables, **(variables or {})})
        found = examine(tx, spec.steps, spec.variables, None, faults=[*faults, *variable_faults(variables or {})])
        found.raise_any()
        targets = target_set_for(tx, spec.target)
        if not targets.members:
            record_span(
                tx,
                job_id=row.id,
                job_name=row.name,
                trigger_id=None,
                kind="manual",
                reason=Reason.NO_TARGETS,
                message=f"triggered by {principal.name}",
                first=tx.at,
                last=tx.at,
                count=1,
            )
            return _NoTargets(row.name, spec.target or "")
        audit.record(tx, principal.name, "trigger", subject(row), {"name": row.name})
        return RunRequest(
            title=row.name,
            kind="manual",
            plan_id=plan_for(tx, spec),
            target_set_id=targets.id,
            members=targets.members,
            principal=principal.name,
            job_id=row.id,
            job_version_id=row.version_id,
            overlap=spec.overlap,
            overlap_limit=spec.policies.overlap_limit,
            patience=spec.policies.patience,
            key=key,
            priority=spec.priority,
            targets_at_once=spec.targets_at_once,
            fan_out=spec.fan_out.rules,
            run_timeout=round(spec.run_timeout_seconds * SECOND),
        )

    request = await ctx.store.write(freeze)
    if isinstance(request, _NoTargets):
        raise Skipped(
            f'nothing to run "{request.job}" on: {EXPLANATIONS[Reason.NO_TARGETS]} ({request.target})',
            reason=Reason.NO_TARGETS,
            hint="see: rota hosts list",
        )
    run_id = await ctx.launcher.launch(request)
    return await ctx.store.read(lambda tx: run_resource(tx, run_id))


def run_resource(tx: Tx, run_id: int) -> shapes.Run:
    """A run as it is listed."""
    return resources.run(runs.get_run_by_id(tx, run_id), runs.targets_by_state(tx, [run_id]).get(run_id, {}))


def whole(tx: Tx, row: JobRow) -> shapes.Job:
    """The whole resource, next runs included."""
    spec = row.spec
    left = runs_left(tx, row.id, spec.max_runs)
    book = load_book(tx, since=tx.at)
    job = resources.job(row, spec, standing_of(tx, book, row, spec), now=tx.at, left=left)
    mark_paused(tx, book, [row], [job])
    return job


def _fresh(tx: Tx, row: JobRow, spec: JobSpec) -> shapes.Job:
    """The whole resource of a job that was just made, or would be."""
    book = load_book(tx, since=tx.at)
    standing = resources.Standing(rules=rules_of(tx, book, row.id or None, spec))
    job = resources.job(row, spec, standing, now=tx.at)
    mark_paused(tx, book, [row], [job])
    return job


def standing_of(tx: Tx, book: Book, row: JobRow, spec: JobSpec) -> resources.Standing:
    """Where the job's next runs begin, and what holds them."""
    timings = timings_of(tx, row.id) if row.enabled else []
    pending = {
        timing.name: Pending(timing.nominal, timing.fire_at, timing.deferred_by)
        for timing in timings
        if timing.nominal is not None and timing.fire_at is not None and timing.nominal <= tx.at < timing.fire_at
    }
    high_water = {timing.name: timing.high_water for timing in timings}
    return resources.Standing(high_water, pending, rules_of(tx, book, row.id, spec))


def subject(row: JobRow) -> str:
    """What audit rows call the job, whatever its name becomes."""
    return f"job {public(Kind.JOB, row.public_id)}"


async def _switch(ctx: Context, principal: Principal, ref: str, *, enabled: bool) -> shapes.Job:
    def save(tx: Tx) -> shapes.Job:
        row = jobs.get_job(tx, ref)
        authorize(principal, Verb.WRITE, f"job {row.name}")
        old = row.spec
        spec = replace(old, enabled=enabled)
        changes = changes_between(old, spec)
        return whole(tx, _save(tx, principal, row, spec, changes) if changes else row)

    job = await ctx.store.write(save)
    ctx.launcher.jobs_changed()
    return job


def _save(tx: Tx, principal: Principal, row: JobRow, spec: JobSpec, changes: list[shapes.Change]) -> JobRow:
    why = f"{principal.name} {_done(row, spec)} the schedule before a daemon planned them"
    saved = jobs.save_version(tx, row, spec, principal.name, why=why)
    if any(change["field"] != "enabled" for change in changes):
        fields = {change["field"]: [change["old"], change["new"]] for change in changes}
        audit.record(tx, principal.name, "update", subject(row), {"version": saved.version, "changes": fields})
    if row.enabled != spec.enabled:
        audit.record(tx, principal.name, "enable" if spec.enabled else "disable", subject(row), {"name": spec.name})
    return saved


def _done(row: JobRow, spec: JobSpec) -> str:
    return "disabled" if row.enabled and not spec.enabled else "changed"


class _Told(NamedTuple):
    """What is told of a save beside the job: warnings, and how words were read."""

    warnings: list[str]
    readings: tuple[str, ...]


def _require_good(tx: Tx, drafted: Drafted, *, before: Sequence[NamedTrigger] = ()) -> _Told:
    """Raises InvalidInput with every fault, else NotFound with everything that is missing.

    Of triggers that the job had `before` it has been warned before.
    """
    spec = drafted.spec
    found = examine(tx, spec.steps, spec.variables, spec.target, faults=drafted.faults)
    found.missing += missing_calendars(tx, spec)
    found.raise_any()
    new = (named.rule for named in drafted.spec.triggers if named not in before)
    return _Told([*found.warnings, *(said for rule in new for said in warnings_of(rule, now=tx.at))], drafted.readings)


def _telling(job: shapes.Job, told: _Told) -> shapes.Job:
    if told.warnings:
        job["warnings"] = told.warnings
    if told.readings:
        job["readings"] = [*told.readings]
    return job
