"""Jobs and their steps."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from rota.actions.registry import KINDS
from rota.domain.fanout import PLAIN
from rota.domain.ids import Kind, public
from rota.domain.instant import Micros
from rota.domain.job import JobSpec
from rota.domain.policy import FIELDS as POLICY_FIELDS
from rota.domain.step import Json, step_to_dict
from rota.domain.step import Step as PlanStep
from rota.domain.trigger.explain import describe
from rota.domain.trigger.spec import from_dict, short_form
from rota.storage.jobs import JobRow
from rota.storage.jobs import LastRun as LastRunRow
from rota.usecases import shapes
from rota.usecases.resources.common import instant, rfc3339
from rota.usecases.resources.times import SHOWN_NEXT, Standing, next_runs, no_next, recurrence, trigger

SHOWN_ACTION = 40  # characters of `shell: df -h` in a table

_SAYS_NOTHING = {**PLAIN.to_dict(), **dict.fromkeys(POLICY_FIELDS)}  # of versions that do not say so


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


def step(one: PlanStep) -> shapes.Step:
    data: shapes.Step = step_to_dict(one)  # type: ignore[assignment]  # the fields of Step, by asdict
    return data
