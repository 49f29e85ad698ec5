"""When a job starts, or started: the next and the last instants, and a month of days. Nothing here reads or writes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice

from rota.domain.calendars import verdict_at
from rota.domain.errors import InvalidInput
from rota.domain.instant import DAY, SECOND, Micros, from_micros, parse_rfc3339
from rota.domain.job import JobSpec
from rota.domain.reckoning import Ahead, Course, foresee
from rota.domain.spreading import spreading_of
from rota.domain.trigger.caution import warnings_of
from rota.domain.trigger.explain import describe
from rota.domain.trigger.spec import TriggerSpec, ZonedTrigger, parse_zone, short_form
from rota.domain.trigger.timetable import timetable_within
from rota.domain.trigger.zones import zone_named
from rota.usecases import resources, shapes

CURRENT_MONTH = "current"
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_MOST_FORESEEN = 5_000  # starts of a month that are looked at one by one; what is due more often is counted
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is to be seen. `viewer`: a zone to tell every moment in as well. `month`: `2026-03`, or `current`."""

    count: int = 5
    previous: int = 0
    month: str | None = None
    viewer: str | None = None


def outlook(spec: JobSpec, standing: resources.Standing, view: View, *, now: Micros) -> shapes.Preview:
    """Everything a preview shows. Raises InvalidInput for no month and no zone."""
    rules = [named.rule for named in spec.triggers]
    viewer = _viewer(view)
    zone = next((rule.zone for rule in rules if isinstance(rule, ZonedTrigger)), "UTC")
    seen: shapes.Preview = {
        "trigger_text": "; ".join(map(describe, rules)),
        "trigger_short": "; ".join(map(short_form, rules)),
        "timezone": zone,
        "next_runs": _told_in(viewer, resources.next_runs(spec, standing, now=now, count=view.count)),
    }
    if view.previous:
        seen["previous_runs"] = _told_in(viewer, _previous(spec, now=now, count=view.previous))
    if view.month is not None:
        seen["days"] = _days(spec, standing, _month(view.month, zone, now), zone)
    if warnings := [said for rule in rules for said in warnings_of(rule, now=now)]:
        seen["warnings"] = warnings
    if not seen["next_runs"] and (why := resources.no_next(spec, None, now)):
        seen["no_next"] = why
    return seen


def _viewer(view: View) -> str | None:
    try:
        return None if view.viewer is None else parse_zone(view.viewer)
    except InvalidInput as error:
        raise InvalidInput.of(error.as_faults("viewer")) from error


def _told_in(viewer: str | None, moments: list[shapes.Upcoming]) -> list[shapes.Upcoming]:
    """The same, each also in the zone of who looks."""
    if viewer is not None:
        for moment in moments:
            moment["viewer"] = resources.local(parse_rfc3339(moment["at"]), viewer)
    return moments


def _courses(spec: JobSpec, standing: resources.Standing) -> Iterable[tuple[TriggerSpec, Course]]:
    spreading = spreading_of(spec.name, spec.spread_seconds, spec.jitter_seconds)
    for named in spec.triggers:
        times = timetable_within(named.rule, spec.start_at, spec.end_at)
        if times is not None:
            yield named.rule, Course(times, spreading, standing.rules)


def _previous(spec: JobSpec, *, now: Micros, count: int) -> list[shapes.Upcoming]:
    """The last `count` instants that were named, oldest first. Pauses and calendars of the past are not asked."""
    found: list[tuple[Ahead, TriggerSpec]] = []
    for rule, course in _courses(spec, resources.Standing()):
        before = now + 1
        for _ in range(count):
            nominal = course.timetable.prev(before)
            if nominal is None:
                break
            found.append((Ahead(nominal, course.fire_at(nominal), None, None, nominal), rule))
            before = nominal
    found.sort(key=lambda pair: pair[0].nominal)
    return [resources.upcoming(one, rule) for one, rule in found[-count:]]


# A month


