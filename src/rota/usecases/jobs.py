"""Jobs: make, list, show, change, enable, disable, delete, trigger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import Conflict, FieldError, Skipped
from rota.domain.ids import Kind, public
from rota.domain.instant import SECOND
from rota.domain.job import JobSpec
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.ports import RunRequest, Tx
from rota.storage import audit, jobs, runs
from rota.storage.freeze import plan_for, target_set_for
from rota.storage.jobs import JobRow
from rota.storage.ledger import record_span
from rota.storage.timing import timings_of
from rota.usecases import resources, shapes
from rota.usecases.changes import changes_between
from rota.usecases.checks import examine, variable_faults
from rota.usecases.context import Context
from rota.usecases.drafts import UNSET, JobDraft, changed_spec, new_spec

MOST_LISTED = 1000


class StaleVersion(Conflict):
    """The job is no longer at the version that the change was made for (If-Match)."""

    code = "precondition"


async def create(ctx: Context, principal: Principal, draft: JobDraft, *, dry_run: bool = False) -> shapes.Job:
    """Save a new job, due from now on. With `dry_run` answer what would be, and change nothing.

    Raises InvalidInput with every fault, else NotFound with everything that is missing, else Conflict.
    """
    authorize(principal, Verb.WRITE, f"job {draft.name if draft.name is not UNSET else ''}")

    def checked(tx: Tx) -> tuple[JobSpec, list[str]]:
        spec, faults = new_spec(draft, targets_at_once=ctx.targets_at_once, now=tx.at)
        return spec, _require_good(tx, spec, faults)

    def would_be(tx: Tx) -> shapes.Job:
        spec, warnings = checked(tx)
        jobs.require_free_name(tx, spec.name)
        return _warned(resources.job(jobs.unsaved_job(spec, principal.name, at=tx.at), spec, {}, now=tx.at), warnings)

    def save(tx: Tx) -> shapes.Job:
        spec, warnings = checked(tx)
        row = jobs.insert_job(tx, spec, principal.name)
        audit.record(tx, principal.name, "create", subject(row), {"name": row.name, "enabled": row.enabled})
        return _warned(resources.job(row, spec, {}, now=tx.at), warnings)

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


async def list_all(ctx: Context, principal: Principal, *, after: str | None, limit: int, short: bool) -> shapes.JobPage:
    """Jobs by name, those behind the name `after`. `short` leaves out steps, variables and next runs."""
    authorize(principal, Verb.READ, "jobs")

    def read(tx: Tx) -> tuple[list[shapes.Job], str | None]:
        rows = jobs.list_jobs(tx, after=after, limit=limit + 1)
        page = rows[:limit]
        items = [resources.job_in_list(row) if short else whole(tx, row) for row in page]
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

    def prepared(tx: Tx) -> tuple[JobRow, JobSpec, list[str]]:
        row = jobs.get_job(tx, ref)
        authorize(principal, Verb.WRITE, f"job {row.name}")
        if only_version is not None and row.version != only_version:
            raise StaleVersion(
                f'schedule "{row.name}" is at version {row.version}, changed by {row.updated_by}',
                expected=f"version {only_version}",
                hint=f"look at it again: rota schedule show {row.name}",
            )
        spec, faults = changed_spec(draft, row.spec, now=tx.at)
        return row, spec, _require_good(tx, spec, faults)

    def would_be(tx: Tx) -> shapes.Changed:
        row, spec, warnings = prepared(tx)
        if spec.name != row.name:
            jobs.require_free_name(tx, spec.name)
        return {"job": _warned(whole(tx, jobs.as_if(row, spec)), warnings), "changes": changes_between(row.spec, spec)}

    def save(tx: Tx) -> shapes.Changed:
        row, spec, warnings = prepared(tx)
        changes = changes_between(row.spec, spec)
        saved = _save(tx, principal, row, spec, changes) if changes else row
        return {"job": _warned(whole(tx, saved), warnings), "changes": changes}

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
            key=key,
            priority=spec.priority,
            targets_at_once=spec.targets_at_once,
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
    high_water = {timing.name: timing.high_water for timing in timings_of(tx, row.id)} if row.enabled else {}
    return resources.job(row, row.spec, high_water, now=tx.at)


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


def _require_good(tx: Tx, spec: JobSpec, faults: Sequence[FieldError]) -> list[str]:
    """The warnings. Raises InvalidInput with every fault, else NotFound with everything that is missing."""
    found = examine(tx, spec.steps, spec.variables, spec.target, faults=faults)
    found.raise_any()
    return found.warnings


def _warned(job: shapes.Job, warnings: list[str]) -> shapes.Job:
    if warnings:
        job["warnings"] = warnings
    return job
