"""Triggers as people write them: `every: 20s`, a local time for `at`, a zone that may be left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rota.domain.errors import FieldError, InvalidInput
from rota.domain.instant import SECOND, Micros, format_rfc3339, from_micros, parse_duration, parse_rfc3339
from rota.domain.job import NamedTrigger
from rota.domain.trigger.spec import (
    CronTrigger,
    IntervalTrigger,
    ManualTrigger,
    OnceTrigger,
    TriggerSpec,
    from_dict,
    parse_zone,
)
from rota.domain.trigger.zones import zone_named

DEFAULT_NAME = "main"
_LOCAL = re.compile(r"(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2})(:\d{2})?")
# What `domain.trigger` calls a field, and what the API calls it.
_API_NAMES = {"zone": "timezone", "every_seconds": "every"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerDraft:
    """One trigger as it was asked for. None = not said. `every` is text (`20s`), `every_seconds` its number."""

    kind: str | None = None
    name: str | None = None
    expression: str | None = None
    every: str | None = None
    every_seconds: float | None = None
    anchor: str | None = None
    at: str | None = None
    timezone: str | None = None


def read_triggers(
    drafts: Sequence[TriggerDraft],
    *,
    now: Micros,
    timezone: str | None = None,
    before: Sequence[NamedTrigger] = (),
    faults: list[FieldError],
) -> tuple[NamedTrigger, ...]:
    """Read all triggers; what is wrong is added to `faults`, and those triggers are left out.

    A zone that is left out is `timezone`, else that of the trigger of the same name in `before`, else UTC. An
    interval whose length stays the same keeps its anchor. A `once` that is not later than `now` is a fault.
    """
    known = {named.name: named.rule for named in before}
    found = []
    for place, draft in enumerate(drafts):
        path = f"triggers[{place}]."
        name = draft.name or (DEFAULT_NAME if place == 0 else f"trigger-{place + 1}")
        try:
            rule = _read(draft, known.get(name), now=now, timezone=timezone, path=path)
        except InvalidInput as error:
            faults += [_in_api_words(fault, draft) for fault in error.as_faults()]
            continue
        found.append(NamedTrigger(name=name, rule=rule))
    return tuple(found)


def in_zone(triggers: Sequence[NamedTrigger], timezone: str) -> tuple[NamedTrigger, ...]:
    """The same triggers read in another zone; an instant stays an instant. Raises InvalidInput for no zone."""
    try:
        zone = parse_zone(timezone)
    except InvalidInput as error:
        raise InvalidInput.of(error.as_faults("timezone")) from error
    return tuple(
        named if isinstance(named.rule, ManualTrigger) else replace(named, rule=replace(named.rule, zone=zone))
        for named in triggers
    )


def passed_faults(triggers: Sequence[NamedTrigger], *, now: Micros) -> list[FieldError]:
    """A fault for each `once` that would never fire."""
    return [
        FieldError(
            field=f"triggers[{place}].at",
            message=f"{_utc(named.rule.at)} has passed",
            expected=f"a time after {_utc(now)}",
        )
        for place, named in enumerate(triggers)
        if isinstance(named.rule, OnceTrigger) and named.rule.at <= now
    ]


def _read(draft: TriggerDraft, old: TriggerSpec | None, *, now: Micros, timezone: str | None, path: str) -> TriggerSpec:
    old_zone = old.zone if isinstance(old, CronTrigger | IntervalTrigger | OnceTrigger) else None
    zone = draft.timezone or timezone or old_zone or "UTC"
    data: dict[str, object] = {"kind": draft.kind or _kind_of(draft)}
    given: dict[str, object] = {
        "expression": draft.expression,
        "every_seconds": draft.every_seconds,
        "anchor": draft.anchor,
        "at": draft.at,
        "zone": draft.timezone,
    }
    data |= {key: value for key, value in given.items() if value is not None}
    faults: list[FieldError] = []
    if draft.every is not None:
        try:
            data["every_seconds"] = parse_duration(draft.every) / SECOND
        except InvalidInput as error:
            faults += error.as_faults(f"{path}every")
            data["every_seconds"] = 60  # a stand-in, so that the other fields are judged too
    if draft.at is not None and data["kind"] == "once":
        data["at"] = _instant(draft.at, zone)
        try:
            parse_rfc3339(str(data["at"]))
        except InvalidInput as error:
            expected = "a date and time, in the trigger's zone or with an offset"
            hint = 'such as "2026-12-01 02:00" or "2026-12-01T02:00:00Z"'
            faults.append(FieldError(field=f"{path}at", message=error.happened, expected=expected, hint=hint))
            data["at"] = format_rfc3339(now)  # a stand-in
    if isinstance(old, IntervalTrigger) and "anchor" not in data and data.get("every_seconds") == old.every / SECOND:
        data["anchor"] = format_rfc3339(old.anchor)
    if data["kind"] != "manual":
        data["zone"] = zone
    try:
        rule = from_dict(data, created=now, path=path)
    except InvalidInput as error:
        raise InvalidInput.of([*faults, *error.as_faults()]) from error
    if faults:
        raise InvalidInput.of(faults)
    return rule


def _kind_of(draft: TriggerDraft) -> str | None:
    """The kind that the fields can only mean, so that `{"expression": …}` needs no `kind`."""
    if draft.expression is not None:
        return "cron"
    if draft.every is not None or draft.every_seconds is not None:
        return "interval"
    return "once" if draft.at is not None else None


def _instant(text: str, zone: str) -> str:
    """A wall-clock time in `zone` as RFC 3339; anything else as it is, for the reader of instants to judge.

    A time that a clock change leaves out is the end of the gap; of one that comes twice it is the first.
    """
    match = _LOCAL.fullmatch(text.strip())
    if match is None:
        return text.strip()
    try:
        wall = parse_rfc3339(f"{match[1]}T{match[2]}{match[3] or ':00'}Z")
    except InvalidInput:
        return text.strip()
    try:
        return format_rfc3339(zone_named(zone).first_reaching(wall // SECOND) * SECOND)
    except InvalidInput:
        return format_rfc3339(wall)  # the zone is at fault, and is told of by itself


def _utc(at: Micros) -> str:
    return f"{from_micros(at):%Y-%m-%d %H:%M:%S} UTC"


def _in_api_words(fault: FieldError, draft: TriggerDraft) -> FieldError:
    head, _, last = fault.field.rpartition(".")
    if last == "every_seconds" and draft.every_seconds is not None:
        return fault
    return replace(fault, field=f"{head}.{_API_NAMES.get(last, last)}")