def _month(text: str, zone: str, now: Micros) -> date:
    """The first of the month. Raises InvalidInput."""
    if text == CURRENT_MONTH:
        return _date(now, zone).replace(day=1)
    match = _MONTH.fullmatch(text)
    if match is None or not 1970 <= int(match[1]) <= 9000:
        expected = 'a month such as "2026-03"'
        raise InvalidInput.of(InvalidInput(f'"{text[:20]}" is not a month', expected=expected).as_faults("month"))
    return date(int(match[1]), int(match[2]), 1)


def _days(spec: JobSpec, standing: resources.Standing, first: date, zone: str) -> list[shapes.DayAhead]:
    """Each day of the month that begins at `first`, with what the rules of today make of it."""
    after = (first + timedelta(days=31)).replace(day=1)
    dates = [first + timedelta(days=number) for number in range((after - first).days)]
    days: dict[str, shapes.DayAhead] = {str(one): {"date": str(one), "starts": 0, "dropped": 0} for one in dates}
    begin, end = _midnight(first, zone), _midnight(after, zone)
    for rule, course in _courses(spec, standing):
        if course.timetable.count(begin - 1, end - 1) > _MOST_FORESEEN:
            _count_days(days, course, dates, zone)
            continue
        for one in islice(foresee(course, after=begin - 1), 2 * _MOST_FORESEEN):
            if one.nominal >= end:
                break
            _add(days, course, one, rule, zone, end)
    return list(days.values())


def _add(
    days: dict[str, shapes.DayAhead], course: Course, one: Ahead, rule: TriggerSpec, zone: str, end: Micros
) -> None:
    """Note one start, or all that are dropped together, on their days."""
    if one.reason is not None:
        nominal: Micros | None = one.nominal
        while nominal is not None and nominal < end and (one.last is None or nominal <= one.last):
            midnight = _midnight(_date(nominal, zone) + timedelta(days=1), zone)
            last = midnight - 1 if one.last is None else min(midnight - 1, one.last)
            day = days[str(_date(nominal, zone))]
            day["dropped"] += course.timetable.count(nominal - 1, last)
            _note(day, f"{one.reason.value}: {resources.upcoming(one, rule).get('note', '')}")
            nominal = course.timetable.next(last)
        return
    day_or_none = days.get(str(_date(one.fire_at, zone)))
    if day_or_none is None:  # put off into the next month
        return
    clock = resources.local(one.fire_at, zone)[11:16]
    day_or_none["starts"] += 1
    day_or_none["first"] = min(day_or_none.get("first", clock), clock)
    if note := resources.upcoming(one, rule).get("note"):
        _note(day_or_none, note)


def _count_days(days: dict[str, shapes.DayAhead], course: Course, dates: list[date], zone: str) -> None:
    """What is due so often that it is only counted: each stretch of a day in which one verdict holds at once."""
    for one in dates:
        day, at, end = days[str(one)], _midnight(one, zone), _midnight(one + timedelta(days=1), zone)
        while at < end:
            verdict = verdict_at(at, course.rules)
            until = min(verdict.until, end)
            count = course.timetable.count(at - 1, until - 1)
            if count and (verdict.reason is not None or verdict.deferred_to is not None):
                day["dropped"] += count
                _note(day, verdict.by or "")
            elif count:
                following = course.timetable.next(at - 1)
                clock = resources.local(at if following is None else following, zone)[11:16]
                day["first"] = min(day.get("first", clock), clock)
                day["starts"] += count
            at = until


def _note(day: shapes.DayAhead, note: str) -> None:
    notes = day.setdefault("notes", [])
    if note and note not in notes:
        notes.append(note)


def _date(at: Micros, zone: str) -> date:
    return from_micros(zone_named(zone).wall_at(at // SECOND) * SECOND).date()


def _midnight(day: date, zone: str) -> Micros:
    """The first instant of a day, which a clock change may have moved."""
    return zone_named(zone).first_reaching((day - _EPOCH).days * (DAY // SECOND)) * SECOND
