"""The inventory as somebody wants it: judged whole, every fault at once, and saved whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from rota.domain.errors import FieldError, InvalidInput, NotFound, near
from rota.domain.instant import Micros
from rota.domain.inventory import LOCAL, Group, Host, host_faults, name_faults, way_fault
from rota.domain.selector import group_circle, parse, require_known
from rota.ports import Tx
from rota.storage import inventory
from rota.storage.inventory import HostRow, Inventory
from rota.usecases.checks import Findings

MOST_FAULTS = 100  # told at once
_MOST_DESCRIPTION = 10_000


@dataclass(slots=True)
class Wanted:
    """The whole inventory as it would be, and what of it was spoken of.

    `hosts` and `groups` hold everything; `…_told_at` says of each that was put by what path a fault of it is told
    (`hosts[3]`; empty where the request is about it alone).
    """

    hosts: dict[str, Host]
    groups: dict[str, Group]
    before: Inventory
    hosts_told_at: dict[str, str] = field(default_factory=dict)
    groups_told_at: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_now(cls, known: Inventory) -> Wanted:
        return cls({host.name: host for host in known.hosts}, dict(known.group_by_name), known)

    def put_host(self, host: Host, told_at: str = "") -> None:
        self.hosts[host.name] = host
        self.hosts_told_at[host.name] = told_at

    def put_group(self, group: Group, told_at: str = "") -> None:
        self.groups[group.name] = group
        self.groups_told_at[group.name] = told_at

    @property
    def new_hosts(self) -> list[Host]:
        return [self.hosts[name] for name in self.hosts_told_at if name not in self.before.by_name]

    @property
    def changed_hosts(self) -> list[tuple[HostRow, Host]]:
        """Those that were there and differ from what they were, with that."""
        known = ((self.before.by_name.get(name), self.hosts[name]) for name in self.hosts_told_at)
        return [(row, host) for row, host in known if row is not None and row.host != host]

    @property
    def new_groups(self) -> list[Group]:
        return [self.groups[name] for name in self.groups_told_at if name not in self.before.group_by_name]

    @property
    def changed_groups(self) -> list[Group]:
        known = ((self.before.group_by_name.get(name), self.groups[name]) for name in self.groups_told_at)
        return [group for old, group in known if old is not None and old != group]

    def save(self, tx: Tx) -> dict[str, HostRow]:
        """Write what is new and what differs, and no more. Returns the rows of those hosts by name."""
        if new_groups := self.new_groups:
            inventory.insert_groups(tx, new_groups)
        if changed_groups := self.changed_groups:
            inventory.change_groups(tx, changed_groups)
        rows: list[HostRow] = []
        if new_hosts := self.new_hosts:
            rows += inventory.insert_hosts(tx, new_hosts)
        if changed_hosts := self.changed_hosts:
            rows += inventory.change_hosts(tx, changed_hosts)
        return {row.host.name: row for row in rows}

    def as_if_saved(self, *, at: Micros) -> dict[str, HostRow]:
        """What `save` would return: for a dry run."""
        rows = [inventory.unsaved_host(host, at=at) for host in self.new_hosts]
        rows += [inventory.as_if(row, host, at=at) for row, host in self.changed_hosts]
        return {row.host.name: row for row in rows}

    def examine(self, faults: Iterable[FieldError] = ()) -> Findings:
        """Look at all that changes, also where `faults` were found before; nothing is raised here.

        Of very many faults the first are told: the rest would help nobody, and cost those who wait for the store.
        """
        found = Findings(list(faults))
        for name, path in self.groups_told_at.items():
            self._look_at_group(self.groups[name], path, found)
        for name, path in self.hosts_told_at.items():
            self._look_at_host(self.hosts[name], path, found)
            if len(found.faults) + len(found.missing) >= MOST_FAULTS:
                message = f"these are the first {MOST_FAULTS} faults; there may be more"
                found.faults.append(FieldError(field="", message=message))
                return found
        if not any(fault.field.endswith("jump") for fault in found.faults):  # else what others say only follows
            found.faults += self._ways_of_others()
        return found

    def _look_at_host(self, host: Host, path: str, found: Findings) -> None:
        faults = host_faults(host)
        if host.name == LOCAL:
            faults.append(FieldError(field="name", message=f'"{LOCAL}" is built in', expected="another name"))
        if not any(fault.field in {"jump", "connector"} for fault in faults) and (way := way_fault(host, self.hosts)):
            faults.append(way)
        for name in sorted(host.groups):
            group = self.groups.get(name)
            if group is None and not name_faults(name):
                message, meant = f"there is no group {name}", near(name, self.groups)
                hint = meant or f"make it: rota groups add {name}"
                found.missing.append(at(path, FieldError(field="groups", message=message, got=name, hint=hint)))
            elif group is not None and group.selector is not None:
                message = f"group {name} is dynamic: in it is what {group.selector} picks"
                faults.append(FieldError(field="groups", message=message, expected="static groups", got=name))
        found.faults += [at(path, fault) for fault in faults]

    def _look_at_group(self, group: Group, path: str, found: Findings) -> None:
        faults = name_faults(group.name, what="group")
        if len(group.description) > _MOST_DESCRIPTION:
            expected = f"at most {_MOST_DESCRIPTION} characters"
            faults.append(FieldError(field="description", message="is too long", expected=expected))
        if group.selector is not None:
            try:
                require_known(parse(group.selector, field="selector"), self.hosts, self.groups, field="selector")
                if circle := group_circle(group.name, self.groups):
                    message = f"group {group.name} would contain itself: {' → '.join(circle)}"
                    faults.append(FieldError(field="selector", message=message, expected="no circle of groups"))
            except InvalidInput as error:
                faults += error.as_faults("selector")
            except NotFound as error:
                found.missing += [at(path, fault) for fault in error.errors]
        found.faults += [at(path, fault) for fault in faults]

    def _ways_of_others(self) -> Iterable[FieldError]:
        """Hosts that nobody spoke of, and that could not be reached any more over one that changes."""
        before = self.before.by_name
        turned = [
            host
            for host in (self.hosts[name] for name in self.hosts_told_at)
            if host.name in before and (host.jump, host.connector) != _way(before[host.name].host)
        ]
        if not turned:
            return
        path = self.hosts_told_at[turned[0].name]
        for host in self.hosts.values():
            if host.jump is not None and host.name not in self.hosts_told_at and (fault := way_fault(host, self.hosts)):
                message = f"host {host.name} could not be reached any more: {fault.message}"
                yield at(path, replace(fault, message=message))


def at(path: str, fault: FieldError) -> FieldError:
    """The fault of a field of what `path` leads to."""
    return replace(fault, field=f"{path}.{fault.field}") if path else fault


def _way(host: Host) -> tuple[str | None, str]:
    return host.jump, host.connector
