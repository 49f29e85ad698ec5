"""Ansible's inventories, INI and YAML alike, become hosts and groups.

Variables of groups are written into their hosts, as Ansible itself would resolve them: all, then parents, then
children, then the host. A group with children becomes a dynamic one, so that what joins a child later is in it too.
Connection variables become fields; other `ansible_…` variables are for Ansible alone and told as left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from rota.domain.step import Json
from rota.importing.facts import put
from rota.importing.reading import MOST_HOSTS, Entry, Reading

_FIELD_OF = {
    "ansible_host": "address", "ansible_ssh_host": "address",
    "ansible_port": "port", "ansible_ssh_port": "port",
    "ansible_user": "user", "ansible_ssh_user": "user",
    "ansible_ssh_private_key_file": "key_file", "ansible_private_key_file": "key_file",
    "ansible_connection": "connector",
}  # fmt: skip
_CONNECTOR_OF = {"smart": "ssh", "paramiko": "ssh", "paramiko_ssh": "ssh", "psrp": "winrm"}
_ARGUMENTS = frozenset({"ansible_ssh_common_args", "ansible_ssh_extra_args"})
_JUMP = re.compile(r"""(?:-J\s*|-o\s*["']?ProxyJump\s*[= ]\s*)([A-Za-z0-9._:][A-Za-z0-9._:-]*)["']?""")
_SECRET = re.compile(r"ansible_.*(pass|password|passphrase)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEEPEST = 50  # groups within groups
_LONGEST_PATTERN = 1000
_RANGE = re.compile(r"\[([0-9]+|[a-z]|[A-Z]):([0-9]+|[a-z]|[A-Z])(?::([0-9]+))?\]")

# A variable's text and where it stands; None for what is no text.
Said = tuple[str | None, str]


@dataclass(slots=True)
class HostFound:
    place: str
    said: dict[str, Said] = field(default_factory=dict)


@dataclass(slots=True)
class GroupFound:
    """`hosts` and `children` in the order of the file."""

    place: str
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, str] = field(default_factory=dict)  # name -> where it is named
    said: dict[str, Said] = field(default_factory=dict)
    is_defined: bool = True  # False: only named as a child so far


class Inventory:
    """What the two readers fill; `finish` makes a Reading of it."""

    def __init__(self) -> None:
        self.reading = Reading()
        self._hosts: dict[str, HostFound] = {}
        self._groups: dict[str, GroupFound] = {}

    def group(self, name: str, place: str) -> GroupFound:
        """The group of that name, from now on defined."""
        found = self._groups.setdefault(name, GroupFound(place))
        found.is_defined = True
        return found

    def add_child(self, parent: GroupFound, name: str, place: str) -> None:
        parent.children.setdefault(name, place)
        self._groups.setdefault(name, GroupFound(place, is_defined=False))

    def add_hosts(self, group: GroupFound | None, pattern: str, said: dict[str, Said], place: str) -> None:
        """Hosts by a name, or by a pattern such as `web[01:20].example.com`."""
        names = _expanded(pattern)
        if names is None or len(self._hosts) + len(names) > MOST_HOSTS:
            self.reading.fault(place, f"{pattern[:80]!r} stands for too many hosts", expected=f"at most {MOST_HOSTS}")
            return
        for name in names:
            self._hosts.setdefault(name, HostFound(place)).said.update(said)
            if group is not None:
                group.hosts[name] = None

    def finish(self) -> Reading:
        for name, group in self._groups.items():
            if not group.is_defined:
                self.reading.fault(group.place, f"group {name} is named as a child and defined nowhere")
        if not self._can_be_ordered():
            return self.reading
        ancestors = self._ancestors()
        for name, host in self._hosts.items():
            self._finish_host(name, host, ancestors.get(name, ()))
        for name, group in self._groups.items():
            if name not in ("all", "ungrouped"):
                self._finish_group(name, group)
        return self.reading

    def _can_be_ordered(self) -> bool:
        """Whether no group is among its own children, by way of others too. Not recursive: a file may nest deep."""
        done: set[str] = set()
        for start in self._groups:
            stack: list[tuple[str, Iterator[str]]] = [(start, iter(self._groups[start].children))]
            while stack:
                way = [name for name, _ in stack]
                child = next((each for each in stack[-1][1] if each not in done), None)
                if child is None:
                    done.add(stack.pop()[0])
                elif child in way:
                    circle = " → ".join([*way[way.index(child) :], child])
                    self.reading.fault(self._groups[child].place, f"group {child} contains itself: {circle}")
                    return False
                elif len(stack) >= _DEEPEST:
                    place, expected = self._groups[child].place, f"at most {_DEEPEST} levels"
                    self.reading.fault(place, "groups are nested too deep", expected=expected)
                    return False
                else:
                    stack.append((child, iter(self._groups[child].children)))
        return True

    def _ancestors(self) -> dict[str, Sequence[str]]:
        """The groups of each host, those whose variables count less first: by depth below `all`, then by name."""
        parents: dict[str, list[str]] = {}
        for name, group in self._groups.items():
            for child in group.children:
                parents.setdefault(child, []).append(name)

        @cache
        def above(name: str) -> frozenset[str]:
            return frozenset({name}).union(*(above(parent) for parent in parents.get(name, ())))

        @cache
        def depth(name: str) -> int:
            return 0 if name == "all" else 1 + max((depth(parent) for parent in parents.get(name, ())), default=0)

        found: dict[str, set[str]] = {name: {"all"} & self._groups.keys() for name in self._hosts}
        for name, group in self._groups.items():
            for host in group.hosts:
                found[host] |= above(name)
        return {host: sorted(groups, key=lambda name: (depth(name), name)) for host, groups in found.items()}

    def _finish_host(self, name: str, host: HostFound, groups: Sequence[str]) -> None:
        said: dict[str, Said] = {}
        for group in groups:
            said |= self._groups[group].said
        said |= host.said
        fields: dict[str, Json] = {"name": name}
        variables: dict[str, Json] = {}
        for key, (text, place) in said.items():
            self._take(key, text, place, fields, variables)
        if fields.get("connector") == "local":  # Ansible keeps addresses there that lead nowhere
            for key in ("address", "port", "user", "key_file", "jump"):
                if fields.pop(key, None) is not None:
                    self.reading.leave_out(f"{key} of a host with ansible_connection=local", host.place)
        if variables:
            fields["vars"] = variables
        self.reading.hosts.append(Entry(host.place, fields))

    def _take(
        self, key: str, text: str | None, place: str, fields: dict[str, Json], variables: dict[str, Json]
    ) -> None:
        reading = self.reading
        if _SECRET.fullmatch(key):
            reading.leave_out(f"{key}: put it into a file and name that (--password-file, --sudo-password-file)", place)
        elif text is None:
            reading.leave_out(f"{key}, which is no text", place)
        elif "{{" in text or "{%" in text:
            reading.leave_out(f"{key}, which is a template of Ansible's", place)
        elif key in _FIELD_OF:
            text = _CONNECTOR_OF.get(text, text) if key == "ansible_connection" else text
            put(fields, _FIELD_OF[key], text, place, reading)
        elif key in _ARGUMENTS and (jump := _JUMP.fullmatch(text.strip())) and jump[1] in self._hosts:
            fields["jump"] = jump[1]
        elif key.startswith("ansible_"):
            reading.leave_out(key, place)
        elif _VARIABLE.fullmatch(key):
            variables[key] = text
        else:
            reading.fault(place, f"{key[:80]!r} is not a variable name", expected="letters, digits and _")

    def _finish_group(self, name: str, group: GroupFound) -> None:
        if not group.children:
            self.reading.groups.append(Entry(group.place, {"name": name, "hosts": [*group.hosts]}))
            return
        terms = [f"group:{child}" for child in group.children] + [f"host:{host}" for host in group.hosts]
        self.reading.groups.append(Entry(group.place, {"name": name, "selector": ",".join(terms)}))


def _expanded(pattern: str) -> list[str] | None:
    """The names that a pattern stands for; None where they are too many."""
    found = _RANGE.search(pattern) if len(pattern) <= _LONGEST_PATTERN else None
    if found is None:
        return [pattern]
    ends = _steps(found[1], found[2], int(found[3] or 1))
    rest = _expanded(pattern[found.end() :]) if ends is not None and len(ends) <= MOST_HOSTS else None
    if ends is None or rest is None or len(ends) * len(rest) > MOST_HOSTS:
        return None
    head = pattern[: found.start()]
    return [f"{head}{end}{tail}" for end in ends for tail in rest]


def _steps(first: str, last: str, step: int) -> list[str] | None:
    """`01` to `20` keep their zeros; `a` to `f`. Both ends are meant."""
    if step == 0 or len(first) > 9 or len(last) > 9:
        return None
    if first.isdigit() != last.isdigit():
        return []
    if first.isdigit():
        if (int(last) - int(first)) // step >= MOST_HOSTS:
            return None
        return [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1, step)]
    return [chr(code) for code in range(ord(first), ord(last) + 1, step)]
