"""What a person asked a job to be, field by field, and how that becomes a `JobSpec`.

A draft is of a new job or of changes to one: what is `UNSET` takes the default, or stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final, NamedTuple, TypeVar

from rota.actions.do import parse_do
from rota.domain.calendar_spec import CalendarUse, JobWindow, read_use, read_window
from rota.domain.calendars import OnHit
from rota.domain.errors import FieldError, InvalidInput, RotaError
from rota.domain.fanout import read_fan_out
from rota.domain.instant import Micros, format_rfc3339
from rota.domain.job import JobSpec, NamedTrigger
from rota.domain.policy import Missed, Overlap, read_policies
from rota.domain.spreading import spreading_faults
from rota.domain.step import Json, Step
from rota.domain.trigger.spec import ZonedTrigger
from rota.domain.trigger.timetable import timetable
from rota.domain.trigger.when import read_moment
from rota.usecases.step_drafts import with_retries
from rota.usecases.triggers import ReadTriggers, TriggerDraft, in_zone, passed_faults, read_triggers

T = TypeVar("T")


class Unset(Enum):
    UNSET = auto()


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDraft:
    """What to do: exactly one of three. A step without a name is named after its action."""

    playbook: str | None = None
    do: str | None = None  # `shell: df -h`
    steps: Sequence[Step] | None = None

    @property
    def is_set(self) -> bool:
        return any(part is not None for part in (self.playbook, self.do, self.steps))

    def read(self, faults: list[FieldError]) -> tuple[Step, ...]:
        """The steps. What is wrong is added to `faults`."""
        given = [name for name in ("playbook", "do", "steps") if getattr(self, name) is not None]
        if len(given) > 1:
            message = f"{' and '.join(given)} are given together"
            faults.append(FieldError(field=given[1], message=message, expected="exactly one of playbook, do, steps"))
        if self.playbook is not None:
            return (Step(name="playbook", action="playbook", params={"playbook": self.playbook}),)
        if self.do is not None:
            try:
                return (parse_do(self.do),)
            except InvalidInput as error:
                faults += [replace(fault, field=fault.field.replace("--do", "do", 1)) for fault in error.as_faults()]
                return ()
        return _named(self.steps or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowDraft:
    """A window of the job's own: `mon-fri 08:00-18:00`, perhaps with `:defer` behind it. Its zone is else the job's."""

    window: str
    timezone: str | None = None
    on_hit: OnHit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDraft:
    """`faults` are those found while the words were read (unknown keys, wrong types): told with all others."""

    name: str | Unset = UNSET
    description: str | Unset = UNSET
    enabled: bool | Unset = UNSET
    triggers: Sequence[TriggerDraft] | Unset = UNSET
    timezone: str | Unset = UNSET  # of every clock trigger that does not say
    work: WorkDraft = WorkDraft()
    target: str | Unset | None = UNSET
    variables: Mapping[str, str | None] | Unset = UNSET  # merged; None takes one away
    overlap: Overlap | Unset = UNSET
    missed: Missed | Unset = UNSET
    grace_seconds: float | Unset = UNSET
    run_timeout_seconds: float | Unset = UNSET
    targets_at_once: int | Unset = UNSET
    priority: int | Unset = UNSET
    policies: Mapping[str, Json] = field(default_factory=dict)  # what was said of `domain.policy.FIELDS`
    retry: Mapping[str, object] = field(default_factory=dict)  # what was said of `step_drafts.RETRY_FIELDS`
    fan_out: Mapping[str, Json] = field(default_factory=dict)  # what was said of `domain.fanout.FIELDS`
    start_at: str | Unset | None = UNSET  # a moment, in the job's zone or with an offset; None takes it away
    end_at: str | Unset | None = UNSET
    max_runs: int | Unset | None = UNSET
    tags: Mapping[str, str | None] | Unset = UNSET  # merged; None takes one away
    spread_seconds: float | Unset = UNSET
    jitter_seconds: float | Unset = UNSET
    calendars: Sequence[str] | Unset = UNSET  # `NAME` or `NAME:defer`; they take the place of those before
    windows: Sequence[WindowDraft] | Unset = UNSET  # likewise
    faults: Sequence[FieldError] = ()


class Drafted(NamedTuple):
    """A spec, everything that is wrong with it by itself (with faults, do not save it), how words were read."""

    spec: JobSpec
    faults: list[FieldError]
    readings: tuple[str, ...]


def new_spec(draft: JobDraft, *, targets_at_once: int, now: Micros) -> Drafted:
    """The spec of a new job."""
    return _apply(draft, JobSpec(name="", targets_at_once=targets_at_once), now=now)


def changed_spec(draft: JobDraft, old: JobSpec, *, now: Micros) -> Drafted:
    """`old` with the changes."""
    return _apply(draft, old, now=now)


def _apply(draft: JobDraft, old: JobSpec, *, now: Micros) -> Drafted:
    faults = list(draft.faults)
    triggers, read = old.triggers, ReadTriggers(())
    zone = None if draft.timezone is UNSET else draft.timezone
    wall = zone or _zone_said(draft.triggers) or _zone(old.triggers)
    start_at = _bound("start_at", draft.start_at, old.start_at, wall, faults)
    end_at = _bound("end_at", draft.end_at, old.end_at, wall, faults)
    if draft.triggers is not UNSET:
        if not draft.triggers:
            expected = 'at least one; {"kind": "manual"} for none'
            faults.append(FieldError(field="triggers", message="the list is empty", expected=expected))
        read = read_triggers(
            draft.triggers,
            now=now,
            begin=start_at,
            timezone=zone,
            before=old.triggers,
            seed=_or(draft.name, old.name),
            faults=faults,
        )
        triggers = read.triggers
    elif zone is not None:
        try:
            triggers = in_zone(old.triggers, zone)
        except InvalidInput as error:
            faults += error.as_faults()
    if triggers != old.triggers:
        faults += passed_faults(triggers, before=old.triggers, now=now)
    fan_out, wrong = read_fan_out(draft.fan_out, old.fan_out)
    policies, wrong_too = read_policies(draft.policies, old.policies)
    faults += wrong + wrong_too
    steps = draft.work.read(faults) if draft.work.is_set else old.steps
    spec = replace(
        old,
        name=_or(draft.name, old.name),
        description=_or(draft.description, old.description),
        enabled=_or(draft.enabled, old.enabled),
        triggers=triggers,
        steps=with_retries(steps, draft.retry, faults),
        target=_or(draft.target, old.target),
        variables=_merged(old.variables, draft.variables),
        overlap=_or(draft.overlap, old.overlap),
        missed=_or(draft.missed, old.missed),
        grace_seconds=_or(draft.grace_seconds, old.grace_seconds),
        run_timeout_seconds=_or(draft.run_timeout_seconds, old.run_timeout_seconds),
        targets_at_once=_or(draft.targets_at_once, old.targets_at_once),
        priority=_or(draft.priority, old.priority),
        policies=policies,
        fan_out=fan_out,
        start_at=read.start_at if draft.start_at is UNSET and read.start_at is not None else start_at,
        end_at=read.end_at if draft.end_at is UNSET and read.end_at is not None else end_at,
        max_runs=_or(draft.max_runs, old.max_runs),
        tags=_merged(old.tags, draft.tags),
        spread_seconds=_or(draft.spread_seconds, old.spread_seconds),
        jitter_seconds=_or(draft.jitter_seconds, old.jitter_seconds),
        calendars=old.calendars if draft.calendars is UNSET else _uses(draft.calendars, faults),
        windows=old.windows if draft.windows is UNSET else _windows(draft.windows, zone or _zone(triggers), faults),
    )
    if (spec.spread_seconds, spec.jitter_seconds, triggers) != (old.spread_seconds, old.jitter_seconds, old.triggers):
        timetables = [timetable(named.rule) for named in triggers]
        faults += spreading_faults(spec.spread_seconds, spec.jitter_seconds, timetables, now=now)
    if spec.end_at is not None and spec.end_at != old.end_at and spec.end_at <= now:
        message, expected = f"{format_rfc3339(spec.end_at)} has passed", f"a time after {format_rfc3339(now)}"
        faults.append(FieldError(field="end_at", message=message, expected=expected))
    told = {fault.field.partition("[")[0].partition(".")[0] for fault in faults}
    if told & {"do", "playbook"}:
        told.add("steps")  # "nothing to do" would be no news
    return Drafted(spec, faults + [fault for fault in spec.faults() if fault.field not in told], read.readings)


def _bound(
    field: str,
    text: str | Unset | None,
    otherwise: Micros | None,
    zone: str,
    faults: list[FieldError],
) -> Micros | None:
    """When the job begins or ends; a wall-clock time is one of `zone`."""
    if isinstance(text, Unset) or text is None:
        return otherwise if isinstance(text, Unset) else None
    try:
        return read_moment(text, zone)
    except InvalidInput as error:
        faults += error.as_faults(field)
        return None


def _zone_said(drafts: Sequence[TriggerDraft] | Unset) -> str | None:
    """The zone of the first trigger that says one."""
    return None if isinstance(drafts, Unset) else next(filter(None, (draft.timezone for draft in drafts)), None)


def _zone(triggers: Sequence[NamedTrigger]) -> str:
    """The zone of the first trigger that has one."""
    return next((named.rule.zone for named in triggers if isinstance(named.rule, ZonedTrigger)), "UTC")


def _merged(old: Mapping[str, str], draft: Mapping[str, str | None] | Unset) -> dict[str, str]:
    """The old pairs with what the draft sets; its None takes one away."""
    given = {} if isinstance(draft, Unset) else draft
    kept = {key: value for key, value in old.items() if given.get(key, value) is not None}
    return {**kept, **{key: value for key, value in given.items() if value is not None}}


def _uses(texts: Sequence[str], faults: list[FieldError]) -> tuple[CalendarUse, ...]:
    found = []
    for place, text in enumerate(texts):
        try:
            found.append(read_use(text))
        except InvalidInput as error:
            faults += error.as_faults(f"calendars[{place}]")
    return tuple(found)


def _windows(drafts: Sequence[WindowDraft], zone: str, faults: list[FieldError]) -> tuple[JobWindow, ...]:
    found = []
    for place, draft in enumerate(drafts):
        try:
            window = read_window(draft.window, draft.timezone or zone)
            found.append(window if draft.on_hit is None else replace(window, on_hit=draft.on_hit))
        except RotaError as error:  # also where the library of holidays is missing
            fault = InvalidInput(error.happened, expected=error.expected, hint=error.hint)
            faults += fault.as_faults(f"windows[{place}]")
    return tuple(found)


def _or(value: T | Unset, default: T) -> T:
    return default if isinstance(value, Unset) else value


def _named(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Give nameless steps the name of their action, with a number from the second on."""
    taken = {step.name for step in steps if step.name}
    named = []
    for step in steps:
        name, number = step.name or step.action, 1
        while not step.name and name in taken:
            number += 1
            name = f"{step.action}-{number}"
        taken.add(name)
        named.append(replace(step, name=name))
    return tuple(named)
