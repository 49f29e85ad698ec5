"""Our own shape: a list of hosts, or what `hosts list` and `groups list` print, or `{hosts: …, groups: …}` by name or
as lists."""

from __future__ import annotations

from collections.abc import Iterator

from rota.domain.errors import near
from rota.domain.inventory import LOCAL
from rota.domain.step import Json
from rota.importing.facts import FIELDS, TOLD_ONLY, put
from rota.importing.reading import Entry, Reading, line
from rota.importing.yaml_tree import Items, Node, Scalar, Table, texts

_TOP = frozenset({"hosts", "groups", "items", "next"})
_OF_A_GROUP = ("name", "description", "selector", "hosts")
_ONLY_OF_A_GROUP = frozenset({"selector", "hosts"})


def is_ours(tree: Node) -> bool:
    """Whether this is the shape; a mapping of other keys is Ansible's."""
    return not isinstance(tree, Table) or tree.entries.keys() <= _TOP


def read(tree: Node) -> Reading:
    reading = Reading()
    parts = tree.entries if isinstance(tree, Table) else {"hosts": tree}
    for part in ("hosts", "items"):
        for number, (name, node) in enumerate(_entries(parts.get(part), reading), start=1):
            if isinstance(node, Table) and node.entries.keys() & _ONLY_OF_A_GROUP:
                _read_group(name, node, number, reading)
            else:
                _read_host(name, node, number, reading)
    for number, (name, node) in enumerate(_entries(parts.get("groups"), reading), start=1):
        _read_group(name, node, number, reading)
    return reading


def _entries(node: Node | None, reading: Reading) -> Iterator[tuple[str | None, Node]]:
    """What is in a list, and what is in a mapping with its name."""
    match node:
        case Items(items):
            yield from ((None, item) for item in items)
        case Table(entries):
            yield from entries.items()
        case Scalar(str(text), at):
            reading.fault(line(at), f"{text[:80]!r} is neither a list nor a mapping", expected="a list of hosts")


def _read_host(name: str | None, node: Node, number: int, reading: Reading) -> None:
    table = _as_table(name, node, "host", number, reading)
    if table is None:
        return
    said = table.entries
    fields: dict[str, Json] = {} if name is None else {"name": name}
    entry = Entry(_place(table, "host", number), fields)
    if isinstance(known := said.get("name"), Scalar) and known.text is not None:
        fields["name"] = known.text
    if entry.name == LOCAL:
        reading.leave_out("host local, which is built in", entry.place)
        return
    for key, value in said.items():
        place = _place_of(table, key, entry.place)
        if key in TOLD_ONLY:
            continue
        if key not in FIELDS:
            reading.fault(f"{place} {entry.name}", f"{key[:80]!r} is not known here", hint=near(key, FIELDS))
        elif key in ("tags", "vars"):
            fields[key] = _pairs(value, f"{place} {entry.name} {key}", reading)
        elif key == "groups":
            fields[key] = [text for text, _ in texts(value)]
        elif not isinstance(value, Scalar):
            reading.fault(f"{place} {entry.name} {key}", "is a list or a mapping", expected="a text")
        elif value.text is not None:
            put(fields, key, value.text, place, reading)
        elif key not in ("name", "connector", "disabled"):
            fields[key] = None
    reading.hosts.append(entry)


def _read_group(name: str | None, node: Node, number: int, reading: Reading) -> None:
    table = _as_table(name, node, "group", number, reading)
    if table is None:
        return
    fields: dict[str, Json] = {} if name is None else {"name": name}
    entry = Entry(_place(table, "group", number), fields)
    for key, value in table.entries.items():
        place = _place_of(table, key, entry.place)
        if key == "hosts":
            fields[key] = [text for text, _ in texts(value)]
        elif key not in _OF_A_GROUP:
            reading.fault(f"{place} {entry.name}", f"{key[:80]!r} is not known here", hint=near(key, _OF_A_GROUP))
        elif isinstance(value, Scalar):
            fields[key] = value.text
        else:
            reading.fault(f"{place} {entry.name} {key}", "is a list or a mapping", expected="a text")
    if isinstance(fields.get("selector"), str):
        fields.pop("hosts", None)  # of a dynamic group they only say what it picks now
    reading.groups.append(entry)


def _as_table(name: str | None, node: Node, what: str, number: int, reading: Reading) -> Table | None:
    """A mapping of fields; a bare word in a list, or a name without anything, is a host of that name."""
    match node:
        case Table():
            return node
        case Scalar(str(text), at) if name is None:
            return Table({"name": Scalar(text, at)}, at)
        case Scalar(None, at) if name is not None:
            return Table({}, at)
    reading.fault(
        line(node.line) if node.line else f"{what} {number}", "is no mapping", expected=f"the fields of a {what}"
    )
    return None


def _pairs(node: Node, place: str, reading: Reading) -> dict[str, Json]:
    """A mapping of texts; of a list, tags without values."""
    match node:
        case Table(entries):
            found: dict[str, Json] = {}
            for key, value in entries.items():
                if isinstance(value, Scalar):
                    found[key] = value.text
                else:
                    reading.fault(place, f"{key[:80]!r} is a list or a mapping", expected="a text")
            return found
        case Items():
            return {text: "" for text, _ in texts(node)}
        case Scalar(None):
            return {}
    reading.fault(place, "is no mapping", expected="KEY: VALUE")
    return {}


def _place(table: Table, what: str, number: int) -> str:
    return line(table.line) if table.line else f"{what} {number}"


def _place_of(table: Table, key: str, otherwise: str) -> str:
    at = table.line_of(key)
    return line(at) if at else otherwise
