"""Groups: static ones have the hosts that joined them, dynamic ones those that their selector picks at the time."""

from __future__ import annotations

from collections.abc import Callable

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import Conflict, FieldError, near
from rota.domain.inventory import LOCAL, Group
from rota.domain.selector import Picker, Term
from rota.ports import Tx
from rota.storage import audit, inventory
from rota.storage.inventory import Inventory
from rota.usecases import shapes
from rota.usecases.context import Context
from rota.usecases.host_drafts import GroupDraft
from rota.usecases.inventory_changes import MOST_FAULTS, Wanted
from rota.usecases.inventory_uses import refuse_used_group


async def list_all(ctx: Context, principal: Principal) -> shapes.Groups:
    """All groups by name, each with the hosts that are in it now, disabled ones too."""
    authorize(principal, Verb.READ, "groups")
    known = await ctx.store.read(inventory.load)
    return {"items": [resource(group, known) for group in known.group_rows], "next": None}


async def show(ctx: Context, principal: Principal, name: str) -> shapes.Group:
    """Raises NotFound with a near name."""
    authorize(principal, Verb.READ, f"group {name}")
    known = await ctx.store.read(inventory.load)
    return resource(known.get_group(name), known)


async def add(ctx: Context, principal: Principal, draft: GroupDraft, *, dry_run: bool = False) -> shapes.Group:
    """Make a group, static with the hosts that join it, or dynamic. With `dry_run` change nothing.

    Raises InvalidInput with every fault, NotFound for hosts that do not exist, Conflict for a taken name.
    """
    authorize(principal, Verb.WRITE, f"group {draft.name}")

    def judged(tx: Tx) -> Wanted:
        wanted = Wanted.from_now(inventory.load(tx))
        is_taken = draft.name in wanted.groups
        _examine(wanted, draft, draft.applied_to(Group(name=draft.name)))
        if is_taken:
            hint = f"change it: rota groups update {draft.name}"
            raise Conflict(f'there is a group "{draft.name}" already', hint=hint)
        return wanted

    return await _save(ctx, principal, "add", draft, judged, dry_run=dry_run)


async def change(
    ctx: Context, principal: Principal, name: str, draft: GroupDraft, *, dry_run: bool = False
) -> shapes.Group:
    """Change what is said of a group, or who is in it. A static group stays one, and a dynamic one too."""
    authorize(principal, Verb.WRITE, f"group {name}")

    def judged(tx: Tx) -> Wanted:
        known = inventory.load(tx)
        old = known.get_group(name)
        new = draft.applied_to(old)
        if (old.selector is None) != (new.selector is None):
            kind = "static" if old.selector is None else "dynamic"
            raise Conflict(
                f"group {name} is {kind} and stays so",
                hint=f"make another: rota groups add NAME --match SELECTOR; or see: rota groups show {name}",
            )
        wanted = Wanted.from_now(known)
        _examine(wanted, draft, new)
        return wanted

    return await _save(ctx, principal, "update", draft, judged, dry_run=dry_run)


async def remove(ctx: Context, principal: Principal, name: str, *, dry_run: bool = False) -> shapes.Removed:
    """Its hosts stay. Raises Conflict naming the groups, jobs and calendars that name this group."""
    authorize(principal, Verb.WRITE, f"group {name}")

    def judged(tx: Tx) -> None:
        known = inventory.load(tx)
        known.get_group(name)
        refuse_used_group(tx, known, name)

    def delete(tx: Tx) -> None:
        judged(tx)
        inventory.delete_group(tx, name)
        audit.record(tx, principal.name, "remove", f"group {name}")

    if dry_run:
        await ctx.store.read(judged)
    else:
        await ctx.store.write(delete)
        ctx.launcher.jobs_changed()
    return {"deleted": name}


async def _save(
    ctx: Context, principal: Principal, verb: str, draft: GroupDraft, judged: Callable[[Tx], Wanted], *, dry_run: bool
) -> shapes.Group:
    def would_be(tx: Tx) -> shapes.Group:
        wanted = judged(tx)
        return resource(wanted.groups[draft.name], Picker(wanted.hosts.values(), wanted.groups.values()))

    def save(tx: Tx) -> shapes.Group:
        wanted = judged(tx)
        wanted.save(tx)
        group = wanted.groups[draft.name]
        detail = {"selector": group.selector, "join": sorted(draft.join), "leave": sorted(draft.leave)}
        audit.record(tx, principal.name, verb, f"group {group.name}", detail)
        return resource(group, inventory.load(tx))

    if dry_run:
        return await ctx.store.read(would_be)
    group = await ctx.store.write(save)
    ctx.launcher.jobs_changed()
    return group


def resource(group: Group, known: Inventory | Picker) -> shapes.Group:
    """A group with the hosts that are in it, disabled ones too."""
    return {
        "name": group.name,
        "description": group.description,
        "selector": group.selector,
        "hosts": list(known.pick(Term("group", group.name), include_disabled=True)),
    }


def _examine(wanted: Wanted, draft: GroupDraft, group: Group) -> None:
    """Put the group and its new members where they are wanted. Raises what is wrong with that, all at once."""
    faults = list(draft.faults)
    wanted.put_group(group)
    if group.selector is not None and (draft.join or draft.leave):
        message = f"in a dynamic group is what its selector picks ({group.selector})"
        faults.append(FieldError(field="hosts", message=message, expected="hosts or a selector"))
    if both := sorted(draft.join & draft.leave):
        faults.append(FieldError(field="remove_hosts", message=f"{', '.join(both)} would join and leave"))
    if LOCAL in draft.join:
        faults.append(FieldError(field="hosts", message=f'"{LOCAL}" is built in and in no group'))
    if group.selector is None:
        for name in sorted((draft.join | draft.leave) & wanted.hosts.keys()):
            wanted.put_host(draft.members(wanted.hosts[name]))
    found = wanted.examine(faults)
    for name in sorted((draft.join | draft.leave) - wanted.hosts.keys() - {LOCAL})[:MOST_FAULTS]:
        message, meant = f"there is no host {name[:300]}", near(name, wanted.hosts)
        found.missing.append(FieldError(field="hosts", message=message, got=name[:300], hint=meant))
    found.raise_any()
