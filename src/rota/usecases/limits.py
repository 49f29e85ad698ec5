"""Caps on what runs at one time: on targets over all runs (`targets`) and of one site (`site:NAME`).

The cap on runs (`runs`) is shown with them; it belongs to the settings, `schedule.max_concurrent_schedules`.
"""

from __future__ import annotations

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import FieldError, InvalidInput, NotFound, near
from rota.domain.inventory import name_faults
from rota.ports import Tx
from rota.storage import audit, inventory, limits
from rota.storage.limits import RUNS, SITE, TARGETS
from rota.usecases import shapes
from rota.usecases.context import Context

MOST = 10**6
_KEYS = f"{TARGETS}, or {SITE}NAME"


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
        if warning := _unknown_site(tx, key):
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
    if key.startswith(SITE):
        return name_faults(key.removeprefix(SITE), what="site", field="key")
    if key == TARGETS:
        return []
    message, hint = f'"{key[:80]}" is no limit', near(key, [TARGETS])
    return [FieldError(field="key", message=message, expected=_KEYS, got=key[:80], hint=hint)]


def _unknown_site(tx: Tx, key: str) -> str | None:
    """A word about a site that no host is at: the cap stands, and may be meant for hosts to come."""
    known = {host.site for host in inventory.load(tx).hosts if host.site is not None}
    site = key.removeprefix(SITE)
    if key == TARGETS or site in known:
        return None
    return f'no host is at the site "{site}" now. {near(site, known)}'.rstrip()
