"""Hosts and groups. A host's facts are versioned, so that a run keeps the host as it was when the run was made.

`host:local` is built in and never stored. The inventory is read whole, as selectors ask of all of it, and kept by
the mark that each change gives it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rota.domain.errors import Conflict
from rota.domain.instant import Micros
from rota.domain.inventory import FACTS, LOCAL, Group, Host
from rota.domain.job import canonical
from rota.domain.selector import Picker, Selector
from rota.domain.step import Json
from rota.ports import Member, Tx
from rota.storage.counters import bump
from rota.storage.references import unknown

_HOSTS = """
SELECT host.id, host.public_id, host.version_id, host.name, host.disabled, host_version.spec,
       host_version.created_at, host_version.number
FROM host
JOIN host_version ON host_version.id = host.version_id
WHERE host.deleted_at IS NULL
ORDER BY host.name
"""
_GROUPS = "SELECT id, name, description, selector FROM host_group ORDER BY name"
_MEMBERS = "SELECT group_id, host_id FROM group_member"
_MARK = "inventory_mark"
_BUILT_IN = Host(name=LOCAL)


class HostRow(NamedTuple):
    """`version` counts from 1; it was saved at `changed_at`."""

    id: int
    public_id: str
    version_id: int
    version: int
    changed_at: Micros
    host: Host


@dataclass(frozen=True)
class Inventory:
    """All hosts by name, and the groups that exist. Never changes: it may be shared."""

    rows: tuple[HostRow, ...]
    group_rows: tuple[Group, ...]

    @cached_property
    def hosts(self) -> tuple[Host, ...]:
        return tuple(row.host for row in self.rows)

    @cached_property
    def by_name(self) -> Mapping[str, HostRow]:
        return {row.host.name: row for row in self.rows}

    @cached_property
    def groups(self) -> tuple[str, ...]:
        return tuple(group.name for group in self.group_rows)

    @cached_property
    def group_by_name(self) -> Mapping[str, Group]:
        return {group.name: group for group in self.group_rows}

    @cached_property
    def _picker(self) -> Picker:
        return Picker(self.hosts, self.group_rows)

    def pick(self, selector: Selector, *, include_disabled: bool = False) -> tuple[str, ...]:
        """See `domain.selector.Picker.pick`."""
        return self._picker.pick(selector, include_disabled=include_disabled)

    def members(self, names: Iterable[str]) -> tuple[Member, ...]:
        """The hosts of these names at the version they have now."""
        return tuple(_member(name, self.by_name.get(name)) for name in names)

    def get(self, name: str) -> HostRow:
        """Raises NotFound with a near name."""
        row = self.by_name.get(name)
        if row is None:
            raise unknown("host", name, [LOCAL, *self.by_name], see="rota hosts list")
        return row

    def get_group(self, name: str) -> Group:
        """Raises NotFound with a near name."""
        group = self.group_by_name.get(name)
        if group is None:
            raise unknown("group", name, self.groups, see="rota groups list")
        return group


def load(tx: Tx) -> Inventory:
    """The whole inventory as it is now."""
    row = tx.driver.execute("SELECT value FROM instance WHERE key = ?", (_MARK,)).fetchone()
    if row is None:  # nothing was ever changed by this release
        return _read(tx)
    return _kept.get(row[0]) or _kept.put(row[0], _read(tx))


def insert_host(tx: Tx, host: Host) -> HostRow:
    """Save a new host; see `insert_hosts`."""
    (row,) = insert_hosts(tx, [host])
    return row


def insert_hosts(tx: Tx, hosts: Sequence[Host]) -> list[HostRow]:
    """Save new hosts, all or none. Raises Conflict if a name is taken, NotFound for a group that does not exist."""
    known = load(tx)
    for host in hosts:
        if host.name in known.by_name:
            raise Conflict(f'there is a host "{host.name}" already', hint=f"change it: rota hosts update {host.name}")
    host_id, version_id = tx.take_ids("host", len(hosts)), tx.take_ids("host_version", len(hosts))
    rows = [
        HostRow(host_id + place, public_id, version_id + place, 1, tx.at, host)
        for place, (public_id, host) in enumerate(zip(tx.new_public_ids(len(hosts)), hosts, strict=True))
    ]
    tx.driver.executemany(
        "INSERT INTO host (id, public_id, name, version_id, disabled) VALUES (?, ?, ?, ?, ?)",
        [(row.id, row.public_id, row.host.name, row.version_id, row.host.disabled) for row in rows],
    )
    _insert_versions(tx, rows)
    _insert_members(tx, rows)
    _mark(tx)
    return rows


def change_hosts(tx: Tx, changes: Sequence[tuple[HostRow, Host]]) -> list[HostRow]:
    """Save each host as it is to be; its name stays. Where facts differ that is its next version.

    Raises NotFound for a group that does not exist.
    """
    renewed = [(row, host) for row, host in changes if _facts(row.host) != _facts(host)]
    version_id = tx.take_ids("host_version", len(renewed)) if renewed else 0
    versions = {
        row.id: row._replace(version_id=version_id + place, version=row.version + 1, changed_at=tx.at, host=host)
        for place, (row, host) in enumerate(renewed)
    }
    rows = [versions.get(row.id, row)._replace(host=host) for row, host in changes]
    _insert_versions(tx, versions.values())
    tx.driver.executemany(
        "UPDATE host SET version_id = ?, disabled = ? WHERE id = ?",
        [(row.version_id, row.host.disabled, row.id) for row in rows],
    )
    tx.driver.executemany("DELETE FROM group_member WHERE host_id = ?", [(row.id,) for row in rows])
    _insert_members(tx, rows)
    _mark(tx)
    return rows


def unsaved_host(host: Host, *, at: Micros) -> HostRow:
    """What `insert_hosts` would give, with an id of zeros: for a dry run."""
    return HostRow(0, "0" * 16, 0, 1, at, host)


def as_if(row: HostRow, host: Host, *, at: Micros) -> HostRow:
    """What `change_hosts` would give: for a dry run."""
    if _facts(row.host) == _facts(host):
        return row._replace(host=host)
    return row._replace(version=row.version + 1, changed_at=at, host=host)


def delete_host(tx: Tx, row: HostRow) -> None:
    """The name is free; versions stay for the runs that froze them."""
    tx.driver.execute("DELETE FROM group_member WHERE host_id = ?", (row.id,))
    tx.driver.execute("UPDATE host SET deleted_at = ? WHERE id = ?", (tx.at, row.id))
    _mark(tx)


def insert_groups(tx: Tx, groups: Sequence[Group]) -> None:
    """Raises Conflict if a name is taken."""
    known = load(tx)
    for group in groups:
        if group.name in known.group_by_name:
            hint = f"change it: rota groups update {group.name}"
            raise Conflict(f'there is a group "{group.name}" already', hint=hint)
    first = tx.take_ids("host_group", len(groups))
    tx.driver.executemany(
        "INSERT INTO host_group (id, name, description, selector) VALUES (?, ?, ?, ?)",
        [(first + place, group.name, group.description, group.selector) for place, group in enumerate(groups)],
    )
    _mark(tx)


def change_groups(tx: Tx, groups: Iterable[Group]) -> None:
    """Save groups that exist as they are to be; their names stay."""
    tx.driver.executemany(
        "UPDATE host_group SET description = ?, selector = ? WHERE name = ?",
        [(group.description, group.selector, group.name) for group in groups],
    )
    _mark(tx)


def delete_group(tx: Tx, name: str) -> None:
    """Raises NotFound with a near name. Its hosts stay."""
    load(tx).get_group(name)
    tx.driver.execute("DELETE FROM group_member WHERE group_id = (SELECT id FROM host_group WHERE name = ?)", (name,))
    tx.driver.execute("DELETE FROM host_group WHERE name = ?", (name,))
    _mark(tx)


class _Kept:
    """The inventories read last, by their marks. Reader threads and the writer share them."""

    MOST = 2  # the newest, and the one before it while transactions that began earlier still look at it

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_mark: dict[str, Inventory] = {}

    def get(self, mark: str) -> Inventory | None:
        return self._by_mark.get(mark)

    def put(self, mark: str, inventory: Inventory) -> Inventory:
        with self._lock:
            while len(self._by_mark) >= self.MOST:
                del self._by_mark[next(iter(self._by_mark))]
            self._by_mark[mark] = inventory
        return inventory


_kept = _Kept()


def _mark(tx: Tx) -> None:
    """The inventory is another one now.

    The mark is random, not `inventory_version`: a number that was rolled back is given out again, for other hosts.
    """
    bump(tx, "inventory_version")
    (mark,) = tx.new_public_ids(1)
    tx.driver.execute(
        "INSERT INTO instance (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_MARK, mark),
    )


def _read(tx: Tx) -> Inventory:
    groups: dict[int, Group] = {}
    for group_id, name, description, selector in tx.driver.execute(_GROUPS):
        groups[group_id] = Group(name=name, description=description, selector=selector)
    member_of: dict[int, list[str]] = {}
    for group_id, host_id in tx.driver.execute(_MEMBERS):
        member_of.setdefault(host_id, []).append(groups[group_id].name)
    rows = [
        HostRow(
            host_id,
            public_id,
            version_id,
            version,
            changed_at,
            Host(
                name=name,
                groups=frozenset(member_of.get(host_id, ())),
                disabled=bool(disabled),
                **json.loads(spec),
            ),
        )
        for host_id, public_id, version_id, name, disabled, spec, changed_at, version in tx.driver.execute(_HOSTS)
    ]
    return Inventory(tuple(rows), tuple(groups.values()))


def _member(name: str, row: HostRow | None) -> Member:
    if row is None:  # the built-in host
        return Member(name, None, _BUILT_IN.connector)
    return Member(name, row.version_id, row.host.connector, row.host.site)


def _insert_versions(tx: Tx, rows: Iterable[HostRow]) -> None:
    tx.driver.executemany(
        "INSERT INTO host_version (id, host_id, spec, created_at, number) VALUES (?, ?, ?, ?, ?)",
        [(row.version_id, row.id, _facts(row.host), row.changed_at, row.version) for row in rows],
    )


def _insert_members(tx: Tx, rows: Sequence[HostRow]) -> None:
    if not any(row.host.groups for row in rows):
        return
    ids: dict[str, int] = {name: group_id for group_id, name, *_ in tx.driver.execute(_GROUPS)}
    if missing := sorted({name for row in rows for name in row.host.groups} - ids.keys()):
        raise unknown("group", missing[0], list(ids), see="rota groups list")
    tx.driver.executemany(
        "INSERT INTO group_member (group_id, host_id) VALUES (?, ?)",
        [(ids[name], row.id) for row in rows for name in sorted(row.host.groups)],
    )


def _facts(host: Host) -> str:
    """What is versioned: the keyword arguments of `Host` that say anything, but its name, groups and `disabled`."""
    facts: dict[str, Json] = {"connector": host.connector}
    for name in FACTS:
        value = getattr(host, name)
        if value != getattr(_BUILT_IN, name):
            facts[name] = dict(value) if isinstance(value, Mapping) else value
    return canonical(facts)
