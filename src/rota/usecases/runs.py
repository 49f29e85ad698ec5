"""Runs: list, show, history, output, start without a job, plan, cancel, rerun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rota.actions.registry import uses_raw
from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import Conflict, FieldError, InvalidInput, RotaError, Skipped, near
from rota.domain.fanout import read_fan_out
from rota.domain.ids import SHOWN, Kind, public
from rota.domain.instant import SECOND
from rota.domain.inventory import LOCAL
from rota.domain.job import DEFAULT_RUN_TIMEOUT_SECONDS, DEFAULT_TARGETS_AT_ONCE, JobSpec, digest
from rota.domain.plan import plan_digest
from rota.domain.policy import Overlap
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.run import CONTROLLER
from rota.domain.states import RunState, TargetState
from rota.domain.step import Json
from rota.ports import Member, RunRequest, Tx
from rota.storage import audit, fanout, freeze, inventory, jobs, keys, runs
from rota.storage.runs import BEGINNING, HistoryCursor, RunRow, TargetRow
from rota.usecases import resources, shapes
from rota.usecases.checks import Findings, examine
from rota.usecases.context import Context
from rota.usecases.drafts import WorkDraft
from rota.usecases.output import read_page

DEFAULT_LISTED = 20
MOST_LISTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDraft:
    """An ad-hoc run as it was asked for."""

    work: WorkDraft
    target: str | None = None
    variables: Mapping[str, str]
    run_timeout_seconds: float = DEFAULT_RUN_TIMEOUT_SECONDS
    targets_at_once: int | None = None  # None = as the settings say
    priority: int = 0
    fan_out: Mapping[str, Json] = field(default_factory=dict)  # what was said of `domain.fanout.FIELDS`
    faults: Sequence[FieldError] = ()


async def list_all(
    ctx: Context, principal: Principal, *, job: str | None, states: str | None, limit: int, after: str | None
) -> shapes.RunPage:
    """Newest first. `states` is a state, or several with commas; a job may be one that was deleted."""
    authorize(principal, Verb.READ, "runs")
    wanted = _states(states)
    before = None if after is None else _number(after)

    def read(tx: Tx) -> shapes.RunPage:
        job_id = None if job is None else jobs.get_job_ever(tx, job).id
        rows = runs.list_runs(tx, job_id=job_id, states=wanted, before=before, limit=limit + 1)
        page = rows[:limit]
        counts = runs.targets_by_state(tx, [row.id for row in page])
        items = [resources.run(row, counts.get(row.id, {})) for row in page]
        return {"items": items, "next": str(page[-1].id) if len(rows) > limit else None}

    return await ctx.store.read(read)


async def show(ctx: Context, principal: Principal, ref: str) -> shapes.Run:
    """One run with its plan, targets and attempts. Raises NotFound."""

    def read(tx: Tx) -> shapes.Run:
        row = runs.get_run(tx, ref)
        authorize(principal, Verb.READ, subject(row))
        return detail(tx, row)

    return await ctx.store.read(read)


async def history(
    ctx: Context, principal: Principal, *, job: str | None, limit: int, after: str | None
) -> shapes.History:
    """Runs and what the planner refused, newest first. A job may be one that was deleted."""
    authorize(principal, Verb.READ, "history")
    cursor = BEGINNING if after is None else _cursor(after)

    def read(tx: Tx) -> shapes.History:
        job_id = None if job is None else jobs.get_job_ever(tx, job).id
        rows, following = runs.history(tx, job_id=job_id, cursor=cursor, limit=limit)
        counts = runs.targets_by_state(tx, [row.id for row in rows if isinstance(row, RunRow)])
        items: list[shapes.RunEntry | shapes.LedgerEntry] = [
            {"kind": "run", **resources.run(row, counts.get(row.id, {}))}
            if isinstance(row, RunRow)
            else resources.ledger_entry(row)
            for row in rows
        ]
        return {"items": items, "next": None if following is None else f"{following.run_id}.{following.ledger_id}"}

    return await ctx.store.read(read)


async def output(ctx: Context, principal: Principal, ref: str, *, after: int, limit: int) -> shapes.OutputPage:
    """What the run has written behind `after`, in order."""

    def find(tx: Tx) -> RunRow:
        row = runs.get_run(tx, ref)
        authorize(principal, Verb.READ, subject(row))
        return row

    return await read_page(ctx, await ctx.store.read(find), after=after, limit=limit)


async def start(ctx: Context, principal: Principal, draft: RunDraft, *, key: str | None = None) -> shapes.Run:
    """Make a run that no job defines. A second call with the same `key` and words answers with the first one's run.

    Raises InvalidInput with every fault, else NotFound with everything that is missing; Conflict for the same key
    with other words, or while the first request with it is in hand; Skipped if the selector picks no host.
    """
    authorize(principal, Verb.RUN, "an ad-hoc run")
    spec, faults = _spec(draft)
    words = _digest(spec)

    def prepare(tx: Tx) -> RunRequest | int:
        if key is not None and (known := keys.claim(tx, key, route="POST /runs", request=words)) is not None:
            return known
        _examined(tx, spec, faults).raise_any()
        targets = freeze.target_set_for(tx, spec.target)
        if not targets.members:
            raise _nobody(spec)
        audit.record(tx, principal.name, "run", f"ad hoc {spec.name}", {"target": spec.target})
        return RunRequest(
            title=spec.name,
            kind="adhoc",
            plan_id=freeze.plan_for(tx, spec),
            target_set_id=targets.id,
            members=targets.members,
            principal=principal.name,
            key=key,
            priority=spec.priority,
            targets_at_once=draft.targets_at_once or ctx.targets_at_once,
            fan_out=spec.fan_out.rules,
            run_timeout=round(spec.run_timeout_seconds * SECOND),
        )

    prepared = await ctx.store.write(prepare)
    if isinstance(prepared, int):
        run_id = prepared
    elif key is None:
        run_id = await ctx.launcher.launch(prepared)
    else:
        run_id = await _launch_once(ctx, prepared, key)
    return await ctx.store.read(lambda tx: as_listed(tx, run_id))


async def plan(ctx: Context, principal: Principal, draft: RunDraft) -> shapes.Planned:
    """Say what `start` would do: steps, hosts, every `| raw`, and the digest. Makes nothing. Raises as `start` does."""
    authorize(principal, Verb.READ, "a plan")
    spec, faults = _spec(draft)

    def read(tx: Tx) -> shapes.Planned:
        _examined(tx, spec, faults).raise_any()
        content = freeze.expand(tx, spec.steps, spec.variables)
        members = freeze.members_of(tx, spec.target)
        whole = plan_digest(job_version="", plan=content.digest, target_set=freeze.digest_of(members))
        planned = resources.plan(content, whole)
        planned["hosts"] = [member.host for member in members]
        planned["raw_uses"] = [f"{step.name}: {name}" for step in content.steps for name in uses_raw(step)]
        return {"plan": planned}

    return await ctx.store.read(read)


async def cancel(ctx: Context, principal: Principal, ref: str) -> shapes.Run:
    """Ask for the end of a run. Asking again changes nothing. Raises Conflict if it has ended already."""

    def ask(tx: Tx) -> RunRow:
        row = runs.get_run(tx, ref)
        authorize(principal, Verb.CANCEL, subject(row))
        if row.finished_at is not None:
            name = public(Kind.RUN, row.public_id[:SHOWN])
            raise Conflict(f"{name} has ended already ({row.state})", hint=f"see: rota runs show {name}")
        audit.record(tx, principal.name, "cancel", subject(row), {"title": row.title})
        return row

    row = await (ctx.for_ends or ctx.store).write(ask)
    await ctx.launcher.cancel(row.id, reason=Reason.USER_CANCELLED)
    return await ctx.store.read(lambda tx: as_listed(tx, row.id))


async def rerun(ctx: Context, principal: Principal, ref: str, *, failed: bool = False) -> shapes.Run:
    """Run the same plan again on the same hosts, whatever the job has become. Raises Skipped as a trigger does.

    `failed`: on those hosts that did not succeed, each as it is in the inventory now: an address that was put right
    counts. Hosts that are gone or disabled are named in `warnings`. Raises Conflict while the run goes on, and Skipped
    if there is none to run on.
    """

    def prepare(tx: Tx) -> tuple[RunRequest, list[str]]:
        row = runs.get_run(tx, ref)
        authorize(principal, Verb.RUN, subject(row))
        members, warnings = _again(tx, row, failed=failed)
        audit.record(tx, principal.name, "rerun", subject(row), {"title": row.title, "hosts": len(members)})
        return RunRequest(
            title=row.title,
            kind="rerun",
            plan_id=row.plan_id,
            target_set_id=freeze.target_set_of(tx, members).id if failed else row.target_set_id,
            members=members,
            principal=principal.name,
            job_id=row.job_id,
            job_version_id=row.job_version_id,
            overlap=None if row.job_version_id is None else _overlap_of(tx, row.job_version_id),
            priority=row.priority,
            targets_at_once=row.targets_at_once,
            fan_out=fanout.rules_of(tx, row.id),
            run_timeout=row.run_timeout,
            rerun_of=row.id,
        ), warnings

    request, warnings = await ctx.store.write(prepare)
    run_id = await ctx.launcher.launch(request)
    run = await ctx.store.read(lambda tx: as_listed(tx, run_id))
    if warnings:
        run["warnings"] = warnings
    return run


async def plan_rerun(ctx: Context, principal: Principal, ref: str, *, failed: bool = False) -> shapes.Planned:
    """Say what `rerun` would do, and make nothing. Raises as `rerun` does."""
    authorize(principal, Verb.READ, "a plan")

    def read(tx: Tx) -> shapes.Planned:
        row = runs.get_run(tx, ref)
        members, warnings = _again(tx, row, failed=failed)
        content = freeze.get_plan(tx, row.plan_id)
        digest_of_set = freeze.digest_of(members)
        planned = resources.plan(
            content, plan_digest(job_version=row.job_digest or "", plan=content.digest, target_set=digest_of_set)
        )
        planned["hosts"] = [member.host for member in members]
        answer: shapes.Planned = {"plan": planned}
        if warnings:
            answer["warnings"] = warnings
        return answer

    return await ctx.store.read(read)


def detail(tx: Tx, row: RunRow, targets: Sequence[TargetRow] | None = None) -> shapes.Run:
    """The run with its plan, targets and attempts; `targets` where the caller has read them already."""
    content = freeze.get_plan(tx, row.plan_id)
    whole = runs.digest_of(tx, row, content.digest)
    progress = fanout.progress_of(tx, row.id)
    return resources.run_detail(
        row, runs.targets_of(tx, row.id) if targets is None else targets, content, whole, progress
    )


def as_listed(tx: Tx, run_id: int) -> shapes.Run:
    """The run as a list shows it."""
    return resources.run(runs.get_run_by_id(tx, run_id), runs.targets_by_state(tx, [run_id]).get(run_id, {}))


def subject(row: RunRow) -> str:
    """What errors and audit rows call the run."""
    return f"run {public(Kind.RUN, row.public_id)}"


async def _launch_once(ctx: Context, request: RunRequest, key: str) -> int:
    """Launch, and note which run the key stands for; a launch that fails gives the key back."""
    try:
        run_id = await ctx.launcher.launch(request)
    except RotaError:
        await ctx.store.write(lambda tx: keys.release(tx, key))
        raise
    await ctx.store.write(lambda tx: keys.fulfil(tx, key, run_id))
    return run_id


def _spec(draft: RunDraft) -> tuple[JobSpec, list[FieldError]]:
    """The ad-hoc run as a spec without triggers, named by what it does."""
    faults = list(draft.faults)
    steps = draft.work.read(faults)
    fan_out, wrong = read_fan_out(draft.fan_out)
    faults += wrong
    title = resources.action_short(steps) or "nothing"
    spec = JobSpec(
        name=title,
        steps=steps,
        target=draft.target,
        variables=draft.variables,
        run_timeout_seconds=draft.run_timeout_seconds,
        targets_at_once=DEFAULT_TARGETS_AT_ONCE if draft.targets_at_once is None else draft.targets_at_once,
        priority=draft.priority,
        fan_out=fan_out,
    )
    told = {fault.field.partition("[")[0].partition(".")[0] for fault in faults}
    own = [fault for fault in spec.faults() if fault.field != "name"]
    if told & {"do", "playbook"}:
        own = [fault for fault in own if fault.field != "steps"]
    return spec, faults + own


def _examined(tx: Tx, spec: JobSpec, faults: Sequence[FieldError]) -> Findings:
    return examine(tx, spec.steps, spec.variables, spec.target, faults=faults)


def _digest(spec: JobSpec) -> str:
    content: Json = spec.to_dict()
    return digest(content)


def _nobody(spec: JobSpec) -> Skipped:
    return Skipped(
        f"nothing to run on: {EXPLANATIONS[Reason.NO_TARGETS]} ({spec.target})",
        reason=Reason.NO_TARGETS,
        hint="see: rota hosts list",
    )


def _again(tx: Tx, row: RunRow, *, failed: bool) -> tuple[tuple[Member, ...], list[str]]:
    """What a rerun runs on, and what is to be said of hosts that it leaves out."""
    if not failed:
        return freeze.get_target_set(tx, row.target_set_id).members, []
    name = public(Kind.RUN, row.public_id[:SHOWN])
    if row.finished_at is None:
        raise Conflict(f"{name} still goes on ({row.state})", hint=f"wait for its end: rota runs watch {name}")
    hosts = [target.host for target in runs.targets_of(tx, row.id) if target.state != TargetState.SUCCEEDED]
    if not hosts and row.started_at is None:  # it ended before its targets were made
        hosts = [member.host for member in freeze.get_target_set(tx, row.target_set_id).members]
    known = inventory.load(tx)
    gone = [host for host in hosts if host not in known.by_name and host not in {LOCAL, CONTROLLER}]
    disabled = [host for host in hosts if host in known.by_name and known.by_name[host].host.disabled]
    warnings = [
        f"left out, as {what}: {', '.join(left_out)}"
        for left_out, what in ((gone, "not in the inventory any more"), (disabled, "disabled"))
        if left_out
    ]
    members = known.members(host for host in hosts if host not in {*gone, *disabled})
    if not members:
        why = "; ".join(warnings) or "every host has succeeded"
        raise Skipped(f"nothing of {name} to run again: {why}", reason=Reason.NO_TARGETS)
    return members, warnings


def _overlap_of(tx: Tx, version_id: int) -> Overlap:
    return jobs.spec_of_version(tx, version_id).overlap


def _states(text: str | None) -> list[str]:
    words = [] if text is None else [word.strip() for word in text.split(",")]
    known = [state.value for state in RunState]
    faults = [
        FieldError(
            field="state",
            message=f'"{word[:40]}" is no state of a run',
            expected="one of " + " ".join(known),
            got=word[:40],
            hint=near(word, known),
        )
        for word in words
        if word not in known
    ]
    if faults:
        raise InvalidInput.of(faults)
    return words


def _cursor(text: str) -> HistoryCursor:
    run_id, dot, ledger_id = text.partition(".")
    return HistoryCursor(_number(run_id), _number(ledger_id if dot else "?"))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        fault = FieldError(field="after", message="is no cursor", expected="`next` of the page before", got=text[:40])
        raise InvalidInput.of([fault])
    return int(text)
