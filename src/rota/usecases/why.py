"""Why something ran, did not run, or has not run yet: one sentence, and the facts behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.calendars import Rules, fate_of
from rota.domain.clocks import Kind as ClockKind
from rota.domain.errors import NotFound
from rota.domain.ids import SHOWN, Kind, public
from rota.domain.instant import Micros, format_duration, format_rfc3339, from_micros
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.states import RunState
from rota.domain.trigger.explain import describe
from rota.ports import Tx
from rota.storage import audit, clock_changes, jobs, references, runs, tables
from rota.storage.jobs import JobRow
from rota.storage.quota import runs_left
from rota.storage.runs import LedgerRow, RunRow, TargetRow
from rota.storage.timing import Timing, timings_of
from rota.storage.turns import turn_of
from rota.storage.windows import load_book, rules_of
from rota.storage.zonedata import DEPEND_ON_CLOCK_CHANGES, release_at
from rota.usecases import jobs as job_cases
from rota.usecases import resources, shapes, why_target
from rota.usecases.context import Context, DaemonInfo
from rota.usecases.pauses import pause_of, typed_scope
from rota.usecases.runs import subject

_ENDED = {
    RunState.SUCCEEDED: "succeeded",
    RunState.PARTIAL: "succeeded on some hosts only",
    RunState.FAILED: "failed",
    RunState.TIMED_OUT: "took too long and was ended",
    RunState.CANCELLED: "was cancelled",
    RunState.SKIPPED: "was never started",
    RunState.EXPIRED: "was never started",
}
_MOST_TROUBLES, _MOST_HOSTS = 20, 12  # told, and named for each


class _Answer(NamedTuple):
    subject: str
    state: str
    answer: str
    lines: list[str]
    next_look_at: Micros | None = None


async def why(
    ctx: Context, principal: Principal, ref: str, *, at: Micros | None = None, host: str | None = None
) -> shapes.Why:
    """Answer for a job or a run; `at` asks about one instant of a job, `host` about one target of the run, or of the
    job's latest run. A name wins over an id.

    Raises NotFound with near names, InvalidInput for an id that may be either.
    """
    authorize(principal, Verb.READ, ref)

    def read(tx: Tx) -> _Answer:
        job, run = _find(tx, ref)
        if host is not None:
            return _of_host(tx, run or _latest(tx, job), host)
        if run is not None:
            return _of_run(tx, run, ctx.info.daemon)
        assert job is not None, "one of the two was found"
        if at is not None:
            return _of_instant(tx, job, at, ctx.info.daemon)
        return _of_job(tx, job, ctx.info.daemon)

    found = await ctx.store.read(read)
    if (doubt := ctx.clock_doubt()) is not None:
        found = found._replace(lines=[*found.lines, f"Nothing is planned or begun now: {doubt}"])
    return {
        "subject": found.subject,
        "state": found.state,
        "answer": found.answer,
        "lines": found.lines,
        "next_look_at": None if found.next_look_at is None else format_rfc3339(found.next_look_at),
    }


def _find(tx: Tx, ref: str) -> tuple[JobRow | None, RunRow | None]:
    """Exactly one of the two."""
    job = jobs.find_job_ever(tx, ref)
    if job is not None and job.name == ref:
        return job, None
    run = runs.find_run(tx, ref)
    if job is not None and run is not None:
        raise references.ambiguous(ref, [public(Kind.JOB, job.public_id), public(Kind.RUN, run.public_id)])
    if job is None and run is None:
        known = references.names_of(tx, tables.job, jobs.LIVE)
        raise references.unknown("schedule or run", ref, known, see="rota schedule list, rota runs list")
    return job, run


# runs


def _of_run(tx: Tx, row: RunRow, daemon: DaemonInfo) -> _Answer:
    targets = runs.targets_of(tx, row.id)
    lines = [_came_from(row), *_zone_data(tx, row), *_dates(row), *_bad_targets(targets)]
    if row.finished_at is None:
        lines += why_target.held_up(tx, row, targets)
        lines += _patience(tx, row)
    if row.rerun_of is not None:
        lines.append(f"It repeats {_shown(row.rerun_of)}")
    if row.cancel_requested_at is not None:
        reason = f" ({row.cancel_reason})" if row.cancel_reason else ""
        lines.append(f"Its end was asked for at {_said(row.cancel_requested_at)}{reason}")
    title = f'"{row.title}"' if row.job_id is None else row.title
    name = f"Run {row.public_id[:SHOWN]} of {title}"
    if row.finished_at is not None:
        return _Answer(subject(row), row.state, f"{name} {_ended(row)}", lines)
    waits, look = _waiting(tx, row, targets, daemon)
    return _Answer(subject(row), row.state, f"{name} {waits}", lines, look)


def _of_host(tx: Tx, row: RunRow, host: str) -> _Answer:
    target, said = why_target.of_host(tx, row, runs.targets_of(tx, row.id), host)
    answer = f"{host} in {_shown(row.public_id)} {said}"
    lines = [
        f"{one.state} at its try {one.number} of step {one.step + 1}: {one.message or one.reason or 'no word'}"
        for one in target.attempts
        if one.state not in {"running", "succeeded"}
    ]
    lines += [f"Learnt later: {one.evidence}" for one in target.attempts if one.evidence]
    return _Answer(f"{subject(row)} on {host}", target.state, answer, lines, target.not_before)


def _latest(tx: Tx, job: JobRow | None) -> RunRow:
    assert job is not None, "one of the two was found"
    row = runs.latest_run(tx, job.id)
    if row is None:
        raise NotFound(f'schedule "{job.name}" has not run yet', hint=f"see: rota why {job.name}")
    return row


def _ended(row: RunRow) -> str:
    said = [_ENDED[RunState(row.state)]]
    explained = _explained(row.reason)
    if explained:
        said.append(explained)
    if row.message and row.message not in explained:
        said.append(row.message)
    if row.state in {RunState.PARTIAL, RunState.FAILED} and row.total > 1:
        said.append(f"{row.ok} of {row.total} hosts succeeded")
    return ": ".join(said[:2]) + "".join(f"; {word}" for word in said[2:])


def _waiting(tx: Tx, row: RunRow, targets: list[TargetRow], daemon: DaemonInfo) -> tuple[str, Micros | None]:
    """What an unfinished run is doing or waiting for, and when that is looked at next."""
    soon = tx.at if daemon.running else None
    nobody = "" if daemon.running else "; no daemon is running: rota daemon"
    match row.waiting_for:
        case "slot":
            ahead = runs.queue_length(tx, row)
            before = f", behind {ahead} others" if ahead else ""
            return f"waits for a slot: as many runs as allowed are going on{before}{nobody}", soon
        case "overlap":
            turn = turn_of(tx, row.id)
            if turn is not None and turn.not_before is not None and turn.not_before > tx.at:
                return f"is caught up in its turn, not before {_said(turn.not_before)}{nobody}", turn.not_before
            older = [run for run in runs.unfinished_of(tx, row.job_id or 0) if run.id < row.id]
            names = ", ".join(_shown(run.public_id) for run in older)
            return f"waits until the run before it has really ended{f' ({names})' if names else ''}{nobody}", soon
        case str(other):
            return f"waits for {other}{nobody}", soon
        case None:
            pass
    looks = [target.not_before for target in targets if target.not_before is not None]
    if row.state == RunState.QUEUED:
        if any(target.waiting_for is not None for target in targets):
            return f"waits for its hosts{nobody}", min(looks, default=soon)
        return f"is ready and waits for a worker to take it{nobody}", soon
    lost = [target.lost_since for target in targets if target.lost_since is not None]
    if lost:
        return f"was lost sight of at {_said(min(lost))}; it is looked for, and may still be going on", soon
    left = row.total - sum(1 for target in targets if target.finished_at is not None)
    running = "is running" if row.started_at is None else f"has been running since {_said(row.started_at)}"
    return f"{running}, {left} of {row.total} hosts still at it", min(looks, default=None)


def _came_from(row: RunRow) -> str:
    by = f"as {row.principal}"
    match row.kind:
        case "manual":
            return f"Triggered by {row.principal} at {_said(row.created_at)}"
        case "adhoc":
            return f"Asked for by {row.principal} at {_said(row.created_at)}, without a schedule"
        case "rerun":
            return f"Rerun by {row.principal} at {_said(row.created_at)}"
        case _:
            late = ", caught up late" if row.catch_up else ""
            if row.deferred_by is not None and row.catch_up:
                late = f", caught up late, once {row.deferred_by} allowed it"
            elif row.deferred_by is not None:
                late = f", put off until {_said(row.due_at)} by {row.deferred_by}"
            elif row.nominal is not None and row.due_at != row.nominal and not row.catch_up:
                late = f", moved to {_said(row.due_at)} by its spread"
            return f"Due by {row.kind} at {_said(row.nominal or row.due_at)}{late}, {by}"


def _zone_data(tx: Tx, row: RunRow) -> Iterator[str]:
    """The law that its instant was computed with, where clock changes count."""
    release = release_at(tx, row.created_at) if row.kind in DEPEND_ON_CLOCK_CHANGES else None
    if release is not None:
        yield f"That instant is by release {release} of the time zone database"


def _patience(tx: Tx, row: RunRow) -> Iterator[str]:
    """When it is given up unless it has started by then."""
    turn = turn_of(tx, row.id) if row.started_at is None else None
    if turn is not None and turn.expires_at is not None:
        yield f"Expires at {_said(turn.expires_at)} unless it has started by then ({turn.expires_as})"


def _dates(row: RunRow) -> Iterator[str]:
    if row.started_at is not None:
        waited = row.started_at - row.due_at
        after = f", {format_duration(waited)} after it was due" if waited > 0 else ""
        yield f"Started at {_said(row.started_at)}{after}"
    if row.finished_at is not None:
        took = "" if row.started_at is None else f" after {format_duration(row.finished_at - row.started_at)}"
        yield f"Ended at {_said(row.finished_at)}{took}"


def _bad_targets(targets: list[TargetRow]) -> Iterator[str]:
    """A line for each trouble, the commonest first, with the hosts that had it."""
    troubles: dict[str, list[str]] = {}
    for target in targets:
        if target.state in {"queued", "running", "succeeded"}:
            continue
        explained = _explained(target.reason)
        message = (target.message or "").replace(target.host, "the host")
        if explained and (target.state == "unreachable" or message == explained):
            message = ""  # the reason tells all; addresses and keys differ
        said = "; ".join(filter(None, [explained, message]))
        troubles.setdefault(f"{target.state} ({said})" if said else target.state, []).append(target.host)
    largest_first = sorted(troubles.items(), key=lambda trouble: -len(trouble[1]))
    for said, hosts in largest_first[:_MOST_TROUBLES]:
        more = f" and {len(hosts) - _MOST_HOSTS} more" if len(hosts) > _MOST_HOSTS else ""
        yield f"{', '.join(hosts[:_MOST_HOSTS])}{more}: {said}"
    if left := sum(len(hosts) for _, hosts in largest_first[_MOST_TROUBLES:]):
        yield f"and {left} hosts with {len(troubles) - _MOST_TROUBLES} other troubles"


# jobs


def _of_job(tx: Tx, row: JobRow, daemon: DaemonInfo) -> _Answer:
    about = f"job {row.name}"
    name = f'Schedule "{row.name}"'
    unfinished = runs.unfinished_of(tx, row.id)
    going_on = [f"Going on: {_shown(run.public_id)} ({run.state})" for run in unfinished]
    lines = [*going_on, *_last(tx, row)]
    if row.deleted_at is not None:
        entry = audit.latest(tx, job_cases.subject(row), "delete")
        by = f" by {entry.principal}" if entry else ""
        answer = f"{name} was deleted at {_said(row.deleted_at)}{by}; its runs stay until retention"
        return _Answer(about, "deleted", answer, lines)
    if not row.enabled:
        entry = audit.latest(tx, job_cases.subject(row), "disable", "create")
        since = f" since {_said(entry.at)}, by {entry.principal}" if entry else ""
        lines.append(f"Let it run again: rota schedule enable {row.name}")
        return _Answer(about, "disabled", f"{name} is disabled{since}: nothing of it is due", lines)
    clock = [timing for timing in timings_of(tx, row.id) if timing.rule is not None and timing.nominal is not None]
    if not clock:
        manual = all(timing.rule is None for timing in timings_of(tx, row.id))
        why = resources.no_next(row.spec, runs_left(tx, row.id, row.spec.max_runs), tx.at)
        said = "runs only when it is triggered" if manual else f"has no run ahead: {why}"
        lines.append(f"Run it now: rota schedule trigger {row.name}")
        return _Answer(about, "enabled", f"{name} {said}", lines)
    book = load_book(tx, since=tx.at)
    paused = pause_of(tx, book, row)
    if paused is not None:
        lines.append(f"Paused since {_said(paused.since)}; let it start again: rota resume {typed_scope(paused)}")
        return _Answer(about, "paused", f"{name} does not start by itself: {paused.said}", lines, paused.until)
    first = min(clock, key=lambda timing: timing.fire_at or timing.nominal or 0)
    lines += _settled_ahead(tx, first)
    return _next(about, name, first, rules_of(tx, book, row.id, row.spec), lines, daemon, now=tx.at)


def _next(
    about: str, name: str, timing: Timing, rules: Rules, lines: list[str], daemon: DaemonInfo, *, now: Micros
) -> _Answer:
    """What the nearest instant of an enabled job waits for."""
    assert timing.nominal is not None and timing.rule is not None, "the caller chose a trigger that is due"
    due = f"{_said(timing.nominal)} ({describe(timing.rule)})"
    if not daemon.running:
        lines.append("Start one: rota daemon")
        passed = "was due" if timing.nominal <= now else "is due next"
        answer = f"{name} {passed} at {due}, but no daemon is running: nothing fires until one does"
        return _Answer(about, "enabled", answer, lines)
    if not daemon.scheduling:
        lines.append("Set schedule.enabled: true in rota.yaml and restart the daemon")
        return _Answer(about, "enabled", f"{name} is due at {due}, but the daemon's schedule.enabled is false", lines)
    fire_at = timing.fire_at or timing.nominal
    if timing.deferred_by is not None and fire_at > now:
        answer = f"{name} was due at {due} and is put off until {_said(fire_at)} by {timing.deferred_by}"
        return _Answer(about, "enabled", answer, lines, fire_at)
    if fire_at <= now:
        return _Answer(about, "enabled", f"{name} was due at {due} and is about to be planned", lines, now)
    fate = fate_of(fire_at, rules)
    if fate.reason is not None:
        answer = f"{name} is due next at {due} and will not start then: {fate.by}"
        return _Answer(about, "enabled", answer, lines, fire_at)
    if fate.fire_at != fire_at:
        answer = f"{name} is due next at {due} and will be put off until {_said(fate.fire_at)} by {fate.by}"
        return _Answer(about, "enabled", answer, lines, fire_at)
    moved = "" if fire_at == timing.nominal else f", moved to {_said(fire_at)} by its spread"
    return _Answer(about, "enabled", f"{name} runs next at {due}{moved}", lines, fire_at)


def _last(tx: Tx, row: JobRow) -> Iterator[str]:
    """What happened last: the newest run if it has ended, and the newest refusal where that is newer."""
    run, refusal = runs.latest_run(tx, row.id), runs.latest_refusal(tx, row.id)
    if run is not None and run.finished_at is not None:
        yield f"Last run: {_shown(run.public_id)}, due {_said(run.due_at)}, {_ended(run)}"
    if refusal is not None and (run is None or refusal.at >= run.created_at):
        yield f"Last refusal: {_refused(refusal)}"


def _of_instant(tx: Tx, row: JobRow, at: Micros, daemon: DaemonInfo) -> _Answer:
    """What became of the job at one instant: refused, run, off, not due, or still ahead."""
    about, when, name = f"job {row.name}", _said(at), f'Schedule "{row.name}"'
    refusal = runs.ledger_at(tx, row.id, at)
    if refusal is not None:
        lines = [f"Written down at {_said(refusal.at)}", *_clock_jump(tx, refusal)]
        if refusal.message and refusal.reason not in {Reason.OVERLAP_SKIP, Reason.MISSED}:
            lines.append(refusal.message)
        if refusal.blocked_by is not None:
            lines.append(f"In the way: {_shown(refusal.blocked_by)}")
        return _Answer(about, refusal.reason, f"{name} did not run at {when}: {_refused(refusal)}", lines)
    run = runs.run_at(tx, row.id, at)
    if run is not None:
        found = _of_run(tx, run, daemon)
        return found._replace(lines=[f"{name} at {when}:", *found.lines])
    if at > tx.at:
        return _of_job(tx, row, daemon)
    if at < row.created_at:
        return _Answer(about, "unknown", f"{name} did not exist at {when}: it was made at {_said(row.created_at)}", [])
    waiting = [timing for timing in timings_of(tx, row.id) if timing.nominal is not None and timing.nominal <= at]
    if any(timing.deferred_by is not None for timing in waiting):
        return _of_job(tx, row, daemon)
    lines = [f"{timing.name}: {describe(timing.rule)}" for timing in timings_of(tx, row.id) if timing.rule is not None]
    pending = [timing for timing in timings_of(tx, row.id) if timing.nominal is not None and timing.nominal <= at]
    if pending and not daemon.running:
        answer = f"{name} was due at {when} and no daemon is running; its missed-run policy decides when one starts"
        return _Answer(about, "enabled", answer, [*lines, "Start one: rota daemon"])
    entry = audit.latest(tx, job_cases.subject(row), "disable")
    if not row.enabled and entry is not None and entry.at <= at:
        return _Answer(about, "disabled", f"{name} was disabled at {when}, by {entry.principal}", lines)
    return _Answer(about, "enabled" if row.enabled else "disabled", f"{name} was not due at {when}", lines)


def _clock_jump(tx: Tx, refusal: LedgerRow) -> Iterator[str]:
    """What made the time pass in which nothing was planned, where that was no daemon's fault."""
    jump = clock_changes.latest(tx, ClockKind.SET_FORWARD, ClockKind.SLEPT) if refusal.reason == Reason.MISSED else None
    if jump is not None and jump.start <= refusal.last_nominal and refusal.first_nominal <= jump.until:
        yield f"At {_said(jump.until)} {jump.said}"


