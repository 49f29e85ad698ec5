"""Who could not do without a host or a group: what names it, or is reached over it. Asked before it is removed."""

from __future__ import annotations

from collections.abc import Callable

from rota.domain.calendars import Scope
from rota.domain.errors import Conflict
from rota.domain.selector import Names, names, parse
from rota.ports import Tx
from rota.storage import jobs, windows
from rota.storage.inventory import Inventory


def refuse_used_host(tx: Tx, known: Inventory, name: str) -> None:
    """Raise Conflict naming who could not do without this host: hosts behind it, groups and jobs that name it."""
    behind = [host.name for host in known.hosts if host.jump == name]
    if behind:
        raise Conflict(
            f"the way to {_some(behind)} leads over host {name}",
            hint=f"give them another: rota hosts update {behind[0]} --jump HOST",
        )
    _refuse_named(tx, known, f"host:{name}", lambda named: name in named.hosts)


def refuse_used_group(tx: Tx, known: Inventory, name: str) -> None:
    """Raise Conflict naming the groups and jobs whose selector names this group, and the calendars that concern it."""
    _refuse_named(tx, known, f"group:{name}", lambda named: name in named.groups)
    calendars = [
        row.spec.name
        for row in windows.list_calendars(tx)
        if any(one.scope is Scope.GROUP and one.key == name for one in row.spec.applies_to)
    ]
    if calendars:  # without the group it would concern nobody, and what it holds back would start
        raise Conflict(
            f"calendar {_some(calendars)} concerns group:{name}",
            hint=f"say whom else it concerns: rota calendars update {calendars[0]} --apply WHOM",
        )


def _refuse_named(tx: Tx, known: Inventory, text: str, uses: Callable[[Names], bool]) -> None:
    groups = [
        group.name for group in known.group_rows if group.selector is not None and uses(names(parse(group.selector)))
    ]
    if groups:
        raise Conflict(
            f"{text} is named by the selector of group {_some(groups)}",
            hint=f"give it another: rota groups update {groups[0]} --match SELECTOR",
        )
    users = [
        job for job, spec in jobs.users_of(tx, text) if spec.target is not None and uses(names(parse(spec.target)))
    ]
    if users:
        raise Conflict(
            f"{text} is the target of {_some(users)}",
            hint=f"give them another: rota schedule update {users[0]} --target SELECTOR",
        )


def _some(users: list[str]) -> str:
    return ", ".join(users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
