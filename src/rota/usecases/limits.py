"""Caps on what runs at one time: on targets over all runs (`targets`), and of one site, host, group of hosts or job
(`site:NAME`, …).

The cap on runs (`runs`) is shown with them; it belongs to the settings, `schedule.max_concurrent_schedules`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import FieldError, InvalidInput, NotFound, near
from rota.domain.ids import name_faults as job_name_faults
from rota.domain.inventory import name_faults
from rota.ports import Tx
from rota.storage import audit, inventory, jobs, limits
from rota.storage.limits import GROUP, HOST, JOB, OF_ONE, RUNS, SITE, TARGETS, split
from rota.usecases import shapes
from rota.usecases.context import Context

MOST = 10**6
_KEYS = f"{TARGETS}, or {', '.join(f'{kind}NAME' for kind in OF_ONE)}"


async def list_all(ctx: Context, principal: Principal) -> shapes.Limits:
    """All caps by key, and how much of each is used now."""
    authorize(principal, Verb.READ, "limits")
    rows = await ctx.store.read(limits.all_limits)
    return {"items": [{"key": row.key, "cap": row.cap, "used": row.used} for row in rows], "next": None}


async def change(ctx: Context, principal: Principal, key: str, cap: int, *, dry_run: bool = False) -> shapes.Limit:
    """Set a cap, from now on. What is at work beyond it goes on; 0 lets nothing more start.

    With `dry_run` answer as it is, and change nothing. Raises InvalidInput for a key that is none, and for a cap out
    of range.
    """
    authorize(principal, Verb.WRITE, f"limit {key}")
    faults = _faults(key)
    if not 0 <= cap <= MOST:
        faults.append(FieldError(field="cap", message=f"{cap} is out of range", expected=f"0 to {MOST}", got=str(cap)))
    if faults:
        raise InvalidInput.of(faults)

    def would_be(tx: Tx) -> shapes.Limit:
        limit: shapes.Limit = {"key": key, "cap": cap, "used": limits.at_work(tx, key)}
        if warning := _unknown(tx, key):
            limit["warnings"] = [warning]
        return limit

    def save(tx: Tx) -> shapes.Limit:
        limits.set_limit(tx, key, cap)
        audit.record(tx, principal.name, "set", f"limit {key}", {"cap": cap})
        return would_be(tx)

    if dry_run:
        return await ctx.store.read(would_be)
    saved = await ctx.store.write(save)
    ctx.launcher.limits_changed()
    return saved


async def remove(ctx: Context, principal: Principal, key: str, *, dry_run: bool = False) -> shapes.Removed:
    """Take a cap away, from now on. Raises NotFound where there is none."""
    authorize(principal, Verb.WRITE, f"limit {key}")
    if faults := _faults(key):
        raise InvalidInput.of(faults)

    def require(tx: Tx) -> None:
        known = [row.key for row in limits.all_limits(tx) if row.key != RUNS]
        if key not in known:
            hint = f"{near(key, known)} See: rota limits list".lstrip()
            raise NotFound(f'there is no limit "{key}"', hint=hint)

    def take_away(tx: Tx) -> None:
        require(tx)
        limits.remove_limit(tx, key)
        audit.record(tx, principal.name, "remove", f"limit {key}")

    if dry_run:
        await ctx.store.read(require)
        return {"deleted": key}
    await ctx.store.write(take_away)
    ctx.launcher.limits_changed()
    return {"deleted": key}


def _faults(key: str) -> list[FieldError]:
    if key == RUNS:
        message = f'"{RUNS}" is a setting of the daemon'
        hint = "set schedule.max_concurrent_schedules in rota.yaml, and restart the daemon"
        return [FieldError(field="key", message=message, expected=_KEYS, got=key, hint=hint)]
    kind, name = split(key)
    if kind == JOB:
        return [replace(fault, field="key") for fault in job_name_faults(name)]
    if kind in OF_ONE:
        return name_faults(name, what=kind.rstrip(":"), field="key")
    if key == TARGETS:
        return []
    message, hint = f'"{key[:80]}" is no limit', near(key, [TARGETS, *OF_ONE])
    return [FieldError(field="key", message=message, expected=_KEYS, got=key[:80], hint=hint)]


def _unknown(tx: Tx, key: str) -> str | None:
    """A word about a cap of what is not there: it stands, and may be meant for what is to come."""
    kind, name = split(key)
    known = inventory.load(tx)
    there: dict[str, Collection[str]] = {
        SITE: {host.site for host in known.hosts if host.site is not None},
        HOST: {host.name for host in known.hosts},
        GROUP: known.groups,
    }
    if kind == TARGETS or name in there.get(kind, ()) or (kind == JOB and jobs.find_job(tx, name) is not None):
        return None
    what = f'no host is at the site "{name}" now' if kind == SITE else f'there is no {kind.rstrip(":")} "{name}" now'
    return f"{what}. {near(name, there.get(kind, ()))}".rstrip()
