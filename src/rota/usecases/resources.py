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

from rota.actions.registry import KINDS
from rota.domain.calendars import NO_RULES, Pause, Rules
from rota.domain.errors import FieldError, InvalidInput
from rota.domain.fanout import PLAIN
from rota.domain.ids import SHOWN, Kind, public
from rota.domain.instant import SECOND, Micros, format_rfc3339, format_span, from_micros
from rota.domain.inventory import LOCAL
from rota.domain.inventory import Host as HostFacts
from rota.domain.job import JobSpec
from rota.domain.plan import Plan as RunPlan
from rota.domain.policy import FIELDS as POLICY_FIELDS
from rota.domain.reasons import EXPLANATIONS
from rota.domain.reckoning import Ahead, Course, Pending, foresee
from rota.domain.spreading import spreading_of
from rota.domain.step import Json, step_to_dict
from rota.domain.step import Step as PlanStep
from rota.domain.trigger.caution import clock_change_note
from rota.domain.trigger.explain import describe
from rota.domain.trigger.rrule_text import write_rrule
from rota.domain.trigger.spec import TriggerSpec, ZonedTrigger, from_dict, short_form
from rota.domain.trigger.timetable import timetable_within
from rota.domain.trigger.tzversion import zone_info
from rota.ports import OutputItem
from rota.storage.clock_changes import Recorded
from rota.storage.fanout import Progress
from rota.storage.inventory import HostRow
from rota.storage.jobs import JobRow
from rota.storage.jobs import LastRun as LastRunRow
from rota.storage.library import Item
from rota.storage.runs import AttemptRow, LedgerRow, RunRow, TargetRow
from rota.storage.windows import CalendarRow
from rota.usecases import shapes
from rota.usecases.context import DaemonInfo

SHOWN_ACTION = 40  # characters of `shell: df -h` in a table
SHOWN_NEXT = 5
_SAYS_NOTHING = {**PLAIN.to_dict(), **dict.fromkeys(POLICY_FIELDS)}  # of versions that do not say so


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


def clock_change(change: Recorded) -> shapes.ClockChange:
    before, at = format_rfc3339(change.start), format_rfc3339(change.until)
    return {"kind": change.kind, "before": before, "at": at, "message": change.said}


# jobs


def job(row: JobRow, spec: JobSpec, standing: Standing, *, now: Micros, left: int | None = None) -> shapes.Job:
    """The whole resource.

    `left`: how many runs `max_runs` leaves the clock to make; None where there is no such limit yet.
    """
    whole = job_in_list(row)
    whole["vars"] = dict(spec.variables)
    whole["steps"] = list(map(step, spec.steps))
    words = _said(row.spec_text).triggers_in_words
    whole["triggers_in_words"] = [{**said, **recurrence(spec, said["name"])} for said in words]
    named = {use.name for use in spec.calendars}
    outside = [one for one in standing.rules.bindings if one.calendar.name and one.calendar.name not in named]
    whole["attached_calendars"] = [f"{one.calendar.name}:{one.on_hit}" for one in outside]
    left = spec.max_runs if left is None else left
    count = SHOWN_NEXT if left is None else min(left, SHOWN_NEXT)
    whole["next_runs"] = next_runs(spec, standing, now=now, count=count) if row.enabled else []
    if left is not None:
        whole["runs_left"] = left
    if row.enabled and not whole["next_runs"] and (why := no_next(spec, left, now)):
        whole["no_next"] = why
    return whole


def recurrence(spec: JobSpec, name: str) -> shapes.Recurrence:
    """A trigger within the job's start and end as RFC 5545 says it, where that has exact words for it."""
    rule = next(named.rule for named in spec.triggers if named.name == name)
    try:
        return {"rrule": write_rrule(rule, start_at=spec.start_at, end_at=spec.end_at)}
    except InvalidInput:
        return {}


