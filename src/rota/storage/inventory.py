"""Hosts and groups. A host's facts are versioned, so that a run keeps the host as it was when the run was made.

`host:local` is built in and never stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import delete, select, update

from rota.domain.errors import Conflict
from rota.domain.inventory import LOCAL, Group, Host
from rota.domain.job import canonical
from rota.domain.step import Json
from rota.ports import Member, Tx
from rota.storage import tables
from rota.storage.counters import bump
from rota.storage.insert import insert_row
from rota.storage.references import unknown


class HostRow(NamedTuple):
    id: int
    public_id: str
    version_id: int
    host: Host


@dataclass(frozen=True, slots=True)
class Inventory:
    """All hosts by name, and the groups that exist."""

    rows: tuple[HostRow, ...]
    groups: tuple[str, ...]

    @property
    def hosts(self) -> list[Host]:
        return [row.host for row in self.rows]

    @property
    def group_rows(self) -> list[Group]:
        return [Group(name=name) for name in self.groups]

    def members(self, names: Iterable[str]) -> tuple[Member, ...]:
        """The hosts of these names at the version they have now."""
        known = {row.host.name: row for row in self.rows}
        return tuple(
            Member(name, known[name].version_id, known[name].host.connector)
            if name in known
            else Member(name, None, "local")  # the built-in host has no row
            for name in names
        )


def load(tx: Tx) -> Inventory:
    """The whole inventory as it is now."""
    groups = {row.id: row.name for row in tx.execute(select(tables.host_group.c.id, tables.host_group.c.name))}
    member_of: dict[int, set[str]] = {}
    for row in tx.execute(select(tables.group_member.c.group_id, tables.group_member.c.host_id)):
        member_of.setdefault(row.host_id, set()).add(groups[row.group_id])
    host, version = tables.host.c, tables.host_version.c
    found = tx.execute(
        select(host.id, host.public_id, host.version_id, host.name, host.disabled, version.spec)
        .join(tables.host_version, version.id == host.version_id)
        .where(host.deleted_at.is_(None))
        .order_by(host.name)
    )
    rows = [
        HostRow(
            row.id,
            row.public_id,
            row.version_id,
            Host(
                name=row.name,
                groups=frozenset(member_of.get(row.id, ())),
                disabled=row.disabled,
                **json.loads(row.spec),
            ),
        )
        for row in found
    ]
    return Inventory(tuple(rows), tuple(sorted(groups.values())))


def find_host(tx: Tx, name: str) -> HostRow | None:
    return next((row for row in load(tx).rows if row.host.name == name), None)


def get_host(tx: Tx, name: str) -> HostRow:
    """Raises NotFound with a near name."""
    inventory = load(tx)
    for row in inventory.rows:
        if row.host.name == name:
            return row
    raise unknown("host", name, [LOCAL, *(host.name for host in inventory.hosts)], see="rota hosts list")


def insert_host(tx: Tx, host: Host) -> HostRow:
    """Raises Conflict if the name is taken, NotFound for a group that does not exist."""
    if find_host(tx, host.name) is not None:
        raise Conflict(f'there is a host "{host.name}" already', hint=f"change it: rota hosts update {host.name}")
    host_id, (public_id,) = tx.take_ids("host"), tx.new_public_ids(1)
    version_id = _insert_version(tx, host_id, host)
    insert_row(tx, tables.host, (host_id, public_id, host.name, version_id, host.disabled, None))
    _set_groups(tx, host_id, host)
    bump(tx, "inventory_version")
    return HostRow(host_id, public_id, version_id, host)


def change_host(tx: Tx, row: HostRow, host: Host) -> HostRow:
    """Save the host's next version; its name stays. Raises NotFound for a group that does not exist."""
    version_id = row.version_id if _facts(row.host) == _facts(host) else _insert_version(tx, row.id, host)
    tx.execute(
        update(tables.host).where(tables.host.c.id == row.id).values(version_id=version_id, disabled=host.disabled)
    )
    _set_groups(tx, row.id, host)
    bump(tx, "inventory_version")
    return HostRow(row.id, row.public_id, version_id, host)


def delete_host(tx: Tx, row: HostRow) -> None:
    """The name is free; versions stay for the runs that froze them."""
    tx.execute(delete(tables.group_member).where(tables.group_member.c.host_id == row.id))
    tx.execute(update(tables.host).where(tables.host.c.id == row.id).values(deleted_at=tx.at))
    bump(tx, "inventory_version")


def insert_group(tx: Tx, name: str) -> None:
    """Raises Conflict if the name is taken."""
    if name in load(tx).groups:
        raise Conflict(f'there is a group "{name}" already', hint="see: rota groups list")
    insert_row(tx, tables.host_group, (tx.take_ids("host_group"), name))
    bump(tx, "inventory_version")


def delete_group(tx: Tx, name: str) -> None:
    """Raises NotFound with a near name. Its hosts stay."""
    group_id = _group_id(tx, name)
    tx.execute(delete(tables.group_member).where(tables.group_member.c.group_id == group_id))
    tx.execute(delete(tables.host_group).where(tables.host_group.c.id == group_id))
    bump(tx, "inventory_version")


def _group_id(tx: Tx, name: str) -> int:
    group_id = tx.execute(select(tables.host_group.c.id).where(tables.host_group.c.name == name)).scalar()
    if group_id is None:
        raise unknown("group", name, load(tx).groups, see="rota groups list")
    return int(group_id)


def _insert_version(tx: Tx, host_id: int, host: Host) -> int:
    version_id = tx.take_ids("host_version")
    insert_row(tx, tables.host_version, (version_id, host_id, _facts(host), tx.at))
    return version_id


def _facts(host: Host) -> str:
    """What is versioned: the keyword arguments of `Host` but its name, groups and whether it is disabled."""
    facts: dict[str, Json] = {
        "connector": host.connector,
        "address": host.address,
        "os": host.os,
        "site": host.site,
        "tags": dict(host.tags),
        "vars": dict(host.vars),
    }
    return canonical(facts)


def _set_groups(tx: Tx, host_id: int, host: Host) -> None:
    tx.execute(delete(tables.group_member).where(tables.group_member.c.host_id == host_id))
    for name in sorted(host.groups):
        insert_row(tx, tables.group_member, (_group_id(tx, name), host_id))
