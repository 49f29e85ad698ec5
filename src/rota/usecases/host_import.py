"""Many hosts and groups at once, all or none: what is new is added, what is the same stays, what differs is changed
where that was asked for. What a file is and how it is read is the client's business (`rota.importing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import FieldError
from rota.domain.inventory import ELSEWHERE, LOCAL, Group, Host, name_faults
from rota.ports import Tx
from rota.storage import audit, inventory
from rota.usecases import shapes
from rota.usecases.context import Context
from rota.usecases.host_drafts import GroupDraft, HostDraft
from rota.usecases.inventory_changes import MOST_FAULTS, Wanted, at
from rota.usecases.secret_files import warnings_about

_NAMES_IN_AUDIT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """`update`: hosts and groups that exist and differ are changed; else that is a fault."""

    hosts: Sequence[HostDraft] = ()
    groups: Sequence[GroupDraft] = ()
    update: bool = False
    faults: Sequence[FieldError] = ()


async def run(ctx: Context, principal: Principal, wish: Import, *, dry_run: bool = False) -> shapes.Imported:
    """Make the inventory hold these hosts and groups. With `dry_run` say what would become of it.

    Groups that hosts name and nobody has made are made. Raises InvalidInput with every fault, by `hosts[3].port`,
    and then nothing is changed; NotFound where all that is wrong is that something does not exist.
    """
    authorize(principal, Verb.WRITE, "hosts")

    def judged(tx: Tx) -> Wanted:
        wanted = Wanted.from_now(inventory.load(tx))
        faults = [*wish.faults, *_put_all(wanted, wish)]
        if not wish.hosts and not wish.groups and not faults:
            faults.append(FieldError(field="hosts", message="there is no host and no group", expected="at least one"))
        wanted.examine(faults[:MOST_FAULTS]).raise_any()
        return wanted

    def save(tx: Tx) -> Wanted:
        wanted = judged(tx)
        wanted.save(tx)
        told = _told(wanted, wish)
        counts = {key: len(names) for key, names in told.items() if isinstance(names, list)}
        names = [*told["hosts_added"], *told["hosts_updated"]][:_NAMES_IN_AUDIT]
        audit.record(tx, principal.name, "import", "hosts", {**counts, "names": names})
        return wanted

    wanted = await (ctx.store.read(judged) if dry_run else ctx.store.write(save))
    if not dry_run:
        ctx.launcher.jobs_changed()
    spoken_of = (wanted.hosts[name] for name in wanted.hosts_told_at)
    return {**_told(wanted, wish), "warnings": await warnings_about(spoken_of, home=ctx.info.home)}


def _put_all(wanted: Wanted, wish: Import) -> Iterator[FieldError]:
    """Put everything where it is wanted; give what cannot be seen once it is there."""
    yield from _put_groups(wanted, wish)
    yield from _put_hosts(wanted, wish)
    yield from _put_members(wanted, wish)
    named = {name for host in wanted.hosts_told_at for name in wanted.hosts[host].groups}
    for name in sorted(named - wanted.groups.keys()):
        if not name_faults(name):
            wanted.put_group(Group(name=name))
    if not wish.update:
        yield from _differences(wanted)


def _put_groups(wanted: Wanted, wish: Import) -> Iterator[FieldError]:
    for place, draft in enumerate(wish.groups):
        path = f"groups[{place}]"
        yield from (at(path, fault) for fault in draft.faults)
        if draft.name in wanted.groups_told_at:
            where = wanted.groups_told_at[draft.name]
            yield FieldError(field=f"{path}.name", message=f"group {draft.name} is given twice, also as {where}")
            continue
        old = wanted.groups.get(draft.name)
        new = draft.applied_to(old or Group(name=draft.name))
        wanted.put_group(new, path)
        if old is not None and (old.selector is None) != (new.selector is None):
            kind = "static" if old.selector is None else "dynamic"
            yield FieldError(field=f"{path}.selector", message=f"group {draft.name} is {kind} and stays so")
        if new.selector is not None and draft.join:
            message = f"in a dynamic group is what its selector picks ({new.selector})"
            yield FieldError(field=f"{path}.hosts", message=message, expected="hosts or a selector")


def _put_hosts(wanted: Wanted, wish: Import) -> Iterator[FieldError]:
    for place, draft in enumerate(wish.hosts):
        path = f"hosts[{place}]"
        yield from (at(path, fault) for fault in draft.faults)
        if draft.name in wanted.hosts_told_at:
            where = wanted.hosts_told_at[draft.name]
            yield FieldError(field=f"{path}.name", message=f"host {draft.name} is given twice, also as {where}")
            continue
        old = wanted.hosts.get(draft.name)
        wanted.put_host(draft.applied_to(old or Host(name=draft.name, connector=ELSEWHERE)), path)


def _put_members(wanted: Wanted, wish: Import) -> Iterator[FieldError]:
    for place, draft in enumerate(wish.groups):
        path = f"groups[{place}]"
        if wanted.groups_told_at.get(draft.name) != path or wanted.groups[draft.name].selector is not None:
            continue
        for name in sorted(draft.join):
            if name in wanted.hosts:
                wanted.put_host(draft.members(wanted.hosts[name]), wanted.hosts_told_at.get(name, path))
            elif name == LOCAL:
                yield FieldError(field=f"{path}.hosts", message=f'"{LOCAL}" is built in and in no group')
            else:
                yield FieldError(field=f"{path}.hosts", message=f"there is no host {name[:80]!a}")


def _differences(wanted: Wanted) -> Iterator[FieldError]:
    """A fault for each host and group that is there already and is not what was asked for."""
    hint = "to change it add --update"
    for row, host in wanted.changed_hosts:
        what = ", ".join(each.name for each in fields(Host) if getattr(row.host, each.name) != getattr(host, each.name))
        message = f"host {host.name} exists and differs ({what})"
        yield FieldError(field=f"{wanted.hosts_told_at[host.name]}.name", message=message, hint=hint)
    for group in wanted.changed_groups:
        message = f"group {group.name} exists and differs"
        yield FieldError(field=f"{wanted.groups_told_at[group.name]}.name", message=message, hint=hint)


def _told(wanted: Wanted, wish: Import) -> shapes.Imported:
    added, updated = [host.name for host in wanted.new_hosts], [host.name for _, host in wanted.changed_hosts]
    others = {*wanted.hosts_told_at} - {*added} - {*updated}
    return {
        "hosts_added": sorted(added),
        "hosts_updated": sorted(updated),
        "hosts_unchanged": sorted(others),
        "groups_added": sorted(group.name for group in wanted.new_groups),
        "groups_updated": sorted(group.name for group in wanted.changed_groups),
        "warnings": [],
    }
