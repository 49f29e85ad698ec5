"""Rows become the JSON of the API here, and only here. Shapes: `shapes`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from functools import lru_cache
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from rota.actions.registry import KINDS
from rota.domain.errors import FieldError
from rota.domain.ids import Kind, public
from rota.domain.instant import SECOND, Micros, format_rfc3339, from_micros
from rota.domain.inventory import LOCAL
from rota.domain.inventory import Host as HostFacts
from rota.domain.job import JobSpec, step_to_dict
from rota.domain.plan import Plan as RunPlan
from rota.domain.step import Json
from rota.domain.step import Step as PlanStep
from rota.domain.trigger.explain import describe
from rota.domain.trigger.spec import TriggerSpec, from_dict, short_form
from rota.domain.trigger.timetable import timetable
from rota.ports import OutputItem
from rota.storage.inventory import HostRow
from rota.storage.jobs import JobRow
from rota.storage.jobs import LastRun as LastRunRow
from rota.storage.library import Item
from rota.storage.runs import AttemptRow, LedgerRow, RunRow, TargetRow
from rota.usecases import shapes
from rota.usecases.context import DaemonInfo

SHOWN_ACTION = 40  # characters of `shell: df -h` in a table


rfc3339 = lru_cache(maxsize=4096)(format_rfc3339)  # the same few instants stand in many rows


def instant(at: Micros | None) -> str | None:
    return None if at is None else rfc3339(at)


def fault(error: FieldError) -> shapes.Fault:
    return {
        "field": error.field,
        "message": error.message,
        "expected": error.expected,
        "got": error.got,
        "hint": error.hint,
    }


def daemon(info: DaemonInfo) -> shapes.Daemon:
    return {
        "running": info.running,
        "pid": info.pid,
        "started_at": instant(info.started_at),
        "scheduling": info.scheduling,
    }


# jobs


def job(row: JobRow, spec: JobSpec, upcoming_from: Mapping[str, Micros], *, now: Micros) -> shapes.Job:
    """The whole resource. `upcoming_from`: high water by trigger name, where next runs begin at the earliest."""
    whole = job_in_list(row)
    whole["vars"] = dict(spec.variables)
    whole["steps"] = list(map(step, spec.steps))
    whole["next_runs"] = next_runs(spec, upcoming_from, now=now) if row.enabled else []
    return whole


def job_in_list(row: JobRow) -> shapes.Job:
    """The resource without steps, variables and next runs."""
    said = _said(row.spec_text)
    return {
        "id": public(Kind.JOB, row.public_id),
        "name": row.name,
        "description": said.data["description"],
        "enabled": row.enabled,
        "version": row.version,
        "target": said.data["target"],
        "triggers": said.triggers,
        "overlap_policy": said.data["overlap_policy"],
        "missed_run_policy": said.data["missed_run_policy"],
        "grace_seconds": said.data["grace_seconds"],
        "run_timeout_seconds": said.data["run_timeout_seconds"],
        "targets_at_once": said.data["targets_at_once"],
        "priority": said.data["priority"],
        "created_by": row.created_by,
        "created_at": rfc3339(row.created_at),
        "updated_by": row.updated_by,
        "updated_at": rfc3339(row.updated_at),
        "trigger_short": said.trigger_short,
        "trigger_text": said.trigger_text,
        "action_short": said.action_short,
        "playbook": said.playbook,
        "last_run": _last_run(row.last_run),
        "active_runs": row.active,
    }


class _Said(NamedTuple):
    """What one version says, as a list shows it. Read only: many answers share it."""

    data: Mapping[str, Any]
    triggers: list[shapes.Trigger]
    trigger_short: str
    trigger_text: str
    action_short: str
    playbook: str | None


@lru_cache(maxsize=4096)
def _said(spec_text: str) -> _Said:
    """Versions never change, so each is read once: a list of 1,000 jobs is asked for again and again."""
    data = json.loads(spec_text)
    steps = data.pop("steps")
    del data["vars"]
    return _Said(data, *_triggers(json.dumps(data["triggers"])), *_action(steps))


def trigger(name: str, rule: Mapping[str, Any]) -> shapes.Trigger:
    """A stored rule as the API names its fields."""
    return {"name": name, **{"timezone" if key == "zone" else key: value for key, value in rule.items()}}  # type: ignore[typeddict-item]  # the keys of `trigger.spec.to_dict`


def next_runs(
    spec: JobSpec, upcoming_from: Mapping[str, Micros], *, now: Micros, count: int = 5
) -> list[shapes.Upcoming]:
    """The next instants of all triggers together, in order."""
    sequences = [
        upcoming(named.rule, after=max(now, upcoming_from.get(named.name, now)), count=count) for named in spec.triggers
    ]
    return list(islice(merge(*sequences, key=lambda moment: moment["at"]), count))


def upcoming(rule: TriggerSpec, *, after: Micros, count: int) -> list[shapes.Upcoming]:
    """The next `count` instants of one trigger; fewer where there are no more."""
    times, zone = timetable(rule), getattr(rule, "zone", "UTC")
    found: list[shapes.Upcoming] = []
    at = after
    while times is not None and len(found) < count:
        following = times.next(at)
        if following is None:
            break
        at = following
        wall = from_micros(at).astimezone(UTC if zone == "UTC" else ZoneInfo(zone))
        found.append({"at": rfc3339(at), "local": f"{wall:%Y-%m-%d %H:%M:%S %Z}", "timezone": zone})
    return found


def action_short(steps: Sequence[PlanStep]) -> str:
    """What the steps do, in one cell of a table: `backup`, `shell: df -h`, `shell: df -h (+2 more)`."""
    return _action([step_to_dict(step) for step in steps])[0]


def _action(steps: Sequence[Mapping[str, Any]]) -> tuple[str, str | None]:
    if not steps:
        return "", None
    kind, params = steps[0]["action"], steps[0]["params"]
    main = _main_text(kind, params)
    if kind == "playbook":
        text, playbook = main, main if len(steps) == 1 else None
    else:
        text, playbook = f"{kind}: {' '.join(main.split())}" if main else kind, None
    more = f" (+{len(steps) - 1} more)" if len(steps) > 1 else ""
    room = SHOWN_ACTION - len(more)
    return (text if len(text) <= room else text[: room - 1] + "…") + more, playbook


def _main_text(kind: str, params: Mapping[str, Json]) -> str:
    """What an action is mostly about: the parameter that `--do 'kind: text'` means, the words of an `argv`, or the
    first text there is (never `cwd`, `env` and the like, which only say how)."""
    words = params.get("argv")
    if isinstance(words, list) and words:
        return shlex.join(map(str, words))
    spec = KINDS.get(kind)
    named = [spec.main] if spec is not None and spec.main is not None else [*params]
    return next((value for name in named if isinstance(value := params.get(name), str)), "")


@lru_cache(maxsize=4096)
def _triggers(text: str) -> tuple[list[shapes.Trigger], str, str]:
    """(resources, short form, English) of the stored triggers. Few texts serve many jobs."""
    named = [(str(data.pop("name")), data) for data in json.loads(text)]
    rules = [from_dict(data) for _, data in named]
    return (
        [trigger(name, data) for name, data in named],
        "; ".join(map(short_form, rules)),
        "; ".join(map(describe, rules)),
    )


def _last_run(last: LastRunRow | None) -> shapes.LastRun | None:
    if last is None:
        return None
    return {
        "id": public(Kind.RUN, last.public_id),
        "state": last.state,
        "reason": last.reason,
        "started_at": instant(last.started_at),
        "finished_at": instant(last.finished_at),
        "trigger": last.kind,
    }


# runs


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
    }


def run_detail(row: RunRow, targets: Iterable[TargetRow], plan_content: RunPlan, plan_digest: str) -> shapes.Run:
    """A run with its plan, targets and attempts."""
    names = [step.name for step in plan_content.steps]
    shown = [target(one, names) for one in targets]
    by_state: dict[str, int] = {}
    for one in shown:
        by_state[one["state"]] = by_state.get(one["state"], 0) + 1
    return {**run(row, by_state), "plan": plan(plan_content, plan_digest), "targets": shown}


def plan(content: RunPlan, plan_digest: str) -> shapes.Plan:
    return {"digest": plan_digest, "steps": list(map(step, content.steps)), "vars": dict(content.variables)}


def step(one: PlanStep) -> shapes.Step:
    data: shapes.Step = step_to_dict(one)  # type: ignore[assignment]  # the fields of Step, by asdict
    return data


def target(row: TargetRow, step_names: Sequence[str]) -> shapes.Target:
    return {
        "id": public(Kind.TARGET, f"{row.id:016x}"),
        "host": row.host,
        "state": row.state,
        "reason": row.reason,
        "message": row.message,
        "step": step_names[row.cursor] if row.cursor < len(step_names) and row.finished_at is None else None,
        "changed": row.changed,
        "started_at": instant(row.started_at),
        "finished_at": instant(row.finished_at),
        "attempts": [attempt(one, step_names) for one in row.attempts],
    }


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


# inventory and library


def host(row: HostRow) -> shapes.Host:
    return _host(public(Kind.HOST, row.public_id), row.host, in_all=not row.host.disabled)


def local_host(*, alone: bool) -> shapes.Host:
    """The built-in host, which has no row. `all` means it only while it is `alone`."""
    return _host(public(Kind.HOST, "0" * 16), HostFacts(name=LOCAL), in_all=alone)


def _host(host_id: str, facts: HostFacts, *, in_all: bool) -> shapes.Host:
    return {
        "id": host_id,
        "name": facts.name,
        "connector": facts.connector,
        "address": facts.address,
        "os": facts.os,
        "tags": dict(facts.tags),
        "groups": sorted(facts.groups),
        "site": facts.site,
        "disabled": facts.disabled,
        "in_all": in_all,
    }


def playbook_item(item: Item, description: str, steps: int, faults: Sequence[str]) -> shapes.PlaybookItem:
    return {
        "id": public(Kind.PLAYBOOK, item.public_id),
        "name": item.name,
        "description": description,
        "digest": item.digest,
        "steps": steps,
        "source": item.source,
        "updated_at": rfc3339(item.updated_at),
        "faults": list(faults),
    }


def playbook(item: Item, description: str, variables: Mapping[str, str], steps: Sequence[PlanStep]) -> shapes.Playbook:
    return {
        "id": public(Kind.PLAYBOOK, item.public_id),
        "name": item.name,
        "description": description,
        "digest": item.digest,
        "steps": list(map(step, steps)),
        "source": item.source,
        "updated_at": rfc3339(item.updated_at),
        "text": item.text,
        "vars": dict(variables),
    }
