"""Whether what a selector names exists, and whether a group leads back to itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from rota.domain.errors import FieldError, InvalidInput, NotFound, near
from rota.domain.inventory import LOCAL, NAMES_CONSIDERED, Group
from rota.domain.selector.parsing import parse
from rota.domain.selector.parts import Selector, names

MAX_FAULTS = 50  # told at once; ten thousand would help nobody


def require_known(selector: Selector, hosts: Iterable[str], groups: Iterable[str], *, field: str = "target") -> None:
    """Raise NotFound naming each host and group that is named and does not exist. `host:local` always does."""
    named = names(selector)
    known_hosts, known_groups = {*hosts, LOCAL}, set(groups)
    missing = [("host", name, known_hosts) for name in sorted(named.hosts - known_hosts)]
    missing += [("group", name, known_groups) for name in sorted(named.groups - known_groups)]
    faults = [_missing(kind, name, known, field) for kind, name, known in missing[:MAX_FAULTS]]
    if len(missing) > MAX_FAULTS:
        faults.append(FieldError(field=field, message=f"and {len(missing) - MAX_FAULTS} more do not exist"))
    if faults:
        raise NotFound("; ".join(map(str, faults)), errors=faults, hint="see: rota hosts list, rota groups list")


def group_circle(name: str, groups: Mapping[str, Group]) -> tuple[str, ...]:
    """The names on the way from a dynamic group by way of others to itself, `("a", "b", "a")`; empty where none is.

    Circles that it only leads to are not its own.
    """
    ways: list[tuple[str, ...]] = [(name,)]
    seen = {name}
    while ways:
        way = ways.pop()
        for inner in sorted(_groups_in(groups.get(way[-1]))):
            if inner == name:
                return (*way, name)
            if inner not in seen:
                seen.add(inner)
                ways.append((*way, inner))
    return ()


def _missing(kind: str, name: str, known: Iterable[str], field: str) -> FieldError:
    message = f"{kind} {name} does not exist"
    return FieldError(
        field=field, message=message, got=f"{kind}:{name}", hint=near(name, islice(known, NAMES_CONSIDERED))
    )


def _groups_in(group: Group | None) -> frozenset[str]:
    """The groups that a dynamic group names; none for a static one, or for a selector that is refused anyway."""
    if group is None or group.selector is None:
        return frozenset()
    try:
        return names(parse(group.selector)).groups
    except InvalidInput:
        return frozenset()