def _settled_ahead(tx: Tx, timing: Timing) -> Iterator[str]:
    """Why nothing happens for a while after the clock was set back."""
    back = clock_changes.latest(tx, ClockKind.SET_BACK) if timing.high_water > tx.at else None
    if back is not None:
        yield f"Everything up to {_said(timing.high_water)} is settled: at {_said(back.until)} {back.said}"


def _refused(row: LedgerRow) -> str:
    explained = _explained(row.reason) or row.reason
    if row.message and row.reason == Reason.OVERLAP_SKIP:
        explained = row.message  # of policies other than skip
    elif row.message and row.reason == Reason.MISSED:
        explained = f"no daemon was planning at that time, and {row.message}"
    if row.occurrences == 1:
        return f"the occurrence of {_said(row.first_nominal)} was refused, as {explained}"
    span = f"{_said(row.first_nominal)} to {_said(row.last_nominal)}"
    return f"{row.occurrences} occurrences from {span} were refused, as {explained}"


def _explained(reason: str | None) -> str:
    """A reason in words; one that this Rota does not know is shown as it is."""
    if reason is None:
        return ""
    try:
        return EXPLANATIONS[Reason(reason)]
    except (KeyError, ValueError):
        return reason


def _shown(digits: str) -> str:
    """A run as people see and type it: `run_1a2b3c4d`; its whole id is the answer's `subject`."""
    return public(Kind.RUN, digits[:SHOWN])


def _said(at: Micros) -> str:
    """An instant as people read it; the machine's spelling is in the run's own fields."""
    return f"{from_micros(at):%Y-%m-%d %H:%M:%S} UTC"
