"""Reading the events of an iCalendar file (RFC 5545) into rules of a calendar.

Ours, small and safe, rather than a library: of the standard only when a VEVENT is and how it recurs matters here, and
a file from anywhere must never do more than be refused. What cannot be taken exactly is left out and named, never
guessed.

A series may leave instances out (EXDATE) and change single ones (RECURRENCE-ID): its rule then names the instants
without a window, and a changed instance is an event of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from rota.domain.errors import InvalidInput
from rota.domain.instant import DAY, SECOND, Micros, format_rfc3339, format_span, from_micros, parse_rfc3339
from rota.domain.trigger.zones import parse_zone, zone_named
from rota.domain.windows.ics_events import Event, Property, read_events
from rota.domain.windows.rules import read_rule

MOST_CHARACTERS = 4 * 1024 * 1024
MOST_RECURRING = 200  # each is asked at every start that it may hold …
MOST_COUNTED = 1_000  # … and a COUNT is turned into an end by walking
MOST_LEFT_OUT = 100  # instances of one series, those that are over apart
_DATE = re.compile(r"[0-9]{8}")
_STAMP = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})(Z?)")
_LENGTH = re.compile(
    r"\+?P(?:([0-9]{1,4})W)?(?:([0-9]{1,5})D)?(?:T(?:([0-9]{1,5})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,7})S)?)?"
)
_COUNT = re.compile(r"COUNT=([0-9]+)")


@dataclass(frozen=True, slots=True)
class Imported:
    """`rules` in the order of the file; `skipped` says of each event that was left out which, and why."""

    rules: tuple[str, ...]
    skipped: tuple[str, ...]


def read_ics(text: str, *, zone: str, since: Micros) -> Imported:
    """Read every event that is not over by `since`; times without a zone are those of `zone`.

    Raises InvalidInput for what is no calendar file, and where no event can be taken.
    """
    if len(text) > MOST_CHARACTERS:
        raise InvalidInput("the file is too long", expected=f"at most {MOST_CHARACTERS // 1024 // 1024} MiB")
    zone = parse_zone(zone)
    events = list(read_events(text))
    changed = _changed_instances(events)
    rules: list[str] = []
    skipped: list[str] = []
    over = recurring = 0
    for event in events:
        try:
            recurring += "RRULE" in event.properties
            if recurring > MOST_RECURRING and "RRULE" in event.properties:
                raise InvalidInput("it recurs", expected=f"at most {MOST_RECURRING} such events in one calendar")
            if _is_cancelled_instance(event, changed):
                continue  # its series leaves it out
            rule = _rule(event, changed.get(event.text("UID"), ()), zone, since)
            if read_rule(rule, zone).windows.next_start(since) is None and not _lasts(rule, zone, since):
                over += 1
                continue
        except InvalidInput as error:
            skipped.append(f"{event.title}: {error}")
            continue
        rules.append(rule)
    if not rules:
        why = "; ".join(skipped[:3]) or (f"all {over} are over" if over else "there is none in it")
        raise InvalidInput(f"no event can be taken: {why}", expected="a VEVENT with DTSTART, and DTEND or DURATION")
    return Imported(tuple(dict.fromkeys(rules)), tuple(skipped))


def _changed_instances(events: Sequence[Event]) -> Mapping[str, Sequence[Event]]:
    """By UID of the series that are in the file: the events that stand for one instance of them."""
    series = {event.text("UID") for event in events if "RRULE" in event.properties} - {""}
    found: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if "RECURRENCE-ID" in event.properties and event.text("UID") in series:
            found[event.text("UID")].append(event)
    return found


def _is_cancelled_instance(event: Event, changed: Mapping[str, Sequence[Event]]) -> bool:
    is_instance = "RECURRENCE-ID" in event.properties and event.text("UID") in changed
    return is_instance and event.text("STATUS").upper() == "CANCELLED"


def _lasts(rule: str, zone: str, since: Micros) -> bool:
    return read_rule(rule, zone).windows.holding(since) is not None


def _rule(event: Event, changed: Sequence[Event], zone: str, since: Micros) -> str:
    """The rule of one event, spelt as `rules` spells it; `changed` are instances of its series.

    Raises InvalidInput for what has no exact counterpart.
    """
    known = event.properties
    if "RDATE" in known:
        raise InvalidInput("it has dates beside its rule", expected="a plain event, or one with an RRULE")
    if "RECURRENCE-ID" in known and ("RRULE" in known or "RANGE" in known["RECURRENCE-ID"].parameters):
        raise InvalidInput("it changes more than one instance of a series", expected="a change of one")
    if event.text("STATUS").upper() == "CANCELLED":
        raise InvalidInput("it was cancelled")
    repeated = event.repeated - {"SUMMARY", "UID"}
    if repeated or "DTSTART" not in known:
        what = f"{min(repeated)} is given twice" if repeated else "it has no DTSTART"
        raise InvalidInput(what, expected="one DTSTART, and DTEND or DURATION")
    counted = _COUNT.search(event.text("RRULE").upper())
    if counted and (len(counted[1]) > 4 or int(counted[1]) > MOST_COUNTED):
        raise InvalidInput(f"COUNT is {counted[1][:12]}", expected=f"at most {MOST_COUNTED}")
    left_out = _left_out(event, changed) if "RRULE" in known else []
    if _is_day(known["DTSTART"]):
        return _of_days(known, left_out, since)
    start, own_zone = _instant(known["DTSTART"], zone)
    length = _length(known, start, own_zone)
    if "RRULE" not in known:
        return f"{format_rfc3339(start)}..{format_rfc3339(start + length)}"
    head = "DTSTART:" if own_zone == "UTC" else f"DTSTART;TZID={own_zone}:"
    stamp = known["DTSTART"].value.upper()
    instants = {_instant(one, own_zone)[0] for one in left_out}
    stamps = [f"{from_micros(at):%Y%m%dT%H%M%SZ}" for at in sorted(instants) if at + length > since]
    return f"rrule {head}{stamp} RRULE:{event.text('RRULE').upper()}{_without(stamps)} for {format_span(length)}"


def _left_out(event: Event, changed: Sequence[Event]) -> list[Property]:
    """The instances of a series that it has no window at: dates or times, as its DTSTART is. Raises InvalidInput."""
    found = [Property(text, line.parameters) for line in event.left_out for text in line.value.split(",")]
    for instance in changed:
        replaced = instance.properties["RECURRENCE-ID"]
        if "RANGE" in replaced.parameters:
            raise InvalidInput(
                "it is changed from one instance on", expected="changes of one instance each, or a series of its own"
            )
        found.append(replaced)
    if any(_is_day(one) != _is_day(event.properties["DTSTART"]) for one in found):
        raise InvalidInput("it is of days and leaves out times, or the other way round")
    return found


def _without(stamps: Sequence[str]) -> str:
    if len(stamps) > MOST_LEFT_OUT:
        raise InvalidInput(f"it leaves out {len(stamps)} instances", expected=f"at most {MOST_LEFT_OUT}")
    return f" EXDATE:{','.join(stamps)}" if stamps else ""


def _of_days(known: Mapping[str, Property], left_out: Sequence[Property], since: Micros) -> str:
    """An event of whole days: they are those of the calendar's zone."""
    first = _day(known["DTSTART"].value)
    if "DTEND" in known and not _is_day(known["DTEND"]):
        raise InvalidInput("it begins with a day and ends with a time")
    days = (_day(known["DTEND"].value) - first).days if "DTEND" in known else 1
    if "DURATION" in known:
        days = _duration(known["DURATION"].value) // DAY
    if not 1 <= days <= 366:
        raise InvalidInput(f"it lasts {days} days", expected="1 to 366")
    last = first + timedelta(days=days - 1)
    if "RRULE" not in known:
        return str(first) if days == 1 else f"{first}..{last}"
    rule = known["RRULE"].value.upper()
    over = from_micros(since).date() - timedelta(days=days + 1)  # a day more, whatever the zone
    stamps = [f"{day:%Y%m%d}" for day in sorted({_day(one.value) for one in left_out}) if day >= over]
    if rule.strip(";") in ("FREQ=YEARLY", "FREQ=YEARLY;INTERVAL=1") and not stamps:
        return f"{first:%m-%d}" if days == 1 else f"{first:%m-%d}..{last:%m-%d}"
    return f"rrule DTSTART:{first:%Y%m%d} RRULE:{rule}{_without(stamps)} for {days}d"


