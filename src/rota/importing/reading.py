"""What a reader found in a file: hosts and groups in the API's fields, faults, and what it did not take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from rota.domain.errors import FieldError
from rota.domain.step import Json

LARGEST = 16 * 1024 * 1024  # characters of one file
MOST_HOSTS = 50_000  # also what ranges such as web[001:999] stand for
MOST_FAULTS = 100  # told at once
_TOLD_AT = re.compile(r"(hosts|groups)\[(\d{1,9})\]\.?(.*)", re.DOTALL)
_NAMED = re.compile(r"\b(hosts|groups)\[(\d{1,9})\]")  # `also as hosts[3]`


@dataclass(slots=True)
class Entry:
    """A host or a group as the API takes it. `place` is where it stands, for people: `line 12`."""

    place: str
    fields: dict[str, Json]

    @property
    def name(self) -> str:
        return str(self.fields.get("name", ""))


@dataclass(slots=True)
class Reading:
    """Filled by one reader, then sent whole. What has a fault is in it as far as it could be read."""

    hosts: list[Entry] = field(default_factory=list)
    groups: list[Entry] = field(default_factory=list)
    faults: list[FieldError] = field(default_factory=list)
    _left_out: dict[str, dict[str, None]] = field(default_factory=dict)  # what -> where, once each

    def fault(self, place: str, message: str, *, expected: str = "", hint: str = "") -> None:
        """Note a fault. Of very many only the first are kept."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(FieldError(field=place, message=message, expected=expected, hint=hint))

    def leave_out(self, what: str, place: str) -> None:
        """Note that something stands there which Rota has no use for."""
        self._left_out.setdefault(what, {})[place] = None

    def left_out(self) -> Iterator[str]:
        """`IdentityAgent (line 3, and 12 more)`, in the order of the file."""
        for what, places in self._left_out.items():
            more = f", and {len(places) - 1} more" if len(places) > 1 else ""
            yield f"{what} ({next(iter(places))}{more})"

    def join_all(self, group: str) -> None:
        """Put every host into `group` as well."""
        found = next((entry for entry in self.groups if entry.name == group), None)
        if found is None:
            found = Entry("--group", {"name": group})
            self.groups.append(found)
        members = found.fields.get("hosts")
        known = [name for name in members if isinstance(name, str)] if isinstance(members, list) else []
        found.fields["hosts"] = [*dict.fromkeys([*known, *(entry.name for entry in self.hosts)])]

    def body(self, *, update: bool) -> dict[str, Json]:
        """The request that stands for all of it."""
        return {
            "hosts": [entry.fields for entry in self.hosts],
            "groups": [entry.fields for entry in self.groups],
            "update": update,
        }

    def in_places(self, faults: Iterable[FieldError]) -> list[FieldError]:
        """What the server said of `hosts[3].port`, said of the place in the file: `line 12 web-1 port`."""
        return [self._in_place(fault) for fault in faults]

    def _in_place(self, fault: FieldError) -> FieldError:
        found = _TOLD_AT.fullmatch(fault.field)
        if found is None:
            return fault
        entry = self._entry(found[1], found[2])
        if entry is None:
            return fault
        what = "" if found[3] == "name" else found[3]
        message = _NAMED.sub(lambda named: getattr(self._entry(named[1], named[2]), "place", named[0]), fault.message)
        return replace(fault, field=" ".join(filter(None, [entry.place, entry.name[:80], what])), message=message)

    def _entry(self, part: str, number: str) -> Entry | None:
        entries: Sequence[Entry] = self.hosts if part == "hosts" else self.groups
        return entries[int(number)] if int(number) < len(entries) else None


def line(number: int) -> str:
    return f"line {number}"
