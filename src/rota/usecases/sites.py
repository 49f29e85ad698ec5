"""Sites: the names that hosts say they are at, each with those hosts."""

from __future__ import annotations

from rota.domain.authorize import Principal, Verb, authorize
from rota.storage import inventory
from rota.usecases import shapes
from rota.usecases.context import Context


async def list_all(ctx: Context, principal: Principal) -> shapes.Sites:
    """All sites by name. There is one for as long as a host says so."""
    authorize(principal, Verb.READ, "sites")
    at: dict[str, list[str]] = {}
    for host in (await ctx.store.read(inventory.load)).hosts:
        if host.site is not None:
            at.setdefault(host.site, []).append(host.name)
    return {"items": [{"name": name, "hosts": at[name]} for name in sorted(at)], "next": None}
