"""The events of an iCalendar file (RFC 5545) as properties with parameters: lines unfolded, components nested.

What the properties mean is for `ics`. Alarms and other components within an event count for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from rota.domain.errors import InvalidInput

MOST_EVENTS = 5_000
_WANTED = frozenset(
    {
        *("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"),
        *("UID", "SUMMARY", "STATUS"),
    }
)


@dataclass(frozen=True, slots=True)
class Property:
    value: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Event:
    """`left_out`: its EXDATE lines, of which there may be many; `repeated`: others that are given twice."""

    properties: dict[str, Property] = field(default_factory=dict)
    left_out: list[Property] = field(default_factory=list)
    repeated: set[str] = field(default_factory=set)

    def text(self, name: str) -> str:
        """The value of a property; empty where it has none."""
        found = self.properties.get(name)
        return found.value if found else ""

    @property
    def title(self) -> str:
        return self.text("SUMMARY").replace("\\n", " ").replace("\\", "")[:60] or "an event without a title"

    def put(self, name: str, found: Property) -> None:
        if name == "EXDATE":
            self.left_out.append(found)
            return
        if name in self.properties:
            self.repeated.add(name)
        self.properties[name] = found


def read_events(text: str) -> Iterator[Event]:
    """The events of the file, those within other components left out. Raises InvalidInput."""
    open_components: list[str] = []
    event: Event | None = None
    count = 0
    seen = False
    for line in _unfolded(text.splitlines()):
        name, parameters, value = _content(line)
        if name == "BEGIN":
            seen = seen or value.upper() == "VCALENDAR"
            open_components.append(value.upper())
            if open_components[-2:] == ["VCALENDAR", "VEVENT"]:
                event, count = Event(), count + 1
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
            event.put(name, Property(value, parameters))
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