def _is_day(one: Property) -> bool:
    return _DATE.fullmatch(one.value) is not None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(f"{text[:4]}-{text[4:6]}-{text[6:8]}")
    except ValueError as fault:
        raise InvalidInput(f'"{text[:24]}" is not a date') from fault


def _instant(one: Property, zone: str) -> tuple[Micros, str]:
    """(instant, zone it was said in)."""
    match = _STAMP.fullmatch(one.value.upper())
    if match is None:
        raise InvalidInput(f'"{one.value[:24]}" is not a date or time', expected="such as 20260305T090000Z")
    year, month, day, hour, minute, second, utc = match.groups()
    try:
        wall = parse_rfc3339(f"{year}-{month}-{day}T{hour}:{minute}:{second}Z")
    except InvalidInput as fault:
        raise InvalidInput(f'"{one.value}" is not a date or time') from fault
    if utc:
        return wall, "UTC"
    own = parse_zone(one.parameters.get("TZID", zone))
    return zone_named(own).first_reaching(wall // SECOND) * SECOND, own


def _length(known: Mapping[str, Property], start: Micros, zone: str) -> Micros:
    if "DTEND" in known:
        length = _instant(known["DTEND"], zone)[0] - start
    elif "DURATION" in known:
        length = _duration(known["DURATION"].value)
    else:
        raise InvalidInput("it has no end", expected="DTEND or DURATION")
    if length <= 0:
        raise InvalidInput("it ends before it begins")
    return length


def _duration(text: str) -> Micros:
    match = _LENGTH.fullmatch(text.upper())
    if match is None or not any(match.groups()):
        raise InvalidInput(f'"{text[:24]}" is not a duration', expected="such as PT1H30M")
    weeks, days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
    return ((weeks * 7 + days) * 86_400 + hours * 3_600 + minutes * 60 + seconds) * SECOND
