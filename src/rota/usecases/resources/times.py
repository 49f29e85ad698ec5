"""When: triggers, what lies ahead, calendars, pauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from rota.domain.calendars import NO_RULES, Pause, Rules
from rota.domain.errors import InvalidInput
from rota.domain.ids import Kind, public
from rota.domain.instant import Micros, format_span, from_micros
from rota.domain.job import JobSpec
from rota.domain.reasons import EXPLANATIONS
from rota.domain.reckoning import Ahead, Course, Pending, foresee
from rota.domain.spreading import spreading_of
from rota.domain.trigger.caution import clock_change_note
from rota.domain.trigger.rrule_text import write_rrule
from rota.domain.trigger.spec import TriggerSpec, ZonedTrigger
from rota.domain.trigger.timetable import timetable_within
from rota.domain.trigger.tzversion import zone_info
from rota.storage.windows import CalendarRow
from rota.usecases import shapes
from rota.usecases.resources.common import instant, rfc3339

SHOWN_NEXT = 5


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
