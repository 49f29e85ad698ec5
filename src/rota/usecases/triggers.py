"""Triggers as people write them: `every: 20s`, a local time for `at`, a zone that may be left out, `when` in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rota.domain.errors import FieldError, InvalidInput
from rota.domain.instant import SECOND, Micros, format_rfc3339, from_micros, parse_duration
from rota.domain.job import NamedTrigger
from rota.domain.trigger.explain import describe
from rota.domain.trigger.rrule import Recurrence, read_rrule
from rota.domain.trigger.schedule_types import SCHEDULE_TYPES
from rota.domain.trigger.spec import (
    CalendarTrigger,
    CronTrigger,
    IntervalTrigger,
    OnceTrigger,
    TriggerSpec,
    ZonedTrigger,
    from_dict,
    parse_zone,
)
from rota.domain.trigger.timetable import timetable
from rota.domain.trigger.when import find_when, read_moment
from rota.usecases.trigger_forms import is_schedule_type, of_schedule_type, with_kind

DEFAULT_NAME = "main"
MOST_TRIGGERS = 50
# What `domain.trigger` calls a field, and what the API calls it.
_API_NAMES = {"zone": "timezone", "every_seconds": "every"}
# Handed on as they are: what they may hold is judged by the domain.
_AS_THEY_ARE = (
    *("expression", "every_seconds", "anchor", "unit", "times", "weekdays", "nth", "month_days", "months"),
    *("overflow", "gap", "fold", "gap_seconds", "backoff_seconds"),
)
_ZONELESS = frozenset({"manual", "triggered", "on_start", "continuous"})
_WORDS_FOR_CRON = ("@every", "@reboot")  # a crontab's words for what is another kind here


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerDraft:
    """One trigger as it was asked for. None = not said.

    `when` (a short form or English), `describe` (a sentence about the task that also says when) and `rrule` each stand
    for all that follows them here. `every` is a length (`20s`) for an interval, and a number for a calendar trigger.
    """

    kind: str | None = None
    name: str | None = None
    timezone: str | None = None
    type: str | None = None  # with `value`: seed 3's form; with `start`: seed 2's
    value: str | None = None
    start: str | None = None
    when: str | None = None
    describe: str | None = None
    rrule: str | None = None
    expression: str | None = None
    every: str | int | None = None
    every_seconds: float | None = None
    anchor: str | None = None
    at: str | None = None
    unit: str | None = None
    times: Sequence[str] | None = None
    weekdays: Sequence[str] | None = None
    nth: Sequence[str] | None = None
    month_days: Sequence[int] | None = None
    months: Sequence[int | str] | None = None
    overflow: str | None = None
    gap: str | None = None
    fold: str | None = None
    seed: str | None = None
    gap_seconds: float | None = None
    backoff_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ReadTriggers:
    """`readings` say how words were understood. `start_at` and `end_at` are those of a recurrence rule."""

    triggers: tuple[NamedTrigger, ...]
    readings: tuple[str, ...] = ()
    start_at: Micros | None = None
    end_at: Micros | None = None


def read_triggers(
    drafts: Sequence[TriggerDraft],
    *,
    now: Micros,
    begin: Micros | None = None,
    timezone: str | None = None,
    before: Sequence[NamedTrigger] = (),
    seed: str = "",
    faults: list[FieldError],
) -> ReadTriggers:
    """Read all triggers; what is wrong is added to `faults`, and those triggers are left out.

    A zone that is left out is `timezone`, else that of the trigger of the same name in `before`, else UTC. What
    an edit leaves as it was keeps its anchor and its seed; a new anchor is `begin`, the job's start, else `now`.
    `seed` is that of new expressions with `H` or `~`.
    """
    known = {named.name: named.rule for named in before}
    found: list[NamedTrigger] = []
    readings: list[str] = []
    start_at: Micros | None = None
    end_at: Micros | None = None
    for place, draft in enumerate(drafts):
        path = f"triggers[{place}]."
        name = draft.name or (DEFAULT_NAME if place == 0 else f"trigger-{place + 1}")
        old = known.get(name)
        zone = draft.timezone or timezone or (old.zone if isinstance(old, ZonedTrigger) else "UTC")
        try:
            if draft.when is not None or draft.describe is not None:
                rules, reading = _of_words(draft, zone, now=now, path=path)
                readings.append(reading)
            elif draft.rrule is not None or is_schedule_type(draft):
                read = _of_rrule if draft.rrule is not None else _of_schedule_type
                recurrence = _bounded(read(draft, zone, now=now, path=path), draft, now, len(drafts) == 1, path)
                rules, start_at, end_at = (recurrence.trigger,), recurrence.start_at, recurrence.end_at
            else:
                rules = (_of_fields(draft, old, zone, now=now, begin=begin, seed=seed, path=path),)
        except InvalidInput as error:
            faults += [_in_api_words(fault, draft) for fault in error.as_faults()]
            continue
        found += [
            NamedTrigger(name=name if number == 1 else f"{name}-{number}", rule=rule)
            for number, rule in enumerate(rules, 1)
        ]
    return ReadTriggers(tuple(found), tuple(readings), start_at, end_at)


def read_words(text: str, *, now: Micros, zone: str) -> tuple[tuple[TriggerSpec, ...], str]:
    """Return what `--when` means, and how it was read: a short form if it is one, else English.

    The one place where that is decided. Raises InvalidInput.
    """
    rule = find_when(text, now=now, zone=zone)
    if rule is not None:
        return (rule,), describe(rule)
    from rota.domain.trigger.phrase import read_phrase  # only where there are words: a grammar is no small import

    reading = read_phrase(text, zone, now=now)
    return reading.triggers, reading.reading


def in_zone(triggers: Sequence[NamedTrigger], timezone: str) -> tuple[NamedTrigger, ...]:
    """The same triggers read in another zone; an instant stays an instant. Raises InvalidInput for no zone."""
    try:
        zone = parse_zone(timezone)
    except InvalidInput as error:
        raise InvalidInput.of(error.as_faults("timezone")) from error
    return tuple(
        replace(named, rule=replace(named.rule, zone=zone)) if isinstance(named.rule, ZonedTrigger) else named
        for named in triggers
    )


def passed_faults(triggers: Sequence[NamedTrigger], *, before: Sequence[NamedTrigger], now: Micros) -> list[FieldError]:
    """A fault for each trigger that would never fire (again): a moment, or cron years, that have passed.

    Those that a job had `before` are left alone: an edit of something else must not stumble over them.
    """
    found = []
    for place, named in enumerate(triggers):
        rule, field = named.rule, f"triggers[{place}]"
        if named in before:
            continue
        if isinstance(rule, OnceTrigger) and rule.at <= now:
            message, expected = f"{_utc(rule.at)} has passed", f"a time after {_utc(now)}"
            found.append(FieldError(field=f"{field}.at", message=message, expected=expected))
        if isinstance(rule, CronTrigger) and (times := timetable(rule)) is not None and times.next(now) is None:
            last = times.prev(now + 1)
            message = f"never fires again: its last time was {_utc(last)}" if last is not None else "never fires"
            expected = f"a year from {from_micros(now).year} on, or no year"
            found.append(FieldError(field=f"{field}.expression", message=message, expected=expected))
    return found


def _of_words(draft: TriggerDraft, zone: str, *, now: Micros, path: str) -> tuple[tuple[TriggerSpec, ...], str]:
    field, text = ("when", draft.when) if draft.when is not None else ("describe", draft.describe)
    assert text is not None
    _require_alone(draft, field, path)
    try:
        read = read_words if field == "when" else _read_task
        return read(text, now=now, zone=parse_zone(zone))
    except InvalidInput as error:
        raise InvalidInput.of(error.as_faults(f"{path}{field}")) from error


def _read_task(text: str, *, now: Micros, zone: str) -> tuple[tuple[TriggerSpec, ...], str]:
    """What a sentence about the task says of when (seed 3, Schedule Inference). Raises InvalidInput."""
    from rota.domain.trigger.phrase import read_description

    reading = read_description(text, zone, now=now)
    return reading.triggers, reading.reading


def _of_rrule(draft: TriggerDraft, zone: str, *, now: Micros, path: str) -> Recurrence:
    _require_alone(draft, "rrule", path)
    assert draft.rrule is not None
    try:
        return read_rrule(draft.rrule, now=now, zone=zone)
    except InvalidInput as error:
        raise InvalidInput.of(_in_rrule(fault, path) for fault in error.as_faults()) from error


def _of_schedule_type(draft: TriggerDraft, zone: str, *, now: Micros, path: str) -> Recurrence:
    _require_alone(draft, "type", path, beside=("start",))
    return of_schedule_type(draft, zone, now=now, path=path)


def _bounded(found: Recurrence, draft: TriggerDraft, now: Micros, alone: bool, path: str) -> Recurrence:
    """A beginning that is over already says nothing; one to come, and an end, hold for the whole job."""
    start_at = found.start_at if found.start_at is not None and found.start_at > now else None
    if not alone and (start_at is not None or found.end_at is not None):
        field = "start" if draft.rrule is None else "rrule"
        message = "begins or ends at a time of its own, beside other triggers"
        expected = "start_at and end_at of the job, which hold for all its triggers"
        raise InvalidInput.of([FieldError(field=f"{path}{field}", message=message, expected=expected)])
    return replace(found, start_at=start_at)


def _in_rrule(fault: FieldError, path: str) -> FieldError:
    """A fault of one part of the rule (`rrule.BYDAY`), told of the whole text, which is what was typed."""
    part = fault.field.removeprefix("rrule").removeprefix(".")
    return replace(fault, field=f"{path}rrule", message=f"{part} {fault.message}".strip())


def _require_alone(draft: TriggerDraft, field: str, path: str, *, beside: Sequence[str] = ()) -> None:
    """Nothing but `field`, a name, a zone and what may stand `beside` it."""
    others = (*_AS_THEY_ARE, "kind", "type", "value", "start", "every", "at", "when", "describe", "rrule", "seed")
    wrong = [name for name in others if name not in {field, *beside} and getattr(draft, name) is not None]
    if wrong:
        message = f"is given together with {', '.join(wrong)}"
        raise InvalidInput.of([FieldError(field=f"{path}{field}", message=message, expected=f"{field} alone")])


def _of_fields(
    draft: TriggerDraft,
    old: TriggerSpec | None,
    zone: str,
    *,
    now: Micros,
    begin: Micros | None,
    seed: str,
    path: str,
) -> TriggerSpec:
    if draft.start is not None:
        message, expected = "belongs to a type that begins at a time", " ".join(SCHEDULE_TYPES)
        raise InvalidInput.of([FieldError(field=f"{path}start", message=message, expected=expected)])
    if draft.type is not None:
        draft = with_kind(draft, path)
    if draft.expression is not None and draft.expression.strip().lower().startswith(_WORDS_FOR_CRON):
        rule = find_when(draft.expression, now=now, zone=zone)
        if rule is not None:
            return rule
    data: dict[str, object] = {"kind": draft.kind or _kind_of(draft)}
    data |= {name: value for name in _AS_THEY_ARE if (value := getattr(draft, name)) is not None}
    faults: list[FieldError] = []
    if draft.at is not None:
        data["at"] = draft.at if data["kind"] != "once" else _moment(draft.at, zone, now=now, path=path, faults=faults)
    if draft.every is not None:
        if data["kind"] == "calendar":
            data["every"] = draft.every
        else:
            data["every_seconds"] = _length(str(draft.every), path, faults)
    if data["kind"] == "cron":
        data["seed"] = draft.seed or (old.seed if isinstance(old, CronTrigger) else "") or seed
    elif draft.seed is not None:
        data["seed"] = draft.seed
    if "anchor" not in data and (anchor := _old_anchor(data, old)):
        data["anchor"] = anchor
    if draft.timezone is not None or data["kind"] not in _ZONELESS:
        data["zone"] = zone
    try:
        rule = from_dict(data, created=now if begin is None else begin, path=path)
    except InvalidInput as error:
        raise InvalidInput.of([*faults, *error.as_faults()]) from error
    if faults:
        raise InvalidInput.of(faults)
    return rule


def _kind_of(draft: TriggerDraft) -> str | None:
    """The kind that the fields can only mean, so that `{"expression": …}` needs no `kind`."""
    if draft.expression is not None:
        return "cron"
    if draft.unit is not None:
        return "calendar"
    if draft.every is not None or draft.every_seconds is not None:
        return "interval"
    return "once" if draft.at is not None else None


def _length(text: str, path: str, faults: list[FieldError]) -> float:
    """The seconds of `20s`; a stand-in after a fault, so that the other fields are judged too."""
    try:
        return parse_duration(text) / SECOND
    except InvalidInput as error:
        faults += error.as_faults(f"{path}every")
        return 60


def _moment(text: str, zone: str, *, now: Micros, path: str, faults: list[FieldError]) -> str:
    """The instant of a moment (`2026-12-01 02:00`, `17:30`) or of a way from now (`+90s`), as RFC 3339."""
    try:
        rule = find_when(f"at {text}", now=now, zone=zone) or find_when(text, now=now, zone=zone)
        return format_rfc3339(rule.at if isinstance(rule, OnceTrigger) else read_moment(text, zone))
    except InvalidInput as error:
        if not _is_zone_fault(zone):
            faults += error.as_faults(f"{path}at")
        return format_rfc3339(now)  # a stand-in


def _is_zone_fault(zone: str) -> bool:
    """Whether the zone is at fault, which is told of by itself."""
    try:
        parse_zone(zone)
    except InvalidInput:
        return True
    return False


def _old_anchor(data: dict[str, object], old: TriggerSpec | None) -> str | None:
    """An edit that leaves the rhythm as it was does not shift it."""
    if isinstance(old, IntervalTrigger) and data.get("every_seconds") == old.every / SECOND:
        return format_rfc3339(old.anchor)
    if isinstance(old, CalendarTrigger) and (data.get("unit"), data.get("every", 1)) == (old.unit, old.every):
        return old.anchor
    return None


def _utc(at: Micros) -> str:
    return f"{from_micros(at):%Y-%m-%d %H:%M:%S} UTC"


def _in_api_words(fault: FieldError, draft: TriggerDraft) -> FieldError:
    head, _, last = fault.field.rpartition(".")
    if last == "every_seconds" and draft.every_seconds is not None:
        return fault
    return replace(fault, field=f"{head}.{_API_NAMES.get(last, last)}")