def no_next(spec: JobSpec, left: int | None, now: Micros) -> str | None:
    """Why nothing of an enabled job is due at a known instant; None for a job that is only triggered by hand."""
    kinds = {named.rule.kind for named in spec.triggers}
    if left == 0:
        return f"all {spec.max_runs} runs that max_runs allows are made"
    if spec.end_at is not None and now >= spec.end_at:
        return f"it ended at {rfc3339(spec.end_at)}"
    if "continuous" in kinds:
        return "it goes on when its last run has ended"
    if "on_start" in kinds:
        return "it runs when a daemon starts"
    if kinds == {"manual"}:
        return None
    if spec.end_at is not None:
        return f"there are none up to its end at {rfc3339(spec.end_at)}"
    return "its last instant has passed"


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
        "overlap_limit": said.data["overlap_limit"],
        "missed_run_policy": said.data["missed_run_policy"],
        "catch_up_max": said.data["catch_up_max"],
        "catch_up_window_seconds": said.data["catch_up_window_seconds"],
        "catch_up_rate": said.data["catch_up_rate"],
        "grace_seconds": said.data["grace_seconds"],
        "start_within_seconds": said.data["start_within_seconds"],
        "queue_timeout_seconds": said.data["queue_timeout_seconds"],
        "step_timeout_seconds": said.data["step_timeout_seconds"],
        "run_timeout_seconds": said.data["run_timeout_seconds"],
        "targets_at_once": said.data["targets_at_once"],
        "priority": said.data["priority"],
        "on_offline": said.data["on_offline"],
        "lock_hosts": said.data["lock_hosts"],
        "throttle": said.data["throttle"],
        "batch": said.data["batch"],
        "batch_pause_seconds": said.data["batch_pause_seconds"],
        "max_fail": said.data["max_fail"],
        "start_at": said.data.get("start_at"),  # versions saved before the time issue have none of the three
        "end_at": said.data.get("end_at"),
        "max_runs": said.data.get("max_runs"),
        "tags": said.data.get("tags", {}),
        "spread_seconds": said.data.get("spread_seconds", 0.0),
        "jitter_seconds": said.data.get("jitter_seconds", 0.0),
        "calendars": said.data.get("calendars", []),
        "windows": said.data.get("windows", []),
        "paused": None,
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
    triggers_in_words: list[shapes.TriggerInWords]
    trigger_short: str
    trigger_text: str
    action_short: str
    playbook: str | None


@lru_cache(maxsize=4096)
def _said(spec_text: str) -> _Said:
    """Versions never change, so each is read once: a list of 1,000 jobs is asked for again and again."""
    data = {**_SAYS_NOTHING, **json.loads(spec_text)}
    steps = data.pop("steps")
    del data["vars"]
    return _Said(data, *_triggers(json.dumps(data["triggers"])), *_action(steps))


def trigger(name: str, rule: Mapping[str, Any]) -> shapes.Trigger:
    """A stored rule as the API names its fields."""
    return {"name": name, **{"timezone" if key == "zone" else key: value for key, value in rule.items()}}  # type: ignore[typeddict-item]  # the keys of `trigger.spec.to_dict`


class Standing(NamedTuple):
    """How a job stands. By trigger name: `high_water`, where next runs begin at the earliest, and `pending`, what has
    passed and is still to start. `rules`: what holds it."""

    high_water: Mapping[str, Micros] = {}
    pending: Mapping[str, Pending] = {}
    rules: Rules = NO_RULES


def next_runs(spec: JobSpec, standing: Standing, *, now: Micros, count: int = SHOWN_NEXT) -> list[shapes.Upcoming]:
    """The next `count` starts of all triggers together, in order, and between them those that will not happen."""
    spreading = spreading_of(spec.name, spec.spread_seconds, spec.jitter_seconds)
    sequences = []
    for named in spec.triggers:
        times = timetable_within(named.rule, spec.start_at, spec.end_at)
        if times is not None:
            after = max(now, standing.high_water.get(named.name, now))
            course, pending = Course(times, spreading, standing.rules), standing.pending.get(named.name)
            ahead = foresee(course, after=after, pending=pending)
            sequences.append([(one, named.rule) for one in islice(ahead, 2 * count)])
    found: list[shapes.Upcoming] = []
    for one, rule in merge(*sequences, key=lambda pair: shown_at(pair[0])):
        found.append(upcoming(one, rule))
        if sum("reason" not in moment for moment in found) == count or len(found) == 2 * count:
            break
    return found


def upcoming(one: Ahead, rule: TriggerSpec) -> shapes.Upcoming:
    """One start as a preview shows it; what will not happen stands where its trigger has it."""
    at, zone = shown_at(one), zone_of(rule)
    moment: shapes.Upcoming = {"at": rfc3339(at), "local": local(at, zone), "timezone": zone}
    if one.reason is not None:
        moment |= {"reason": one.reason.value, "note": one.by or EXPLANATIONS[one.reason]}
        if one.last is not None and one.occurrences is not None:
            moment |= {"count": one.occurrences, "until": rfc3339(one.last)}
        return moment
    notes = [clock_change_note(rule, one.nominal)]
    if at != one.nominal:
        moment["nominal_at"] = rfc3339(one.nominal)
        notes.append(_moved(one))
    if any(notes):
        moment["note"] = "; ".join(filter(None, notes))
    return moment


