"""Runs, targets, attempts, the ledger, output."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from rota.domain.ids import SHOWN, Kind, public
from rota.domain.instant import SECOND
from rota.domain.plan import Plan as RunPlan
from rota.domain.step import Json
from rota.ports import OutputItem
from rota.storage.fanout import Progress
from rota.storage.runs import AttemptRow, LedgerRow, RunRow, TargetRow
from rota.usecases import shapes
from rota.usecases.resources.common import instant, rfc3339
from rota.usecases.resources.jobs import step


def run(row: RunRow, targets_by_state: Mapping[str, int]) -> shapes.Run:
    return {
        "id": public(Kind.RUN, row.public_id),
        "job": row.job_name,
        "job_id": None if row.job_public_id is None else public(Kind.JOB, row.job_public_id),
        "job_version": row.job_version,
        "title": row.title,
        "trigger": row.kind,
        "catch_up": row.catch_up,
        "state": row.state,
        "reason": row.reason,
        "message": row.message,
        "waiting_for": row.waiting_for,
        "priority": row.priority,
        "nominal_at": instant(row.nominal),
        "due_at": rfc3339(row.due_at),
        "created_at": rfc3339(row.created_at),
        "queued_at": instant(row.queued_at),
        "started_at": instant(row.started_at),
        "finished_at": instant(row.finished_at),
        "duration_seconds": None
        if row.started_at is None or row.finished_at is None
        else (row.finished_at - row.started_at) / SECOND,
        "principal": row.principal,
        "rerun_of": None if row.rerun_of is None else public(Kind.RUN, row.rerun_of),
        "cancel_requested_at": instant(row.cancel_requested_at),
        "hosts": {"ok": row.ok, "total": row.total},
        "targets_by_state": dict(targets_by_state),
        "deferred_by": row.deferred_by,
    }


def run_detail(
    row: RunRow, targets: Iterable[TargetRow], plan_content: RunPlan, plan_digest: str, progress: Progress | None
) -> shapes.Run:
    """A run with its plan, targets and attempts. `progress`: of its fan-out rules, where it has any."""
    names = [step.name for step in plan_content.steps]
    shown = [target(one, names) for one in targets]
    by_state: dict[str, int] = {}
    for one in shown:
        by_state[one["state"]] = by_state.get(one["state"], 0) + 1
    whole: shapes.Run = {**run(row, by_state), "plan": plan(plan_content, plan_digest), "targets": shown}
    if progress is not None:
        whole["fan_out"] = fan_out(progress, row.total)
    return whole


def fan_out(progress: Progress, total: int) -> shapes.FanOut:
    return {
        **progress.rules.to_dict(),  # type: ignore[typeddict-item]  # the keys of `FanOut.to_dict`
        "sizes": list(progress.rules.sizes(total)),
        "open_batch": progress.open_batch or None,
        "next_start_at": instant(progress.next_start_at),
        "bad": progress.bad,
        "most_bad": progress.most_bad,
    }


def run_change(
    row: RunRow, by_state: Mapping[str, int], targets: Iterable[TargetRow], names: Sequence[str]
) -> shapes.RunChange:
    """What became of a run since somebody saw it last. `names`: of its steps."""
    return {"run": run(row, by_state), "targets": [target(one, names) for one in targets]}


def plan(content: RunPlan, plan_digest: str) -> shapes.Plan:
    return {"digest": plan_digest, "steps": list(map(step, content.steps)), "vars": dict(content.variables)}


def target(row: TargetRow, step_names: Sequence[str]) -> shapes.Target:
    return {
        "id": public(Kind.TARGET, f"{row.id:016x}"),
        "host": row.host,
        "state": row.state,
        "reason": row.reason,
        "message": _goes_on(row) if row.waiting_for is None else waits(row),
        "step": step_names[row.cursor] if row.cursor < len(step_names) and row.finished_at is None else None,
        "batch": row.batch or None,
        "waiting_for": row.waiting_for,
        "next_look_at": instant(row.not_before),
        "changed": row.changed,
        "started_at": instant(row.started_at),
        "finished_at": instant(row.finished_at),
        "attempts": [attempt(one, step_names) for one in row.attempts],
    }


def _goes_on(row: TargetRow) -> str | None:
    return row.message if row.lost_since is None else sought(row)


def sought(row: TargetRow) -> str:
    """What is to be said of a target whose host, or whose owner's machine, gives no sign of life."""
    return f"lost since {instant(row.lost_since)}: it is looked for, and may still be going on"


def waits(row: TargetRow) -> str:
    """What a parked target waits for, in words."""
    if row.held_by is not None:
        run_id = public(Kind.RUN, row.held_by[:SHOWN])
        return f"waits for {row.host}, held by {row.held_by_title} ({run_id})"
    what = f"waits for {row.host}" if row.waiting_for == "host" else "waits for its next try"
    return f"{what}: {row.message}" if row.message else what


def attempt(row: AttemptRow, step_names: Sequence[str]) -> shapes.Attempt:
    registered: Json = None if row.registered is None else json.loads(row.registered)
    return {
        "id": public(Kind.ATTEMPT, f"{row.id:016x}"),
        "step": step_names[row.step] if row.step < len(step_names) else str(row.step),
        "number": row.number,
        "state": row.state,
        "reason": row.reason,
        "message": row.message,
        "exit_code": row.exit_code,
        "signal": row.signal,
        "changed": row.changed,
        "registered": registered,
        "evidence": row.evidence,
        "started_at": instant(row.started_at),
        "finished_at": instant(row.finished_at),
        "output_bytes": row.output_bytes or 0,
    }


def ledger_entry(row: LedgerRow) -> shapes.LedgerEntry:
    return {
        "kind": "ledger",
        "job": row.job_name,
        "trigger": row.kind,
        "reason": row.reason,
        "message": row.message,
        "first_at": rfc3339(row.first_nominal),
        "last_at": rfc3339(row.last_nominal),
        "count": row.occurrences,
        "at": rfc3339(row.at),
        "blocked_by": None if row.blocked_by is None else public(Kind.RUN, row.blocked_by),
    }


def output(item: OutputItem, host_name: str, step_name: str, number: int) -> shapes.Output:
    """Bytes that are no UTF-8 become U+FFFD: JSON has only text."""
    return {
        "seq": item.seq,
        "host": host_name,
        "step": step_name,
        "attempt": number,
        "offset": item.offset,
        "text": item.data.decode(errors="replace"),
        "cut": item.cut,
    }
