"""Hosts: list, show, match, add, change, remove. Each save of other facts makes the host's next version."""

from __future__ import annotations

from collections.abc import Callable

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import Conflict
from rota.domain.ids import Kind, in_order, public
from rota.domain.inventory import ELSEWHERE, LOCAL, Host
from rota.domain.selector import parse, require_known
from rota.ports import Tx
from rota.storage import audit, inventory
from rota.storage.inventory import HostRow
from rota.usecases import resources, shapes
from rota.usecases.context import Context
from rota.usecases.host_drafts import HostDraft
from rota.usecases.inventory_changes import Wanted
from rota.usecases.inventory_uses import refuse_used_host
from rota.usecases.secret_files import warnings_about


async def list_all(ctx: Context, principal: Principal) -> shapes.Hosts:
    """All hosts by name, the built-in one among them."""
    authorize(principal, Verb.READ, "hosts")
    rows = (await ctx.store.read(inventory.load)).rows
    hosts = {row.host.name: resources.host(row) for row in rows} | {LOCAL: resources.local_host(alone=not rows)}
    return {"items": [hosts[name] for name in in_order(hosts)], "next": None}


async def show(ctx: Context, principal: Principal, name: str) -> shapes.Host:
    """Raises NotFound with a near name."""
    authorize(principal, Verb.READ, f"host {name}")
    known = await ctx.store.read(inventory.load)
    return resources.local_host(alone=not known.rows) if name == LOCAL else resources.host(known.get(name))


async def match(ctx: Context, principal: Principal, selector: str) -> shapes.Names:
    """The names that a selector picks now. Raises InvalidInput, and NotFound for what it names and is not there."""
    authorize(principal, Verb.READ, "hosts")
    parsed = parse(selector, field="selector")
    known = await ctx.store.read(inventory.load)
    require_known(parsed, known.by_name, known.groups, field="selector")
    return {"items": list(known.pick(parsed))}


async def add(ctx: Context, principal: Principal, draft: HostDraft, *, dry_run: bool = False) -> shapes.Host:
    """Save a new host. With `dry_run` answer what would be, and change nothing.

    Raises InvalidInput with every fault, NotFound for groups that do not exist, Conflict for a taken name.
    """
    authorize(principal, Verb.WRITE, f"host {draft.name}")

    def judged(tx: Tx) -> Wanted:
        wanted = Wanted.from_now(inventory.load(tx))
        is_taken = draft.name in wanted.hosts
        wanted.put_host(draft.applied_to(Host(name=draft.name, connector=ELSEWHERE)))
        wanted.examine(draft.faults).raise_any()
        if is_taken:
            raise Conflict(f'there is a host "{draft.name}" already', hint=f"change it: rota hosts update {draft.name}")
        return wanted

    return await _save(ctx, principal, "add", draft.name, judged, dry_run=dry_run)


async def change(
    ctx: Context, principal: Principal, name: str, draft: HostDraft, *, dry_run: bool = False
) -> shapes.Host:
    """Save what differs. Runs that have been made keep the version they froze. Raises as `add` does."""
    authorize(principal, Verb.WRITE, f"host {name}")
    _refuse_built_in(name)

    def judged(tx: Tx) -> Wanted:
        known = inventory.load(tx)
        wanted = Wanted.from_now(known)
        wanted.put_host(draft.applied_to(known.get(name).host))
        wanted.examine(draft.faults).raise_any()
        return wanted

    return await _save(ctx, principal, "update", name, judged, dry_run=dry_run)


async def remove(ctx: Context, principal: Principal, name: str, *, dry_run: bool = False) -> shapes.Removed:
    """Its versions stay. Raises Conflict naming what could not do without it: hosts behind it, groups, jobs."""
    authorize(principal, Verb.WRITE, f"host {name}")
    _refuse_built_in(name)

    def judged(tx: Tx) -> HostRow:
        known = inventory.load(tx)
        row = known.get(name)
        refuse_used_host(tx, known, name)
        return row

    def delete(tx: Tx) -> None:
        row = judged(tx)
        inventory.delete_host(tx, row)
        audit.record(tx, principal.name, "remove", subject(row), {"name": name, "version": row.version})

    if dry_run:
        await ctx.store.read(judged)
    else:
        await ctx.store.write(delete)
        ctx.launcher.jobs_changed()
    return {"deleted": name}


def subject(row: HostRow) -> str:
    """How the audit names a host."""
    return f"host {public(Kind.HOST, row.public_id)}"


async def _save(
    ctx: Context, principal: Principal, verb: str, name: str, judged: Callable[[Tx], Wanted], *, dry_run: bool
) -> shapes.Host:
    """Save one host as `judged` wants it, unless it is like that already; answer with it and with warnings."""

    def would_be(tx: Tx) -> HostRow:
        wanted = judged(tx)
        return wanted.as_if_saved(at=tx.at).get(name) or wanted.before.get(name)

    def save(tx: Tx) -> HostRow:
        wanted = judged(tx)
        row = wanted.save(tx).get(name)
        if row is None:
            return wanted.before.get(name)
        audit.record(tx, principal.name, verb, subject(row), {"name": name, "version": row.version})
        return row

    if dry_run:
        row = await ctx.store.read(would_be)
    else:
        row = await ctx.store.write(save)
        ctx.launcher.jobs_changed()
    return {**resources.host(row), "warnings": await warnings_about([row.host], home=ctx.info.home)}


def _refuse_built_in(name: str) -> None:
    if name == LOCAL:
        raise Conflict(f'host "{LOCAL}" is built in and stays as it is', hint="add a host with a name of its own")
