"""Hosts and groups. This release reaches the machine it runs on; the fleet's connectors come with a later one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import Conflict, FieldError, InvalidInput
from rota.domain.ids import Kind, public
from rota.domain.inventory import LOCAL, Host, name_faults, tag_faults
from rota.domain.selector import Names, names, parse, require_known, resolve
from rota.ports import Tx
from rota.storage import audit, inventory, jobs
from rota.storage.inventory import HostRow
from rota.usecases import resources, shapes
from rota.usecases.context import Context

_LATER = frozenset({"ssh", "winrm", "netdev", "docker"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDraft:
    """None = not said: the default, or as it was."""

    connector: str | None = None
    tags: Mapping[str, str] | None = None
    groups: Collection[str] | None = None
    disabled: bool | None = None
    faults: Sequence[FieldError] = ()


async def list_all(ctx: Context, principal: Principal) -> shapes.Hosts:
    """All hosts by name, the built-in one among them."""
    authorize(principal, Verb.READ, "hosts")
    rows = (await ctx.store.read(inventory.load)).rows
    hosts = [*map(resources.host, rows), resources.local_host(alone=not rows)]
    return {"items": sorted(hosts, key=lambda host: host["name"]), "next": None}


async def show(ctx: Context, principal: Principal, name: str) -> shapes.Host:
    """Raises NotFound with a near name."""
    authorize(principal, Verb.READ, f"host {name}")
    if name == LOCAL:
        known = await ctx.store.read(inventory.load)
        return resources.local_host(alone=not known.rows)
    return resources.host(await ctx.store.read(lambda tx: inventory.get_host(tx, name)))


async def match(ctx: Context, principal: Principal, selector: str) -> shapes.Names:
    """The names that a selector picks now. Raises InvalidInput, and NotFound for what it names and is not there."""
    authorize(principal, Verb.READ, "hosts")
    parsed = parse(selector, field="selector")
    known = await ctx.store.read(inventory.load)
    require_known(parsed, (host.name for host in known.hosts), known.groups, field="selector")
    return {"items": list(resolve(parsed, known.hosts, known.group_rows))}


async def add(ctx: Context, principal: Principal, name: str, draft: HostDraft) -> shapes.Host:
    """Raises InvalidInput with every fault, NotFound for a group that does not exist, Conflict for a taken name."""
    authorize(principal, Verb.WRITE, f"host {name}")
    faults = [*name_faults(name), *_faults(draft)]
    if name == LOCAL:
        faults.append(FieldError(field="name", message=f'"{LOCAL}" is built in', expected="another name"))
    if faults:
        raise InvalidInput.of(faults)
    host = _with(Host(name=name), draft)
    return await _change(ctx, principal, "add", lambda tx: inventory.insert_host(tx, host))


async def change(ctx: Context, principal: Principal, name: str, draft: HostDraft) -> shapes.Host:
    """Save the host's next version. Runs that have been made keep the one they froze."""
    authorize(principal, Verb.WRITE, f"host {name}")
    _refuse_built_in(name)
    if faults := _faults(draft):
        raise InvalidInput.of(faults)

    def save(tx: Tx) -> HostRow:
        row = inventory.get_host(tx, name)
        return inventory.change_host(tx, row, _with(row.host, draft))

    return await _change(ctx, principal, "update", save)


async def remove(ctx: Context, principal: Principal, name: str) -> shapes.Removed:
    """Raises Conflict naming the jobs whose target names this host."""
    authorize(principal, Verb.WRITE, f"host {name}")
    _refuse_built_in(name)

    def delete(tx: Tx) -> HostRow:
        row = inventory.get_host(tx, name)
        _refuse_used(tx, f"host:{name}", lambda named: name in named.hosts)
        inventory.delete_host(tx, row)
        return row

    await _change(ctx, principal, "remove", delete)
    return {"deleted": name}