def local(at: Micros, zone: str) -> str:
    """`2026-03-05 02:00:00 EST`."""
    return f"{from_micros(at).astimezone(UTC if zone == 'UTC' else zone_info(zone)):%Y-%m-%d %H:%M:%S %Z}"


def zone_of(rule: TriggerSpec) -> str:
    return rule.zone if isinstance(rule, ZonedTrigger) else "UTC"


def shown_at(one: Ahead) -> Micros:
    return one.fire_at if one.reason is None else one.nominal


def _moved(one: Ahead) -> str:
    """`put off by calendar "x", due …`, or by how much it is spread."""
    if one.by is not None:
        return f"put off by {one.by}, due {rfc3339(one.nominal)}"
    return f"spread: {format_span(one.fire_at - one.nominal)} later"


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
def _triggers(text: str) -> tuple[list[shapes.Trigger], list[shapes.TriggerInWords], str, str]:
    """(resources, each in words, short form of all, English of all) of stored triggers. Few texts serve many jobs."""
    named = [(str(data.pop("name")), data) for data in json.loads(text)]
    words: list[shapes.TriggerInWords] = []
    for name, data in named:
        rule = from_dict(data)
        words.append({"name": name, "short": short_form(rule), "text": describe(rule)})
    return (
        [trigger(name, data) for name, data in named],
        words,
        "; ".join(said["short"] for said in words),
        "; ".join(said["text"] for said in words),
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


def step(one: PlanStep) -> shapes.Step:
    data: shapes.Step = step_to_dict(one)  # type: ignore[assignment]  # the fields of Step, by asdict
    return data


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


# calendars and pauses


def calendar(row: CalendarRow, jobs: Sequence[str]) -> shapes.Calendar:
    """`jobs`: the names of those that name it."""
    return {
        "id": public(Kind.CALENDAR, row.public_id),
        "name": row.spec.name,
        "description": row.spec.description,
        "effect": row.spec.effect.value,
        "timezone": row.spec.zone,
        "rules": [*row.spec.rules],
        "applies_to": [*map(str, row.spec.applies_to)],
        "jobs": [*jobs],
        "fault": row.spec.calendar.fault,
        "created_by": row.created_by,
        "created_at": rfc3339(row.created_at),
        "updated_by": row.updated_by,
        "updated_at": rfc3339(row.updated_at),
    }


def pause(one: Pause, *, now: Micros) -> shapes.Pause:
    return {
        "id": public(Kind.PAUSE, one.public_id),
        "scope": one.scope.value,
        "key": one.key,
        "since": rfc3339(one.since),
        "until": instant(one.until),
        "reason": one.reason,
        "by": one.by,
        "said": one.said,
        "state": "active" if one.until is None or one.until > now else "over",
    }


# inventory and library


def host(row: HostRow) -> shapes.Host:
    known = _host(public(Kind.HOST, row.public_id), row.host, in_all=not row.host.disabled)
    known["version"], known["updated_at"] = row.version, rfc3339(row.changed_at)
    return known


def local_host(*, alone: bool) -> shapes.Host:
    """The built-in host, which has no row. `all` means it only while it is `alone`."""
    return _host(public(Kind.HOST, "0" * 16), HostFacts(name=LOCAL), in_all=alone)


def _host(host_id: str, facts: HostFacts, *, in_all: bool) -> shapes.Host:
    return {
        "id": host_id,
        "name": facts.name,
        "connector": facts.connector,
        "address": facts.address,
        "port": facts.port,
        "user": facts.user,
        "key_file": facts.key_file,
        "passphrase_file": facts.passphrase_file,
        "password_file": facts.password_file,
        "sudo_password_file": facts.sudo_password_file,
        "jump": facts.jump,
        "os": facts.os,
        "site": facts.site,
        "tags": dict(facts.tags),
        "vars": dict(facts.vars),
        "groups": sorted(facts.groups),
        "disabled": facts.disabled,
        "in_all": in_all,
        "version": None,
        "updated_at": None,
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
