"""Reading the events of an iCalendar file (RFC 5545) into rules of a calendar.

Ours, small and safe, rather than a library: of the standard only when a VEVENT is and how it recurs matters here, and
a file from anywhere must never do more than be refused. What cannot be taken exactly is left out and named, never
guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from rota.domain.errors import InvalidInput
from rota.domain.instant import DAY, SECOND, Micros, format_rfc3339, format_span, parse_rfc3339
from rota.domain.trigger.zones import parse_zone, zone_named
from rota.domain.windows.rules import read_rule

MOST_CHARACTERS = 4 * 1024 * 1024
MOST_EVENTS = 5_000
MOST_RECURRING = 200  # each is asked at every start that it may hold …
MOST_COUNTED = 1_000  # … and a COUNT is turned into an end by walking
_DATE = re.compile(r"[0-9]{8}")
_STAMP = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})(Z?)")
_LENGTH = re.compile(
    r"\+?P(?:([0-9]{1,4})W)?(?:([0-9]{1,5})D)?(?:T(?:([0-9]{1,5})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,7})S)?)?"
)
_COUNT = re.compile(r"COUNT=([0-9]+)")
_WANTED = frozenset(
    {"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "SUMMARY", "STATUS", "TRANSP"}
)


@dataclass(frozen=True, slots=True)
class Imported:
    """`rules` in the order of the file; `skipped` says of each event that was left out which, and why."""

    rules: tuple[str, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Property:
    value: str
    parameters: Mapping[str, str]


@dataclass(slots=True)
class _Event:
    properties: dict[str, _Property] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)

    @property
    def title(self) -> str:
        summary = self.properties.get("SUMMARY")
        text = summary.value.replace("\\n", " ").replace("\\", "") if summary else "an event without a title"
        return text[:60]


def read_ics(text: str, *, zone: str, since: Micros) -> Imported:
    """Read every event that is not over by `since`; times without a zone are those of `zone`.

    Raises InvalidInput for what is no calendar file, and where no event can be taken.
    """
    if len(text) > MOST_CHARACTERS:
        raise InvalidInput("the file is too long", expected=f"at most {MOST_CHARACTERS // 1024 // 1024} MiB")
    zone = parse_zone(zone)
    events = list(_events(text))
    rules: list[str] = []
    skipped: list[str] = []
    over = recurring = 0
    for event in events:
        try:
            recurring += "RRULE" in event.properties
            if recurring > MOST_RECURRING and "RRULE" in event.properties:
                raise InvalidInput("it recurs", expected=f"at most {MOST_RECURRING} such events in one calendar")
            rule = _rule(event, zone)
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


def _lasts(rule: str, zone: str, since: Micros) -> bool:
    return read_rule(rule, zone).windows.holding(since) is not None


def _events(text: str) -> Iterator[_Event]:
    """The events of the file, those within other components left out. Raises InvalidInput."""
    open_components: list[str] = []
    event: _Event | None = None
    count = 0
    seen = False
    for line in _unfolded(text.splitlines()):
        name, parameters, value = _content(line)
        if name == "BEGIN":
            seen = seen or value.upper() == "VCALENDAR"
            open_components.append(value.upper())
            if open_components[-2:] == ["VCALENDAR", "VEVENT"]:
                event, count = _Event(), count + 1
                if count > MOST_EVENTS:
                    raise InvalidInput(f"the file has more than {MOST_EVENTS} events", expected="a smaller one")
        elif name == "END":
            if not open_components or open_components.pop() != value.upper():
                raise InvalidInput(
                    f'the file ends a "{value[:30]}" that it has not begun', expected="an iCalendar file"
                )
            if event is not None and value.upper() == "VEVENT":
                yield event
                event = None
        elif event is not None and open_components[-1] == "VEVENT" and name in _WANTED:
            if name in event.properties:
                event.repeated.add(name)
            event.properties[name] = _Property(value, parameters)
    if not seen or open_components:
        raise InvalidInput(
            "this is no iCalendar file" if not seen else "the file ends in the middle",
            expected="BEGIN:VCALENDAR … END:VCALENDAR",
        )


def _unfolded(lines: Iterable[str]) -> Iterator[str]:
    """Lines that begin with a blank go on with the one before (RFC 5545 3.1)."""
    whole: list[str] = []
    for line in lines:
        if line[:1] in (" ", "\t"):
            whole.append(line[1:])
            continue
        if whole:
            yield "".join(whole)
        whole = [line]
    if whole:
        yield "".join(whole)


def _content(line: str) -> tuple[str, Mapping[str, str], str]:
    """(name, parameters, value) of `DTSTART;TZID=Europe/Zurich:20260305T090000`. Quoted parameters may hold a colon."""
    place, quoted = 0, False
    for place, character in enumerate(line):  # noqa: B007  # where the value begins is what we are after
        quoted ^= character == '"'
        if character == ":" and not quoted:
            break
    else:
        return line.strip().upper(), {}, ""
    head, value = line[:place], line[place + 1 :]
    name, *pairs = head.split(";")
    parameters = {key.upper(): text.strip('"') for key, _, text in (pair.partition("=") for pair in pairs)}
    return name.strip().upper(), parameters, value.strip()


def _rule(event: _Event, zone: str) -> str:
    """The rule of one event, spelt as `rules` spells it. Raises InvalidInput for what has no exact counterpart."""
    known = event.properties
    for name, why in (
        ("RECURRENCE-ID", "it changes one instance of a series"),
        ("EXDATE", "some of its instances are left out"),
        ("RDATE", "it has dates beside its rule"),
    ):
        if name in known:
            raise InvalidInput(why, expected="a plain event, or a plain RRULE")
    if known.get("STATUS", _Property("", {})).value.upper() == "CANCELLED":
        raise InvalidInput("it was cancelled")
    if event.repeated - {"SUMMARY"} or "DTSTART" not in known:
        what = f"{min(event.repeated)} is given twice" if event.repeated else "it has no DTSTART"
        raise InvalidInput(what, expected="one DTSTART, and DTEND or DURATION")
    counted = _COUNT.search(known["RRULE"].value.upper()) if "RRULE" in known else None
    if counted and (len(counted[1]) > 4 or int(counted[1]) > MOST_COUNTED):
        raise InvalidInput(f"COUNT is {counted[1][:12]}", expected=f"at most {MOST_COUNTED}")
    if _is_day(known["DTSTART"]):
        return _of_days(known)
    start, own_zone = _instant(known["DTSTART"], zone)
    length = _length(known, start, own_zone)
    if "RRULE" not in known:
        return f"{format_rfc3339(start)}..{format_rfc3339(start + length)}"
    head = "DTSTART:" if own_zone == "UTC" else f"DTSTART;TZID={own_zone}:"
    stamp = known["DTSTART"].value.upper()
    return f"rrule {head}{stamp} RRULE:{known['RRULE'].value.upper()} for {format_span(length)}"


def _of_days(known: Mapping[str, _Property]) -> str:
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
    if rule.strip(";") in ("FREQ=YEARLY", "FREQ=YEARLY;INTERVAL=1"):
        return f"{first:%m-%d}" if days == 1 else f"{first:%m-%d}..{last:%m-%d}"
    return f"rrule DTSTART:{first:%Y%m%d} RRULE:{rule} for {days}d"


def _is_day(one: _Property) -> bool:
    return _DATE.fullmatch(one.value) is not None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(f"{text[:4]}-{text[4:6]}-{text[6:8]}")
    except ValueError as fault:
        raise InvalidInput(f'"{text[:24]}" is not a date') from fault


def _instant(one: _Property, zone: str) -> tuple[Micros, str]:
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


def _length(known: Mapping[str, _Property], start: Micros, zone: str) -> Micros:
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