async def list_groups(ctx: Context, principal: Principal) -> shapes.Groups:
    """All groups by name, each with its hosts."""
    authorize(principal, Verb.READ, "groups")
    known = await ctx.store.read(inventory.load)
    return {"items": [_group(known, name) for name in known.groups], "next": None}


async def add_group(
    ctx: Context, principal: Principal, name: str, hosts: Collection[str], *, faults: Sequence[FieldError] = ()
) -> shapes.Group:
    """Make a group with these hosts. Raises InvalidInput, Conflict, and NotFound for hosts that do not exist."""
    authorize(principal, Verb.WRITE, f"group {name}")
    found = [*faults, *name_faults(name, what="group")]
    if LOCAL in hosts:
        found.append(FieldError(field="hosts", message=f'"{LOCAL}" is built in and in no group'))
    if found:
        raise InvalidInput.of(found)

    def save(tx: Tx) -> shapes.Group:
        inventory.insert_group(tx, name)
        for host in sorted(set(hosts)):
            row = inventory.get_host(tx, host)
            inventory.change_host(tx, row, replace(row.host, groups=row.host.groups | {name}))
        audit.record(tx, principal.name, "add", f"group {name}", {"hosts": sorted(set(hosts))})
        return _group(inventory.load(tx), name)

    group = await ctx.store.write(save)
    ctx.launcher.jobs_changed()
    return group


async def remove_group(ctx: Context, principal: Principal, name: str) -> shapes.Removed:
    """Its hosts stay. Raises Conflict naming the jobs whose target names this group."""
    authorize(principal, Verb.WRITE, f"group {name}")

    def delete(tx: Tx) -> None:
        _refuse_used(tx, f"group:{name}", lambda named: name in named.groups)
        inventory.delete_group(tx, name)
        audit.record(tx, principal.name, "remove", f"group {name}")

    await ctx.store.write(delete)
    ctx.launcher.jobs_changed()
    return {"deleted": name}


async def _change(ctx: Context, principal: Principal, verb: str, work: Callable[[Tx], HostRow]) -> shapes.Host:
    def save(tx: Tx) -> HostRow:
        row = work(tx)
        audit.record(tx, principal.name, verb, f"host {public(Kind.HOST, row.public_id)}", {"name": row.host.name})
        return row

    row = await ctx.store.write(save)
    ctx.launcher.jobs_changed()
    return resources.host(row)


def _with(host: Host, draft: HostDraft) -> Host:
    return replace(
        host,
        connector=host.connector if draft.connector is None else draft.connector,
        tags=host.tags if draft.tags is None else dict(draft.tags),
        groups=host.groups if draft.groups is None else frozenset(draft.groups),
        disabled=host.disabled if draft.disabled is None else draft.disabled,
    )


def _faults(draft: HostDraft) -> list[FieldError]:
    faults = [*draft.faults, *tag_faults(draft.tags or {})]
    if draft.connector in _LATER:
        message = f'"{draft.connector}" comes with the fleet release'
        faults.append(FieldError(field="connector", message=message, expected="local", got=draft.connector or ""))
    elif draft.connector not in {None, "local"}:
        message = f'there is no connector "{draft.connector}"'
        faults.append(FieldError(field="connector", message=message, expected="local", got=draft.connector or ""))
    return faults


def _refuse_built_in(name: str) -> None:
    if name == LOCAL:
        raise Conflict(f'host "{LOCAL}" is built in and stays as it is', hint="add a host with a name of its own")


def _refuse_used(tx: Tx, text: str, uses: Callable[[Names], bool]) -> None:
    users = [
        job for job, spec in jobs.users_of(tx, text) if spec.target is not None and uses(names(parse(spec.target)))
    ]
    if users:
        raise Conflict(
            f"{text} is the target of {', '.join(users)}",
            hint=f"give them another: rota schedule update {users[0]} --target SELECTOR",
        )


def _group(known: inventory.Inventory, name: str) -> shapes.Group:
    return {"name": name, "hosts": [host.name for host in known.hosts if name in host.groups]}
